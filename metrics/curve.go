package metrics

import (
	"cmp"
	"slices"
)

// curve is the scores of one class against all others. It is reused for the next class,
// and does not keep the order of its points.
type curve []point

type point struct {
	score    float64
	positive bool
}

func newCurve(samples int) curve { return make(curve, samples) }

func (c curve) set(i int, score float64, positive bool) { c[i] = point{score, positive} }

// groups calls do for each different score, in descending order, with how many samples of
// the class, and how many others, have it.
func (c curve) groups(do func(positive, negative int)) {
	slices.SortFunc(c, func(a, b point) int { return cmp.Compare(b.score, a.score) })
	for from := 0; from < len(c); {
		to, positive := from, 0
		for ; to < len(c) && c[to].score == c[from].score; to++ {
			if c[to].positive {
				positive++
			}
		}
		do(positive, to-from-positive)
		from = to
	}
}

// areas returns the area under the ROC curve and the average precision.
//
// The former is the share of pairs of a positive and a negative sample in which the
// positive one has the higher score, where a tie is half a pair: an integer divided by
// another. The latter is the sum of (R_n - R_n-1) P_n over the different scores in
// descending order, where R is the recall and P the precision of predicting the class
// from that score on.
func (c curve) areas() (roc, precision *float64) {
	var hits, misses int // so far
	var doubled uint64   // pairs that are right, twice, and ties
	var average sum
	c.groups(func(more, ties int) {
		doubled += uint64(ties) * uint64(2*hits+more)
		hits, misses = hits+more, misses+ties
		if more > 0 {
			average.add(float64(float64(more) * (float64(hits) / float64(hits+misses))))
		}
	})
	if hits == 0 {
		return nil, nil
	}
	precision = defined(average.value() / float64(hits))
	if misses == 0 {
		return nil, precision
	}
	return defined(float64(doubled) / (2 * float64(hits) * float64(misses))), precision
}
