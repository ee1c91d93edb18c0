package cpu

import (
	"math"

	"reprise/kernel"
)

// Attention works on a sequence's head at a time, each a part for the pool, and
// within it on blocks of queries. The products of a block are multiplied by the
// calling worker, straight with the tile kernel of the matrix product; the
// scores never leave the worker's scratch memory.

// attention is an Attention or AttentionGrad with its operands bound. Parts only
// read it, apart from the operands' elements that are theirs.
type attention struct {
	kernel.AttentionShape
	width     int
	scale     float32
	tile      *tileKernel
	transpose transposer
	rows      scoreKernels

	qkv, y, top, inv []float32
	dy, dqkv         []float32 // gradient only

	stride  int // of a row of scores
	workers []attentionScratch
}

// attentionScratch is what a worker needs for itself. A's and B's panels are
// named for what they hold; T stands for tokens, D for HeadWidth.
type attentionScratch struct {
	tileScratch
	scores []float32 // [AttentionBlock,T]: z, s, then p
	panel  []float32 // A: a few rows of scores or of their gradient

	queries []float32 // A: the block's rows of Q
	keys    []float32 // B: rows of K as columns
	values  []float32 // B: V; in the gradient rows of V as columns

	// Gradient only.
	grads          []float32 // [AttentionBlock,T]: dp, then ds
	keyRows        []float32 // B: K
	dys            []float32 // A: the block's rows of DY
	queryColumns   []float32 // A: the block's columns of Q
	dyColumns      []float32 // A: the block's columns of DY
	dKeys, dValues []float32 // [D,T]: DK and DV transposed
}

func roundUp(n, unit int) int { return ceilDiv(n, unit) * unit }

// carver cuts a block of memory into pieces that start on a cache line.
type carver struct {
	memory []float32
	at     int
}

func (c *carver) take(n int) []float32 {
	lo := min(c.at, len(c.memory))
	hi := min(c.at+n, len(c.memory))
	c.at += roundUp(n, alignment/4)
	return c.memory[lo:hi:hi]
}

// carve cuts out a worker's scratch memory.
func (a *attention) carve(c *carver) attentionScratch {
	var (
		t, d    = a.Tokens, a.HeadWidth
		block   = min(t, kernel.AttentionBlock)
		queries = roundUp(block, a.tile.rows)
		keys    = roundUp(t, a.tile.cols)
		rows    = roundUp(d, a.tile.rows)
		columns = roundUp(d, a.tile.cols)
		w       attentionScratch
	)
	w.scores = c.take(queries * a.stride)
	w.panel = c.take(a.tile.rows * t)
	w.queries = c.take(queries * d)
	w.keys = c.take(d * keys)
	if a.dqkv == nil {
		w.values = c.take(t * columns)
		return w
	}
	w.values = c.take(d * keys)
	w.grads = c.take(queries * a.stride)
	w.keyRows = c.take(t * columns)
	w.dys = c.take(queries * d)
	w.queryColumns = c.take(rows * block)
	w.dyColumns = c.take(rows * block)
	w.dKeys = c.take(rows * a.stride)
	w.dValues = c.take(rows * a.stride)
	return w
}

// newAttention fills in what both directions need but the scratch memory.
func (b *binder) newAttention(s kernel.AttentionShape, qkv, y, top, inv kernel.Span) *attention {
	variant := portableVariant()
	if g, ok := b.gemm.(*blockedGemm); ok {
		variant = g.variant
	}
	return &attention{
		AttentionShape: s,
		width:          s.Width(),
		scale:          float32(1 / math.Sqrt(float64(s.HeadWidth))),
		tile:           &variant.tile, transpose: variant.transpose,
		rows: newScoreKernels(variant.level),
		qkv:  b.f32(qkv), y: b.f32(y), top: b.f32(top), inv: b.f32(inv),
		// The cache line more keeps rows from falling into the same cache sets.
		stride: roundUp(s.Tokens, variant.tile.cols) + alignment/4,
	}
}

// step cuts out the workers' scratch memory and returns the step that does part
// for every head of every sequence.
func (a *attention) step(b *binder, part func(worker, i int)) step {
	var size carver
	a.carve(&size)
	threads := b.pool.Threads()
	c := carver{memory: b.scratch(threads * size.at)}
	a.workers = make([]attentionScratch, threads)
	for i := range a.workers {
		a.workers[i] = a.carve(&c)
	}
	return always(func() { b.pool.RunWorkers(a.Batch*a.Heads, part) })
}

func (b *binder) attention(in kernel.Attention) step {
	a := b.newAttention(in.AttentionShape, in.QKV, in.Y, in.Max, in.Inv)
	return a.step(b, a.forward)
}

// attentionHead says where a part's rows begin.
type attentionHead struct {
	q, k, v    int // in QKV, in steps of 3*width
	y          int // in Y, in steps of width
	statistics int // in Max and Inv
}

func (a *attention) head(part int) attentionHead {
	sequence, head := part/a.Heads, part%a.Heads
	y := sequence*a.Tokens*a.width + head*a.HeadWidth
	q := 3*sequence*a.Tokens*a.width + head*a.HeadWidth
	return attentionHead{q: q, k: q + a.width, v: q + 2*a.width, y: y, statistics: part * a.Tokens}
}

// queryBlock is the block of m queries from first on; they work on n keys.
type queryBlock struct{ first, m, n int }

func (a *attention) block(first int) queryBlock {
	b := queryBlock{first: first, m: min(kernel.AttentionBlock, a.Tokens-first), n: a.Tokens}
	if a.Causal {
		b.n = first + b.m
	}
	return b
}

// seen returns how many keys query i of the block sees.
func (a *attention) seen(b queryBlock, i int) int {
	if a.Causal {
		return b.first + i + 1
	}
	return b.n
}

// packRows packs rows of x as columns of panels: k runs over components.
func (a *attention) packRows(dst []float32, width int, x []float32, ld, rows, components int) {
	o := operand{x: x, ld: ld, contiguous: true, transpose: a.transpose}
	o.pack(dst, width, packRange{rows: rows, ks: components})
}

// packColumns packs rows of x as rows of panels: k runs over x's rows.
func packColumns(dst []float32, width int, x []float32, ld, rows, components int) {
	o := operand{x: x, ld: ld}
	o.pack(dst, width, packRange{rows: components, ks: rows})
}

// forward computes one head of one sequence.
func (a *attention) forward(worker, part int) {
	w, h := &a.workers[worker], a.head(part)
	ld, d, cols := 3*a.width, a.HeadWidth, a.tile.cols
	a.packRows(w.keys, cols, a.qkv[h.k:], ld, a.Tokens, d)
	packColumns(w.values, cols, a.qkv[h.v:], ld, a.Tokens, d)
	for first := 0; first < a.Tokens; first += kernel.AttentionBlock {
		b := a.block(first)
		a.scores(w, h, b)
		for i := range b.m {
			row := w.scores[i*a.stride:][:b.n]
			seen := a.seen(b, i)
			top := a.rows.scaleMax(row[:seen], a.scale)
			inv := 1 / a.rows.sumExp(row[:seen], row[:seen], top)
			a.probabilities(row, seen, inv)
			at := h.statistics + first + i
			a.top[at], a.inv[at] = top, inv
		}
		a.timesRows(w, w.scores, w.values, b, a.y[h.y+first*a.width:], a.width)
	}
}

// scores computes the block's products of queries and keys that are seen.
func (a *attention) scores(w *attentionScratch, h attentionHead, b queryBlock) {
	a.packRows(w.queries, a.tile.rows, a.qkv[h.q+3*b.first*a.width:], 3*a.width, b.m, a.HeadWidth)
	p := smallProduct{
		m: b.m, n: b.n, k: a.HeadWidth,
		a: w.queries,
		b: w.keys, panelB: a.tile.cols * a.HeadWidth, ldb: a.tile.cols,
		c: w.scores, ldc: a.stride, padded: true,
	}
	if a.Causal {
		p.triangle = b.first + 1
	}
	p.run(a.tile, &w.tileScratch)
}

// probabilities turns exponentials of the keys seen into probabilities.
func (a *attention) probabilities(row []float32, seen int, inv float32) {
	clear(row[seen:])
	a.rows.multiply(row, inv)
}

// timesRows computes c = s x for the block's rows s of scores, or of their
// gradient, and packed rows x of keys or values.
func (a *attention) timesRows(w *attentionScratch, s, x []float32, b queryBlock, c []float32, ldc int) {
	for i := 0; i < b.m; i += a.tile.rows {
		rows := min(a.tile.rows, b.m-i)
		a.packRows(w.panel, a.tile.rows, s[i*a.stride:], a.stride, rows, b.n)
		p := smallProduct{
			m: rows, n: a.HeadWidth, k: b.n,
			a: w.panel,
			b: x, panelB: a.tile.cols * a.Tokens, ldb: a.tile.cols,
			c: c[i*ldc:], ldc: ldc,
		}
		p.run(a.tile, &w.tileScratch)
	}
}

// smallProduct is C[m,n] = A B or C += A B, multiplied by the calling worker: a
// part must not wait for the pool. Each element is one chain over ascending k.
type smallProduct struct {
	m, n, k int
	a       []float32 // panels of tile.rows rows
	b       []float32 // panel q has row p at b[q*panelB+p*ldb]
	panelB  int
	ldb     int
	c       []float32
	ldc     int
	// padded says that C has room for whole tiles.
	padded bool
	// accumulate goes on from what is in C, which must be padded.
	accumulate bool
	// triangle, unless 0, says that row i of C is needed up to column
	// triangle+i only: tiles beyond are left out.
	triangle int
}

// tileScratch is what smallProduct.run needs.
type tileScratch struct {
	tile [maxTile]float32
	zero [maxTileCols]float32
}

func (p *smallProduct) run(t *tileKernel, w *tileScratch) {
	for j := 0; j < p.n; j += t.cols {
		b := p.b[j/t.cols*p.panelB:]
		first := 0
		if p.triangle != 0 {
			// The first panel with a row that needs column j.
			first = max(0, j-p.triangle+1) / t.rows * t.rows
		}
		for i := first; i < p.m; i += t.rows {
			a, c := p.a[i*p.k:], p.c[i*p.ldc+j:]
			switch {
			case p.accumulate:
				t.run(p.k, a, b, p.ldb, c, p.ldc, c, p.ldc)
			case p.padded || i+t.rows <= p.m && j+t.cols <= p.n:
				t.run(p.k, a, b, p.ldb, w.zero[:], 0, c, p.ldc)
			default:
				t.run(p.k, a, b, p.ldb, w.zero[:], 0, w.tile[:], t.cols)
				cols := min(t.cols, p.n-j)
				for y := range min(t.rows, p.m-i) {
					copy(c[y*p.ldc:y*p.ldc+cols], w.tile[y*t.cols:])
				}
			}
		}
	}
}

// scoreKernels work on rows of scores.
type scoreKernels struct {
	scaleMax  func(x []float32, scale float32) float32
	sumExp    func(e, x []float32, top float32) float32
	multiply  func(x []float32, f float32)
	dot       func(x, y []float32) float32
	scoreGrad func(dp, p []float32, c, scale float32)
}

func portableScores() scoreKernels {
	return scoreKernels{scaleMax: scaleMax, sumExp: sumExp, multiply: scoreMultiply, dot: scoreDot, scoreGrad: scoreGrad}
}

// scaleMax multiplies x by scale and returns the maximum of the products: +0 for
// a zero of either sign, without the NaNs, and -Inf if there is nothing else.
func scaleMax(x []float32, scale float32) float32 {
	top := float32(math.Inf(-1))
	for j, z := range x {
		s := float32(z * scale)
		x[j] = s
		if s > top {
			top = s
		}
	}
	return top + 0
}

// scoreMultiply multiplies x by f.
func scoreMultiply(x []float32, f float32) {
	for j := range x {
		x[j] = float32(x[j] * f)
	}
}

// scoreDot returns the sum of x*y: lane j%16 is a chain of fused multiply-adds over
// ascending j from +0; then lane l takes lane l+8 for l < 8, l+4 for l < 4, l+2
// and l+1.
func scoreDot(x, y []float32) float32 {
	var lane [16]float32
	for j, v := range x {
		lane[j%16] = FMA32(v, y[j], lane[j%16])
	}
	for d := 8; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

// newScoreKernels returns the best kernels for the level.
func newScoreKernels(Level) scoreKernels { return portableScores() }
