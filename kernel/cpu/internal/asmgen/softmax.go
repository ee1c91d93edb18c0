package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmaxRows works on rows that fit into the lanes of one sum, without a loop
// over their elements.
func (m *machine) softmaxRows() {
	m.function("softmaxRows", "(grad, x []float32, labels []int32, loss, correct, sum []float32, n int, scale float32)", func() reg.Register {
		grad, x, labels := m.base("grad"), m.base("x"), m.base("labels")
		loss, correct, sum, rows := m.base("loss"), m.base("correct"), m.base("sum"), m.length("sum")
		stride, scale := m.integer("n"), m.broadcast(address(m.Param("scale")))
		m.tail = m.firstLanes(stride, m.parts())
		m.SHLQ(operand.Imm(2), stride)
		exp, lowest := m.exp(), m.constant(float32(math.Inf(-1)))
		one, row := m.GP32(), m.GP64()
		m.MOVL(operand.U32(math.Float32bits(1)), one)
		m.XORQ(row, row)
		again, end := m.label("rows"), m.label("end")
		m.place(again)
		m.CMPQ(row, rows)
		m.JGE(end)

		var v []vector
		for part := range m.parts() {
			v = append(v, m.inside(part, m.loadMasked(m.vectorAt(x, part), m.tail[part]), lowest))
		}
		best, label, hit := m.first(v), m.GP64(), m.GP32()
		top := m.broadcast(operand.Mem{Base: x, Index: best, Scale: 4})
		m.MOVLQSX(operand.Mem{Base: labels, Index: row, Scale: 4}, label)
		m.XORL(hit, hit)
		m.CMPQ(best, label)
		m.CMOVLEQ(one, hit)
		m.MOVL(hit, operand.Mem{Base: correct, Index: row, Scale: 4})
		z := m.XMM()
		m.VMOVSS(operand.Mem{Base: x, Index: label, Scale: 4}, z)
		m.VSUBSS(top.AsX(), z, z)
		m.VMOVSS(z, operand.Mem{Base: loss, Index: row, Scale: 4})

		for part := range v {
			v[part] = m.keep(m.tail[part], exp(m.subtract(v[part], top)))
		}
		total := m.fold(v, m.VADDPS)
		m.VMOVSS(total, operand.Mem{Base: sum, Index: row, Scale: 4})
		m.onlyIf(grad, func() {
			total, oneHot := m.broadcastLane(total), m.oneHot(label)
			for part := range v {
				t := m.subtract(m.divide(v[part], total), m.vectorAt(oneHot, part))
				m.storeMasked(m.vectorAt(grad, part), m.tail[part], m.multiply(t, scale))
			}
			m.ADDQ(stride, grad)
		})
		m.ADDQ(stride, x)
		m.INCQ(row)
		m.JMP(again)
		m.place(end)
		m.tail = nil
		return nil
	})
}

func (m *machine) vectorAt(base reg.Register, part int) operand.Mem {
	return operand.Mem{Base: base, Disp: part * m.lanes * 4}
}

func (m *machine) broadcastLane(x reg.Register) vector {
	v := m.vector()
	m.VBROADCASTSS(x, v)
	return v
}

// first returns the position of a row's first NaN, or else of its first
// maximum.
func (m *machine) first(v []vector) reg.GPVirtual {
	selected, place, found := m.GP32(), m.GP64(), m.label("found")
	m.lanesOfAll(selected, v, func(x vector) mask { return m.compare(x, unordered, x) })
	m.JNZ(found)
	top := m.broadcastLane(m.fold(v, m.VMAXPS))
	m.lanesOfAll(selected, v, func(x vector) mask { return m.compare(x, equal, top) })
	m.place(found)
	m.BSFL(selected, place.As32())
	return place
}

// lanesOfAll sets bits to the lanes selected and the flags accordingly.
func (m *machine) lanesOfAll(bits reg.GPVirtual, v []vector, selected func(vector) mask) {
	m.XORL(bits, bits)
	for part := len(v) - 1; part >= 0; part-- {
		m.SHLL(operand.U8(m.lanes), bits)
		m.ORL(m.lanesOf(selected(v[part])), bits)
	}
}

// oneHot returns the address of vectors that hold 1 in the lane and +0
// elsewhere.
func (m *machine) oneHot(lane reg.Register) reg.GPVirtual {
	words := make([]uint32, 2*rowLanes)
	words[rowLanes] = math.Float32bits(1)
	at, from := m.GP64(), m.GP64()
	m.LEAQ(m.table("oneHot", words...), at)
	m.MOVQ(operand.U32(rowLanes), from)
	m.SUBQ(lane, from)
	m.LEAQ(operand.Mem{Base: at, Index: from, Scale: 4}, at)
	return at
}
