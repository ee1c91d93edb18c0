package main

import "github.com/mmcloughlin/avo/reg"

// norms writes the normalisations' functions of elements.
func (m *machine) norms() {
	m.function("center", "(h, x []float32, mean, invStd float32)", func() reg.Register {
		h, x, n := m.base("h"), m.base("x"), m.length("x")
		mean, invStd := m.broadcast(address(m.Param("mean"))), m.broadcast(address(m.Param("invStd")))
		m.loop(n, 1, func(part int) { m.store(h, part, m.multiply(m.subtract(m.load(x, part), mean), invStd)) })
		return nil
	})
	m.function("layerGrad", "(dx, h []float32, a, b, invStd float32)", func() reg.Register {
		dx, h, n := m.base("dx"), m.base("h"), m.length("h")
		a, b, invStd := m.broadcast(address(m.Param("a"))), m.broadcast(address(m.Param("b"))), m.broadcast(address(m.Param("invStd")))
		m.loop(n, 1, func(part int) {
			t := m.subtract(m.load(dx, part), a)
			m.VFNMADD231PS(m.load(h, part), b, t)
			m.store(dx, part, m.multiply(t, invStd))
		})
		return nil
	})
	m.function("batchNormal", "(y, x, mean, invStd, gain, bias []float32)", func() reg.Register {
		y, x, n := m.base("y"), m.base("x"), m.length("x")
		mean, invStd, gain, bias := m.base("mean"), m.base("invStd"), m.base("gain"), m.base("bias")
		m.loop(n, 1, func(part int) {
			h := m.multiply(m.subtract(m.load(x, part), m.load(mean, part)), m.load(invStd, part))
			m.horner(h, m.load(gain, part), m.load(bias, part))
			m.store(y, part, h)
		})
		return nil
	})
	m.function("batchGrad", "(dx, x, dy, mean, invStd, a, b, gain []float32)", func() reg.Register {
		dx, x, dy, n := m.base("dx"), m.base("x"), m.base("dy"), m.length("x")
		mean, invStd, a, b, gain := m.base("mean"), m.base("invStd"), m.base("a"), m.base("b"), m.base("gain")
		m.loop(n, 1, func(part int) {
			h := m.multiply(m.subtract(m.load(x, part), m.load(mean, part)), m.load(invStd, part))
			t := m.subtract(m.load(dy, part), m.load(a, part))
			m.VFNMADD231PS(m.load(b, part), h, t)
			m.store(dx, part, m.multiply(t, m.load(gain, part)))
		})
		return nil
	})
}
