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
		n: in.N, scale: in.Scale,
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
	n             int
	scale         float32
	logits        []float32
	labels        []int32
	loss, correct []float32
	dlogits       []float32 // may be logits
}

// row computes row i:
//
//	z_j    = x_j - max
//	sum    = exp(z_j) in sixteen lanes
//	loss   = log(sum) - z_label
//	grad_j = scale * (exp(z_j)/sum - [j = label])
//
// A row with a NaN or +Inf, or of nothing but -Inf, has a NaN loss and gradient
// and counts as not correct.
func (s *softmax) row(i int) {
	x := s.logits[i*s.n : (i+1)*s.n]
	label := int(s.labels[i])
	best := 0
	for j, v := range x {
		if v > x[best] || v != v {
			best = j
		}
		if v != v {
			break
		}
	}
	top := x[best]
	z := x[label] - top
	var grad []float32
	if s.dlogits != nil {
		grad = s.dlogits[i*s.n : (i+1)*s.n]
	}
	sum := sumExp(grad, x, top)
	loss := log32(sum) - z
	s.loss[i] = loss
	s.correct[i] = 0
	if best == label && loss == loss {
		s.correct[i] = 1
	}
	for j, e := range grad {
		p := e / sum
		if j == label {
			p -= 1
		}
		grad[j] = float32(s.scale * p)
	}
}

// sumExp returns the sum of exp(x[j]-top) and stores the terms in e unless e is
// nil; e may be x. Lane j%16 takes the terms j in ascending order, from +0; then
// lane l takes lane l+8 for l < 8, l+4 for l < 4, l+2 and l+1.
func sumExp(e, x []float32, top float32) float32 {
	var lane [16]float32
	for j, v := range x {
		t := exp32(v - top)
		if e != nil {
			e[j] = t
		}
		lane[j%16] += t
	}
	for d := 8; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}
