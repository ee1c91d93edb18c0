package nn

import (
	"strconv"

	"reprise/fault"
	"reprise/kernel"
)

// Precision is how outputs that the backward pass reads are stored after their
// last use in the forward pass. All computation is in float32.
type Precision string

// The precisions.
const (
	Float32 Precision = "float32"
	// BF16 rounds them to bfloat16, in half the memory. A copy is rounded: the
	// forward pass does not see it.
	BF16 Precision = "bf16"
)

// Validate fails with a *fault.FieldError for an unknown precision; the zero value
// means float32.
func (p Precision) Validate() error {
	switch p {
	case "", Float32, BF16:
		return nil
	}
	return &fault.FieldError{Field: "precision", Value: strconv.Quote(string(p)), Problem: "must be float32 or bf16", Fix: "correct the name"}
}

// transfer is a copy between a buffer and its packed form.
type transfer struct {
	at           int // the time after which (packing) or before which it takes place
	wide, packed int // buffers
}

// pack replaces each output that the backward pass reads by a packed copy after
// its last use in the forward pass, and by unpacked copies of that while the
// backward pass reads it. Such buffers never also hold gradients.
func (l *layout) pack() {
	for b := range l.buffers {
		if l.buffers[b].kept && !l.buffers[b].tokens {
			l.packBuffer(b)
		}
	}
}

func (l *layout) packBuffer(b int) {
	wide := l.buffers[b]
	until := l.lastForward(b)
	packed := l.new(wide.perRow, wide.once, until)
	l.use(packed, wide.last)
	l.buffers[packed].packed, l.buffers[packed].kept = true, true
	l.buffers[b].last, l.buffers[b].kept = until, false
	l.stores = append(l.stores, transfer{at: until, wide: b, packed: packed})

	copied := noBuffer
	for i := len(l.g.nodes) - 1; i >= 0; i-- {
		back, at := &l.back[i], l.backAt(i)
		readsX, readsY := l.readsBack(i, b)
		if !readsX && !readsY {
			continue
		}
		// Consecutive operations read the same copy.
		if copied == noBuffer || l.buffers[copied].last < at-1 {
			copied = l.new(wide.perRow, wide.once, at)
			l.loads = append(l.loads, transfer{at: at, wide: copied, packed: packed})
		}
		l.use(copied, at)
		if readsX {
			back.x = copied
		}
		if readsY {
			back.y = copied
		}
	}
}

// lastForward returns the last time at which the forward pass uses a buffer.
func (l *layout) lastForward(b int) int {
	if l.value[len(l.value)-1] == b {
		return l.loss()
	}
	for i := len(l.g.nodes) - 1; ; i-- {
		n := &l.g.nodes[i]
		used := l.value[n.output] == b
		for _, v := range n.inputs {
			used = used || l.value[v] == b
		}
		if used {
			return i
		}
	}
}

// readsBack says whether a node's backward pass reads a buffer as its input,
// and as its output.
func (l *layout) readsBack(i, b int) (x, y bool) {
	n := &l.g.nodes[i]
	if !l.back[i].run {
		return false, false
	}
	needs := n.op.needs(l.g.values[n.inputs[0]])
	return needs.x && l.value[n.inputs[0]] == b, needs.y && l.value[n.output] == b
}

// store appends the packing that takes place at a time, and load the unpacking.
func (p *Plan) store(dst []kernel.Instruction, s pass, at int) []kernel.Instruction {
	for _, t := range s.layout.stores {
		if t.at == at {
			dst = append(dst, kernel.StoreBF16{X: p.span(s, t.wide), Y: p.span(s, t.packed)})
		}
	}
	return dst
}

func (p *Plan) load(dst []kernel.Instruction, s pass, at int) []kernel.Instruction {
	for _, t := range s.layout.loads {
		if t.at == at {
			dst = append(dst, kernel.LoadBF16{X: p.span(s, t.packed), Y: p.span(s, t.wide)})
		}
	}
	return dst
}
