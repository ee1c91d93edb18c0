package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rows writes the functions of whole rows, and those over columns.
func (m *machine) rows() {
	m.argmax()
	m.maximum()
	m.rowSum("sum", "(x []float32) float32", func(lane vector, part int, x reg.Register) {
		m.VADDPS(m.load(x, part), lane, lane)
	})
	m.rowSum("sumSquares", "(x []float32) float32", func(lane vector, part int, x reg.Register) {
		v := m.load(x, part)
		m.accumulate(lane, v, v)
	})
	m.dot()
	m.sumExp()
	m.sumShifted()
	m.softmaxRows()
	m.scaleMax()
}

// parts is the number of vectors that hold the lanes of a row's sum.
func (m *machine) parts() int { return rowLanes / m.lanes }

// zeroLanes returns the lanes of a row's sum.
func (m *machine) zeroLanes() (lanes []vector) {
	for range m.parts() {
		lanes = append(lanes, m.zero())
	}
	return lanes
}

// fold combines the 16 lanes in a tree, l with l+8, l+4, l+2 and l+1, and
// returns lane 0.
func (m *machine) fold(lanes []vector, combine func(...operand.Op)) reg.Register {
	y := m.YMM()
	if m.wide() {
		m.VEXTRACTF64X4(operand.Imm(1), lanes[0], y)
		combine(y, lanes[0].AsY(), y)
	} else {
		combine(lanes[1], lanes[0], y)
	}
	x, other := m.XMM(), m.XMM()
	if m.wide() {
		m.VEXTRACTF32X4(operand.Imm(1), y, x) // VEXTRACTF128 reaches 16 registers only
	} else {
		m.VEXTRACTF128(operand.Imm(1), y, x)
	}
	combine(x, y.AsX(), x)
	m.VMOVHLPS(x, x, other)
	combine(other, x, x)
	m.VMOVSHDUP(x, other)
	combine(other, x, x)
	return x
}

// rowSum writes a sum of a row in lanes that start from +0, which a +0 beyond
// the row's end leaves as they are: no lane is ever -0.
func (m *machine) rowSum(name, signature string, take func(lane vector, part int, x reg.Register)) {
	m.function(name, signature, func() reg.Register {
		x, n := m.base("x"), m.length("x")
		lanes := m.zeroLanes()
		m.loop(n, m.parts(), func(part int) { take(lanes[part], part, x) })
		return m.fold(lanes, m.VADDPS)
	})
}

func (m *machine) dot() {
	m.function("dot", "(x, y []float32) float32", func() reg.Register {
		x, y, n := m.base("x"), m.base("y"), m.length("x")
		lanes := m.zeroLanes()
		m.loop(n, m.parts(), func(part int) { m.accumulate(lanes[part], m.load(x, part), m.load(y, part)) })
		return m.fold(lanes, m.VADDPS)
	})
}

func (m *machine) sumExp() {
	m.function("sumExp", "(e, x []float32, top float32) float32", func() reg.Register {
		e, x, n, top := m.base("e"), m.base("x"), m.length("x"), m.broadcast(address(m.Param("top")))
		exp, lanes := m.exp(), m.zeroLanes()
		m.loop(n, m.parts(), func(part int) {
			t := exp(m.subtract(m.load(x, part), top))
			if m.tail != nil {
				t = m.keep(m.tail[part], t)
			}
			m.VADDPS(t, lanes[part], lanes[part])
			skip := m.label("skip")
			m.TESTQ(e, e)
			m.JZ(skip)
			m.store(e, part, t)
			m.place(skip)
		})
		return m.fold(lanes, m.VADDPS)
	})
}

func (m *machine) sumShifted() {
	m.function("sumShifted", "(x []float32, top float32) float32", func() reg.Register {
		x, n, top := m.base("x"), m.length("x"), m.broadcast(address(m.Param("top")))
		lanes := m.zeroLanes()
		m.loop(n, m.parts(), func(part int) {
			t := m.subtract(m.load(x, part), top)
			if m.tail != nil {
				t = m.keep(m.tail[part], t)
			}
			m.VADDPS(t, lanes[part], lanes[part])
		})
		return m.fold(lanes, m.VADDPS)
	})
}

// scaleMax ignores NaNs: VMAXPS gives the maximum so far if the new element is
// one.
func (m *machine) scaleMax() {
	m.function("scaleMax", "(x []float32, scale float32) float32", func() reg.Register {
		x, n, scale := m.base("x"), m.length("x"), m.broadcast(address(m.Param("scale")))
		lowest := m.constant(float32(math.Inf(-1)))
		var top []vector
		for range m.parts() {
			top = append(top, m.copy(lowest))
		}
		m.loop(n, m.parts(), func(part int) {
			v := m.multiply(m.load(x, part), scale)
			m.store(x, part, v)
			m.VMAXPS(top[part], m.inside(part, v, lowest), top[part])
		})
		best, zero := m.fold(top, m.VMAXPS), m.XMM()
		m.VXORPS(zero, zero, zero)
		m.VADDSS(zero, best, best) // +0 for -0
		return best
	})
}

// argmax first finds the value and then its first position.
func (m *machine) argmax() {
	m.function("argmax", "(x []float32) int", func() reg.Register {
		x, n := m.base("x"), m.length("x")
		lowest := m.constant(float32(math.Inf(-1)))
		var top []vector
		for range m.parts() {
			top = append(top, m.copy(lowest))
		}
		nans := m.none()
		m.loop(n, m.parts(), func(part int) {
			v := m.inside(part, m.load(x, part), lowest)
			m.VMAXPS(v, top[part], top[part])
			m.merge(nans, m.compare(v, unordered, v))
		})
		place := m.GP64()
		nan, found := m.label("nan"), m.label("found")
		seen := m.lanesOf(nans)
		m.TESTL(seen, seen)
		m.JNZ(nan)

		first := m.fold(top, m.VMAXPS)
		target := m.vector()
		m.VBROADCASTSS(first, target)
		m.find(x, n, place, found, func(v vector) mask { return m.compare(v, equal, target) })
		m.place(nan)
		m.find(x, n, place, found, func(v vector) mask { return m.compare(v, unordered, v) })

		m.XORQ(place, place) // the row is empty
		m.place(found)
		return place
	})
}

// find sets place to the first element that is selected and jumps to found; it
// falls through after the last one.
func (m *machine) find(x, n reg.Register, place reg.GPVirtual, found operand.LabelRef, selected func(vector) mask) {
	m.loop(n, 1, func(part int) {
		k := selected(m.load(x, part))
		if m.tail != nil {
			k = m.both(k, m.tail[part])
		}
		lanes, next := m.lanesOf(k), m.label("next")
		m.TESTL(lanes, lanes)
		m.JZ(next)
		m.BSFL(lanes, place.As32())
		m.ADDQ(m.index, place)
		m.JMP(found)
		m.place(next)
	})
}

// maximum writes the maximum of max pooling.
func (m *machine) maximum() {
	m.function("maximum", "(y []float32, index []int32, x []float32, at int32, channels, step int)", func() reg.Register {
		y, index, x := m.base("y"), m.base("index"), m.base("x")
		rest, channels, step := m.length("y"), m.integer("channels"), m.integer("step")
		at := m.Load(m.Param("at"), m.GP32())
		iota := make([]uint32, m.lanes)
		for i := range iota {
			iota[i] = uint32(i)
		}
		first, width := m.copy(m.table("iota", iota...)), m.bits(uint32(m.lanes))
		position, again, end := m.vector(), m.label("position"), m.label("end")
		m.place(again)
		m.TESTQ(rest, rest)
		m.JLE(end)
		if m.wide() {
			m.VPBROADCASTD(at, position)
		} else {
			m.VMOVD(at, position.AsX())
			m.VPBROADCASTD(position.AsX(), position)
		}
		m.VPADDD(m.register(first), position, position)
		m.loop(channels, 1, func(part int) {
			v, best := m.load(x, part), m.load(y, part)
			k := m.both(m.compare(v, notLessNorEqual, best), m.compare(best, ordered, best))
			m.store(y, part, m.choose(k, v, best))
			m.store(index, part, m.choose(k, position, m.load(index, part)))
			m.VPADDD(width, position, position)
		})
		m.LEAQ(operand.Mem{Base: y, Index: channels, Scale: 4}, y)
		m.LEAQ(operand.Mem{Base: index, Index: channels, Scale: 4}, index)
		m.LEAQ(operand.Mem{Base: x, Index: step, Scale: 4}, x)
		m.ADDL(step.As32(), at)
		m.SUBQ(channels, rest)
		m.JMP(again)
		m.place(end)
		return nil
	})
}
