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
