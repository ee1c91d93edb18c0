package kernel

import "math"

// MeanSquaredError computes, for Prediction[M,N] and Target[M,N], the loss of
// each row, Loss[M] = sum(d^2)/N with d = Prediction - Target, and, if
// DPrediction is present, DPrediction = (2/N*Scale) * d. DPrediction may be
// Prediction.
//
// Order: the squares are summed in 16 lanes of fused multiply-adds over
// ascending index and then as one fixed binary tree; 2/N*Scale is one float32.
type MeanSquaredError struct {
	Prediction, Target, Loss, DPrediction Span
	M, N                                  int
	Scale                                 float32
}

// Operation returns OpMeanSquaredError.
func (MeanSquaredError) Operation() Operation { return OpMeanSquaredError }

func (m MeanSquaredError) operands() []operand {
	n := elements(m.M, m.N)
	return []operand{
		{field: "Prediction", span: m.Prediction, want: n},
		{field: "Target", span: m.Target, want: n},
		{field: "Loss", span: m.Loss, want: m.M, written: true},
		{field: "DPrediction", span: m.DPrediction, want: n, optional: true, written: true, sameAs: "Prediction"},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N or M elements, written operands overlap nothing, except
// that DPrediction may be Prediction, and Scale is a number.
func (m MeanSquaredError) Validate() error {
	if err := checkDimensions(OpMeanSquaredError, dimension{"M", m.M, 1}, dimension{"N", m.N, 1}); err != nil {
		return err
	}
	if err := checkFactor(OpMeanSquaredError, "Scale", m.Scale, -math.MaxFloat32, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpMeanSquaredError, m.operands())
}

// AbsoluteError computes, for Prediction[M,N] and Target[M,N], the loss of each row and,
// if DPrediction is present, its gradient, with d = Prediction - Target and every
// operation rounded:
//
//	Loss[r]     = sum(h(d))/N
//	DPrediction = (1/N*Scale) * h'(d)
//
// If Delta is 0, it is the mean absolute error: h = |d|, and h' = 1, -1 or, where d is 0,
// d. Otherwise it is Huber's loss (1964), which is quadratic up to Delta and linear beyond:
//
//	h = (0.5*d)*d             h' = d                  for |d| <= Delta
//	h = Delta*(|d|-0.5*Delta) h' = Delta or -Delta    for |d| > Delta
//
// Where d is not a number, neither are the loss and the gradient. DPrediction may be
// Prediction.
//
// Order: the terms are summed in 16 lanes over ascending index and then as one fixed
// binary tree; 1/N*Scale is one float32.
type AbsoluteError struct {
	Prediction, Target, Loss, DPrediction Span
	M, N                                  int
	Scale, Delta                          float32
}

// Operation returns OpAbsoluteError.
func (AbsoluteError) Operation() Operation { return OpAbsoluteError }

func (a AbsoluteError) operands() []operand {
	return MeanSquaredError{Prediction: a.Prediction, Target: a.Target, Loss: a.Loss, DPrediction: a.DPrediction, M: a.M, N: a.N}.operands()
}

// Validate fails as that of MeanSquaredError does, and unless Delta is a number of at
// least 0.
func (a AbsoluteError) Validate() error {
	if err := checkDimensions(OpAbsoluteError, dimension{"M", a.M, 1}, dimension{"N", a.N, 1}); err != nil {
		return err
	}
	if err := checkFactor(OpAbsoluteError, "Scale", a.Scale, -math.MaxFloat32, math.Inf(1)); err != nil {
		return err
	}
	if err := checkFactor(OpAbsoluteError, "Delta", a.Delta, 0, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpAbsoluteError, a.operands())
}

// ReweightLoss changes, in place, the cross-entropies Loss[M] and, if DLogits[M,N] is
// present, their gradient: it weights rows by how hard they are (the focal loss of Lin et
// al., 2017) and by Weight[M].
//
// If Gamma is not 0, with c = Loss[r], p = exp(-c) and q = 1-p in float64, and every
// operation rounded there:
//
//	Loss[r] = q^Gamma * c
//	factor  = q^Gamma + ((Gamma*((p*c)/q)) * q^Gamma), or 0 where q is 0
//
// each rounded once to float32; otherwise Loss[r] stays as it is and factor is 1. If
// Weight is present, both are multiplied by Weight[r] and rounded. DLogits[r] is
// multiplied by factor. The exponential and the power are those of internal/detmath.
type ReweightLoss struct {
	Loss, Weight, DLogits Span
	M, N                  int
	Gamma                 float32
}

// Operation returns OpReweightLoss.
func (ReweightLoss) Operation() Operation { return OpReweightLoss }

func (w ReweightLoss) operands() []operand {
	return []operand{
		{field: "Loss", span: w.Loss, want: w.M, written: true},
		{field: "Weight", span: w.Weight, want: w.M, optional: true},
		{field: "DLogits", span: w.DLogits, want: elements(w.M, w.N), optional: true, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the operands
// have M or M*N elements, written operands overlap nothing, and Gamma is a number of at
// least 0.
func (w ReweightLoss) Validate() error {
	if err := checkDimensions(OpReweightLoss, dimension{"M", w.M, 1}, dimension{"N", w.N, 1}); err != nil {
		return err
	}
	if err := checkFactor(OpReweightLoss, "Gamma", w.Gamma, 0, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpReweightLoss, w.operands())
}
