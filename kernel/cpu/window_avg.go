package cpu

import "reprise/kernel"

func (b *binder) avgPool(in kernel.AvgPool2D) step {
	p := &avgPool{in.ConvShape, b.f32(in.X), b.f32(in.Y)}
	return always(b.imageRows(in.ConvShape, p.row))
}

// avgPool holds inputs and outputs: x and y, or their gradients.
type avgPool struct {
	kernel.ConvShape
	x, y []float32
}

// row computes the outputs (n, oh, ...), all channels of a position at a time.
func (p *avgPool) row(n, oh int) {
	c := p.InChannels
	ih, h0, h1 := window(oh, p.StrideH, p.PadH, p.KernelH, p.H)
	for ow := range p.OutW {
		iw, w0, w1 := window(ow, p.StrideW, p.PadW, p.KernelW, p.W)
		out := ((n*p.OutH+oh)*p.OutW + ow) * c
		y := p.y[out : out+c]
		clear(y)
		for kh := h0; kh < h1; kh++ {
			for kw := w0; kw < w1; kw++ {
				at := ((n*p.H+ih+kh)*p.W + iw + kw) * c
				add(y, p.x[at:at+c])
			}
		}
		count := float32((h1 - h0) * (w1 - w0))
		for i := range y {
			y[i] /= count
		}
	}
}

// add computes y += x.
func add(y, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}

func (b *binder) avgPoolGrad(in kernel.AvgPool2DGrad) step {
	p := &avgPool{in.ConvShape, b.f32(in.DX), b.f32(in.DY)}
	return always(b.images(in.ConvShape, p.spread))
}

// spread computes the gradient x of image n from the gradient y.
func (p *avgPool) spread(n int) {
	c := p.InChannels
	size := p.H * p.W * c
	clear(p.x[n*size : (n+1)*size])
	for oh := range p.OutH {
		ih, h0, h1 := window(oh, p.StrideH, p.PadH, p.KernelH, p.H)
		for ow := range p.OutW {
			iw, w0, w1 := window(ow, p.StrideW, p.PadW, p.KernelW, p.W)
			out := ((n*p.OutH+oh)*p.OutW + ow) * c
			count := float32((h1 - h0) * (w1 - w0))
			for kh := h0; kh < h1; kh++ {
				for kw := w0; kw < w1; kw++ {
					at := ((n*p.H+ih+kh)*p.W + iw + kw) * c
					addQuotient(p.x[at:at+c], p.y[out:out+c], count)
				}
			}
		}
	}
}

// addQuotient computes x += y/count.
func addQuotient(x, y []float32, count float32) {
	x = x[:len(y)]
	for i, v := range y {
		x[i] += v / count
	}
}
