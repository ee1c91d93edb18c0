package nn

import (
	"fmt"

	"reprise/tensor"
)

// Architecture is a chain of layers. It is a value and must not be modified
// once it is built.
type Architecture struct {
	// Input is the shape of one sample: [features], or [height width channels].
	Input  tensor.Shape
	Layers Layers
}

// Layers is a list of layers with a JSON form; the first is next to the input.
type Layers []Layer

// ParameterSpec describes a parameter that an architecture has.
type ParameterSpec struct {
	// Name is of the form "layers.<index>.weight" or, in a layer that consists
	// of others, "layers.<index>.body.<index>.weight".
	Name  string
	Shape tensor.Shape
	// Layer is the index of the architecture's layer it belongs to.
	Layer int
	// FanIn is the number of inputs that contribute to one output of a linear
	// or convolutional layer; 0 for every other parameter.
	FanIn int
	// Statistic says that the parameter is a running average, such as
	// "running_mean", which no optimiser touches.
	Statistic bool

	initial initial
	frozen  bool // of a plan; see Freeze
}

// Validate fails with a *LayerError if a value is out of range or a layer does
// not fit the shape before it.
func (a Architecture) Validate() error {
	_, err := a.build()
	return err
}

// Output returns the shape of one sample after the last layer. Errors are
// those of Validate.
func (a Architecture) Output() (tensor.Shape, error) {
	g, err := a.build()
	if err != nil {
		return nil, err
	}
	return g.output().Clone(), nil
}

// Parameters lists the parameters, layer by layer, a layer's weight before its
// bias. Errors are those of Validate.
func (a Architecture) Parameters() ([]ParameterSpec, error) {
	g, err := a.build()
	if err != nil {
		return nil, err
	}
	return g.specs, nil
}

// ParameterCount returns the number of trainable values. Errors are those of
// Validate.
func (a Architecture) ParameterCount() (int, error) {
	specs, err := a.Parameters()
	if err != nil {
		return 0, err
	}
	count := 0
	for _, s := range specs {
		if !s.Statistic {
			count += elements(s.Shape) // at most a few times MaxLayers*MaxElements
		}
	}
	return count, nil
}

func (a Architecture) checkInput() error {
	bad := func(field, got, want, fix string) error {
		return &LayerError{Index: -1, Field: field, Got: got, Want: want, Fix: fix}
	}
	switch n := len(a.Layers); {
	case n == 0:
		return bad("layers", "empty", "at least one layer", "add a linear layer with an output for each class")
	case n > MaxLayers:
		return bad("layers", fmt.Sprintf("a list of %d", n), fmt.Sprintf("at most %d", MaxLayers), "use fewer layers")
	}
	n, err := a.Input.NumElements()
	if err != nil || len(a.Input) == 0 || n < 1 || n > MaxElements {
		return bad("input", a.Input.String(), fmt.Sprintf("positive dimensions with at most %d values", MaxElements),
			"use the shape of one sample of the data, such as [64] or [28 28 1]")
	}
	return nil
}
