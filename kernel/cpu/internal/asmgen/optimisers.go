package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func (m *machine) optimisers() {
	m.adam()
	m.sgd()
}

// nonZero returns a register that is 0 where the float32 is a zero of either
// sign.
func (m *machine) nonZero(from operand.Mem) reg.GPVirtual {
	r := m.GP32()
	m.MOVL(from, r)
	m.SHLL(operand.Imm(1), r)
	return r
}

// onlyIf skips what do writes where the register is 0.
func (m *machine) onlyIf(r reg.GPVirtual, do func()) {
	skip := m.label("skip")
	if r.Size() == 8 {
		m.TESTQ(r, r)
	} else {
		m.TESTL(r, r)
	}
	m.JZ(skip)
	do()
	m.place(skip)
}

func (m *machine) adam() {
	m.function("adamUpdate", "(c *adamConstants, w, grad, m, v []float32)", func() reg.Register {
		c := m.Dereference(m.Param("c"))
		field := func(name string) vector { return m.broadcast(address(c.Field(name))) }
		beta1, rest1, beta2, rest2 := field("beta1"), field("rest1"), field("beta2"), field("rest2")
		rate, correction2, epsilon := field("rate"), field("correction2"), field("epsilon")
		decay, shrink := field("decay"), field("shrink")
		coupled, decoupled := m.nonZero(address(c.Field("decay"))), m.nonZero(address(c.Field("shrink")))
		w, grad, n := m.base("w"), m.base("grad"), m.length("grad")
		mean, square := m.base("m"), m.base("v")
		m.loop(n, 1, func(part int) {
			g, x := m.load(grad, part), m.load(w, part)
			m.onlyIf(coupled, func() { m.VADDPS(m.multiply(x, decay), g, g) })
			m.onlyIf(decoupled, func() { m.VSUBPS(m.multiply(x, shrink), x, x) })
			mi := m.add(m.multiply(m.load(mean, part), beta1), m.multiply(g, rest1))
			m.store(mean, part, mi)
			vi := m.add(m.multiply(m.load(square, part), beta2), m.multiply(m.multiply(g, rest2), g))
			m.store(square, part, vi)
			root := m.vector()
			m.VSQRTPS(m.divide(vi, correction2), root)
			m.store(w, part, m.subtract(x, m.divide(m.multiply(mi, rate), m.add(root, epsilon))))
		})
		return nil
	})
}

func (m *machine) sgd() {
	m.function("sgdUpdate", "(c *sgdConstants, w, grad, velocity []float32)", func() reg.Register {
		c := m.Dereference(m.Param("c"))
		field := func(name string) vector { return m.broadcast(address(c.Field(name))) }
		rate, momentum, decay := field("rate"), field("momentum"), field("decay")
		decayed := m.nonZero(address(c.Field("decay")))
		later, nesterov := m.GP32(), m.GP32()
		m.MOVBLZX(address(c.Field("first")), later)
		m.XORL(operand.Imm(1), later)
		m.MOVBLZX(address(c.Field("nesterov")), nesterov)
		w, grad, n, velocity := m.base("w"), m.base("grad"), m.length("grad"), m.base("velocity")
		m.loop(n, 1, func(part int) {
			g, x := m.load(grad, part), m.load(w, part)
			m.onlyIf(decayed, func() { m.VADDPS(m.multiply(x, decay), g, g) })
			m.onlyIf(velocity, func() {
				v := m.copy(g)
				m.onlyIf(later, func() { m.VADDPS(m.multiply(m.load(velocity, part), momentum), v, v) })
				m.store(velocity, part, v)
				m.onlyIf(nesterov, func() {
					m.VMULPS(v, momentum, v)
					m.VADDPS(v, g, v)
				})
				m.VMOVAPS(v, g)
			})
			m.store(w, part, m.subtract(x, m.multiply(g, rate)))
		})
		return nil
	})
}
