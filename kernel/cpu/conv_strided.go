package cpu

import (
	"math"

	"reprise/kernel"
)

// stridedGrad is a Conv2DGradInput with strides. Most values of its patches are
// zeros from between the outputs. With a finite weight such a +0 gives a
// product of ±0, which changes nothing in a chain except a -0 to +0. So the
// zeros are skipped: a result other than -0 is that of the whole chain, and the
// rare -0, which requires underflowing products, is computed again.
//
// The pixels that are reached through the same taps form a phase, and each
// phase is a separate product. Pixels that no tap reaches are +0.
type stridedGrad struct {
	kernel.ConvShape
	placement
	dy, weight, dx []float32
	phases         []phase
	perPart        int // phases
	workers        []tileScratch
	scratch        []float32 // for each worker the placed image and a phase's DX
	share          int       // of scratch, for a worker
}

// phase is the product of the pixels (top+i*StrideH, left+j*StrideW).
type phase struct {
	patchTiles
	top, left int
	taps      []int // kh*KernelW + kw
}

// stridedGrad makes the step. general is the step for weights that are not all
// finite.
func (b *binder) stridedGrad(in kernel.Conv2DGradInput, general step) step {
	s := in.ConvShape
	g := &stridedGrad{ConvShape: s, dy: b.f32(in.DY), weight: b.f32(in.Weight), dx: b.f32(in.DX), workers: b.tileScratch()}
	// Outputs (oh, ow) from -margin on, as far as any pixel's taps reach.
	marginH, marginW := (s.KernelH-1)/s.StrideH+1, (s.KernelW-1)/s.StrideW+1
	g.placement = placement{
		n: s.N, h: s.OutH, w: s.OutW, c: s.OutChannels, top: marginH, left: marginW, stepH: 1, stepW: 1,
		height: (s.H-1+s.PadH)/s.StrideH + 1 + marginH, width: (s.W-1+s.PadW)/s.StrideW + 1 + marginW,
	}
	panels, largest := 0, 0
	for top := range min(s.StrideH, s.H) {
		for left := range min(s.StrideW, s.W) {
			p := g.phase(top, left, b.variant)
			g.phases = append(g.phases, p)
			panels += ceilDiv(s.InChannels, p.tile.cols) * p.tile.cols * p.depth()
			largest = max(largest, p.h*p.w*s.InChannels)
		}
	}
	g.share = g.size() + largest
	memory, rest := b.scratch2(panels, len(g.workers)*g.share)
	g.scratch = rest
	for i := range g.phases {
		p := &g.phases[i]
		size := min(len(memory), ceilDiv(s.InChannels, p.tile.cols)*p.tile.cols*p.depth())
		p.panels, memory = memory[:size], memory[size:]
	}
	g.perPart = len(g.phases)
	if threads := b.pool.Threads(); threads > 1 && s.N < 4*threads {
		g.perPart = 1
	}
	part, parts := g.part, s.N*len(g.phases)/g.perPart
	return func(scalars kernel.Scalars) error {
		if !allFinite(g.weight) {
			return general(scalars)
		}
		for i := range g.phases {
			g.pack(&g.phases[i])
		}
		b.pool.RunWorkers(parts, part)
		return nil
	}
}

// phase returns the phase that begins at pixel (top, left).
func (g *stridedGrad) phase(top, left int, v *matMulVariant) phase {
	s, row := g.ConvShape, g.width*g.c
	p := phase{top: top, left: left, patchTiles: patchTiles{matMulVariant: v, columns: s.InChannels, grid: grid{
		h: ceilDiv(s.H-top, s.StrideH), w: ceilDiv(s.W-left, s.StrideW), stepI: row, stepJ: g.c, length: g.c,
	}}}
	for kh := range s.KernelH {
		for kw := range s.KernelW {
			h, w := top+s.PadH-kh, left+s.PadW-kw
			if h%s.StrideH == 0 && w%s.StrideW == 0 {
				p.taps = append(p.taps, kh*s.KernelW+kw)
				p.segments = append(p.segments, (h/s.StrideH+g.top)*row+(w/s.StrideW+g.left)*g.c)
			}
		}
	}
	p.blocks = max(1, min(len(p.segments), ceilDiv(p.depth(), p.tile.depth)))
	return p
}

// pack packs the weights of a phase's taps.
func (g *stridedGrad) pack(p *phase) {
	cols, taps := p.tile.cols, g.KernelH*g.KernelW
	for j := 0; j < g.InChannels; j += cols {
		n := min(cols, g.InChannels-j)
		panel := p.panels[j*p.depth():][:cols*p.depth()]
		if n < cols {
			clear(panel)
		}
		for i, tap := range p.taps {
			packStraight(panel[i*g.OutChannels*cols:], cols, g.weight[tap*g.InChannels+j:], taps*g.InChannels, n, g.OutChannels)
		}
	}
}

// part computes some phases of an image.
func (g *stridedGrad) part(worker, part int) {
	first := part * g.perPart
	n := first / len(g.phases)
	scratch := g.scratch[worker*g.share : (worker+1)*g.share]
	x, y := scratch[:g.size()], scratch[g.size():]
	g.image(x, g.dy, n)
	for i := range g.perPart {
		p := &g.phases[first%len(g.phases)+i]
		if len(p.taps) == 0 {
			g.clear(p, n)
			continue
		}
		p.rows(&g.workers[worker], x, y, 0, 0, p.grid.h*p.grid.w)
		g.scatter(p, y, n)
	}
}

// clear sets a phase's pixels to +0.
func (g *stridedGrad) clear(p *phase, n int) {
	for i := range p.grid.h {
		to, step := g.line(p, n, i)
		for range p.grid.w {
			clear(to[:g.InChannels])
			to = to[min(step, len(to)):]
		}
	}
}

// line returns DX from the first pixel of a phase's line on, and the distance of
// its pixels.
func (g *stridedGrad) line(p *phase, n, i int) (dx []float32, step int) {
	h := p.top + i*g.StrideH
	return g.dx[((n*g.H+h)*g.W+p.left)*g.InChannels : (n*g.H+h+1)*g.W*g.InChannels], g.StrideW * g.InChannels
}

// scatter writes a phase's pixels to their places in image n of DX.
func (g *stridedGrad) scatter(p *phase, y []float32, n int) {
	c := g.InChannels
	for i := range p.grid.h {
		from := row(y, i, p.grid.w*c)
		if p.hasNegativeZero(from) {
			for e, v := range from {
				if math.Float32bits(v) == negativeZero {
					from[e] = g.chain(n, p.top+i*g.StrideH, p.left+e/c*g.StrideW, e%c)
				}
			}
		}
		to, step := g.line(p, n, i)
		for ; len(from) > 0; from = from[c:] {
			copyLines(to[:c], from)
			to = to[min(step, len(to)):]
		}
	}
}

// chain computes one element with all of its zeros.
func (g *stridedGrad) chain(n, h, w, i int) float32 {
	var sum float32
	for kh := range g.KernelH {
		for kw := range g.KernelW {
			oh, ow := h+g.PadH-kh, w+g.PadW-kw
			inside := oh >= 0 && ow >= 0 && oh%g.StrideH == 0 && ow%g.StrideW == 0 && oh/g.StrideH < g.OutH && ow/g.StrideW < g.OutW
			for o := range g.OutChannels {
				var dy float32
				if inside {
					dy = g.dy[((n*g.OutH+oh/g.StrideH)*g.OutW+ow/g.StrideW)*g.OutChannels+o]
				}
				sum = FMA32(dy, g.weight[((o*g.KernelH+kh)*g.KernelW+kw)*g.InChannels+i], sum)
			}
		}
	}
	return sum
}

// copyLines is copy for a few cache lines.
func copyLines(to, from []float32) {
	for len(to) >= 16 {
		*(*[16]float32)(to) = *(*[16]float32)(from)
		to, from = to[16:], from[16:]
	}
	copy(to, from)
}

const negativeZero = 1 << 31

// hasNegativeZero reports whether x holds a -0.
func hasNegativeZero(x []float32) bool {
	for _, v := range x {
		if math.Float32bits(v) == negativeZero {
			return true
		}
	}
	return false
}

// allFinite reports whether x holds neither infinities nor NaNs.
func allFinite(x []float32) bool {
	const exponent = 0xff << 23
	for _, v := range x {
		if math.Float32bits(v)&exponent == exponent {
			return false
		}
	}
	return true
}
