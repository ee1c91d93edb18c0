package kernel

import "fmt"

// The depthwise convolution (Howard et al., 2017, with a multiplier of 1): each
// channel is convolved with its own kernel. OutChannels is InChannels, C;
// weights are [KernelH, KernelW, C].

// DepthwiseConv2D computes Y[N,OutH,OutW,C] from X[N,H,W,C], Weight[KH,KW,C]
// and an optional Bias[C].
//
// Order: one FMA chain per element over ascending (kh, kw), started from Bias[c]
// or +0; positions in the padding take part as x = +0.
type DepthwiseConv2D struct {
	ConvShape
	X, Weight, Bias, Y Span
}

// DepthwiseConv2DGradInput computes DX[N,H,W,C] from DY[N,OutH,OutW,C] and
// Weight.
//
// Order: one FMA chain per element over ascending (kh, kw), started from +0;
// (kh, kw) whose output position does not exist or falls between strides takes
// part as dy = +0.
type DepthwiseConv2DGradInput struct {
	ConvShape
	DY, Weight, DX Span
}

// DepthwiseConv2DGradWeight computes DWeight[KH,KW,C] from X and DY.
//
// Order: one FMA chain per element over ascending (n, oh, ow), started from +0;
// positions in the padding take part as x = +0.
type DepthwiseConv2DGradWeight struct {
	ConvShape
	X, DY, DWeight Span
}

// Operation returns OpDepthwiseConv2D.
func (DepthwiseConv2D) Operation() Operation { return OpDepthwiseConv2D }

// Operation returns OpDepthwiseConv2DGradInput.
func (DepthwiseConv2DGradInput) Operation() Operation { return OpDepthwiseConv2DGradInput }

// Operation returns OpDepthwiseConv2DGradWeight.
func (DepthwiseConv2DGradWeight) Operation() Operation { return OpDepthwiseConv2DGradWeight }

// depthwiseWeights is the number of elements of a depthwise Weight.
func (s ConvShape) depthwiseWeights() int { return elements(s.KernelH, s.KernelW, s.InChannels) }

func (c DepthwiseConv2D) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "Weight", span: c.Weight, want: c.depthwiseWeights()},
		{field: "Bias", span: c.Bias, want: c.OutChannels, optional: true},
		{field: "Y", span: c.Y, want: c.outputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent,
// OutChannels is InChannels, the operands have the geometry's sizes, and Y
// overlaps none of them.
func (c DepthwiseConv2D) Validate() error {
	return validateDepthwise(OpDepthwiseConv2D, c.ConvShape, c.operands())
}

func (c DepthwiseConv2DGradInput) operands() []operand {
	return []operand{
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "Weight", span: c.Weight, want: c.depthwiseWeights()},
		{field: "DX", span: c.DX, want: c.inputs(), written: true},
	}
}

// Validate fails as DepthwiseConv2D's does, with DX in place of Y.
func (c DepthwiseConv2DGradInput) Validate() error {
	return validateDepthwise(OpDepthwiseConv2DGradInput, c.ConvShape, c.operands())
}

func (c DepthwiseConv2DGradWeight) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "DWeight", span: c.DWeight, want: c.depthwiseWeights(), written: true},
	}
}

// Validate fails as DepthwiseConv2D's does, with DWeight in place of Y.
func (c DepthwiseConv2DGradWeight) Validate() error {
	return validateDepthwise(OpDepthwiseConv2DGradWeight, c.ConvShape, c.operands())
}

// validateDepthwise is validateImages with as many channels out as in.
func validateDepthwise(op Operation, s ConvShape, operands []operand) error {
	if s.OutChannels != s.InChannels {
		return &InstructionError{op, "OutChannels", fmt.Sprint(s.OutChannels), fmt.Sprintf("InChannels, %d", s.InChannels)}
	}
	return validateImages(op, s, false, operands)
}
