package thinning

import (
	"math"
	"slices"
	"testing"
)

func TestFewPointsRemainAsTheyAre(t *testing.T) {
	x, y := []float64{1, 2, 3}, []float64{5, 5, 5}
	if got := Curve(x, y, 3); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("%v", got)
	}
	keep, counts := Cloud(x, y, 3, 2, 2)
	if !slices.Equal(keep, []int{0, 1, 2}) || !slices.Equal(counts, []int{1, 1, 1}) {
		t.Errorf("%v %v", keep, counts)
	}
	if got := Runs(y, 3); len(got) != 3 || got[2] != (Run{2, 2, 5, 5, 5}) {
		t.Errorf("%+v", got)
	}
	if Runs(nil, 3) != nil || len(Curve(nil, nil, 3)) != 0 {
		t.Error("nothing becomes something")
	}
}

// Between the points that remain, the line is never further from a point that was left out
// than an eye sees, and the ends of a jump are there.
func TestALineThroughWhatRemainsLooksTheSame(t *testing.T) {
	var x, y []float64
	for i := range 50_000 {
		v := float64(i) / 50_000
		x = append(x, v)
		y = append(y, math.Sqrt(v)/2)
		if v > 0.7 {
			y[i] += 0.5
		}
	}
	keep := Curve(x, y, 1000)
	if n := len(keep); n > 1000 || n < 300 || keep[0] != 0 || keep[n-1] != len(x)-1 || !slices.IsSorted(keep) {
		t.Fatalf("%d points remain: %v", n, keep)
	}
	k := 0
	for i := range x {
		for keep[k+1] < i {
			k++
		}
		a, b := keep[k], keep[k+1]
		share := (x[i] - x[a]) / (x[b] - x[a])
		if off := math.Abs(y[a] + (y[b]-y[a])*share - y[i]); off > 0.004 {
			t.Fatalf("the line is off by %v at %v", off, x[i])
		}
	}
}

func TestNoisyCurvesAreBoundedToo(t *testing.T) {
	var x, y []float64
	for i := range 20_000 {
		x, y = append(x, float64(i)), append(y, float64(i*7919%997))
	}
	if n := len(Curve(x, y, 500)); n > 500 {
		t.Errorf("%d points remain", n)
	}
}

func TestRunsHaveTheMeanAndTheEndsOfTheirValues(t *testing.T) {
	got := Runs([]float64{1, 3, 2, 6, 10}, 3)
	want := []Run{{0, 1, 2, 1, 3}, {2, 3, 4, 2, 6}, {4, 4, 10, 10, 10}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestACloudCountsWhatEachPointStandsFor(t *testing.T) {
	x := []float64{0, 0.1, 10, 9.9, 10, 5}
	y := []float64{-1, -1, 1, 1, -1, 0}
	keep, counts := Cloud(x, y, 2, 2, 2)
	if !slices.Equal(keep, []int{0, 2, 4}) || !slices.Equal(counts, []int{2, 3, 1}) {
		t.Errorf("%v %v", keep, counts)
	}
	// All of one value, in both directions.
	keep, counts = Cloud([]float64{3, 3, 3}, []float64{4, 4, 4}, 2, 2, 2)
	if !slices.Equal(keep, []int{0}) || !slices.Equal(counts, []int{3}) {
		t.Errorf("%v %v", keep, counts)
	}
	if got := Pick(x, []int{5, 0}); !slices.Equal(got, []float64{5, 0}) {
		t.Errorf("%v", got)
	}
}
