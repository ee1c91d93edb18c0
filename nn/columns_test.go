package nn

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"reprise/kernel/cpu"
	"reprise/tensor"
)

// More padding than a text needs, and the texts beside it, change no bit of what a model
// says of it.
func TestPaddingChangesNoBit(t *testing.T) {
	model := func(columns int) Architecture {
		return Architecture{Input: tensor.Shape{columns + 1}, Layers: Layers{
			Columns{Parts: []Part{{Columns: columns, Layers: Layers{
				Embedding{Vocabulary: 9, Width: 6}, TransformerBlock{Heads: 2}, TransformerBlock{Heads: 3, Causal: true, Norm: "rms_norm"}, GlobalAvgPool{}}},
				{Columns: 1}}},
			Linear{Units: 3},
		}}
	}
	texts := [][]float32{{3, 1, 8, 8, 2}, {}, {5}, {1, 2, 3, 4, 5, 6, 7}}
	b := newCPU(t, 2, cpu.LevelAuto)
	outputs := func(columns, first, rows int) []float32 {
		trainer := newTrainer(t, b, model(columns), PlanConfig{BatchSize: 4, Seed: 3, Optimizer: Optimizer{Name: SGD}})
		var x []float32
		for i := first; i < first+rows; i++ {
			row := make([]float32, columns+1)
			copy(row, texts[i])
			row[columns] = float32(i) / 3
			x = append(x, row...)
		}
		y := make([]float32, 3*rows)
		if err := trainer.Predict(Batch{Rows: rows, Inputs: x}, y); err != nil {
			t.Fatal(err)
		}
		return y
	}
	want := outputs(7, 0, 4)
	same := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
	for _, columns := range []int{8, 16, 70, 200} {
		if got := outputs(columns, 0, 4); !slices.EqualFunc(got, want, same) {
			t.Errorf("padded to %d tokens: %v, want %v", columns, got, want)
		}
	}
	for i := range texts {
		if got := outputs(70, i, 1); !slices.EqualFunc(got, want[3*i:3*i+3], same) {
			t.Errorf("text %d alone: %v, want %v", i, got, want[3*i:3*i+3])
		}
	}
}

// A token that the vocabulary does not have, and a number that is no token, are refused.
func TestColumnsRefuseWhatIsNoToken(t *testing.T) {
	arch := Architecture{Input: tensor.Shape{2}, Layers: Layers{
		Columns{Parts: []Part{{Columns: 2, Layers: Layers{Embedding{Vocabulary: 5, Width: 2}, GlobalAvgPool{}}}}}, Linear{Units: 2}}}
	trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), arch, PlanConfig{BatchSize: 1, Optimizer: Optimizer{Name: SGD}})
	for _, token := range []float32{5, -1, 0.5, float32(math.NaN()), 1e20} {
		if err := trainer.Predict(Batch{Rows: 1, Inputs: []float32{1, token}}, make([]float32, 2)); err == nil {
			t.Errorf("token %v was taken", token)
		}
	}
	if err := trainer.Predict(Batch{Rows: 1, Inputs: []float32{1, 4}}, make([]float32, 2)); err != nil {
		t.Error(err)
	}
}

func TestColumnsThatDoNotFitAreRefused(t *testing.T) {
	words := Layers{Embedding{Vocabulary: 5, Width: 2}, GlobalAvgPool{}}
	row := tensor.Shape{4}
	for _, tt := range []struct {
		name  string
		arch  Architecture
		field string
	}{
		{"not first", Architecture{row, Layers{Linear{Units: 4}, Columns{[]Part{{4, words}}}}}, "input"},
		{"twice", Architecture{row, Layers{Columns{[]Part{{4, nil}}}, Columns{[]Part{{4, nil}}}}}, "input"},
		{"of an image", Architecture{tensor.Shape{2, 2, 1}, Layers{Columns{[]Part{{4, nil}}}}}, "input"},
		{"without parts", Architecture{row, Layers{Columns{}}}, "parts"},
		{"too few", Architecture{row, Layers{Columns{[]Part{{3, words}}}}}, "parts"},
		{"no columns", Architecture{row, Layers{Columns{[]Part{{0, nil}, {4, words}}}}}, "parts[0].columns"},
		{"a sequence", Architecture{row, Layers{Columns{[]Part{{4, words[:1]}}}}}, "parts[0]"},
		{"a bad layer", Architecture{row, Layers{Columns{[]Part{{1, nil}, {3, Layers{Linear{}}}}}}}, "parts[1].layers[0].units"},
		{"an embedding again", Architecture{row, Layers{Columns{[]Part{{4, append(words[:1:1], words...)}}}}}, "parts[0].layers[1].input"},
		{"a batch norm of padding", Architecture{row, Layers{Columns{[]Part{{4, Layers{words[0], BatchNorm{}, words[1]}}}}}}, "parts[0].layers[1].input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.arch.Validate()
			var bad *LayerError
			if !errors.As(err, &bad) || bad.Field != tt.field || bad.Fix == "" {
				t.Errorf("%#v, want a LayerError for %s", err, tt.field)
			}
		})
	}
}

func TestColumnsJSON(t *testing.T) {
	const form = `{"input":[30],"layers":[{"type":"columns","parts":[{"columns":2,"layers":[{"type":"embedding","vocabulary":5,"width":2},{"type":"global_avg_pool"}]},{"columns":28}]}]}`
	var a Architecture
	if err := json.Unmarshal([]byte(form), &a); err != nil {
		t.Fatal(err)
	}
	if raw, err := json.Marshal(a); err != nil || string(raw) != form {
		t.Errorf("%s, %v, want %s", raw, err, form)
	}
	for _, tt := range []struct{ raw, field string }{
		{`{"type":"columns","parts":3}`, "parts"},
		{`{"type":"columns","parts":[3]}`, "parts[0]"},
		{`{"type":"columns","parts":[{"columns":1},{"column":3}]}`, `parts[1]."column"`},
		{`{"type":"columns","parts":[{"columns":1,"layers":[{"type":"linear","units":"x"}]}]}`, "parts[0].layers[0].units"},
	} {
		var l Layers
		err := json.Unmarshal([]byte("["+tt.raw+"]"), &l)
		var bad *LayerError
		if !errors.As(err, &bad) || bad.Field != tt.field || bad.Index != 0 {
			t.Errorf("%s: %#v, want a LayerError for %s", tt.raw, err, tt.field)
		}
	}
}
