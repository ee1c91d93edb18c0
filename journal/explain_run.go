package journal

import (
	"context"
	"fmt"
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
	// Holders are the runs that had devices.
	Holders []DeviceHolder `json:"holders,omitempty"`
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

// DeviceHolder is a run that has devices.
type DeviceHolder struct {
	RunID  training.RunID `json:"run_id"`
	On     []device.ID    `json:"on"`
	Served time.Duration  `json:"served_ns"`
	// Remaining is an estimate; 0 is unknown.
	Remaining time.Duration `json:"remaining_ns,omitempty"`
}

// explainPage is the number of decisions to read at a time, from the newest on.
const explainPage = 64

// ExplainRun returns what the newest decision about a run says; false where none was
// recorded, as in logs from before there was a queue.
func ExplainRun(ctx context.Context, store eventstore.Store, id training.RunID) (RunExplanation, bool, error) {
	end, err := lastVersion(ctx, store, QueueAggregate, 0)
	if err != nil {
		return RunExplanation{}, false, err
	}
	var x RunExplanation
	for end > 0 {
		from := end - min(end, explainPage)
		page, err := store.ReadAggregate(ctx, QueueAggregate, from, int(end-from))
		if err != nil {
			return RunExplanation{}, false, fmt.Errorf("read the queue's decisions: %w", err)
		}
		for i := len(page) - 1; i >= 0; i-- {
			event, err := queueAggregate.Codec.Decode(page[i])
			if err != nil {
				return RunExplanation{}, false, err
			}
			y, ok := explainDecision(event.(QueueDecided), id)
			if x.Outcome != "" { // the decision before: while a run waits, every one names it
				x.HadToWait = ok && y.Outcome != "placed" && y.submitted == x.submitted
				return x, true, nil
			}
			if !ok {
				continue
			}
			x = y
			x.Position, x.Version, x.Time = page[i].Position, page[i].Version, page[i].Time
			if x.Outcome == "waiting" {
				return x, true, nil
			}
		}
		end = from
	}
	return x, x.Outcome != "", nil
}

// explainDecision returns what a decision says about a run, if it is about it.
func explainDecision(d QueueDecided, id training.RunID) (RunExplanation, bool) {
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
	if x.Outcome == "" {
		return x, false
	}
	for _, j := range d.Snapshot.Jobs {
		if training.RunID(j.ID) == id {
			x.Waited, x.submitted = j.Waited, j.Submitted
		}
		if len(j.On) > 0 {
			x.Holders = append(x.Holders, DeviceHolder{training.RunID(j.ID), j.On, j.Served, j.Remaining})
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
	return x, true
}
