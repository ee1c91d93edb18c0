package cpu

import "reprise/kernel"

func (b *binder) batchNorm(in kernel.BatchNorm) step {
	c := b.columnwise(b.f32(in.X), in.M, in.N, 1)
	y, gain, bias := b.f32(in.Y), b.f32(in.Gain), b.f32(in.Bias)
	mean, invStd, batchMean, batchVar := b.f32(in.Mean), b.f32(in.InvStd), b.f32(in.BatchMean), b.f32(in.BatchVar)
	sums := c.blocks(b, func(_ int, sum []float32, lo, hi int) {
		b.elements.sumColumns(sum, c.x[lo*c.n:], hi-lo, c.n)
	})
	means := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			mean[j] = c.partial[j] / float32(in.M)
		}
		copy(batchMean[lo:hi], mean[lo:hi])
		c.repeat(c.mean, mean, lo, hi)
	})
	squares := c.blocks(b, func(worker int, sum []float32, lo, hi int) {
		clear(sum)
		c.chunks(lo, hi, func(at, size int) {
			d := c.temp(worker, size)
			b.elements.subtract(d, c.x[at:at+size], c.mean[:size])
			b.elements.fmaColumns(sum, d, d, size/c.n, c.n)
		})
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
	apply := b.ranges(in.M, rowGrain(c.n), func(lo, hi int) { c.apply(&b.elements, y, lo, hi) })
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
	apply := b.ranges(in.M, rowGrain(c.n), func(lo, hi int) { c.apply(&b.elements, y, lo, hi) })
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
	dgain, dbias, n := b.f32(in.DGain), b.f32(in.DBias), in.N
	// A block's sums are those of dgain and then those of dbias.
	sums := c.blocks(b, func(worker int, sum []float32, lo, hi int) {
		clear(sum[:n])
		c.chunks(lo, hi, func(at, size int) {
			h := c.normalized(&b.elements, worker, at, size)
			b.elements.fmaColumns(sum[:n], h, dy[at:at+size], size/n, n)
		})
		b.elements.sumColumns(sum[n:], dy[lo*n:], hi-lo, n)
	})
	factors := c.trees(b, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			dgain[j], dbias[j] = c.partial[j], c.partial[n+j]
			c.slope[j] = -(dgain[j] / float32(in.M))
			c.bias[j] = dbias[j] / float32(in.M)
			c.gain[j] = float32(gain[j] * invStd[j])
		}
		c.repeat(c.slope, c.slope, lo, hi)
		c.repeat(c.bias, c.bias, lo, hi)
		c.repeat(c.gain, c.gain, lo, hi)
	})
	apply := b.workerRanges(in.M, rowGrain(n), func(worker, lo, hi int) {
		c.chunks(lo, hi, func(at, size int) {
			h, to := c.normalized(&b.elements, worker, at, size), dx[at:at+size]
			b.elements.subtract(to, dy[at:at+size], c.bias[:size])
			b.elements.fma(to, h, c.slope[:size], to)
			b.elements.multiply(to, to, c.gain[:size])
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

// columnwise is what the batch normalisations share: sums of columns in
// BatchNorm's order, and operations on rows with a factor for each column. Since
// rows may be as short as a few channels, these work on a chunk of whole rows at
// a time, and the factors are repeated to the length of a chunk.
type columnwise struct {
	x       []float32 // [m,n]
	m, n    int
	sums    int       // for each column and block
	chunk   int       // elements of a chunk, a multiple of n
	partial []float32 // [blocks, sums*n], scratch; the trees end in its first row
	temps   []float32 // [Threads, chunk], scratch
	// Factors [chunk], scratch.
	mean, invStd, gain, bias, slope []float32
}

func (b *binder) columnwise(x []float32, m, n, sums int) *columnwise {
	const elements = 1 << 10 // so that a chunk and its factors stay in the first cache
	c := &columnwise{x: x, m: m, n: n, sums: sums, chunk: min(m, max(1, elements/n)) * n}
	s := b.scratches(ceilDiv(m, kernel.BatchBlock)*sums*n, b.pool.Threads()*c.chunk, c.chunk, c.chunk, c.chunk, c.chunk, c.chunk)
	c.partial, c.temps, c.mean, c.invStd, c.gain, c.bias, c.slope = s[0], s[1], s[2], s[3], s[4], s[5], s[6]
	return c
}

// blocks returns a function that calls do with every block's sums and its range
// of rows.
func (c *columnwise) blocks(b *binder, do func(worker int, sum []float32, lo, hi int)) func() {
	return b.workerRanges(ceilDiv(c.m, kernel.BatchBlock), max(1, rowGrain(c.n)/kernel.BatchBlock), func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			do(worker, row(c.partial, i, c.sums*c.n), i*kernel.BatchBlock, min((i+1)*kernel.BatchBlock, c.m))
		}
	})
}

// trees returns a function that adds the blocks up into the first of them and
// then calls done for ranges of columns.
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

// temp returns scratch memory of the worker.
func (c *columnwise) temp(worker, size int) []float32 { return c.temps[worker*c.chunk:][:size] }

// normalized returns (x-mean)*invStd of a chunk in the worker's scratch memory.
func (c *columnwise) normalized(r *elementKernels, worker, at, size int) []float32 {
	h := c.temp(worker, size)
	r.subtract(h, c.x[at:at+size], c.mean[:size])
	r.multiply(h, h, c.invStd[:size])
	return h
}

// apply computes rows [lo,hi) of y = FMA((x-mean)*invStd, gain, bias).
func (c *columnwise) apply(r *elementKernels, y []float32, lo, hi int) {
	c.chunks(lo, hi, func(at, size int) {
		to := y[at : at+size]
		r.subtract(to, c.x[at:at+size], c.mean[:size])
		r.multiply(to, to, c.invStd[:size])
		r.fma(to, to, c.gain[:size], c.bias[:size])
	})
}
