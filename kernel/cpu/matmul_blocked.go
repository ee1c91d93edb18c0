package cpu

// The blocked product. C, or each C of a batch, is divided into rectangles,
// with one Pool.Run for all of them. The loops of a rectangle, outermost first:
//
//	k in blocks of tile.depth, ascending
//	  pack its columns of B into panels          (they stay in the second-level cache)
//	    groups of rows                           (so do theirs of A)
//	      B panels x tiles of rows: one tile kernel call each
//
// A is read in place, transposed or not. A panel of B is k-major, panel[k*cols
// + j], and padded with zeros. A rectangle has rows [i0,i1) and columns [j0,j1)
// of C; seg has the beginnings of A's segments, the runs of k that are equally
// spaced in A. Between two k blocks a partial sum is stored in C, which changes
// no bit. Work is divided over rows and columns of C only, never over k.

const (
	// groupElements and stripElements bound the parts of A and of B that are in
	// use together, in elements: a quarter and a half of a second-level cache.
	groupElements = 1 << 16
	stripElements = 1 << 17
	// directRows bounds M for reading B in place: too few rows to pay for
	// packing it.
	directRows = 12
	// directStride bounds B's row stride for the same: its rows are as close as
	// in a panel.
	directStride = 64
	// repackRows is the minimum number of rows of a rectangle whose columns
	// other rectangles pack too, as long as there are columns to divide
	// instead.
	repackRows = 256
	// thenElements bounds the elements of C that are finished before
	// MatMulArgs.Then processes them: a quarter of a second-level cache.
	thenElements = 1 << 16
	// thenColumns is the shortest piece of a row for which that pays off: on
	// shorter pieces the kernels that Then calls lose more time than the cache
	// saves.
	thenColumns = 512
	// partWork is the number of multiply-adds, some microseconds of them, below
	// which a part does not pay off.
	partWork = 1 << 18

	// maxTile bounds a tile's rows*cols, maxTileRows and maxTileCols its sides.
	maxTile     = 384
	maxTileRows = 16
	maxTileCols = 128
)

// gathered is the A operand of a tile: row i's values, in the order of k, are
// x[off[i]+at+l*step] for at in seg and l < length. A matrix, transposed or
// not, has this form, and so do the patches of an image.
type gathered struct {
	x            []float32
	off          *[maxTileRows]int
	seg          []int
	length, step int
}

// tileKernel is an innermost kernel: it computes a tile of C.
type tileKernel struct {
	rows, cols int
	// depth bounds a block of k, so that several panels of B fit the second-level
	// cache.
	depth int
	// masked says that run takes any number of columns up to cols; otherwise it
	// takes exactly cols.
	masked bool
	// spaced says that run takes exactly its number of rows, with equally
	// spaced offsets.
	spaced bool
	// vector is the multiple to which the columns that run reads of B are
	// rounded up.
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
	run func(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
}

// matMulVariant holds what differs between instruction sets.
type matMulVariant struct {
	name   string
	level  Level
	tile   tileKernel
	thin   tileKernel  // one row, for products of few rows
	narrow *tileKernel // spaced rows, for convolutions of few channels, or nil
	packing
	depthwise depthwiseKernel
	// hasNegativeZero equals the function of that name.
	hasNegativeZero func(x []float32) bool
}

// choose returns the tile kernel for a product. A thin tile wastes no rows, but
// loads each value of B for only one multiply-add.
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
// in progress. Its parts run concurrently and only read it, except for their
// worker's scratch.
type gemmRun struct {
	pool    *Pool
	workers []gemmScratch
	run     func(worker, i int) // part as a method value, made once
	runLate func(worker, i int) // the same for afterwards

	kern   *tileKernel
	pack   *packing
	args   MatMulArgs
	direct bool // full B panels are read in place

	aPanels, bPanels         int // tiles of rows, of columns
	chunkPanels, stripPanels int // those of a rectangle
	chunks                   int
	rectangles               int  // of a product
	products                 int  // of the batch
	group                    int  // products of a part
	late                     bool // Then goes over C after all parts
	blocks                   int  // of k, of equal depth
}

// gemmScratch is a worker's scratch memory.
type gemmScratch struct {
	tileScratch
	args   MatMulArgs // of the product at hand
	at     int        // where its C begins in the batch's
	panels []float32  // of B
}

// tileScratch is the scratch memory a worker needs for tile kernels.
type tileScratch struct {
	a     gathered
	tile  [maxTile]float32
	start [maxTile]float32
	zero  [maxTileCols]float32
	off   [maxTileRows]int
	seg   [1]int
}

// gather returns an A operand with offsets to be filled in. It is on the heap
// with the rest, because kernels are called through variables.
func (w *tileScratch) gather(x []float32, seg []int, length, step int) *gathered {
	w.a = gathered{x: x, off: &w.off, seg: seg, length: length, step: step}
	return &w.a
}

func newGemmRun(pool *Pool) *gemmRun {
	r := &gemmRun{pool: pool, workers: make([]gemmScratch, pool.Threads())}
	r.run, r.runLate = r.part, r.afterwards
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

func (r *gemmRun) multiply(v *matMulVariant, args MatMulArgs) {
	r.kern, r.pack, r.args = v.choose(args.M, args.N), &v.packing, args
	defer r.forget()

	r.direct = !args.TransB && (args.M <= directRows || args.LDB <= directStride)
	r.blocks = max(1, ceilDiv(args.K, r.kern.depth))
	r.divide()
	for w := range r.workers {
		r.workers[w].panels = grow(r.workers[w].panels, r.stripPanels*r.kern.cols*ceilDiv(args.K, r.blocks))
	}
	r.pool.RunWorkers(ceilDiv(r.products, r.group)*r.rectangles, r.run)
	if r.late {
		r.pool.RunWorkers(ceilDiv(r.products*args.M*args.N, args.ThenGrain), r.runLate)
	}
}

// afterwards processes a part of C, which is dense, when all of it is finished.
func (r *gemmRun) afterwards(_, i int) {
	n := r.products * r.args.M * r.args.N
	r.args.Then(i*r.args.ThenGrain, min((i+1)*r.args.ThenGrain, n))
}

// forget drops the references to the caller's memory.
func (r *gemmRun) forget() {
	r.args = MatMulArgs{}
	for w := range r.workers {
		r.workers[w].args = MatMulArgs{}
	}
}

// part computes a rectangle of some of the products.
func (r *gemmRun) part(worker, i int) {
	w := &r.workers[worker]
	first := i / r.rectangles * r.group
	for p := first; p < min(first+r.group, r.products); p++ {
		w.args, w.at = r.args.product(p), p*r.args.StrideC
		r.rectangle(w, i%r.rectangles)
	}
}

// divide chooses the rectangles: as large as the cache allows, and enough of
// them to keep every thread busy to the end.
func (r *gemmRun) divide() {
	k := r.kern
	r.aPanels, r.bPanels = ceilDiv(r.args.M, k.rows), ceilDiv(r.args.N, k.cols)
	depth := max(1, ceilDiv(r.args.K, r.blocks))
	r.chunkPanels = r.aPanels
	r.stripPanels = min(r.bPanels, max(1, stripElements/(depth*k.cols)))
	r.products = max(1, r.args.Batch)
	parts := 1
	if threads := r.pool.Threads(); threads > 1 {
		work := float64(r.args.M) * float64(r.args.N) * float64(r.args.K) / partWork // an int may overflow
		if r.args.Then != nil {
			work += float64(r.args.M) * float64(r.args.N) / float64(r.args.ThenGrain)
		}
		parts = max(1, int(min(float64(4*threads), work*float64(r.products))))
	}
	r.divideProduct(ceilDiv(parts, r.products))
	r.rectangles = r.chunks * ceilDiv(r.bPanels, r.stripPanels)
	r.group = max(1, r.products*r.rectangles/parts)
	dense := r.args.LDC == r.args.N && (r.products == 1 || r.args.StrideC == r.args.M*r.args.N)
	r.late = r.args.Then != nil && dense && r.stripPanels < r.bPanels && r.stripPanels*r.kern.cols < thenColumns
}

// divideProduct divides a product into as many rectangles as are wanted, if it
// can.
func (r *gemmRun) divideProduct(want int) {
	k := r.kern
	for {
		r.chunks = ceilDiv(r.aPanels, r.chunkPanels)
		switch {
		case r.chunks*ceilDiv(r.bPanels, r.stripPanels) >= want:
			return
		case r.chunkPanels*k.rows >= 2*repackRows:
			r.chunkPanels = ceilDiv(r.chunkPanels, 2)
		case r.stripPanels > 1:
			r.stripPanels = ceilDiv(r.stripPanels, 2)
		case r.chunkPanels > 1:
			r.chunkPanels = ceilDiv(r.chunkPanels, 2)
		default:
			return
		}
	}
}

// rectangle computes a part of C.
func (r *gemmRun) rectangle(w *gemmScratch, part int) {
	k, args := r.kern, &w.args
	chunk, strip := part%r.chunks, part/r.chunks
	p0 := chunk * r.chunkPanels
	p1 := min(p0+r.chunkPanels, r.aPanels)
	q0 := strip * r.stripPanels
	q1 := min(q0+r.stripPanels, r.bPanels)
	for block := range r.blocks {
		k0 := args.K * block / r.blocks
		ks := args.K*(block+1)/r.blocks - k0
		panels := bPanels{cols: k.cols, j0: q0 * k.cols, k0: k0, ks: ks, packed: w.panels}
		panels.fill(r.pack, args, min(q1*k.cols, args.N), r.directColumns(q1))
		last := block == r.blocks-1 && args.Then != nil && !r.late
		group := max(1, groupElements/(max(1, ks)*k.rows))
		if last {
			group = max(1, min(group, thenElements/((q1-q0)*k.cols*k.rows)))
		}
		for p := p0; p < p1; p += group {
			for q := q0; q < q1; q++ {
				r.column(w, &panels, p, min(p+group, p1), q, block == 0)
			}
			if last {
				w.then(p*k.rows, min(min(p+group, p1)*k.rows, args.M), q0*k.cols, min(q1*k.cols, args.N))
			}
		}
	}
}

// then calls Then for rows [i0,i1) and columns [j0,j1).
func (w *gemmScratch) then(i0, i1, j0, j1 int) {
	args := &w.args
	if j1-j0 == args.LDC {
		args.Then(w.at+i0*args.LDC, w.at+i1*args.LDC)
		return
	}
	for i := i0; i < i1; i++ {
		args.Then(w.at+i*args.LDC+j0, w.at+i*args.LDC+j1)
	}
}

// directColumns returns the end of the columns before panel q1 that are read in
// place.
func (r *gemmRun) directColumns(q1 int) int {
	if !r.direct {
		return 0
	}
	n := min(q1*r.kern.cols, r.args.N)
	if cols := n % r.kern.cols; cols%r.kern.vector != 0 {
		return n - cols
	}
	return n
}

// column computes tiles [p0, p1) of rows in panel q.
func (r *gemmRun) column(w *gemmScratch, panels *bPanels, p0, p1, q int, first bool) {
	k, args := r.kern, &w.args
	j := q * k.cols
	b, ldb := panels.at(args, j)
	a := w.gather(args.A, w.seg[:], panels.ks, 1)
	next := 1 // distance from one row to the next
	if args.TransA {
		a.step, w.seg[0] = args.LDA, panels.k0*args.LDA
	} else {
		w.seg[0] = panels.k0
		next = args.LDA
	}
	c := cTile{c: args.C, ldc: args.LDC, j: j, cols: min(k.cols, args.N-j), fresh: first && !args.Accumulate, bias: args.Bias}
	for p := p0; p < p1; p++ {
		i := p * k.rows
		rows := min(k.rows, args.M-i)
		for e := range k.rows {
			w.off[e] = (i + min(e, rows-1)) * next
		}
		k.into(&w.tileScratch, &c, i, rows, a, b, ldb)
	}
}

// cTile says where the tiles of a column of C are and where their chains start.
type cTile struct {
	c       []float32
	ldc     int
	j, cols int
	fresh   bool // from the bias, or +0 if there is none; else from c
	bias    []float32
}

// into computes the tile whose first row is i.
func (k *tileKernel) into(w *tileScratch, t *cTile, i, rows int, a *gathered, b []float32, ldb int) {
	at := i*t.ldc + t.j
	c := t.c[at : at+(rows-1)*t.ldc+t.cols]
	s, lds := c, t.ldc
	if t.fresh {
		s, lds = w.zero[:t.cols], 0
		if len(t.bias) != 0 {
			s = t.bias[t.j : t.j+t.cols]
		}
	}
	if k.masked || t.cols == k.cols {
		k.run(rows, t.cols, a, b, ldb, s, lds, c, t.ldc)
		return
	}
	for y := range rows {
		copy(w.start[y*k.cols:][:t.cols], s[y*lds:])
	}
	scratch := w.tile[:k.rows*k.cols]
	k.run(rows, k.cols, a, b, ldb, w.start[:k.rows*k.cols], k.cols, scratch, k.cols)
	for y := range rows {
		copy(c[y*t.ldc:y*t.ldc+t.cols], scratch[y*k.cols:])
	}
}
