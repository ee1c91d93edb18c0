package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const signBit = 0x80000000

// function1 is a function of a vector's elements. Making one loads its
// constants: outside loops.
type function1 func(x vector) vector

// maps writes the functions that process each element independently.
func (m *machine) maps() {
	m.map1("exp", m.exp)
	m.map1("log", m.log)
	m.map1("tanh", m.tanh)
	m.map1("sigmoid", m.sigmoid)
	m.map1("silu", m.silu)
	m.map1("gelu", m.gelu)
	m.map1("relu", m.relu)
	m.grad("siluGrad", m.siluGrad)
	m.grad("geluGrad", m.geluGrad)
	m.grad("tanhGrad", m.tanhGrad)
	m.grad("sigmoidGrad", m.sigmoidGrad)
	m.reluGrad()

	m.map2("add", m.add)
	m.map2("subtract", m.subtract)
	m.map2("multiply", m.multiply)
	m.mapScalar("addTo", m.add)
	m.mapScalar("scale", m.multiply)
	m.mapScalar("divide", m.divide)
	m.axpy()
	m.affine()
	m.scoreGrad()
	m.softmaxGrad()
}

// map1 writes y = f(x).
func (m *machine) map1(name string, make func() function1) {
	m.function(name, "(y, x []float32)", func() reg.Register {
		y, x, n := m.base("y"), m.base("x"), m.length("x")
		f := make()
		m.loop(n, 1, func(part int) { m.store(y, part, f(m.load(x, part))) })
		return nil
	})
}

// grad writes dx = dy * f(x).
func (m *machine) grad(name string, make func() function1) {
	m.function(name, "(dx, x, dy []float32)", func() reg.Register {
		dx, x, dy, n := m.base("dx"), m.base("x"), m.base("dy"), m.length("dy")
		f := make()
		m.loop(n, 1, func(part int) {
			m.store(dx, part, m.multiply(m.load(dy, part), f(m.load(x, part))))
		})
		return nil
	})
}

// map2 writes y = f(a, b).
func (m *machine) map2(name string, f func(vector, operand.Op) vector) {
	m.function(name, "(y, a, b []float32)", func() reg.Register {
		y, a, b, n := m.base("y"), m.base("a"), m.base("b"), m.length("a")
		m.loop(n, 1, func(part int) { m.store(y, part, f(m.load(a, part), m.load(b, part))) })
		return nil
	})
}

// mapScalar writes y = f(x, s).
func (m *machine) mapScalar(name string, f func(vector, operand.Op) vector) {
	m.function(name, "(y, x []float32, s float32)", func() reg.Register {
		y, x, n, s := m.base("y"), m.base("x"), m.length("x"), m.broadcast(address(m.Param("s")))
		m.loop(n, 1, func(part int) { m.store(y, part, f(m.load(x, part), s)) })
		return nil
	})
}

func (m *machine) axpy() {
	m.function("axpy", "(y, x []float32, a float32)", func() reg.Register {
		y, x, n, a := m.base("y"), m.base("x"), m.length("x"), m.broadcast(address(m.Param("a")))
		m.loop(n, 1, func(part int) {
			sum := m.load(y, part)
			m.accumulate(sum, a, m.load(x, part))
			m.store(y, part, sum)
		})
		return nil
	})
}

func (m *machine) affine() {
	m.function("affine", "(y, x, gain, bias []float32, s float32)", func() reg.Register {
		y, x, n, s := m.base("y"), m.base("x"), m.length("x"), m.broadcast(address(m.Param("s")))
		gain, bias := m.base("gain"), m.base("bias")
		m.loop(n, 1, func(part int) {
			t := m.multiply(m.load(x, part), s)
			m.horner(t, m.load(gain, part), m.load(bias, part))
			m.store(y, part, t)
		})
		return nil
	})
}

// scoreGrad writes the gradient of attention's scores.
func (m *machine) scoreGrad() {
	m.function("scoreGrad", "(dp, p []float32, c, scale float32)", func() reg.Register {
		dp, p, n := m.base("dp"), m.base("p"), m.length("dp")
		c, scale := m.broadcast(address(m.Param("c"))), m.broadcast(address(m.Param("scale")))
		m.loop(n, 1, func(part int) {
			t := m.multiply(m.subtract(m.load(dp, part), c), m.load(p, part))
			m.store(dp, part, m.multiply(t, scale))
		})
		return nil
	})
}

func (m *machine) softmaxGrad() {
	m.function("softmaxGrad", "(grad []float32, sum, share, scale float32)", func() reg.Register {
		grad, n := m.base("grad"), m.length("grad")
		sum, share := m.broadcast(address(m.Param("sum"))), m.broadcast(address(m.Param("share")))
		scale := m.broadcast(address(m.Param("scale")))
		m.loop(n, 1, func(part int) {
			p := m.divide(m.load(grad, part), sum)
			m.store(grad, part, m.multiply(m.subtract(p, share), scale))
		})
		return nil
	})
}

func (m *machine) relu() function1 {
	zero := m.constant(0)
	return func(x vector) vector { return m.keep(m.compare(x, notLessNorEqual, zero), x) }
}

func (m *machine) reluGrad() {
	m.function("reluGrad", "(dx, y, dy []float32)", func() reg.Register {
		dx, y, dy, n := m.base("dx"), m.base("y"), m.base("dy"), m.length("dy")
		zero := m.constant(0)
		m.loop(n, 1, func(part int) {
			m.store(dx, part, m.keep(m.compare(m.load(y, part), notLessNorEqual, zero), m.load(dy, part)))
		})
		return nil
	})
}

// exp is exp32 without its branches: arguments that leave the range are moved
// to where the formula itself overflows, or gives less than half the smallest
// subnormal number.
func (m *machine) exp() function1 {
	low, high := m.constant(-104), m.constant(89)
	magic, log2e := m.constant(3<<22), m.constant(0x1.715476p+0)
	minusLn2Hi, minusLn2Lo := m.constant(-0x1.62e430p-1), m.constant(0x1.05c610p-29)
	coefficients := m.constantsOf(0x1.6d117cp-10, 0x1.120be2p-7, 0x1.555518p-5, 0x1.5554dcp-3, 0.5)
	one := m.constant(1)
	return func(x vector) vector {
		x = m.clamp(x, low, high)
		n := m.copy(magic)
		m.accumulate(n, x, log2e)
		n = m.subtract(n, magic)
		r := x
		m.accumulate(r, n, minusLn2Hi)
		m.accumulate(r, n, minusLn2Lo)
		y := m.polynomial(r, coefficients)
		m.horner(y, m.multiply(r, r), r)
		return m.scaleByPower(m.add(y, one), n, one)
	}
}

// scaleByPower returns y * 2^n, rounded once, for -150 <= n <= 128 and y about 1.
func (m *machine) scaleByPower(y, n vector, one operand.Op) vector {
	out := m.vector()
	if m.wide() {
		m.VSCALEFPS(n, y, out)
		return out
	}
	// In two factors that are normal numbers; only the second product rounds.
	half, other := m.vector(), m.vector()
	m.VCVTPS2DQ(n, other)
	m.VPSRAD(operand.Imm(1), other, half)
	m.VPSUBD(half, other, other)
	for _, exponent := range []vector{half, other} {
		m.VPSLLD(operand.Imm(23), exponent, exponent)
		m.VPADDD(one, exponent, exponent)
		y = m.multiply(y, exponent)
	}
	return y
}

// log is log32: its branches become choices among results.
func (m *machine) log() function1 {
	zero, tiny, scale := m.constant(0), m.constant(0x1p-126), m.constant(0x1p23)
	// In memory, since there are more constants than registers.
	infinity, negativeInfinity := m.everywhere("infinity", 0x7f800000), m.everywhere("negativeInfinity", 0xff800000)
	nan, scaled := m.everywhere("nan", 0x7fc00000), m.everywhere("scaled", math.Float32bits(-23))
	sqrtHalf, mantissa, one := m.bits(0x3f3504f3), m.bits(0x007fffff), m.constant(1)
	coefficients := m.constantsOf(0x1.1d8ea6p-4, -0x1.d635bcp-4, 0x1.dea282p-4, -0x1.fcf4c6p-4, 0x1.23d21ap-3,
		-0x1.555b4ap-3, 0x1.999d5ap-3, -0x1.fffffcp-3, 0x1.555554p-2)
	ln2Hi, ln2Lo, minusHalf := m.constant(0x1.62e430p-1), m.constant(-0x1.05c610p-29), m.constant(-0.5)
	return func(x vector) vector {
		small := m.compare(x, less, tiny)
		u, e, f := m.vector(), m.vector(), m.vector()
		m.VPSUBD(sqrtHalf, m.choose(small, m.multiply(x, scale), x), u)
		m.VPSRAD(operand.Imm(23), u, e)
		m.VCVTDQ2PS(e, e)
		e = m.add(e, m.keep(small, m.register(scaled)))
		m.VPADDD(sqrtHalf, m.and(u, mantissa), f)
		f = m.subtract(f, one)
		p, z := m.polynomial(f, coefficients), m.multiply(f, f)
		y := m.multiply(m.multiply(z, f), p)
		m.accumulate(y, e, ln2Lo)
		m.accumulate(y, z, minusHalf)
		y = m.add(f, y)
		m.accumulate(y, e, ln2Hi)
		y = m.choose(m.compare(x, equal, zero), negativeInfinity, y)
		y = m.choose(m.compare(x, less, zero), nan, y)
		return m.choose(m.compare(x, notLess, infinity), x, y)
	}
}

func (m *machine) tanh() function1 {
	exp := m.exp()
	magnitude, sign := m.bits(^uint32(signBit)), m.bits(signBit)
	border, one, two := m.constant(0.625), m.constant(1), m.constant(2)
	coefficients := m.constantsOf(-0x1.8f8de4p-8, 0x1.58048ep-6, -0x1.b9258ap-5, 0x1.110e1cp-3, -0x1.555552p-2)
	return func(x vector) vector {
		a := m.and(x, magnitude)
		z := m.multiply(a, a)
		small := m.polynomial(z, coefficients)
		m.horner(small, m.multiply(a, z), a)
		// From 9.1 on this rounds to 1 by itself.
		large := m.subtract(m.register(one), m.divide(m.register(two), m.add(exp(m.add(a, a)), one)))
		return m.or(m.choose(m.compare(a, less, border), small, large), m.and(x, sign))
	}
}

// sigmoids returns a function for e = exp(-|x|), 1+e and the lanes where x < 0:
// sigmoid is e/(1+e) there and 1/(1+e) elsewhere.
func (m *machine) sigmoids() func(x vector) (e, d vector, negative mask) {
	exp := m.exp()
	sign, zero, one := m.bits(signBit), m.constant(0), m.constant(1)
	return func(x vector) (e, d vector, negative mask) {
		e = exp(m.or(x, sign))
		return e, m.add(e, one), m.compare(x, less, zero)
	}
}

func (m *machine) sigmoid() function1 {
	sigmoids, one := m.sigmoids(), m.constant(1)
	return func(x vector) vector {
		e, d, negative := sigmoids(x)
		return m.divide(m.choose(negative, e, m.register(one)), d)
	}
}

// gated returns a function for x*s, and the limit with x's sign where s is 0.
func (m *machine) gated() func(x, s vector) vector {
	sign, zero := m.bits(signBit), m.constant(0)
	return func(x, s vector) vector {
		return m.choose(m.compare(s, equal, zero), m.and(x, sign), m.multiply(x, s))
	}
}

func (m *machine) silu() function1 {
	sigmoid, gated := m.sigmoid(), m.gated()
	return func(x vector) vector { return gated(x, sigmoid(x)) }
}

// The coefficients of gelu32.
const (
	geluA      = 0x1.988454p+0
	geluB      = 0x1.2444f2p-4
	threeGeluB = 0x1.b6676cp-3
)

func (m *machine) gelu() function1 {
	sigmoid, gated := m.sigmoid(), m.gated()
	inner := m.constantsOf(geluB, geluA)
	return func(x vector) vector {
		t := m.multiply(x, m.polynomial(m.multiply(x, x), inner))
		return gated(x, sigmoid(t))
	}
}

// gateGrad returns a function for s + u*s(1-s), s the sigmoid of t, and s
// where the product s(1-s) is 0.
func (m *machine) gateGrad() func(u, t vector) vector {
	sigmoids, zero, one := m.sigmoids(), m.constant(0), m.constant(1)
	return func(u, t vector) vector {
		e, d, negative := sigmoids(t)
		s := m.divide(m.choose(negative, e, m.register(one)), d)
		q := m.divide(m.choose(negative, one, e), d)
		product := m.multiply(s, q)
		sum := m.copy(s)
		m.accumulate(sum, product, u)
		return m.choose(m.compare(product, equal, zero), s, sum)
	}
}

func (m *machine) siluGrad() function1 {
	gateGrad := m.gateGrad()
	return func(x vector) vector { return gateGrad(x, x) }
}

func (m *machine) geluGrad() function1 {
	gateGrad := m.gateGrad()
	inner, derivative := m.constantsOf(geluB, geluA), m.constantsOf(threeGeluB, geluA)
	return func(x vector) vector {
		z := m.multiply(x, x)
		t := m.multiply(x, m.polynomial(z, inner))
		return gateGrad(m.multiply(x, m.polynomial(z, derivative)), t)
	}
}

// tanhGrad is 1 - y*y, rounded once.
func (m *machine) tanhGrad() function1 {
	one := m.constant(1)
	return func(y vector) vector {
		t := m.copy(y)
		m.VFNMADD213PS(one, y, t)
		return t
	}
}

func (m *machine) sigmoidGrad() function1 {
	one := m.constant(1)
	return func(y vector) vector { return m.multiply(y, m.subtract(m.register(one), y)) }
}
