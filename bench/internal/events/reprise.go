package events

import (
	"context"
	"errors"

	"reprise/eventstore"
	"reprise/eventstore/sqlite"
)

// Reprise is our event store.
type Reprise struct {
	path   string
	config sqlite.Config
	store  *sqlite.Store
}

// OpenReprise opens a store in a file. If durable is set, an append is synced
// before it is acknowledged.
func OpenReprise(path string, durable bool) (*Reprise, error) {
	r := &Reprise{path: path, config: sqlite.Config{Unsynced: !durable}}
	var err error
	r.store, err = sqlite.Open(path, r.config)
	return r, err
}

func event(aggregate string, n int) eventstore.NewEvent {
	return eventstore.NewEvent{ID: eventstore.EventID(textID(aggregate, n)), Type: Type, Time: eventTime(), Payload: Payload(n)}
}

// Append implements Log.
func (r *Reprise) Append(ctx context.Context, aggregates []string, n int) error {
	return each(aggregates, func(_ int, a string) error {
		for v := range n {
			_, err := r.store.Append(ctx, eventstore.Write{
				Aggregate: eventstore.AggregateID(a), Expected: eventstore.Exactly(eventstore.Version(v)),
				Events: []eventstore.NewEvent{event(a, v+1)},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Fill implements Log.
func (r *Reprise) Fill(ctx context.Context, aggregates []string, n, snapshot int) error {
	for _, a := range aggregates {
		for v := 0; v < n; {
			w := eventstore.Write{Aggregate: eventstore.AggregateID(a), Expected: eventstore.Exactly(eventstore.Version(v))}
			for ; v < n && len(w.Events) < eventstore.MaxBatch; v++ {
				w.Events = append(w.Events, event(a, v+1))
			}
			if _, err := r.store.Append(ctx, w); err != nil {
				return err
			}
		}
		if snapshot > 0 {
			s := eventstore.Snapshot{Aggregate: eventstore.AggregateID(a), Version: eventstore.Version(snapshot), Payload: Want(snapshot).marshal()}
			if err := r.store.SaveSnapshot(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Replay implements Log.
func (r *Reprise) Replay(ctx context.Context, aggregate string, useSnapshot bool) (s State, err error) {
	var from eventstore.Version
	if !useSnapshot {
		from = 1
	}
	replay, err := r.store.Replay(ctx, eventstore.AggregateID(aggregate), from)
	if err != nil {
		return s, err
	}
	if replay.Snapshot != nil {
		if s, err = unmarshal(replay.Snapshot.Payload); err != nil {
			return s, err
		}
	}
	for _, e := range replay.Events {
		if err := s.Apply(int(e.Version), e.Payload); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Reopen implements Log.
func (r *Reprise) Reopen(context.Context) error {
	if err := r.store.Close(); err != nil {
		return err
	}
	var err error
	r.store, err = sqlite.Open(r.path, r.config)
	return err
}

// ReadAll implements Log. Every hash is checked, and every link within a page.
func (r *Reprise) ReadAll(ctx context.Context) (int, error) {
	n := 0
	for {
		page, err := r.store.Read(ctx, eventstore.Position(n), eventstore.MaxReadPage)
		if err != nil || len(page) == 0 {
			return n, err
		}
		n += len(page)
	}
}

// Close implements Log.
func (r *Reprise) Close() error {
	if r.store == nil {
		return errors.New("the store is not open")
	}
	return r.store.Close()
}
