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

func (b *binder) absoluteError(in kernel.AbsoluteError) step {
	prediction, target, n := b.f32(in.Prediction), b.f32(in.Target), in.N
	loss, grad := b.f32(in.Loss), b.f32(in.DPrediction)
	terms := b.scratches(b.pool.Threads() * n)[0]
	factor := 1 / float32(n) * in.Scale
	return always(b.workerRanges(in.M, rowGrain(n), func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			t := row(terms, worker, n)
			var d []float32
			if grad != nil {
				d = row(grad, i, n)
			}
			absoluteErrors(t, d, row(prediction, i, n), row(target, i, n), in.Delta, factor)
			loss[i] = b.elements.sum(t) / float32(n)
		}
	}))
}

// absoluteErrors sets the terms of a row's loss and, unless it is nil, its gradient, which
// may be the prediction.
func absoluteErrors(terms, grad, prediction, target []float32, delta, factor float32) {
	for j, y := range target {
		d := prediction[j] - y
		size, slope := d, d
		if d < 0 {
			size = -d
		}
		switch {
		case delta == 0:
			terms[j] = size
			if d > 0 {
				slope = 1
			} else if d < 0 {
				slope = -1
			}
		case size <= delta:
			terms[j] = float32(float32(0.5*d) * d)
		default:
			terms[j] = float32(delta * (size - float32(0.5*delta)))
			if d > 0 {
				slope = delta
			} else if d < 0 {
				slope = -delta
			}
		}
		if grad != nil {
			grad[j] = float32(factor * slope)
		}
	}
}
