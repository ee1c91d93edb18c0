package cpu

import (
	"math"

	"reprise/kernel"
)

// adam updates weights. With every operation rounded to float32 on its own, and
// c1, c2 the bias corrections rounded once:
//
//	g = grad + WeightDecay*w              unless Decoupled or WeightDecay is 0
//	w = w - (rate*WeightDecay)*w          if Decoupled and WeightDecay is not 0
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + ((1-Beta2)*g)*g
//	w = w - ((rate/c1)*m) / (sqrt(v/c2) + Epsilon)
func (b *binder) adam(in kernel.Adam) step {
	a := &adam{
		Adam: in, kernel: b.elements.adamUpdate,
		w: b.f32(in.Weight), g: b.f32(in.Grad), m: b.f32(in.M), v: b.f32(in.V),
		power1: power{base: float64(in.Beta1), value: 1}, power2: power{base: float64(in.Beta2), value: 1},
	}
	run := b.ranges(len(a.w), cheapGrain/4, a.update)
	return func(scalars kernel.Scalars) error {
		if scalars.Step == 0 {
			return ErrStep
		}
		a.begin(scalars)
		run()
		return nil
	}
}

type adam struct {
	kernel.Adam
	w, g, m, v     []float32
	power1, power2 power
	now            adamConstants
	kernel         func(c *adamConstants, w, grad, m, v []float32)
}

// adamConstants are the factors of one step. The assembly reads it.
type adamConstants struct {
	beta1, rest1, beta2, rest2 float32 // rest = 1 - beta
	rate, correction2, epsilon float32 // rate includes the first moment's correction
	decay, shrink              float32 // coupled and decoupled weight decay, or 0
}

func (a *adam) begin(s kernel.Scalars) {
	c1 := float32(1 - a.power1.at(s.Step))
	a.now = adamConstants{
		beta1: a.Beta1, rest1: 1 - a.Beta1, beta2: a.Beta2, rest2: 1 - a.Beta2,
		rate:        s.LearningRate / c1,
		correction2: float32(1 - a.power2.at(s.Step)),
		epsilon:     a.Epsilon,
	}
	if a.Decoupled {
		a.now.shrink = float32(s.LearningRate * a.WeightDecay)
	} else {
		a.now.decay = a.WeightDecay
	}
}

func (a *adam) update(lo, hi int) {
	a.kernel(&a.now, a.w[lo:hi], a.g[lo:hi], a.m[lo:hi], a.v[lo:hi])
}

// adamUpdate is the portable kernel.
func adamUpdate(c *adamConstants, w, grad, m, v []float32) {
	k := *c
	w, m, v = w[:len(grad)], m[:len(grad)], v[:len(grad)]
	for i, g := range grad {
		x := w[i]
		if k.decay != 0 {
			g += float32(k.decay * x)
		}
		if k.shrink != 0 {
			x -= float32(k.shrink * x)
		}
		mi := float32(k.beta1*m[i]) + float32(k.rest1*g)
		vi := float32(k.beta2*v[i]) + float32(float32(k.rest2*g)*g)
		m[i], v[i] = mi, vi
		w[i] = x - float32(k.rate*mi)/(sqrt32(vi/k.correction2)+k.epsilon)
	}
}

// sqrt32 returns the correctly rounded root: rounding the float64 root again is
// harmless for a float32 argument, and the compiler emits the float32
// instruction for it.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// power is base^n in float64 by n multiplications from 1: a pure function of n
// that is cheap if n advances by one from call to call.
type power struct {
	base, value float64
	n           uint64
}

// at returns base^n. It ends early if further products change nothing.
func (p *power) at(n uint64) float64 {
	if n < p.n {
		p.n, p.value = 0, 1
	}
	for p.n < n {
		next := float64(p.value * p.base)
		if next == p.value {
			p.n = n
			break
		}
		p.value = next
		p.n++
	}
	return p.value
}
