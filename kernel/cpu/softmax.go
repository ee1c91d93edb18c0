package cpu

import (
	"fmt"

	"reprise/fault"
	"reprise/kernel"
)

// LabelError reports a label that is not a class.
type LabelError struct {
	Row     int
	Label   int32
	Classes int
}

// Error names the row, its label and the range of valid ones.
func (e *LabelError) Error() string {
	return fmt.Sprintf("label %d in row %d of the batch, want 0 to %d", e.Label, e.Row, e.Classes-1)
}

// Kind returns Invalid.
func (e *LabelError) Kind() fault.Kind { return fault.Invalid }

func (b *binder) softmaxCrossEntropy(in kernel.SoftmaxCrossEntropy) step {
	s := &softmax{
		elements: &b.elements, n: in.N, scale: in.Scale,
		smoothing: in.Smoothing, share: in.Smoothing / float32(in.N),
		logits: b.f32(in.Logits), labels: b.i32(in.Labels),
		loss: b.f32(in.Loss), correct: b.f32(in.Correct), dlogits: b.f32(in.DLogits),
	}
	rows := s.rows
	if in.N <= len(lanes{}) && in.Smoothing == 0 {
		s.sums, rows = b.scratch(in.M), s.shortRows
	}
	run := b.ranges(in.M, max(1, costlyGrain/in.N), rows)
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
	sums          []float32 // scratch of shortRows
}

func (s *softmax) rows(lo, hi int) {
	for i := lo; i < hi; i++ {
		s.row(i)
	}
}

// shortRows is rows for rows that fit into the lanes of a sum.
func (s *softmax) shortRows(lo, hi int) {
	var grad []float32
	if s.dlogits != nil {
		grad = s.dlogits[lo*s.n : hi*s.n]
	}
	s.elements.softmaxRows(grad, s.logits[lo*s.n:hi*s.n], s.labels[lo:hi], s.loss[lo:hi], s.correct[lo:hi], s.sums[lo:hi], s.n, s.scale)
	s.elements.log(s.sums[lo:hi], s.sums[lo:hi])
	for i := lo; i < hi; i++ {
		s.loss[i] = s.sums[i] - s.loss[i]
		if s.loss[i] != s.loss[i] {
			s.correct[i] = 0
		}
	}
}

// row computes row i: the formulas are SoftmaxCrossEntropy's in package kernel.
// A row with a NaN or +Inf, or with only -Inf, has a NaN loss and gradient and
// counts as not correct.
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

// softmaxRows is the portable kernel of short rows.
func softmaxRows(grad, x []float32, labels []int32, loss, correct, sum []float32, n int, scale float32) {
	for i, label := range labels {
		x := row(x, i, n)
		best := argmax(x)
		top := x[best]
		loss[i], correct[i] = x[label]-top, 0
		if best == int(label) {
			correct[i] = 1
		}
		if grad == nil {
			sum[i] = sumExp(nil, x, top)
			continue
		}
		g := row(grad, i, n)
		sum[i] = sumExp(g, x, top)
		atLabel := float32(scale * (g[label]/sum[i] - 1))
		softmaxGrad(g, sum[i], 0, scale)
		g[label] = atLabel
	}
}
