package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// normEpsilon is what every normalisation adds to the variance.
const normEpsilon = 1e-5

// batchNormMomentum is the weight of a step's statistics in the running
// averages.
const batchNormMomentum = 0.1

// LayerNorm normalises the last dimension of each sample, row by row. Its
// parameters are "weight" and "bias".
type LayerNorm struct{}

// RMSNorm divides each row of the last dimension by its root mean square. Its
// parameter is "weight".
type RMSNorm struct{}

// BatchNorm normalises each channel, the last dimension, over the rows of a
// shard and all other dimensions. Its parameters are "weight" and "bias"; its
// statistics "running_mean" and "running_var" are running averages with momentum
// 0.1, which evaluation normalises with. They are part of a model's state.
type BatchNorm struct{}

// Type returns "layer_norm".
func (LayerNorm) Type() string { return "layer_norm" }

// Type returns "rms_norm".
func (RMSNorm) Type() string { return "rms_norm" }

// Type returns "batch_norm".
func (BatchNorm) Type() string { return "batch_norm" }

func (l LayerNorm) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }
func (l RMSNorm) build(b *builder, in int) (int, *LayerError)   { return b.leaf(l, in) }

func (l BatchNorm) build(b *builder, in int) (int, *LayerError) {
	if err := b.refuseText(l.Type(), in); err != nil {
		return 0, err
	}
	return b.leaf(l, in)
}

func (LayerNorm) output(in tensor.Shape) (tensor.Shape, *LayerError) { return in, nil }
func (RMSNorm) output(in tensor.Shape) (tensor.Shape, *LayerError)   { return in, nil }
func (BatchNorm) output(in tensor.Shape) (tensor.Shape, *LayerError) { return in, nil }

// Normalization says over how many values a layer normalises.
type Normalization struct {
	// Layer is the index of the architecture's layer that it is, or is part of.
	Layer int
	// Type is its type, such as "batch_norm".
	Type string
	// Values is the number of values that one mean and one variance are of: of one
	// sample for batch_norm, which takes those of all samples of a shard together.
	Values int
}

// Normalizations lists the normalisations of the architecture, those within other
// layers included. Over a single value each of them gives the same for every
// sample, and nothing before it learns.
func (a Architecture) Normalizations() ([]Normalization, error) {
	g, err := a.build()
	if err != nil {
		return nil, err
	}
	var list []Normalization
	for _, n := range g.nodes {
		in := g.values[n.inputs[0]]
		switch l := n.op.(type) {
		case BatchNorm:
			list = append(list, Normalization{n.layer, l.Type(), rowsOf(in)})
		case LayerNorm:
			list = append(list, Normalization{n.layer, l.Type(), in[len(in)-1]})
		case RMSNorm:
			list = append(list, Normalization{n.layer, l.Type(), in[len(in)-1]})
		}
	}
	return list, nil
}

// scale and offset are the parameters of a normalisation over in's last
// dimension.
func scale(in tensor.Shape) weight {
	return weight{name: "weight", shape: tensor.Shape{in[len(in)-1]}, initial: constant(1)}
}

func offset(in tensor.Shape) weight {
	return weight{name: "bias", shape: tensor.Shape{in[len(in)-1]}}
}

func (LayerNorm) weights(in tensor.Shape) []weight { return []weight{scale(in), offset(in)} }
func (RMSNorm) weights(in tensor.Shape) []weight   { return []weight{scale(in)} }

func (BatchNorm) weights(in tensor.Shape) []weight {
	channels := tensor.Shape{in[len(in)-1]}
	return []weight{
		scale(in), offset(in),
		{name: "running_mean", shape: channels, statistic: true},
		{name: "running_var", shape: channels, statistic: true, initial: constant(1)},
	}
}

// rowsOf returns the rows of a sample for a normalisation of the last dimension.
func rowsOf(in tensor.Shape) int { return elements(in) / in[len(in)-1] }

func (LayerNorm) needs(in tensor.Shape) needs {
	return needs{x: true, saved: []int{rowsOf(in), rowsOf(in)}, gradInPlace: true, alwaysDX: true}
}

func (RMSNorm) needs(in tensor.Shape) needs {
	return needs{x: true, saved: []int{rowsOf(in)}, gradInPlace: true, alwaysDX: true}
}

func (BatchNorm) needs(in tensor.Shape) needs {
	n := in[len(in)-1]
	return needs{x: true, savedOnce: []int{n, n}, gradInPlace: true, alwaysDX: true}
}

func (LayerNorm) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	return append(dst, kernel.LayerNorm{
		X: o.x, Gain: o.param(0), Bias: o.param(1), Y: o.y, Mean: o.saved[0], InvStd: o.saved[1],
		M: m, N: n, Epsilon: normEpsilon,
	})
}

func (LayerNorm) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	return append(dst, kernel.LayerNormGrad{
		X: o.x, Gain: o.param(0), Mean: o.saved[0], InvStd: o.saved[1], DY: o.dy,
		DX: o.dx, DGain: o.grad(0), DBias: o.grad(1), M: m, N: n,
	})
}

func (RMSNorm) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	return append(dst, kernel.RMSNorm{
		X: o.x, Gain: o.param(0), Y: o.y, InvStd: o.saved[0], M: m, N: n, Epsilon: normEpsilon,
	})
}

func (RMSNorm) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	return append(dst, kernel.RMSNormGrad{
		X: o.x, Gain: o.param(0), InvStd: o.saved[0], DY: o.dy,
		DX: o.dx, DGain: o.grad(0), M: m, N: n,
	})
}

// forward stores the step's statistics where the statistics' gradients would
// be: there they are summed with those of other shards, and the update averages
// them in.
func (BatchNorm) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	if !o.training {
		return append(dst, kernel.BatchNormApply{
			X: o.x, Mean: o.param(2), Var: o.param(3), Gain: o.param(0), Bias: o.param(1), Y: o.y,
			M: m, N: n, Epsilon: normEpsilon,
		})
	}
	return append(dst, kernel.BatchNorm{
		X: o.x, Gain: o.param(0), Bias: o.param(1), Y: o.y, Mean: o.saved[0], InvStd: o.saved[1],
		BatchMean: o.grad(2), BatchVar: o.grad(3), M: m, N: n, Epsilon: normEpsilon,
	})
}

func (BatchNorm) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	m, n := o.matrix(o.in)
	return append(dst, kernel.BatchNormGrad{
		X: o.x, Gain: o.param(0), Mean: o.saved[0], InvStd: o.saved[1], DY: o.dy,
		DX: o.dx, DGain: o.grad(0), DBias: o.grad(1), M: m, N: n,
	})
}
