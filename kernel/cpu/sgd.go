package cpu

import "reprise/kernel"

// sgd updates weights; the order of operations is SGD's in package kernel. A
// weight decay of 0 omits its term.
func (b *binder) sgd(in kernel.SGD) step {
	s := &sgd{w: b.f32(in.Weight), g: b.f32(in.Grad), kernel: b.elements.sgdUpdate}
	if in.Momentum != 0 {
		s.v = b.f32(in.Velocity)
	}
	s.now = sgdConstants{momentum: in.Momentum, decay: in.WeightDecay, nesterov: in.Nesterov}
	run := b.ranges(len(s.w), cheapGrain/4, s.update)
	return func(scalars kernel.Scalars) error {
		if scalars.Step == 0 {
			return ErrStep
		}
		s.now.rate, s.now.first = scalars.LearningRate, scalars.Step == 1
		run()
		return nil
	}
}

type sgd struct {
	w, g, v []float32 // v is nil without momentum
	now     sgdConstants
	kernel  func(c *sgdConstants, w, grad, velocity []float32)
}

// sgdConstants are the factors of one step. The assembly reads it.
type sgdConstants struct {
	rate, momentum, decay float32
	first                 bool // step 1, at which there is no earlier velocity
	nesterov              bool
}

func (s *sgd) update(lo, hi int) {
	var v []float32
	if s.v != nil {
		v = s.v[lo:hi]
	}
	s.kernel(&s.now, s.w[lo:hi], s.g[lo:hi], v)
}

// sgdUpdate is the portable kernel: w -= rate*g, or v = momentum*v + g and
// w -= rate*v, or w -= rate*(g + momentum*v).
func sgdUpdate(c *sgdConstants, w, grad, velocity []float32) {
	k := *c
	w = w[:len(grad)]
	if velocity != nil {
		velocity = velocity[:len(grad)]
	}
	for i, g := range grad {
		if k.decay != 0 {
			g += float32(k.decay * w[i])
		}
		if velocity != nil {
			v := g
			if !k.first {
				v = float32(k.momentum*velocity[i]) + g
			}
			velocity[i] = v
			if k.nesterov {
				v = g + float32(k.momentum*v)
			}
			g = v
		}
		w[i] -= float32(k.rate * g)
	}
}
