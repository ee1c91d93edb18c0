package detmath

import (
	"math"
	"math/big"
	"math/rand"
	"testing"
)

// The references below are series in arbitrary precision, good to some 250 bits.
const bits = 300

func bigf(x float64) *big.Float { return new(big.Float).SetPrec(bits).SetFloat64(x) }

func bigExp(x *big.Float) *big.Float {
	// e^x = (e^(x/2^20))^(2^20)
	const halvings = 20
	y := new(big.Float).SetPrec(bits+60).SetMantExp(x, -halvings)
	sum, term := bigf(1).SetPrec(bits+60), bigf(1).SetPrec(bits+60)
	for n := int64(1); n < 40; n++ {
		term.Mul(term, y)
		term.Quo(term, new(big.Float).SetInt64(n))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// bigAtanh sums y + y^3/3 + y^5/5 + ... for |y| <= 1/3.
func bigAtanh(y *big.Float) *big.Float {
	square := new(big.Float).SetPrec(bits).Mul(y, y)
	sum, power := bigf(0), new(big.Float).SetPrec(bits).Set(y)
	for n := int64(1); n < 220; n += 2 {
		sum.Add(sum, new(big.Float).SetPrec(bits).Quo(power, new(big.Float).SetInt64(n)))
		power.Mul(power, square)
	}
	return sum
}

func bigLog(x float64) *big.Float {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	s := new(big.Float).SetPrec(bits).Quo(bigf(m-1), bigf(0).Add(bigf(m), bigf(1)))
	third := new(big.Float).SetPrec(bits).Quo(bigf(1), bigf(3))
	ln2 := bigAtanh(third) // ln 2 = 2 atanh(1/3)
	sum := ln2.Mul(ln2, bigf(float64(e)))
	sum.Add(sum, bigAtanh(s))
	return sum.SetMantExp(sum, 1)
}

func bigCos(x float64) *big.Float {
	const precision = 1400
	pi, _, err := big.ParseFloat(piDigits, 10, precision, big.ToNearestEven)
	if err != nil {
		panic(err)
	}
	twoPi := new(big.Float).SetMantExp(pi, 1)
	v := new(big.Float).SetPrec(precision).SetFloat64(x)
	n, _ := new(big.Float).SetPrec(precision).Quo(v, twoPi).Int(nil)
	v.Sub(v, new(big.Float).SetPrec(precision).Mul(new(big.Float).SetInt(n), twoPi))
	square := new(big.Float).SetPrec(precision).Mul(v, v)
	sum, term := new(big.Float).SetPrec(precision).SetInt64(1), new(big.Float).SetPrec(precision).SetInt64(1)
	for k := int64(1); k < 120; k += 2 {
		term.Mul(term, square)
		term.Quo(term, new(big.Float).SetInt64(-k*(k+1)))
		sum.Add(sum, term)
	}
	return sum
}

// ulps returns |got - want| in units of the last place of want, or of the
// smallest subnormal number where that is larger.
func ulps(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	if math.IsInf(got, 0) || math.IsInf(w, 0) {
		if got == w {
			return 0
		}
		return math.Inf(1)
	}
	_, e := math.Frexp(w)
	ulp := math.Ldexp(1, max(e-53, -1074))
	d := new(big.Float).SetPrec(bits).Sub(bigf(got), want)
	f, _ := d.Quo(d, bigf(ulp)).Float64()
	return math.Abs(f)
}

func TestErrorsStayBelowTheDocumentedBounds(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	uniform := func(lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }
	anyPositive := func() float64 { return math.Float64frombits(uint64(rng.Int63n(0x7ff << 52))) }
	tests := []struct {
		name  string
		bound float64
		n     int
		next  func() (got float64, want *big.Float)
	}{
		{"exp", 0.6, 4000, func() (float64, *big.Float) { x := uniform(-708, 709.78); return Exp(x), bigExp(bigf(x)) }},
		{"exp near 0", 0.6, 4000, func() (float64, *big.Float) {
			x := uniform(-1, 1) * math.Ldexp(1, -rng.Intn(60))
			return Exp(x), bigExp(bigf(x))
		}},
		{"exp, subnormal", 1, 1000, func() (float64, *big.Float) { x := uniform(-745.2, -708); return Exp(x), bigExp(bigf(x)) }},
		{"log", 0.51, 3000, func() (float64, *big.Float) { x := anyPositive(); return Log(x), bigLog(x) }},
		{"log near 1", 0.51, 3000, func() (float64, *big.Float) {
			x := 1 + uniform(-1, 1)*math.Ldexp(1, -1-rng.Intn(52))
			return Log(x), bigLog(x)
		}},
		{"log in (0,2)", 0.51, 3000, func() (float64, *big.Float) { x := uniform(1e-9, 2); return Log(x), bigLog(x) }},
		{"pow", 0.6, 2000, func() (float64, *big.Float) {
			x := anyPositive()
			y := uniform(-707, 707) / Log(x)
			want := bigLog(x)
			return Pow(x, y), bigExp(want.Mul(want, bigf(y)))
		}},
		{"pow near 1", 0.6, 2000, func() (float64, *big.Float) {
			x := 1 + uniform(-1, 1)*math.Ldexp(1, -rng.Intn(40)-1)
			y := uniform(-700, 700) / Log(x)
			if math.IsInf(y, 0) || y != y {
				y = 1
			}
			want := bigLog(x)
			return Pow(x, y), bigExp(want.Mul(want, bigf(y)))
		}},
		{"pow, subnormal", 1, 1000, func() (float64, *big.Float) {
			x := uniform(0.5, 1)
			y := uniform(709, 745) / -Log(x)
			want := bigLog(x)
			return Pow(x, y), bigExp(want.Mul(want, bigf(y)))
		}},
		{"cos", 0.7, 2000, func() (float64, *big.Float) { x := uniform(0, 2*math.Pi); return Cos(x), bigCos(x) }},
		{"cos, many turns", 0.7, 2000, func() (float64, *big.Float) { x := uniform(0, cosDirect); return Cos(x), bigCos(x) }},
		{"cos near its zeros", 0.7, 1000, func() (float64, *big.Float) {
			x := (float64(rng.Intn(1<<28)) + 0.5) * math.Pi
			return Cos(x), bigCos(x)
		}},
		{"cos, any argument", 0.7, 500, func() (float64, *big.Float) { x := anyPositive(); return Cos(x), bigCos(x) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() {
				tt.n /= 10
			}
			worst := 0.0
			for range tt.n {
				got, want := tt.next()
				worst = max(worst, ulps(got, want))
			}
			t.Logf("worst of %d: %.4f ulp", tt.n, worst)
			if worst > tt.bound || worst != worst {
				t.Errorf("worst error is %g ulp, documented are %g", worst, tt.bound)
			}
		})
	}
}

// The float64 that comes closest to a multiple of pi/2 (Kahan), and the ends of
// the range.
func TestCosOfHardArguments(t *testing.T) {
	for _, x := range []float64{
		0x1.6ac5b262ca1ffp+849, 0x1.921fb54442d18p+0, math.Pi, cosDirect, math.Nextafter(cosDirect, 0),
		math.MaxFloat64, math.SmallestNonzeroFloat64, 0, 1e22,
	} {
		if e := ulps(Cos(x), bigCos(x)); e > 0.7 {
			t.Errorf("Cos(%g) = %g, %.3g ulp off", x, Cos(x), e)
		}
		if Cos(-x) != Cos(x) {
			t.Errorf("Cos(-%g) = %g, want %g", x, Cos(-x), Cos(x))
		}
	}
}

func TestExactResults(t *testing.T) {
	for n := range 60 {
		if got, want := Pow(2, float64(n-30)), math.Ldexp(1, n-30); got != want {
			t.Errorf("Pow(2, %d) = %g, want %g", n-30, got, want)
		}
		if got, want := Pow(float64(n), 2), float64(n*n); got != want {
			t.Errorf("Pow(%d, 2) = %g, want %g", n, got, want)
		}
		if got, want := Pow(-3, float64(n%30)), math.Pow(-3, float64(n%30)); got != want {
			t.Errorf("Pow(-3, %d) = %g, want %g", n%30, got, want)
		}
	}
	for x, want := range map[float64]float64{0: 1, math.Pi: -1} {
		if got := Cos(x); got != want {
			t.Errorf("Cos(%g) = %g, want %g", x, got, want)
		}
	}
	if Log(1) != 0 || math.Signbit(Log(1)) || Exp(0) != 1 || Exp(math.Copysign(0, -1)) != 1 {
		t.Errorf("Log(1) = %g, Exp(0) = %g", Log(1), Exp(0))
	}
}

// The standard library's documented special cases are ours too.
func TestSpecialValuesAgreeWithTheStandardLibrary(t *testing.T) {
	special := []float64{
		0, math.Copysign(0, -1), 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, 1e300, -1e300, 1e-300, -1e-300,
		1 << 53, 1<<53 - 1, -(1<<53 - 1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		-math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1024, -1075, 710, -746,
	}
	same := func(a, b float64) bool {
		if a != a || b != b {
			return a != a && b != b
		}
		if a == b {
			return math.Signbit(a) == math.Signbit(b)
		}
		return math.Abs(a-b) <= 1e-15*math.Abs(b) || math.Abs(a-b) <= 2*math.SmallestNonzeroFloat64
	}
	for _, x := range special {
		if got, want := Exp(x), math.Exp(x); !same(got, want) {
			t.Errorf("Exp(%g) = %g, want %g", x, got, want)
		}
		// math.Log's assembly gets subnormal arguments wrong (go1.26, amd64).
		if got, want := Log(x), math.Log(x); x != math.SmallestNonzeroFloat64 && !same(got, want) {
			t.Errorf("Log(%g) = %g, want %g", x, got, want)
		}
		if got, want := Cos(x), math.Cos(x); math.Abs(x) < 1e9 && !same(got, want) || (got != got) != (want != want) {
			t.Errorf("Cos(%g) = %g, want %g", x, got, want)
		}
		for _, y := range special {
			if got, want := Pow(x, y), math.Pow(x, y); !same(got, want) {
				t.Errorf("Pow(%g, %g) = %g, want %g", x, y, got, want)
			}
		}
	}
}

// Bits pinned on one machine must come out on every other one: a compiler that
// fuses, or a formula that changed, shows here.
func TestPinnedBits(t *testing.T) {
	var sum uint64
	x := 0.37
	for i := range 5000 {
		for _, v := range []float64{Exp(x), Log(1 + x), Pow(1.0001, float64(x*100)), Cos(float64(x * float64(i)))} {
			sum = (sum ^ math.Float64bits(v)) * 0x100000001b3
		}
		x = math.Mod(float64(x*1.618033988749895)+0.1, 20)
	}
	const want = 0xcc5b97139a1b69c
	if sum != want {
		t.Errorf("the results of Exp, Log, Pow and Cos have the fingerprint %#x, pinned is %#x", sum, uint64(want))
	}
}

func BenchmarkExp(b *testing.B) {
	for i := range b.N {
		sink = Exp(float64(i&1023) / 64)
	}
}

func BenchmarkPow(b *testing.B) {
	for i := range b.N {
		sink = Pow(0.97, float64(i&1023)/64)
	}
}

func BenchmarkCos(b *testing.B) {
	for i := range b.N {
		sink = Cos(float64(i&1023) / 64)
	}
}

var sink float64
