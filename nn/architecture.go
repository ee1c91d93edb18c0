package nn

import (
	"fmt"

	"reprise/kernel"
	"reprise/tensor"
)

// Architecture is a chain of layers. It is a value: nobody writes to it once it
// is built.
type Architecture struct {
	// Input is the shape of one sample: [features], or [height width channels].
	Input  tensor.Shape
	Layers Layers
}

// Layers is a list of layers with a JSON form; the first is next to the input.
type Layers []Layer

// ParameterSpec describes a parameter that an architecture has.
type ParameterSpec struct {
	// Name is "layers.<index>.weight" or "layers.<index>.bias".
	Name  string
	Shape tensor.Shape
	// Layer is the index of the layer it belongs to.
	Layer int
	// FanIn is the number of inputs that meet in one output of the layer; 0 for
	// a bias.
	FanIn int
}

// MLP returns a multilayer perceptron: images are flattened, then comes a
// linear layer and the activation for each hidden size, then a linear layer
// with an output for each class. The empty activation is relu. The result is
// to be validated like any other.
func MLP(input tensor.Shape, hidden []int, activation kernel.ActivationKind, classes int) Architecture {
	a := Architecture{Input: input.Clone()}
	if len(input) > 1 {
		a.Layers = append(a.Layers, Flatten{})
	}
	a.Layers = appendDense(a.Layers, hidden, activation, classes)
	return a
}

// CNN returns a convolutional network for images [height width channels]: for
// each entry of channels a 3x3 convolution that keeps the size, the activation
// and a 2x2 max pooling; then a flatten layer and what MLP has for hidden and
// classes. The empty activation is relu. The result is to be validated like
// any other.
func CNN(input tensor.Shape, channels, hidden []int, activation kernel.ActivationKind, classes int) Architecture {
	a := Architecture{Input: input.Clone()}
	for _, c := range channels {
		a.Layers = append(a.Layers,
			Conv2D{Channels: c, Kernel: Square(3), Padding: Same()},
			Activation{Kind: orReLU(activation)},
			MaxPool2D{Kernel: Square(2)})
	}
	a.Layers = append(a.Layers, Flatten{})
	a.Layers = appendDense(a.Layers, hidden, activation, classes)
	return a
}

func appendDense(layers Layers, hidden []int, activation kernel.ActivationKind, classes int) Layers {
	for _, units := range hidden {
		layers = append(layers, Linear{Units: units}, Activation{Kind: orReLU(activation)})
	}
	return append(layers, Linear{Units: classes})
}

func orReLU(kind kernel.ActivationKind) kernel.ActivationKind {
	if kind == "" {
		return kernel.ReLU
	}
	return kind
}

// Validate fails with a *LayerError where a value is out of range or two shapes
// do not meet.
func (a Architecture) Validate() error {
	_, err := a.shapes()
	return err
}

// Output returns the shape of one sample after the last layer. Errors are
// those of Validate.
func (a Architecture) Output() (tensor.Shape, error) {
	shapes, err := a.shapes()
	if err != nil {
		return nil, err
	}
	return shapes[len(shapes)-1].Clone(), nil
}

// Parameters lists the parameters, layer by layer, a layer's weight before its
// bias. Errors are those of Validate.
func (a Architecture) Parameters() ([]ParameterSpec, error) {
	shapes, err := a.shapes()
	if err != nil {
		return nil, err
	}
	var specs []ParameterSpec
	for i, l := range a.Layers {
		for _, w := range l.weights(shapes[i]) {
			specs = append(specs, ParameterSpec{
				Name: fmt.Sprintf("layers.%d.%s", i, w.name), Shape: w.shape, Layer: i, FanIn: w.fanIn,
			})
		}
	}
	return specs, nil
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
		count += elements(s.Shape) // at most 2*MaxLayers*MaxElements
	}
	return count, nil
}

// shapes returns the shape of a sample before each layer and after the last.
func (a Architecture) shapes() ([]tensor.Shape, error) {
	if err := a.checkInput(); err != nil {
		return nil, err
	}
	shapes := make([]tensor.Shape, 1, len(a.Layers)+1)
	shapes[0] = a.Input
	for i, l := range a.Layers {
		if l == nil {
			return nil, &LayerError{Index: i, Field: "type", Got: "missing", Fix: "say which layer it is"}
		}
		in := shapes[i]
		out, err := l.output(in)
		if err == nil {
			err = checkSizes(l, in, out)
		}
		if err != nil {
			err.Index = i
			return nil, err
		}
		shapes = append(shapes, out)
	}
	return shapes, nil
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

// checkSizes bounds what a layer gives out and what it holds.
func checkSizes(l Layer, in, out tensor.Shape) *LayerError {
	large := func(field string, s tensor.Shape) *LayerError {
		if n, err := s.NumElements(); err == nil && n <= MaxElements {
			return nil
		}
		return &LayerError{Layer: l.Type(), Field: field, Got: s.String(),
			Want: fmt.Sprintf("at most %d values", MaxElements), Fix: "use a smaller layer"}
	}
	if err := large("output", out); err != nil {
		return err
	}
	for _, w := range l.weights(in) {
		if err := large(w.name, w.shape); err != nil {
			return err
		}
	}
	return nil
}
