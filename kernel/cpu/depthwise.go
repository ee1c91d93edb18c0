package cpu

import "reprise/kernel"

// depthwiseKernel computes, for p < positions and c < channels,
//
//	v := s[p*lds+c]
//	for t, o := range off {
//		v = FMA32(x[p*step+o+c], w[t*stride+c], v)
//	}
//	y[p*stride+c] = v
//
// s may be y, with lds = stride. Like a tile kernel it trusts its arguments'
// lengths.
type depthwiseKernel func(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)

// depthwise is the depthwiseKernel in Go, which the others equal.
func depthwise(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int) {
	for p := range positions {
		for c := range channels {
			v := s[p*lds+c]
			for t, o := range off {
				v = FMA32(x[p*step+o+c], w[t*stride+c], v)
			}
			y[p*stride+c] = v
		}
	}
}

// placedImages returns the placed images and the function that places them
// before each use.
func (b *binder) placedImages(p placement, x []float32) (images []float32, place func()) {
	if p.trivial() {
		return x, func() {}
	}
	images = b.scratch(p.n * p.size())
	return images, b.ranges(p.n, max(1, cheapGrain/p.size()), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			p.image(images[n*p.size():(n+1)*p.size()], x, n)
		}
	})
}

func (b *binder) depthwiseConv2D(in kernel.DepthwiseConv2D) step {
	return b.depthwisePatches(in.ConvShape, patches(in.ConvShape), padding(in.ConvShape), b.f32(in.X), b.f32(in.Weight), b.f32(in.Bias), b.f32(in.Y))
}

func (b *binder) depthwiseConv2DGradInput(in kernel.DepthwiseConv2DGradInput) step {
	return b.depthwisePatches(in.ConvShape, gradPatches(in.ConvShape), spread(in.ConvShape), b.f32(in.DY), b.f32(in.Weight), nil, b.f32(in.DX))
}

// depthwisePatches convolves the placed images: a row of positions at a time.
func (b *binder) depthwisePatches(s kernel.ConvShape, g grid, p placement, x, w, bias, y []float32) step {
	c, taps := s.InChannels, s.KernelH*s.KernelW
	var off []int // of the taps, in the order of the sum
	for _, at := range g.segments {
		for i := 0; i < g.length; i += c {
			off = append(off, at+i)
		}
	}
	if bias == nil {
		bias = make([]float32, c)
	}
	run := b.variant.depthwise
	images, place := b.placedImages(p, x)
	rows := b.ranges(p.n*g.h, max(1, windowGrain/(g.w*c*taps)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			from := images[i/g.h*p.size()+i%g.h*g.stepI:]
			run(g.w, c, y[i*g.w*c:(i+1)*g.w*c], bias, 0, from, g.stepJ, off, w, c)
		}
	})
	return always(func() {
		place()
		rows()
	})
}

// depthwiseBlock is the least number of channels that a part of a weight's
// gradient has: a cache line.
const depthwiseBlock = 16

// depthwiseConv2DGradWeight sums over the positions, a row of them at a time.
// To the kernel, the taps kw of a row are the positions, and the positions are
// the taps.
func (b *binder) depthwiseConv2DGradWeight(in kernel.DepthwiseConv2DGradWeight) step {
	g, p := patches(in.ConvShape), padding(in.ConvShape)
	c, dy, dw := in.InChannels, b.f32(in.DY), b.f32(in.DWeight)
	off := make([]int, g.w)
	for j := range off {
		off[j] = j * g.stepJ
	}
	run, zero := b.variant.depthwise, make([]float32, c)
	images, place := b.placedImages(p, b.f32(in.X))
	// Parts are rows of taps by blocks of channels: positions are never divided.
	blocks := ceilDiv(c, depthwiseBlock)
	if b.pool.Threads() == 1 {
		blocks = 1
	}
	part := func(i int) {
		kh, block := i/blocks, i%blocks
		c0, c1 := block*depthwiseBlock, min((block+1)*depthwiseBlock, c)
		if blocks == 1 {
			c0, c1 = 0, c
		}
		y := dw[kh*in.KernelW*c+c0:]
		for r := range p.n * g.h {
			s, lds := y, c
			if r == 0 {
				s, lds = zero, 0
			}
			x := images[r/g.h*p.size()+r%g.h*g.stepI+g.segments[kh]+c0:]
			run(in.KernelW, c1-c0, y, s, lds, x, c, off, dy[r*g.w*c+c0:], c)
		}
	}
	return always(func() {
		place()
		b.pool.Run(in.KernelH*blocks, part)
	})
}
