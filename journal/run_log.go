package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/training"
)

var (
	// ErrRunNotFound is returned for a run that the log does not know.
	ErrRunNotFound = fault.New(fault.NotFound, "no such run")
	// ErrAmbiguousRun is returned for the name, or the beginning of the ids, of several runs.
	ErrAmbiguousRun = fault.New(fault.Invalid, "is ambiguous")
)

// RunPrefix begins the aggregate id of every run.
const RunPrefix = "run/"

// RunRecord is a run as its events tell it: the read model of one run.
type RunRecord struct {
	training.TrainingRun
	Saga training.TrainingSaga `json:"saga"`
	// Request is the request that started the run, in canonical JSON.
	Request json.RawMessage `json:"request,omitempty"`
	// Version is that of the last event folded in.
	Version   eventstore.Version `json:"version"`
	StartedAt time.Time          `json:"started_at"`
	UpdatedAt time.Time          `json:"updated_at"`
	// Trained is how long the run was under way with a device, without its pauses and
	// without what it waited.
	Trained time.Duration `json:"trained_ns"`

	// BegunAt is when the run first had a device; zero for one that never did.
	BegunAt time.Time `json:"-"`

	// Position and Hash are those of the last event folded in.
	Position eventstore.Position `json:"-"`
	Hash     eventstore.Hash     `json:"-"`
}

// Apply returns the record after the event.
func (r RunRecord) Apply(e training.Event, version eventstore.Version, at time.Time) (RunRecord, error) {
	return r.next(r.TrainingRun.Apply, e, version, at)
}

// extend is apply for a caller that applies no other event to r.
func (r RunRecord) extend(e training.Event, version eventstore.Version, at time.Time) (RunRecord, error) {
	return r.next(r.TrainingRun.Extend, e, version, at)
}

func (r RunRecord) next(apply func(training.Event) (training.TrainingRun, error), e training.Event, version eventstore.Version, at time.Time) (RunRecord, error) {
	run, err := apply(e)
	if err != nil {
		return r, err
	}
	saga, err := r.Saga.Apply(e)
	if err != nil {
		return r, err
	}
	r.Trained += workedUntil(e, r.Saga, r.UpdatedAt, at)
	r.TrainingRun, r.Saga, r.Version, r.UpdatedAt = run, saga, version, at
	if started, ok := e.(training.TrainingStarted); ok {
		r.Request, r.StartedAt = started.Request, at
	}
	if _, ok := e.(training.ResourceAllocated); ok && r.BegunAt.IsZero() {
		r.BegunAt = at
	}
	return r, nil
}

// workedUntil returns how long a run had been under way with a device when the event
// came, since the one before. Before an interruption that is not known: the process may
// have died long ago, and what it did since is not in any checkpoint.
func workedUntil(e training.Event, before training.TrainingSaga, since, at time.Time) time.Duration {
	_, started := e.(training.TrainingStarted)
	_, interrupted := e.(training.TrainingInterrupted)
	if started || interrupted || !before.UnderWay() || len(before.Context.AllocatedDevices) == 0 {
		return 0
	}
	return max(at.Sub(since), 0)
}

// runAggregate is a run. It has no snapshots: its record grows with its events, so a
// snapshot would not be shorter.
var runAggregate = Aggregate[RunRecord, training.Event]{
	Prefix: RunPrefix, Kind: "run", Codec: runCodec, Fold: RunRecord.Apply, Extend: RunRecord.extend,
}

// RunLog reads and appends the events of runs. It is safe for concurrent use.
type RunLog struct {
	log Log[RunRecord, training.Event]
}

// NewRunLog returns a log over the store. now stamps the events.
func NewRunLog(store eventstore.Store, now func() time.Time) *RunLog {
	return &RunLog{log: Log[RunRecord, training.Event]{Aggregate: runAggregate, Store: store, Now: now}}
}

// HolderOf returns the name under which a run holds a lease.
func HolderOf(id training.RunID) string {
	return device.Holder{Kind: device.HolderRun, Subject: string(id)}.String()
}

// AggregateOf returns the name of a run in the log.
func AggregateOf(id training.RunID) eventstore.AggregateID {
	return eventstore.AggregateID(RunPrefix + string(id))
}

// RunOf returns the run that an aggregate is, if it is one.
func RunOf(a eventstore.AggregateID) (training.RunID, bool) {
	name, ok := nameOf(a, RunPrefix)
	return training.RunID(name), ok
}

// Append decides nothing: it applies the events to the record, appends them as
// one batch after the record's version and returns the new record. It fails
// with training's errors for an event that cannot follow, and with
// eventstore.ErrConcurrencyConflict where another writer came first; nothing is
// appended then.
func (l *RunLog) Append(ctx context.Context, r RunRecord, events ...training.Event) (RunRecord, error) {
	x := r.entity()
	if len(events) > 0 && x.Name == "" {
		if started, ok := events[0].(training.TrainingStarted); ok {
			x.Name = string(started.RunID)
		}
	}
	x, err := l.log.Append(ctx, x, events...)
	return runRecord(x), err
}

func (r RunRecord) entity() Entity[RunRecord] {
	return Entity[RunRecord]{Name: string(r.ID), State: r, Version: r.Version, Position: r.Position, Hash: r.Hash}
}

func runRecord(x Entity[RunRecord]) RunRecord {
	x.State.Position, x.State.Hash = x.Position, x.Hash
	return x.State
}

// RunNotFoundError says that a name means no run. It wraps ErrRunNotFound.
type RunNotFoundError struct {
	Name string
	Runs int // that there are
	// Deleted are the jobs of deleted runs that the name would mean, and NoneLeft says that
	// every run was deleted.
	Deleted  []JobRecord
	NoneLeft bool
}

// Error names the run, and says so if there are none at all, or if it was deleted.
func (e *RunNotFoundError) Error() string {
	text := fmt.Sprintf("run %q: %v", e.Name, ErrRunNotFound)
	n := len(e.Deleted)
	switch {
	case n == 1:
		d := e.Deleted[0]
		text += fmt.Sprintf(": it meant run %s, which was deleted at %s; its whole id still shows it", d.Job.ID(), d.DeletedAt.UTC().Format(time.RFC3339))
	case n > 1:
		text += fmt.Sprintf(": it could mean %d runs that were deleted, the last of them at %s", n, e.Deleted[n-1].DeletedAt.UTC().Format(time.RFC3339))
	case e.Runs == 0 && e.NoneLeft:
		text += ": every run was deleted"
	case e.Runs == 0:
		text += ": there are no runs yet"
	}
	return text
}

// Kind returns NotFound.
func (e *RunNotFoundError) Kind() fault.Kind { return fault.NotFound }

// Unwrap returns ErrRunNotFound.
func (e *RunNotFoundError) Unwrap() error { return ErrRunNotFound }

// Load folds a run's events, or fails with ErrRunNotFound.
func (l *RunLog) Load(ctx context.Context, id training.RunID) (RunRecord, error) {
	events, err := l.Events(ctx, id)
	if err != nil {
		return RunRecord{}, err
	}
	var r RunRecord
	for _, e := range events {
		if r, err = l.fold(r, e); err != nil {
			return RunRecord{}, err
		}
	}
	return r, nil
}

// Events returns the envelopes of a run, oldest first, or ErrRunNotFound. A run
// has no snapshots: one that somebody has put there is ignored.
func (l *RunLog) Events(ctx context.Context, id training.RunID) ([]eventstore.Event, error) {
	replay, err := l.log.Store.Replay(ctx, AggregateOf(id), 0)
	events := replay.Events
	if err == nil && replay.Snapshot != nil {
		events = nil
		err = walkAggregate(ctx, l.log.Store, AggregateOf(id), eventstore.End, func(e eventstore.Event) error {
			events = append(events, e)
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", id, err)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("run %s: %w", id, ErrRunNotFound)
	}
	return events, nil
}

// Replay visits the events of a run, oldest first, each with the record that it
// leads to. It fails with ErrRunNotFound.
func (l *RunLog) Replay(ctx context.Context, id training.RunID, visit func(eventstore.Event, RunRecord) error) error {
	events, err := l.Events(ctx, id)
	if err != nil {
		return err
	}
	var r RunRecord
	for _, e := range events {
		if r, err = l.fold(r, e); err != nil {
			return err
		}
		if err := visit(e, r); err != nil {
			return err
		}
	}
	return nil
}

// DecodeRunEvent is RunLog.Decode for an event that somebody else has read.
func DecodeRunEvent(e eventstore.Event) (training.Event, error) { return runCodec.Decode(e) }

// Decode returns the event of a run's envelope, or ErrUnknownEvent.
func (l *RunLog) Decode(e eventstore.Event) (training.Event, error) { return l.log.Codec.Decode(e) }

// fold applies an envelope to the record, to which the caller applies no other.
func (l *RunLog) fold(r RunRecord, e eventstore.Event) (RunRecord, error) {
	x, err := l.log.extend(r.entity(), e)
	return runRecord(x), err
}

// Resolve returns the run that name means: an id, the beginning of exactly one
// id, or "latest". It fails with *RunNotFoundError or ErrAmbiguousRun.
func (l *RunList) Resolve(name string) (training.RunID, error) {
	if len(l.Runs) == 0 {
		return "", &RunNotFoundError{Name: name}
	}
	if name == Latest {
		return l.Runs[len(l.Runs)-1].RunID, nil
	}
	var matches []string
	for _, r := range l.Runs {
		if string(r.RunID) == name {
			return r.RunID, nil
		}
		if name != "" && strings.HasPrefix(string(r.RunID), name) {
			matches = append(matches, string(r.RunID))
		}
	}
	switch len(matches) {
	case 1:
		return training.RunID(matches[0]), nil
	case 0:
		return "", &RunNotFoundError{Name: name, Runs: len(l.Runs)}
	}
	return "", ambiguous(name, matches, "give more of the id")
}

// ambiguous is the error of a name that means several runs.
func ambiguous(name string, matches []string, fix string) error {
	slices.Sort(matches)
	const most = 5
	shown, others := matches, ""
	if len(matches) > most+1 {
		shown = matches[len(matches)-most:]
		others = fmt.Sprintf(" or one of %d older ones", len(matches)-most)
	}
	return fmt.Errorf("run %q %w: it could be %s%s; %s", name, ErrAmbiguousRun, strings.Join(shown, ", "), others, fix)
}

// Store returns the store that the log is in.
func (l *RunLog) Store() eventstore.Store { return l.log.Store }
