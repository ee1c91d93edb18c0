package preprocess

import (
	"math"
	"slices"
	"strings"
	"testing"

	"reprise/dataset/columns"
	"reprise/dataset/table"
)

func TestTextsAreCutIntoWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		" \t\n ":                     "",
		"The  CAT sat.":              "the|cat|sat|.",
		"don't stop — it’s 5pm!!":    "don't|stop|—|it’s|5pm|!|!",
		"'quoted' rock'n'roll o'":    "'|quoted|'|rock'n'roll|o|'",
		"ÜBER straße, Ελλάδα":        "über|straße|,|ελλάδα",
		"e\u0301te\u0301 x_y a-b #1": "e\u0301te\u0301|x|_|y|a|-|b|#|1",
		"bad \xff byte":              "bad|\ufffd|byte",
		"3'4 a'5":                    "3|'|4|a|'|5",
	} {
		var words []string
		eachWord(text, func(word string) bool {
			words = append(words, word)
			return true
		})
		if got := strings.Join(words, "|"); got != want {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

// reviews are texts with a number; the last column is the target.
func reviews(texts ...string) (names []string, cells [][]table.Cell) {
	for i, text := range texts {
		cell := table.Cell{Kind: table.Text, Text: text}
		if text == "" {
			cell = table.Cell{}
		}
		cells = append(cells, []table.Cell{cell, {Kind: table.Number, Number: float64(i) + 0.5}, {Kind: table.Text, Text: []string{"a", "b"}[i%2]}})
	}
	return []string{"review", "n", "y"}, cells
}

func reviewSpec(s columns.Spec) columns.Options {
	s.Kind = columns.Text
	return columns.Options{Columns: map[string]columns.Spec{"review": s}}
}

func encoded(t *testing.T, d Document, b *Builder) [][]float32 {
	t.Helper()
	e, err := NewEncoder(d)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float32
	for codes := range slices.Chunk(b.Values(), e.Codes()) {
		x := make([]float32, e.Features())
		e.Encode(codes, x)
		rows = append(rows, x)
	}
	return rows
}

// The vocabulary has the words of several training rows, those of most rows first; words
// of a single one, and of other rows, are unknown.
func TestTheVocabularyIsThatOfTheTrainingRows(t *testing.T) {
	names, cells := reviews("good good film", "Bad film", "a bad film, once", "", "held out film held out bad", "out held")
	d, b := fit(t, names, cells, reviewSpec(columns.Spec{}), 4)
	w := d.Columns[0].Text
	if w == nil || !slices.Equal(w.Vocabulary, []string{"film", "bad"}) || w.MaxTokens != 5 || d.Version != SecondVersion {
		t.Fatalf("%+v, %s", w, d.Version)
	}
	const unknown, film, bad = 1, 2, 3
	want := [][]float32{
		{unknown, unknown, film, 0, 0}, {bad, film, 0, 0, 0}, {unknown, bad, film, unknown, unknown}, {0, 0, 0, 0, 0},
		{unknown, unknown, film, unknown, unknown}, {unknown, unknown, 0, 0, 0},
	}
	for i, x := range encoded(t, d, b) {
		if !slices.Equal(x[:5], want[i]) {
			t.Errorf("row %d is %v, want %v", i, x[:5], want[i])
		}
	}
	other, _ := fit(t, names, append(slices.Clone(cells[:4]), cells[5], cells[4]), reviewSpec(columns.Spec{}), 4)
	if first, _ := d.Hash(); first == "" {
		t.Error("no hash")
	} else if second, _ := other.Hash(); second != first {
		t.Error("rows that are held out change the document")
	}
}

func TestTextOptionsHold(t *testing.T) {
	yes := true
	names, cells := reviews("good film", "bad film", "", "bad bad end film", "good end")
	for _, c := range []struct {
		name  string
		spec  columns.Spec
		size  int
		width int
		rows  map[int][]float32
	}{
		{"few words", columns.Spec{TextOptions: columns.TextOptions{Vocabulary: 4, MaxTokens: 3}}, 4, 3, map[int][]float32{0: {1, 2, 0}, 1: {3, 2, 0}, 3: {3, 3, 1}}},
		{"bytes", columns.Spec{TextOptions: columns.TextOptions{Tokenizer: columns.Bytes, MaxTokens: 2}}, 258, 2, map[int][]float32{0: {2 + 'g', 2 + 'o'}, 2: {0, 0}}},
		{"a constant", columns.Spec{Missing: columns.Constant, Value: "bad film", Indicator: &yes, TextOptions: columns.TextOptions{MaxTokens: 3}},
			6, 4, map[int][]float32{1: {3, 2, 0, 0}, 2: {3, 2, 0, 1}}},
		{"an indicator", columns.Spec{Indicator: &yes, TextOptions: columns.TextOptions{MaxTokens: 1}}, 6, 2, map[int][]float32{0: {5, 0}, 2: {0, 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, b := fit(t, names, cells, reviewSpec(c.spec), 5)
			e, err := NewEncoder(d)
			if err != nil {
				t.Fatal(err)
			}
			if s := e.Sections()[0]; !s.Text || s.Vocabulary != c.size || e.Features() != c.width+1 {
				t.Fatalf("%+v, %d features, of %+v", s, e.Features(), d.Columns[0].Text)
			}
			rows := encoded(t, d, b)
			for i, want := range c.rows {
				if !slices.Equal(rows[i][:c.width], want) {
					t.Errorf("row %d is %v, want %v", i, rows[i][:c.width], want)
				}
			}
			binding, _, err := e.Bind(names)
			if err != nil {
				t.Fatal(err)
			}
			for i, cells := range cells {
				x := make([]float32, e.Features())
				if err := binding.Row(place(i), cells, x); err != nil || !slices.Equal(x, rows[i]) {
					t.Errorf("row %d is predicted from %v, and trained on as %v, %v", i, x, rows[i], err)
				}
			}
		})
	}
}

// Byte pairs are learnt from training texts; a text that gives few has fewer unless the
// request says how many there are.
func TestTextsAreCutIntoBytePairs(t *testing.T) {
	names, cells := reviews(strings.Repeat("ab ", 20), strings.Repeat("ab ", 10), "xyz")
	pieces := columns.TextOptions{Tokenizer: columns.BPE}
	d, b := fit(t, names, cells, reviewSpec(columns.Spec{TextOptions: pieces}), 2)
	if rows := encoded(t, d, b); rows[0][1] < 258 || rows[2][0] != 2+'x' {
		t.Errorf("%v of %s", rows, d.Columns[0].Text.Model)
	}
	names, cells = reviews("abc", "def", "ghi")
	d, _ = fit(t, names, cells, reviewSpec(columns.Spec{TextOptions: pieces}), 3)
	if w := d.Columns[0].Text; w.Model != withoutPairs {
		t.Errorf("%+v", w)
	}
	pieces.Vocabulary = 300
	meaning := columns.Column{Name: "review", Kind: columns.Text, Text: pieces, Missing: columns.Fill{Strategy: columns.Empty}}
	builder := NewBuilder([]columns.Column{meaning}, nil, nil)
	if _, err := builder.Add(place(0), cells[0][:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := builder.Fit(t.Context(), []uint32{0}); err == nil || !strings.Contains(err.Error(), "columns.review.vocabulary: 300 is more than the 258 tokens") {
		t.Errorf("%v", err)
	}
}

func TestAnEmbeddedCategoryIsOneToken(t *testing.T) {
	names, cells := reviews("x", "y", "x", "y", "once", "", "new")
	o := columns.Options{Columns: map[string]columns.Spec{"review": {Kind: columns.Category, Encode: columns.Learnt}}}
	d, b := fit(t, names, cells, o, 6)
	e, err := NewEncoder(d)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Section{{Features: 1, Vocabulary: 5}, {Features: 1}}; !slices.Equal(e.Sections(), want) {
		t.Errorf("%+v, want %+v", e.Sections(), want)
	}
	for i, x := range encoded(t, d, b) {
		if want := []float32{1, 2, 1, 2, 3, 4, 3}[i]; x[0] != want {
			t.Errorf("row %d is %v, want %v", i, x[0], want)
		}
	}
}

// A document of texts is read as it was written, and in no other form; one that says
// something that cannot be is refused.
func TestDocumentsOfTextAreStrict(t *testing.T) {
	names, cells := reviews("good film", "bad film", "good end", "bad end")
	d, _ := fit(t, names, cells, reviewSpec(columns.Spec{}), 4)
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(raw); err != nil || again.Columns[0].Text.MaxTokens != d.Columns[0].Text.MaxTokens {
		t.Errorf("%+v, %v", again, err)
	}
	for name, change := range map[string]func(*Document){
		"the first version":    func(d *Document) { d.Version = Version },
		"no tokens":            func(d *Document) { d.Columns[0].Text.MaxTokens = 0 },
		"too many tokens":      func(d *Document) { d.Columns[0].Text.MaxTokens = math.MaxInt32 },
		"a word twice":         func(d *Document) { d.Columns[0].Text.Vocabulary = []string{"a", "a"} },
		"an unknown tokenizer": func(d *Document) { d.Columns[0].Text.Tokenizer = "letters" },
		"no model":             func(d *Document) { d.Columns[0].Text = &Words{Tokenizer: columns.BPE, MaxTokens: 3} },
		"a model of bytes": func(d *Document) {
			d.Columns[0].Text = &Words{Tokenizer: columns.BPE, MaxTokens: 3, Model: `{"format":"reprise.tokenizer.v1","kind":"bytes"}`}
		},
		"no words":            func(d *Document) { d.Columns[0].Text = nil },
		"a number with words": func(d *Document) { d.Columns[1].Text = d.Columns[0].Text },
		"an encoding":         func(d *Document) { d.Columns[0].Encode = columns.Learnt },
	} {
		other := d
		other.Columns = slices.Clone(d.Columns)
		words := *d.Columns[0].Text
		other.Columns[0].Text = &words
		change(&other)
		if err := other.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
