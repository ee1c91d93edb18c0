package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/dataset/columns"
	"reprise/dataset/preprocess"
	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

func example(t *testing.T) Bundle {
	t.Helper()
	model, err := nn.NewModel("m", nn.MLP(tensor.Shape{1}, []int{2}, kernel.ReLU, 2), 3)
	if err != nil {
		t.Fatal(err)
	}
	return Bundle{
		Architecture: model.Architecture, Weights: model.Parameters, Lineage: Lineage{Run: "r", Step: 4, Epoch: 2, Version: "v1"},
		Preprocessing: preprocess.Document{
			Version: preprocess.Version,
			Columns: []preprocess.Column{{Name: "a", Kind: columns.Number, Missing: preprocess.Fill{Strategy: columns.Drop}, Scale: &preprocess.Scale{Mean: 1, StandardDeviation: 2}}},
			Target:  preprocess.Target{Column: "y", Classes: []string{"no", "yes"}},
		},
	}
}

// save writes a bundle as a folder and as an archive.
func save(t *testing.T, b Bundle) (folder, archive string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "net")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(path string, f File) {
		var raw bytes.Buffer
		if err := f.Write(&raw); err != nil || int64(raw.Len()) != f.Size {
			t.Fatalf("%s: %d bytes instead of %d, %v", path, raw.Len(), f.Size, err)
		}
		if err := os.WriteFile(path, raw.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := b.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		put(filepath.Join(folder, f.Name), f)
	}
	one, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	archive = folder + ArchiveSuffix
	put(archive, one)
	return folder, archive
}

// Every byte of the files, and some of those between them in an archive.
func TestEveryChangedByteIsFound(t *testing.T) {
	b := example(t)
	folder, archive := save(t, b)
	for _, path := range []string{folder, archive} {
		got, err := Open(path)
		if err != nil || got.Lineage != b.Lineage || len(got.Weights) != len(b.Weights) || got.Weights[1].Name != b.Weights[1].Name {
			t.Fatalf("%s: %+v, %v", path, got.Lineage, err)
		}
	}
	files, err := b.Files()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{archive}
	for _, f := range files {
		paths = append(paths, filepath.Join(folder, f.Name))
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := path
		if path != archive {
			at = folder
		}
		step := 1
		if path == archive {
			step = 13 // it is mostly padding
		}
		for i := 0; i < len(raw); i += step {
			changed := bytes.Clone(raw)
			changed[i] ^= 1
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(at)
			var data *fault.DataError
			if !errors.As(err, &data) || !strings.HasPrefix(data.File, path) {
				t.Fatalf("byte %d of %s was changed: %v", i, path, err)
			}
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFileMoreOrLessIsRefused(t *testing.T) {
	folder, _ := save(t, example(t))
	if err := os.WriteFile(filepath.Join(folder, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder); err == nil || !strings.Contains(err.Error(), "notes.txt: is not a file of a bundle") {
		t.Errorf("a file more: %v", err)
	}
	if err := errors.Join(os.Remove(filepath.Join(folder, "notes.txt")), os.Remove(filepath.Join(folder, "preprocessing.json"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder); err == nil || !strings.Contains(err.Error(), "preprocessing.json: is missing") {
		t.Errorf("a file less: %v", err)
	}
}

func TestABundleOfAnotherModelIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Bundle){
		"weights": func(b *Bundle) { b.Weights = b.Weights[1:] },
		"inputs": func(b *Bundle) {
			b.Preprocessing.Columns[0].Missing = preprocess.Fill{Strategy: columns.Mean, Indicator: true}
		},
		"outputs": func(b *Bundle) { b.Preprocessing.Target.Classes = []string{"no", "yes", "perhaps"} },
	} {
		b := example(t)
		change(&b)
		if _, err := b.Files(); err == nil {
			t.Errorf("%s that do not fit were accepted", name)
		}
	}
}
