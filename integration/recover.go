package integration

import (
	"context"
	"fmt"

	"reprise/training"
)

// Recovery is what a starting process found half-way and put right.
type Recovery struct {
	// Interrupted are the runs that can be resumed, Failed those whose
	// compensation was finished.
	Interrupted []training.RunID
	Failed      []training.RunID
	// Leases counts the leases that dead holders had.
	Leases int
}

// Recover puts right what processes that died left behind: it ends every lease,
// since their holders are gone, and leads every saga found half-way to where it
// holds nothing: to interrupted, from where it can be resumed, or, if it was
// compensating, to failed. Doing it twice changes nothing. It learns what is
// half-way from the projections and reads the events of these runs only. The
// caller holds the lock of the data directory, so no holder of a lease can be alive.
func Recover(ctx context.Context, runs *RunLog, devices *DeviceLog) (Recovery, error) {
	var recovery Recovery
	list, ledgers, err := readLists(ctx, runs.store, RunsProjection, DevicesProjection)
	if err != nil {
		return recovery, err
	}
	for _, d := range ledgers.Devices {
		events := d.Ledger.ReleaseAll("its process ended")
		if _, err := devices.Append(ctx, d, events...); err != nil {
			return recovery, err
		}
		recovery.Leases += len(events)
	}
	for _, r := range list.Runs {
		if r.Saga == nil || atRest(*r.Saga) {
			continue
		}
		record, err := runs.Load(ctx, r.RunID)
		if err != nil {
			return recovery, err
		}
		if err := recovery.mend(ctx, runs, record); err != nil {
			return recovery, fmt.Errorf("recover run %s: %w", r.RunID, err)
		}
	}
	return recovery, nil
}

// mend leads one saga to rest in one batch of events.
func (recovery *Recovery) mend(ctx context.Context, runs *RunLog, r RunRecord) error {
	events, err := restEvents(r.Saga, "its process ended without a word (killed, or power lost)")
	if err != nil || len(events) == 0 {
		return err
	}
	next, err := runs.Append(ctx, r, events...)
	if err != nil {
		return err
	}
	switch next.Session.State {
	case training.Interrupted:
		recovery.Interrupted = append(recovery.Interrupted, r.ID)
	case training.Failed:
		recovery.Failed = append(recovery.Failed, r.ID)
	default: // it had completed, and released what it held
	}
	return nil
}

// restEvents returns the events that bring a saga whose holdings are gone to
// rest: an interruption where it was under way, a release of each thing it
// holds by its books, and the failure that a compensation ends in.
func restEvents(saga training.TrainingSaga, cause string) ([]training.Event, error) {
	var events []training.Event
	record := func(e training.Event) error {
		next, err := saga.Apply(e)
		saga = next
		events = append(events, e)
		return err
	}
	if underWay(saga) {
		if err := record(training.TrainingInterrupted{Cause: cause}); err != nil {
			return nil, err
		}
	}
	for {
		commands := saga.Commands()
		if len(commands) == 0 {
			return events, nil
		}
		var event training.Event
		switch c := commands[0].(type) {
		case training.ReleaseDevice:
			event = training.DeviceReleased{Allocation: c.Allocation}
		case training.UnloadDataset:
			event = training.DatasetUnloaded{Dataset: c.Dataset}
		case training.FailRun:
			event = training.RunFailed{Reason: c.Reason}
		default:
			return nil, fmt.Errorf("a saga at rest commands %T", c)
		}
		if err := record(event); err != nil {
			return nil, err
		}
	}
}

// atRest reports whether a saga waits for nothing, so that a process that has
// ended left nothing of it half-way.
func atRest(saga training.TrainingSaga) bool { return !underWay(saga) && len(saga.Commands()) == 0 }

// underWay reports whether a saga is neither paused nor on its way out.
func underWay(saga training.TrainingSaga) bool {
	switch saga.State {
	case training.SagaCompleted, training.SagaFailed, training.Compensating:
		return false
	default:
		return !saga.Context.Paused
	}
}
