package api

import (
	"fmt"
	"strconv"
	"time"

	"reprise/eventstore"
)

// PointInTime is a position of the log, a time, or how long ago. The zero value is now.
// As text it is "57", "2026-11-24T15:04:05Z" (RFC 3339) or "15m0s".
type PointInTime struct {
	form     pointInTimeForm
	position eventstore.Position
	time     time.Time
	ago      time.Duration
}

type pointInTimeForm uint8

const (
	formNow pointInTimeForm = iota
	formPosition
	formTime
	formAgo
)

// AtPosition is the point in time just after the event at a position; 0 is before the
// first.
func AtPosition(p eventstore.Position) PointInTime {
	return PointInTime{form: formPosition, position: p}
}

// AtTime is a time.
func AtTime(t time.Time) PointInTime { return PointInTime{form: formTime, time: t} }

// Ago is some time before now.
func Ago(d time.Duration) PointInTime { return PointInTime{form: formAgo, ago: d} }

// ParsePointInTime reads the text of a point in time; "" is now.
func ParsePointInTime(text string) (PointInTime, error) {
	if text == "" {
		return PointInTime{}, nil
	}
	if p, err := strconv.ParseUint(text, 10, 64); err == nil {
		return AtPosition(eventstore.Position(p)), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return AtTime(t), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return Ago(d), nil
	}
	return PointInTime{}, fmt.Errorf("%q is not a point in time; use a position of the log such as 57, "+
		"a time such as 2026-11-24T15:04:05Z, or how long ago, such as 15m", text)
}

// IsZero reports whether the point in time is now.
func (p PointInTime) IsZero() bool { return p.form == formNow }

// Position returns the position, if the point in time is one.
func (p PointInTime) Position() (eventstore.Position, bool) {
	return p.position, p.form == formPosition
}

// Time returns the time that it is at a given present.
func (p PointInTime) Time(present time.Time) time.Time {
	switch p.form {
	case formTime:
		return p.time
	case formAgo:
		return present.Add(-p.ago)
	case formNow, formPosition:
	}
	return present
}

// String returns the text.
func (p PointInTime) String() string {
	switch p.form {
	case formPosition:
		return strconv.FormatUint(uint64(p.position), 10)
	case formTime:
		return p.time.Format(time.RFC3339Nano)
	case formAgo:
		return p.ago.String()
	case formNow:
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (p PointInTime) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PointInTime) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePointInTime(string(text))
	return err
}
