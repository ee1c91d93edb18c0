package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reprise/eventstore"
	"reprise/fault"
)

// pointInTimeForm says in which form a point in time was given.
type pointInTimeForm int

const (
	unspecified pointInTimeForm = iota
	atPosition
	atTime
	atAgo
)

// pointInTime is given by --at: a position of the log, a time or
// how long ago; the zero value is now.
type pointInTime struct {
	text     string // as it was given
	form     pointInTimeForm
	position eventstore.Position
	time     time.Time
	ago      time.Duration
}

// given reports whether the flag was.
func (m *pointInTime) given() bool { return m.form != unspecified }

// String implements pflag.Value.
func (m *pointInTime) String() string { return m.text }

// Type implements pflag.Value.
func (m *pointInTime) Type() string { return "POSITION|TIME|AGO" }

// Set implements pflag.Value.
func (m *pointInTime) Set(text string) error {
	m.text = text
	if v, err := parseCount(text); err == nil {
		m.form, m.position = atPosition, eventstore.Position(v)
		return nil
	}
	if t, err := parseTime(text); err == nil {
		m.form, m.time = atTime, t
		return nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		m.form, m.ago = atAgo, ago
		return nil
	}
	return fmt.Errorf("%q is not a point in time; use a position such as 57 (`reprise events tail` lists them), "+
		"a time as tables show it, such as \"2026-11-24 15:04:05\", or 2026-11-24 or 2026-11-24T15:04:05Z, or how long ago, such as 15m or 36h", text)
}

// parseTime reads a time of RFC 3339, or one in local time as tables print it, to
// the second, the minute or the day, which stands for its beginning. A second that
// is printed has its fraction cut off; it stands for all of it.
func parseTime(text string) (time.Time, error) {
	if t, err := time.ParseInLocation(tableTime, text, time.Local); err == nil {
		if t.Nanosecond() == 0 {
			t = t.Add(time.Second - 1)
		}
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339, text)
}

// addPointInTime adds the --at flag of the commands that travel in time.
func addPointInTime(c *cobra.Command, m *pointInTime) {
	c.Flags().Var(m, "at",
		"as of a `MOMENT`: a position of the log, a time such as \"2026-11-24 15:04:05\" or 2026-11-24T15:04:05Z, or how long ago, such as 15m (default: now)")
}

// resolve returns the position of the event at the moment, and the end of the
// log. It fails for a moment that the log has not reached, and for a time before
// its first event.
func (m *pointInTime) resolve(
	ctx context.Context, store eventstore.Store, now time.Time,
) (at eventstore.Position, end eventstore.Head, err error) {
	if end, err = store.Head(ctx); err != nil || !m.given() {
		return end.Position, end, err
	}
	if m.form == atPosition {
		if m.position > end.Position {
			return 0, end, m.refused("the log ends at position %d; use that or an earlier one", end.Position)
		}
		return m.position, end, nil
	}
	t := m.time
	if m.form == atAgo {
		t = now.Add(-m.ago)
	}
	if t.After(now) {
		return 0, end, m.refused("is in the future: it is %s now; use an earlier time, or leave --at out", now.UTC().Format(time.RFC3339))
	}
	if at, err = store.LastAt(ctx, t); err != nil || at > 0 {
		return min(at, end.Position), end, err
	}
	first, err := store.Read(ctx, 0, 1)
	switch {
	case err != nil:
		return 0, end, err
	case len(first) == 0:
		return 0, end, m.refused("the log has no events yet; leave --at out")
	}
	return 0, end, m.refused("is before the first event, of %s; use that time or a later one, or --at 0",
		first[0].Time.Format(time.RFC3339Nano))
}

// refused returns the error for a moment that nothing is known of.
func (m *pointInTime) refused(format string, values ...any) error {
	return invalid(fmt.Errorf("--at %s: %s", m.text, fmt.Sprintf(format, values...)))
}

// named makes an error about the moment quote it as it was given.
func (m *pointInTime) named(err error) error {
	var field *fault.FieldError
	if errors.As(err, &field) && field.Field == "--at" {
		field.Value = m.text
	}
	return err
}
