package inference

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/dataset/columns"
	"reprise/dataset/preprocess"
	"reprise/export/bundle"
	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// priced returns a model of a table that predicts 1.5 of its only column times 10, plus 100,
// whose rows without it are left out in training.
func priced(t *testing.T) *Model {
	t.Helper()
	model, err := nn.NewModel("m", nn.MLP(tensor.Shape{1}, nil, kernel.ReLU, 1), 3)
	if err != nil {
		t.Fatal(err)
	}
	model.Parameters[0].Data[0], model.Parameters[1].Data[0] = 1.5, 0
	m, err := New(bundle.Bundle{
		Architecture: model.Architecture, Weights: model.Parameters,
		Preprocessing: preprocess.Document{
			Version: preprocess.Version,
			Columns: []preprocess.Column{{Name: "area", Kind: columns.Number, Missing: preprocess.Fill{Strategy: columns.Drop}, Scale: &preprocess.Scale{Mean: 0, StandardDeviation: 1}}},
			Target:  preprocess.Target{Quantities: []preprocess.Quantity{{Name: "price", Scale: preprocess.Scale{Mean: 100, StandardDeviation: 10}}}},
		},
	}, Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func file(t *testing.T, content string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flats.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return File{Path: path}
}

// Errors are in the target's own unit, rows without a target or a cell that training needs
// are counted and left out, and more rows than are held at a time are all measured.
func TestAFileIsEvaluatedInTheTargetsUnit(t *testing.T) {
	m := priced(t)
	content := "price,area,owner\n" + strings.Repeat("116,1,Ada\n", batchRows+5) + ",2,Bob\n90,,Eve\n126,2,Fay\n"
	told := 0
	e, err := m.EvaluateFile(t.Context(), file(t, content), nil, func(int) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	n := batchRows + 6
	if e.Samples != n || len(e.LeftOut) != 2 || e.LeftOut["no price"] != 1 || e.LeftOut["a missing cell in a column with missing: drop"] != 1 || told != 1 ||
		strings.Join(e.Unknown, " ") != "owner" {
		t.Errorf("%+v, told %d times", e, told)
	}
	// 115 for 116 each, and 130 for 126.
	want := (float64(n-1) + 4) / float64(n)
	if target := e.Targets[0]; target.Name != "price" || *target.MAE != want || target.Mean.Value != 100 || *target.Mean.MedianAbsoluteError != 16 {
		t.Errorf("%+v, want a mean error of %v", target, want)
	}
}

func TestAFileThatCannotBeEvaluatedSaysWhy(t *testing.T) {
	m := priced(t)
	for content, says := range map[string][]string{
		"aera,prise\n1,2\n":       {`column "area" is missing from`, `column "price" is missing from`, `rename "prise"`},
		"area,price\n1,\n,2\n":    {"has no row to evaluate (left out: 1 row with a missing cell in a column with missing: drop and 1 row with no price)"},
		"area,price\n1,a lot\n":   {"is not a number"},
		"area,price\nlarge,100\n": {"is not a number as in training"},
		"area,price\n":            {"has no row"},
	} {
		_, err := m.EvaluateFile(t.Context(), file(t, content), nil, nil)
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", content, err)
			continue
		}
		for _, text := range says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v, which does not say %q", content, err, text)
			}
		}
	}
	var field *fault.FieldError
	if err := m.PredictFile(t.Context(), file(t, "price\n1\n"), nil, nil); !errors.As(err, &field) || field.Field != "columns" {
		t.Errorf("%v", err)
	}
}
