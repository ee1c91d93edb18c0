package cpu

import "reprise/kernel"

// invStd32 is 1/sqrt(variance + epsilon), each operation rounded.
func invStd32(variance, epsilon float32) float32 { return 1 / root32(variance+epsilon) }

func (b *binder) layerNorm(in kernel.LayerNorm) step {
	x, gain, bias, y := b.f32(in.X), b.f32(in.Gain), b.f32(in.Bias), b.f32(in.Y)
	means, invStds, n := b.f32(in.Mean), b.f32(in.InvStd), in.N
	return always(b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x, y := row(x, i, n), row(y, i, n)
			mean := b.elements.sum(x) / float32(n)
			b.elements.addTo(y, x, -mean)
			inv := invStd32(b.elements.sumSquares(y)/float32(n), in.Epsilon)
			b.elements.affine(y, y, gain, bias, inv)
			means[i], invStds[i] = mean, inv
		}
	}))
}

func (b *binder) rmsNorm(in kernel.RMSNorm) step {
	x, gain, y, invStds, n := b.f32(in.X), b.f32(in.Gain), b.f32(in.Y), b.f32(in.InvStd), in.N
	return always(b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x, y := row(x, i, n), row(y, i, n)
			inv := invStd32(b.elements.sumSquares(x)/float32(n), in.Epsilon)
			b.elements.scale(y, x, inv)
			b.elements.multiply(y, y, gain)
			invStds[i] = inv
		}
	}))
}

func (b *binder) layerNormGrad(in kernel.LayerNormGrad) step {
	return b.normGrad(&normGrad{
		n: in.N, x: b.f32(in.X), gain: b.f32(in.Gain), mean: b.f32(in.Mean), invStd: b.f32(in.InvStd),
		dy: b.f32(in.DY), dx: b.f32(in.DX), dgain: b.f32(in.DGain), dbias: b.f32(in.DBias),
	})
}

func (b *binder) rmsNormGrad(in kernel.RMSNormGrad) step {
	return b.normGrad(&normGrad{
		n: in.N, x: b.f32(in.X), gain: b.f32(in.Gain), invStd: b.f32(in.InvStd),
		dy: b.f32(in.DY), dx: b.f32(in.DX), dgain: b.f32(in.DGain),
	})
}

// normGrad is the gradient of both kinds.
type normGrad struct {
	rows         *elementKernels
	n            int
	x, gain      []float32
	mean         []float32 // [M], nil for RMSNorm
	invStd       []float32 // [M]
	dy, dx       []float32 // dx may be dy
	dgain, dbias []float32 // dbias is nil for RMSNorm
	h            []float32 // [Threads, n], scratch
}

func (b *binder) normGrad(g *normGrad) step {
	m := len(g.invStd)
	g.rows, g.h = &b.elements, b.scratches(b.pool.Threads() * g.n)[0]
	parameters := b.columns(4*m, g.n, g.parameters)
	inputs := b.workerRanges(m, rowGrain(g.n), g.inputs)
	return always(func() {
		parameters() // first, since inputs may overwrite dy
		inputs()
	})
}

// normalized writes columns [lo,lo+len(h)) of h = (x-mean)*invStd of row i.
func (g *normGrad) normalized(h []float32, i, lo int) {
	x := g.x[i*g.n+lo : i*g.n+lo+len(h)]
	if g.mean == nil {
		g.rows.scale(h, x, g.invStd[i])
		return
	}
	g.rows.addTo(h, x, -g.mean[i])
	g.rows.scale(h, h, g.invStd[i])
}

// parameters computes columns [lo,hi) of dgain and dbias, each a chain over all
// rows.
func (g *normGrad) parameters(lo, hi int) {
	dgain, h := g.dgain[lo:hi], g.h[lo:hi] // the parts divide one row of h
	clear(dgain)
	for i := range g.invStd {
		g.normalized(h, i, lo)
		g.rows.fma(dgain, h, g.dy[i*g.n+lo:i*g.n+hi], dgain)
	}
	if g.dbias != nil {
		g.rows.sumColumns(g.dbias[lo:hi], g.dy[lo:], len(g.invStd), g.n)
	}
}

// inputs computes rows [lo,hi) of dx.
func (g *normGrad) inputs(worker, lo, hi int) {
	h, n := row(g.h, worker, g.n), float32(g.n)
	for i := lo; i < hi; i++ {
		dx := row(g.dx, i, g.n)
		g.normalized(h, i, 0)
		g.rows.multiply(dx, row(g.dy, i, g.n), g.gain)
		b := g.rows.dot(dx, h) / n
		if g.mean != nil {
			g.rows.addTo(dx, dx, -(g.rows.sum(dx) / n))
		}
		g.rows.axpy(dx, h, -b)
		g.rows.scale(dx, dx, g.invStd[i])
	}
}
