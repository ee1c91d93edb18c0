package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"

	"reprise/dataset/preprocess"
)

// What is given to a model of images and holds none is called what it is, whatever its name
// says, and the error says what the model takes.
func TestWhatIsNotImagesIsCalledWhatItIs(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("a,b\n1,2\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, c := range []struct{ name, content, want string }{
		{"a.csv", "a,b\n1,2\n", "is text, and"},
		{"page.png", "<html>not found</html>", "is text, and"},
		{"a.gz", packed.String(), "is text, compressed by gzip, and"},
		{"rows", `{"a": 1}`, "is JSON, and"},
		{"rows.bin", "PAR1\x15\x04", "is Parquet, and"},
		{"paper", "%PDF-1.7", "is a PDF document, and"},
		{"a.zip", "PK\x03\x04\x14\x00\x00\x00", "is a ZIP archive, and"},
		{"noise", "\x01\xff\xfe\x02", "is of no known format, and"},
		{"none", "", "is empty, and"},
		{"none.jpg", "", "is empty, and"},
		{"photo", "\x00\x00\x00\x18ftypheic\x00\x00", "is in the format HEIC, which is not read; convert"},
	} {
		path := writeFile(t, folder, c.name, c.content)
		p := preprocess.Pixels{Shape: []int{3, 2, 1}, Divisor: 255}
		err := EachImage(t.Context(), path, p, NewImageRoom(0), func(InputImage) error { return nil })
		_, _, _, labelled := ReadLabelledImages(t.Context(), path, p)
		for _, err := range []error{err, labelled} {
			if bad := new(DataError); !errors.As(err, &bad) || bad.File != path || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			} else if strings.Contains(c.want, "and") && !strings.Contains(err.Error(), "an IDX file of images") {
				t.Errorf("%s: %v does not say what is wanted", c.name, err)
			}
		}
	}
	// What is of IDX or CIFAR-10 is judged by its own reader.
	for name, content := range map[string]string{"short": "\x00\x00\x08\x03\x00", "batch.bin": "\x01\xff"} {
		err := checkHoldsImages(writeFile(t, folder, name, content), preprocess.Pixels{}, false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A table of paths needs no ending, but a model that was trained on one still takes images.
func TestATableOfPathsIsRecognizedByItsContent(t *testing.T) {
	folder, p := t.TempDir(), preprocess.Pixels{Column: "file"}
	for name, c := range map[string]struct {
		content string
		table   bool
	}{
		"list":       {"file\n1.png\n", true},
		"list.jsonl": {`{"file": "1.png"}`, true},
		"images":     {"\x00\x00\x08\x03", false},
		"paper":      {"%PDF-1.7", false},
	} {
		path := writeFile(t, folder, name, c.content)
		if got := NamesImages(path, p); got != c.table {
			t.Errorf("%s is a table: %t", name, got)
		}
		if NamesImages(path, preprocess.Pixels{}) {
			t.Errorf("%s is a table to a model of other images", name)
		}
	}
	err := checkHoldsImages(writeFile(t, folder, "paper", "%PDF-1.7"), p, false)
	if err == nil || !strings.Contains(err.Error(), `a table with the paths of images in column "file"`) {
		t.Error(err)
	}
}
