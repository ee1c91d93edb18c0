package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
)

// pointInTime is the value of --at.
type pointInTime struct {
	api.PointInTime
	text string // as it was given
}

// given reports whether the flag was.
func (m *pointInTime) given() bool { return !m.IsZero() }

// argument is the field of a request that the flag sets.
func (m *pointInTime) argument() argument {
	return argument{field: "at", flag: "--at", value: m.text}
}

// String implements pflag.Value.
func (m *pointInTime) String() string { return m.text }

// Type implements pflag.Value.
func (m *pointInTime) Type() string { return "POSITION|TIME|AGO" }

// Set implements pflag.Value. Beside what the service knows it takes times in local
// time, as tables print them.
func (m *pointInTime) Set(text string) error {
	m.text = text
	if v, err := parseCount(text); err == nil {
		m.PointInTime = api.AtPosition(api.Position(v))
		return nil
	}
	if t, ok := parseLocalTime(text); ok {
		m.PointInTime = api.AtTime(t)
		return nil
	}
	if p, err := api.ParsePointInTime(text); err == nil && !p.IsZero() {
		m.PointInTime = p
		return nil
	}
	return fmt.Errorf("%q is not a point in time; use a position such as 57 (`reprise events tail` lists them), "+
		"a time as tables show it, such as \"2026-11-24 15:04:05\", or 2026-11-24 or 2026-11-24T15:04:05Z, or how long ago, such as 15m or 36h", text)
}

// parseLocalTime reads a time in local time as tables print it, to the second, the
// minute or the day, which stands for its beginning. A second that is printed has its
// fraction cut off; it stands for all of it.
func parseLocalTime(text string) (time.Time, bool) {
	if t, err := time.ParseInLocation(tableTime, text, time.Local); err == nil {
		if t.Nanosecond() == 0 {
			t = t.Add(time.Second - 1)
		}
		return t, true
	}
	for _, layout := range []string{"2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// addPointInTime adds the --at flag of the commands that travel in time.
func addPointInTime(c *cobra.Command, m *pointInTime) {
	c.Flags().Var(m, "at",
		"as of a `MOMENT`: a position of the log, a time such as \"2026-11-24 15:04:05\" or 2026-11-24T15:04:05Z, or how long ago, such as 15m (default: now)")
}
