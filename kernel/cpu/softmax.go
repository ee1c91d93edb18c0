package cpu

import (
	"fmt"

	"reprise/kernel"
)

// LabelError reports a label that is no class.
type LabelError struct {
	Row     int
	Label   int32
	Classes int
}

// Error names the row, its label and the range of valid ones.
func (e *LabelError) Error() string {
	return fmt.Sprintf("label %d in row %d of the batch, want 0 to %d", e.Label, e.Row, e.Classes-1)
}

func (b *binder) softmaxCrossEntropy(in kernel.SoftmaxCrossEntropy) step {
	s := &softmax{
		elements: &b.elements, n: in.N, scale: in.Scale,
		smoothing: in.Smoothing, share: in.Smoothing / float32(in.N),
		logits: b.f32(in.Logits), labels: b.i32(in.Labels),
		loss: b.f32(in.Loss), correct: b.f32(in.Correct), dlogits: b.f32(in.DLogits),
	}
	run := b.ranges(in.M, max(1, costlyGrain/in.N), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s.row(i)
		}
	})
	return func(kernel.Scalars) error {
		for i, label := range s.labels {
			if label < 0 || int(label) >= in.N {
				return &LabelError{Row: i, Label: label, Classes: in.N}
			}
		}
		run()
		return nil
	}
}

type softmax struct {
	elements      *elementKernels
	n             int
	scale         float32
	smoothing     float32
	share         float32 // of each class in the label's weight
	logits        []float32
	labels        []int32
	loss, correct []float32
	dlogits       []float32 // may be logits
}

// row computes row i: the formulas are SoftmaxCrossEntropy's in package kernel.
// A row with a NaN or +Inf, or of nothing but -Inf, has a NaN loss and gradient
// and counts as not correct.
func (s *softmax) row(i int) {
	x := s.logits[i*s.n : (i+1)*s.n]
	label := int(s.labels[i])
	best := s.elements.argmax(x)
	top := x[best]
	weighted := float32((1 - s.smoothing) * (x[label] - top))
	var spread float32
	if s.smoothing != 0 {
		spread = float32(s.share * s.elements.sumShifted(x, top))
	}
	var grad []float32
	if s.dlogits != nil {
		grad = s.dlogits[i*s.n : (i+1)*s.n]
	}
	sum := s.elements.sumExp(grad, x, top)
	loss := log32(sum) - weighted - spread
	s.loss[i] = loss
	s.correct[i] = 0
	if best == label && loss == loss {
		s.correct[i] = 1
	}
	if grad == nil {
		return
	}
	atLabel := float32(s.scale * (grad[label]/sum - (1 - s.smoothing) - s.share))
	s.elements.softmaxGrad(grad, sum, s.share, s.scale)
	grad[label] = atLabel
}
