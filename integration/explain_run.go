package integration

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
	// Outcome is "placed" or "waiting".
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
	// Start is when the run will probably start, after Time, if every run that has a
	// device ends after its estimate; nil where that is not known.
	Start *time.Duration `json:"probable_start_ns,omitempty"`
	// Again says that the same decision can be made of the recorded snapshot; if it is
	// false, Problem says what differs.
	Again   bool   `json:"made_again"`
	Problem string `json:"problem,omitempty"`
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
	end, err := lastVersion(ctx, store, queueAggregate, 0)
	if err != nil {
		return RunExplanation{}, false, err
	}
	var x RunExplanation
	var submitted, newest time.Duration // by the clock of the process
	for found := false; end > 0; {
		from := end - min(end, explainPage)
		page, err := store.ReadAggregate(ctx, queueAggregate, from, int(end-from))
		if err != nil {
			return RunExplanation{}, false, fmt.Errorf("read the queue's decisions: %w", err)
		}
		for i := len(page) - 1; i >= 0; i-- {
			event, err := queueCodec.decode(page[i])
			if err != nil {
				return RunExplanation{}, false, err
			}
			d := event.(QueueDecided)
			if found && (d.Snapshot.Now > newest || d.Snapshot.Now < submitted) {
				return x, true, nil // of an earlier process, or before the run came
			}
			y, ok := explainDecision(d, id)
			newest = d.Snapshot.Now
			switch {
			case ok && !found:
				x, found, submitted = y, true, d.submitted(id)
				x.Position, x.Version, x.Time = page[i].Position, page[i].Version, page[i].Time
			case ok && y.Outcome == "waiting":
				x.HadToWait = true
			}
			if found && (x.Outcome == "waiting" || x.HadToWait) {
				return x, true, nil
			}
		}
		end = from
	}
	return x, x.Outcome != "", nil
}

// submitted returns when a run entered the queue.
func (e QueueDecided) submitted(id training.RunID) time.Duration {
	for _, j := range e.Snapshot.Jobs {
		if training.RunID(j.ID) == id {
			return j.Submitted
		}
	}
	return 0
}

// explainDecision returns what a decision says about a run, if it is about it.
func explainDecision(d QueueDecided, id training.RunID) (RunExplanation, bool) {
	x := RunExplanation{RunID: id}
	for _, p := range d.Decision.Placed {
		if training.RunID(p.Job) == id {
			x.Outcome, x.On = "placed", p.On
			for _, v := range p.Preempt {
				x.GaveWay = append(x.GaveWay, training.RunID(v))
			}
		}
	}
	for _, p := range d.Decision.Pending {
		if training.RunID(p.Job) == id {
			x.Outcome, x.Place, x.Reasons = "waiting", p.Position, d.Decision.why(p)
		}
	}
	if x.Outcome == "" {
		return x, false
	}
	for _, j := range d.Snapshot.Jobs {
		if training.RunID(j.ID) == id {
			x.Waited = j.Waited
		}
		if len(j.On) > 0 {
			x.Holders = append(x.Holders, DeviceHolder{training.RunID(j.ID), j.On, j.Served, j.Remaining})
		}
	}
	if start, ok := queue.Forecast(&d.Snapshot)[queue.JobID(id)]; ok && x.Outcome == "waiting" {
		start -= d.Snapshot.Now
		x.Start = &start
	}
	x.Problem = d.check()
	x.Again = x.Problem == ""
	return x, true
}
