package cpu

import (
	"math"

	"reprise/kernel"
)

// Attention processes one head of one sequence at a time, each a part for the
// pool, and within it blocks of queries. The products of a block are multiplied
// by the calling worker (small_product.go); the scores never leave the worker's
// scratch memory.

// attention is an Attention or AttentionGrad with its operands bound. Parts
// only read it, except for the elements of the operands that belong to them.
type attention struct {
	kernel.AttentionShape
	width    int
	scale    float32
	strip    stripKernel
	packing  packing
	elements *elementKernels

	text             []int32 // ends sequences; nil where all have Tokens tokens
	qkv, y, top, inv []float32
	dy, dqkv         []float32 // gradient only

	stride  int // of a row of scores
	columns int // HeadWidth, rounded up to whole strips
	workers []attentionScratch
}

// attentionScratch is a worker's scratch memory. Panels hold the right-hand
// side of products; T means tokens, D means HeadWidth.
type attentionScratch struct {
	overhang []float32
	scores   []float32 // [AttentionBlock,T]: z, s, then p
	keys     []float32 // panels: rows of K as columns
	values   []float32 // panels: V; in the gradient rows of V as columns

	// Gradient only.
	grads          []float32 // [AttentionBlock,T]: dp, then ds
	keyRows        []float32 // panels: K
	blockRows      []float32 // panels: the block's rows of Q or DY
	dKeys, dValues []float32 // [T,columns]
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
		t, d  = a.Tokens, a.HeadWidth
		block = min(t, kernel.AttentionBlock)
		keys  = roundUp(t, a.strip.cols)
		w     attentionScratch
	)
	w.overhang = c.take(block * a.strip.cols)
	w.scores = c.take(block * a.stride)
	w.keys = c.take(d * keys)
	if a.dqkv == nil {
		w.values = c.take(t * a.columns)
		return w
	}
	w.values = c.take(d * keys)
	w.grads = c.take(block * a.stride)
	w.keyRows = c.take(t * a.columns)
	w.blockRows = c.take(block * a.columns)
	w.dKeys = c.take(t * a.columns)
	w.dValues = c.take(t * a.columns)
	return w
}

// newAttention fills in what both directions need, except the scratch memory.
func (b *binder) newAttention(s kernel.AttentionShape, qkv, y, top, inv, text kernel.Span) *attention {
	variant := b.variant
	strip := newStripKernel(variant.level)
	a := &attention{
		AttentionShape: s,
		width:          s.Width(),
		scale:          float32(1 / math.Sqrt(float64(s.HeadWidth))),
		strip:          strip,
		packing:        variant.packing,
		elements:       &b.elements,
		qkv:            b.f32(qkv), y: b.f32(y), top: b.f32(top), inv: b.f32(inv),
		// The extra cache line keeps rows from falling into the same cache
		// sets.
		stride:  roundUp(s.Tokens, strip.cols) + alignment/4,
		columns: roundUp(s.HeadWidth, strip.cols),
	}
	if !text.Empty() {
		a.text = b.i32(text)
	}
	return a
}

// step cuts out the workers' scratch memory and returns the step that runs part
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
	a := b.newAttention(in.AttentionShape, in.QKV, in.Y, in.Max, in.Inv, in.Text)
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

// queryBlock is the block of m queries from first on; they use n keys.
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

// packRows packs a head's rows as columns of panels: k runs over components.
func (a *attention) packRows(dst, x []float32) {
	cols := a.strip.cols
	size := cols * a.HeadWidth
	for j := 0; j < a.Tokens; j += cols {
		rows := min(cols, a.Tokens-j)
		panel := dst[j/cols*size:][:size]
		if rows < cols {
			clear(panel)
		}
		a.packing.transposed(panel, cols, x[3*j*a.width:], 3*a.width, rows, a.HeadWidth)
	}
}

// packColumns packs rows of a head as rows of panels: k runs over tokens.
func (a *attention) packColumns(dst, x []float32, ld, tokens int) {
	cols := a.strip.cols
	if last := a.HeadWidth / cols * cols; last < a.HeadWidth {
		clear(dst[last*tokens:][:cols*tokens])
	}
	packStraight(dst, cols, x, ld, a.HeadWidth, tokens)
}

// until returns the attention of a part's sequence alone, which ends before its padding.
func (a *attention) until(part int) attention {
	short := *a
	if a.text != nil {
		first := part / a.Heads * a.Tokens
		short.Tokens = textLength(a.text[first : first+a.Tokens])
	}
	return short
}

// forward computes one head of one sequence.
func (a *attention) forward(worker, part int) {
	h, text := a.head(part), a.until(part)
	if text.Tokens > 0 {
		text.attend(&a.workers[worker], h)
	}
	for i := text.Tokens; i < a.Tokens; i++ {
		clear(a.y[h.y+i*a.width:][:a.HeadWidth])
		a.top[h.statistics+i], a.inv[h.statistics+i] = 0, 0
	}
}

// attend computes a head of a sequence of Tokens tokens.
func (a *attention) attend(w *attentionScratch, h attentionHead) {
	a.packRows(w.keys, a.qkv[h.k:])
	a.packColumns(w.values, a.qkv[h.v:], 3*a.width, a.Tokens)
	for first := 0; first < a.Tokens; first += kernel.AttentionBlock {
		b := a.block(first)
		a.scores(w, h, b)
		for i := range b.m {
			row := w.scores[i*a.stride:][:b.n]
			seen := a.seen(b, i)
			top := a.elements.scaleMax(row[:seen], a.scale)
			inv := 1 / a.elements.sumExp(row[:seen], row[:seen], top)
			a.probabilities(row, seen, inv)
			at := h.statistics + first + i
			a.top[at], a.inv[at] = top, inv
		}
		a.timesRows(w, w.scores, w.values, b, a.y[h.y+first*a.width:], a.width)
	}
}

// scores computes the block's products of queries and the keys they see.
func (a *attention) scores(w *attentionScratch, h attentionHead, b queryBlock) {
	p := smallProduct{
		m: b.m, n: b.n, k: a.HeadWidth,
		a: a.qkv[h.q+3*b.first*a.width:], rowStep: 3 * a.width, kStep: 1,
		b: w.keys, panelB: a.strip.cols * a.HeadWidth, ldb: a.strip.cols,
		c: w.scores, ldc: a.stride, padded: true,
	}
	if a.Causal {
		p.triangle = b.first + 1
	}
	p.run(a.strip, nil)
}

// probabilities turns the exponentials of the visible keys into probabilities.
func (a *attention) probabilities(row []float32, seen int, inv float32) {
	clear(row[seen:])
	a.elements.scale(row, row, inv)
}

// timesRows computes c = s x for the block's rows s of scores, or of their
// gradient, and packed rows x of keys or values.
func (a *attention) timesRows(w *attentionScratch, s, x []float32, b queryBlock, c []float32, ldc int) {
	p := smallProduct{
		m: b.m, n: a.HeadWidth, k: b.n,
		a: s, rowStep: a.stride, kStep: 1,
		b: x, panelB: a.strip.cols * a.Tokens, ldb: a.strip.cols,
		c: c, ldc: ldc,
	}
	p.run(a.strip, w.overhang)
}
