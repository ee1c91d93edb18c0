package cpu

import "reprise/kernel"

func (b *binder) batchNorm(in kernel.BatchNorm) step {
	c := b.columnwise(b.f32(in.X), in.M, in.N, 1)
	y, gain, bias := b.f32(in.Y), b.f32(in.Gain), b.f32(in.Bias)
	mean, invStd, batchMean, batchVar := b.f32(in.Mean), b.f32(in.InvStd), b.f32(in.BatchMean), b.f32(in.BatchVar)
	sums := c.blocks(b, func(sum []float32, lo, hi int) {
		b.elements.sumColumns(sum, c.x[lo*c.n:], hi-lo, c.n)
	})
	means := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			mean[j] = c.partial[j] / float32(in.M)
		}
		copy(batchMean[lo:hi], mean[lo:hi])
		c.repeat(c.mean, mean, lo, hi)
	})
	squares := c.blocks(b, func(sum []float32, lo, hi int) {
		b.elements.squareColumns(sum, c.x[lo*c.n:], c.mean, hi-lo, c.n)
	})
	variances := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			invStd[j] = invStd32(c.partial[j]/float32(in.M), in.Epsilon)
			batchVar[j] = c.partial[j] / float32(max(in.M-1, 1))
		}
		c.repeat(c.invStd, invStd, lo, hi)
		c.repeat(c.gain, gain, lo, hi)
		c.repeat(c.bias, bias, lo, hi)
	})
	apply := c.apply(b, y)
	return always(func() {
		sums()
		means()
		squares()
		variances()
		apply()
	})
}

func (b *binder) batchNormApply(in kernel.BatchNormApply) step {
	c := b.columnwise(b.f32(in.X), in.M, in.N, 1)
	y, mean, variance, gain, bias := b.f32(in.Y), b.f32(in.Mean), b.f32(in.Var), b.f32(in.Gain), b.f32(in.Bias)
	apply := c.apply(b, y)
	return always(func() {
		for j, v := range variance {
			c.partial[j] = invStd32(v, in.Epsilon)
		}
		c.repeat(c.mean, mean, 0, c.n)
		c.repeat(c.invStd, c.partial, 0, c.n)
		c.repeat(c.gain, gain, 0, c.n)
		c.repeat(c.bias, bias, 0, c.n)
		apply()
	})
}

func (b *binder) batchNormGrad(in kernel.BatchNormGrad) step {
	c := b.columnwise(b.f32(in.X), in.M, in.N, 2)
	dy, dx, gain, mean, invStd := b.f32(in.DY), b.f32(in.DX), b.f32(in.Gain), b.f32(in.Mean), b.f32(in.InvStd)
	dgain, dbias, n, before := b.f32(in.DGain), b.f32(in.DBias), in.N, b.before
	// A block's sums are those of dgain and then those of dbias.
	sums := c.blocks(b, func(sum []float32, lo, hi int) {
		before(lo*n, hi*n)
		b.elements.batchGainGrad(sum[:n], c.x[lo*n:], dy[lo*n:], c.mean, c.invStd, hi-lo, n)
		b.elements.sumColumns(sum[n:], dy[lo*n:], hi-lo, n)
	})
	factors := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			dgain[j], dbias[j] = c.partial[j], c.partial[n+j]
			c.slope[j] = dgain[j] / float32(in.M)
			c.bias[j] = dbias[j] / float32(in.M)
			c.gain[j] = float32(gain[j] * invStd[j])
		}
		c.repeat(c.slope, c.slope, lo, hi)
		c.repeat(c.bias, c.bias, lo, hi)
		c.repeat(c.gain, c.gain, lo, hi)
	})
	apply := b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		c.chunks(lo, hi, func(at, size int) {
			b.elements.batchGrad(dx[at:at+size], c.x[at:at+size], dy[at:at+size], c.mean, c.invStd, c.bias, c.slope, c.gain)
		})
	})
	return always(func() {
		c.repeat(c.mean, mean, 0, n)
		c.repeat(c.invStd, invStd, 0, n)
		sums()
		factors()
		apply()
	})
}

// columnwise is shared by the batch normalisations: sums of columns in
// BatchNorm's order, and operations on rows with a factor for each column.
// Since rows may be as short as a few channels, these work on a chunk of whole
// rows at a time, and the factors are repeated to the length of a chunk.
type columnwise struct {
	x       []float32 // [m,n]
	m, n    int
	sums    int       // for each column and block
	chunk   int       // elements of a chunk, a multiple of n
	partial []float32 // [blocks, sums*n], scratch; the trees end in its first row
	// Factors [chunk], scratch.
	mean, invStd, gain, bias, slope []float32
}

func (b *binder) columnwise(x []float32, m, n, sums int) *columnwise {
	const elements = 1 << 10 // so that a chunk and its factors stay in the first cache
	c := &columnwise{x: x, m: m, n: n, sums: sums, chunk: min(m, max(1, elements/n)) * n}
	s := b.scratches(ceilDiv(m, kernel.BatchBlock)*sums*n, c.chunk, c.chunk, c.chunk, c.chunk, c.chunk)
	c.partial, c.mean, c.invStd, c.gain, c.bias, c.slope = s[0], s[1], s[2], s[3], s[4], s[5]
	return c
}

// blocks returns a function that calls do with the sums and the range of rows
// of every block.
func (c *columnwise) blocks(b *binder, do func(sum []float32, lo, hi int)) func() {
	return b.ranges(ceilDiv(c.m, kernel.BatchBlock), max(1, rowGrain(c.n)/kernel.BatchBlock), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			do(row(c.partial, i, c.sums*c.n), i*kernel.BatchBlock, min((i+1)*kernel.BatchBlock, c.m))
		}
	})
}

// trees returns a function that adds the blocks into the first one and then
// calls done for ranges of columns.
func (c *columnwise) trees(b *binder, done func(lo, hi int)) func() {
	blocks, width := ceilDiv(c.m, kernel.BatchBlock), c.sums*c.n
	return b.columns(blocks*c.sums, c.n, func(lo, hi int) {
		for s := range c.sums {
			b.elements.tree(c.partial, blocks, width, s*c.n+lo, s*c.n+hi)
		}
		done(lo, hi)
	})
}

// repeat copies columns [lo,hi) of a row of n to every row of a chunk.
func (c *columnwise) repeat(to, from []float32, lo, hi int) {
	for at := 0; at < c.chunk; at += c.n {
		copy(to[at+lo:at+hi], from[lo:hi])
	}
}

// chunks calls do with the first element and the size of each chunk of rows
// [lo,hi).
func (c *columnwise) chunks(lo, hi int, do func(at, size int)) {
	for at := lo * c.n; at < hi*c.n; at += c.chunk {
		do(at, min(c.chunk, hi*c.n-at))
	}
}

// apply returns a function that computes y = FMA((x-mean)*invStd, gain, bias).
func (c *columnwise) apply(b *binder, y []float32) func() {
	after := b.after
	return b.ranges(c.m, rowGrain(c.n), func(lo, hi int) {
		c.chunks(lo, hi, func(at, size int) {
			b.elements.batchNormal(y[at:at+size], c.x[at:at+size], c.mean, c.invStd, c.gain, c.bias)
			after(at, at+size)
		})
	})
}
