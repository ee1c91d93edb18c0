package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
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
		if got.mean != math.Ldexp(want.mean, shift) || math.Abs(want.sd) > 0 && math.Abs(got.sd/math.Ldexp(want.sd, shift)-1) > 1e-9 {
			t.Fatalf("mean %v and deviation %v, want %v and %v scaled by 2^%d", got.mean, got.sd, want.mean, want.sd, shift)
		}
		if shift > -400 && got.sd != math.Ldexp(want.sd, shift) {
			t.Fatalf("deviation %v, want %v scaled by 2^%d", got.sd, want.sd, shift)
		}
	})
}

func TestOrdinaryColumnsAreStandardisedAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "rows")
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), n, n).Draw(t, "values")
		got, want := currentReading.standardise(values, 1, allRows(n))[0], firstReading.standardise(values, 1, allRows(n))[0]
		if got.rounded { // by drawing the same number again and again, or its neighbour
			t.Skip("not an ordinary column")
		}
		if want.sd > 1e-100 && got != want {
			t.Fatalf("%+v, was %+v", got, want)
		}
	})
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

func TestAColumnThatIsConstantUpToRoundingBecomesZero(t *testing.T) {
	// The criterion of scikit-learn 0.24 and later, for columns of one number and
	// its neighbours: variance <= n epsilon variance + (n mean epsilon)^2.
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
			if c := currentReading.standardise(values, 1, allRows(n))[0]; c.sd != 0 || !c.rounded || c.scale(2*number) != 0 {
				t.Errorf("%d times %v or its neighbour: %+v", n, number, c)
			}
			values[1] = number * (1 + 1e-9)
			if c := currentReading.standardise(values, 1, allRows(n))[0]; c.sd == 0 || c.rounded {
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
