package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// MaxPool2D takes the maximum of each window of an image [H,W,C], channel by
// channel. Rows and columns that do not fill a window are ignored.
type MaxPool2D struct {
	Kernel Size
	// Stride is the kernel's size by default.
	Stride Size
}

// AvgPool2D takes the mean of each window of an image [H,W,C], channel by
// channel. Rows and columns that do not fill a window are ignored.
type AvgPool2D struct {
	Kernel Size
	// Stride is the kernel's size by default.
	Stride Size
}

// Type returns "max_pool2d".
func (MaxPool2D) Type() string { return "max_pool2d" }

// Type returns "avg_pool2d".
func (AvgPool2D) Type() string { return "avg_pool2d" }

func (l MaxPool2D) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }
func (l AvgPool2D) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

func (l MaxPool2D) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	return poolOutput(l.Type(), in, l.Kernel, l.Stride)
}

func (l AvgPool2D) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	return poolOutput(l.Type(), in, l.Kernel, l.Stride)
}

func poolOutput(layer string, in tensor.Shape, kernelSize, stride Size) (tensor.Shape, *LayerError) {
	if err := kernelSize.check(layer, "kernel"); err != nil {
		return nil, err
	}
	if err := stride.or(kernelSize).check(layer, "stride"); err != nil {
		return nil, err
	}
	if err := checkImage(layer, in); err != nil {
		return nil, err
	}
	size, err := window(layer, in, kernelSize, stride.or(kernelSize), Size{})
	if err != nil {
		return nil, err
	}
	return tensor.Shape{size.H, size.W, in[2]}, nil
}

func (MaxPool2D) weights(tensor.Shape) []weight { return nil }
func (AvgPool2D) weights(tensor.Shape) []weight { return nil }

func (l MaxPool2D) needs(in tensor.Shape) needs {
	out, err := l.output(in)
	if err != nil {
		panic("nn: unchecked layer: " + err.Error())
	}
	return needs{saved: []int{elements(out)}}
}

func (AvgPool2D) needs(tensor.Shape) needs { return needs{} }

func (l MaxPool2D) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.MaxPool2D{
		ConvShape: convShape(o, l.Kernel, l.Stride.or(l.Kernel), Size{}),
		X:         o.x, Y: o.y, Index: o.saved[0],
	})
}

func (l MaxPool2D) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, kernel.MaxPool2DGrad{
		ConvShape: convShape(o, l.Kernel, l.Stride.or(l.Kernel), Size{}),
		DY:        o.dy, Index: o.saved[0], DX: o.dx,
	})
}

func (l AvgPool2D) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.AvgPool2D{
		ConvShape: convShape(o, l.Kernel, l.Stride.or(l.Kernel), Size{}),
		X:         o.x, Y: o.y,
	})
}

func (l AvgPool2D) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, kernel.AvgPool2DGrad{
		ConvShape: convShape(o, l.Kernel, l.Stride.or(l.Kernel), Size{}),
		DY:        o.dy, DX: o.dx,
	})
}
