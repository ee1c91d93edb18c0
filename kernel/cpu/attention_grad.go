package cpu

import "reprise/kernel"

func (b *binder) attentionGrad(in kernel.AttentionGrad) step {
	a := b.newAttention(in.AttentionShape, in.QKV, in.Y, in.Max, in.Inv, in.Text)
	a.dy, a.dqkv = b.f32(in.DY), b.f32(in.DQKV)
	return a.step(b, a.backward)
}

// backward computes the gradient of one head of one sequence.
func (a *attention) backward(worker, part int) {
	h, text := a.head(part), a.until(part)
	if text.Tokens > 0 {
		text.attendGrad(&a.workers[worker], h)
	}
	for i := text.Tokens; i < a.Tokens; i++ {
		for _, from := range [...]int{h.q, h.k, h.v} {
			clear(a.dqkv[from+3*i*a.width:][:a.HeadWidth])
		}
	}
}

// attendGrad computes the gradient of a head of a sequence of Tokens tokens.
func (a *attention) attendGrad(w *attentionScratch, h attentionHead) {
	a.packRows(w.keys, a.qkv[h.k:])
	a.packRows(w.values, a.qkv[h.v:])
	a.packColumns(w.keyRows, a.qkv[h.k:], 3*a.width, a.Tokens)
	clear(w.dKeys)
	clear(w.dValues)
	for first := 0; first < a.Tokens; first += kernel.AttentionBlock {
		b := a.block(first)
		a.scores(w, h, b)
		a.scoreGrads(w, h, b)
		a.addColumns(w, w.dValues, w.scores, a.dy[h.y+first*a.width:], a.width, b)
		a.addColumns(w, w.dKeys, w.grads, a.qkv[h.q+3*first*a.width:], 3*a.width, b)
		a.timesRows(w, w.grads, w.keyRows, b, a.dqkv[h.q+3*first*a.width:], 3*a.width)
	}
	for j := range a.Tokens {
		at := 3 * j * a.width
		copy(a.dqkv[h.k+at:][:a.HeadWidth], w.dKeys[j*a.columns:])
		copy(a.dqkv[h.v+at:][:a.HeadWidth], w.dValues[j*a.columns:])
	}
}

// scoreGrads turns the block's products of queries and keys into probabilities
// and computes the scores' gradient.
func (a *attention) scoreGrads(w *attentionScratch, h attentionHead, b queryBlock) {
	p := smallProduct{
		m: b.m, n: b.n, k: a.HeadWidth,
		a: a.dy[h.y+b.first*a.width:], rowStep: a.width, kStep: 1,
		b: w.values, panelB: a.strip.cols * a.HeadWidth, ldb: a.strip.cols,
		c: w.grads, ldc: a.stride, padded: true,
	}
	p.run(a.strip, nil)
	for i := range b.m {
		row := w.scores[i*a.stride:][:b.n]
		seen := a.seen(b, i)
		at := h.statistics + b.first + i
		a.elements.scale(row[:seen], row[:seen], a.scale)
		a.elements.sumExp(row[:seen], row[:seen], a.top[at])
		a.probabilities(row, seen, a.inv[at])
		y := h.y + (b.first+i)*a.width
		c := a.elements.dot(a.dy[y:y+a.HeadWidth], a.y[y:y+a.HeadWidth])
		a.elements.scoreGrad(w.grads[i*a.stride:][:b.n], row, c, a.scale)
	}
}

// addColumns computes sums += sT x for the block's scores s, or their gradient,
// and its rows x of DY or of queries.
func (a *attention) addColumns(w *attentionScratch, sums, s, x []float32, ldx int, b queryBlock) {
	a.packColumns(w.blockRows, x, ldx, b.m)
	p := smallProduct{
		m: b.n, n: a.HeadWidth, k: b.m,
		a: s, rowStep: 1, kStep: a.stride,
		b: w.blockRows, panelB: a.strip.cols * b.m, ldb: a.strip.cols,
		c: sums, ldc: a.columns, padded: true, accumulate: true,
	}
	p.run(a.strip, nil)
}
