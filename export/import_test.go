package export

import (
	"bytes"
	"slices"
	"testing"

	"reprise/checkpoint"
	"reprise/nn"
	"reprise/tensor"
)

// What is written for PyTorch comes back as it was, for every layer.
func TestWeightsForPyTorchComeBack(t *testing.T) {
	for _, models := range []map[string]nn.Architecture{presets(), others()} {
		for name, arch := range models {
			m, err := nn.NewModel("m", arch, 5)
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := (Model{Architecture: arch, Weights: m.Parameters}).writeWeights(&file); err != nil {
				t.Fatal(err)
			}
			found, err := checkpoint.DecodeSafetensors(&file, int64(file.Len()))
			if err != nil || len(found) != len(m.Parameters) {
				t.Fatalf("%s: %d tensors instead of %d, %v", name, len(found), len(m.Parameters), err)
			}
			layout, err := NewPyTorch(arch)
			if err != nil {
				t.Fatal(err)
			}
			back := map[string]tensor.Tensor{}
			for _, f := range found {
				b := layout.Undo(f)
				if bare := layout.Undo(tensor.Tensor{Name: f.Name, Shape: f.Shape}); bare.Name != b.Name || !bare.Shape.Equal(b.Shape) {
					t.Errorf("%s: %s %v is %s %v without its data, %s %v with them", name, f.Name, f.Shape, bare.Name, bare.Shape, b.Name, b.Shape)
				}
				back[b.Name] = b
			}
			for _, p := range m.Parameters {
				if b := back[p.Name]; !b.Shape.Equal(p.Shape) || !slices.Equal(b.Data, p.Data) {
					t.Errorf("%s: %s %v comes back as %v, or with other values", name, p.Name, p.Shape, b.Shape)
				}
			}
		}
	}
}

// A tensor that no parameter could have been written as stays as it is.
func TestForeignTensorsStayAsTheyAre(t *testing.T) {
	layout, err := NewPyTorch(presets()["resnet"])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []tensor.Tensor{
		{Name: "conv1.weight", Shape: tensor.Shape{1, 1, 1, 1}, Data: []float32{1}},
		{Name: "layers.0.weight", Shape: tensor.Shape{2, 1}, Data: []float32{1, 2}},
		{Name: "layers.0.weight", Shape: tensor.Shape{}, Data: []float32{1}},
	} {
		if got := layout.Undo(f); got.Name != f.Name || !got.Shape.Equal(f.Shape) || !slices.Equal(got.Data, f.Data) {
			t.Errorf("%s %v becomes %s %v", f.Name, f.Shape, got.Name, got.Shape)
		}
	}
}
