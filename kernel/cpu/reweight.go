package cpu

import (
	"reprise/internal/detmath"
	"reprise/kernel"
)

func (b *binder) reweightLoss(in kernel.ReweightLoss) step {
	loss, weight, grad := b.f32(in.Loss), b.f32(in.Weight), b.f32(in.DLogits)
	gamma := float64(in.Gamma)
	return always(b.ranges(in.M, rowGrain(in.N), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			factor := float32(1)
			if gamma != 0 {
				loss[i], factor = focal(float64(loss[i]), gamma)
			}
			if weight != nil {
				loss[i] = float32(loss[i] * weight[i])
				factor = float32(factor * weight[i])
			}
			if grad != nil {
				d := row(grad, i, in.N)
				b.elements.scale(d, d, factor)
			}
		}
	}))
}

// focal returns the focal loss of a row with the cross-entropy c, and the factor by which
// it changes the gradient.
func focal(c, gamma float64) (loss, factor float32) {
	p := detmath.Exp(-c)
	q := 1 - p
	power := detmath.Pow(q, gamma)
	if q == 0 {
		return float32(power * c), 0
	}
	slope := float64(gamma * (float64(p*c) / q))
	return float32(power * c), float32(power + float64(slope*power))
}
