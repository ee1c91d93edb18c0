package cpu

import "os"

// The blocked product. Loops, outermost first:
//
//	columns of C in blocks of blockN        (packed B stays in the last-level cache)
//	  k in blocks of tile.depth, ascending  (a B panel stays in the first level)
//	    pack B into panels, and A too if it is small        (one Pool.Run)
//	    rectangles of tiles, A's panels in the second level (one Pool.Run)
//	      B panels x A panels: one tile kernel call each
//
// A panel is k-major: panel[k*width + i]. The last panel of an operand is
// padded with zeros, and a tile that overhangs C is computed in scratch memory.
// Between two k blocks a partial sum rests in C, which changes no bit. Work is
// shared out over rows and columns of C only, never over k.

const (
	// blockN is a multiple of every tile's cols.
	blockN = 1536
	// blockM bounds the rows whose panels one part packs for itself.
	blockM = 96
	// sharedRows bounds M for packing A once for all threads; beyond it there
	// are rows enough to give every thread its own.
	sharedRows = 768
	// directRows bounds M for reading B where it lies: too few rows to pay for
	// packing it.
	directRows = 12

	// maxTile bounds a tile's rows*cols, maxTileRows and maxTileCols its sides.
	maxTile     = 384
	maxTileRows = 12
	maxTileCols = 128
)

// gathered is the A operand of a tile: row i's values, in the order of k, are
// x[off[i]+at+l*step] for at in seg and l < length. A packed panel, a matrix
// that lies either way round and the patches of an image are all of this form.
type gathered struct {
	x            []float32
	off          *[maxTileRows]int
	seg          []int
	length, step int
}

// tileKernel is an innermost kernel: it computes a tile of C.
type tileKernel struct {
	rows, cols int
	// depth bounds a block of k, so that a panel of B fills half of the first-level
	// cache or, where panels of B are used once, a part of the second.
	depth int
	// masked says that run takes any number of columns up to cols; otherwise it
	// takes cols of them only.
	masked bool
	// vector is what the columns that run reads of B are rounded up to.
	vector int
	// run computes, for i < rows and j < cols,
	//
	//	x := s[i*lds+j]
	//	p := 0
	//	for _, at := range a.seg {
	//		for l := range a.length {
	//			x = FMA32(a.x[a.off[i]+at+l*a.step], b[p*ldb+j], x)
	//			p++
	//		}
	//	}
	//	c[i*ldc+j] = x
	//
	// s may be c. lds is 0 for a start value per column. rows is at most the
	// kernel's; offsets beyond rows must be those of a row.
	run func(rows, cols int, a gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
}

// matMulVariant is what differs from one instruction set to another.
type matMulVariant struct {
	name      string
	level     Level
	tile      tileKernel
	thin      tileKernel // one row, for products of few rows
	transpose transposer
}

// choose returns the tile kernel for a product. A thin tile wastes no rows, but
// loads each value of B for one multiply-add only.
func (v *matMulVariant) choose(m, n int) *tileKernel {
	if 4*m <= v.tile.rows+2 && 2*n >= v.thin.cols {
		return &v.thin
	}
	return &v.tile
}

// blockedGemm is the Gemm around a variant's kernels.
type blockedGemm struct{ variant matMulVariant }

func (g *blockedGemm) Level() Level { return g.variant.level }
func (g *blockedGemm) Name() string { return g.variant.name }

func (g *blockedGemm) MatMul(pool *Pool, args MatMulArgs) {
	args.check()
	if args.M == 0 || args.N == 0 {
		return
	}
	pool.gemmTurn.Lock()
	defer pool.gemmTurn.Unlock()
	if pool.gemm == nil {
		pool.gemm = newGemmRun(pool)
	}
	pool.gemm.multiply(&g.variant, args)
}

// gemmRun is the scratch memory of a pool's products and the state of the one
// in progress. Its parts run concurrently and only read it, apart from their
// worker's scratch and the panels that are theirs to fill.
type gemmRun struct {
	pool    *Pool
	workers []gemmScratch
	packs   func(worker, i int) // method values, made once
	tiles   func(worker, i int)

	kern    *tileKernel
	args    MatMulArgs
	a, b    operand
	direct  bool // full B panels are read where they lie
	directA bool // so are A's rows
	shared  bool // A is packed once for all, into packedA

	packedA, packedB []float32
	zero             [maxTileCols]float32
	seg              [1]int // where A's values begin

	j0, cols     int // block of columns
	k0, ks       int // block of k
	first        bool
	bPanels      int // of the block of columns
	aPanels      int // of all rows
	groupPanels  int // A panels per part
	stripPanels  int // B panels per part
	groups       int
	firstBPacked int // the B panels before this one are not packed
}

// gemmScratch is what a worker needs for itself.
type gemmScratch struct {
	panels []float32 // of A
	tile   [maxTile]float32
	start  [maxTile]float32
	off    [maxTileRows]int
}

func newGemmRun(pool *Pool) *gemmRun {
	r := &gemmRun{pool: pool, workers: make([]gemmScratch, pool.Threads())}
	r.packs, r.tiles = r.packPart, r.tilePart
	return r
}

// grow returns a slice of n elements, s if it has room.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// multiply walks the blocks of columns and of k.
func (r *gemmRun) multiply(v *matMulVariant, args MatMulArgs) {
	kern := v.choose(args.M, args.N)
	r.kern, r.args = kern, args
	r.a = operand{packer: args.PackA, x: args.A, ld: args.LDA, contiguous: !args.TransA, transpose: v.transpose}
	r.b = operand{packer: args.PackB, x: args.B, ld: args.LDB, contiguous: args.TransB, transpose: v.transpose}
	// Drop the references to the caller's memory, also if a packer panics.
	defer func() { r.args, r.a, r.b = MatMulArgs{}, operand{}, operand{} }()

	r.direct = args.PackB == nil && !args.TransB && args.M <= directRows
	r.directA = args.PackA == nil && directA(args)
	r.shared = !r.directA && args.M <= sharedRows
	r.aPanels = ceilDiv(args.M, kern.rows)
	for r.j0 = 0; r.j0 < args.N; r.j0 += blockN {
		r.cols = min(blockN, args.N-r.j0)
		r.bPanels = ceilDiv(r.cols, kern.cols)
		r.firstBPacked = 0
		if r.direct {
			r.firstBPacked = r.cols / kern.cols
		}
		r.divide()
		r.first = true
		// Blocks of equal depth; a product of depth zero has one, empty.
		blocks := max(1, ceilDiv(args.K, kern.depth))
		for i := range blocks {
			r.k0 = args.K * i / blocks
			r.ks = args.K*(i+1)/blocks - r.k0
			r.block()
			r.first = false
		}
	}
}

// divide chooses how the tiles of a block of columns are shared out: few
// enough parts to keep a panel in the first-level cache for several tiles,
// enough of them to keep every thread busy to the end.
func (r *gemmRun) divide() {
	threads := r.pool.Threads()
	r.groupPanels = max(1, blockM/r.kern.rows)
	r.stripPanels = r.bPanels
	if threads == 1 {
		r.groups = ceilDiv(r.aPanels, r.groupPanels)
		return
	}
	const partsPerThread = 4
	want := partsPerThread * threads
	if !r.shared && !r.directA {
		// Each part packs its rows, so it takes all columns of the block.
		r.groupPanels = max(1, min(r.groupPanels, r.aPanels/want))
	} else {
		r.groupPanels = max(1, min(r.groupPanels, ceilDiv(r.aPanels, 4)))
		strips := ceilDiv(want, ceilDiv(r.aPanels, r.groupPanels))
		r.stripPanels = max(1, r.bPanels/strips)
	}
	r.groups = ceilDiv(r.aPanels, r.groupPanels)
}

// block does one block of k: packing, then tiles.
func (r *gemmRun) block() {
	k := r.kern
	packed := r.bPanels - r.firstBPacked
	r.packedB = grow(r.packedB, packed*k.cols*r.ks)
	parts := ceilDiv(packed, packTogether)
	if r.shared {
		r.packedA = grow(r.packedA, r.aPanels*k.rows*r.ks)
		parts += ceilDiv(r.aPanels, packTogether)
	} else if !r.directA {
		for w := range r.workers {
			r.workers[w].panels = grow(r.workers[w].panels, r.groupPanels*k.rows*r.ks)
		}
	}
	r.pool.RunWorkers(parts, r.packs)
	r.pool.RunWorkers(r.groups*ceilDiv(r.bPanels, r.stripPanels), r.tiles)
}

// packTogether is the number of panels that one part packs.
const packTogether = 8

// packPart packs a few panels of B or of A.
func (r *gemmRun) packPart(_, part int) {
	k := r.kern
	parts := ceilDiv(r.bPanels-r.firstBPacked, packTogether)
	if part >= parts {
		p := (part - parts) * packTogether
		r.packRows(r.packedA[p*k.rows*r.ks:], p, min(packTogether, r.aPanels-p))
		return
	}
	q := r.firstBPacked + part*packTogether
	r.b.pack(r.packedB[(q-r.firstBPacked)*k.cols*r.ks:], k.cols, packRange{
		row0: r.j0 + q*k.cols,
		rows: min(packTogether*k.cols, r.cols-q*k.cols),
		k0:   r.k0, ks: r.ks,
	})
}

// packRows packs n panels of A from panel p on into dst.
func (r *gemmRun) packRows(dst []float32, p, n int) {
	k := r.kern
	r.a.pack(dst, k.rows, packRange{
		row0: p * k.rows,
		rows: min(n*k.rows, r.args.M-p*k.rows),
		k0:   r.k0, ks: r.ks,
	})
}

// tilePart computes a rectangle of tiles: a group of A panels by a strip of B
// panels.
func (r *gemmRun) tilePart(worker, part int) {
	w := &r.workers[worker]
	group, strip := part%r.groups, part/r.groups
	p0 := group * r.groupPanels
	p1 := min(p0+r.groupPanels, r.aPanels)
	q0 := strip * r.stripPanels
	q1 := min(q0+r.stripPanels, r.bPanels)

	a := gathered{off: &w.off, seg: r.seg[:], length: r.ks}
	var next, panel int // distance in a.x and off from one row, one panel to the next
	switch {
	case r.directA && r.args.TransA:
		a.x, a.step, next, panel = r.args.A[min(len(r.args.A), r.k0*r.args.LDA):], r.args.LDA, 1, r.kern.rows
	case r.directA:
		a.x, a.step, next, panel = r.args.A[min(len(r.args.A), r.k0):], 1, r.args.LDA, r.args.LDA*r.kern.rows
	case r.shared:
		a.x, a.step, next, panel = r.packedA, r.kern.rows, 1, r.kern.rows*r.ks
	default:
		r.packRows(w.panels, p0, p1-p0)
		a.x, a.step, next, panel = w.panels, r.kern.rows, 1, r.kern.rows*r.ks
	}
	base := p0
	if !r.directA && !r.shared {
		base = 0
	}
	for q := q0; q < q1; q++ {
		b, ldb := r.panelB(q)
		for p := p0; p < p1; p++ {
			rows := min(r.kern.rows, r.args.M-p*r.kern.rows)
			at := (p - p0 + base) * panel
			for i := range w.off {
				w.off[i] = at + min(i, rows-1)*next
			}
			r.tile(w, p*r.kern.rows, q*r.kern.cols, a, b, ldb)
		}
	}
}

// panelB returns panel q of the block and its row stride.
func (r *gemmRun) panelB(q int) ([]float32, int) {
	cols := r.kern.cols
	if q < r.firstBPacked {
		if r.ks == 0 {
			return nil, cols
		}
		at := r.k0*r.args.LDB + r.j0 + q*cols
		return r.args.B[at : at+(r.ks-1)*r.args.LDB+cols], r.args.LDB
	}
	size := cols * r.ks
	q -= r.firstBPacked
	return r.packedB[q*size : (q+1)*size], cols
}

// tile computes the tile of C at row i and column j of the block.
func (r *gemmRun) tile(w *gemmScratch, i, j int, a gathered, b []float32, ldb int) {
	k, args := r.kern, &r.args
	rows, cols := min(k.rows, args.M-i), min(k.cols, r.cols-j)
	j += r.j0
	c := args.C[i*args.LDC+j : (i+rows-1)*args.LDC+j+cols]
	whole := k.masked || cols == k.cols
	s, lds := c, args.LDC
	if r.first && !args.Accumulate {
		lds = 0
		s = r.zero[:cols]
		if len(args.Bias) != 0 {
			s = args.Bias[j : j+cols]
		}
	}
	if whole {
		k.run(rows, cols, a, b, ldb, s, lds, c, args.LDC)
		return
	}
	for y := range rows {
		copy(w.start[y*k.cols:][:cols], s[y*lds:])
	}
	t := w.tile[:k.rows*k.cols]
	k.run(rows, k.cols, a, b, ldb, w.start[:k.rows*k.cols], k.cols, t, k.cols)
	for y := range rows {
		copy(c[y*args.LDC:y*args.LDC+cols], t[y*k.cols:])
	}
}

// directA decides whether A's rows are read where they lie, unpacked.
func directA(args MatMulArgs) bool { return directAAlways }

var directAAlways = os.Getenv("DIRECTA") != ""
