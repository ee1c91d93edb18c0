package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// Linear computes y[Units] = W[Units,F] x[F] + b[Units] for each row. Its
// parameters are "weight", stored [Units, F] as PyTorch stores it, and "bias".
type Linear struct {
	Units int
	// NoBias leaves the bias out: "bias": false in JSON.
	NoBias bool
}

// Type returns "linear".
func (Linear) Type() string { return "linear" }

func (l Linear) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkUnits(l.Type(), "units", l.Units); err != nil {
		return nil, err
	}
	if len(in) != 1 {
		return nil, &LayerError{Layer: l.Type(), Field: "input", Got: in.String(), Want: "one dimension",
			Fix: `add {"type": "flatten"} before it`}
	}
	return tensor.Shape{l.Units}, nil
}

func (l Linear) weights(in tensor.Shape) []weight {
	w := []weight{{name: "weight", shape: tensor.Shape{l.Units, in[0]}, fanIn: in[0]}}
	if !l.NoBias {
		w = append(w, weight{name: "bias", shape: tensor.Shape{l.Units}})
	}
	return w
}

func (Linear) needs(tensor.Shape) needs { return needs{x: true} }

func (l Linear) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.MatMul{
		A: o.x, B: o.weight, C: o.y, Bias: o.bias, TransB: true,
		M: o.rows, N: l.Units, K: o.in[0],
	})
}

func (l Linear) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	dst = append(dst, kernel.MatMul{
		A: o.dy, B: o.x, C: o.gradWeight, TransA: true,
		M: l.Units, N: o.in[0], K: o.rows,
	})
	if !l.NoBias {
		dst = append(dst, kernel.SumRows{X: o.dy, Out: o.gradBias, M: o.rows, N: l.Units})
	}
	if !o.dx.Empty() {
		dst = append(dst, kernel.MatMul{
			A: o.dy, B: o.weight, C: o.dx,
			M: o.rows, N: o.in[0], K: l.Units,
		})
	}
	return dst
}
