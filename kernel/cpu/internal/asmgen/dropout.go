package main

import (
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Philox4x32-10's multipliers and key increments.
const (
	philoxMultiplier0 = 0xD2511F53
	philoxMultiplier1 = 0xCD9E8D57
	philoxWeyl0       = 0x9E3779B9
	philoxWeyl1       = 0xBB67AE85
	philoxRounds      = 10
)

// counterVectors is the number of vectors of counters at a time.
const counterVectors = 2

// dropout computes a block of the generator in every 64 bits of a vector: only
// the low half of a word counts, since VPMULUDQ reads no more and the shift
// takes the upper half. Lengths are whole steps, and at is a multiple of four.
func (m *machine) dropout() {
	m.function("dropout", "(y, x []float32, c *dropoutConstants, at uint64)", func() reg.Register {
		c := m.Dereference(m.Param("c"))
		y, x, rest, at := m.base("y"), m.base("x"), m.length("x"), m.integer("at")
		threshold, factor := m.broadcast(address(c.Field("threshold"))), m.broadcast(address(c.Field("factor")))
		counters := m.counters(at)
		again, end := m.label("loop"), m.label("end")
		m.place(again)
		m.CMPQ(rest, operand.U32(counterVectors*2*m.lanes))
		m.JLT(end)
		for v, words := range m.philox(c, counters) {
			// Blocks at even and at odd places.
			first, second := m.shuffle(words[1], words[0], 0x88), m.shuffle(words[3], words[2], 0x88)
			for half, parity := range []operand.U8{0x88, 0xdd} {
				disp := (2*v + half) * m.lanes * 4
				dropped := m.shuffle(second, first, parity)
				m.VPSRLD(operand.Imm(8), dropped, dropped)
				m.VPSUBD(threshold, dropped, dropped)
				m.VPSRAD(operand.Imm(31), dropped, dropped)
				kept := m.vector()
				m.VMULPS(operand.Mem{Base: x, Disp: disp}, factor, kept)
				m.VANDNPS(kept, dropped, kept)
				m.VMOVUPS(kept, operand.Mem{Base: y, Disp: disp})
			}
		}
		for _, counter := range counters {
			m.VPADDQ(m.quads("step", func(int) uint64 { return uint64(counterVectors * m.lanes / 2) }), counter, counter)
		}
		m.ADDQ(operand.U32(counterVectors*2*m.lanes*4), x)
		m.ADDQ(operand.U32(counterVectors*2*m.lanes*4), y)
		m.SUBQ(operand.U32(counterVectors*2*m.lanes), rest)
		m.JMP(again)
		m.place(end)
		return nil
	})
}

// counters returns the first blocks' indices. Those of a vector are in an order
// in which the even positions hold its first half.
func (m *machine) counters(at reg.GPVirtual) (out []vector) {
	m.SHRQ(operand.Imm(2), at)
	low := m.XMM()
	m.VMOVQ(at, low)
	per := m.lanes / 2
	for v := range counterVectors {
		counter := m.vector()
		m.VPBROADCASTQ(low, counter)
		order := func(i int) uint64 { return uint64(v*per + i/2 + i%2*per/2) }
		m.VPADDQ(m.quads("blocks"+string(rune('0'+v)), order), counter, counter)
		out = append(out, counter)
	}
	return out
}

// quads returns read-only data of a vector of 64-bit words.
func (m *machine) quads(name string, word func(i int) uint64) operand.Mem {
	var words []uint32
	for i := range m.lanes / 2 {
		words = append(words, uint32(word(i)), uint32(word(i)>>32))
	}
	return m.table(name, words...)
}

func (m *machine) shuffle(b, a vector, order operand.U8) vector {
	out := m.vector()
	m.VSHUFPS(order, b, a, out)
	return out
}

// philox returns the four words of every counter's block.
func (m *machine) philox(c gotypes.Component, counters []vector) (out [][4]vector) {
	word := func(field string, i int) vector {
		from := address(c.Field(field))
		from.Disp += 4 * i
		return m.broadcast(from)
	}
	key0, key1 := word("seed", 0), word("seed", 1)
	for _, counter := range counters {
		high := m.vector()
		m.VPSRLQ(operand.Imm(32), counter, high)
		out = append(out, [4]vector{m.copy(counter), high, word("counter", 0), word("counter", 1)})
	}
	for round := range philoxRounds {
		if round > 0 {
			m.VPADDD(m.everywhere("weyl0", philoxWeyl0), key0, key0)
			m.VPADDD(m.everywhere("weyl1", philoxWeyl1), key1, key1)
		}
		for i, w := range out {
			p0, p1 := m.vector(), m.vector()
			m.VPMULUDQ(m.everywhere("multiplier0", philoxMultiplier0), w[0], p0)
			m.VPMULUDQ(m.everywhere("multiplier1", philoxMultiplier1), w[2], p1)
			out[i] = [4]vector{m.mix(p1, w[1], key0), p1, m.mix(p0, w[3], key1), p0}
		}
	}
	return out
}

// everywhere returns memory with the word in every lane.
func (m *machine) everywhere(name string, word uint32) operand.Mem {
	return m.quads(name, func(int) uint64 { return uint64(word)<<32 | uint64(word) })
}

// mix returns the high half of the product, xor word, xor key.
func (m *machine) mix(product, word, key vector) vector {
	out := m.vector()
	m.VPSRLQ(operand.Imm(32), product, out)
	if m.wide() {
		m.VPTERNLOGD(operand.U8(0x96), key, word, out)
	} else {
		m.VPXOR(word, out, out)
		m.VPXOR(key, out, out)
	}
	return out
}
