// Package thinning leaves out the points that a picture has no room for. Which remain
// depends on nothing but the points. Its functions are pure.
package thinning

import (
	"math"
	"slices"
)

// Curve returns the indexes of points through which a line looks like that through all of
// them: those that are far enough from the one before, and what is around them. There are
// at most as many as asked for, except for the ends of jumps.
func Curve(x, y []float64, most int) []int {
	if len(x) <= most {
		return all(len(x))
	}
	width, height := extent(x), extent(y)
	for tolerance := 1.0 / 1024; ; tolerance *= 1.5 {
		keep := curve(x, y, width*tolerance, height*tolerance)
		if len(keep) <= most || tolerance > 1 {
			return keep
		}
	}
}

func curve(x, y []float64, width, height float64) []int {
	keep := []int{0}
	for i := 1; i < len(x); i++ {
		last := keep[len(keep)-1]
		if math.Abs(x[i]-x[last]) <= width && math.Abs(y[i]-y[last]) <= height && i < len(x)-1 {
			continue
		}
		if i-1 > last { // where the line turns
			keep = append(keep, i-1)
		}
		keep = append(keep, i)
	}
	return keep
}

func all(n int) []int {
	keep := make([]int, n)
	for i := range keep {
		keep[i] = i
	}
	return keep
}

func extent(v []float64) float64 { return slices.Max(v) - slices.Min(v) }

// Run is what becomes of successive values.
type Run struct {
	// First and Last are the indexes of the values that it stands for.
	First, Last    int
	Mean, Low, Top float64
}

// Runs puts the same number of successive values together each time, so that at most as
// many runs are left as asked for.
func Runs(values []float64, most int) (list []Run) {
	each := max(1, (len(values)+most-1)/most)
	for first := 0; first < len(values); first += each {
		part := values[first:min(first+each, len(values))]
		mean := 0.0
		for _, v := range part {
			mean += v / float64(len(part))
		}
		list = append(list, Run{first, first + len(part) - 1, mean, slices.Min(part), slices.Max(part)})
	}
	return list
}

// Cloud returns the indexes of points, and how many points each stands for: the first of
// those in each cell of a grid. Up to most points remain as they are.
func Cloud(x, y []float64, most, columns, rows int) (keep, counts []int) {
	if len(x) <= most {
		counts = make([]int, len(x))
		for i := range counts {
			counts[i] = 1
		}
		return all(len(x)), counts
	}
	type cell struct{ column, row int }
	at := map[cell]int{} // index into keep
	left, bottom, width, height := slices.Min(x), slices.Min(y), extent(x), extent(y)
	place := func(v, low, extent float64, n int) int {
		if extent == 0 {
			return 0
		}
		return min(int((v/extent-low/extent)*float64(n)), n-1)
	}
	for i := range x {
		c := cell{place(x[i], left, width, columns), place(y[i], bottom, height, rows)}
		k, known := at[c]
		if !known {
			k = len(keep)
			at[c] = k
			keep, counts = append(keep, i), append(counts, 0)
		}
		counts[k]++
	}
	return keep, counts
}

// Pick returns the values at indexes.
func Pick[V any](values []V, keep []int) []V {
	picked := make([]V, len(keep))
	for i, k := range keep {
		picked[i] = values[k]
	}
	return picked
}
