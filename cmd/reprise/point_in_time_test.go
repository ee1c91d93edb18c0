package main

import (
	"errors"
	"strings"
	"testing"
	"time"

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

func TestAPointInTimeIsAPositionATimeOrAnAge(t *testing.T) {
	store := threeEvents(t)
	for text, want := range map[string]eventstore.Position{
		"": 3, "0": 0, "2": 2, "3": 3,
		"2026-11-24T10:00:00Z": 1, "2026-11-24T10:59:59.999Z": 1, "2026-11-24T12:00:00+01:00": 2, "2026-11-24T12:00:00Z": 3,
		"0s": 3, "29m": 3, "30m": 3, "31m": 2, "1h30m": 1, "2h": 1,
	} {
		var m pointInTime
		if text != "" {
			if err := m.Set(text); err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
		}
		if at, end, err := m.resolve(t.Context(), store, noon); err != nil || at != want || end.Position != 3 {
			t.Errorf("%q is at %d of %d, %v; want %d", text, at, end.Position, err, want)
		}
	}
}

func TestAPointInTimeOutsideTheLogIsRefused(t *testing.T) {
	store := threeEvents(t)
	for text, want := range map[string]string{
		"4":                    "--at 4: the log ends at position 3; use that",
		"2026-11-24T12:00:01Z": "--at 2026-11-24T12:00:01Z: is in the future: it is 2026-11-24T12:00:00Z now; use an earlier time",
		"2026-11-24T09:59:59Z": "--at 2026-11-24T09:59:59Z: is before the first event, of 2026-11-24T10:00:00Z; use that time or a later one",
		"0001-01-01T00:00:00Z": "is before the first event",
		"121m":                 "--at 121m: is before the first event, of 2026-11-24T10:00:00Z",
	} {
		var m pointInTime
		if err := m.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, _, err := m.resolve(t.Context(), store, noon); err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitInvalid {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	var m pointInTime
	if err := m.Set("15m"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.resolve(t.Context(), memory.New(), noon); err == nil ||
		!strings.Contains(err.Error(), "the log has no events yet; leave --at out") {
		t.Errorf("of an empty log: %v", err)
	}
	for _, text := range []string{"", "x", "-1", "-15m", "2d", "2026-11", "15:04"} {
		if err := m.Set(text); err == nil || !strings.Contains(err.Error(), "use a position such as") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAnErrorAboutAPointInTimeQuotesTheFlag(t *testing.T) {
	var m pointInTime
	if err := m.Set("15m"); err != nil {
		t.Fatal(err)
	}
	other := errors.New("other")
	if err := m.named(other); !errors.Is(err, other) {
		t.Error(err)
	}
	err := m.named(&fault.FieldError{Field: "--at", Value: "57", Problem: "is before", Fix: "do"})
	if err == nil || err.Error() != "--at: 15m is before; do" {
		t.Error(err)
	}
}

func TestATimeIsReadAsTablesPrintIt(t *testing.T) {
	store := threeEvents(t)
	day := time.Date(afterTen.Local().Year(), afterTen.Local().Month(), afterTen.Local().Day()+1, 0, 0, 0, 0, time.Local)
	for text, want := range map[string]eventstore.Position{
		localTime(afterTen): 1, localTime(noon.Add(-31 * time.Minute)): 2, localTime(noon.Add(-30 * time.Minute)): 3,
		afterTen.Local().Format("2006-01-02 15:04"): 1, afterTen.Local().Format("2006-01-02T15:04:05"): 1, day.Format(time.DateOnly): 3,
	} {
		var m pointInTime
		if err := m.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if at, _, err := m.resolve(t.Context(), store, noon.Add(48*time.Hour)); err != nil || at != want {
			t.Errorf("%q is at %d, %v; want %d", text, at, err, want)
		}
	}
	// An event is printed to the second and found by what is printed.
	late := afterTen.Add(700 * time.Millisecond)
	var m pointInTime
	if err := m.Set(localTime(late)); err != nil || m.time.Before(late) {
		t.Errorf("%v, %v", m.time, err)
	}
}
