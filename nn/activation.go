package nn

import (
	"slices"
	"strconv"
	"strings"

	"reprise/kernel"
	"reprise/tensor"
)

// Activation applies a function to each value.
type Activation struct {
	Kind kernel.ActivationKind
}

// activationKinds are the kinds that a layer may use.
func activationKinds() []kernel.ActivationKind {
	return []kernel.ActivationKind{kernel.ReLU, kernel.GELU, kernel.SiLU, kernel.Tanh, kernel.Sigmoid}
}

// Type returns "activation".
func (Activation) Type() string { return "activation" }

func (l Activation) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

func (l Activation) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	kinds := activationKinds()
	if slices.Contains(kinds, l.Kind) {
		return in, nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return nil, &LayerError{Layer: l.Type(), Field: "kind", Got: strconv.Quote(string(l.Kind)),
		Want: "one of " + strings.Join(names, ", "), Fix: "correct the name"}
}

func (Activation) weights(tensor.Shape) []weight { return nil }

func (l Activation) needs(tensor.Shape) needs {
	return needs{x: l.readsInput(), y: true, inPlace: l.Kind == kernel.ReLU, gradInPlace: true}
}

// readsInput reports whether the derivative cannot be computed from the output.
func (l Activation) readsInput() bool { return l.Kind == kernel.GELU || l.Kind == kernel.SiLU }

func (l Activation) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.Activation{Kind: l.Kind, X: o.x, Y: o.y})
}

func (l Activation) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	grad := kernel.ActivationGrad{Kind: l.Kind, Y: o.y, DY: o.dy, DX: o.dx}
	if l.readsInput() {
		grad.X = o.x
	}
	return append(dst, grad)
}
