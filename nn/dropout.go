package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// Dropout zeroes some of the values in training and scales up the others; in
// evaluation it does nothing. Which values are zeroed is a function of the
// seed, the step, the layer and the value's position in the batch.
type Dropout struct {
	// Rate is the probability that a value is zeroed, in [0, 1).
	Rate float32
}

// Type returns "dropout".
func (Dropout) Type() string { return "dropout" }

func (l Dropout) build(b *builder, in int) (int, *LayerError) {
	if !(l.Rate >= 0 && l.Rate < 1) {
		return 0, &LayerError{Layer: l.Type(), Field: "rate", Got: formatFloat(l.Rate), Want: "a number in [0, 1)", Fix: "use a rate such as 0.1"}
	}
	if l.Rate == 0 {
		return in, nil
	}
	return b.add(node{op: dropping{rate: l.Rate, stream: len(b.nodes)}, inputs: []int{in}}, b.values[in]), nil
}

// dropping is the operation of a Dropout; stream distinguishes it from others.
type dropping struct {
	rate   float32
	stream int
}

func (dropping) needs(tensor.Shape) needs {
	return needs{evalAlias: true, inPlace: true, gradInPlace: true}
}

func (d dropping) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if !o.training {
		return dst
	}
	return append(dst, d.mask(o, o.x, o.y))
}

func (d dropping) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, d.mask(o, o.dy, o.dx))
}

func (d dropping) mask(o operands, x, y kernel.Span) kernel.Instruction {
	return kernel.Dropout{X: x, Y: y, Rate: d.rate, Stream: d.stream, First: o.first * elements(o.in)}
}
