package cpu

import "reprise/kernel"

// The operands of convolutions as matrix products. An image is first copied
// with its padding into scratch memory, so that the patch at any position is
// found at a base plus the same offsets; the product's panels are then gathered
// from there. The zeros of the padding take part in the chains as +0.

// gather is the matrix x[base(p) + offsets[k]] over the positions p of a grid,
// in ascending (n, i, j).
type gather struct {
	x                   []float32
	offsets             []int
	gridH, gridW        int
	image, stepI, stepJ int // distance in x from one n, i, j to the next
}

// cursor is a position of the grid.
type cursor struct{ base, i, j int }

func (g *gather) seek(p int) cursor {
	p, j := p/g.gridW, p%g.gridW
	n, i := p/g.gridH, p%g.gridH
	return cursor{base: n*g.image + i*g.stepI + j*g.stepJ, i: i, j: j}
}

// next advances the cursor by one position.
func (g *gather) next(c *cursor) {
	c.base += g.stepJ
	if c.j++; c.j < g.gridW {
		return
	}
	c.j = 0
	c.base += g.stepI - g.gridW*g.stepJ
	if c.i++; c.i < g.gridH {
		return
	}
	c.i = 0
	c.base += g.image - g.gridH*g.stepI
}

// gatherRows is a Packer with the positions as outer index, summed over the
// offsets.
type gatherRows struct{ gather }

// PackPanel implements Packer, four rows at a time.
func (g *gatherRows) PackPanel(dst []float32, width, row0, rows, k0, ks int) {
	offsets := g.offsets[k0 : k0+ks]
	at := g.seek(row0)
	r := 0
	for ; r+4 <= rows; r += 4 {
		x0 := g.x[at.base:]
		g.next(&at)
		x1 := g.x[at.base:]
		g.next(&at)
		x2 := g.x[at.base:]
		g.next(&at)
		x3 := g.x[at.base:]
		g.next(&at)
		to := r
		for _, o := range offsets {
			d := dst[to : to+4 : to+4]
			d[0], d[1], d[2], d[3] = x0[o], x1[o], x2[o], x3[o]
			to += width
		}
	}
	for ; r < rows; r++ {
		x := g.x[at.base:]
		g.next(&at)
		to := r
		for _, o := range offsets {
			dst[to] = x[o]
			to += width
		}
	}
}

// gatherColumns is a Packer with the offsets as outer index, summed over the
// positions.
type gatherColumns struct{ gather }

// PackPanel implements Packer. It finds the positions' bases once for all
// columns, then copies columns that lie side by side in x together.
func (g *gatherColumns) PackPanel(dst []float32, width, row0, rows, k0, ks int) {
	offsets := g.offsets[row0 : row0+rows]
	at := g.seek(k0)
	var bases [128]int
	for k := 0; k < ks; k += len(bases) {
		n := min(len(bases), ks-k)
		for i := range n {
			bases[i] = at.base
			g.next(&at)
		}
		g.columns(dst[k*width:], width, offsets, bases[:n])
	}
}

// columns computes dst[k*width+r] = x[bases[k]+offsets[r]].
func (g *gatherColumns) columns(dst []float32, width int, offsets, bases []int) {
	const side = 8
	for r := 0; r < len(offsets); {
		o, to := offsets[r], r
		if r+side <= len(offsets) && offsets[r+side-1] == o+side-1 { // offsets ascend
			for _, base := range bases {
				*(*[side]float32)(dst[to:]) = *(*[side]float32)(g.x[base+o:])
				to += width
			}
			r += side
			continue
		}
		for _, base := range bases {
			dst[to] = g.x[base+o]
			to += width
		}
		r++
	}
}

// patches returns the matrix [N*OutH*OutW, KernelH*KernelW*InChannels] of the
// patches of an image that is stored with its padding (im2col).
func patches(s kernel.ConvShape, padded []float32) gather {
	row := (s.W + 2*s.PadW) * s.InChannels
	g := gather{
		x: padded, gridH: s.OutH, gridW: s.OutW,
		image: (s.H + 2*s.PadH) * row, stepI: s.StrideH * row, stepJ: s.StrideW * s.InChannels,
	}
	for kh := range s.KernelH {
		for i := range s.KernelW * s.InChannels {
			g.offsets = append(g.offsets, kh*row+i)
		}
	}
	return g
}

// gradPatches returns the matrix [N*H*W, KernelH*KernelW*OutChannels] that
// holds, for each input position, the output gradients that reach it through
// (kh, kw). They are stored spread out: at the distance of the strides, with a
// margin of zeros (spread).
func gradPatches(s kernel.ConvShape, spread []float32) gather {
	row := (s.W + s.KernelW - 1) * s.OutChannels
	g := gather{
		x: spread, gridH: s.H, gridW: s.W,
		image: (s.H + s.KernelH - 1) * row, stepI: row, stepJ: s.OutChannels,
	}
	for kh := range s.KernelH {
		for kw := range s.KernelW {
			for o := range s.OutChannels {
				g.offsets = append(g.offsets, (s.KernelH-1-kh)*row+(s.KernelW-1-kw)*s.OutChannels+o)
			}
		}
	}
	return g
}

// rowsOf returns the plain matrix [rows, n].
func rowsOf(x []float32, n int) gather {
	g := gather{x: x, gridH: 1, gridW: 1, image: n, offsets: make([]int, n)}
	for i := range g.offsets {
		g.offsets[i] = i
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

// trivial reports whether the images stay as they are.
func (p *placement) trivial() bool {
	return p.height == p.h && p.width == p.w && p.top == 0 && p.left == 0 && p.stepH == 1 && p.stepW == 1
}

func (p *placement) elements() int { return p.n * p.height * p.width * p.c }

// image places image n of x in dst.
func (p *placement) image(dst, x []float32, n int) {
	size := p.height * p.width * p.c
	dst = dst[n*size : (n+1)*size]
	clear(dst)
	for h := range p.h {
		to := p.top + h*p.stepH
		if to < 0 || to >= p.height {
			continue
		}
		line := dst[to*p.width*p.c : (to+1)*p.width*p.c]
		from := x[(n*p.h+h)*p.w*p.c : (n*p.h+h+1)*p.w*p.c]
		if p.stepW == 1 {
			lo, hi := max(0, -p.left), min(p.w, p.width-p.left)
			if lo < hi {
				copy(line[(p.left+lo)*p.c:], from[lo*p.c:hi*p.c])
			}
			continue
		}
		for w := range p.w {
			if at := p.left + w*p.stepW; at >= 0 && at < p.width {
				copy(line[at*p.c:(at+1)*p.c], from[w*p.c:(w+1)*p.c])
			}
		}
	}
}

// weightColumns is Weight [O,KH,KW,I] as the matrix [KH*KW*O, I].
type weightColumns struct {
	w []float32
	kernel.ConvShape
}

// PackPanel implements Packer.
func (c *weightColumns) PackPanel(dst []float32, width, row0, rows, k0, ks int) {
	taps := c.KernelH * c.KernelW
	tap, o := k0/c.OutChannels, k0%c.OutChannels
	for k := range ks {
		at := (o*taps+tap)*c.InChannels + row0
		copy(dst[k*width:k*width+rows], c.w[at:at+rows])
		if o++; o == c.OutChannels {
			o = 0
			tap++
		}
	}
}
