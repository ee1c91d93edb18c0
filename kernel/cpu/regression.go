package cpu

import "reprise/kernel"

func (b *binder) meanSquaredError(in kernel.MeanSquaredError) step {
	prediction, target, n := b.f32(in.Prediction), b.f32(in.Target), in.N
	loss, grad := b.f32(in.Loss), b.f32(in.DPrediction)
	temps := b.scratches(b.pool.Threads() * n)[0]
	factor := 2 / float32(n) * in.Scale
	return always(b.workerRanges(in.M, rowGrain(n), func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			var d []float32
			if grad != nil {
				d = row(grad, i, n)
			} else {
				d = row(temps, worker, n)
			}
			b.elements.subtract(d, row(prediction, i, n), row(target, i, n))
			loss[i] = b.elements.sumSquares(d) / float32(n)
			if grad != nil {
				b.elements.scale(d, d, factor)
			}
		}
	}))
}
