package cpu

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA is the oracle: the sum in arbitrary precision, rounded once.
func exactFMA(a, b, c float32) float32 {
	x, y, z := float64(a), float64(b), float64(c)
	if t := float64(x*y) + z; t-t != 0 { // infinite or NaN: nothing is rounded
		return float32(t)
	}
	// 2^-298 to 2^256 is the range of bits that can be set.
	wide := func(v float64) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(v) }
	p := new(big.Float).SetPrec(600).Mul(wide(x), wide(y))
	f, _ := new(big.Float).SetPrec(600).Add(p, wide(z)).Float32()
	return f
}

type triple struct{ a, b, c float32 }

// fmaFamilies generate operands for which an inexact multiply-add goes wrong.
var fmaFamilies = []struct {
	name string
	next func(r *rand.Rand) triple
}{
	{"any bits", func(r *rand.Rand) triple {
		bits := func() float32 { return math.Float32frombits(r.Uint32()) }
		return triple{bits(), bits(), bits()}
	}},
	{"alike in magnitude", func(r *rand.Rand) triple {
		x := func() float32 { return math.Float32frombits(r.Uint32()&0x807fffff | (120+r.Uint32N(14))<<23) }
		return triple{x(), x(), x()}
	}},
	{"next to a midpoint", func(r *rand.Rand) triple {
		// a*b is half of c's last place, give or take 2^-46 of it, a difference
		// that float64 drops.
		n := float64(1 + r.IntN(64))
		a := float32(1 + n*0x1p-23)
		b := float32(1 - n*0x1p-23)
		if r.IntN(2) == 0 {
			b = float32(1 - (n-1)*0x1p-23)
		}
		c := float32(r.Uint32N(1<<23) + 1<<23)
		scale := r.IntN(100) - 50
		sign := float64(1 - 2*r.IntN(2))
		return triple{float32(math.Ldexp(float64(a)*sign, scale-1)), b, float32(math.Ldexp(float64(c), scale))}
	}},
	{"subnormal result", func(r *rand.Rand) triple {
		a := math.Float32frombits(r.Uint32()&0x807fffff | (58+r.Uint32N(10))<<23)
		b := math.Float32frombits(r.Uint32()&0x807fffff | (58+r.Uint32N(10))<<23)
		return triple{a, b, math.Float32frombits(r.Uint32() & 0x80ffffff)}
	}},
	{"subnormal midpoint", func(r *rand.Rand) triple {
		// a*b is half of the smallest subnormal, give or take what float64 drops.
		n := float64(r.IntN(64) - 32)
		a := float32(math.Ldexp(1+n*0x1p-23, -75))
		b := float32(math.Ldexp(1-n*0x1p-23, -75))
		return triple{a, b, math.Float32frombits(r.Uint32()&0x80000000 | r.Uint32N(1<<23))}
	}},
	{"next to overflow", func(r *rand.Rand) triple {
		c := math.Float32frombits(0x7f7fffff - r.Uint32N(3))
		n := float64(r.IntN(5) - 2)
		return triple{float32(math.Ldexp(1+n*0x1p-23, 52)), float32(math.Ldexp(1-n*0x1p-23, 51)), c}
	}},
	{"cancellation", func(r *rand.Rand) triple {
		a, b := float32(r.NormFloat64()), float32(r.NormFloat64())
		return triple{a, b, -float32(a * b)}
	}},
	{"special", func(r *rand.Rand) triple {
		special := []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)),
			float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32,
			-math.SmallestNonzeroFloat32, 0x1p-126, 0x1p-75, 0x1.fffffep-127}
		x := func() float32 { return special[r.IntN(len(special))] }
		return triple{x(), x(), x()}
	}},
}

func TestFMA32RoundsOnce(t *testing.T) {
	const each = 30_000
	for _, f := range fmaFamilies {
		r := rand.New(rand.NewPCG(3, 4))
		twice := 0
		for range each {
			x := f.next(r)
			got, want := FMA32(x.a, x.b, x.c), exactFMA(x.a, x.b, x.c)
			if !sameFloat(got, want) {
				t.Fatalf("%s: FMA32(%x, %x, %x) is %x, want %x", f.name, x.a, x.b, x.c, got, want)
			}
			if !sameFloat(float32(math.FMA(float64(x.a), float64(x.b), float64(x.c))), want) {
				twice++
			}
		}
		t.Logf("%-20s %d triples; rounding twice would be wrong in %d", f.name, each, twice)
		if twice == 0 && (f.name == "next to a midpoint" || f.name == "subnormal midpoint") {
			t.Errorf("%s: no triple distinguishes FMA32 from rounding twice", f.name)
		}
	}
}

// TestFMA32EqualsTheHardware compares with every FMA instruction available,
// through a single step of a tile kernel.
func TestFMA32EqualsTheHardware(t *testing.T) {
	const rounds = 1500
	tried := 0
	for _, v := range assemblyVariants() {
		if v.level > Detect().Best() {
			continue
		}
		tried++
		k := v.tile
		n := k.rows * k.cols
		a, b := make([]float32, k.rows), make([]float32, k.cols)
		s, c := make([]float32, n), make([]float32, n)
		for _, f := range fmaFamilies {
			r := rand.New(rand.NewPCG(5, 6))
			for range rounds {
				// Lane (i, i) gets a triple of the family, the others a mixture.
				for i := range s {
					x := f.next(r)
					s[i] = x.c
					if i%(k.cols+1) == 0 && i/k.cols < k.rows {
						a[i/k.cols], b[i%k.cols] = x.a, x.b
					}
				}
				k.run(k.rows, k.cols, packedRows(&k, 1, a), b, k.cols, s, k.cols, c, k.cols)
				for i := range c {
					x := triple{a[i/k.cols], b[i%k.cols], s[i]}
					if got := FMA32(x.a, x.b, x.c); !sameFloat(got, c[i]) {
						t.Fatalf("%s, %s: FMA32(%x, %x, %x) is %x, the hardware gives %x",
							v.name, f.name, x.a, x.b, x.c, got, c[i])
					}
				}
			}
		}
		t.Logf("%s: %d triples", v.name, rounds*n*len(fmaFamilies))
	}
	if tried == 0 && Detect().Best() != LevelNone {
		t.Error("no instruction was compared on a machine that has one")
	}
	if tried == 0 {
		t.Log("no assembly on this machine or in this build: compared with the oracle only")
	}
}

func FuzzFMA32(f *testing.F) {
	f.Add(uint32(0x3f800001), uint32(0x3f7ffffe), uint32(0x4b800001))
	f.Add(uint32(0x00000001), uint32(0x3f000000), uint32(0x80000001))
	f.Add(uint32(0x7f7fffff), uint32(0x33800000), uint32(0x7f7fffff))
	f.Fuzz(func(t *testing.T, a, b, c uint32) {
		x := triple{math.Float32frombits(a), math.Float32frombits(b), math.Float32frombits(c)}
		if got, want := FMA32(x.a, x.b, x.c), exactFMA(x.a, x.b, x.c); !sameFloat(got, want) {
			t.Errorf("FMA32(%x, %x, %x) is %x, want %x", x.a, x.b, x.c, got, want)
		}
	})
}

func BenchmarkFMA32(b *testing.B) {
	x := float32(0)
	for b.Loop() {
		x = FMA32(0.999, x, 0.25)
	}
}
