package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// ErrNotVerified is returned if a record and what it describes disagree.
var ErrNotVerified = fault.New(fault.Corrupt, "verification failed")

// ContradictionError reports that an event cannot be true given the others of
// its log, or that something stored besides the log is not what the events say.
// It wraps ErrNotVerified.
type ContradictionError struct {
	// Position is the event's, or 0 if the error is not about an event.
	Position  eventstore.Position
	Aggregate eventstore.AggregateID
	Version   eventstore.Version
	// Type is the event's type.
	Type string
	// What names the field, what is recorded and what it has to be.
	What string
	// Derived is set where the events are intact, and what was derived from them is
	// wrong: a read model or a snapshot, which can be made from them again.
	Derived bool
}

// Error names the event and what is wrong with it.
func (e *ContradictionError) Error() string {
	if e.Position == 0 {
		return e.What
	}
	return fmt.Sprintf("event %d (%s, version %d of %s): %s", e.Position, e.Type, e.Version, e.Aggregate, e.What)
}

// Kind returns Corrupt.
func (e *ContradictionError) Kind() fault.Kind { return fault.Corrupt }

// Unwrap returns ErrNotVerified.
func (e *ContradictionError) Unwrap() error { return ErrNotVerified }

// LogReport says what VerifyLog has seen.
type LogReport struct {
	Head    eventstore.Head
	Runs    int
	Devices int
}

// VerifyLog checks the whole log: its hash chain; that every event follows from
// those before it, in every field that does; and that read models and snapshots
// are what the events add up to. It fails with *eventstore.CorruptionError or
// *ContradictionError for the first thing that is wrong. It writes nothing, and
// may run while another process writes.
func VerifyLog(ctx context.Context, store eventstore.Store) (LogReport, error) {
	a, err := AuditLog(ctx, store, func(*ContradictionError) bool { return true })
	return a.report(), err
}

// AuditLog is VerifyLog, but ignores contradictions for which counts returns false.
func AuditLog(ctx context.Context, store eventstore.Store, counts func(*ContradictionError) bool) (*audit, error) {
	a := &audit{timeline: NewTimeline(), leases: map[leaseKey]*auditedLease{}, priorities: map[queue.JobID][]int{}}
	// Before the head: the stored models grow with the log.
	models, err := storedModels(ctx, store)
	if err != nil {
		return a, err
	}
	if a.Head, err = store.Verify(ctx); err != nil {
		return a, err
	}
	check := func(err error) error {
		var found *ContradictionError
		if errors.As(err, &found) && !counts(found) {
			return nil
		}
		return err
	}
	if err := check(models.reach(0)); err != nil {
		return a, err
	}
	_, err = eventstore.Walk(ctx, store, 0, a.Head.Position, func(e eventstore.Event) error {
		if err := check(a.add(e)); err != nil {
			return err
		}
		return check(models.apply(e))
	})
	if err != nil {
		return a, err
	}
	if err := check(models.end(a.Head.Position)); err != nil {
		return a, err
	}
	return a, a.snapshots.each(func(r registered, name string) error {
		return check(r.auditSnapshot(ctx, store, name))
	})
}

// audit follows a log event by event and compares each with those before it.
type audit struct {
	Head     eventstore.Head
	timeline *Timeline
	leases   map[leaseKey]*auditedLease
	queue    QueueReplay
	settings []queue.Settings // by version, from 1
	// priorities are those that each job has had.
	priorities map[queue.JobID][]int
	last       eventstore.Event // of any aggregate
	// snapshots are those to compare.
	snapshots snapshotted
}

// leaseKey names a lease in the events of runs and of devices alike.
type leaseKey struct {
	device device.ID
	lease  device.LeaseID
	epoch  device.Epoch
}

func keyOf(a training.Allocation) leaseKey { return leaseKey{a.Device, a.Lease, a.Epoch} }

type auditedLease struct {
	holder string
	ended  bool
}

func (a *audit) report() LogReport {
	state := a.timeline.State()
	return LogReport{Head: a.Head, Runs: len(state.Runs), Devices: len(state.Devices)}
}

// add takes the next event. The audit continues after a contradiction.
func (a *audit) add(e eventstore.Event) error {
	before := a.last
	a.last = e
	a.snapshots.add(e.Aggregate)
	wrong := func(what string) error {
		what = strings.TrimPrefix(what, fmt.Sprintf("event %d of %s: ", e.Version, e.Aggregate)) // said below
		return &ContradictionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, Type: e.Type, What: what}
	}
	if what := checkEnvelope(e, before); what != "" {
		return wrong(what)
	}
	event, err := EventOf(e)
	if err != nil {
		return wrong(err.Error())
	}
	if what := checkPayload(e, event); what != "" {
		return wrong(what)
	}
	id, isRun := RunOf(e.Aggregate)
	record, _ := a.timeline.run(id)
	if err := a.timeline.Apply(e); err != nil {
		return wrong(err.Error())
	}
	what := ""
	switch event := event.(type) {
	case training.Event:
		if isRun {
			what = a.checkRun(id, record, event)
		}
	case device.Event:
		what = a.checkDevice(event)
	case ActorEvent: // nothing else in the log says what happened to actors
	case queue.JobEvent:
		what = a.checkJob(e.Aggregate, event)
	case QueueEvent:
		if decided, err := a.queue.Apply(event); err != nil {
			what = err.Error()
		} else {
			what = a.checkDecision(&decided)
		}
	case SettingsEvent:
		what = a.checkSettings(event)
	}
	if what != "" {
		return wrong(what)
	}
	return nil
}

// checkEnvelope says what is wrong with the ids of an event: all of them are
// determined by its place.
func checkEnvelope(e, before eventstore.Event) string {
	aggregate := string(e.Aggregate)
	want := eventstore.DerivedEventID(aggregate, strconv.FormatUint(uint64(e.Version), 10), e.Type)
	if e.ID != want {
		return fmt.Sprintf("id: recorded %s, but its place and type give %s", e.ID, want)
	}
	if want := eventstore.DerivedEventID(aggregate); e.Correlation != want {
		return fmt.Sprintf("correlation: recorded %q, but its aggregate gives %s", e.Correlation, want)
	}
	if e.Causation == "" {
		return ""
	}
	if before.Aggregate != e.Aggregate || e.Causation != before.ID {
		return fmt.Sprintf("causation: recorded %s, which is not the event of %s before it", e.Causation, aggregate)
	}
	if !e.Time.Equal(before.Time) {
		return fmt.Sprintf("causation: recorded %s, which was not appended together with it", e.Causation)
	}
	return ""
}

// checkPayload says where an event's payload is not in the form in which events
// are written: keys in another order or repeated, say.
func checkPayload(e eventstore.Event, written Typed) string {
	if written.EventType() != e.Type {
		return "" // read through an upcast: its form is that of another version
	}
	_, payload, err := Encode(written)
	switch {
	case err != nil:
		return err.Error()
	case string(payload) != string(e.Payload):
		return "payload: it is not in the form in which events are written"
	}
	return ""
}

// checkDevice records the leases and says what is wrong with an event of a
// device, given those of runs.
func (a *audit) checkDevice(e device.Event) string {
	switch e := e.(type) {
	case device.Leased:
		l := e.Lease
		a.leases[leaseKey{l.Device, l.ID, l.Epoch}] = &auditedLease{holder: l.Holder}
		if holder, ok := device.ParseHolder(l.Holder); ok { // every kind is about a run
			if (holder.Kind == device.HolderRun) == l.Shared {
				return fmt.Sprintf("lease.shared: recorded %v, for a %s", l.Shared, holder.Kind)
			}
			if _, known := a.timeline.run(training.RunID(holder.Subject)); known {
				return ""
			}
		}
		return fmt.Sprintf("lease.holder: recorded %s, which is not a run that had started, nor a use of one", l.Holder)
	case device.Released:
		if l, ok := a.leases[leaseKey{e.Lease.Device, e.Lease.ID, e.Lease.Epoch}]; ok {
			l.ended = true
		}
	case device.Registered, device.HealthChanged: // the ledger has checked them
	}
	return ""
}

// checkRun says what is wrong with an event of a run, given the run's record
// before it and the other events of the log.
func (a *audit) checkRun(id training.RunID, before RunRecord, e training.Event) string {
	switch e := e.(type) {
	case training.TrainingStarted:
		if e.RunID != id {
			return fmt.Sprintf("run_id: recorded %q, the event is of run %q", e.RunID, id)
		}
		if what := a.checkParent(e); what != "" {
			return what
		}
		if what := a.checkInit(e); what != "" {
			return what
		}
		if what := a.checkPrepared(e); what != "" {
			return what
		}
	case training.ResourceAllocated:
		lease, ok := a.leases[keyOf(e.Allocation)]
		if !ok {
			return fmt.Sprintf("lease: device %s has not granted the lease %s of epoch %d", e.Device, e.Lease, e.Epoch)
		}
		if worker := before.Saga.Context.Worker; e.Device.Worker() != worker {
			return fmt.Sprintf("device: recorded %s, but the run is hosted by worker %q", e.Device, worker)
		}
		if lease.holder != HolderOf(id) {
			return fmt.Sprintf("lease: device %s has granted %s to %s", e.Device, e.Lease, lease.holder)
		}
	case training.DeviceReleased:
		if lease, ok := a.leases[keyOf(e.Allocation)]; ok && !lease.ended {
			return fmt.Sprintf("lease: device %s has not ended the lease %s", e.Device, e.Lease)
		}
	case training.ResourceAllocationFailed, training.DatasetLoaded, training.DatasetLoadFailed, training.DatasetUnloaded,
		training.ModelInitialized, training.ModelInitializationFailed,
		training.EpochCompleted, training.EpochReproduced, training.EvaluationCompleted, training.EarlyStopped,
		training.CheckpointCommitted, training.CheckpointFailed, training.TrainingInterrupted, training.TrainingResumed,
		training.TrainingFailed, training.TrainingCompleted, training.RunFailed, training.Remark:
		// Only the run's own events bear on these.
	}
	if what := checkTransition(before, e); what != "" {
		return what
	}
	return Difference(e, follows(before, e), "the events before it give")
}

// checkParent says what is wrong with the origin of a fork.
func (a *audit) checkParent(e training.TrainingStarted) string {
	if e.Parent == nil {
		return ""
	}
	parent, ok := a.timeline.run(e.Parent.RunID)
	if !ok || e.Parent.RunID == e.RunID {
		return fmt.Sprintf("parent.run_id: no run %s had started before", e.Parent.RunID)
	}
	for _, cp := range parent.Checkpoints {
		if cp.Step == e.Parent.Checkpoint.Step {
			if what := Difference(e.Parent.Checkpoint, cp, "the parent's events give"); what != "" {
				return "parent.checkpoint: " + what
			}
			return ""
		}
	}
	return fmt.Sprintf("parent.checkpoint.step: run %s had not committed a checkpoint at step %d", parent.ID, e.Parent.Checkpoint.Step)
}

// checkInit says what is wrong with the record of initial weights. Those of a bundle or a
// file come from outside of the log.
func (a *audit) checkInit(e training.TrainingStarted) string {
	init := e.Init
	if init == nil {
		return ""
	}
	if e.Parent != nil {
		return "init: a fork begins with a checkpoint"
	}
	specs, err := e.Architecture.Parameters()
	if err != nil {
		return fmt.Sprintf("architecture: %v", err)
	}
	if what := init.Check(specs, nil); what != "" {
		return what
	}
	if init.Path != "" {
		return ""
	}
	source, ok := a.timeline.run(init.RunID)
	if !ok || init.RunID == e.RunID {
		return fmt.Sprintf("init.run_id: no run %s had started before", init.RunID)
	}
	for _, cp := range source.Checkpoints {
		if cp.Step != init.Step {
			continue
		}
		if cp.WeightsSHA256 != init.SourceSHA256 {
			return fmt.Sprintf("init.source_sha256: recorded %s, the events of run %s give %s", init.SourceSHA256, source.ID, cp.WeightsSHA256)
		}
		return ""
	}
	return fmt.Sprintf("init.step: run %s had not committed a checkpoint at step %d", source.ID, init.Step)
}
