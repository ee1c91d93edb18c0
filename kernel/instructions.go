package kernel

// The instructions. Arrays are row-major; images are NHWC; convolution weights
// are [OutChannels, KernelH, KernelW, InChannels]. Each kernel's order of
// summation is part of its meaning (docs/numerics.md).

// MatMul computes C[M,N] = start + op(A) op(B), where op transposes if asked:
// A is [M,K] or, transposed, [K,M]; B is [K,N] or, transposed, [N,K].
//
// Order: each element is one chain of float32 fused multiply-adds over
// ascending k. The chain starts from Bias[j] if Bias [N] is present, from C's
// old value if Accumulate is set, and from +0 otherwise.
type MatMul struct {
	A, B, C        Span
	M, N, K        int
	TransA, TransB bool
	Bias           Span
	Accumulate     bool
}

// ConvShape is the geometry shared by the convolution and pooling
// instructions. OutH = (H + 2*PadH - KernelH)/StrideH + 1, likewise OutW.
type ConvShape struct {
	N, H, W, InChannels     int
	OutH, OutW, OutChannels int // pooling: OutChannels = InChannels
	KernelH, KernelW        int
	StrideH, StrideW        int
	PadH, PadW              int
}

// Conv2D computes Y[N,OutH,OutW,O] from X[N,H,W,I], Weight[O,KH,KW,I] and an
// optional Bias[O].
//
// Order: one FMA chain per element over ascending (kh, kw, i), started from
// Bias[o] or +0; positions in the padding take part as x = +0.
type Conv2D struct {
	ConvShape
	X, Weight, Bias, Y Span
}

// Conv2DGradInput computes DX[N,H,W,I] from DY[N,OutH,OutW,O] and Weight.
//
// Order: one FMA chain per element over ascending (kh, kw, o), started from
// +0; (kh, kw) whose output position does not exist or falls between strides
// takes part as dy = +0.
type Conv2DGradInput struct {
	ConvShape
	DY, Weight, DX Span
}

// Conv2DGradWeight computes DWeight[O,KH,KW,I] from X and DY.
//
// Order: one FMA chain per element over ascending (n, oh, ow), started from
// +0; positions in the padding take part as x = +0.
type Conv2DGradWeight struct {
	ConvShape
	X, DY, DWeight Span
}

// MaxPool2D computes Y and, per output element, the index of the maximum
// within X as int32 in Index (the first maximum in (kh, kw) order wins;
// padding never wins; NaN wins over any number, the first NaN at that).
type MaxPool2D struct {
	ConvShape
	X, Y, Index Span
}

// MaxPool2DGrad zeroes DX and adds each DY to the input element Index names,
// in ascending order of the output element.
type MaxPool2DGrad struct {
	ConvShape
	DY, Index, DX Span
}

// AvgPool2D computes the mean of the window, padding excluded from the count.
// Order: float32 additions from +0 over ascending (kh, kw), then one division.
type AvgPool2D struct {
	ConvShape
	X, Y Span
}

// AvgPool2DGrad spreads each DY/count over its window; each DX element is a
// chain of float32 additions from +0 over its outputs in ascending order.
type AvgPool2DGrad struct {
	ConvShape
	DY, DX Span
}

// ActivationKind names an element-wise function.
type ActivationKind string

// The activations. GELU is the tanh approximation (Hendrycks and Gimpel, 2016).
const (
	ReLU    ActivationKind = "relu"
	GELU    ActivationKind = "gelu"
	SiLU    ActivationKind = "silu"
	Tanh    ActivationKind = "tanh"
	Sigmoid ActivationKind = "sigmoid"
)

// Activation computes Y = f(X) element by element; Y may be X for ReLU.
type Activation struct {
	Kind ActivationKind
	X, Y Span
}

// ActivationGrad computes DX = DY * f'(X) element by element, given X and
// Y = f(X); DX may be DY. ReLU, Tanh and Sigmoid read only Y, so X may be
// absent for them.
type ActivationGrad struct {
	Kind         ActivationKind
	X, Y, DY, DX Span
}

// SumRows computes Out[N] from X[M,N]: each element is a chain of float32
// additions over ascending row from +0 (bias gradients).
type SumRows struct {
	X, Out Span
	M, N   int
}

// SoftmaxCrossEntropy computes, for Logits[M,N] and int32 Labels[M], the loss
// of each row in Loss[M], 1 or 0 for a correct prediction (first maximum) in
// Correct[M], and, if DLogits is present, its gradient times Scale. DLogits may
// be Logits. Smoothing distributes that share of the label's weight evenly over
// all classes (Szegedy et al., 2016); it is in [0,1). With z = x - max and
// every operation rounded:
//
//	loss   = log(sum(exp(z))) - (1-Smoothing)*z_label - (Smoothing/N)*sum(z)
//	grad_j = Scale * (exp(z_j)/sum(exp(z)) - t_j - Smoothing/N), t_j = 1-Smoothing
//	         at the label, else 0
//
// Without smoothing its terms are omitted. Order: from the left; sums are in 16
// lanes over ascending index and then one fixed binary tree.
type SoftmaxCrossEntropy struct {
	Logits, Labels, Loss, Correct, DLogits Span
	M, N                                   int
	Scale, Smoothing                       float32
}

// TreeSum reduces Parts equal parts of X into the first of them, element by
// element, as a fixed binary tree over the part index: at distance d = 1, 2,
// 4, ..., part i receives part i+d for every i that is a multiple of 2d.
type TreeSum struct {
	X     Span
	Parts int
}

// SGD updates Weight in place from Grad (Sutskever et al., 2013, PyTorch's
// form): g = grad + WeightDecay*w; v = Momentum*v + g (v = g at Scalars.Step
// 1); w -= lr * (Nesterov ? g + Momentum*v : v). Velocity is absent if Momentum
// is 0. Each product and sum rounds to float32 separately.
type SGD struct {
	Weight, Grad, Velocity Span
	Momentum, WeightDecay  float32
	Nesterov               bool
}

// Adam updates Weight in place (Kingma and Ba, 2015), with Loshchilov and
// Hutter's decoupled decay if Decoupled is set. Each product, sum, quotient and
// root rounds to float32 separately; the bias corrections 1-beta^t are computed
// in float64 by repeated multiplication and rounded once.
type Adam struct {
	Weight, Grad, M, V                 Span
	Beta1, Beta2, Epsilon, WeightDecay float32
	Decoupled                          bool
}

// Operation returns OpMatMul.
func (MatMul) Operation() Operation { return OpMatMul }

// Operation returns OpConv2D.
func (Conv2D) Operation() Operation { return OpConv2D }

// Operation returns OpConv2DGradInput.
func (Conv2DGradInput) Operation() Operation { return OpConv2DGradInput }

// Operation returns OpConv2DGradWeight.
func (Conv2DGradWeight) Operation() Operation { return OpConv2DGradWeight }

// Operation returns OpMaxPool2D.
func (MaxPool2D) Operation() Operation { return OpMaxPool2D }

// Operation returns OpMaxPool2DGrad.
func (MaxPool2DGrad) Operation() Operation { return OpMaxPool2DGrad }

// Operation returns OpAvgPool2D.
func (AvgPool2D) Operation() Operation { return OpAvgPool2D }

// Operation returns OpAvgPool2DGrad.
func (AvgPool2DGrad) Operation() Operation { return OpAvgPool2DGrad }

// Operation returns OpActivation.
func (Activation) Operation() Operation { return OpActivation }

// Operation returns OpActivationGrad.
func (ActivationGrad) Operation() Operation { return OpActivationGrad }

// Operation returns OpSumRows.
func (SumRows) Operation() Operation { return OpSumRows }

// Operation returns OpSoftmaxCrossEntropy.
func (SoftmaxCrossEntropy) Operation() Operation { return OpSoftmaxCrossEntropy }

// Operation returns OpTreeSum.
func (TreeSum) Operation() Operation { return OpTreeSum }

// Operation returns OpSGD.
func (SGD) Operation() Operation { return OpSGD }

// Operation returns OpAdam.
func (Adam) Operation() Operation { return OpAdam }
