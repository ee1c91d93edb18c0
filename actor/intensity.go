package actor

import (
	"fmt"
	"time"
)

// Intensity bounds how often a supervisor restarts its children: at most Restarts
// times within Period, counting all children together. If one more is needed, the
// supervisor gives up. A restart counts until Period has passed.
type Intensity struct {
	Restarts int
	Period   time.Duration
}

// MaxRestarts bounds Intensity.Restarts: a supervisor remembers the time of each.
const MaxRestarts = 1 << 16

// DefaultIntensity is used for the zero Intensity.
func DefaultIntensity() Intensity { return Intensity{Restarts: 3, Period: 5 * time.Second} }

// Validate returns a *fault.FieldError for a setting outside its limits; the zero value
// is valid.
func (i Intensity) Validate() error {
	if i == (Intensity{}) {
		return nil
	}
	if i.Restarts < 0 || i.Restarts > MaxRestarts {
		return bad("Intensity.Restarts", i.Restarts, fmt.Sprintf("must be in [0, %d]", MaxRestarts), "use 0 to allow none")
	}
	if i.Period <= 0 {
		return bad("Intensity.Period", i.Period, "must be above 0", "use a duration such as 5s")
	}
	return nil
}
