package cpu

import "reprise/kernel"

func (b *binder) attentionGrad(in kernel.AttentionGrad) step {
	a := b.newAttention(in.AttentionShape, in.QKV, in.Y, in.Max, in.Inv)
	a.dy, a.dqkv = b.f32(in.DY), b.f32(in.DQKV)
	return a.step(b, a.backward)
}

// backward computes the gradient of one head of one sequence. The gradients of
// its keys and values, to which every block of queries adds, are summed up
// transposed: so the scores are the right-hand side of a product as they lie.
func (a *attention) backward(worker, part int) {
	w, h := &a.workers[worker], a.head(part)
	ld, d, cols := 3*a.width, a.HeadWidth, a.tile.cols
	a.packRows(w.keys, cols, a.qkv[h.k:], ld, a.Tokens, d)
	a.packRows(w.values, cols, a.qkv[h.v:], ld, a.Tokens, d)
	packColumns(w.keyRows, cols, a.qkv[h.k:], ld, a.Tokens, d)
	clear(w.dKeys)
	clear(w.dValues)
	for first := 0; first < a.Tokens; first += kernel.AttentionBlock {
		b := a.block(first)
		a.scores(w, h, b)
		a.scoreGrads(w, h, b)
		packColumns(w.dyColumns, a.tile.rows, a.dy[h.y+first*a.width:], a.width, b.m, d)
		a.addColumns(w, w.dValues, w.dyColumns, w.scores, b)
		packColumns(w.queryColumns, a.tile.rows, a.qkv[h.q+first*ld:], ld, b.m, d)
		a.addColumns(w, w.dKeys, w.queryColumns, w.grads, b)
		a.timesRows(w, w.grads, w.keyRows, b, a.dqkv[h.q+first*ld:], ld)
	}
	packTransposed(a.transpose, a.dqkv[h.k:], ld, w.dKeys, a.stride, d, a.Tokens)
	packTransposed(a.transpose, a.dqkv[h.v:], ld, w.dValues, a.stride, d, a.Tokens)
}

// scoreGrads turns the block's products of queries and keys into probabilities
// and computes the scores' gradient.
func (a *attention) scoreGrads(w *attentionScratch, h attentionHead, b queryBlock) {
	a.packRows(w.dys, a.tile.rows, a.dy[h.y+b.first*a.width:], a.width, b.m, a.HeadWidth)
	p := smallProduct{
		m: b.m, n: b.n, k: a.HeadWidth,
		a: w.dys,
		b: w.values, panelB: a.tile.cols * a.HeadWidth, ldb: a.tile.cols,
		c: w.grads, ldc: a.stride, padded: true,
	}
	p.run(a.tile, &w.tileScratch)
	for i := range b.m {
		row := w.scores[i*a.stride:][:b.n]
		seen := a.seen(b, i)
		at := h.statistics + b.first + i
		a.rows.multiply(row[:seen], a.scale)
		a.rows.sumExp(row[:seen], row[:seen], a.top[at])
		a.probabilities(row, seen, a.inv[at])
		y := h.y + (b.first+i)*a.width
		c := a.rows.dot(a.dy[y:y+a.HeadWidth], a.y[y:y+a.HeadWidth])
		a.rows.scoreGrad(w.grads[i*a.stride:][:b.n], row, c, a.scale)
	}
}

// addColumns computes sums += x s for columns x, packed, and the block's scores
// s or their gradient. A tile's overhang falls behind the last key: AttentionBlock
// is a multiple of every tile's cols.
func (a *attention) addColumns(w *attentionScratch, sums, x, s []float32, b queryBlock) {
	p := smallProduct{
		m: a.HeadWidth, n: b.n, k: b.m,
		a: x,
		b: s, panelB: a.tile.cols, ldb: a.stride,
		c: sums, ldc: a.stride, padded: true, accumulate: true,
	}
	p.run(a.tile, &w.tileScratch)
}

// scoreGrad turns dp into the gradient of the scores.
func scoreGrad(dp, p []float32, c, scale float32) {
	for j, v := range dp {
		dp[j] = float32(float32(p[j]*(v-c)) * scale)
	}
}
