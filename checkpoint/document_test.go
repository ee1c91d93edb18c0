package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"reprise/tensor"
)

func TestThePreprocessingDocumentIsPinned(t *testing.T) {
	dir := t.TempDir()
	content := Content{
		RunID: "r", SessionID: "s", Step: 3, Epoch: 1, Preprocessing: []byte(`{"version":"x"}`),
		Weights: []tensor.Tensor{{Name: "w", Shape: tensor.Shape{1}, Data: []float32{1}}},
	}
	ref, err := Write(dir, content)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := RefOf(content); err != nil || again != ref {
		t.Errorf("RefOf gives %+v instead of %+v, %v", again, ref, err)
	}
	got, err := Read(dir, ref)
	if err != nil || string(got.Preprocessing) != string(content.Preprocessing) {
		t.Fatalf("read %q, %v", got.Preprocessing, err)
	}
	other := t.TempDir()
	if err := (Folder{Path: other}).Copy(Folder{Path: dir}, ref); err != nil {
		t.Errorf("copy: %v", err)
	}
	file := filepath.Join(dir, ref.Dir, "preprocessing.json")
	for _, damaged := range []string{`{"version":"y"}`, `{"version":"x"} `, `{`} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if err := Verify(dir, ref); !errors.As(err, &corrupt) || corrupt.File != "preprocessing.json" {
			t.Errorf("%s: %v", damaged, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := Verify(dir, ref); !errors.Is(err, ErrMissing) {
		t.Errorf("without the document: %v", err)
	}
	content.Preprocessing = nil
	if without, err := RefOf(content); err != nil || without.ManifestSHA256 == ref.ManifestSHA256 {
		t.Errorf("the document is not part of what pins the checkpoint: %v", err)
	}
}
