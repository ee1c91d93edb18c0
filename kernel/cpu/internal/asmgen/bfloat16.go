package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bf16 writes the packing of pairs. Lengths are multiples of two vectors'.
func (m *machine) bf16() {
	m.packBF16()
	m.unpackBF16()
}

// steps calls the body with an offset that grows by that many bytes, as long as
// that many elements are left.
func (m *machine) steps(n reg.GPVirtual, elements int, bytes int, body func(offset reg.GPVirtual)) {
	offset := m.GP64()
	again, end := m.label("loop"), m.label("end")
	m.XORQ(offset, offset)
	m.place(again)
	m.SUBQ(operand.U32(elements), n)
	m.JLT(end)
	body(offset)
	m.ADDQ(operand.U32(bytes), offset)
	m.JMP(again)
	m.place(end)
}

func (m *machine) packBF16() {
	m.function("packBF16", "(y []int32, x []float32)", func() reg.Register {
		y, x, n := m.base("y"), m.base("x"), m.length("x")
		one, bias, quiet := m.bits(1), m.bits(0x7fff), m.bits(1<<22)
		upper, order := m.bits(0xffff0000), m.evenQuadsFirst()
		// The result is in the upper half.
		round := func(v vector) vector {
			odd, sum := m.vector(), m.vector()
			m.VPSRLD(operand.Imm(16), v, odd)
			odd = m.and(odd, one)
			m.VPADDD(bias, v, sum)
			m.VPADDD(odd, sum, sum)
			return m.choose(m.compare(v, unordered, v), m.or(v, quiet), sum)
		}
		m.steps(n, 2*m.lanes, 4*m.lanes, func(offset reg.GPVirtual) {
			from := func(part int) operand.Mem {
				return operand.Mem{Base: x, Index: offset, Scale: 2, Disp: part * m.lanes * 4}
			}
			first, second := round(m.copy(from(0))), round(m.copy(from(1)))
			// Elements at even and at odd places; the quads of first are at even places.
			low, high := m.shuffle(second, first, 0x88), m.shuffle(second, first, 0xdd)
			m.VPSRLD(operand.Imm(16), low, low)
			m.VMOVUPS(m.quadsInOrder(m.or(m.and(high, upper), low), order), operand.Mem{Base: y, Index: offset, Scale: 1})
		})
		return nil
	})
}

func (m *machine) unpackBF16() {
	m.function("unpackBF16", "(y []float32, x []int32)", func() reg.Register {
		y, x, n := m.base("y"), m.base("x"), m.length("y")
		upper, order := m.bits(0xffff0000), m.halvesInTurn()
		m.steps(n, 2*m.lanes, 4*m.lanes, func(offset reg.GPVirtual) {
			pairs := m.quadsInOrder(m.copy(operand.Mem{Base: x, Index: offset, Scale: 1}), order)
			low, first, second := m.vector(), m.vector(), m.vector()
			m.VPSLLD(operand.Imm(16), pairs, low)
			high := m.and(pairs, upper)
			m.VPUNPCKLDQ(high, low, first)
			m.VPUNPCKHDQ(high, low, second)
			for part, v := range []vector{first, second} {
				m.VMOVUPS(v, operand.Mem{Base: y, Index: offset, Scale: 2, Disp: part * m.lanes * 4})
			}
		})
		return nil
	})
}

// evenQuadsFirst is the order of 64-bit words that puts those at even positions
// before those at odd ones; halvesInTurn is its inverse.
func (m *machine) evenQuadsFirst() operand.Op {
	return m.order("evenQuadsFirst", func(i int) int { return 2*i%(m.lanes/2) + 4*i/m.lanes })
}

func (m *machine) halvesInTurn() operand.Op {
	return m.order("halvesInTurn", func(i int) int { return i/2 + i%2*m.lanes/4 })
}

// order returns the operand of quadsInOrder for which word i comes from place(i).
func (m *machine) order(name string, place func(i int) int) operand.Op {
	if m.wide() {
		return m.copy(m.quads(name, func(i int) uint64 { return uint64(place(i)) }))
	}
	var o operand.U8
	for i := range m.lanes / 2 {
		o |= operand.U8(place(i) << (2 * i))
	}
	return o
}

// quadsInOrder returns v's 64-bit words in another order.
func (m *machine) quadsInOrder(v vector, order operand.Op) vector {
	out := m.vector()
	if m.wide() {
		m.VPERMQ(v, order, out)
	} else {
		m.VPERMQ(order, v, out)
	}
	return out
}
