package main

import (
	"strings"
	"testing"
	"time"

	"reprise/api"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	afterTen = noon.Add(-2 * time.Hour)
)

func TestAPointInTimeIsAPositionATimeOrAnAge(t *testing.T) {
	local := func(year int, month time.Month, day, hour, minute int) api.PointInTime {
		return api.AtTime(time.Date(year, month, day, hour, minute, 0, 0, time.Local))
	}
	// An event is printed to the second and found by what is printed.
	late := afterTen.Add(700 * time.Millisecond)
	for text, want := range map[string]api.PointInTime{
		"0": api.AtPosition(0), "57": api.AtPosition(57), "1,234": api.AtPosition(1234),
		"0s": api.Ago(0), "1h30m": api.Ago(90 * time.Minute),
		"2026-11-24": local(2026, 11, 24, 0, 0), "2026-11-24 15:04": local(2026, 11, 24, 15, 4), "2026-11-24T15:04:00": local(2026, 11, 24, 15, 4),
		localTime(late): api.AtTime(afterTen.Local().Add(time.Second - 1)),
	} {
		var m pointInTime
		if err := m.Set(text); err != nil || m.PointInTime != want || !m.given() || m.String() != text {
			t.Errorf("%q is %v, %v; want %v", text, m.PointInTime, err, want)
		}
	}
	var m pointInTime
	if err := m.Set("2026-11-24T12:00:00+01:00"); err != nil || !m.Time(noon).Equal(noon.Add(-time.Hour)) {
		t.Errorf("a time with its zone is %v, %v", m.Time(noon), err)
	}
	for _, text := range []string{"", "x", "-1", "-15m", "2d", "2026-11", "15:04"} {
		if err := m.Set(text); err == nil || !strings.Contains(err.Error(), "use a position such as") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
