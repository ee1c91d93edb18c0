package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// Flatten turns each sample into a row, in row-major order. It computes
// nothing.
type Flatten struct{}

// Tokens turns an image into a sequence: the pixels of [H,W,C] become H*W
// tokens of C features, in row-major order. It computes nothing.
type Tokens struct{}

// GlobalAvgPool takes the mean of an image [H,W,C] over its pixels, or of a
// sequence [T,C] over its tokens: one value for each channel.
type GlobalAvgPool struct{}

// Type returns "flatten".
func (Flatten) Type() string { return "flatten" }

// Type returns "tokens".
func (Tokens) Type() string { return "tokens" }

// Type returns "global_avg_pool".
func (GlobalAvgPool) Type() string { return "global_avg_pool" }

func (l Flatten) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }
func (l Tokens) build(b *builder, in int) (int, *LayerError)  { return b.leaf(l, in) }

func (l GlobalAvgPool) build(b *builder, in int) (int, *LayerError) {
	if b.ofText(in) {
		return b.add(node{op: textMean{}, inputs: b.withText(in)}, tensor.Shape{b.values[in][1]}), nil
	}
	return b.leaf(l, in)
}

func (Flatten) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	return tensor.Shape{elements(in)}, nil
}

func (l Tokens) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkImage(l.Type(), in); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0] * in[1], in[2]}, nil
}

func (l GlobalAvgPool) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if len(in) == 2 {
		return tensor.Shape{in[1]}, nil
	}
	if err := checkImage(l.Type(), in); err != nil {
		return nil, err
	}
	return tensor.Shape{in[2]}, nil
}

func (Flatten) weights(tensor.Shape) []weight       { return nil }
func (Tokens) weights(tensor.Shape) []weight        { return nil }
func (GlobalAvgPool) weights(tensor.Shape) []weight { return nil }

func (Flatten) needs(tensor.Shape) needs       { return needs{alias: true} }
func (Tokens) needs(tensor.Shape) needs        { return needs{alias: true} }
func (GlobalAvgPool) needs(tensor.Shape) needs { return needs{} }

func (Flatten) forward(dst []kernel.Instruction, _ operands) []kernel.Instruction  { return dst }
func (Flatten) backward(dst []kernel.Instruction, _ operands) []kernel.Instruction { return dst }
func (Tokens) forward(dst []kernel.Instruction, _ operands) []kernel.Instruction   { return dst }
func (Tokens) backward(dst []kernel.Instruction, _ operands) []kernel.Instruction  { return dst }

// whole is the geometry of a window that covers all of the input.
func (GlobalAvgPool) whole(o operands) kernel.ConvShape {
	c := o.in[len(o.in)-1]
	h, w := elements(o.in)/c, 1
	if len(o.in) == 3 {
		h, w = o.in[0], o.in[1]
	}
	return kernel.ConvShape{
		N: o.rows, H: h, W: w, InChannels: c, OutH: 1, OutW: 1, OutChannels: c,
		KernelH: h, KernelW: w, StrideH: 1, StrideW: 1,
	}
}

func (l GlobalAvgPool) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.AvgPool2D{ConvShape: l.whole(o), X: o.x, Y: o.y})
}

func (l GlobalAvgPool) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, kernel.AvgPool2DGrad{ConvShape: l.whole(o), DY: o.dy, DX: o.dx})
}
