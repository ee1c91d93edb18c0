package metrics

import "slices"

// Points are the points of a curve, in its order. X and Y have the same length.
type Points struct{ X, Y []float64 }

func (p *Points) add(x, y float64) {
	p.X = append(p.X, x)
	p.Y = append(p.Y, y)
}

// Kept reports whether the samples so far were kept: with more than MaxKept numbers none
// are, and there are no points of them.
func (e *Evaluation) Kept() bool {
	if e.tally != nil {
		return !e.tally.dropped
	}
	return !slices.ContainsFunc(e.values, func(t ValueTally) bool { return t.dropped })
}

// ROC returns the ROC curve of a class against all others: the recall over the share of the
// others that are taken for the class, from the highest score on. Equal scores are one
// straight line, so that the area below is the ROC AUC. It has no points where that is
// undefined, or samples were not kept.
func (e *Evaluation) ROC(class int) (p Points) {
	positive, negative := e.tally.sides(class)
	if positive == 0 || negative == 0 || e.tally.dropped {
		return p
	}
	hits, misses := 0, 0
	p.add(0, 0)
	e.tally.curve(class).groups(func(more, ties int) {
		hits, misses = hits+more, misses+ties
		p.add(float64(misses)/float64(negative), float64(hits)/float64(positive))
	})
	return p
}

// PrecisionRecall returns the precision of a class over its recall, in steps, so that the
// area below is the average precision. It has no points where that is undefined, or
// samples were not kept.
func (e *Evaluation) PrecisionRecall(class int) (p Points) {
	positive, _ := e.tally.sides(class)
	if positive == 0 || e.tally.dropped {
		return p
	}
	hits, all, recall := 0, 0, 0.0
	e.tally.curve(class).groups(func(more, ties int) {
		hits, all = hits+more, all+more+ties
		if more == 0 {
			return
		}
		precision := float64(hits) / float64(all)
		p.add(recall, precision)
		recall = float64(hits) / float64(positive)
		p.add(recall, precision)
	})
	return p
}

// sides returns how many samples are of a class, and how many are not.
func (t *ClassTally) sides(class int) (positive, negative int) {
	return t.support[class], t.samples - t.support[class]
}

// curve returns the scores of a class.
func (t *ClassTally) curve(class int) curve {
	c := newCurve(t.samples)
	t.fill(c, class)
	return c
}

// fill sets the points of a curve to the scores of a class.
func (t *ClassTally) fill(c curve, class int) {
	for i, label := range t.labels {
		c.set(i, t.scores[i*len(t.support)+class], int(label) == class)
	}
}

// At returns the height of a curve whose X ascend at a place between its ends: on the line
// between two points and, where the curve is vertical, at its upper end.
func (p Points) At(x float64) float64 {
	i, found := slices.BinarySearch(p.X, x)
	if found {
		for i+1 < len(p.X) && p.X[i+1] == x {
			i++
		}
		return p.Y[i]
	}
	if i == 0 || i == len(p.X) {
		return p.Y[min(i, len(p.Y)-1)]
	}
	share := (x - p.X[i-1]) / (p.X[i] - p.X[i-1])
	return p.Y[i-1] + float64((p.Y[i]-p.Y[i-1])*share)
}

// Bin has the samples whose probability is in a range.
type Bin struct {
	// Probability is the mean of the probabilities. Share is the share of the samples for
	// which what was predicted came true.
	Probability, Share float64
	Samples            int
}

// bins is how many ranges of probabilities are compared with what came true.
const bins = 10

// Calibration compares probabilities with how often they come true, in ten ranges of equal
// width, of which those without samples are left out. The probabilities are those of the
// second class if there are two, and otherwise those of the predicted class. It is nil if
// samples were not kept. A probability on the border of two ranges belongs to the
// lower one.
func (e *Evaluation) Calibration() []Bin {
	t, classes := e.tally, len(e.classes)
	var totals [bins]sum
	var samples, right [bins]int
	for i, label := range t.labels {
		scores := t.scores[i*classes : (i+1)*classes]
		of := 1
		if classes != 2 {
			of = 0
			for c, s := range scores {
				if s > scores[of] {
					of = c
				}
			}
		}
		bin := 0
		for bin+1 < bins && scores[of] > float64(bin+1)/bins {
			bin++
		}
		totals[bin].add(scores[of])
		samples[bin]++
		if int(label) == of {
			right[bin]++
		}
	}
	var list []Bin
	for i, n := range samples {
		if n > 0 {
			list = append(list, Bin{Probability: totals[i].value() / float64(n), Share: float64(right[i]) / float64(n), Samples: n})
		}
	}
	return list
}

// CalibrationError returns the mean distance of probabilities from how often they come true,
// weighted by the samples of each range (the expected calibration error).
func CalibrationError(list []Bin) *float64 {
	var total sum
	samples := 0
	for _, b := range list {
		d := b.Probability - b.Share
		total.add(float64(float64(b.Samples) * max(d, -d)))
		samples += b.Samples
	}
	if samples == 0 {
		return nil
	}
	return defined(total.value() / float64(samples))
}

// Predictions returns what was true and what was predicted of a quantity, sample by sample;
// nil where samples were not kept. They belong to the evaluation.
func (e *Evaluation) Predictions(quantity int) (truth, predicted []float64) {
	return e.values[quantity].targets, e.values[quantity].predicted
}
