package cpu

import "reprise/kernel"

// sgd updates weights; the order of operations is SGD's in package kernel. A
// weight decay of 0 leaves its term out.
func (b *binder) sgd(in kernel.SGD) step {
	s := &sgd{SGD: in, w: b.f32(in.Weight), g: b.f32(in.Grad), v: b.f32(in.Velocity)}
	update := s.plain
	if in.Momentum != 0 {
		update = s.withMomentum
	}
	run := b.ranges(len(s.w), cheapGrain, update)
	return func(scalars kernel.Scalars) error {
		if scalars.Step == 0 {
			return ErrStep
		}
		s.rate, s.first = scalars.LearningRate, scalars.Step == 1
		run()
		return nil
	}
}

type sgd struct {
	kernel.SGD
	w, g, v []float32
	rate    float32
	first   bool // step 1, where the velocity has no past
}

// plain computes w -= rate*g.
func (s *sgd) plain(lo, hi int) {
	w, grad := s.w[lo:hi], s.g[lo:hi]
	for i, g := range grad {
		if s.WeightDecay != 0 {
			g += float32(s.WeightDecay * w[i])
		}
		w[i] -= float32(s.rate * g)
	}
}

// withMomentum computes v = momentum*v + g and w -= rate*v, or
// w -= rate*(g + momentum*v).
func (s *sgd) withMomentum(lo, hi int) {
	w, grad, velocity := s.w[lo:hi], s.g[lo:hi], s.v[lo:hi]
	for i, g := range grad {
		if s.WeightDecay != 0 {
			g += float32(s.WeightDecay * w[i])
		}
		v := g
		if !s.first {
			v = float32(s.Momentum*velocity[i]) + g
		}
		velocity[i] = v
		if s.Nesterov {
			v = g + float32(s.Momentum*v)
		}
		w[i] -= float32(s.rate * v)
	}
}
