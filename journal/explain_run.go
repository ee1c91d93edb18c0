package journal

import (
	"context"
	"slices"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/queue"
	"reprise/training"
)

// RunExplanation is what the recorded decisions say about a run: whether it was placed or
// waits, and why. Nothing else is read.
type RunExplanation struct {
	RunID training.RunID `json:"run_id"`
	// Position, Time and Version are those of the newest decision about the run. The
	// log may have newer ones that are about others only.
	Position eventstore.Position `json:"position"`
	Version  eventstore.Version  `json:"version"`
	Time     time.Time           `json:"time"`
	// Outcome is "placed", "waiting", or "taking over" for a run that gets its devices
	// once others have given way.
	Outcome string `json:"outcome"`
	// On are the devices that the run was placed on, and GaveWay the runs that had to
	// give way to it.
	On      []device.ID      `json:"on,omitempty"`
	GaveWay []training.RunID `json:"gave_way,omitempty"`
	// HadToWait says that a run that was placed had to wait before.
	HadToWait bool `json:"had_to_wait"`
	// Place is the run's place in the queue, from 1, if it waits.
	Place   int            `json:"place,omitempty"`
	Reasons []queue.Reason `json:"reasons,omitempty"`
	// Waited is how long the run had waited by then, in all.
	Waited time.Duration `json:"waited_ns"`
	// Ahead are the runs before it in the queue, the first one first.
	Ahead []training.RunID `json:"ahead,omitempty"`
	// Holders are the runs that had devices, or got them by the decision.
	Holders []DeviceHolder `json:"holders,omitempty"`
	// Owners are, if the run waits and the policy is fair share, its own owner and those of
	// the runs ahead.
	Owners []OwnerUse `json:"owners,omitempty"`
	// Start is when the run will probably start, after Time, if every run ends after
	// its estimate and none gives way; nil if a run that it waits for has no estimate.
	Start *time.Duration `json:"probable_start_ns,omitempty"`
	// Again says that the same decision can be made of the recorded snapshot; if it is
	// false, Problem says what differs.
	Again bool `json:"made_again"`
	// OtherRules says that another version's rules made the decision, so that it cannot
	// be made again.
	OtherRules bool   `json:"other_rules,omitempty"`
	Problem    string `json:"problem,omitempty"`

	submitted time.Duration // by the clock of the process that decided
}

// OwnerUse is what an owner has used of late, and the owner's share.
type OwnerUse struct {
	Owner string        `json:"owner"`
	Used  time.Duration `json:"used_ns"`
	Share float64       `json:"share"`
}

// DeviceHolder is a run that has devices.
type DeviceHolder struct {
	RunID  training.RunID `json:"run_id"`
	On     []device.ID    `json:"on"`
	Served time.Duration  `json:"served_ns"`
	// Remaining is an estimate; 0 is unknown.
	Remaining time.Duration `json:"remaining_ns,omitempty"`
}

// ExplainRun returns what the newest decision about a run says; false where none was
// recorded, as in logs from before there was a queue.
func ExplainRun(ctx context.Context, store eventstore.Store, id training.RunID) (RunExplanation, bool, error) {
	at, before, err := newestDecision(ctx, store, id, func(d *QueueDecided) bool { return d.decides(id) })
	if err != nil || at == nil {
		return RunExplanation{}, false, err
	}
	x := explainDecision(at.Decided, id)
	x.Position, x.Version, x.Time = at.Event.Position, at.Event.Version, at.Event.Time
	if x.Outcome != "waiting" && before != nil && before.Decided.decides(id) { // while a run waits, every decision names it
		y := explainDecision(before.Decided, id)
		x.HadToWait = y.Outcome != "placed" && y.submitted == x.submitted
	}
	return x, true, nil
}

// decides reports whether the decision is about the run: it is placed, or waits.
func (e *QueueDecided) decides(id training.RunID) bool {
	job := queue.JobID(id)
	return slices.ContainsFunc(e.Decision.Placed, func(p queue.Placement) bool { return p.Job == job }) ||
		slices.ContainsFunc(e.Decision.Pending, func(p RecordedPending) bool { return p.Job == job })
}

// QueueTimes returns how long a run has had devices and has waited for them, in all, so
// far as events tell; what it did after the last of them is not known. It has had a
// device from ResourceAllocated to the last event before it was interrupted, or ended. How
// long it has waited is what the newest decision says that has the run in its snapshot.
func QueueTimes(ctx context.Context, store eventstore.Store, id training.RunID) (served, waited time.Duration, err error) {
	var since, last time.Time
	if err := walkAggregate(ctx, store, AggregateOf(id), eventstore.End, func(e eventstore.Event) error {
		switch e.Type {
		case training.ResourceAllocated{}.EventType():
			since = e.Time
		case training.TrainingInterrupted{}.EventType(), training.DeviceReleased{}.EventType():
			if !since.IsZero() {
				served += max(0, last.Sub(since))
			}
			since = time.Time{}
		}
		last = e.Time
		return nil
	}); err != nil {
		return 0, 0, err
	}
	job := func(d *QueueDecided) int {
		return slices.IndexFunc(d.Snapshot.Jobs, func(j queue.Entry) bool { return j.ID == queue.JobID(id) })
	}
	newest, _, err := newestDecision(ctx, store, id, func(d *QueueDecided) bool { return job(d) >= 0 })
	if err != nil || newest == nil {
		return served, 0, err
	}
	j := newest.Decided.Snapshot.Jobs[job(&newest.Decided)]
	return max(served, j.Served), j.Waited, nil
}

// aheadOf returns the runs that wait before a place in the queue.
func aheadOf(pending []RecordedPending, place int) []training.RunID {
	before := slices.DeleteFunc(slices.Clone(pending), func(p RecordedPending) bool { return p.Position >= place })
	slices.SortFunc(before, func(a, b RecordedPending) int { return a.Position - b.Position })
	var ids []training.RunID
	for _, p := range before {
		ids = append(ids, training.RunID(p.Job))
	}
	return ids
}

// ownersOf returns the owners of runs, each once, in their order; none unless the policy
// counts with what they have used.
func ownersOf(s *queue.Snapshot, runs []training.RunID) []OwnerUse {
	if s.Policy.Order != queue.OrderShare {
		return nil
	}
	owner := make(map[training.RunID]string, len(s.Jobs))
	for i := range s.Jobs {
		owner[training.RunID(s.Jobs[i].ID)] = s.Jobs[i].Owner
	}
	var owners []OwnerUse
	known := map[string]bool{}
	for _, id := range runs {
		if name := owner[id]; !known[name] {
			known[name] = true
			owners = append(owners, OwnerUse{name, s.Usage[name], s.Policy.Share(name)})
		}
	}
	return owners
}

// explainDecision returns what a decision says about a run that it is about.
func explainDecision(d QueueDecided, id training.RunID) RunExplanation {
	x := RunExplanation{RunID: id}
	for _, p := range d.Decision.Placed {
		if training.RunID(p.Job) == id {
			x.Outcome, x.On = "placed", p.On
			if len(p.Preempt) > 0 {
				x.Outcome = "taking over"
			}
			for _, v := range p.Preempt {
				x.GaveWay = append(x.GaveWay, training.RunID(v))
			}
		}
	}
	for _, p := range d.Decision.Pending {
		if training.RunID(p.Job) == id {
			x.Outcome, x.Place, x.Reasons = "waiting", p.Position, d.Decision.Why(p)
		}
	}
	if x.Outcome == "waiting" {
		x.Ahead = aheadOf(d.Decision.Pending, x.Place)
		x.Owners = ownersOf(&d.Snapshot, append([]training.RunID{id}, x.Ahead...))
	}
	for _, j := range d.Snapshot.Jobs {
		if training.RunID(j.ID) == id {
			x.Waited, x.submitted = j.Waited, j.Submitted
		}
		on := j.On
		for _, p := range d.Decision.Placed {
			if p.Job == j.ID && len(p.Preempt) == 0 && p.Job != queue.JobID(id) {
				on = p.On
			}
		}
		if len(on) > 0 {
			x.Holders = append(x.Holders, DeviceHolder{training.RunID(j.ID), on, j.Served, j.Remaining})
		}
	}
	if x.Outcome == "waiting" {
		ends := d.Snapshot
		ends.Policy.Preempt = false // a run without an estimate gives no start
		if start, ok := queue.Forecast(&ends)[queue.JobID(id)]; ok {
			start -= d.Snapshot.Now
			x.Start = &start
		}
	}
	x.Problem = d.Check()
	x.Again, x.OtherRules = x.Problem == "" && d.checkable(), !d.checkable()
	return x
}
