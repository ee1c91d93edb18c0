package dataset

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/dataset/number"
)

// allRows returns [0, n).
func allRows(n int) []uint32 {
	rows := make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(i)
	}
	return rows
}

func TestTinyColumnsAreStandardisedLikeOthers(t *testing.T) {
	// Scaling a column by a power of two scales mean and deviation by it, to the
	// last bit, also where squares underflow.
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-8, 8), 2, 30).Draw(t, "values")
		for i, v := range values { // few digits, so that none is lost on the way down
			values[i] = math.Round(v*1024) / 1024
		}
		want := currentReading.standardise(values, 1, allRows(len(values)))[0]
		shift := rapid.IntRange(-1000, 100).Draw(t, "shift")
		scaled := make([]float64, len(values))
		for i, v := range values {
			scaled[i] = math.Ldexp(v, shift)
		}
		got := currentReading.standardise(scaled, 1, allRows(len(values)))[0]
		if got.Mean != math.Ldexp(want.Mean, shift) || math.Abs(want.SD) > 0 && math.Abs(got.SD/math.Ldexp(want.SD, shift)-1) > 1e-9 {
			t.Fatalf("mean %v and deviation %v, want %v and %v scaled by 2^%d", got.Mean, got.SD, want.Mean, want.SD, shift)
		}
		if shift > -400 && got.SD != math.Ldexp(want.SD, shift) {
			t.Fatalf("deviation %v, want %v scaled by 2^%d", got.SD, want.SD, shift)
		}
	})
}

func TestOrdinaryColumnsAreStandardisedAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "rows")
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), n, n).Draw(t, "values")
		got, want := currentReading.standardise(values, 1, allRows(n))[0], firstReading.standardise(values, 1, allRows(n))[0]
		if want.SD < 1e-100 || want.SD < 1e-7*math.Abs(want.Mean) { // by drawing the same number again and again, or its neighbour
			t.Skip("not an ordinary column")
		}
		if got != want {
			t.Fatalf("%+v, was %+v", got, want)
		}
	})
	// Many rows, and a mean of a hundred deviations, are still ordinary.
	random := rand.New(rand.NewPCG(4, 5))
	values := make([]float64, 300_000)
	for i := range values {
		values[i] = 100 + random.NormFloat64()
	}
	if got, want := currentReading.standardise(values, 1, allRows(len(values)))[0], firstReading.standardise(values, 1, allRows(len(values)))[0]; got != want {
		t.Errorf("%+v, was %+v", got, want)
	}
}

func TestTinyColumnsAndTargetsAreLearnt(t *testing.T) {
	const text = "a,b,y\n1e-200,2,0\n2e-200,1,1\n3e-200,1,0\n4e-200,2,1\n5e-200,1,1\n"
	d, err := openCSVText(t, text, "y")
	if err != nil {
		t.Fatal(err)
	}
	x, _ := gather(d, Train)
	sum, squares := 0.0, 0.0
	for i := 0; i < len(x); i += 2 {
		sum += float64(x[i])
		squares += float64(x[i]) * float64(x[i])
	}
	if n := float64(d.Len(Train)); math.Abs(sum) > 1e-6 || math.Abs(squares/n-1) > 1e-6 {
		t.Errorf("mean %v and variance %v of %v", sum/n, squares/n, x)
	}
	d, err = openTargets(t, text, "a")
	if err != nil {
		t.Fatal(err)
	}
	target := d.Targets()[0]
	if target.StandardDeviation < 1e-200 || target.StandardDeviation > 2e-200 {
		t.Errorf("%+v", target)
	}
	b := d.NewBatch(1)
	d.GatherBatch(Train, []int{0}, b)
	raw := d.parts[Train].targets[d.parts[Train].row(0)]
	if got := target.Restore(b.Targets[0]); math.Abs(got/raw-1) > 1e-6 {
		t.Errorf("%v turned back is %v", raw, got)
	}
}

// lattice is a column of base + k units for drawn k, whose mean and deviation are
// therefore known exactly.
type lattice struct {
	base, unit float64
	steps      []int64
}

func (l lattice) values() []float64 {
	values := make([]float64, len(l.steps))
	for i, k := range l.steps {
		values[i] = l.base + float64(float64(k)*l.unit)
	}
	return values
}

// meanAbove returns how far the mean is above m, exact up to float64.
func (l lattice) meanAbove(m float64) float64 {
	sum := int64(0)
	for _, k := range l.steps {
		sum += k
	}
	exact := new(big.Rat).SetFrac64(sum, int64(len(l.steps)))
	exact.Mul(exact, new(big.Rat).SetFloat64(l.unit))
	exact.Add(exact, new(big.Rat).SetFloat64(l.base))
	above, _ := exact.Sub(exact, new(big.Rat).SetFloat64(m)).Float64()
	return above
}

// deviation returns the standard deviation, exact up to float64.
func (l lattice) deviation() float64 {
	n, sum, squares := int64(len(l.steps)), int64(0), new(big.Int)
	for _, k := range l.steps {
		sum += k
		squares.Add(squares, big.NewInt(k*k))
	}
	squares.Mul(squares, big.NewInt(n))
	squares.Sub(squares, new(big.Int).Mul(big.NewInt(sum), big.NewInt(sum)))
	root, _ := new(big.Float).Sqrt(new(big.Float).SetInt(squares)).Float64()
	return root / float64(n) * l.unit
}

// drawLattice draws n values that are spread over so many units from base on. The
// unit is that of base's last place, or a power of two times it where that keeps
// the sums in int64.
func drawLattice(base float64, n int, spread int64, seed uint64) lattice {
	l := lattice{base, ulp(base), make([]int64, n)}
	for spread > 1<<26 {
		spread, l.unit = spread/2, 2*l.unit
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range l.steps {
		l.steps[i] = random.Int64N(spread + 1)
	}
	l.steps[0] = 0
	l.steps[n-1] = spread
	return l
}

func ulp(v float64) float64 { return math.Nextafter(math.Abs(v), math.Inf(1)) - math.Abs(v) }

// checkLattice compares how a column is standardised with exact arithmetic.
func checkLattice(t interface {
	Helper()
	Fatalf(string, ...any)
}, l lattice, got number.Scale) {
	t.Helper()
	spread := slices.Max(l.steps) * int64(l.unit/ulp(l.base))
	if spread <= 4 {
		if got.SD != 0 || got.Rounded != (spread > 0) {
			t.Fatalf("%d values at %v that vary by %d units: %+v, want 0", len(l.steps), l.base, spread, got)
		}
		return
	}
	off, deviation := l.meanAbove(got.Mean), l.deviation()
	if limit := float64(ulp(got.Mean)/2) + float64(deviation*0x1p-23); math.Abs(off) > limit {
		t.Fatalf("%d values at %v that vary by %d units: the mean %v is off by %v, limit %v", len(l.steps), l.base, spread, got.Mean, off, limit)
	}
	// The deviation is one about the mean as it is rounded.
	if want := math.Hypot(deviation, off); !(math.Abs(got.SD/want-1) <= 0x1p-24) || got.Rounded {
		t.Fatalf("%d values at %v that vary by %d units: %+v, want deviation %v", len(l.steps), l.base, spread, got, want)
	}
}

func TestStandardisingIsAccurateHoweverManyRowsThereAre(t *testing.T) {
	for exponent := range 16 {
		rows := []int{2, 3, 10, 1000, 20_000}
		if exponent%5 == 0 {
			rows = append(rows, 1_000_000)
		}
		for _, n := range rows {
			base := float64(7 * math.Pow10(exponent) / 3)
			one := int64(1 / ulp(base))
			for _, spread := range []int64{0, 1, 4, 5, 100, max(one, 6)} {
				l := drawLattice(base, n, spread, uint64(exponent*n)+uint64(spread))
				got := currentReading.standardise(l.values(), 1, allRows(n))[0]
				checkLattice(t, l, got)
			}
		}
	}
}

func TestStandardisingIsAccurateWhateverTheColumn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := math.Ldexp(rapid.Float64Range(1, 1.9).Draw(t, "base"), rapid.IntRange(-900, 100).Draw(t, "exponent"))
		spread := int64(math.Ldexp(1, rapid.IntRange(0, 26).Draw(t, "spread")))
		spread = rapid.Int64Range(0, spread).Draw(t, "units")
		n := rapid.IntRange(2, 3000).Draw(t, "rows")
		l := drawLattice(base, n, spread, rapid.Uint64().Draw(t, "seed"))
		negative := rapid.Bool().Draw(t, "negative")
		values := l.values()
		got := currentReading.standardise(values, 1, allRows(n))[0]
		checkLattice(t, l, got)

		// Beside another column, and with the other sign, it is the same to the bit.
		beside := make([]float64, 0, 2*n)
		for i, v := range values {
			if negative {
				v = -v
			}
			beside = append(beside, float64(i), v)
		}
		want := got
		if negative {
			want.Mean = -want.Mean
		}
		if second := currentReading.standardise(beside, 2, allRows(n))[1]; second != want {
			t.Fatalf("%+v beside another column, %+v alone", second, want)
		}
	})
}

func TestWhetherAColumnIsConstantDependsNeitherOnTheNumberOfRowsNorOnTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := math.Ldexp(rapid.Float64Range(1, 1.9).Draw(t, "base"), rapid.IntRange(-900, 100).Draw(t, "exponent"))
		l := drawLattice(base, rapid.IntRange(2, 9).Draw(t, "rows"), rapid.Int64Range(0, 8).Draw(t, "units"), 1)
		values := l.values()
		want := currentReading.standardise(values, 1, allRows(len(values)))[0].SD == 0
		values = slices.Repeat(values, rapid.IntRange(1, 5000).Draw(t, "times"))
		rand.New(rand.NewPCG(2, 3)).Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if got := currentReading.standardise(values, 1, allRows(len(values)))[0]; (got.SD == 0) != want {
			t.Fatalf("%+v of %d rows; constant in %d: %t", got, len(values), len(l.steps), want)
		}
	})
}

// A column far from 0 varies by more than its own rounding, but by less than the
// error of a plain sum of so many rows.
func TestAFractionalColumnFarFromZeroIsLearntFromManyRows(t *testing.T) {
	const rows = 100_000
	var text strings.Builder
	text.WriteString("a,x,y\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d.%s,%d,%d\n", 1_000_000_000_000+i*7%11, []string{"25", "5"}[i%2], i%97, i%2)
	}
	d, err := currentReading.readCSV(context.Background(), strings.NewReader(text.String()), "far.csv", Classification, "y")
	if err != nil {
		t.Fatal(err)
	}
	x, _ := gather(d, Train)
	sum, squares := 0.0, 0.0
	for i := 0; i < len(x); i += 2 {
		sum += float64(x[i])
		squares += float64(float64(x[i]) * float64(x[i]))
	}
	n := float64(d.Len(Train))
	if mean, variance := sum/n, squares/n; math.Abs(mean) > 1e-4 || math.Abs(variance-1) > 1e-6 {
		t.Errorf("standardised it has mean %v and variance %v", mean, variance)
	}
	if old := secondReading.standardise(d.parts[Train].values, 2, d.parts[Train].rows)[0]; old.SD != 0 {
		t.Errorf("the second reading made %+v of it, so that this test shows nothing", old)
	}
}

func TestAColumnThatIsConstantUpToRoundingBecomesZero(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, number := range []float64{0.3, -0.1, 1.1, 273.15, -1e-30, 1e30, 1e-200, 16777217} {
		for _, n := range []int{2, 3, 10, 100, 1000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = number
				if random.IntN(2) == 0 {
					values[i] = math.Nextafter(number, math.Inf(1))
				}
			}
			values[0], values[1] = number, math.Nextafter(number, math.Inf(1))
			if c := currentReading.standardise(values, 1, allRows(n))[0]; c.SD != 0 || !c.Rounded || c.Apply(2*number) != 0 {
				t.Errorf("%d times %v or its neighbour: %+v", n, number, c)
			}
			values[1] = number * (1 + 1e-9)
			if c := currentReading.standardise(values, 1, allRows(n))[0]; c.SD == 0 || c.Rounded {
				t.Errorf("%d times %v, one of them a billionth larger: %+v", n, number, c)
			}
		}
	}
	text := "c,x,y\n"
	for i := range 240 {
		c := "0.3"
		if i%3 == 0 {
			c = "0.30000000000000004"
		}
		if i == int(splitRows(&block{}, 240, 48)[Validation].rows[0]) {
			c = "0.31"
		}
		text += fmt.Sprintf("%s,%d,%d\n", c, i, i%2)
	}
	d, err := openCSVText(t, text, "y")
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []Split{Train, Validation} {
		x, _ := gather(d, split)
		for i := 0; i < len(x); i += 2 {
			if x[i] != 0 {
				t.Fatalf("%v sample %d has %v", split, i/2, x[i])
			}
		}
	}
	_, err = openTargets(t, text, "c")
	checkDataError(t, err, `column "c"`, "every training row, up to rounding")
}
