package cpu

import "reprise/kernel"

// weightProduct is a Conv2DGradWeight as the product
// D[k,o] = patches(X)[p,k] DY[p,o], summed over the positions p = (n,oh,ow), with
// k = (kh,kw,i); DWeight is D transposed. Seen from D's rows, the segments of
// the sum are the rows of the output images, and DY is laid out like a panel.
//
// Panels, tiles, segments and the ranges j0, j1 of columns are those of the
// blocked product; the head of matmul_blocked.go explains them.
type weightProduct struct {
	*matMulVariant
	kern *tileKernel // for the rows
	placement
	x, placed  []float32
	dy, d, dw  []float32
	rows, cols int // of D

	offsets      []int // of k within a patch
	segments     []int // where the outputs' rows begin in placed
	length, step int   // of a segment
	block        int   // segments at a time
	direct       bool  // DY is read in place
	columnParts  int
	partCols     int // a multiple of the tile's
	partRows     int // the same
	workers      []tileScratch
	packed       []float32 // panels of DY for each worker
}

func (b *binder) conv2DGradWeight(in kernel.Conv2DGradWeight) step {
	g := patches(in.ConvShape)
	p := &weightProduct{
		matMulVariant: b.variant, placement: padding(in.ConvShape), workers: b.tileScratch(),
		x: b.f32(in.X), dy: b.f32(in.DY), dw: b.f32(in.DWeight),
		rows: g.depth(), cols: in.OutChannels, length: g.w, step: g.stepJ,
	}
	for _, at := range g.segments {
		for i := range g.length {
			p.offsets = append(p.offsets, at+i)
		}
	}
	for n := range in.N {
		for i := range g.h {
			p.segments = append(p.segments, n*p.size()+i*g.stepI)
		}
	}
	p.kern = &p.tile
	if n := p.narrow; n != nil && p.cols <= n.cols && g.length%n.rows == 0 {
		p.kern = n // its rows lie within a segment
	}
	// As many rows of outputs at a time as fit the second-level cache.
	p.block = min(len(p.segments), max(1, stripElements/(g.stepI+g.w*in.OutChannels)))
	p.direct = p.cols%p.tile.vector == 0
	p.divide(b.pool.Threads())

	place := func() {}
	panels := 0
	if !p.direct {
		panels = p.block * p.length * p.partCols
	}
	if p.trivial() {
		p.d, p.packed = b.scratch2(p.rows*p.cols, len(p.workers)*panels)
		p.placed = p.x
	} else {
		p.d, p.placed = b.scratch2(p.rows*p.cols+len(p.workers)*panels, p.n*p.size())
		p.d, p.packed = p.d[:min(len(p.d), p.rows*p.cols)], p.d[min(len(p.d), p.rows*p.cols):]
		place = b.ranges(p.n, max(1, cheapGrain/p.size()), func(lo, hi int) {
			for n := lo; n < hi; n++ {
				p.image(p.placed[n*p.size():(n+1)*p.size()], p.x, n)
			}
		})
	}
	part, parts := p.part, ceilDiv(p.rows, p.partRows)*p.columnParts
	return always(func() {
		place()
		b.pool.RunWorkers(parts, part)
	})
}

// divide divides D into parts: the chains over all positions cannot be cut, so
// every part reads all positions for its rows and columns.
func (p *weightProduct) divide(threads int) {
	rowTiles, columnTiles := ceilDiv(p.rows, p.kern.rows), ceilDiv(p.cols, p.tile.cols)
	r, c := rowTiles, columnTiles
	for threads > 1 && ceilDiv(rowTiles, r)*ceilDiv(columnTiles, c) < 2*threads && r*c > 1 {
		if c > 1 {
			c = ceilDiv(c, 2)
		} else {
			r = ceilDiv(r, 2)
		}
	}
	p.partRows, p.partCols = r*p.kern.rows, c*p.tile.cols
	p.columnParts = ceilDiv(p.cols, p.partCols)
}

// part computes a rectangle of D and writes it to DWeight.
func (p *weightProduct) part(worker, part int) {
	i0, j0 := part/p.columnParts*p.partRows, part%p.columnParts*p.partCols
	i1, j1 := min(i0+p.partRows, p.rows), min(j0+p.partCols, p.cols)
	w := &p.workers[worker]
	a := w.gather(p.placed, nil, p.length, p.step)
	for s := 0; s < len(p.segments); s += p.block {
		a.seg = p.segments[s:min(s+p.block, len(p.segments))]
		dy := p.dy[s*p.length*p.cols:]
		var panels []float32
		size := len(a.seg) * p.length * p.tile.cols
		if !p.direct {
			n := len(p.packed) / len(p.workers)
			panels = p.packed[worker*n : (worker+1)*n]
			packStraight(panels, p.tile.cols, dy[j0:], p.cols, j1-j0, len(a.seg)*p.length)
		}
		for j := j0; j < j1; j += p.tile.cols {
			b, ldb := panels, p.tile.cols
			if p.direct {
				b, ldb = dy[j:], p.cols
			} else {
				panels = panels[size:]
			}
			c := cTile{c: p.d, ldc: p.cols, j: j, cols: min(p.tile.cols, j1-j), fresh: s == 0}
			for i := i0; i < i1; i += p.kern.rows {
				rows := min(p.kern.rows, i1-i)
				for e := range p.kern.rows {
					w.off[e] = p.offsets[i+min(e, rows-1)]
				}
				p.kern.into(w, &c, i, rows, a, b, ldb)
			}
		}
	}
	p.transposed(p.dw[j0*p.rows+i0:], p.rows, p.d[i0*p.cols+j0:], p.cols, i1-i0, j1-j0)
}
