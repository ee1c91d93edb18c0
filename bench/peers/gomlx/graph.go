package main

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/ml/layers/activations"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"

	"reprise/bench/internal/wire"
)

// reordered returns a parameter in GoMLX's order: a linear layer's weight
// [units, in] as [in, units], a convolution's [O,KH,KW,I] as [KH,KW,I,O]. Both
// are a transposition of units and the rest.
func reordered(p wire.Tensor) wire.Tensor {
	if len(p.Shape) == 1 {
		return p
	}
	units := p.Shape[0]
	rest := len(p.Data) / units
	out := wire.Tensor{Name: p.Name, Data: make([]float32, len(p.Data))}
	out.Shape = append(append(out.Shape, p.Shape[1:]...), units)
	for u := range units {
		for r := range rest {
			out.Data[r*units+u] = p.Data[u*rest+r]
		}
	}
	return out
}

// step is a training step as a graph. Inputs: x, y, the step's number from 1,
// then the state. Outputs: the loss, then the new state.
func (t *trainer) step(inputs []*Node) []*Node {
	x, y, number, state := inputs[0], inputs[1], inputs[2], inputs[3:]
	n := len(t.params)
	weights := state[:n]
	logits := forward(x, weights)
	loss := ReduceAllMean(losses.SparseCategoricalCrossEntropyLogits(
		[]*Node{InsertAxes(y, -1)}, []*Node{logits}))
	gradients := Gradient(loss, weights...)

	out := make([]*Node, 1+3*n)
	out[0] = loss
	for i, g := range gradients {
		m := Add(MulScalar(state[n+i], 0.9), MulScalar(g, 0.1))
		v := Add(MulScalar(state[2*n+i], 0.999), MulScalar(Square(g), 0.001))
		unbiased := func(moment *Node, beta float32) *Node {
			return Div(moment, OneMinus(Pow(Scalar(x.Graph(), x.DType(), beta), number)))
		}
		change := Div(unbiased(m, 0.9), AddScalar(Sqrt(unbiased(v, 0.999)), 1e-8))
		out[1+i] = Sub(weights[i], MulScalar(change, float64(t.file.LearningRate)))
		out[1+n+i], out[1+2*n+i] = m, v
	}
	return out
}

// forward applies the layers implied by the weights' shapes: a convolution for a
// kernel of four axes, a linear layer for two; a relu after all but the last
// layer, and a pooling after each convolution.
func forward(x *Node, weights []*Node) *Node {
	for i := 0; i < len(weights); i += 2 {
		w, b := weights[i], weights[i+1]
		if w.Rank() == 4 {
			x = Convolve(x, w).Strides(1).PadSame().Done()
			x = activations.Relu(Add(x, Reshape(b, 1, 1, 1, -1)))
			x = maxPool(x)
			continue
		}
		if x.Rank() > 2 {
			x = Reshape(x, x.Shape().Dimensions[0], -1)
		}
		x = Add(DotGeneral(x, []int{1}, nil, w, []int{0}, nil), InsertAxes(b, 0))
		if i+2 < len(weights) {
			x = activations.Relu(x)
		}
	}
	return x
}

// maxPool is the 2x2 maximum. The gradient of GoMLX's MaxPool needs an operation
// that its pure-Go backend lacks (SelectAndScatterMax), so this is a maximum
// over axes instead.
func maxPool(x *Node) *Node {
	d := x.Shape().Dimensions
	return ReduceMax(Reshape(x, d[0], d[1]/2, 2, d[2]/2, 2, d[3]), 2, 4)
}
