package cpu

import "reprise/kernel"

// windowGrain is the number of elements read below which a second thread does
// not pay off.
const windowGrain = 1 << 13

// window clips the kernel's extent along one axis: positions at+k for
// lo <= k < hi lie within [0,size).
func window(out, stride, pad, kernelSize, size int) (at, lo, hi int) {
	at = out*stride - pad
	return at, max(0, -at), min(kernelSize, size-at)
}

// imageRows returns ranges over the N*OutH rows of the output.
func (b *binder) imageRows(s kernel.ConvShape, row func(n, oh int)) func() {
	grain := max(1, windowGrain/(s.OutW*s.InChannels*s.KernelH*s.KernelW))
	return b.ranges(s.N*s.OutH, grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row(i/s.OutH, i%s.OutH)
		}
	})
}

// images returns ranges over the N images.
func (b *binder) images(s kernel.ConvShape, image func(n int)) func() {
	grain := max(1, windowGrain/(s.H*s.W*s.InChannels))
	return b.ranges(s.N, grain, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			image(n)
		}
	})
}

func (b *binder) maxPool(in kernel.MaxPool2D) step {
	p := &maxPool{in.ConvShape, b.f32(in.X), b.f32(in.Y), b.i32(in.Index), b.elements.maximum}
	return always(b.imageRows(in.ConvShape, p.row))
}

type maxPool struct {
	kernel.ConvShape
	x, y    []float32
	index   []int32
	maximum func(y []float32, index []int32, x []float32, at int32, channels, step int)
}

// row computes the outputs (n, oh, ...): every window's first element, then its
// others in (kh, kw) order, for as many windows at a time as have that element.
func (p *maxPool) row(n, oh int) {
	c := p.InChannels
	ih, h0, h1 := window(oh, p.StrideH, p.PadH, p.KernelH, p.H)
	for ow := 0; ow < p.OutW; {
		iw, w0, w1 := window(ow, p.StrideW, p.PadW, p.KernelW, p.W)
		end := ow + 1
		for end < p.OutW {
			if _, lo, hi := window(end, p.StrideW, p.PadW, p.KernelW, p.W); lo != w0 || hi != w1 {
				break
			}
			end++
		}
		out := (n*p.OutH+oh)*p.OutW*c + ow*c
		y, index := p.y[out:out+(end-ow)*c], p.index[out:out+(end-ow)*c]
		step := p.StrideW * c
		for kh := h0; kh < h1; kh++ {
			for kw := w0; kw < w1; kw++ {
				at := ((n*p.H+ih+kh)*p.W + iw + kw) * c
				x := p.x[at : at+(end-ow-1)*step+c]
				if kh == h0 && kw == w0 {
					first(y, index, x, int32(at), c, step)
					continue
				}
				p.maximum(y, index, x, int32(at), c, step)
			}
		}
		ow = end
	}
}

// first sets y to the elements of x that maximum would compare, and index to
// theirs.
func first(y []float32, index []int32, x []float32, at int32, channels, step int) {
	from := 0
	for to := 0; to < len(y); to += channels {
		copy(y[to:to+channels], x[from:])
		position := index[to : to+channels]
		for i := range position {
			position[i] = at + int32(from+i)
		}
		from += step
	}
}

// maximum compares, for every position p and channel i < channels, y[p*channels
// + i] with x[p*step + i], and replaces it and its index, at + p*step + i, if x
// is greater or is the first NaN.
func maximum(y []float32, index []int32, x []float32, at int32, channels, step int) {
	from := 0
	for to := 0; to < len(y); to += channels {
		best, position := y[to:to+channels], index[to:to+channels]
		for i, v := range x[from : from+channels] {
			if b := best[i]; !(v <= b) && b == b {
				best[i] = v
				position[i] = at + int32(from+i)
			}
		}
		from += step
	}
}

func (b *binder) maxPoolGrad(in kernel.MaxPool2DGrad) step {
	dy, index, dx := b.f32(in.DY), b.i32(in.Index), b.f32(in.DX)
	inputs := in.H * in.W * in.InChannels
	outputs, after := in.OutH*in.OutW*in.InChannels, b.after
	return always(b.images(in.ConvShape, func(n int) {
		// An index into another image is a bug and panics here: it would make
		// two threads write to the same element.
		scatter(dx[n*inputs:(n+1)*inputs], dy[n*outputs:(n+1)*outputs], index[n*outputs:(n+1)*outputs], n*inputs)
		after(n*inputs, (n+1)*inputs)
	}))
}

// scatter zeroes dx and adds each dy[i] to dx[index[i]-base].
func scatter(dx, dy []float32, index []int32, base int) {
	clear(dx)
	index = index[:len(dy)]
	for i, v := range dy {
		dx[int(index[i])-base] += v
	}
}
