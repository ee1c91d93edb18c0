package cpu

import (
	"math"
	"os"
	"testing"
)

// ulpError returns |got - want| in units of the last place of want, or of the
// smallest normal or subnormal number, floor, where that is larger.
func ulpError(got float32, want, floor float64) float64 {
	g := float64(got)
	switch {
	case g == want || g != g && want != want:
		return 0
	case math.IsInf(g, 0) && math.Abs(want) >= 0x1.ffffffp127:
		return 0
	case g != g || want != want || math.IsInf(g, 0):
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(g-want) / math.Max(math.Ldexp(1, e-24), floor)
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func geluArgument64(x float64) float64 {
	return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
}

// Every 4099th float32, or every one if REPRISE_LONG is set.
func TestTranscendentalErrorsStayBelowTheDocumentedBounds(t *testing.T) {
	step := uint64(4099)
	if os.Getenv("REPRISE_LONG") != "" {
		step = 1
	}
	const subnormal = 0x1p-149
	tests := []struct {
		name  string
		bound float64
		floor float64 // errors are not counted in smaller units than this
		f     func(float32) float32
		exact func(float64) float64
	}{
		{"exp", 1.1, subnormal, exp32, math.Exp},
		{"log", 1, subnormal, log32, math.Log},
		{"tanh", 2, subnormal, tanh32, math.Tanh},
		{"sigmoid", 3, 0x1p-126, sigmoid32, sigmoid64},
		{"sigmoid complement", 3, 0x1p-126,
			func(x float32) float32 { _, q := sigmoids32(x); return q },
			func(x float64) float64 { return sigmoid64(-x) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The argument for which exp32 is worst, which the sample does not
			// contain.
			at := float32(0x1.4cbbcep+02)
			worst := ulpError(tt.f(at), tt.exact(float64(at)), tt.floor)
			for u := uint64(0); u < 1<<32; u += step {
				x := math.Float32frombits(uint32(u))
				if e := ulpError(tt.f(x), tt.exact(float64(x)), tt.floor); e > worst {
					worst, at = e, x
				}
			}
			t.Logf("worst %.3f ulp at %x", worst, at)
			if worst > tt.bound {
				t.Errorf("worst error is %g ulp, at %g, documented are %g", worst, at, tt.bound)
			}
		})
	}
}

// GELU, SiLU and their derivatives inherit the error of their argument; it is
// bounded relative to the result or, if that vanishes, absolutely.
func TestGatedActivationErrorsStayBelowTheDocumentedBounds(t *testing.T) {
	tests := []struct {
		name  string
		f     func(float32) float32
		exact func(float64) float64
	}{
		{"silu", silu32, func(x float64) float64 { return x * sigmoid64(x) }},
		{"gelu", gelu32, func(x float64) float64 { return x * sigmoid64(geluArgument64(x)) }},
		{"silu derivative", siluGrad32, func(x float64) float64 {
			s, q := sigmoid64(x), sigmoid64(-x)
			return s + x*s*q
		}},
		{"gelu derivative", geluGrad32, func(x float64) float64 {
			t := geluArgument64(x)
			s, q := sigmoid64(t), sigmoid64(-t)
			return s + 2*math.Sqrt(2/math.Pi)*(x+3*0.044715*x*x*x)*s*q
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			worst, at := 0.0, float32(0)
			for u := uint64(0); u < 1<<32; u += 4099 {
				x := math.Float32frombits(uint32(u))
				if x != x || math.Abs(float64(x)) > 1e6 {
					continue
				}
				want := tt.exact(float64(x))
				if e := math.Abs(float64(tt.f(x))-want) / math.Max(1, math.Abs(want)) * (1 << 24); e > worst {
					worst, at = e, x
				}
			}
			t.Logf("worst %.3f at %g", worst, at)
			if worst > gatedBound {
				t.Errorf("worst error is %g * 2^-24 * max(1, |f|), at %g, documented are %g", worst, at, float64(gatedBound))
			}
		})
	}
}

// gatedBound is the documented bound on the error of silu32, gelu32 and their
// derivatives, in units of 2^-24 max(1, |f|).
const gatedBound = 4

func TestSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negativeZero := float32(math.Copysign(0, -1))
	tests := []struct {
		name    string
		f       func(float32) float32
		x, want float32
	}{
		{"exp", exp32, inf, inf}, {"exp", exp32, -inf, 0}, {"exp", exp32, 0, 1}, {"exp", exp32, negativeZero, 1},
		{"exp", exp32, nan, nan}, {"exp", exp32, 89, inf}, {"exp", exp32, -104, 0}, {"exp", exp32, -103.9, 0x1p-149},
		{"log", log32, inf, inf}, {"log", log32, 0, -inf}, {"log", log32, negativeZero, -inf}, {"log", log32, 1, 0},
		{"log", log32, -1, nan}, {"log", log32, -inf, nan}, {"log", log32, nan, nan},
		{"tanh", tanh32, inf, 1}, {"tanh", tanh32, -inf, -1}, {"tanh", tanh32, 0, 0},
		{"tanh", tanh32, negativeZero, negativeZero}, {"tanh", tanh32, nan, nan}, {"tanh", tanh32, -20, -1},
		{"sigmoid", sigmoid32, inf, 1}, {"sigmoid", sigmoid32, -inf, 0}, {"sigmoid", sigmoid32, 0, 0.5}, {"sigmoid", sigmoid32, nan, nan},
		{"silu", silu32, inf, inf}, {"silu", silu32, -inf, negativeZero}, {"silu", silu32, 0, 0}, {"silu", silu32, nan, nan},
		{"gelu", gelu32, inf, inf}, {"gelu", gelu32, -inf, negativeZero}, {"gelu", gelu32, 0, 0}, {"gelu", gelu32, nan, nan},
		{"gelu", gelu32, math.MaxFloat32, math.MaxFloat32}, {"gelu", gelu32, -math.MaxFloat32, negativeZero},
		{"silu derivative", siluGrad32, inf, 1}, {"silu derivative", siluGrad32, -inf, 0}, {"silu derivative", siluGrad32, 0, 0.5}, {"silu derivative", siluGrad32, nan, nan},
		{"gelu derivative", geluGrad32, inf, 1}, {"gelu derivative", geluGrad32, -inf, 0}, {"gelu derivative", geluGrad32, 0, 0.5}, {"gelu derivative", geluGrad32, nan, nan},
	}
	for _, tt := range tests {
		if got := tt.f(tt.x); !sameBits(math.Float32bits(got), math.Float32bits(tt.want)) {
			t.Errorf("%s(%g) = %g, want %g", tt.name, tt.x, got, tt.want)
		}
	}
}

// Bits pinned on one machine must come out on every other one.
func TestTranscendentalBitsArePinned(t *testing.T) {
	functions := []struct {
		name string
		f    func(float32) float32
		want uint32
	}{
		{"exp", exp32, 0xfdd0c4f3}, {"log", log32, 0x1d2cf487}, {"tanh", tanh32, 0x98bc2dc7}, {"sigmoid", sigmoid32, 0x8080b5da},
		{"silu", silu32, 0x3767bbe9}, {"gelu", gelu32, 0x3002c187}, {"silu derivative", siluGrad32, 0xda0a5468}, {"gelu derivative", geluGrad32, 0xb1730b7c},
	}
	for _, tt := range functions {
		sum := uint32(0)
		for u := uint64(0); u < 1<<32; u += 65521 {
			y := math.Float32bits(tt.f(math.Float32frombits(uint32(u))))
			if y|signBit > negativeInf {
				y = negativeInf + 1 // any NaN
			}
			sum = (sum ^ y) * 16777619
		}
		if sum != tt.want {
			t.Errorf("%s has the fingerprint %#x, pinned is %#x", tt.name, sum, tt.want)
		}
	}
}
