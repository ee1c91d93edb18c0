package nn

import (
	"fmt"

	"reprise/kernel"
	"reprise/tensor"
)

// Conv2D slides Channels kernels over an image [H,W,C]. Its parameters are
// "weight" [Channels, KernelH, KernelW, C] and "bias" [Channels].
type Conv2D struct {
	Channels int
	Kernel   Size
	// Stride is 1x1 by default.
	Stride  Size
	Padding Padding
	// NoBias omits the bias: "bias": false in JSON.
	NoBias bool
}

// Padding is the number of zeros on each side of an image, top and bottom, left
// and right alike. The zero Padding is "valid": none.
type Padding struct {
	// Same keeps the image's size; it needs an odd kernel and a stride of 1. H
	// and W are zero then.
	Same bool
	H, W int
}

// Same is the Padding that keeps an image's size.
func Same() Padding { return Padding{Same: true} }

// String formats the padding as "same", "valid" or 1x1.
func (p Padding) String() string {
	switch {
	case p.Same:
		return "same"
	case p == Padding{}:
		return "valid"
	}
	return Size{H: p.H, W: p.W}.String()
}

// Type returns "conv2d".
func (Conv2D) Type() string { return "conv2d" }

func (l Conv2D) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

func (l Conv2D) stride() Size { return l.Stride.or(Square(1)) }

func (l Conv2D) pad() Size {
	if l.Padding.Same {
		return Size{H: l.Kernel.H / 2, W: l.Kernel.W / 2}
	}
	return Size{H: l.Padding.H, W: l.Padding.W}
}

// Geometry is how a kernel moves over an image.
type Geometry struct{ Kernel, Stride, Padding Size }

// Geometry returns the layer's sizes, those that it leaves to the defaults included.
func (l Conv2D) Geometry() Geometry { return Geometry{l.Kernel, l.stride(), l.pad()} }

func (l Conv2D) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkUnits(l.Type(), "channels", l.Channels); err != nil {
		return nil, err
	}
	if err := l.Kernel.check(l.Type(), "kernel"); err != nil {
		return nil, err
	}
	if err := l.stride().check(l.Type(), "stride"); err != nil {
		return nil, err
	}
	if err := l.checkPadding(); err != nil {
		return nil, err
	}
	if err := checkImage(l.Type(), in); err != nil {
		return nil, err
	}
	size, err := window(l.Type(), in, l.Kernel, l.stride(), l.pad())
	if err != nil {
		return nil, err
	}
	return tensor.Shape{size.H, size.W, l.Channels}, nil
}

func (l Conv2D) checkPadding() *LayerError {
	bad := func(want, fix string) *LayerError {
		return &LayerError{Layer: l.Type(), Field: "padding", Got: l.Padding.String(), Want: want, Fix: fix}
	}
	p := l.Padding
	switch {
	case p.Same && (p.H != 0 || p.W != 0):
		return bad("either same or a size", "leave the size at zero")
	case p.Same && l.stride() != Square(1):
		return bad(fmt.Sprintf("a size, as the stride is %v", l.stride()), `use a stride of 1, or a number such as 1 instead of "same"`)
	case p.Same && (l.Kernel.H%2 == 0 || l.Kernel.W%2 == 0):
		return bad(fmt.Sprintf("a size, as the kernel is %v", l.Kernel), `use an odd kernel, or a number instead of "same"`)
	case p.H < 0 || p.W < 0:
		return bad("at least 0", `use 0, "valid" or "same"`)
	case !p.Same && (p.H >= l.Kernel.H || p.W >= l.Kernel.W):
		return bad(fmt.Sprintf("less than the kernel of %v", l.Kernel), "use a smaller padding; with more, some windows see nothing but zeros")
	}
	return nil
}

func (l Conv2D) weights(in tensor.Shape) []weight {
	shape := tensor.Shape{l.Channels, l.Kernel.H, l.Kernel.W, in[2]}
	w := []weight{{name: "weight", shape: shape, fanIn: l.Kernel.H * l.Kernel.W * in[2]}}
	if !l.NoBias {
		w = append(w, weight{name: "bias", shape: tensor.Shape{l.Channels}})
	}
	return w
}

func (Conv2D) needs(tensor.Shape) needs { return needs{x: true} }

func (l Conv2D) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.Conv2D{
		ConvShape: convShape(o, l.Kernel, l.stride(), l.pad()),
		X:         o.x, Weight: o.param(0), Bias: o.param(1), Y: o.y,
	})
}

func (l Conv2D) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	shape := convShape(o, l.Kernel, l.stride(), l.pad())
	dst = append(dst, kernel.Conv2DGradWeight{ConvShape: shape, X: o.x, DY: o.dy, DWeight: o.grad(0)})
	if !l.NoBias {
		dst = append(dst, kernel.SumRows{X: o.dy, Out: o.grad(1), M: o.rows * o.out[0] * o.out[1], N: l.Channels})
	}
	if !o.dx.Empty() {
		dst = append(dst, kernel.Conv2DGradInput{ConvShape: shape, DY: o.dy, Weight: o.param(0), DX: o.dx})
	}
	return dst
}
