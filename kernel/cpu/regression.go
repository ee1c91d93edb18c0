package cpu

import "reprise/kernel"

func (b *binder) meanSquaredError(in kernel.MeanSquaredError) step {
	prediction, target, n := b.f32(in.Prediction), b.f32(in.Target), in.N
	loss, grad := b.f32(in.Loss), b.f32(in.DPrediction)
	factor := 2 / float32(n) * in.Scale
	return always(b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			p, t := prediction[i*n:(i+1)*n], target[i*n:(i+1)*n]
			loss[i] = laneDistance(p, t) / float32(n)
			if grad != nil {
				scaledDifference(grad[i*n:(i+1)*n], p, t, factor)
			}
		}
	}))
}

// scaledDifference computes d = factor*(x-y); d may be x.
func scaledDifference(d, x, y []float32, factor float32) {
	y, d = y[:len(x)], d[:len(x)]
	for j, v := range x {
		d[j] = float32(factor * (v - y[j]))
	}
}
