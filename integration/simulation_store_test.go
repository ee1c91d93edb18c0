package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/training"
)

var (
	errStore = errors.New("the store does not answer")
)

// simStore is the event store as one process sees it. What it acknowledges is
// stored for good; what it does not acknowledge may be stored.
type simStore struct {
	eventstore.Store
	history *history
	process *process
	failed  bool // once, in whatever way
	// broken is set by an error after which the store has to be opened again.
	broken bool
}

func (s *simStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	h := s.history
	to := writes[0].Aggregate
	switch {
	case s.process.dead:
		return nil, errDied
	case s.broken:
		return nil, fmt.Errorf("%w: it must be opened again", errStore)
	case h.roll(faultKill):
		stored := h.random.IntN(2) == 0
		if stored {
			_, _ = s.append(ctx, writes)
		}
		h.kill("append to %s (stored: %v)", to, stored)
		return nil, errDied
	case h.roll(faultConflict):
		s.failed = true
		h.count("append conflicts")
		h.log("append to %s: conflict", to)
		return nil, &eventstore.ConflictError{Aggregate: to, Want: writes[0].Expected}
	case h.roll(faultAppend):
		stored := h.random.IntN(2) == 0
		if stored {
			_, _ = s.append(ctx, writes)
			if to != journal.QueueAggregate { // it says nothing about who holds what
				h.dirty[ledgerDevice(to)] = true
			}
			h.count("appends of unknown outcome")
		}
		s.failed, s.broken = true, h.random.IntN(4) == 0
		h.count("append failures")
		h.log("append to %s: failed (stored: %v, for good: %v)", to, stored, s.broken)
		return nil, errStore
	case h.now.Before(h.fullUntil) && h.random.IntN(2) == 0:
		s.failed, s.broken = true, true
		h.count("appends to a full disk")
		h.log("append to %s: the disk is full", to)
		return nil, fmt.Errorf("%w: %w", errStore, syscall.ENOSPC)
	}
	return s.append(ctx, writes)
}

func (s *simStore) append(ctx context.Context, writes []eventstore.Write) ([]eventstore.Event, error) {
	events, err := s.Store.Append(ctx, writes...)
	if err != nil {
		s.failed = true
		s.history.log("append to %s: %v", writes[0].Aggregate, err)
		if errors.Is(err, eventstore.ErrConcurrencyConflict) {
			s.history.count("append conflicts")
		}
		return nil, err
	}
	for _, e := range events {
		if e.Position > s.history.observed { // an append that is repeated is answered again
			s.history.observed = e.Position
			s.history.observe(e)
		}
	}
	return events, nil
}

func (s *simStore) Replay(ctx context.Context, a eventstore.AggregateID, from eventstore.Version) (eventstore.Replay, error) {
	switch {
	case s.process.dead:
		return eventstore.Replay{}, errDied
	case s.history.roll(faultRead):
		s.failed = true
		s.history.count("read failures")
		s.history.log("read of %s: failed", a)
		return eventstore.Replay{}, errStore
	}
	delete(s.history.dirty, ledgerDevice(a)) // the pool picks it up as it is
	return s.Store.Replay(ctx, a, from)
}

func (s *simStore) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	if s.process.dead {
		return nil, errDied
	}
	return s.Store.Read(ctx, after, limit)
}

func ledgerDevice(a eventstore.AggregateID) device.ID {
	return device.ID(strings.TrimPrefix(string(a), journal.DevicePrefix))
}

var _ eventstore.Store = (*simStore)(nil)

// simLedger says who holds a device according to the events, by independent rules.
type simLedger struct {
	leases []device.Lease
	epoch  device.Epoch
}

func (l *simLedger) holds(lease device.Lease) bool {
	return l != nil && slices.Contains(l.leases, lease)
}

// observe checks every stored event, whoever is told about it.
func (h *history) observe(e eventstore.Event) {
	if e.Aggregate == journal.QueueAggregate {
		h.observeQueue(e)
		return
	}
	if id, ok := journal.JobOf(e.Aggregate); ok {
		h.observeJob(h.run(training.RunID(id)), e)
		return
	}
	runs, devices := h.logs(HostConfig{})
	if !strings.HasPrefix(string(e.Aggregate), journal.DevicePrefix) {
		event, err := runs.Decode(e)
		if err != nil {
			h.violate("%v", err)
			return
		}
		if h.recording {
			h.log("%s: %s%s", e.Aggregate, strings.TrimPrefix(e.Type, "training."), details(event))
		}
		r := h.run(training.RunID(strings.TrimPrefix(string(e.Aggregate), journal.RunPrefix)))
		h.observeRun(r, event)
		if r.record, err = r.record.Apply(event, e.Version, e.Time); err != nil {
			h.violate("%v", err)
		}
		return
	}
	id := ledgerDevice(e.Aggregate)
	ledger := h.ledgers[id]
	if ledger == nil {
		ledger = &simLedger{}
		h.ledgers[id] = ledger
	}
	event, err := devices.Decode(e)
	if err != nil {
		h.violate("%v", err)
		return
	}
	switch event := event.(type) {
	case device.Leased:
		h.log("%s: leased to %s, epoch %d", id, event.Lease.Holder, event.Lease.Epoch)
		if event.Lease.Epoch <= ledger.epoch {
			h.violate("%s was leased under epoch %d after epoch %d", id, event.Lease.Epoch, ledger.epoch)
		}
		ledger.leases, ledger.epoch = append(ledger.leases, event.Lease), event.Lease.Epoch
		if slots := h.device(id).slots; len(ledger.leases) > slots {
			h.violate("%s has %d slots and is held by %v", id, slots, ledger.leases)
		}
		for other, l := range h.ledgers {
			if other != id && slices.ContainsFunc(l.leases, func(held device.Lease) bool { return held.Holder == event.Lease.Holder }) {
				h.violate("%s holds %s and %s at a time", event.Lease.Holder, other, id)
			}
		}
	case device.Released:
		h.log("%s: released by %s, epoch %d: %s", id, event.Lease.Holder, event.Lease.Epoch, event.Reason)
		if !ledger.holds(event.Lease) {
			h.violate("%s was released from %v, which is not in force", id, event.Lease)
		}
		if event.Reason == "given back by the run" && slices.ContainsFunc(h.device(id).allocated, func(m *simMemory) bool { return m.use.lease == event.Lease }) {
			h.violate("%s was given back by %s with memory in use", id, event.Lease.Holder)
		}
		ledger.leases = slices.DeleteFunc(ledger.leases, func(held device.Lease) bool { return held == event.Lease })
	case device.HealthChanged:
		h.count("changes of health")
		h.log("%s: %s", id, event.Health)
	}
}

// observeQueue checks a decision: it can be made again, and places nobody who has a
// device.
func (h *history) observeQueue(e eventstore.Event) {
	event, err := journal.EventOf(e)
	if err != nil {
		h.violate("%v", err)
		return
	}
	decided, err := h.decisions.Apply(event.(journal.QueueEvent))
	if err != nil {
		h.violate("%v", err)
		return
	}
	h.log("queue: placed %+v, pending %+v", decided.Decision.Placed, decided.Decision.Pending)
	if what := decided.Check(); what != "" {
		h.violate("%s", what)
	}
	h.counts["runs that had to wait"] += len(decided.Decision.Pending)
	for _, p := range decided.Decision.Placed {
		for id, l := range h.ledgers {
			if slices.ContainsFunc(l.leases, func(held device.Lease) bool { return held.Holder == journal.HolderOf(training.RunID(p.Job)) }) {
				h.violate("%s is placed on %v, but holds %s", p.Job, p.On, id)
			}
		}
	}
}

// details is what a transcript says about an event besides its name.
func details(event training.Event) string {
	switch e := event.(type) {
	case training.ResourceAllocated:
		return fmt.Sprintf(" %s, epoch %d", e.Device, e.Epoch)
	case training.ResourceAllocationFailed:
		return ": " + shorten(e.Reason)
	case training.DatasetLoadFailed:
		return ": " + shorten(e.Reason)
	case training.ModelInitialized:
		return fmt.Sprintf(" step %d", e.Step)
	case training.ModelInitializationFailed:
		return ": " + shorten(e.Reason)
	case training.EpochCompleted:
		return fmt.Sprintf(" %d", e.Epoch)
	case training.EpochReproduced:
		return fmt.Sprintf(" %d", e.Epoch)
	case training.EvaluationCompleted:
		return fmt.Sprintf(" step %d", e.Step)
	case training.CheckpointCommitted:
		return fmt.Sprintf(" epoch %d, step %d", e.Epoch, e.Step)
	case training.CheckpointFailed:
		return ": " + shorten(e.Reason)
	case training.TrainingInterrupted:
		return ": " + shorten(e.Cause)
	case training.TrainingFailed:
		return ": " + shorten(e.Reason)
	case training.RunFailed:
		return ": " + shorten(e.Reason)
	}
	return ""
}

// shorten keeps a transcript readable.
func shorten(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > 110 {
		return text[:110] + "..."
	}
	return text
}
