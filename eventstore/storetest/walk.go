package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"reprise/eventstore"
)

// walk covers a log of more than one page.
func walk(t *testing.T, s eventstore.Store) {
	const events = 2500
	var batch []eventstore.NewEvent
	for i := range events {
		batch = append(batch, Event(fmt.Sprint(i)))
		if len(batch) == eventstore.MaxBatch || i == events-1 {
			if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: batch}); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	stop := errors.New("stop")
	for _, c := range []struct {
		after, last, stopAt eventstore.Position
		first, end          eventstore.Position // those that are taken
	}{
		{after: 0, last: eventstore.End, first: 1, end: events},
		{after: 0, last: events, first: 1, end: events},
		{after: 999, last: 2000, first: 1000, end: 2000},
		{after: events, last: eventstore.End, end: events},
		{after: 20, last: 20, end: 20},
		{after: 20, last: 10, end: 20},
		{after: 1500, last: eventstore.End, stopAt: 1502, first: 1501, end: 1501},
	} {
		var got, want []eventstore.Position
		end, err := eventstore.Walk(t.Context(), s, c.after, c.last, func(e eventstore.Event) error {
			if e.Position == c.stopAt {
				return stop
			}
			got = append(got, e.Position)
			return nil
		})
		for p := c.first; p > 0 && p <= c.end; p++ {
			want = append(want, p)
		}
		if end != c.end || (c.stopAt != 0) != errors.Is(err, stop) || c.stopAt == 0 && err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("after %d up to %d: %d events, at %d, %v; want %d, at %d", c.after, c.last, len(got), end, err, len(want), c.end)
		}
	}
}
