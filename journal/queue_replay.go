package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"reprise/eventstore"
	"reprise/training"
)

// wholeEvery bounds how many events have to be read for one decision: of so many in a
// row, at least one records its decision whole.
const wholeEvery = 256

// QueueReplay follows the queue's events and gives each decision whole. The zero value
// is for the first event.
type QueueReplay struct {
	last *QueueDecided
	hash string // of last; "" for one that is recorded whole and was not hashed yet
}

// Apply returns the decision that the next event records. It shares memory with those
// before, and nobody may change it. After an error, Apply fails until a decision is
// recorded whole.
func (r *QueueReplay) Apply(e QueueEvent) (QueueDecided, error) {
	switch e := e.(type) {
	case QueueDecided:
		r.last, r.hash = &e, ""
	case QueueDecisionChanged:
		if r.last == nil {
			return QueueDecided{}, errors.New("no decision is recorded whole before it")
		}
		hash, err := r.sum()
		if err != nil {
			return QueueDecided{}, err
		}
		now, err := e.apply(r.last, hash)
		if err != nil {
			r.last = nil
			return QueueDecided{}, err
		}
		r.last, r.hash = &now, e.SHA256
	}
	return *r.last, nil
}

// sum returns the hash of the last decision.
func (r *QueueReplay) sum() (string, error) {
	if r.hash == "" {
		_, payload, err := Encode(*r.last)
		if err != nil {
			return "", err
		}
		r.hash = sum("", payload)
	}
	return r.hash, nil
}

// DecisionEvent is a decision and the event that records it.
type DecisionEvent struct {
	Event   eventstore.Event
	Decided QueueDecided
}

// series is a decision that is recorded whole, and those after it that are not.
type series []eventstore.Event

// seriesUntil reads the series that ends with a version.
func seriesUntil(ctx context.Context, store eventstore.Store, end eventstore.Version) (series, error) {
	const page = 64
	var events series
	for end > 0 {
		from := end - min(end, page)
		read, err := store.ReadAggregate(ctx, QueueAggregate, from, int(end-from))
		if err != nil {
			return nil, fmt.Errorf("read the queue's decisions: %w", err)
		}
		if len(read) != int(end-from) {
			return nil, fmt.Errorf("read the queue's decisions: there is no version %d", end)
		}
		for i := len(read) - 1; i >= 0; i-- {
			if read[i].Type == (QueueDecided{}).EventType() {
				return append(slices.Clone(series(read[i:])), events...), nil
			}
		}
		events = append(slices.Clone(series(read)), events...)
		end = from
	}
	return events, nil
}

// walk calls visit with each decision of the series.
func (s series) walk(visit func(DecisionEvent)) error {
	var replay QueueReplay
	for _, e := range s {
		event, err := queueAggregate.Codec.Decode(e)
		if err != nil {
			return err
		}
		d, err := replay.Apply(event)
		if err != nil {
			return fmt.Errorf("event %d of %s: %w", e.Version, e.Aggregate, err)
		}
		visit(DecisionEvent{e, d})
	}
	return nil
}

// names reports whether any event of the series says anything about the run. One that
// is named in no event is in none of its decisions.
func (s series) names(id training.RunID) bool {
	name, err := json.Marshal(id)
	return err != nil || slices.ContainsFunc(s, func(e eventstore.Event) bool { return bytes.Contains(e.Payload, name) })
}

// newestDecision returns the newest decision for which about is true, and the one
// before it; nil where there is none. Those from before the run started are not read.
func newestDecision(ctx context.Context, store eventstore.Store, id training.RunID, about func(*QueueDecided) bool) (found, before *DecisionEvent, err error) {
	end, err := lastVersion(ctx, store, QueueAggregate, 0)
	if err != nil {
		return nil, nil, err
	}
	started, err := store.ReadAggregate(ctx, AggregateOf(id), 0, 1)
	if err != nil {
		return nil, nil, fmt.Errorf("read the start of run %s: %w", id, err)
	}
	for end > 0 {
		s, err := seriesUntil(ctx, store, end)
		if err != nil {
			return nil, nil, err
		}
		if found == nil && len(started) > 0 && s[len(s)-1].Position < started[0].Position {
			break
		}
		if found != nil || s.names(id) {
			var last *DecisionEvent
			first := found == nil
			if err := s.walk(func(d DecisionEvent) {
				if first && about(&d.Decided) {
					found, before = &d, last
				}
				last = &d
			}); err != nil {
				return nil, nil, err
			}
			switch {
			case !first:
				return found, last, nil
			case before != nil:
				return found, before, nil
			}
		}
		end = s[0].Version - 1
	}
	return found, nil, nil
}
