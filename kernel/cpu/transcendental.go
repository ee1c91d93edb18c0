package cpu

import "math"

// The transcendental functions of the kernels, in float32. Each is a fixed
// sequence of correctly rounded operations, so that any device with IEEE 754
// float32 and a fused multiply-add gives the same bits; the comments give the
// error bounds that the tests check against float64, in units of the last
// place (ulp) of the result.

const (
	// 1.5 * 2^23: adding it to |v| < 2^22 rounds v to an integer, half to even.
	roundMagic = 3 << 22

	log2e32 = 0x1.715476p+0
	// ln2Hi32 + ln2Lo32 is ln 2 to 48 bits.
	ln2Hi32 = 0x1.62e430p-1
	ln2Lo32 = -0x1.05c610p-29

	// Beyond these the result is +Inf, or +0: less than half the smallest
	// subnormal number.
	exp32Overflow  = 0x1.62e42ep+6
	exp32Underflow = -0x1.9fe368p+6
)

// exp32 returns e^x. The error is below 1.1 ulp, and for a subnormal result below
// 1.1 ulp of the smallest subnormal. exp32(NaN) is NaN.
//
// Method: x = n ln2 + r, |r| <= ln2/2 and a little; e^r = 1 + r + r^2 q(r).
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > exp32Overflow:
		return float32(math.Inf(1))
	case x < exp32Underflow:
		return 0
	}
	n := FMA32(x, log2e32, roundMagic) - roundMagic
	r := FMA32(n, -ln2Hi32, x) // exact
	r = FMA32(n, -ln2Lo32, r)
	q := FMA32(r, 0x1.6d117cp-10, 0x1.120be2p-7)
	q = FMA32(r, q, 0x1.555518p-5)
	q = FMA32(r, q, 0x1.5554dcp-3)
	q = FMA32(r, q, 0.5)
	y := FMA32(float32(r*r), q, r) + 1
	// 2^n in two factors, each a normal number: the second product rounds where
	// the result is subnormal.
	half := int32(n) >> 1
	y = float32(y * pow2(half))
	return float32(y * pow2(int32(n)-half))
}

// pow2 returns 2^n for -126 <= n <= 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// log32 returns the natural logarithm of x. The error is below 1 ulp. log32(0)
// is -Inf; of NaN or a number below zero it is NaN.
//
// Method: x = 2^e (1+f), sqrt(1/2) <= 1+f < sqrt(2); ln(1+f) = f - f^2/2 +
// f^3 p(f).
func log32(x float32) float32 {
	switch {
	case x != x || x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case x > math.MaxFloat32:
		return x
	}
	e := int32(0)
	if x < 0x1p-126 {
		x = float32(x * 0x1p23)
		e = -23
	}
	// Subtracting the bits of sqrt(1/2) leaves the exponent of the number whose
	// mantissa begins there.
	const sqrtHalf = 0x3f3504f3
	u := math.Float32bits(x) - sqrtHalf
	e += int32(u) >> 23
	f := math.Float32frombits(u&0x007fffff+sqrtHalf) - 1 // exact
	p := FMA32(f, 0x1.1d8ea6p-4, -0x1.d635bcp-4)
	p = FMA32(f, p, 0x1.dea282p-4)
	p = FMA32(f, p, -0x1.fcf4c6p-4)
	p = FMA32(f, p, 0x1.23d21ap-3)
	p = FMA32(f, p, -0x1.555b4ap-3)
	p = FMA32(f, p, 0x1.999d5ap-3)
	p = FMA32(f, p, -0x1.fffffcp-3)
	p = FMA32(f, p, 0x1.555554p-2)
	z := float32(f * f)
	y := float32(float32(z*f) * p)
	y = FMA32(float32(e), ln2Lo32, y)
	y = FMA32(z, -0.5, y)
	return FMA32(float32(e), ln2Hi32, f+y)
}

// tanh32 returns the hyperbolic tangent of x. The error is below 2 ulp.
// tanh32(±Inf) is ±1, tanh32(±0) is ±0 and tanh32(NaN) is NaN.
func tanh32(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	switch {
	case x != x:
		return x
	case a < 0.625:
		z := float32(a * a)
		p := FMA32(z, -0x1.8f8de4p-8, 0x1.58048ep-6)
		p = FMA32(z, p, -0x1.b9258ap-5)
		p = FMA32(z, p, 0x1.110e1cp-3)
		p = FMA32(z, p, -0x1.555552p-2)
		a = FMA32(float32(a*z), p, a)
	case a > 9.1: // 1 - tanh(9.1) is below a quarter of an ulp of 1
		a = 1
	default:
		a = 1 - 2/(exp32(a+a)+1)
	}
	return float32(math.Copysign(float64(a), float64(x)))
}

// sigmoids32 returns s = 1/(1+e^-x) and q = 1 - s = 1/(1+e^x), neither of which
// suffers from cancellation. The errors are below 3 ulp if the result is a
// normal number. Both are NaN for NaN.
func sigmoids32(x float32) (s, q float32) {
	e := exp32(float32(-math.Abs(float64(x))))
	d := 1 + e
	s, q = 1/d, e/d
	if x < 0 {
		return q, s
	}
	return s, q
}

// silu32 returns x/(1+e^-x): x times the rounded sigmoid. silu32(-Inf) is -0.
func silu32(x float32) float32 {
	s, _ := sigmoids32(x)
	return gated(x, s)
}

// gated returns x*s, and the limit -0 where s = 0 and x is infinite.
func gated(x, s float32) float32 {
	if s == 0 {
		return float32(math.Copysign(0, float64(x)))
	}
	return float32(x * s)
}

const (
	// GELU by tanh, x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3),
	// is x/(1+e^-t) for t = 2u = x (geluA + geluB x^2).
	geluA      = 0x1.988454p+0
	geluB      = 0x1.2444f2p-4
	threeGeluB = 0x1.b6676cp-3
)

// gelu32 returns the tanh approximation of GELU. gelu32(-Inf) is -0.
func gelu32(x float32) float32 {
	t := float32(x * FMA32(float32(x*x), geluB, geluA))
	s, _ := sigmoids32(t)
	return gated(x, s)
}

// siluGrad32 returns the derivative of silu32: s + x s(1-s).
func siluGrad32(x float32) float32 {
	s, q := sigmoids32(x)
	return gateGrad(x, s, float32(s*q))
}

// geluGrad32 returns the derivative of gelu32: s + x t' s(1-s), with t' =
// geluA + 3 geluB x^2.
func geluGrad32(x float32) float32 {
	z := float32(x * x)
	s, q := sigmoids32(float32(x * FMA32(z, geluB, geluA)))
	return gateGrad(float32(x*FMA32(z, threeGeluB, geluA)), s, float32(s*q))
}

// gateGrad returns s + u*d, and the limit s where d = 0 and u may be infinite.
func gateGrad(u, s, d float32) float32 {
	if d == 0 {
		return s
	}
	return FMA32(u, d, s)
}
