package nn

import (
	"fmt"
	"math"
	"strconv"

	"reprise/kernel"
	"reprise/tensor"
)

// Limits of an architecture. They are far above anything used in practice; they
// keep every size, offset and index in range.
const (
	// MaxLayers bounds the number of layers.
	MaxLayers = 1024
	// MaxUnits bounds a layer's units or channels.
	MaxUnits = 1 << 24
	// MaxKernel bounds the height and width of a kernel and a stride.
	MaxKernel = 1 << 16
	// MaxElements bounds the values of one sample between two layers, of one
	// parameter, and of a whole batch between two layers: kernels index them
	// with 32 bits.
	MaxElements = math.MaxInt32
)

// Layer is one of the layers of this package. The set is closed.
//
// The JSON form is an object whose "type" is the layer's type and whose other
// keys are its fields; fields at their default may be omitted, and are omitted
// when a layer is encoded:
//
//	{"type": "linear", "units": 128, "bias": true}
//	{"type": "conv2d", "channels": 8, "kernel": 3, "stride": 1, "padding": "same", "bias": true}
//	{"type": "depthwise_conv2d", "kernel": 3, "padding": "same"}
//	{"type": "max_pool2d", "kernel": 2, "stride": 2}
//	{"type": "avg_pool2d", "kernel": [2, 4], "stride": [2, 4]}
//	{"type": "global_avg_pool"}
//	{"type": "activation", "kind": "relu"}
//	{"type": "batch_norm"}, {"type": "layer_norm"}, {"type": "rms_norm"}
//	{"type": "dropout", "rate": 0.1}
//	{"type": "flatten"}, {"type": "tokens"}
//	{"type": "embedding", "vocabulary": 256, "width": 128}
//	{"type": "position"}
//	{"type": "attention", "heads": 4, "causal": true}
//	{"type": "transformer_block", "heads": 4, "causal": true, "dropout": 0.1}
//	{"type": "residual", "body": [...], "shortcut": [...]}
//	{"type": "columns", "parts": [{"columns": 64, "layers": [...]}, {"columns": 5}]}
//
// Sizes are one number for both directions or [height, width]; "padding" also
// takes "same" and "valid". Unknown types and keys are refused.
type Layer interface {
	// Type returns the layer's type as it appears in the JSON form.
	Type() string

	// build appends the layer's operations to the graph, starting from the
	// value in, and returns their final value, or a *LayerError without its
	// index.
	build(b *builder, in int) (int, *LayerError)
}

// weight describes one parameter of a layer.
type weight struct {
	name  string // such as "weight" or "bias"
	shape tensor.Shape
	// fanIn is the number of inputs that contribute to one output; it
	// determines the initial values. If it is 0, initial does.
	fanIn     int
	initial   initial
	statistic bool
}

// Size is a height and a width. The zero Size means the field's default.
type Size struct{ H, W int }

// Square returns a Size with n in both directions.
func Square(n int) Size { return Size{H: n, W: n} }

// String formats the size as 3x3.
func (s Size) String() string { return strconv.Itoa(s.H) + "x" + strconv.Itoa(s.W) }

// or returns the size, or the default if it is zero.
func (s Size) or(def Size) Size {
	if s == (Size{}) {
		return def
	}
	return s
}

// check returns an error unless both directions are in [1, MaxKernel].
func (s Size) check(layer, field string) *LayerError {
	if s.H >= 1 && s.W >= 1 && s.H <= MaxKernel && s.W <= MaxKernel {
		return nil
	}
	return &LayerError{Layer: layer, Field: field, Got: s.String(),
		Want: fmt.Sprintf("between 1 and %d in both directions", MaxKernel), Fix: "use a size such as 3 or [3, 5]"}
}

// checkUnits returns an error unless n is in [1, MaxUnits].
func checkUnits(layer, field string, n int) *LayerError {
	if n >= 1 && n <= MaxUnits {
		return nil
	}
	return &LayerError{Layer: layer, Field: field, Got: strconv.Itoa(n),
		Want: fmt.Sprintf("between 1 and %d", MaxUnits), Fix: "say how many outputs the layer has"}
}

// checkImage returns an error unless in is [H, W, C].
func checkImage(layer string, in tensor.Shape) *LayerError {
	if len(in) == 3 {
		return nil
	}
	fix := "put it before the flatten layer"
	if len(in) == 1 {
		fix = "put it before any flatten or linear layer, on images"
	}
	return &LayerError{Layer: layer, Field: "input", Got: in.String(), Want: "an image [height width channels]", Fix: fix}
}

// window returns the output height and width of a kernel that slides over an
// image, or an error if it does not fit.
func window(layer string, in tensor.Shape, kernelSize, stride, pad Size) (Size, *LayerError) {
	padded := Size{H: in[0] + 2*pad.H, W: in[1] + 2*pad.W}
	if kernelSize.H > padded.H || kernelSize.W > padded.W {
		return Size{}, &LayerError{Layer: layer, Field: "kernel", Got: kernelSize.String(),
			Want: fmt.Sprintf("at most %v, what the input %v has with its padding", padded, in),
			Fix:  "use a smaller kernel, or fewer layers that shrink the image before it"}
	}
	return Size{H: (padded.H-kernelSize.H)/stride.H + 1, W: (padded.W-kernelSize.W)/stride.W + 1}, nil
}

// convShape assembles the geometry that the kernels take.
func convShape(o operands, kernelSize, stride, pad Size) kernel.ConvShape {
	return kernel.ConvShape{
		N: o.rows, H: o.in[0], W: o.in[1], InChannels: o.in[2],
		OutH: o.out[0], OutW: o.out[1], OutChannels: o.out[2],
		KernelH: kernelSize.H, KernelW: kernelSize.W,
		StrideH: stride.H, StrideW: stride.W,
		PadH: pad.H, PadW: pad.W,
	}
}

// elements returns the number of values in a shape that has been checked.
func elements(s tensor.Shape) int {
	n, err := s.NumElements()
	if err != nil {
		panic("nn: unchecked shape: " + err.Error())
	}
	return n
}
