package queue

import (
	"maps"
	"math"
	"time"
)

// DefaultHalfLife is the half-life of a policy that states none.
const DefaultHalfLife = 24 * time.Hour

// forgotten is how many half-lives device time counts for: a millionth of it is left
// then.
const forgotten = 20

// Usage sums the device time that each owner has used, where what lies one half-life
// back counts half: it makes Snapshot.Usage. It depends on what is added, not on the
// order or on how a period is divided, apart from rounding.
//
// It is not safe for concurrent use. NewUsage makes one.
type Usage struct {
	halfLife time.Duration
	at       time.Duration      // what the sums are as of
	used     map[string]float64 // nanoseconds
}

// NewUsage returns a Usage in which nobody has used anything; 0 is DefaultHalfLife.
func NewUsage(halfLife time.Duration) *Usage {
	if halfLife == 0 {
		halfLife = DefaultHalfLife
	}
	return &Usage{halfLife: halfLife, used: map[string]float64{}}
}

// Horizon is how far back device time still counts.
func (u *Usage) Horizon() time.Duration { return forgotten * u.halfLife }

// Add counts the devices that an owner's jobs had from one time to another. Both are
// since the origin of Snapshot.Now, and may lie before it.
func (u *Usage) Add(owner string, devices int, from, to time.Duration) {
	if to <= from {
		return
	}
	if to > u.at {
		factor := u.decay(to - u.at)
		for o := range u.used {
			u.used[o] *= factor
		}
		u.at = to
	}
	// The integral of 2^(-age/halfLife), as of the end of the period.
	used := -math.Expm1(-math.Ln2*float64(to-from)/float64(u.halfLife)) * float64(u.halfLife) / math.Ln2
	u.used[owner] += float64(devices) * used * u.decay(u.at-to)
}

// decay is the part that is left of device time after it has aged.
func (u *Usage) decay(age time.Duration) float64 {
	return math.Exp2(-float64(age) / float64(u.halfLife))
}

// At returns the device time by owner as it counts at a time that is no earlier than any
// that was added, in milliseconds. Owners of whose use nothing is left are not in it; it
// is nil if there are no others.
func (u *Usage) At(now time.Duration) map[string]time.Duration {
	var used map[string]time.Duration
	factor := u.decay(max(0, now-u.at))
	for owner, sum := range u.used {
		if d := time.Duration(min(sum*factor, math.MaxInt64/2)).Round(time.Millisecond); d > 0 {
			if used == nil {
				used = map[string]time.Duration{}
			}
			used[owner] = d
		}
	}
	return used
}

// Clone returns a copy that shares nothing.
func (u *Usage) Clone() *Usage {
	return &Usage{halfLife: u.halfLife, at: u.at, used: maps.Clone(u.used)}
}
