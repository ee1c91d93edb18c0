package cpu

import "reprise/kernel"

func (b *binder) batchNorm(in kernel.BatchNorm) step {
	x, y, n := b.f32(in.X), b.f32(in.Y), in.N
	gain, bias, mean, invStd := b.f32(in.Gain), b.f32(in.Bias), b.f32(in.Mean), b.f32(in.InvStd)
	batchMean, batchVar := b.f32(in.BatchMean), b.f32(in.BatchVar)
	c := b.columnSums(in.M, n, 1)
	sums := c.blocks(b, func(acc []float32, lo, hi int) {
		for i := lo; i < hi; i++ {
			add(acc, x[i*n:(i+1)*n])
		}
	})
	means := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			mean[j] = c.partial[j] / float32(in.M)
			batchMean[j] = mean[j]
		}
	})
	squares := c.blocks(b, func(acc []float32, lo, hi int) {
		for i := lo; i < hi; i++ {
			squareChain(acc, x[i*n:(i+1)*n], mean)
		}
	})
	variances := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			invStd[j] = invStd32(c.partial[j]/float32(in.M), in.Epsilon)
			batchVar[j] = c.partial[j] / float32(max(in.M-1, 1))
		}
	})
	apply := b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			normalizeColumns(y[i*n:(i+1)*n], x[i*n:(i+1)*n], mean, invStd, gain, bias)
		}
	})
	return always(func() {
		sums()
		means()
		squares()
		variances()
		apply()
	})
}

func (b *binder) batchNormGrad(in kernel.BatchNormGrad) step {
	x, dy, dx, n := b.f32(in.X), b.f32(in.DY), b.f32(in.DX), in.N
	gain, mean, invStd := b.f32(in.Gain), b.f32(in.Mean), b.f32(in.InvStd)
	dgain, dbias := b.f32(in.DGain), b.f32(in.DBias)
	// A block's partial sums are those of dgain and then those of dbias.
	c := b.columnSums(in.M, n, 2)
	sums := c.blocks(b, func(acc []float32, lo, hi int) {
		for i := lo; i < hi; i++ {
			hChain(acc[:n], x[i*n:(i+1)*n], dy[i*n:(i+1)*n], mean, invStd)
			add(acc[n:], dy[i*n:(i+1)*n])
		}
	})
	store := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			dgain[j], dbias[j] = c.partial[j], c.partial[n+j]
			// What the rows need of them.
			c.partial[j] = dgain[j] / float32(in.M)
			c.partial[n+j] = dbias[j] / float32(in.M)
		}
	})
	apply := b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			columnGrad(dx[i*n:(i+1)*n], x[i*n:(i+1)*n], dy[i*n:(i+1)*n], mean, invStd, gain, c.partial[:n], c.partial[n:2*n])
		}
	})
	return always(func() {
		sums()
		store()
		apply()
	})
}

func (b *binder) batchNormApply(in kernel.BatchNormApply) step {
	x, y, n := b.f32(in.X), b.f32(in.Y), in.N
	mean, variance, gain, bias := b.f32(in.Mean), b.f32(in.Var), b.f32(in.Gain), b.f32(in.Bias)
	invStd := b.scratch(n)
	run := b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			normalizeColumns(y[i*n:(i+1)*n], x[i*n:(i+1)*n], mean, invStd, gain, bias)
		}
	})
	return always(func() {
		for j, v := range variance {
			invStd[j] = invStd32(v, in.Epsilon)
		}
		run()
	})
}

// columnSums sums columns of an array of m rows in the order of BatchNorm:
// chains within blocks of kernel.BatchBlock rows, then a tree over the blocks.
type columnSums struct {
	m, n, sums int
	partial    []float32 // [blocks, sums*n], scratch
}

func (b *binder) columnSums(m, n, sums int) *columnSums {
	return &columnSums{m, n, sums, b.scratch(ceilDiv(m, kernel.BatchBlock) * sums * n)}
}

// blocks returns a function that calls chain for every block, with its zeroed
// sums and its range of rows.
func (c *columnSums) blocks(b *binder, chain func(acc []float32, lo, hi int)) func() {
	width := c.sums * c.n
	return b.ranges(ceilDiv(c.m, kernel.BatchBlock), max(1, rowGrain(c.n)/kernel.BatchBlock), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			acc := c.partial[i*width : (i+1)*width]
			clear(acc)
			chain(acc, i*kernel.BatchBlock, min((i+1)*kernel.BatchBlock, c.m))
		}
	})
}

// trees returns a function that adds the blocks up into the first of them and
// then calls done for ranges of columns.
func (c *columnSums) trees(b *binder, done func(lo, hi int)) func() {
	blocks, width := ceilDiv(c.m, kernel.BatchBlock), c.sums*c.n
	return b.columns(blocks*c.sums, c.n, func(lo, hi int) {
		for s := range c.sums {
			treeColumns(c.partial, blocks, width, s*c.n+lo, s*c.n+hi)
		}
		done(lo, hi)
	})
}

// squareChain computes acc = FMA(d, d, acc) with d = x - mean.
func squareChain(acc, x, mean []float32) {
	acc, mean = acc[:len(x)], mean[:len(x)]
	for j, v := range x {
		d := v - mean[j]
		acc[j] = FMA32(d, d, acc[j])
	}
}

// hChain computes acc = FMA(h, dy, acc) with h = (x-mean)*invStd.
func hChain(acc, x, dy, mean, invStd []float32) {
	acc, dy, mean, invStd = acc[:len(x)], dy[:len(x)], mean[:len(x)], invStd[:len(x)]
	for j, v := range x {
		acc[j] = FMA32(float32((v-mean[j])*invStd[j]), dy[j], acc[j])
	}
}

// normalizeColumns computes y = FMA((x-mean)*invStd, gain, bias); y may be x.
func normalizeColumns(y, x, mean, invStd, gain, bias []float32) {
	y, mean, invStd, gain, bias = y[:len(x)], mean[:len(x)], invStd[:len(x)], gain[:len(x)], bias[:len(x)]
	for j, v := range x {
		y[j] = FMA32(float32((v-mean[j])*invStd[j]), gain[j], bias[j])
	}
}

// columnGrad computes dx = (gain*invStd) * FMA(-h, a, dy - b) with
// h = (x-mean)*invStd; dx may be dy.
func columnGrad(dx, x, dy, mean, invStd, gain, a, b []float32) {
	dx, dy, mean, invStd = dx[:len(x)], dy[:len(x)], mean[:len(x)], invStd[:len(x)]
	gain, a, b = gain[:len(x)], a[:len(x)], b[:len(x)]
	for j, v := range x {
		h := float32((v - mean[j]) * invStd[j])
		dx[j] = float32(float32(gain[j]*invStd[j]) * FMA32(-h, a[j], dy[j]-b[j]))
	}
}
