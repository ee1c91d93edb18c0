package cpu

import "reprise/kernel"

// The geometry of a convolution's patches, and the copies of images that
// contain them. The zeros of the padding take part in the chains as +0.

// patches returns the patches [OutH*OutW, KernelH*KernelW*InChannels] of an
// image that is stored with its padding.
func patches(s kernel.ConvShape) grid {
	row := (s.W + 2*s.PadW) * s.InChannels
	g := grid{
		h: s.OutH, w: s.OutW, stepI: s.StrideH * row, stepJ: s.StrideW * s.InChannels,
		length: s.KernelW * s.InChannels,
	}
	for kh := range s.KernelH {
		g.segments = append(g.segments, kh*row)
	}
	return g
}

// gradPatches returns the patches [H*W, KernelH*KernelW*OutChannels] that hold,
// for each input position, the output gradients that reach it through (kh, kw).
// They are stored spread out: at the distance of the strides, with a margin of
// zeros (spread).
func gradPatches(s kernel.ConvShape) grid {
	row := (s.W + s.KernelW - 1) * s.OutChannels
	g := grid{h: s.H, w: s.W, stepI: row, stepJ: s.OutChannels, length: s.OutChannels}
	for kh := range s.KernelH {
		for kw := range s.KernelW {
			g.segments = append(g.segments, (s.KernelH-1-kh)*row+(s.KernelW-1-kw)*s.OutChannels)
		}
	}
	return g
}

// placement says where the rows of images [N,H,W,C] go in larger images:
// pixel (h, w) to (top + h*stepH, left + w*stepW) if that lies within
// [height, width]. The other pixels are zero.
type placement struct {
	n, h, w, c    int
	height, width int
	top, left     int
	stepH, stepW  int
}

// padding is the placement of a convolution's input with its padding.
func padding(s kernel.ConvShape) placement {
	return placement{
		n: s.N, h: s.H, w: s.W, c: s.InChannels,
		height: s.H + 2*s.PadH, width: s.W + 2*s.PadW,
		top: s.PadH, left: s.PadW, stepH: 1, stepW: 1,
	}
}

// spread is the placement of a convolution's output gradient for gradPatches.
func spread(s kernel.ConvShape) placement {
	return placement{
		n: s.N, h: s.OutH, w: s.OutW, c: s.OutChannels,
		height: s.H + s.KernelH - 1, width: s.W + s.KernelW - 1,
		top: s.KernelH - 1 - s.PadH, left: s.KernelW - 1 - s.PadW,
		stepH: s.StrideH, stepW: s.StrideW,
	}
}

// trivial reports whether the images need no copy.
func (p *placement) trivial() bool {
	return p.height == p.h && p.width == p.w && p.top == 0 && p.left == 0 && p.stepH == 1 && p.stepW == 1
}

// size is the number of elements of a placed image.
func (p *placement) size() int { return p.height * p.width * p.c }

// image places image n of x in dst.
func (p *placement) image(dst, x []float32, n int) {
	row := p.width * p.c
	next := 0 // the first line of dst not yet written
	for h := range p.h {
		to := p.top + h*p.stepH
		if to < 0 || to >= p.height {
			continue
		}
		clear(dst[next*row : to*row])
		from := x[(n*p.h+h)*p.w*p.c : (n*p.h+h+1)*p.w*p.c]
		p.line(dst[to*row:(to+1)*row], from)
		next = to + 1
	}
	clear(dst[next*row : p.height*row])
}

// line places one line of an image.
func (p *placement) line(dst, x []float32) {
	if p.stepW == 1 {
		lo, hi := max(0, -p.left), min(p.w, p.width-p.left)
		if lo >= hi {
			clear(dst)
			return
		}
		clear(dst[:(p.left+lo)*p.c])
		copy(dst[(p.left+lo)*p.c:], x[lo*p.c:hi*p.c])
		clear(dst[(p.left+hi)*p.c:])
		return
	}
	clear(dst)
	for w := range p.w {
		if at := p.left + w*p.stepW; at >= 0 && at < p.width {
			copy(dst[at*p.c:(at+1)*p.c], x[w*p.c:(w+1)*p.c])
		}
	}
}
