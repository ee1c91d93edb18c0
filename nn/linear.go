package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// Linear computes y[Units] = W[Units,F] x[F] + b[Units] for each row; samples
// [T,F] have T rows. Its parameters are "weight", stored [Units, F] as PyTorch
// stores it, and "bias".
type Linear struct {
	Units int
	// NoBias omits the bias: "bias": false in JSON.
	NoBias bool
}

// Type returns "linear".
func (Linear) Type() string { return "linear" }

func (l Linear) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

func (l Linear) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkUnits(l.Type(), "units", l.Units); err != nil {
		return nil, err
	}
	switch len(in) {
	case 1:
		return tensor.Shape{l.Units}, nil
	case 2:
		return tensor.Shape{in[0], l.Units}, nil
	}
	return nil, &LayerError{Layer: l.Type(), Field: "input", Got: in.String(), Want: "one dimension",
		Fix: `add {"type": "flatten"} before it`}
}

func (l Linear) weights(in tensor.Shape) []weight {
	features := in[len(in)-1]
	w := []weight{{name: "weight", shape: tensor.Shape{l.Units, features}, fanIn: features}}
	if !l.NoBias {
		w = append(w, weight{name: "bias", shape: tensor.Shape{l.Units}})
	}
	return w
}

func (Linear) needs(tensor.Shape) needs { return needs{x: true} }

func (l Linear) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, features := o.matrix(o.in)
	return append(dst, kernel.MatMul{
		A: o.x, B: o.param(0), C: o.y, Bias: o.param(1), TransB: true,
		M: m, N: l.Units, K: features,
	})
}

func (l Linear) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, features := o.matrix(o.in)
	dst = append(dst, kernel.MatMul{
		A: o.dy, B: o.x, C: o.grad(0), TransA: true,
		M: l.Units, N: features, K: m,
	})
	if !l.NoBias {
		dst = append(dst, kernel.SumRows{X: o.dy, Out: o.grad(1), M: m, N: l.Units})
	}
	if !o.dx.Empty() {
		dst = append(dst, kernel.MatMul{
			A: o.dy, B: o.param(0), C: o.dx,
			M: m, N: features, K: l.Units,
		})
	}
	return dst
}
