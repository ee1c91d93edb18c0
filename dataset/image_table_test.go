package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/dataset/preprocess"
	"reprise/tensor"
)

// photos writes images and a table of their paths, from the folder in which they are.
func photos(t *testing.T, n int) (folder string, rows []string) {
	t.Helper()
	folder = t.TempDir()
	for i := range n {
		name := fmt.Sprintf("%d.png", i)
		writePNG(t, filepath.Join(folder, "photos", name), 2, byte(i), byte(10*i), 3, 4)
		rows = append(rows, fmt.Sprintf("photos/%s,%s,%d.5,%d", name, []string{"cat", "dog"}[i%2], i*i%7, i%3))
	}
	return folder, rows
}

// A table with paths and texts has three readings, each of which is found again: its images;
// its texts, from before there were images; and neither, from before that.
func TestATableOfPathsAndTextsIsReopenedAsItWasRecorded(t *testing.T) {
	folder, _ := photos(t, 40)
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(messages(40)), "\n") {
		name := fmt.Sprintf("photos/%d.png", i-1)
		if i == 0 {
			name = "file"
		}
		fmt.Fprintf(&b, "%s,%s\n", line, name)
	}
	source := Source{Path: writeFile(t, folder, "m.csv", b.String()), Target: "kind"}
	library, err := NewLibrary(Config{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for r, sections := range map[reading]int{currentReading: 0, fourthReading: 2, thirdReading: 0} {
		d, err := library.open(t.Context(), source, r)
		if err != nil {
			t.Fatalf("reading %d: %v", r, err)
		}
		if images := len(d.SampleShape()) == 3; len(d.Sections()) != sections || images != (r == currentReading) {
			t.Errorf("reading %d: shape %v, sections %v", r, d.SampleShape(), d.Sections())
		}
		seen[d.Fingerprint()] = true
		if again, err := library.Reopen(t.Context(), source, d.Fingerprint()); err != nil || again.Fingerprint() != d.Fingerprint() {
			t.Errorf("reading %d: reopened: %v", r, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d fingerprints, want 3", len(seen))
	}
}

func TestATableOfPathsIsATableOfImages(t *testing.T) {
	folder, rows := photos(t, 12)
	path := writeFile(t, folder, "pets.csv", "file,animal,weight,farm\n"+strings.Join(rows, "\n")+"\n,cat,1,1\n")
	d := mustOpen(t, Source{Path: path, Target: "animal"})
	s := inspect(t, d)
	if !d.SampleShape().Equal(tensor.Shape{2, 2, 1}) || d.Len(Train)+d.Len(Validation) != 12 || !slices.Equal(d.ClassNames(), []string{"cat", "dog"}) {
		t.Errorf("%+v", s)
	}
	var roles []string
	for _, c := range s.Kinds {
		roles = append(roles, c.Role)
	}
	if !slices.Equal(roles, []string{"image", "target", "unused", "unused"}) {
		t.Errorf("roles %q", roles)
	}
	if notes := strings.Join(d.Notes(), "\n"); !strings.Contains(notes, "1 row that has no file") || !strings.Contains(notes, `not "weight", "farm"`) {
		t.Errorf("notes %q", notes)
	}
	for _, split := range []Split{Train, Validation} {
		for i := range d.Len(split) {
			row, label, _ := d.AppendRaw(nil, split, i)
			if row[1] != 10*row[0] || int32(row[0])%2 != label {
				t.Errorf("%v %d: %v of class %d", split, i, row, label)
			}
		}
	}
	document, err := preprocess.Parse(d.Preprocessing())
	if err != nil || document.Pixels.Column != "file" || document.Pixels.Resize != "" || document.Target.Column != "animal" {
		t.Errorf("%+v, %v", document, err)
	}
	library, err := NewLibrary(Config{})
	if err != nil {
		t.Fatal(err)
	}
	// It can be read as it was before there were images, and then is what was recorded.
	for _, r := range []reading{fourthReading, thirdReading} {
		plain, err := library.open(t.Context(), Source{Path: path, Target: "animal"}, r)
		if err != nil || !slices.Equal(plain.ColumnNames(), []string{"weight", "farm"}) {
			t.Fatalf("reading %d: %v", r, err)
		}
		again, err := library.Reopen(t.Context(), Source{Path: path, Target: "animal"}, plain.Fingerprint())
		if err != nil || again.Fingerprint() != plain.Fingerprint() {
			t.Errorf("reopened: %v", err)
		}
	}
	// Another image, and another cell that is not used, are other data.
	writePNG(t, filepath.Join(folder, "photos", "3.png"), 2, 3, 30, 3, 5)
	other := mustOpen(t, Source{Path: path, Target: "animal"})
	writeFile(t, folder, "pets.csv", "file,animal,weight,farm\n"+strings.Join(rows, "\n")+"\n,cat,2,1\n")
	third := mustOpen(t, Source{Path: path, Target: "animal"})
	if d.Fingerprint() == other.Fingerprint() || other.Fingerprint() == third.Fingerprint() {
		t.Error("a change does not show")
	}
}

func TestPathsStartFromTheRoot(t *testing.T) {
	folder, rows := photos(t, 12)
	elsewhere := t.TempDir()
	path := writeFile(t, elsewhere, "pets.csv", "file,animal,weight,farm\n"+strings.Join(rows, "\n"))
	d := mustOpen(t, Source{Path: path, Target: "weight", Task: Regression, Table: TableOptions{
		Root: folder, Split: SplitOptions{Method: SplitGroup, Column: "farm"},
	}, Image: ImageOptions{Size: [2]int{1, 2}, Channels: 3}})
	if !d.SampleShape().Equal(tensor.Shape{1, 2, 3}) || d.Task() != Regression || d.Targets()[0].Name != "weight" || d.Len(Train)+d.Len(Validation) != 12 {
		t.Errorf("%+v", inspect(t, d))
	}
	document, err := preprocess.Parse(d.Preprocessing())
	if err != nil || document.Target.Quantities[0].Name != "weight" || document.Pixels.Resize != preprocess.AreaResize {
		t.Errorf("%+v, %v", document, err)
	}
}

func TestTablesOfImagesSayWhatIsWrong(t *testing.T) {
	folder, rows := photos(t, 8)
	if err := os.Remove(filepath.Join(folder, "photos", "5.png")); err != nil {
		t.Fatal(err)
	}
	writeDeep(t, filepath.Join(folder, "photos", "6.png"), []byte("text"))
	missing := writeFile(t, folder, "a.csv", "file,animal,weight,farm\n"+strings.Join(rows, "\n"))
	two := writeFile(t, folder, "b.csv", "file,mask,animal\n0.png,1.png,cat\n1.png,2.png,dog\n2.png,3.png,cat\n")
	numbers := writeFile(t, folder, "c.csv", "x,animal\n1,cat\n2,dog\n3,cat\n4,dog\n")
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{Path: missing, Target: "animal"}, "photos/6.png is not an image by its content; replace or remove"},
		{Source{Path: missing, Target: "animal"}, "photos/5.png does not exist"},
		{Source{Path: missing, Target: "animal"}, "or write columns: {file: ignored}"},
		{Source{Path: two, Target: "animal"}, `columns "file", "mask" have paths of images, and one image is a sample; choose one, as in columns: {file: image}`},
		{Source{Path: numbers, Target: "animal", Image: ImageOptions{Channels: 1}}, "does not fit a table without a column of paths of images"},
		{Source{Path: numbers, Target: "animal", Table: TableOptions{Root: folder}}, "root:"},
	} {
		_, err := open(t, c.source)
		checkError(t, err, c.want)
	}
	ignored := `{"file":{"kind":"ignored"}}`
	if d := mustOpen(t, Source{Path: missing, Target: "animal", Table: TableOptions{Columns: ColumnSpecs(ignored)}}); d.images != nil {
		t.Error("the images are read although the column is ignored")
	}
}
