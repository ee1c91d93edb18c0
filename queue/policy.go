package queue

import (
	"fmt"
	"slices"
	"time"

	"reprise/fault"
)

// Order says which of several waiting jobs of one priority comes first.
type Order string

// The orders. Ties go to the job that was submitted first, then by ID.
const (
	OrderAttained   Order = "attained"   // by level of attained service, the least first; the default
	OrderSubmission Order = "submission" // first in, first out
	OrderShare      Order = "share"      // by the owner's recent use, the least first
	OrderRemaining  Order = "remaining"  // by estimated device time, the shortest first; unknown ones last
)

// Backfill says what may run while a job ahead of it does not fit.
type Backfill string

// The ways to fill gaps.
const (
	BackfillAny  Backfill = "any"  // whatever fits; the default
	BackfillEasy Backfill = "easy" // what does not delay the first that waits, by the estimates
	BackfillNone Backfill = "none" // nothing
)

// Policy is how a cluster is shared. The zero value never preempts, and never
// promotes.
type Policy struct {
	Order    Order    `json:"order,omitempty"`
	Backfill Backfill `json:"backfill,omitempty"`
	// Preempt allows a job to take the devices of one that ranks lower.
	Preempt bool `json:"preempt,omitempty"`
	// Quantum is how long a job runs before it may have to give way.
	Quantum time.Duration `json:"quantum,omitempty"`
	// Spare is how little of a running job may be left, by its estimate, for it not to
	// give way: its end is worth the wait.
	Spare time.Duration `json:"spare,omitempty"`
	// Levels are the bounds, ascending, of attained device time between the levels
	// of OrderAttained. A job gives way only to one of a lower level.
	Levels []time.Duration `json:"levels,omitempty"`
	// Patience is how long a job waits in all before it is promoted: it then ranks
	// before all others of its priority, and no longer gives way to them. 0 is for
	// ever.
	Patience time.Duration `json:"patience,omitempty"`
	// Ageing raises the priority of a job by one each time that it has waited this
	// long; 0 is never.
	Ageing time.Duration `json:"ageing,omitempty"`
	// HalfLife is the time after which the device time that an owner has used counts half,
	// for OrderShare; 0 is DefaultHalfLife.
	HalfLife time.Duration `json:"half_life,omitempty"`
	// Quotas bound the devices that an owner's jobs hold together.
	Quotas map[string]int `json:"quotas,omitempty"`
	// Shares divide what an owner has used before owners are compared, for OrderShare; an
	// owner who is not named has the share 1.
	Shares map[string]float64 `json:"shares,omitempty"`
	// Settings is the version of the settings of an operator that are part of it; 0 if
	// none are.
	Settings uint64 `json:"settings,omitempty"`
}

// DefaultPolicy is least attained service with promotion. Its figures are those
// that docs/scheduling.md measures.
func DefaultPolicy() Policy {
	return Policy{
		Order: OrderAttained, Backfill: BackfillAny, Preempt: true, Quantum: 30 * time.Minute, Spare: 2 * time.Minute,
		Levels:   []time.Duration{time.Hour, 4 * time.Hour, 16 * time.Hour},
		Patience: 2000 * time.Minute, Ageing: 4000 * time.Minute,
	}
}

// Validate fails with a *fault.FieldError, or several of them joined, for a policy that
// makes no sense. Fields are named as in a recorded decision.
func (p Policy) Validate() error {
	var errs fieldErrors
	if !slices.Contains([]Order{"", OrderAttained, OrderSubmission, OrderShare, OrderRemaining}, p.Order) {
		errs.add("order", shown(string(p.Order)), "is unknown", fmt.Sprintf("use %s, %s, %s or %s", OrderAttained, OrderSubmission, OrderShare, OrderRemaining))
	}
	if !slices.Contains([]Backfill{"", BackfillAny, BackfillEasy, BackfillNone}, p.Backfill) {
		errs.add("backfill", shown(string(p.Backfill)), "is unknown", fmt.Sprintf("use %s, %s or %s", BackfillAny, BackfillEasy, BackfillNone))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"quantum", p.Quantum}, {"spare", p.Spare}, {"patience", p.Patience}, {"ageing", p.Ageing}, {"half_life", p.HalfLife}} {
		if d.value < 0 {
			errs.add(d.field, d.value.String(), "must not be negative", "use a duration such as 30m, or leave it out")
		}
	}
	for i, bound := range p.Levels {
		if before := append([]time.Duration{0}, p.Levels...)[i]; bound <= before {
			errs.add(fmt.Sprintf("levels[%d]", i), bound.String(), "must be above "+before.String(), "list the bounds in ascending order")
		}
	}
	errs = append(errs, fault.Parts(Settings{Shares: p.Shares, Quotas: p.Quotas}.Validate())...)
	return errs.join()
}
