package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reprise/eventstore"
)

// Aggregate declares a kind of aggregate: what its events are, and what they add up
// to. A new kind needs this declaration, and a place in the table registry.
type Aggregate[S any, E Typed] struct {
	// Prefix begins the name of each of them in the log, such as "run/". One that
	// does not end with a slash is the whole name of the only one.
	Prefix string
	// Kind is what messages call one, such as "run".
	Kind  string
	Codec Codec[E]
	// Fold returns the state after an event, and leaves the state that it is given as
	// it was. It fails for an event that cannot follow.
	Fold func(state S, event E, version eventstore.Version, at time.Time) (S, error)
	// Extend, if not nil, is a faster Fold for callers that no longer need the state
	// before.
	Extend func(state S, event E, version eventstore.Version, at time.Time) (S, error)
	// SnapshotSchema is the version of the state's JSON form and of its meaning; a
	// change of either raises it. There are no snapshots if it is 0: they are for
	// states that stay small while the events become many.
	SnapshotSchema int
}

// ID returns the name in the log of the aggregate with this name.
func (a Aggregate[S, E]) ID(name string) eventstore.AggregateID {
	return eventstore.AggregateID(a.Prefix + name)
}

// nameOf returns the name, without the prefix, of an aggregate of this kind; it
// reports false for others.
func nameOf(id eventstore.AggregateID, prefix string) (string, bool) {
	name, ok := strings.CutPrefix(string(id), prefix)
	return name, ok && (name == "" || strings.HasSuffix(prefix, "/"))
}

// Entity is one aggregate as its events tell it.
type Entity[S any] struct {
	// Name is its name without the prefix.
	Name  string `json:"name"`
	State S      `json:"state"`
	// Version is that of the last event folded in.
	Version eventstore.Version `json:"version"`

	// Position and Hash are those of the last event folded in; zero if it was folded
	// into a snapshot.
	Position eventstore.Position `json:"-"`
	Hash     eventstore.Hash     `json:"-"`
}

// Log appends and folds the events of the aggregates of one kind. It is safe for
// concurrent use.
type Log[S any, E Typed] struct {
	Aggregate[S, E]
	Store eventstore.Store
	Now   func() time.Time // stamps the events of Append
}

// Timed is an event and when it happened.
type Timed[E Typed] struct {
	Event E
	At    time.Time
}

// Append records events that were decided together, as one batch after the entity's
// version, and returns the entity after them. They have one time, and each is the
// cause of the next. It fails with Fold's error for an event that cannot follow, and
// with eventstore.ErrConcurrencyConflict if another writer came first; nothing is
// recorded then, and the entity is returned as it was.
func (l *Log[S, E]) Append(ctx context.Context, x Entity[S], events ...E) (Entity[S], error) {
	if len(events) == 0 {
		return x, nil
	}
	return l.write(ctx, x, l.timed(events), true)
}

// timed gives the events the time that it is now.
func (l *Log[S, E]) timed(events []E) []Timed[E] {
	at := l.Now().UTC()
	timed := make([]Timed[E], len(events))
	for i, e := range events {
		timed[i] = Timed[E]{e, at}
	}
	return timed
}

// Observe is Append for events that happened independently of each other: each has its
// own time, and none is the cause of another.
func (l *Log[S, E]) Observe(ctx context.Context, x Entity[S], events ...Timed[E]) (Entity[S], error) {
	if len(events) == 0 {
		return x, nil
	}
	return l.write(ctx, x, events, false)
}

func (l *Log[S, E]) write(ctx context.Context, x Entity[S], events []Timed[E], chained bool) (Entity[S], error) {
	p, err := l.prepare(x, events, chained)
	if err != nil {
		return x, err
	}
	if err := appendTogether(ctx, l.Store, p); err != nil {
		return x, err
	}
	return p.next, nil
}

// pendingWrite is an append to one aggregate that can be made together with others.
type pendingWrite interface {
	what() string
	batch() eventstore.Write
	// written takes the events as they were stored.
	written(stored []eventstore.Event)
}

// pending is a pendingWrite, and the entity after it.
type pending[S any] struct {
	next  Entity[S]
	write eventstore.Write
	name  string
}

func (p *pending[S]) what() string {
	return fmt.Sprintf("record %s of %s", p.write.Events[0].Type, p.name)
}
func (p *pending[S]) batch() eventstore.Write { return p.write }

func (p *pending[S]) written(stored []eventstore.Event) {
	newest := stored[len(stored)-1]
	p.next.Position, p.next.Hash = newest.Position, newest.Hash
}

// prepare folds the events and writes nothing yet.
func (l *Log[S, E]) prepare(x Entity[S], events []Timed[E], chained bool) (*pending[S], error) {
	id := string(l.ID(x.Name))
	correlation := eventstore.DerivedEventID(id) // every event goes back to the first
	next := x
	batch := make([]eventstore.NewEvent, len(events))
	for i, e := range events {
		at := e.At.UTC()
		next.Version++
		var err error
		if next.State, err = l.Fold(next.State, e.Event, next.Version, at); err != nil {
			return nil, fmt.Errorf("%s: %w", l.called(x.Name), err)
		}
		kind, payload, err := Encode(e.Event)
		if err != nil {
			return nil, err
		}
		batch[i] = eventstore.NewEvent{
			ID:   eventstore.DerivedEventID(id, strconv.FormatUint(uint64(next.Version), 10), kind),
			Type: kind, Time: at, Payload: payload,
			Correlation: correlation,
		}
		if chained && i > 0 {
			batch[i].Causation = batch[i-1].ID
		}
	}
	return &pending[S]{next: next, name: l.called(x.Name), write: eventstore.Write{
		Aggregate: eventstore.AggregateID(id), Expected: eventstore.Exactly(x.Version), Events: batch,
	}}, nil
}

// appendTogether makes all of the appends, or none of them.
func appendTogether(ctx context.Context, store eventstore.Store, writes ...pendingWrite) error {
	batches := make([]eventstore.Write, len(writes))
	for i, w := range writes {
		batches[i] = w.batch()
	}
	stored, err := store.Append(ctx, batches...)
	if errors.Is(err, eventstore.ErrEventIDReused) {
		// Ids are derived from versions: another writer has used this one.
		err = fmt.Errorf("%w: %w", eventstore.ErrConcurrencyConflict, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", writes[0].what(), err)
	}
	for i, w := range writes {
		n := len(batches[i].Events)
		w.written(stored[:n])
		stored = stored[n:]
	}
	return nil
}

// called returns what messages call the aggregate.
func (a Aggregate[S, E]) called(name string) string {
	if name == "" {
		return "the " + a.Kind
	}
	return a.Kind + " " + name
}

// Load folds the events of an aggregate, starting from its snapshot if there is one.
// One without events has version 0 and the zero state.
func (l *Log[S, E]) Load(ctx context.Context, name string) (Entity[S], error) {
	x, _, err := l.load(ctx, name)
	return x, err
}

// load is Load and also returns the number of events that it folded.
func (l *Log[S, E]) load(ctx context.Context, name string) (x Entity[S], folded int, err error) {
	x.Name = name
	replay, err := eventstore.ReplaySchema(ctx, l.Store, l.ID(name), l.SnapshotSchema)
	if err != nil {
		return x, 0, fmt.Errorf("read %s: %w", l.called(name), err)
	}
	fold := func(e eventstore.Event) error {
		folded++
		x, err = l.extend(x, e)
		return err
	}
	if replay.Snapshot != nil {
		var usable bool
		if x, usable = l.fromSnapshot(name, replay.Snapshot); !usable {
			err = walkAggregate(ctx, l.Store, l.ID(name), eventstore.End, fold)
			return x, folded, err
		}
	}
	for _, e := range replay.Events {
		if err := fold(e); err != nil {
			return x, folded, err
		}
	}
	return x, folded, nil
}

// extend returns the entity after an event of the log; nobody needs the one before.
func (a Aggregate[S, E]) extend(x Entity[S], e eventstore.Event) (Entity[S], error) {
	event, err := a.Codec.Decode(e)
	if err != nil {
		return x, err
	}
	fold := a.Fold
	if a.Extend != nil {
		fold = a.Extend
	}
	state, err := fold(x.State, event, e.Version, e.Time)
	if err != nil {
		return x, fmt.Errorf("event %d of %s: %w", e.Version, e.Aggregate, err)
	}
	x.State, x.Version, x.Position, x.Hash = state, e.Version, e.Position, e.Hash
	return x, nil
}
