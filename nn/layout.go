package nn

import (
	"cmp"
	"slices"

	"reprise/kernel"
)

// layout gives every array of a pass over the graph a place in one region, so
// that arrays that are never in use at the same time share memory.
//
// Time counts the steps of the pass: node i runs forward at time i, the loss
// follows at time n = len(nodes), and node i runs backward at time 2n-i. An
// evaluation ends at time n.
type layout struct {
	g        *graph
	training bool
	buffers  []buffer

	value []int   // the buffer of each value
	saved [][]int // the buffers of each node's saved arrays
	grad  []int   // the buffer of each value's gradient, -1 for none
	back  []backward
	// wanted says for each value whether there is a parameter before it that is not
	// frozen.
	wanted []bool

	holders []int // in the backward pass: values whose gradient a buffer still is

	stores, loads []transfer // of precision.go
}

// buffer is an array in use over [first, last].
type buffer struct {
	perRow, once int // elements: per row, and in addition
	first, last  int
	offset       int
	kept         bool // an output that the backward pass reads
	packed       bool // as two bfloat16 per element
	tokens       bool // integers
}

// size returns the elements of memory that a buffer takes for a number of rows.
func (b *buffer) size(rows int) int {
	n := rows*b.perRow + b.once
	if b.packed {
		return kernel.BF16Elements(n)
	}
	return n
}

// backward is how a node's gradient with respect to its inputs is passed on.
type backward struct {
	run  bool
	x, y int // buffers of the first input and of the output, if it reads them
	dy   int // buffer of the output's gradient
	dx   int // buffer that the operation writes, -1 for none
	// adds are the sums of gradients that follow if an input has more than one
	// consumer.
	adds []gradientSum
}

// gradientSum is out = a + b, on buffers, for values of an input's shape.
type gradientSum struct {
	value     int
	a, b, out int
}

const (
	noBuffer    = -1
	inputBuffer = -2 // the batch's, which is placed elsewhere
)

// newLayout decides which arrays a pass needs and which of them may share a
// buffer.
func newLayout(g *graph, training bool) *layout {
	l := &layout{g: g, training: training, wanted: make([]bool, len(g.values))}
	for _, n := range g.nodes {
		w := slices.ContainsFunc(n.params, func(p int) bool { return !g.specs[p].Statistic && !g.specs[p].frozen })
		for _, v := range n.inputs {
			w = w || l.wanted[v]
		}
		l.wanted[n.output] = w
	}
	l.forward()
	if training {
		l.backward()
	}
	return l
}

func (l *layout) new(perRow, once, from int) int {
	l.buffers = append(l.buffers, buffer{perRow: perRow, once: once, first: from, last: from})
	l.holders = append(l.holders, 0)
	return len(l.buffers) - 1
}

// use extends a buffer's lifetime to a time.
func (l *layout) use(b, at int) {
	if b >= 0 {
		l.buffers[b].last = max(l.buffers[b].last, at)
	}
}

// loss is the time at which the loss is computed, and backAt that of a node's
// backward pass.
func (l *layout) loss() int        { return len(l.g.nodes) }
func (l *layout) backAt(n int) int { return 2*len(l.g.nodes) - n }

func (l *layout) aliases(n needs) bool { return n.alias || n.evalAlias && !l.training }

// forward places outputs and saved arrays.
func (l *layout) forward() {
	g := l.g
	l.value = make([]int, len(g.values))
	l.saved = make([][]int, len(g.nodes))
	l.value[0] = inputBuffer
	for i, n := range g.nodes {
		needs := n.op.needs(g.values[n.inputs[0]])
		b := noBuffer
		for _, v := range n.inputs {
			if in := l.value[v]; l.aliases(needs) || needs.inPlace && in >= 0 && l.buffers[in].last <= i {
				b = in
				break
			}
		}
		if b == noBuffer {
			b = l.new(elements(g.values[n.output]), 0, i)
			l.buffers[b].tokens = needs.tokens
		}
		l.value[n.output] = b
		if last := l.lastRead(n.output); b >= 0 {
			l.use(b, max(i, last))
			l.buffers[b].kept = l.buffers[b].kept || last > l.loss()
		}
		l.save(i, needs)
	}
}

// save places a node's saved arrays, which an evaluation writes and does not
// keep.
func (l *layout) save(i int, needs needs) {
	until := i
	if l.training && l.runsBack(&l.g.nodes[i]) {
		until = l.backAt(i)
	}
	for _, size := range needs.saved {
		b := l.new(size, 0, i)
		l.use(b, until)
		l.saved[i] = append(l.saved[i], b)
	}
	for _, size := range needs.savedOnce {
		b := l.new(0, size, i)
		l.use(b, until)
		l.saved[i] = append(l.saved[i], b)
	}
}

// runsBack reports whether a node must compute or pass on a gradient.
func (l *layout) runsBack(n *node) bool { return l.wanted[n.output] }

// lastRead returns the last time at which a value is read, under any of its
// names.
func (l *layout) lastRead(v int) int {
	last := 0
	if v == len(l.g.values)-1 {
		last = l.loss()
	}
	for i, n := range l.g.nodes {
		needs := n.op.needs(l.g.values[n.inputs[0]])
		back := l.training && l.runsBack(&n)
		if n.output == v && back && needs.y {
			last = max(last, l.backAt(i))
		}
		if !slices.Contains(n.inputs, v) {
			continue
		}
		last = max(last, i)
		if back && (needs.x || needs.second && len(n.inputs) > 1 && n.inputs[1] == v) {
			last = max(last, l.backAt(i))
		}
		if l.aliases(needs) {
			last = max(last, l.lastRead(n.output))
		}
	}
	return last
}

// backward places the gradients.
func (l *layout) backward() {
	g := l.g
	l.grad = make([]int, len(g.values))
	for v := range l.grad {
		l.grad[v] = noBuffer
	}
	l.back = make([]backward, len(g.nodes))
	l.lossGradient()
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if l.runsBack(n) {
			l.nodeGradient(i, n)
		}
	}
}

// lossGradient places the gradient of the output: over the output, unless the
// backward pass reads that.
func (l *layout) lossGradient() {
	out := len(l.g.values) - 1
	b := l.value[out]
	if b < 0 || l.buffers[b].last > l.loss() {
		b = l.new(elements(l.g.values[out]), 0, l.loss())
	}
	l.grad[out] = b
	l.holders[b]++
}

func (l *layout) nodeGradient(i int, n *node) {
	at := l.backAt(i)
	dy := l.grad[n.output]
	l.use(dy, at)
	x := n.inputs[0]
	l.back[i] = backward{run: true, x: l.value[x], y: l.value[n.output], dy: dy, dx: noBuffer}
	l.holders[dy]-- // the output's gradient has its last use here
	needs := n.op.needs(l.g.values[x])
	if needs.sum || l.aliases(needs) {
		l.holders[dy]++ // by the inputs that come later
		for _, v := range n.inputs {
			l.contribute(i, v, dy)
		}
		l.holders[dy]--
		return
	}
	if !l.wanted[x] && !needs.alwaysDX {
		return
	}
	dx := dy
	if !needs.gradInPlace || l.holders[dy] > 0 {
		dx = l.new(elements(l.g.values[x]), 0, at)
	}
	l.back[i].dx = dx
	l.use(dx, at)
	l.contribute(i, x, dx)
}

// contribute makes a buffer's content (part of) a value's gradient.
func (l *layout) contribute(i, v, b int) {
	if !l.wanted[v] {
		return
	}
	if l.grad[v] == noBuffer {
		l.grad[v] = b
		l.holders[b]++
		return
	}
	// A second consumer: the sum goes where no other gradient is stored.
	at := l.backAt(i)
	old := l.grad[v]
	l.holders[old]--
	out := old
	switch {
	case l.holders[old] == 0:
	case l.holders[b] == 0:
		out = b
	default:
		out = l.new(elements(l.g.values[v]), 0, at)
	}
	l.use(old, at)
	l.use(b, at)
	l.use(out, at)
	l.holders[out]++
	l.back[i].adds = append(l.back[i].adds, gradientSum{value: v, a: old, b: b, out: out})
	l.grad[v] = out
}

// place assigns the offsets, largest buffers first, each at the lowest offset
// that is free for its lifetime. It takes the region from the arena.
func (l *layout) place(a *arena, rows int) {
	order := make([]int, len(l.buffers))
	size := make([]int, len(l.buffers))
	for b := range order {
		order[b] = b
		size[b] = align(l.buffers[b].size(rows))
	}
	slices.SortStableFunc(order, func(b, c int) int { return cmp.Compare(size[c], size[b]) })
	end := 0
	for k, b := range order {
		var taken []int // earlier buffers that are in use at the same time
		for _, c := range order[:k] {
			if l.buffers[c].first <= l.buffers[b].last && l.buffers[b].first <= l.buffers[c].last {
				taken = append(taken, c)
			}
		}
		slices.SortFunc(taken, func(c, d int) int { return cmp.Compare(l.buffers[c].offset, l.buffers[d].offset) })
		offset := 0
		for _, c := range taken {
			if l.buffers[c].offset-offset >= size[b] {
				break
			}
			offset = max(offset, l.buffers[c].offset+size[c])
		}
		l.buffers[b].offset = offset
		end = max(end, offset+size[b])
	}
	base := a.take(end)
	for b := range l.buffers {
		l.buffers[b].offset += base
	}
}

// kept returns the number of elements that the backward pass reads from the
// forward pass.
func (l *layout) kept(rows int) int {
	n := 0
	for _, b := range l.buffers {
		if b.kept {
			n += align(b.size(rows))
		}
	}
	return n
}

// span returns a buffer for a number of rows; input is the batch's.
func (l *layout) span(b, rows int, input kernel.Span) kernel.Span {
	switch b {
	case noBuffer:
		return kernel.Span{}
	case inputBuffer:
		return input
	}
	return kernel.Span{Offset: l.buffers[b].offset, Len: l.buffers[b].size(rows)}
}
