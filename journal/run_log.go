package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
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
	// ErrAmbiguousRun is returned for the beginning of several runs' ids.
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
	// Trained is how long the run was under way, without its pauses.
	Trained time.Duration `json:"trained_ns"`

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
	return r, nil
}

// workedUntil returns how long a run had been under way when the event came,
// since the one before. Before an interruption that is not known: the process may
// have died long ago, and what it did since is not in any checkpoint.
func workedUntil(e training.Event, before training.TrainingSaga, since, at time.Time) time.Duration {
	switch e.(type) {
	case training.TrainingStarted, training.TrainingInterrupted:
		return 0
	}
	if !before.UnderWay() {
		return 0
	}
	return max(at.Sub(since), 0)
}

// RunLog reads and appends the events of runs. It is safe for concurrent use.
type RunLog struct {
	store eventstore.Store
	now   func() time.Time
	Codec Codec[training.Event]
}

// NewRunLog returns a log over the store. now stamps the events.
func NewRunLog(store eventstore.Store, now func() time.Time) *RunLog {
	return &RunLog{store: store, now: now, Codec: trainingCodec}
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
	name, ok := strings.CutPrefix(string(a), RunPrefix)
	return training.RunID(name), ok
}

// Append decides nothing: it applies the events to the record, appends them as
// one batch after the record's version and returns the new record. It fails
// with training's errors for an event that cannot follow, and with
// eventstore.ErrConcurrencyConflict where another writer came first; nothing is
// appended then.
func (l *RunLog) Append(ctx context.Context, r RunRecord, events ...training.Event) (RunRecord, error) {
	if len(events) == 0 {
		return r, nil
	}
	at := l.now().UTC()
	next := r
	batch := make([]eventstore.NewEvent, len(events))
	var id training.RunID
	var correlation eventstore.EventID // every event of a run goes back to its start
	for i, e := range events {
		version := r.Version + eventstore.Version(i) + 1
		var err error
		if next, err = next.Apply(e, version, at); err != nil {
			return r, fmt.Errorf("run %s: %w", r.ID, err)
		}
		if i == 0 {
			id = next.ID
			correlation = eventstore.DerivedEventID(RunPrefix + string(id))
		}
		kind, payload, err := Encode(e)
		if err != nil {
			return r, err
		}
		batch[i] = eventstore.NewEvent{
			ID:          eventstore.DerivedEventID(RunPrefix+string(id), strconv.FormatUint(uint64(version), 10), kind),
			Type:        kind,
			Time:        at,
			Payload:     payload,
			Correlation: correlation,
		}
		if i > 0 {
			batch[i].Causation = batch[i-1].ID
		}
	}
	stored, err := l.store.Append(ctx, eventstore.Write{
		Aggregate: AggregateOf(id), Expected: eventstore.Exactly(r.Version), Events: batch,
	})
	if err != nil {
		return r, fmt.Errorf("record %s of run %s: %w", events[0].EventType(), id, err)
	}
	newest := stored[len(stored)-1]
	next.Position, next.Hash = newest.Position, newest.Hash
	return next, nil
}

// RunNotFoundError says that a name means no run. It wraps ErrRunNotFound.
type RunNotFoundError struct {
	Name string
	Runs int // that there are
}

// Error names the run, and says so if there are none at all.
func (e *RunNotFoundError) Error() string {
	text := fmt.Sprintf("run %q: %v", e.Name, ErrRunNotFound)
	if e.Runs == 0 {
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
	replay, err := l.store.Replay(ctx, AggregateOf(id), 0)
	events := replay.Events
	if err == nil && replay.Snapshot != nil {
		events = nil
		err = WalkAggregate(ctx, l.store, AggregateOf(id), eventstore.End, func(e eventstore.Event) error {
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

// fold applies an envelope to the record, to which the caller applies no other.
func (l *RunLog) fold(r RunRecord, e eventstore.Event) (RunRecord, error) {
	event, err := l.Codec.Decode(e)
	if err != nil {
		return r, err
	}
	next, err := r.extend(event, e.Version, e.Time)
	if err != nil {
		return r, fmt.Errorf("event %d of %s: %w", e.Version, e.Aggregate, err)
	}
	next.Position, next.Hash = e.Position, e.Hash
	return next, nil
}

// Resolve returns the run that name means: an id, the beginning of exactly one
// id, or "latest". It fails with *RunNotFoundError or ErrAmbiguousRun.
func (l *RunList) Resolve(name string) (training.RunID, error) {
	if len(l.Runs) == 0 {
		return "", &RunNotFoundError{Name: name}
	}
	if name == "latest" {
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
	slices.Sort(matches)
	const most = 5
	shown, others := matches, ""
	if len(matches) > most+1 {
		shown = matches[len(matches)-most:]
		others = fmt.Sprintf(" or one of %d older ones", len(matches)-most)
	}
	return "", fmt.Errorf("run %q %w: it could be %s%s; give more of the id", name, ErrAmbiguousRun, strings.Join(shown, ", "), others)
}

// Store returns the store that the log is in.
func (l *RunLog) Store() eventstore.Store { return l.store }
