package integration

import (
	"context"
	"fmt"
	"slices"

	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Recovery is what a starting process found unfinished and put right.
type Recovery struct {
	// Interrupted lists the runs that can be resumed, Failed those whose
	// compensation was completed.
	Interrupted []training.RunID
	Failed      []training.RunID
	// Leases is the number of leases held by dead processes.
	Leases int
	// Jobs lists those that wait to be resumed, in the order of their submission. Those
	// that are paused are not among them.
	Jobs []queue.JobID
}

// Recover cleans up after processes of a worker that died. It ends every lease of the
// worker's devices, since the holders are gone, and brings every unfinished saga that
// was the worker's to a state in which it holds nothing: interrupted, from where it can be
// resumed, or, if it was compensating, failed. What is another worker's stays as it is.
// Recovering twice changes nothing. The projections tell which runs are
// unfinished, and only the events of those are read. The caller makes sure that no
// other process of the worker is alive: in a data directory of one's own, it holds the
// lock.
func Recover(ctx context.Context, worker string, runs *journal.RunLog, devices *journal.DeviceLog) (Recovery, error) {
	var recovery Recovery
	var (
		list    *journal.RunList
		ledgers *journal.DeviceList
		jobs    *journal.JobList
	)
	if err := journal.Read(ctx, runs.Store(), journal.Into(&list), journal.Into(&ledgers), journal.Into(&jobs)); err != nil {
		return recovery, err
	}
	for _, d := range ledgers.Devices {
		if d.ID.Worker() != worker {
			continue
		}
		events := d.Ledger.ReleaseAll("its process ended")
		if _, err := devices.Append(ctx, d, events...); err != nil {
			return recovery, err
		}
		recovery.Leases += len(events)
	}
	for _, r := range list.Runs {
		if r.Saga == nil || atRest(*r.Saga) || !belongsTo(worker, *r.Saga) {
			continue
		}
		if j, ok := jobs.Job(queue.JobID(r.RunID)); ok && j.Job.State() == queue.StateQueued && !r.Saga.Begun() {
			continue // it waits in the queue, and nothing of it was under way
		}
		record, err := runs.Load(ctx, r.RunID)
		if err != nil {
			return recovery, err
		}
		if err := recovery.settle(ctx, runs, record); err != nil {
			return recovery, fmt.Errorf("recover run %s: %w", r.RunID, err)
		}
	}
	return recovery, nil
}

// belongsTo reports whether a worker has to bring a run to rest that was left: the one
// that hosted it. Where no host was recorded, as for the default worker, it is the one
// whose devices the run holds, and anybody if it holds none.
func belongsTo(worker string, saga training.TrainingSaga) bool {
	if saga.Context.Worker != "" {
		return saga.Context.Worker == worker
	}
	return !slices.ContainsFunc(saga.Context.AllocatedDevices, func(held training.Allocation) bool { return held.Device.Worker() != worker })
}

// settle brings one saga to rest in one batch of events.
func (recovery *Recovery) settle(ctx context.Context, runs *journal.RunLog, r journal.RunRecord) error {
	events, err := restEvents(r.Saga, died)
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

// restEvents returns the events that bring a saga to rest whose holdings are gone:
// an interruption if it was under way, a release of everything that it holds on
// record, and the failure that ends a compensation.
func restEvents(saga training.TrainingSaga, cause string) ([]training.Event, error) {
	var events []training.Event
	record := func(e training.Event) error {
		next, err := saga.Apply(e)
		saga = next
		events = append(events, e)
		return err
	}
	if saga.UnderWay() {
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
			return nil, fmt.Errorf("unexpected command of a paused saga: %T", c)
		}
		if err := record(event); err != nil {
			return nil, err
		}
	}
}

// atRest reports whether a saga waits for nothing, so that nothing of it is
// unfinished.
func atRest(saga training.TrainingSaga) bool { return !saga.UnderWay() && len(saga.Commands()) == 0 }
