// Package memory is the plain twin of the durable event store: slices guarded by a
// mutex, the contract written as directly as possible. It is for tests, and for
// callers that need a log only as long as the process lives.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"reprise/eventstore"
)

// Store is an event store in memory. It is safe for concurrent use; make it
// with New.
type Store struct {
	signal eventstore.Signal

	mu        sync.RWMutex
	events    []eventstore.Event
	ids       map[eventstore.EventID]eventstore.Position
	versions  map[eventstore.AggregateID]eventstore.Version
	snapshots map[eventstore.AggregateID]eventstore.Snapshot
	consumers map[string]eventstore.Consumer
	closed    bool
}

var _ eventstore.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		ids:       map[eventstore.EventID]eventstore.Position{},
		versions:  map[eventstore.AggregateID]eventstore.Version{},
		snapshots: map[eventstore.AggregateID]eventstore.Snapshot{},
		consumers: map[string]eventstore.Consumer{},
	}
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := eventstore.CheckWrites(writes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, eventstore.ErrClosed
	}
	if stored, err := s.repeated(writes); stored != nil || err != nil {
		return stored, err
	}
	added := make([]eventstore.Event, 0, len(writes))
	head := s.head()
	versions := map[eventstore.AggregateID]eventstore.Version{}
	for _, w := range writes {
		version, touched := versions[w.Aggregate]
		if !touched {
			version = s.versions[w.Aggregate]
		}
		if !w.Expected.Allows(version) {
			return nil, &eventstore.ConflictError{Aggregate: w.Aggregate, Want: w.Expected, Got: version}
		}
		for _, e := range w.Events {
			version++
			e.Payload = append([]byte(nil), e.Payload...) // nil if empty, as every store returns it
			sealed := eventstore.Seal(e, w.Aggregate, version, head.Position+1, head.Hash)
			head = eventstore.Head{Position: sealed.Position, Hash: sealed.Hash}
			added = append(added, sealed)
		}
		versions[w.Aggregate] = version
	}
	for _, e := range added {
		s.ids[e.ID] = e.Position
		s.versions[e.Aggregate] = e.Version
	}
	s.events = append(s.events, added...)
	s.signal.Raise()
	return owned(added), nil
}

// repeated returns the stored events if all events of the writes are stored, nil if
// none is, and ErrEventIDReused otherwise.
func (s *Store) repeated(writes []eventstore.Write) ([]eventstore.Event, error) {
	var stored []eventstore.Event
	total := 0
	seen := map[eventstore.EventID]bool{}
	for _, w := range writes {
		for _, e := range w.Events {
			total++
			if seen[e.ID] {
				return nil, fmt.Errorf("event %s: %w", e.ID, eventstore.ErrEventIDReused)
			}
			seen[e.ID] = true
			position, ok := s.ids[e.ID]
			if !ok {
				continue
			}
			known := s.events[position-1]
			adjacent := len(stored) == 0 || stored[len(stored)-1].Position+1 == position
			if !known.Equal(e) || known.Aggregate != w.Aggregate || !adjacent {
				return nil, fmt.Errorf("event %s: %w", e.ID, eventstore.ErrEventIDReused)
			}
			stored = append(stored, known)
		}
	}
	if len(stored) != 0 && len(stored) != total {
		return nil, fmt.Errorf("event %s is stored, others of the same append are not: %w", stored[0].ID, eventstore.ErrEventIDReused)
	}
	return owned(stored), nil
}

// Replay implements eventstore.Store.
func (s *Store) Replay(ctx context.Context, aggregate eventstore.AggregateID, from eventstore.Version) (eventstore.Replay, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Replay{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return eventstore.Replay{}, eventstore.ErrClosed
	}
	var replay eventstore.Replay
	last := s.versions[aggregate]
	if snapshot, ok := s.snapshots[aggregate]; ok && snapshot.Version >= from {
		snapshot.Payload = slices.Clone(snapshot.Payload)
		replay.Snapshot, from = &snapshot, snapshot.Version+1
	}
	if last < from {
		return replay, nil
	}
	found := make([]eventstore.Event, 0, last-max(from, 1)+1)
	for _, e := range s.events {
		if e.Aggregate == aggregate && e.Version >= from {
			found = append(found, e)
		}
	}
	replay.Events = owned(found)
	return replay, nil
}

// ReadAggregate implements eventstore.Store.
func (s *Store) ReadAggregate(ctx context.Context, aggregate eventstore.AggregateID, after eventstore.Version, limit int) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, eventstore.ErrClosed
	}
	limit = min(limit, eventstore.MaxReadPage)
	var events []eventstore.Event
	for _, e := range s.events {
		if e.Aggregate == aggregate && e.Version > after && len(events) < limit {
			events = append(events, e)
		}
	}
	return owned(events), nil
}

// SaveSnapshot implements eventstore.Store.
func (s *Store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	if err := eventstore.CheckSnapshot(snapshot, s.versions[snapshot.Aggregate]); err != nil {
		return err
	}
	if old, ok := s.snapshots[snapshot.Aggregate]; ok && !snapshot.Replaces(old) {
		return nil
	}
	snapshot.Payload = append([]byte(nil), snapshot.Payload...) // nil if empty
	s.snapshots[snapshot.Aggregate] = snapshot
	return nil
}

// Read implements eventstore.Store.
func (s *Store) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, eventstore.ErrClosed
	}
	first := min(uint64(after), uint64(len(s.events)))
	last := min(first+uint64(max(0, min(limit, eventstore.MaxReadPage))), uint64(len(s.events)))
	return owned(slices.Clone(s.events[first:last])), nil
}

// LastAt implements eventstore.Store.
func (s *Store) LastAt(ctx context.Context, t time.Time) (eventstore.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, eventstore.ErrClosed
	}
	for _, e := range slices.Backward(s.events) {
		if !e.Time.After(t) {
			return e.Position, nil
		}
	}
	return 0, nil
}

// Subscribe implements eventstore.Store.
func (s *Store) Subscribe(after eventstore.Position) *eventstore.Subscription {
	return eventstore.NewSubscription(s.Read, &s.signal, after)
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Head, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Head{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return eventstore.Head{}, eventstore.ErrClosed
	}
	return s.head(), nil
}

func (s *Store) head() eventstore.Head {
	if len(s.events) == 0 {
		return eventstore.Head{}
	}
	last := s.events[len(s.events)-1]
	return eventstore.Head{Position: last.Position, Hash: last.Hash}
}

// Verify implements eventstore.Store.
func (s *Store) Verify(ctx context.Context) (eventstore.Head, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Head{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return eventstore.Head{}, eventstore.ErrClosed
	}
	chain := eventstore.NewChain()
	for _, e := range s.events {
		if err := chain.Add(e); err != nil {
			return eventstore.Head{}, err
		}
	}
	return chain.Head(), nil
}

// Close implements eventstore.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal.Close()
	return nil
}

// owned returns the events with copies of their payloads, which the caller may
// modify; nil if there are no events.
func owned(events []eventstore.Event) []eventstore.Event {
	if len(events) == 0 {
		return nil
	}
	size := 0
	for _, e := range events {
		size += len(e.Payload)
	}
	payloads := make([]byte, 0, size)
	for i, e := range events {
		if e.Payload != nil {
			first := len(payloads)
			payloads = append(payloads, e.Payload...)
			events[i].Payload = payloads[first:len(payloads):len(payloads)]
		}
	}
	return events
}
