package cpu

import "reprise/kernel"

// invStd32 is 1/sqrt(variance + epsilon), each operation rounded.
func invStd32(variance, epsilon float32) float32 { return 1 / root32(variance+epsilon) }

func (b *binder) layerNorm(in kernel.LayerNorm) step {
	x, gain, bias, y := b.f32(in.X), b.f32(in.Gain), b.f32(in.Bias), b.f32(in.Y)
	means, invStds, n := b.f32(in.Mean), b.f32(in.InvStd), in.N
	return always(b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := x[i*n : (i+1)*n]
			mean := laneSum(row) / float32(n)
			inv := invStd32(laneSquares(row, mean)/float32(n), in.Epsilon)
			means[i], invStds[i] = mean, inv
			normalize(y[i*n:(i+1)*n], row, mean, inv, gain, bias)
		}
	}))
}

// rowGrain is the number of rows of n elements, with several passes over each,
// below which a second thread does not pay.
func rowGrain(n int) int { return max(1, cheapGrain/(4*n)) }

// normalize computes y = FMA((x-mean)*inv, gain, bias); y may be x.
func normalize(y, x []float32, mean, inv float32, gain, bias []float32) {
	y, gain, bias = y[:len(x)], gain[:len(x)], bias[:len(x)]
	for j, v := range x {
		y[j] = FMA32(float32((v-mean)*inv), gain[j], bias[j])
	}
}

func (b *binder) rmsNorm(in kernel.RMSNorm) step {
	x, gain, y, invStds, n := b.f32(in.X), b.f32(in.Gain), b.f32(in.Y), b.f32(in.InvStd), in.N
	return always(b.ranges(in.M, rowGrain(n), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := x[i*n : (i+1)*n]
			inv := invStd32(laneSquares(row, 0)/float32(n), in.Epsilon)
			invStds[i] = inv
			scaleRow(y[i*n:(i+1)*n], row, inv, gain)
		}
	}))
}

// scaleRow computes y = (x*inv)*gain; y may be x.
func scaleRow(y, x []float32, inv float32, gain []float32) {
	y, gain = y[:len(x)], gain[:len(x)]
	for j, v := range x {
		y[j] = float32(float32(v*inv) * gain[j])
	}
}

func (b *binder) layerNormGrad(in kernel.LayerNormGrad) step {
	g := &normGrad{
		m: in.M, n: in.N, x: b.f32(in.X), gain: b.f32(in.Gain), dy: b.f32(in.DY), dx: b.f32(in.DX),
		mean: b.f32(in.Mean), invStd: b.f32(in.InvStd), dgain: b.f32(in.DGain), dbias: b.f32(in.DBias),
	}
	return b.normGrad(g)
}

func (b *binder) rmsNormGrad(in kernel.RMSNormGrad) step {
	g := &normGrad{
		m: in.M, n: in.N, x: b.f32(in.X), gain: b.f32(in.Gain), dy: b.f32(in.DY), dx: b.f32(in.DX),
		invStd: b.f32(in.InvStd), dgain: b.f32(in.DGain),
	}
	return b.normGrad(g)
}

// normGrad is the gradient of both kinds. Without a mean, RMSNorm's, x - 0 and
// g - 0 change no bit.
type normGrad struct {
	m, n         int
	x, gain      []float32
	mean         []float32 // nil for RMSNorm
	invStd       []float32
	dy, dx       []float32 // dx may be dy
	dgain, dbias []float32 // dbias is nil for RMSNorm
}

func (b *binder) normGrad(g *normGrad) step {
	parameters := b.columns(4*g.m, g.n, g.parameters)
	inputs := b.ranges(g.m, rowGrain(g.n), g.inputs)
	return always(func() {
		parameters() // first, since inputs may overwrite dy
		inputs()
	})
}

func (g *normGrad) center(i int) float32 {
	if g.mean == nil {
		return 0
	}
	return g.mean[i]
}

// parameters computes columns [lo,hi) of dgain and dbias, each a chain over all
// rows.
func (g *normGrad) parameters(lo, hi int) {
	dgain := g.dgain[lo:hi]
	clear(dgain)
	for i := range g.m {
		gainChain(dgain, g.x[i*g.n+lo:i*g.n+hi], g.dy[i*g.n+lo:i*g.n+hi], g.center(i), g.invStd[i])
	}
	if g.dbias == nil {
		return
	}
	dbias := g.dbias[lo:hi]
	clear(dbias)
	for i := range g.m {
		add(dbias, g.dy[i*g.n+lo:i*g.n+hi])
	}
}

// gainChain computes acc = FMA((x-mean)*inv, dy, acc).
func gainChain(acc, x, dy []float32, mean, inv float32) {
	acc, dy = acc[:len(x)], dy[:len(x)]
	for j, v := range x {
		acc[j] = FMA32(float32((v-mean)*inv), dy[j], acc[j])
	}
}

// inputs computes rows [lo,hi) of dx.
func (g *normGrad) inputs(lo, hi int) {
	for i := lo; i < hi; i++ {
		x, dy, dx := g.x[i*g.n:(i+1)*g.n], g.dy[i*g.n:(i+1)*g.n], g.dx[i*g.n:(i+1)*g.n]
		mean, inv := g.center(i), g.invStd[i]
		sum, dot := laneGains(x, dy, g.gain, mean, inv)
		a, b := sum/float32(g.n), dot/float32(g.n)
		if g.mean == nil {
			a = 0
		}
		rowGrad(dx, x, dy, g.gain, mean, inv, a, b)
	}
}

// laneGains returns the sums of g and, fused, of g*h, with g = dy*gain and
// h = (x-mean)*inv.
func laneGains(x, dy, gain []float32, mean, inv float32) (sum, dot float32) {
	var sums, dots [lanes]float32
	dy, gain = dy[:len(x)], gain[:len(x)]
	for j, v := range x {
		g := float32(dy[j] * gain[j])
		sums[j%lanes] += g
		dots[j%lanes] = FMA32(g, float32((v-mean)*inv), dots[j%lanes])
	}
	return laneTree(&sums), laneTree(&dots)
}

// rowGrad computes dx = inv * FMA(-h, b, g - a), with g = dy*gain and
// h = (x-mean)*inv; dx may be dy.
func rowGrad(dx, x, dy, gain []float32, mean, inv, a, b float32) {
	dx, dy, gain = dx[:len(x)], dy[:len(x)], gain[:len(x)]
	for j, v := range x {
		h := float32((v - mean) * inv)
		dx[j] = float32(inv * FMA32(-h, b, float32(dy[j]*gain[j])-a))
	}
}
