package cpu

import (
	"math"

	"reprise/kernel"
)

func (b *binder) addRow(in kernel.AddRow) step {
	x, bias, y := b.f32(in.X), b.f32(in.Row), b.f32(in.Y)
	return always(b.ranges(in.M, max(1, cheapGrain/in.N), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			b.elements.add(row(y, i, in.N), row(x, i, in.N), bias)
		}
	}))
}

func (b *binder) scale(in kernel.Scale) step {
	x, y := b.f32(in.X), b.f32(in.Y)
	return always(b.ranges(len(x), cheapGrain, func(lo, hi int) { b.elements.scale(y[lo:hi], x[lo:hi], in.Factor) }))
}

func (b *binder) runningAverage(in kernel.RunningAverage) step {
	running, batch := b.f32(in.Running), b.f32(in.Batch)
	return always(b.ranges(len(running), cheapGrain, func(lo, hi int) {
		average(running[lo:hi], batch[lo:hi], in.Momentum, in.Factor)
	}))
}

// average computes running = (1-momentum)*running + momentum*(factor*batch).
func average(running, batch []float32, momentum, factor float32) {
	running = running[:len(batch)]
	keep := 1 - momentum
	for i, v := range batch {
		running[i] = float32(keep*running[i]) + float32(momentum*float32(factor*v))
	}
}

func (b *binder) clipNorm(in kernel.ClipNorm) step {
	grad, norm := b.f32(in.Grad), b.f32(in.Norm)
	blocks := ceilDiv(len(grad), kernel.ClipBlock)
	partial := b.scratch(blocks)
	squares := b.ranges(blocks, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			partial[i] = b.elements.sumSquares(grad[i*kernel.ClipBlock : min((i+1)*kernel.ClipBlock, len(grad))])
		}
	})
	var factor float32
	clip := b.ranges(len(grad), cheapGrain, func(lo, hi int) { b.elements.scale(grad[lo:hi], grad[lo:hi], factor) })
	return always(func() {
		squares()
		b.elements.tree(partial, blocks, 1, 0, 1)
		length := root32(partial[0])
		norm[0] = length
		if length > in.MaxNorm && length <= math.MaxFloat32 {
			factor = in.MaxNorm / length
			clip()
		}
	})
}

// root32 returns the correctly rounded square root.
func root32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// tree reduces columns [lo,hi) of x[parts,n] into its first row, in the order of
// kernel.TreeSum.
func (e *elementKernels) tree(x []float32, parts, n, lo, hi int) {
	for d := 1; d < parts; d *= 2 {
		for i := 0; i+d < parts; i += 2 * d {
			to := x[i*n+lo : i*n+hi]
			e.add(to, to, x[(i+d)*n+lo:(i+d)*n+hi])
		}
	}
}
