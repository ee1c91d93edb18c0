package kernel

import "math"

// Normalisation. Row sums use 16 lanes over ascending index and then one fixed
// binary tree, as in SoftmaxCrossEntropy. In every kind, InvStd is the float32
// quotient 1/sqrt(variance + Epsilon) with each operation rounded on its own.

// LayerNorm normalises each row of X[M,N] (Ba, Kiros and Hinton, 2016):
//
//	Mean[r]   = sum(x)/N
//	InvStd[r] = 1/sqrt(sum(d^2)/N + Epsilon), d = x - Mean[r]; each lane of the
//	            sum is a chain of fused multiply-adds
//	Y[r,j]    = FMA(d*InvStd[r], Gain[j], Bias[j])
//
// Y may be X if no gradient is needed.
type LayerNorm struct {
	X, Gain, Bias, Y Span
	Mean, InvStd     Span // [M]
	M, N             int
	Epsilon          float32
}

// LayerNormGrad computes the gradients of LayerNorm. With h = (x-Mean)*InvStd
// and g = dy*Gain, each rounded:
//
//	DGain[j] = a chain of fused multiply-adds h*dy over ascending row, from +0
//	DBias[j] = a chain of additions over ascending row, from +0
//	a = sum(g)/N, b = sum(g*h)/N       16 lanes; b's are fused multiply-adds
//	DX = InvStd * (FMA(-h, b, g - a))
//
// DX may be DY.
type LayerNormGrad struct {
	X, Gain, Mean, InvStd, DY Span
	DX, DGain, DBias          Span
	M, N                      int
}

// RMSNorm scales each row of X[M,N] (Zhang and Sennrich, 2019):
//
//	InvStd[r] = 1/sqrt(sum(x^2)/N + Epsilon); each lane of the sum is a chain of
//	            fused multiply-adds
//	Y[r,j]    = (x*InvStd[r]) * Gain[j]
type RMSNorm struct {
	X, Gain, Y Span
	InvStd     Span // [M]
	M, N       int
	Epsilon    float32
}

// RMSNormGrad computes the gradients of RMSNorm: DGain and DX as LayerNormGrad
// with h = x*InvStd and a = 0, that is DX = InvStd * FMA(-h, b, g).
type RMSNormGrad struct {
	X, Gain, InvStd, DY Span
	DX, DGain           Span
	M, N                int
}

// BatchNorm normalises each column of X[M,N] (Ioffe and Szegedy, 2015); an image
// [rows,H,W,C] is M = rows*H*W by N = C.
//
//	Mean[j]   = sum(x)/M
//	variance  = sum(d^2)/M, d = x - Mean[j]; each chain is of fused multiply-adds
//	Y[i,j]    = FMA(d*InvStd[j], Gain[j], Bias[j])
//
// BatchMean and BatchVar [N] receive Mean and sum(d^2)/max(M-1,1), for the
// running averages that BatchNormApply uses.
//
// Order: rows are cut into blocks of 128; a block's sum is a chain over
// ascending row from +0; the blocks' sums are added as in TreeSum.
type BatchNorm struct {
	X, Gain, Bias, Y    Span
	Mean, InvStd        Span // [N]
	BatchMean, BatchVar Span // [N]
	M, N                int
	Epsilon             float32
}

// BatchBlock is the number of rows in a block of BatchNorm's sums.
const BatchBlock = 128

// BatchNormGrad computes the gradients of BatchNorm, sums in BatchNorm's order.
// With h = (x-Mean)*InvStd rounded twice:
//
//	DGain[j] = sum(h*dy), fused multiply-adds; DBias[j] = sum(dy)
//	DX = (Gain*InvStd) * (FMA(-h, DGain/M, dy - DBias/M))
//
// DX may be DY.
type BatchNormGrad struct {
	X, Gain, Mean, InvStd, DY Span
	DX, DGain, DBias          Span
	M, N                      int
}

// BatchNormApply computes Y[M,N] = FMA((x - Mean[j])*inv, Gain[j], Bias[j]) with
// inv = 1/sqrt(Var[j] + Epsilon), from running averages; Y may be X.
type BatchNormApply struct {
	X, Mean, Var, Gain, Bias, Y Span
	M, N                        int
	Epsilon                     float32
}

// Operation returns OpLayerNorm.
func (LayerNorm) Operation() Operation { return OpLayerNorm }

// Operation returns OpLayerNormGrad.
func (LayerNormGrad) Operation() Operation { return OpLayerNormGrad }

// Operation returns OpRMSNorm.
func (RMSNorm) Operation() Operation { return OpRMSNorm }

// Operation returns OpRMSNormGrad.
func (RMSNormGrad) Operation() Operation { return OpRMSNormGrad }

// Operation returns OpBatchNorm.
func (BatchNorm) Operation() Operation { return OpBatchNorm }

// Operation returns OpBatchNormGrad.
func (BatchNormGrad) Operation() Operation { return OpBatchNormGrad }

// Operation returns OpBatchNormApply.
func (BatchNormApply) Operation() Operation { return OpBatchNormApply }

// validateNorm performs the checks that the normalisations have in common.
func validateNorm(op Operation, m, n int, epsilon float32, operands []operand) error {
	if err := checkDimensions(op, dimension{"M", m, 1}, dimension{"N", n, 1}); err != nil {
		return err
	}
	if err := checkFactor(op, "Epsilon", epsilon, 0, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(op, operands)
}

func (l LayerNorm) operands() []operand {
	n := elements(l.M, l.N)
	return []operand{
		{field: "X", span: l.X, want: n},
		{field: "Gain", span: l.Gain, want: l.N},
		{field: "Bias", span: l.Bias, want: l.N},
		{field: "Y", span: l.Y, want: n, written: true, sameAs: "X"},
		{field: "Mean", span: l.Mean, want: l.M, written: true},
		{field: "InvStd", span: l.InvStd, want: l.M, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N, M or N elements, written operands overlap nothing, except
// that Y may be X, and Epsilon is a number of at least 0.
func (l LayerNorm) Validate() error {
	return validateNorm(OpLayerNorm, l.M, l.N, l.Epsilon, l.operands())
}

func (l LayerNormGrad) operands() []operand {
	n := elements(l.M, l.N)
	return []operand{
		{field: "X", span: l.X, want: n},
		{field: "Gain", span: l.Gain, want: l.N},
		{field: "Mean", span: l.Mean, want: l.M},
		{field: "InvStd", span: l.InvStd, want: l.M},
		{field: "DY", span: l.DY, want: n},
		{field: "DX", span: l.DX, want: n, written: true, sameAs: "DY"},
		{field: "DGain", span: l.DGain, want: l.N, written: true},
		{field: "DBias", span: l.DBias, want: l.N, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N, M or N elements, and written operands overlap nothing,
// except that DX may be DY.
func (l LayerNormGrad) Validate() error {
	return validateNorm(OpLayerNormGrad, l.M, l.N, 0, l.operands())
}

func (l RMSNorm) operands() []operand {
	n := elements(l.M, l.N)
	return []operand{
		{field: "X", span: l.X, want: n},
		{field: "Gain", span: l.Gain, want: l.N},
		{field: "Y", span: l.Y, want: n, written: true, sameAs: "X"},
		{field: "InvStd", span: l.InvStd, want: l.M, written: true},
	}
}

// Validate fails with an *InstructionError as LayerNorm's does.
func (l RMSNorm) Validate() error {
	return validateNorm(OpRMSNorm, l.M, l.N, l.Epsilon, l.operands())
}

func (l RMSNormGrad) operands() []operand {
	n := elements(l.M, l.N)
	return []operand{
		{field: "X", span: l.X, want: n},
		{field: "Gain", span: l.Gain, want: l.N},
		{field: "InvStd", span: l.InvStd, want: l.M},
		{field: "DY", span: l.DY, want: n},
		{field: "DX", span: l.DX, want: n, written: true, sameAs: "DY"},
		{field: "DGain", span: l.DGain, want: l.N, written: true},
	}
}

// Validate fails with an *InstructionError as LayerNormGrad's does.
func (l RMSNormGrad) Validate() error {
	return validateNorm(OpRMSNormGrad, l.M, l.N, 0, l.operands())
}

func (b BatchNorm) operands() []operand {
	n := elements(b.M, b.N)
	return []operand{
		{field: "X", span: b.X, want: n},
		{field: "Gain", span: b.Gain, want: b.N},
		{field: "Bias", span: b.Bias, want: b.N},
		{field: "Y", span: b.Y, want: n, written: true},
		{field: "Mean", span: b.Mean, want: b.N, written: true},
		{field: "InvStd", span: b.InvStd, want: b.N, written: true},
		{field: "BatchMean", span: b.BatchMean, want: b.N, written: true},
		{field: "BatchVar", span: b.BatchVar, want: b.N, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N or N elements, written operands overlap nothing, and
// Epsilon is a number of at least 0.
func (b BatchNorm) Validate() error {
	return validateNorm(OpBatchNorm, b.M, b.N, b.Epsilon, b.operands())
}

func (b BatchNormGrad) operands() []operand {
	n := elements(b.M, b.N)
	return []operand{
		{field: "X", span: b.X, want: n},
		{field: "Gain", span: b.Gain, want: b.N},
		{field: "Mean", span: b.Mean, want: b.N},
		{field: "InvStd", span: b.InvStd, want: b.N},
		{field: "DY", span: b.DY, want: n},
		{field: "DX", span: b.DX, want: n, written: true, sameAs: "DY"},
		{field: "DGain", span: b.DGain, want: b.N, written: true},
		{field: "DBias", span: b.DBias, want: b.N, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N or N elements, and written operands overlap nothing, except
// that DX may be DY.
func (b BatchNormGrad) Validate() error {
	return validateNorm(OpBatchNormGrad, b.M, b.N, 0, b.operands())
}

func (b BatchNormApply) operands() []operand {
	n := elements(b.M, b.N)
	return []operand{
		{field: "X", span: b.X, want: n},
		{field: "Mean", span: b.Mean, want: b.N},
		{field: "Var", span: b.Var, want: b.N},
		{field: "Gain", span: b.Gain, want: b.N},
		{field: "Bias", span: b.Bias, want: b.N},
		{field: "Y", span: b.Y, want: n, written: true, sameAs: "X"},
	}
}

// Validate fails with an *InstructionError as BatchNorm's does, except that Y
// may be X.
func (b BatchNormApply) Validate() error {
	return validateNorm(OpBatchNormApply, b.M, b.N, b.Epsilon, b.operands())
}
