package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loop calls the body for every vector of n elements: in a loop over whole
// steps of that many parts, and once more for the rest, with masks. Loads and
// stores in the body are at the given part.
func (m *machine) loop(n reg.Register, parts int, body func(part int)) {
	step := operand.U32(parts * m.lanes)
	again, last, end := m.label("loop"), m.label("tail"), m.label("end")
	m.index = m.GP64()
	m.XORQ(m.index, m.index)
	rest := m.GP64()
	m.MOVQ(n, rest)
	m.SUBQ(step, rest)
	m.JLT(last)

	m.place(again)
	each(parts, body)
	m.ADDQ(step, m.index)
	m.SUBQ(step, rest)
	m.JGE(again)

	m.place(last)
	m.ADDQ(step, rest)
	m.JZ(end)
	m.tail = m.firstLanes(rest, parts)
	each(parts, body)
	m.tail = nil
	m.place(end)
}

func each(n int, body func(int)) {
	for i := range n {
		body(i)
	}
}

// firstLanes returns masks of the first n lanes of that many vectors, n less
// than their lanes together.
func (m *machine) firstLanes(n reg.GPVirtual, vectors int) []mask {
	if m.wide() {
		if vectors != 1 {
			panic("one opmask is as wide as a row's lanes")
		}
		bits, k := m.GP32(), m.K()
		m.MOVQ(n, reg.RCX)
		m.MOVL(operand.U32(1), bits)
		m.SHLL(reg.CL, bits)
		m.DECL(bits)
		m.KMOVW(bits, k)
		return []mask{k}
	}
	// A window into ones followed by zeros.
	words := make([]uint32, 2*rowLanes)
	for i := range rowLanes {
		words[i] = 0xffffffff
	}
	window, from := m.GP64(), m.GP64()
	m.LEAQ(m.table("ones", words...), window)
	m.MOVQ(operand.U32(rowLanes), from)
	m.SUBQ(n, from)
	var out []mask
	for v := range vectors {
		k := m.YMM()
		m.VMOVUPS(operand.Mem{Base: window, Index: from, Scale: 4, Disp: v * 32}, k)
		out = append(out, k)
	}
	return out
}

func (m *machine) at(base reg.Register, part int) operand.Mem {
	return operand.Mem{Base: base, Index: m.index, Scale: 4, Disp: part * m.lanes * 4}
}

// load returns the elements of the loop's part; those beyond the end are +0.
func (m *machine) load(base reg.Register, part int) vector {
	if m.tail == nil {
		return m.copy(m.at(base, part))
	}
	return m.loadMasked(m.at(base, part), m.tail[part])
}

func (m *machine) loadMasked(from operand.Mem, k mask) vector {
	v := m.vector()
	if m.wide() {
		m.VMOVUPS_Z(from, k, v)
	} else {
		m.VMASKMOVPS(from, k, v)
	}
	return v
}

func (m *machine) store(base reg.Register, part int, v vector) {
	if m.tail == nil {
		m.VMOVUPS(v, m.at(base, part))
		return
	}
	m.storeMasked(m.at(base, part), m.tail[part], v)
}

func (m *machine) storeMasked(to operand.Mem, k mask, v vector) {
	if m.wide() {
		m.VMOVUPS(v, k, to)
	} else {
		m.VMASKMOVPS(v, k, to)
	}
}

// inside returns v with other in the lanes beyond the end.
func (m *machine) inside(part int, v vector, other operand.Op) vector {
	if m.tail == nil {
		return v
	}
	return m.choose(m.tail[part], v, m.register(other))
}
