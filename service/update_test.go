package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"reprise/api"
	"reprise/fault"
)

// clock is a clock that goes on by a second whenever it is read.
func clock() func() time.Time {
	now := noon
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func TestTheResultComesAfterTheProgress(t *testing.T) {
	var got []api.Update[string]
	for u, err := range updates(t.Context(), clock(), func(_ context.Context, progress func(done, of uint64)) (string, error) {
		progress(1, 3)
		progress(2, 3)
		return "done", nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, u)
	}
	if len(got) != 3 || got[0].Done != 1 || got[1].Done != 2 || got[1].Result != nil || got[2].Result == nil || *got[2].Result != "done" || got[2].Of != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWorkThatNobodyWaitsForEnds(t *testing.T) {
	ended := false
	for range updates(t.Context(), clock(), func(ctx context.Context, progress func(done, of uint64)) (string, error) {
		progress(1, 3)
		ended = ctx.Err() != nil
		progress(2, 3)
		return "dropped", nil
	}) {
		break
	}
	if !ended {
		t.Error("the context of the work did not end")
	}
}

func TestWorkThatFailsHasNoResult(t *testing.T) {
	for u, err := range updates(t.Context(), clock(), func(context.Context, func(done, of uint64)) (string, error) {
		return "half", fault.New(fault.Exhausted, "the disk is full")
	}) {
		var e *api.Error
		if !errors.As(err, &e) || e.Fault != fault.Exhausted || u.Result != nil {
			t.Errorf("%+v, %v", u, err)
		}
	}
}
