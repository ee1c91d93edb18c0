package service

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"reprise/api"
	"reprise/fault"
)

func TestAStreamGivesItemsAndThenTheError(t *testing.T) {
	damaged := fault.New(fault.Corrupt, "damaged")
	var got []int
	var last error
	for item, err := range streamOf(t.Context(), func(_ context.Context, send func(int) error) error {
		return errors.Join(send(1), send(2), damaged)
	}) {
		if err == nil {
			got = append(got, item)
		}
		last = err
	}
	var e *api.Error
	if !slices.Equal(got, []int{1, 2}) || !errors.As(last, &e) || e.Fault != fault.Corrupt || e.Message != "damaged" {
		t.Errorf("%v, %v", got, last)
	}
}

func TestAStreamThatIsBrokenOffEndsItsWork(t *testing.T) {
	ended := false
	for item, err := range streamOf(t.Context(), func(ctx context.Context, send func(int) error) error {
		if err := send(1); !errors.Is(err, context.Canceled) || ctx.Err() == nil {
			t.Errorf("sending to nobody: %v, %v", err, ctx.Err())
		}
		if err := send(2); err == nil {
			t.Error("sending again succeeded")
		}
		ended = true
		return errors.New("dropped")
	}) {
		if item != 1 || err != nil {
			t.Errorf("%d, %v", item, err)
		}
		break
	}
	if !ended {
		t.Error("the work did not end")
	}
}

func TestProgressIsToldAtOnceAndThenNowAndThen(t *testing.T) {
	now := noon
	p := pace{now: func() time.Time { return now }}
	var told []time.Duration
	for range 12 {
		if p.due() {
			told = append(told, now.Sub(noon))
		}
		now = now.Add(20 * time.Millisecond)
	}
	if want := []time.Duration{0, 60 * time.Millisecond, 120 * time.Millisecond, 180 * time.Millisecond}; !slices.Equal(told, want) {
		t.Errorf("told after %v, want %v", told, want)
	}
}
