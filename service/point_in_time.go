package service

import (
	"context"
	"fmt"
	"time"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
)

// resolve returns the position of the last event at a point in time, and the end of
// the log. It fails with the field "at" for one that the log has not reached, and for
// a time before its first event.
func resolve(
	ctx context.Context, store eventstore.Store, p api.PointInTime, now time.Time,
) (at eventstore.Position, end eventstore.Head, err error) {
	refused := func(problem, fix string) error {
		return &fault.FieldError{Field: "at", Value: p.String(), Problem: problem, Fix: fix}
	}
	if end, err = store.Head(ctx); err != nil || p.IsZero() {
		return end.Position, end, err
	}
	if position, ok := p.Position(); ok {
		if position > end.Position {
			return 0, end, refused("is after the end of the log", fmt.Sprintf("the log ends at position %d; use that or an earlier one", end.Position))
		}
		return position, end, nil
	}
	t := p.Time(now)
	if t.After(now) {
		return 0, end, refused("is in the future", fmt.Sprintf("it is %s now; use an earlier time, or leave it out", now.UTC().Format(time.RFC3339)))
	}
	if at, err = store.LastAt(ctx, t); err != nil || at > 0 {
		return min(at, end.Position), end, err
	}
	first, err := store.Read(ctx, 0, 1)
	switch {
	case err != nil:
		return 0, end, err
	case len(first) == 0:
		return 0, end, refused("is before the first event", "the log has no events yet; leave it out")
	}
	return 0, end, refused("is before the first event, of "+first[0].Time.Format(time.RFC3339Nano),
		"use that time or a later one, or position 0")
}
