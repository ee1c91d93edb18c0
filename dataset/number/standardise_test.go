package number

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestCompensatedSumsLoseNoTerm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Terms of every magnitude, in which the large ones cancel.
		small := rapid.SliceOfN(rapid.Int64Range(-1000, 1000), 1, 50).Draw(t, "small")
		large := rapid.SliceOfN(rapid.Float64Range(-1e17, 1e17), 0, 50).Draw(t, "large")
		var terms []float64
		want := int64(0)
		for _, v := range small {
			terms = append(terms, float64(v))
			want += v
		}
		for _, v := range large {
			terms = append(terms, v, -v)
		}
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
		var sum compensated
		magnitudes := 0.0
		for _, v := range terms {
			sum.add(v)
			magnitudes += math.Abs(v)
		}
		n := float64(len(terms))
		limit := math.Abs(float64(want))*0x1p-53 + float64(float64(n*n)*0x1p-106)*magnitudes
		if got := sum.total(); math.Abs(got-float64(want)) > limit {
			t.Fatalf("%v, want %d within %v", got, want, limit)
		}
	})
}
