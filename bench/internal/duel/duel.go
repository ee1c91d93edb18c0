// Package duel compares two sides that do the same work: it checks that their
// results agree, lets them take turns, so that other load on the machine
// affects both alike, and reports the ratio of their best rounds.
package duel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Side is one of the two.
type Side interface {
	// Check returns the result of the work.
	Check() ([]float32, error)
	// Run does the work n times and returns the seconds it took.
	Run(n int) (seconds float64, err error)
}

// Line is the figure of one work, as one line of JSON. Ours and Theirs are
// rates: more is better, and a Ratio above 1 is in our favour. If a comparison
// could not be made, Error says why and the missing figures are 0.
type Line struct {
	Work    string  `json:"work"`
	Ours    float64 `json:"ours"`
	Peer    string  `json:"peer"`
	Theirs  float64 `json:"theirs"`
	Ratio   float64 `json:"ratio"`
	Unit    string  `json:"unit"`
	Threads int     `json:"threads"` // ours
	Error   string  `json:"error,omitempty"`
}

// Write writes the line with figures of four digits.
func (l Line) Write(w io.Writer) error {
	l.Ours, l.Theirs, l.Ratio = round(l.Ours), round(l.Theirs), round(l.Ratio)
	return json.NewEncoder(w).Encode(l)
}

// Scaling is the time of our step at one value of a size, as one line of JSON.
type Scaling struct {
	Work    string  `json:"work"`
	Axis    string  `json:"axis"` // batch, width or context
	Value   int     `json:"value"`
	Threads int     `json:"threads"`
	Seconds float64 `json:"seconds"` // of a step
	// Cost is a step's time divided by what it should be proportional to, in Unit.
	Cost float64 `json:"cost"`
	Unit string  `json:"unit"`
}

// Write writes the line with figures of four digits.
func (s Scaling) Write(w io.Writer) error {
	s.Seconds, s.Cost = round(s.Seconds), round(s.Cost)
	return json.NewEncoder(w).Encode(s)
}

// TrainingBar is how much worse than PyTorch's our validation loss may be.
const TrainingBar = 0.01

// Training is the outcome of the same training on both sides, as one line of
// JSON. A token is a character, which is a byte.
type Training struct {
	Work       string  `json:"work"`
	Ours       float64 `json:"ours"` // validation loss
	Peer       string  `json:"peer"`
	Theirs     float64 `json:"theirs"`
	Difference float64 `json:"difference"` // ours - theirs
	Unit       string  `json:"unit"`
	Steps      int     `json:"steps"`
	// FirstLoss is the loss of the first step, ours and theirs, and LargestStep
	// the largest difference between both losses of a step.
	FirstLoss     [2]float64 `json:"first_loss"`
	LargestStep   float64    `json:"largest_step_difference"`
	OursSeconds   float64    `json:"ours_seconds"`
	TheirsSeconds float64    `json:"theirs_seconds"`
}

func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

// Config says how long a comparison takes.
type Config struct {
	// Rounds of each side.
	Rounds int
	// Seconds of one round, approximately.
	Seconds float64
}

// pause lets the threads of the side that has had its turn go to sleep, since
// those of some libraries spin for a while.
const pause = 30 * time.Millisecond

// Compare returns the best rate of each side, in works per second.
func Compare(config Config, sides ...Side) ([]float64, error) {
	counts := make([]int, len(sides))
	best := make([]float64, len(sides))
	for i, side := range sides {
		var err error
		if counts[i], err = calibrate(side, config.Seconds); err != nil {
			return nil, err
		}
	}
	for range max(1, config.Rounds) {
		for i, side := range sides {
			time.Sleep(pause)
			seconds, err := side.Run(counts[i])
			if err != nil {
				return nil, err
			}
			best[i] = max(best[i], float64(counts[i])/seconds)
		}
	}
	return best, nil
}

// calibrate returns the number of works that take about the given number of
// seconds. It also serves as a warm-up.
func calibrate(side Side, seconds float64) (int, error) {
	for n := 1; ; n *= 4 {
		took, err := side.Run(n)
		if err != nil {
			return 0, err
		}
		if took > seconds/8 {
			return max(1, int(math.Round(float64(n)*seconds/took))), nil
		}
	}
}

// ErrDisagree says that the two sides did not compute the same thing, which
// makes a comparison of their speed worthless.
var ErrDisagree = errors.New("results differ")

// Agree fails with ErrDisagree unless each value of ours is within tolerance of
// theirs.
func Agree(ours, theirs []float32, tolerance float64) error {
	if len(ours) != len(theirs) || len(ours) == 0 {
		return fmt.Errorf("%w: %d values, theirs %d", ErrDisagree, len(ours), len(theirs))
	}
	for i := range ours {
		if d := math.Abs(float64(ours[i]) - float64(theirs[i])); !(d <= tolerance) {
			return fmt.Errorf("%w: value %d is %v, theirs %v", ErrDisagree, i, ours[i], theirs[i])
		}
	}
	return nil
}

// RMS returns the root mean square of the values.
func RMS(values []float32) float64 {
	sum := 0.0
	for _, v := range values {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(1, len(values))))
}
