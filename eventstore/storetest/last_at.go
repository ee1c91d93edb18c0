package storetest

import (
	"fmt"
	"testing"
	"time"

	"reprise/eventstore"
)

// lastAt covers events around whole seconds and before 1970, and a clock that was
// set back.
func lastAt(t *testing.T, s eventstore.Store) {
	at := func(seconds, nanoseconds int64) time.Time { return time.Unix(seconds, nanoseconds).UTC() }
	find := func(moment time.Time, want eventstore.Position) {
		t.Helper()
		if got, err := s.LastAt(t.Context(), moment); err != nil || got != want {
			t.Errorf("the last event at %s is %d, %v; want %d", moment, got, err, want)
		}
	}
	find(at(100, 0), 0)
	times := []time.Time{at(-2, 5), at(-1, 999_999_999), at(0, 0), at(100, 5), at(300, 0), at(200, 0), at(200, 1), at(400, 0)}
	for i, moment := range times {
		e := Event(fmt.Sprint(i))
		e.Time = moment
		if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e}}); err != nil {
			t.Fatal(err)
		}
	}
	find(at(-2, 4), 0)
	find(at(-2, 5), 1)
	find(at(-1, 0), 1)
	find(at(0, 0), 3)
	find(at(100, 4), 3)
	find(at(100, 5).In(time.FixedZone("elsewhere", 3600)), 4)
	find(at(199, 999_999_999), 4)
	find(at(200, 0), 6)
	find(at(300, 0), 7) // the clock was set back after event 5
	find(at(399, 0), 7)
	find(at(1<<50, 0), 8)
}
