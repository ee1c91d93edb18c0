package metrics

import (
	"fmt"
	"math"
	"slices"
)

// Regression has the figures of predictions of one quantity, in its own unit. A nil figure
// is not defined.
type Regression struct {
	Samples int `json:"samples"`
	// RMSE is the root of the mean squared error, MAE the mean of the errors' magnitudes
	// and MedianAbsoluteError their median.
	RMSE                *float64 `json:"rmse"`
	MAE                 *float64 `json:"mae"`
	MedianAbsoluteError *float64 `json:"median_absolute_error"`
	// R2 is the share of the target's variance that the predictions explain; below 0 they
	// are worse than the mean of these samples.
	R2 *float64 `json:"r2"`
	// MAPE is the mean of the errors' magnitudes as shares of the target's.
	MAPE *float64 `json:"mape"`
	// Omitted says what is left out because it would take too much room.
	Omitted []string `json:"omitted,omitempty"`
}

// ValueTally sums up the errors of predictions of one quantity. The zero value has no
// samples.
type ValueTally struct {
	samples                    int
	squares, magnitudes, parts sum
	zero                       bool // a target is 0

	targets, predicted []float64
	dropped            bool // there were too many
}

// Add adds a sample. It fails, and adds nothing, unless both numbers are finite.
func (t *ValueTally) Add(target, predicted float64) error {
	if target-target != 0 || predicted-predicted != 0 {
		return fmt.Errorf("sample %d: the target is %v and the prediction %v; both must be finite", t.samples, target, predicted)
	}
	t.samples++
	e := math.Abs(target - predicted)
	t.squares.add(float64(e * e))
	t.magnitudes.add(e)
	if target == 0 {
		t.zero = true
	} else {
		t.parts.add(e / math.Abs(target))
	}
	t.keep(target, predicted, MaxKept)
	return nil
}

// keep keeps what R², the median and Predictions need, unless that is more than most numbers.
func (t *ValueTally) keep(target, predicted float64, most int) {
	if t.dropped || 2*len(t.targets)+2 > most {
		t.targets, t.predicted, t.dropped = nil, nil, true
		return
	}
	t.targets = append(t.targets, target)
	t.predicted = append(t.predicted, predicted)
}

// Figures returns the figures of the samples so far.
func (t *ValueTally) Figures() Regression {
	f := Regression{Samples: t.samples}
	if t.samples == 0 {
		return f
	}
	n := float64(t.samples)
	f.RMSE = defined(math.Sqrt(t.squares.value() / n))
	f.MAE = defined(t.magnitudes.value() / n)
	if !t.zero {
		f.MAPE = defined(t.parts.value() / n)
	}
	if t.dropped {
		f.Omitted = []string{fmt.Sprintf("R² and the median error, since there are more than %d samples", MaxKept/2)}
		return f
	}
	magnitudes := make([]float64, len(t.targets))
	for i, target := range t.targets {
		magnitudes[i] = math.Abs(target - t.predicted[i])
	}
	f.MedianAbsoluteError = defined(median(magnitudes))
	if spread := squaresAboutMean(t.targets); spread > 0 {
		f.R2 = defined(1 - t.squares.value()/spread)
	}
	return f
}

// squaresAboutMean returns the sum of the squared deviations from the mean.
func squaresAboutMean(values []float64) float64 {
	if slices.Min(values) == slices.Max(values) {
		return 0 // whatever the rounding of the mean
	}
	var total, squares sum
	for _, v := range values {
		total.add(v)
	}
	mean := total.value() / float64(len(values))
	for _, v := range values {
		d := v - mean
		squares.add(float64(d * d))
	}
	return squares.value()
}

// median returns the middle value, or the mean of the two in the middle. It sorts the values.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return values[n/2-1]/2 + values[n/2]/2
}
