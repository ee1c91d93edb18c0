package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"reprise/eventstore"
)

// eventsPerSnapshot is the number of events that makes a snapshot worth its space.
const eventsPerSnapshot = 256

// snapshot is the payload of an aggregate's snapshot, in JSON.
type snapshot[S any] struct {
	// Events is as in manifest.
	Events string `json:"events"`
	Entity[S]
}

// Open is Load for callers that append. If it had to fold many events, it saves a
// snapshot, so that the next call need not.
func (l *Log[S, E]) Open(ctx context.Context, name string) (Entity[S], error) {
	x, folded, err := l.load(ctx, name)
	if err != nil || folded < eventsPerSnapshot || l.SnapshotSchema == 0 {
		return x, err
	}
	if err := l.saveSnapshot(ctx, x); err != nil {
		return x, fmt.Errorf("snapshot of %s: %w", l.called(name), err)
	}
	return x, nil
}

func (l *Log[S, E]) saveSnapshot(ctx context.Context, x Entity[S]) error {
	s, err := l.snapshotOf(x)
	if err != nil {
		return err
	}
	return l.Store.SaveSnapshot(ctx, s)
}

// snapshotOf returns the snapshot that gives the entity back.
func (a Aggregate[S, E]) snapshotOf(x Entity[S]) (eventstore.Snapshot, error) {
	payload, err := json.Marshal(snapshot[S]{Events: readableEvents(), Entity: x})
	return eventstore.Snapshot{Aggregate: a.ID(x.Name), Version: x.Version, Schema: a.SnapshotSchema, Payload: payload}, err
}

// fromSnapshot returns the entity that a snapshot stands for. It reports false, with an
// entity before its first event, for a snapshot that is not to be used.
func (a Aggregate[S, E]) fromSnapshot(name string, s *eventstore.Snapshot) (Entity[S], bool) {
	var stored snapshot[S]
	if a.SnapshotSchema == 0 || s.Schema != a.SnapshotSchema || json.Unmarshal(s.Payload, &stored) != nil ||
		stored.Events != readableEvents() || stored.Name != name || stored.Version != s.Version {
		return Entity[S]{Name: name}, false
	}
	return stored.Entity, true
}

// rebuildSnapshot folds the aggregate from its first event and replaces its snapshot,
// whatever it was; one without a snapshot gets none.
func (a Aggregate[S, E]) rebuildSnapshot(ctx context.Context, store eventstore.Store, name string) error {
	replay, err := store.Replay(ctx, a.ID(name), 0)
	if err != nil || replay.Snapshot == nil {
		return err
	}
	x, err := a.foldTo(ctx, store, name, eventstore.Version(eventstore.End))
	if err != nil {
		return err
	}
	l := Log[S, E]{Aggregate: a, Store: store}
	return l.saveSnapshot(ctx, x)
}

// auditSnapshot compares the aggregate's snapshot, if it has one that would be used,
// with its events.
func (a Aggregate[S, E]) auditSnapshot(ctx context.Context, store eventstore.Store, name string) error {
	replay, err := store.Replay(ctx, a.ID(name), 0)
	if err != nil || replay.Snapshot == nil {
		return err
	}
	stored, usable := a.fromSnapshot(name, replay.Snapshot)
	if !usable {
		return nil
	}
	folded, err := a.foldTo(ctx, store, name, stored.Version)
	if err != nil {
		return err
	}
	if what := Difference(stored, folded, "the events give"); what != "" {
		return &ContradictionError{Aggregate: a.ID(name), Version: stored.Version, Derived: true,
			What: fmt.Sprintf("the snapshot of %s at version %d is not what its events add up to: %s; the events are intact",
				a.ID(name), stored.Version, what)}
	}
	return nil
}

// foldTo folds the events of an aggregate up to a version, without its snapshot.
func (a Aggregate[S, E]) foldTo(ctx context.Context, store eventstore.Store, name string, last eventstore.Version) (Entity[S], error) {
	x := Entity[S]{Name: name}
	err := walkAggregate(ctx, store, a.ID(name), eventstore.End, func(e eventstore.Event) error {
		if e.Version > last {
			return errSeen
		}
		var err error
		x, err = a.extend(x, e)
		return err
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	x.Position, x.Hash = 0, eventstore.Hash{} // as those of a snapshot
	return x, err
}

// errSeen ends a walk early.
var errSeen = errors.New("seen")

// RebuildSnapshots folds every aggregate that has a snapshot from its first event and
// replaces the snapshot, whatever it was.
func RebuildSnapshots(ctx context.Context, store eventstore.Store) error {
	var seen snapshotted
	if _, err := eventstore.Walk(ctx, store, 0, eventstore.End, func(e eventstore.Event) error {
		seen.add(e.Aggregate)
		return nil
	}); err != nil {
		return err
	}
	return seen.each(func(r registered, name string) error { return r.rebuildSnapshot(ctx, store, name) })
}

// snapshotted lists the aggregates, of those that a walk has met, whose kind has
// snapshots.
type snapshotted struct {
	ids   []eventstore.AggregateID
	known map[eventstore.AggregateID]bool
}

func (s *snapshotted) add(id eventstore.AggregateID) {
	if s.known[id] {
		return
	}
	if r, _ := registeredFor(id); r == nil || !r.hasSnapshots() {
		return
	}
	if s.known == nil {
		s.known = map[eventstore.AggregateID]bool{}
	}
	s.known[id] = true
	s.ids = append(s.ids, id)
}

func (s *snapshotted) each(visit func(registered, string) error) error {
	for _, id := range s.ids {
		r, name := registeredFor(id)
		if err := visit(r, name); err != nil {
			return err
		}
	}
	return nil
}
