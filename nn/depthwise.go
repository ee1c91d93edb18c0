package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// DepthwiseConv2D convolves each channel of an image [H,W,C] with its own
// kernel. Its parameters are "weight" [KernelH, KernelW, C] and "bias" [C].
type DepthwiseConv2D struct {
	Kernel Size
	// Stride is 1x1 by default.
	Stride  Size
	Padding Padding
	// NoBias omits the bias: "bias": false in JSON.
	NoBias bool
}

// Type returns "depthwise_conv2d".
func (DepthwiseConv2D) Type() string { return "depthwise_conv2d" }

func (l DepthwiseConv2D) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

// dense is the convolution of the same geometry over all channels.
func (l DepthwiseConv2D) dense(channels int) Conv2D {
	return Conv2D{Channels: channels, Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding}
}

// Geometry returns the layer's sizes, those that it leaves to the defaults included.
func (l DepthwiseConv2D) Geometry() Geometry { return l.dense(1).Geometry() }

func (l DepthwiseConv2D) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkImage(l.Type(), in); err != nil {
		return nil, err
	}
	out, err := l.dense(in[2]).output(in)
	if err != nil {
		err.Layer = l.Type()
	}
	return out, err
}

func (l DepthwiseConv2D) weights(in tensor.Shape) []weight {
	w := []weight{{name: "weight", shape: tensor.Shape{l.Kernel.H, l.Kernel.W, in[2]}, fanIn: l.Kernel.H * l.Kernel.W}}
	if !l.NoBias {
		w = append(w, weight{name: "bias", shape: tensor.Shape{in[2]}})
	}
	return w
}

func (DepthwiseConv2D) needs(tensor.Shape) needs { return needs{x: true} }

func (l DepthwiseConv2D) shape(o operands) kernel.ConvShape {
	d := l.dense(o.in[2])
	return convShape(o, d.Kernel, d.stride(), d.pad())
}

func (l DepthwiseConv2D) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.DepthwiseConv2D{ConvShape: l.shape(o), X: o.x, Weight: o.param(0), Bias: o.param(1), Y: o.y})
}

func (l DepthwiseConv2D) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	shape := l.shape(o)
	dst = append(dst, kernel.DepthwiseConv2DGradWeight{ConvShape: shape, X: o.x, DY: o.dy, DWeight: o.grad(0)})
	if !l.NoBias {
		dst = append(dst, kernel.SumRows{X: o.dy, Out: o.grad(1), M: o.rows * o.out[0] * o.out[1], N: o.out[2]})
	}
	if !o.dx.Empty() {
		dst = append(dst, kernel.DepthwiseConv2DGradInput{ConvShape: shape, DY: o.dy, Weight: o.param(0), DX: o.dx})
	}
	return dst
}
