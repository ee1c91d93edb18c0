package dataset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"reprise/dataset/preprocess"
)

// messages is a table with a column of text that is inferred.
func messages(rows int) string {
	var b strings.Builder
	b.WriteString("message,size,kind\n")
	for i := range rows {
		fmt.Fprintf(&b, "the %d words of message %d,%d.5,%s\n", i%7, i, i*3%11, []string{"ham", "spam"}[i*5%11%2])
	}
	return b.String()
}

func TestAnInferredColumnOfTextIsUsed(t *testing.T) {
	d := mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "m.csv", messages(40)), Target: "kind"})
	want := []preprocess.Section{{Features: 6, Vocabulary: inspect(t, d).Kinds[0].Tokens.Vocabulary, Text: true}, {Features: 1}}
	if got := d.Sections(); !slices.Equal(got, want) || d.SampleShape()[0] != 7 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s := inspect(t, d); s.Columns[0].Min != 0.5 || s.Columns[0].Max != 10.5 {
		t.Errorf("the numbers after the text are summarised as %+v", s.Columns)
	}
	if animals, _ := animals(40); mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "a.csv", animals), Target: "species"}).Sections() != nil {
		t.Error("a table without text has sections")
	}
}

// A run that was recorded when columns of text were not used is read as it was then; one
// whose request says that the column is text is not.
func TestARecordedTableKeepsItsTextUnused(t *testing.T) {
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), GoProxy: "off"})
	if err != nil {
		t.Fatal(err)
	}
	source := Source{Path: writeFile(t, t.TempDir(), "m.csv", messages(40)), Target: "kind"}
	old, err := library.open(context.Background(), source, thirdReading)
	if err != nil {
		t.Fatal(err)
	}
	// Recorded by the release before columns of text were used.
	const recorded = "2ea786f8afdd519c89b5b736c59360bf28a6ab5c5684ffbb5220ce015901237c"
	if old.Fingerprint() != recorded || old.Sections() != nil || old.SampleShape()[0] != 1 {
		t.Errorf("%s of shape %v, want %s", old.Fingerprint(), old.SampleShape(), recorded)
	}
	for _, want := range []*Dataset{old, mustOpen(t, source)} {
		if d, err := library.Reopen(context.Background(), source, want.Fingerprint()); err != nil || d.Fingerprint() != want.Fingerprint() {
			t.Errorf("%v", err)
		}
	}
}
