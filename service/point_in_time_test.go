package service

import (
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/fault"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	afterTen = noon.Add(-2 * time.Hour)
)

// threeEvents are of 10:00, 11:00 and 11:30.
func threeEvents(t *testing.T) eventstore.Store {
	t.Helper()
	store := memory.New()
	for _, at := range []time.Time{afterTen, noon.Add(-time.Hour), noon.Add(-30 * time.Minute)} {
		if _, err := store.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{
			{ID: eventstore.EventID(at.String()), Type: "t", Time: at},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func parsed(t *testing.T, text string) api.PointInTime {
	t.Helper()
	p, err := api.ParsePointInTime(text)
	if err != nil {
		t.Error(err)
	}
	return p
}

func TestAPointInTimeIsThePositionOfTheLastEventThen(t *testing.T) {
	store := threeEvents(t)
	for text, want := range map[string]eventstore.Position{
		"": 3, "0": 0, "2": 2, "3": 3,
		"2026-11-24T10:00:00Z": 1, "2026-11-24T10:59:59.999Z": 1, "2026-11-24T12:00:00+01:00": 2, "2026-11-24T12:00:00Z": 3,
		"0s": 3, "29m": 3, "30m": 3, "31m": 2, "1h30m": 1, "2h": 1,
	} {
		if at, end, err := resolve(t.Context(), store, parsed(t, text), noon); err != nil || at != want || end.Position != 3 {
			t.Errorf("%q is at %d of %d, %v; want %d", text, at, end.Position, err, want)
		}
	}
}

func TestAPointInTimeOutsideTheLogIsRefused(t *testing.T) {
	store := threeEvents(t)
	for text, want := range map[string]string{
		"4":                    "at: 4 is after the end of the log; the log ends at position 3; use that",
		"2026-11-24T12:00:01Z": "at: 2026-11-24T12:00:01Z is in the future; it is 2026-11-24T12:00:00Z now; use an earlier time",
		"2026-11-24T09:59:59Z": "at: 2026-11-24T09:59:59Z is before the first event, of 2026-11-24T10:00:00Z; use that time or a later one",
		"0001-01-01T00:00:00Z": "is before the first event",
		"121m":                 "at: 2h1m0s is before the first event, of 2026-11-24T10:00:00Z",
	} {
		_, _, err := resolve(t.Context(), store, parsed(t, text), noon)
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, _, err := resolve(t.Context(), memory.New(), parsed(t, "15m"), noon); err == nil ||
		!strings.Contains(err.Error(), "the log has no events yet; leave it out") {
		t.Errorf("of an empty log: %v", err)
	}
}
