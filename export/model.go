package export

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"reprise/dataset/preprocess"
	"reprise/export/bundle"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/nn"
	"reprise/tensor"
)

// Model is a trained model and what its outputs mean.
type Model struct {
	Architecture nn.Architecture
	// Weights are in the order of Architecture.Parameters.
	Weights []tensor.Tensor
	// Objective is what the model was trained for. With cross-entropy, which is the
	// default, its outputs are logits; otherwise they are quantities.
	Objective nn.Objective
	// Targets says, for each output of a model of quantities, how to turn it into the
	// unit of the data; nil leaves the outputs as they are.
	Targets []Target
	// Origin says where the model comes from, such as {"run", "01J..."}; it is
	// written into the files.
	Origin []Property
	// ClassCounts, Preprocessing and Lineage are for bundles alone.
	ClassCounts   []int
	Preprocessing preprocess.Document
	Lineage       bundle.Lineage
}

// Target is a quantity whose prediction is output*Scale + Mean.
type Target struct {
	Name        string
	Mean, Scale float64
}

// Property is a fact about a model.
type Property struct{ Key, Value string }

// Format is a way to write a model.
type Format string

// The formats.
const (
	// Safetensors is a folder with model.safetensors and model.py, for PyTorch.
	Safetensors Format = "safetensors"
	// ONNX is one file.
	ONNX Format = "onnx"
	// Bundle is a folder for Reprise itself; package bundle has its files.
	Bundle Format = "bundle"
	// BundleArchive is a bundle in one file.
	BundleArchive Format = "bundle.tar"
)

// Formats returns the formats, in the order in which messages list them.
func Formats() []Format { return []Format{Safetensors, ONNX, Bundle, BundleArchive} }

// Folder reports whether a model of the format is a folder of files rather than one
// file.
func (f Format) Folder() bool { return f == Safetensors || f == Bundle }

// Complete reports whether a model of the format is enough to predict with, and so needs
// the preprocessing document.
func (f Format) Complete() bool { return f == Bundle || f == BundleArchive }

// Validate fails with a *fault.FieldError for an unknown format.
func (f Format) Validate() error {
	if slices.Contains(Formats(), f) {
		return nil
	}
	names := make([]string, len(Formats()))
	for i, known := range Formats() {
		names[i] = string(known)
	}
	wrong := &fault.FieldError{Field: "format", Fix: "use " + figures.Or(names)}
	if wrong.Problem = "is missing"; f != "" {
		wrong.Value, wrong.Problem = strconv.Quote(string(f)), "is not a format"
	}
	return wrong
}

// File is a file of an exported model.
type File struct {
	// Name is its name in the folder, or that of the one file where the format has no
	// folder.
	Name string
	// Write writes its content, the same bytes each time.
	Write func(io.Writer) error
}

// Files returns the files of the model in a format. It fails with a *fault.FieldError for
// an unknown format and for a model that the format cannot hold, and otherwise with the
// errors of nn.
func (m Model) Files(f Format) ([]File, error) {
	if err := errors.Join(f.Validate(), m.validate()); err != nil {
		return nil, err
	}
	if f.Complete() {
		return m.bundle(f)
	}
	if f == ONNX {
		g, err := m.graph()
		if err != nil {
			return nil, err
		}
		return []File{{"model.onnx", g.write}}, nil
	}
	code, err := m.python()
	if err != nil {
		return nil, err
	}
	return []File{
		{"model.safetensors", m.writeWeights},
		{"model.py", func(w io.Writer) error {
			_, err := io.WriteString(w, code)
			return err
		}},
	}, nil
}

// bundle returns the files of a bundle, or its archive.
func (m Model) bundle(f Format) ([]File, error) {
	b := bundle.Bundle{Architecture: m.Architecture, Weights: m.Weights, Preprocessing: m.Preprocessing, Lineage: m.Lineage, ClassCounts: m.ClassCounts}
	if f == BundleArchive {
		archive, err := b.Archive()
		return []File{{archive.Name, archive.Write}}, err
	}
	files, err := b.Files()
	list := make([]File, len(files))
	for i, f := range files {
		list[i] = File{f.Name, f.Write}
	}
	return list, err
}

// validate fails unless the weights are those of the architecture, and training can
// have made the model.
func (m Model) validate() error {
	spec := nn.NewModelSpec("exported", m.Architecture)
	if err := (nn.Model{ID: spec.ID, Architecture: m.Architecture, Parameters: m.Weights, Version: spec.Version}).Validate(); err != nil {
		return err
	}
	// A plan takes no memory for the values.
	plan, err := nn.NewPlan(m.Architecture, nn.PlanConfig{BatchSize: 1, Optimizer: nn.Optimizer{Name: nn.SGD}, Objective: m.Objective})
	if err != nil {
		return err
	}
	if m.Targets == nil {
		return nil
	}
	if m.classifies() || len(m.Targets) != plan.Outputs() {
		return &fault.FieldError{Field: "targets", Value: fmt.Sprintf("a list of %d", len(m.Targets)),
			Problem: fmt.Sprintf("must have one for each of the %d quantities", m.quantities(plan)), Fix: "use those of the model's data"}
	}
	for i, t := range m.Targets {
		if sum := t.Mean + t.Scale; math.IsNaN(sum) || math.IsInf(sum, 0) {
			return &fault.FieldError{Field: fmt.Sprintf("targets[%d]", i), Value: fmt.Sprintf("%v and %v", t.Mean, t.Scale),
				Problem: "must be finite", Fix: "use those of the model's data"}
		}
	}
	return nil
}

// quantities returns the number of quantities that the model predicts.
func (m Model) quantities(plan *nn.Plan) int {
	if m.classifies() {
		return 0
	}
	return plan.Outputs()
}

// classifies reports whether the outputs are logits.
func (m Model) classifies() bool { return m.Objective == "" || m.Objective == nn.CrossEntropy }

// after returns the shape of a sample after a layer of a valid architecture.
func after(in tensor.Shape, l nn.Layer) (tensor.Shape, error) {
	return nn.Architecture{Input: in, Layers: nn.Layers{l}}.Output()
}

// isImage reports whether samples of a shape are images, whose channels come first in
// other runtimes.
func isImage(s tensor.Shape) bool { return len(s) == 3 }

// foreign returns a sample's shape as other runtimes have it.
func foreign(s tensor.Shape) tensor.Shape {
	if isImage(s) {
		return tensor.Shape{s[2], s[0], s[1]}
	}
	return s.Clone()
}

// permuted returns the array whose dimension i is dimension order[i] of t.
func permuted(t tensor.Tensor, order []int) tensor.Tensor {
	rank := len(order)
	strides := make([]int, rank)
	for i, step := rank-1, 1; i >= 0; i-- {
		strides[i] = step
		step *= t.Shape[i]
	}
	out := tensor.Tensor{Name: t.Name, Shape: make(tensor.Shape, rank), Data: make([]float32, len(t.Data))}
	for i, from := range order {
		out.Shape[i] = t.Shape[from]
	}
	at, place := 0, make([]int, rank)
	for i := range out.Data {
		out.Data[i] = t.Data[at]
		for d := rank - 1; d >= 0; d-- {
			at += strides[order[d]]
			if place[d]++; place[d] < out.Shape[d] {
				break
			}
			at -= strides[order[d]] * place[d]
			place[d] = 0
		}
	}
	return out
}
