package cpu

import "reprise/kernel"

// Convolutions as matrix products. Their patches are never materialised: an
// image is copied with its padding (patches.go), so that the patch of any
// position is at a base plus the same offsets, and the tile kernels gather from
// there.

// patchProduct is a Conv2D, or a Conv2DGradInput seen as the convolution of the
// spread output gradient: Y[p,j] = start + patches[p,k] B[k,j], for positions p.
type patchProduct struct {
	patchTiles
	placement
	images  []float32 // before placement
	placed  []float32 // all images, or one for each worker
	perPart bool      // each part places its own image
	// chunk is the number of positions of an image in a part.
	chunk, chunks int

	y       []float32
	after   func(lo, hi int) // what is done to ranges of y next, if anything
	workers []tileScratch
}

// patchTiles multiplies the patches of an image, tile by tile.
type patchTiles struct {
	*matMulVariant
	grid
	panels  []float32 // of B, all k
	columns int       // of B
	blocks  int       // of segments
	bias    []float32
}

// grid are the patches of one placed image: position (i, j) begins at i*stepI +
// j*stepJ, and its values, in the order of k, are segments of equal length.
type grid struct {
	h, w         int
	stepI, stepJ int
	segments     []int
	length       int
}

// depth is the number of values of a patch.
func (g *grid) depth() int { return len(g.segments) * g.length }

// conv2D is Y[p,o] = patches(X)[p,k] Weight[o,k], with p = (n,oh,ow) and
// k = (kh,kw,i).
func (b *binder) conv2D(in kernel.Conv2D) step {
	weight := b.f32(in.Weight)
	return b.patchProduct(&patchProduct{
		patchTiles: patchTiles{grid: patches(in.ConvShape), bias: b.f32(in.Bias), columns: in.OutChannels},
		placement:  padding(in.ConvShape), images: b.f32(in.X), y: b.f32(in.Y),
	}, func(p *patchProduct, panel []float32, j, n int) {
		k := p.depth()
		p.transposed(panel, p.tile.cols, weight[j*k:], k, n, k)
	})
}

// conv2DGradInput is DX[q,i] = gradPatches(DY)[q,k] Weight[k,i], with
// q = (n,h,w) and k = (kh,kw,o).
func (b *binder) conv2DGradInput(in kernel.Conv2DGradInput) step {
	weight := b.f32(in.Weight)
	product := b.patchProduct(&patchProduct{
		patchTiles: patchTiles{grid: gradPatches(in.ConvShape), columns: in.InChannels},
		placement:  spread(in.ConvShape), images: b.f32(in.DY), y: b.f32(in.DX),
	}, func(p *patchProduct, panel []float32, j, n int) {
		taps := in.KernelH * in.KernelW
		for tap := range taps {
			packStraight(panel[tap*in.OutChannels*p.tile.cols:], p.tile.cols, weight[tap*in.InChannels+j:], taps*in.InChannels, n, in.OutChannels)
		}
	})
	if in.StrideH*in.StrideW == 1 {
		return product
	}
	return b.stridedGrad(in, product)
}

// patchProduct makes the step of p. pack fills a panel with the n columns of B
// from j on.
func (b *binder) patchProduct(p *patchProduct, pack func(p *patchProduct, panel []float32, j, n int)) step {
	p.matMulVariant, p.workers, p.after = b.variant, b.tileScratch(), b.after
	p.blocks = min(len(p.segments), ceilDiv(p.depth(), p.tile.depth))
	p.divide(b.pool.Threads())

	size := p.tile.cols * p.depth()
	count := ceilDiv(p.columns, p.tile.cols)
	place := b.place(p, count*size)
	panels := b.ranges(count, max(1, cheapGrain/size), func(lo, hi int) {
		for q := lo; q < hi; q++ {
			panel, j := p.panels[q*size:(q+1)*size], q*p.tile.cols
			n := min(p.tile.cols, p.columns-j)
			if n < p.tile.cols {
				clear(panel)
			}
			pack(p, panel, j, n)
		}
	})
	part := p.part
	return always(func() {
		panels()
		place()
		b.pool.RunWorkers(p.n*p.chunks, part)
	})
}

// place lays out scratch memory, the panels first, and returns what must be
// done to the images before the parts run.
func (b *binder) place(p *patchProduct, panels int) func() {
	nothing := func() {}
	switch {
	case p.trivial():
		p.panels, p.placed = b.scratch(panels), p.images
		return nothing
	case p.perPart:
		p.panels, p.placed = b.scratch2(panels, len(p.workers)*p.size())
		return nothing
	}
	p.panels, p.placed = b.scratch2(panels, p.n*p.size())
	return b.ranges(p.n, 1, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			p.image(p.placed[n*p.size():], p.images, n)
		}
	})
}

// divide chooses the parts: one image each or, if there are too few for the
// threads, some positions of one.
func (p *patchProduct) divide(threads int) {
	p.chunks = 1
	if want := 4 * threads; threads > 1 && p.n < want {
		p.chunks = min(ceilDiv(want, p.n), ceilDiv(p.grid.h*p.grid.w, 2*p.tile.rows))
	}
	tiles := ceilDiv(p.grid.h*p.grid.w, p.tile.rows)
	p.chunk = ceilDiv(tiles, p.chunks) * p.tile.rows
	p.perPart = p.chunks == 1
}

// part computes the outputs of one part.
func (p *patchProduct) part(worker, part int) {
	n, chunk := part/p.chunks, part%p.chunks
	positions := p.grid.h * p.grid.w
	from, to := min(chunk*p.chunk, positions), min((chunk+1)*p.chunk, positions)
	x := p.placed
	switch {
	case p.perPart && !p.trivial():
		x = x[worker*p.size() : (worker+1)*p.size()]
		p.image(x, p.images, n)
	default:
		x = x[n*p.size() : (n+1)*p.size()]
	}

	p.rows(&p.workers[worker], x, p.y, n*positions, from, to)
	p.after((n*positions+from)*p.columns, (n*positions+to)*p.columns)
}

// rows computes the products of positions [from,to) of the image in x; the
// product of position 0 belongs in row first of y.
func (p *patchTiles) rows(w *tileScratch, x, y []float32, first, from, to int) {
	depth := p.depth()
	a := w.gather(x, nil, p.length, 1)
	narrow := p.narrowRows()
	group := max(1, groupElements/(depth*p.tile.rows)) * p.tile.rows
	if narrow > 0 {
		group = max(1, groupElements/(depth*p.w)) * p.w
	}
	for block := range p.blocks {
		s0, s1 := len(p.segments)*block/p.blocks, len(p.segments)*(block+1)/p.blocks
		a.seg = p.segments[s0:s1]
		for g := from; g < to; g += group {
			for j := 0; j < p.columns; j += p.tile.cols {
				b := p.panels[j*depth+s0*p.length*p.tile.cols : (j+p.tile.cols)*depth]
				c := cTile{c: y, ldc: p.columns, j: j, cols: min(p.tile.cols, p.columns-j), fresh: block == 0, bias: p.bias}
				for i, end := g, min(g+group, to); i < end; {
					tile, rows := &p.tile, min(p.tile.rows, end-i)
					if narrow > 0 {
						left := min(p.w-i%p.w, end-i) // in the line
						rows = min(rows, left)
						if left >= narrow {
							tile, rows = p.narrow, narrow
						}
					}
					p.bases(w.off[:tile.rows], i, rows)
					tile.into(w, &c, first+i, rows, a, b, p.tile.cols)
					i += rows
				}
			}
		}
	}
}

// narrowRows returns the rows of the narrow tile if it should be used, and 0
// otherwise: there must be few channels, and its rows are positions of one
// line.
func (p *patchTiles) narrowRows() int {
	if p.narrow == nil || p.columns > p.narrow.cols || p.w < p.narrow.rows {
		return 0
	}
	if rest := p.w % p.narrow.rows; rest != 0 && rest <= p.tile.rows/2 {
		return 0 // the rest of a line would be slow
	}
	return p.narrow.rows
}

// bases sets off to the beginnings of the patches of n positions from p on, and
// the rest of off to the last of them.
func (g *grid) bases(off []int, p, n int) {
	j := p % g.w
	at := p/g.w*g.stepI + j*g.stepJ
	for e := range off {
		off[e] = at
		if e+1 >= n {
			continue
		}
		at += g.stepJ
		if j++; j == g.w {
			j = 0
			at += g.stepI - g.w*g.stepJ
		}
	}
}
