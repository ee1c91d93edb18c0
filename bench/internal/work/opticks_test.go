package work_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/bench/internal/work"
	"reprise/dataset"
	"reprise/dataset/tokenizer"
)

// text returns about 200 samples of a small text.
func text(t *testing.T) *dataset.Dataset {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("a ray of light, refracted; ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: folder})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(context.Background(), dataset.Source{Path: path, Tokenizer: tokenizer.Characters, Context: work.Context})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTextIsLearntAtTheFilesRates(t *testing.T) {
	data := text(t)
	perEpoch := data.Len(dataset.Train) / 16
	task := work.NewText(data, 2*perEpoch, 1e-3)
	file, err := task.File()
	if err != nil {
		t.Fatal(err)
	}
	x, y, v := file.Tensor("x"), file.Tensor("y"), file.Tensor("validation_x")
	if want := []int{2 * perEpoch, 16, work.Context}; !slices.Equal(x.Shape, want) || !slices.Equal(y.Shape, want) || len(x.Data) != len(y.Data) {
		t.Errorf("x %v, y %v, want %v", x.Shape, y.Shape, want)
	}
	if want := data.Len(dataset.Validation) / 16; v.Shape[0] != want || want < 1 {
		t.Errorf("validation %v, want %d batches", v.Shape, want)
	}
	if y.Data[0] != x.Data[1] {
		t.Error("a label is not the next token")
	}
	first, last, largest := file.Rates[0], file.Rates[len(file.Rates)-1], slices.Max(file.Rates)
	if len(file.Rates) != 2*perEpoch || largest > 1e-3 || largest < 0.99e-3 || first > 0.6e-3 || last > 0.2e-3 || last < 0.99e-4 {
		t.Errorf("rates %v", file.Rates)
	}
	losses, validation, seconds, err := task.Train(file, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(losses) != 2*perEpoch || !(losses[len(losses)-1] < 0.8*losses[0]) || !(validation < losses[0]) || !(seconds > 0) {
		t.Errorf("losses %v, validation %v", losses, validation)
	}
}
