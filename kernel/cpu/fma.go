package cpu

import "math"

// FMA32 returns a*b + c rounded once to float32, to nearest with ties to even:
// IEEE 754's fusedMultiplyAdd, bit for bit what VFMADD231SS and the GPU's
// fma() give, signed zeros, subnormals and infinities included. Any NaN result
// is some NaN: its sign and payload are not part of the contract.
//
// Method: the product of two float32 is exact in float64, so t = a*b + c in
// float64 carries one rounding error, and rounding t to float32 can go wrong
// only where that error decides: where t lies exactly midway between two
// float32, or where the result is subnormal (the midpoints then lie
// elsewhere). In those cases the sum is redone with round-to-odd, after which
// the second rounding is harmless (Boldo and Melquiond, "Emulation of FMA and
// correctly rounded sums: proved algorithms using rounding to odd", IEEE
// Transactions on Computers 57(4), 2008).
//
// math.FMA rounded to float32 is not the same: it rounds twice and differs in
// about one random triple of six million.
func FMA32(a, b, c float32) float32 {
	x, y, z := float64(a), float64(b), float64(c)
	t := float64(x*y) + z
	if roundsTwice(t) {
		t = fmaOdd(x, y, z)
	}
	return float32(t)
}

const (
	// fmaTail masks the bits of a float64 that do not fit a float32.
	fmaTail = 1<<29 - 1
	// fmaMidpoint is their value midway between two normal float32. The
	// midpoint above the largest float32, where overflow begins, is one of them.
	fmaMidpoint = 1 << 28
	// fmaSubnormal bounds bits<<1 - 1 from above if 0 < |t| < 2^-126: the shift
	// drops the sign, and the decrement sends zero, which is always exact, to
	// the top of the range.
	fmaSubnormal = (1023-126)<<53 - 1
)

// roundsTwice reports whether rounding t, a float64 sum, to float32 may differ
// from rounding the exact sum, so that fmaOdd is needed. It is a few integer
// instructions and is inlined, with the sum before it and the conversion after
// it, into the portable kernels' inner loops.
func roundsTwice(t float64) bool {
	u := math.Float64bits(t)
	return u&fmaTail == fmaMidpoint || u<<1-1 < fmaSubnormal
}

// fmaOdd returns a*b + c rounded to odd in float64, for operands that hold
// float32 values; rounding that to float32 gives FMA32. The sum is finite: the
// low bits of an infinity or a NaN are not those of a midpoint.
//
//go:noinline
func fmaOdd(a, b, c float64) float64 {
	p := float64(a * b) // exact: 24+24 bits, and no smaller than 2^-298
	s := p + c
	// Knuth's TwoSum: p + c = s + e exactly, as float64 cannot overflow here.
	v := s - p
	e := (p - (s - v)) + (c - v)
	u := math.Float64bits(s)
	if e == 0 || u&1 != 0 {
		return s
	}
	// The exact sum lies strictly between s and its neighbour on e's side; the
	// odd one of the two is the neighbour. s is not zero, or e would be zero
	// too.
	if (e > 0) == (s > 0) {
		return math.Float64frombits(u + 1)
	}
	return math.Float64frombits(u - 1)
}
