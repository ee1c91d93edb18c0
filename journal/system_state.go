package journal

import (
	"context"
	"fmt"
	"time"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/training"
)

// SystemState is the whole system as the events up to a position describe it.
// It is a function of these events alone: events after the position, or a
// process that has died since, do not change it.
type SystemState struct {
	// Position is that of the last event folded in, Time when it happened; both
	// are zero before the first.
	Position eventstore.Position `json:"position"`
	Time     time.Time           `json:"time"`
	// Runs are in the order in which they started, Devices in the order in which
	// they were first seen.
	Runs    []RunRecord    `json:"runs"`
	Devices []DeviceRecord `json:"devices"`
	// Jobs are in the order in which they were submitted, without their requests.
	Jobs []JobRecord `json:"jobs,omitempty"`
}

// Queue returns the runs that have not begun to train and are not at rest: they
// wait for a device, their data or their model; first come, first served.
func (s SystemState) Queue() []RunRecord {
	var queue []RunRecord
	for _, r := range s.Runs {
		if r.Session.State == training.Initializing {
			queue = append(queue, r)
		}
	}
	return queue
}

// StateAt returns the state of the system at a position of the log, or at its
// end for a position beyond it.
func StateAt(ctx context.Context, store eventstore.Store, at eventstore.Position) (SystemState, error) {
	t := NewTimeline()
	_, err := eventstore.Walk(ctx, store, 0, at, t.Apply)
	return t.State(), err
}

// Timeline folds the log event by event. It is used by one goroutine.
type Timeline struct {
	log     *RunLog
	state   SystemState
	runs    map[training.RunID]int // their places in the list
	devices DeviceList
	jobs    JobList
}

// NewTimeline returns the timeline of a system before its first event.
func NewTimeline() *Timeline { return NewTimelineOf(NewRunLog(nil, nil), NewDeviceLog(nil, nil)) }

// NewTimelineOf returns one that decodes events as the logs do.
func NewTimelineOf(runs *RunLog, devices *DeviceLog) *Timeline {
	return &Timeline{log: runs, runs: map[training.RunID]int{}, devices: DeviceList{log: devices}}
}

// State returns the state after the events so far. It shares the lists with the
// timeline: they are the caller's to read until the next Apply.
func (t *Timeline) State() SystemState { return t.state }

// run returns the record of a run that has started.
func (t *Timeline) run(id training.RunID) (RunRecord, bool) {
	i, known := t.runs[id]
	if !known {
		return RunRecord{}, false
	}
	return t.state.Runs[i], true
}

// Apply folds the next event of the log. An event that cannot be decoded, or
// that could not have happened after those before it, gives an error that names
// it; the state is then as before.
func (t *Timeline) Apply(e eventstore.Event) error {
	var err error
	if id, ok := RunOf(e.Aggregate); ok {
		err = t.applyRun(id, e)
	} else {
		err = t.applyOther(e)
	}
	if err != nil {
		return err
	}
	t.state.Position, t.state.Time = e.Position, e.Time
	return nil
}

// applyOther folds the event of a device or of a job; one of actors or of the queue
// leaves no state behind.
func (t *Timeline) applyOther(e eventstore.Event) error {
	if err := readable(e); err != nil {
		return err
	}
	if err := t.devices.Apply(e); err != nil {
		return err
	}
	err := t.jobs.Apply(e)
	t.state.Devices, t.state.Jobs = t.devices.Devices, t.jobs.Jobs
	return err
}

func (t *Timeline) applyRun(id training.RunID, e eventstore.Event) error {
	i, known := t.runs[id]
	var record RunRecord
	if known {
		record = t.state.Runs[i]
	}
	record, err := t.log.fold(record, e)
	switch {
	case err != nil:
		return err
	case known:
		t.state.Runs[i] = record
	default:
		t.runs[id] = len(t.state.Runs)
		t.state.Runs = append(t.state.Runs, record)
	}
	return nil
}

// At returns the run as it was at a position of the log. It fails with a
// *fault.FieldError where the run had not started then.
func (l *RunLog) At(ctx context.Context, id training.RunID, at eventstore.Position) (RunRecord, error) {
	events, err := l.Events(ctx, id)
	if err != nil {
		return RunRecord{}, err
	}
	if first := events[0]; at < first.Position {
		return RunRecord{}, &fault.FieldError{Field: "at", Value: fmt.Sprint(at), Problem: fmt.Sprintf("is before run %s started", id),
			Fix: fmt.Sprintf("its first event is at position %d, of %s", first.Position, first.Time.Format(time.RFC3339Nano))}
	}
	var r RunRecord
	for _, e := range events {
		if e.Position > at {
			break
		}
		if r, err = l.fold(r, e); err != nil {
			return RunRecord{}, err
		}
	}
	return r, nil
}
