// Package detmath computes a few transcendental functions in float64 with the
// same bits on every machine. Learning-rate schedules and weight
// initialisation use it; the functions inside kernels are float32 and live in
// kernel/cpu.
//
// The standard library does not promise that: math.Exp and math.Log have
// assembly on some architectures, and the compiler may fuse x*y + z into one
// instruction where the target has one. Here every product that meets a sum is
// either rounded by an explicit conversion or part of an explicit math.FMA,
// which is correctly rounded everywhere; +, -, *, / and math.RoundToEven are
// exact by IEEE 754.
//
// Errors are at most 0.51 ulp for Log, 0.6 ulp for Exp and Pow and 0.7 ulp for
// Cos where the result is a normal number, and at most 1 ulp where Exp or Pow
// is subnormal. The tests check this against math/big.
//
// The package has no state. All functions are safe for concurrent use.
package detmath

import "math"

const (
	log2e = 1 / math.Ln2
	// ln2Hi + ln2Lo is ln 2 to 106 bits.
	ln2Hi = 0x1.62e42fefa39efp-1
	ln2Lo = math.Ln2 - ln2Hi

	// Beyond these, exp is +Inf or rounds to zero.
	expOverflow  = 709.782712893384
	expUnderflow = -745.1332191019412
)

// Exp returns e to the power x. Exp(+Inf) is +Inf, Exp(-Inf) is 0 and Exp(NaN)
// is NaN.
func Exp(x float64) float64 { return expSum(x, 0) }

// expSum returns exp(h+l) for an l below an ulp of h or so.
//
// Method: h + l = k ln2 + r + c with |r| <= ln2/2, c the rounding error of r;
// e^r by Taylor's series, whose first term left out is below 2^-57.
func expSum(h, l float64) float64 {
	switch {
	case h != h:
		return h
	case h > expOverflow:
		return math.Inf(1)
	case h < expUnderflow:
		return 0
	}
	k := math.RoundToEven(float64(h * log2e))
	t := math.FMA(-k, ln2Hi, h) // exact: both are multiples of 2^-53 where k is not 0
	p := float64(k*ln2Lo) - l
	r := t - p
	c := (t - r) - p

	const (
		c2  = 1.0 / 2
		c3  = c2 / 3
		c4  = c3 / 4
		c5  = c4 / 5
		c6  = c5 / 6
		c7  = c6 / 7
		c8  = c7 / 8
		c9  = c8 / 9
		c10 = c9 / 10
		c11 = c10 / 11
		c12 = c11 / 12
		c13 = c12 / 13
	)
	q := math.FMA(r, c13, c12)
	q = math.FMA(r, q, c11)
	q = math.FMA(r, q, c10)
	q = math.FMA(r, q, c9)
	q = math.FMA(r, q, c8)
	q = math.FMA(r, q, c7)
	q = math.FMA(r, q, c6)
	q = math.FMA(r, q, c5)
	q = math.FMA(r, q, c4)
	q = math.FMA(r, q, c3)
	q = math.FMA(r, q, c2)
	// e^(r+c) = 1 + r + (r^2 q + c(1+r)), summed from the small end.
	hi := 1 + r
	lo := (1 - hi) + r
	tail := math.FMA(float64(r*r), q, math.FMA(c, r, c))
	return math.Ldexp(hi+(lo+tail), int(k))
}

// Log returns the natural logarithm of x. Log(+Inf) is +Inf, Log(±0) is -Inf,
// and Log of NaN or of a number below zero is NaN.
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	h, l := logSum(x)
	return h + l
}

// logSum returns ln x, for a finite x > 0, as an unevaluated sum with a
// relative error below 2^-63.
//
// Method: x = 2^e m with sqrt(1/2) <= m < sqrt(2), and ln m = 2 atanh(s) =
// 2s (1 + z/3 + z^2/5 + ...) for s = (m-1)/(m+1), z = s^2 <= 0.0295. The terms
// up to z/3 are carried as sums of two float64.
func logSum(x float64) (hi, lo float64) {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m += m
		e--
	}
	f := m - 1 // exact
	dh := 2 + f
	dl := (2 - dh) + f
	sh := f / dh
	sl := (math.FMA(-sh, dh, f) - float64(sh*dl)) / dh

	zh := float64(sh * sh)
	zl := math.FMA(sh, sh, -zh) + float64((sh+sh)*sl)
	const (
		thirdHi = 0x1.5555555555555p-2
		thirdLo = 1.0/3 - thirdHi
	)
	q := math.FMA(zh, 1.0/29, 1.0/27)
	q = math.FMA(zh, q, 1.0/25)
	q = math.FMA(zh, q, 1.0/23)
	q = math.FMA(zh, q, 1.0/21)
	q = math.FMA(zh, q, 1.0/19)
	q = math.FMA(zh, q, 1.0/17)
	q = math.FMA(zh, q, 1.0/15)
	q = math.FMA(zh, q, 1.0/13)
	q = math.FMA(zh, q, 1.0/11)
	q = math.FMA(zh, q, 1.0/9)
	q = math.FMA(zh, q, 1.0/7)
	q = math.FMA(zh, q, 1.0/5)

	ph, pl := product(zh, q)
	pl = math.FMA(zl, q, pl)
	ah, al := twoSum(thirdHi, ph)
	al += thirdLo + pl // z/3 + z^2/5 + ... = z (ah + al)
	th, tl := product(zh, ah)
	tl = math.FMA(zh, al, math.FMA(zl, ah, tl))
	uh, ul := product(sh, th)
	ul = math.FMA(sh, tl, math.FMA(sl, th, ul))
	mh, ml := twoSum(sh, uh)
	ml += ul + sl
	mh, ml = mh+mh, ml+ml

	k := float64(e)
	kh, kl := product(k, ln2Hi)
	kl = math.FMA(k, ln2Lo, kl)
	h, l := twoSum(kh, mh)
	l += kl + ml
	hi = h + l
	return hi, (h - hi) + l
}

// product returns a*b as an unevaluated sum, exactly where nothing underflows.
func product(a, b float64) (hi, lo float64) {
	hi = float64(a * b)
	return hi, math.FMA(a, b, -hi)
}

// twoSum returns a+b as an unevaluated sum, exactly (Knuth).
func twoSum(a, b float64) (hi, lo float64) {
	hi = a + b
	v := hi - a
	return hi, (a - (hi - v)) + (b - v)
}

// Pow returns x to the power y. Where x or y is zero, infinite or NaN, or x is
// negative, it gives what math.Pow documents (C99 annex F): Pow(x, 0) and
// Pow(1, y) are 1 for any x and y, and a negative x to a power that is not an
// integer is NaN.
func Pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case x != x || y != y:
		return math.NaN()
	case x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0):
		return powSpecial(x, y)
	}
	negative := false
	if x < 0 {
		if y != math.Trunc(y) {
			return math.NaN()
		}
		negative = isOdd(y)
		x = -x
	}
	h, l := logSum(x)
	ph := float64(y * h)
	pl := math.FMA(y, l, math.FMA(y, h, -ph))
	if math.Abs(ph) > 750 {
		pl = 0 // the result is out of range, and the error term may be infinite
	}
	result := expSum(ph, pl)
	if negative {
		return -result
	}
	return result
}

// powSpecial is Pow where x is 0 or infinite, or y is infinite.
func powSpecial(x, y float64) float64 {
	if math.IsInf(y, 0) {
		switch a := math.Abs(x); {
		case a == 1:
			return 1
		case (a > 1) == (y > 0):
			return math.Inf(1)
		}
		return 0
	}
	result := 0.0
	if (x == 0) == (y < 0) {
		result = math.Inf(1)
	}
	if math.Signbit(x) && isOdd(y) {
		return -result
	}
	return result
}

// isOdd reports whether y is an odd integer.
func isOdd(y float64) bool {
	return math.Abs(y) < 1<<53 && y == math.Trunc(y) && int64(y)&1 != 0
}
