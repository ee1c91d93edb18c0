package actor

import (
	"math"
	"time"

	"reprise/internal/philox"
)

// Backoff delays restarts: the first by Initial, each further one in a row by
// Factor times the delay before, up to Max. The count starts over for a child that
// lived longer than Max. The zero value does not delay.
type Backoff struct {
	Initial time.Duration
	// Max bounds the delay; 0 means one minute, or Initial if that is longer.
	Max time.Duration
	// Factor is at least 1; 0 means 2.
	Factor float64
	// Jitter in [0, 1] is the fraction of the delay that is random: the delay is
	// shortened by up to that much, so that children that failed together do not
	// all restart together.
	Jitter float64
	// Seed determines the jitter: the same seed gives the same delays.
	Seed uint64
}

// Validate returns a *fault.FieldError for a setting outside its limits.
func (b Backoff) Validate() error {
	switch {
	case b.Initial < 0:
		return bad("Backoff.Initial", b.Initial, "must not be negative", "use 0 to restart at once")
	case b.Max < 0 || b.Max > 0 && b.Max < b.Initial:
		return bad("Backoff.Max", b.Max, "must be 0 or at least Initial", "use 0 for the default")
	case b.Factor != 0 && !(b.Factor >= 1 && b.Factor <= math.MaxFloat64):
		return bad("Backoff.Factor", b.Factor, "must be 0 or a finite number of at least 1", "use 0 for the default")
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return bad("Backoff.Jitter", b.Jitter, "must be in [0, 1]", "use 0 for none")
	}
	return nil
}

// max returns the longest delay.
func (b Backoff) max() time.Duration {
	if b.Max > 0 {
		return b.Max
	}
	return max(b.Initial, time.Minute)
}

// purposeJitter keeps the jitter's random numbers apart from those that are
// part of a model's bits, which have purposes below 128.
const purposeJitter philox.Purpose = 128

// delay returns the time to wait before the n-th restart in a row, counted from 1.
// The child's number makes its jitter differ from its siblings'.
func (b Backoff) delay(n uint32, child uint64) time.Duration {
	if b.Initial == 0 {
		return 0
	}
	factor := b.Factor
	if factor == 0 {
		factor = 2
	}
	longest := float64(b.max())
	d := float64(b.Initial)
	for i := uint32(1); i < n && d < longest && factor > 1; i++ {
		d *= factor
	}
	d = min(d, longest)
	if b.Jitter > 0 {
		d *= 1 - b.Jitter*float64(philox.Uniform32(b.Seed, purposeJitter, uint64(n), child))
	}
	return time.Duration(d)
}
