package service

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reprise/api"
	"reprise/device"
	"reprise/fault"
	"reprise/integration"
)

// lessorHost is a host that answers requests for a lease with what answer yields.
type lessorHost struct {
	api.Service
	answer func(ctx context.Context, yield func(api.LeaseUpdate, error) bool)
}

func (h lessorHost) Lease(ctx context.Context, _ api.LeaseRequest) iter.Seq2[api.LeaseUpdate, error] {
	return func(yield func(api.LeaseUpdate, error) bool) { h.answer(ctx, yield) }
}

func fails(err error) func(context.Context, func(api.LeaseUpdate, error) bool) {
	return func(_ context.Context, yield func(api.LeaseUpdate, error) bool) { yield(api.LeaseUpdate{}, err) }
}

// Reading waits for a host only as long as it says something, and fails only where no
// device could ever do the work.
func TestAHostThatCannotBeAskedDoesNotKeepAnybodyFromReading(t *testing.T) {
	noDevice := &api.Error{Fault: fault.Invalid, Code: api.NoDevice, Message: "no suitable device"}
	for name, c := range map[string]struct {
		answer  func(context.Context, func(api.LeaseUpdate, error) bool)
		warning string
		want    error
		took    time.Duration
		granted bool
	}{
		"says nothing": {
			answer:  func(ctx context.Context, _ func(api.LeaseUpdate, error) bool) { <-ctx.Done() },
			warning: "has not answered for 5s", took: leasePatience,
		},
		"says nothing more": {
			answer: func(ctx context.Context, yield func(api.LeaseUpdate, error) bool) {
				yield(api.LeaseUpdate{Waiting: "busy"}, nil)
				<-ctx.Done()
			},
			warning: "has not answered for 5s", took: leasePatience,
		},
		"says for a long time that it is busy": {
			answer: func(ctx context.Context, yield func(api.LeaseUpdate, error) bool) {
				for range 3600 {
					yield(api.LeaseUpdate{Waiting: "busy"}, nil)
					time.Sleep(api.LeaseInterval) // in the bubble's time
				}
				yield(api.LeaseUpdate{Granted: &device.Lease{}}, nil)
				<-ctx.Done()
			},
			took: 3600 * api.LeaseInterval, granted: true,
		},
		"is of an older version": {
			answer:  fails(&api.Error{Fault: fault.NotFound, Code: api.UnknownOperation, Message: "this version has no such operation"}),
			warning: "this version has no such operation",
		},
		"is of a newer version": {
			answer:  fails(&api.Error{Fault: fault.Invalid, Message: "the request is not one of this operation"}),
			warning: "not one of this operation",
		},
		"ends":              {answer: fails(integration.ErrDevicesClosed)},
		"is gone":           {answer: fails(&api.Error{Fault: fault.Unavailable, Code: api.Unreachable})},
		"trains no more":    {answer: fails(&api.Error{Fault: fault.Unavailable, Code: api.NoActors})},
		"cuts off the call": {answer: func(context.Context, func(api.LeaseUpdate, error) bool) {}},
		"has no such device": {
			answer: fails(noDevice), want: noDevice,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			closed := 0
			s := &Service{config: Config{Holder: func() (api.Service, func() error) {
				return lessorHost{answer: c.answer}, func() error { closed++; return nil }
			}}}
			var warnings, waits []string
			ctx := api.WithNotices(t.Context(), func(n api.Notice) { warnings = append(warnings, n.Warning) })
			began := time.Now()
			release, err := s.askHost(ctx, integration.LeaseRequest{
				Kind: device.HolderVerification, Run: "r", Waiting: func(why string) { waits = append(waits, why) },
			})
			if took := time.Since(began); took != c.took || !errors.Is(err, c.want) || (release != nil) != c.granted || len(waits) > 1 {
				t.Errorf("a host that %s: %v after %v, granted %v, waits %q", name, err, took, release != nil, waits)
			}
			if said := strings.Join(warnings, "\n"); (said == "") != (c.warning == "") || !strings.Contains(said, c.warning) {
				t.Errorf("a host that %s: warned %q", name, said)
			}
			if release != nil {
				release()
			}
			if closed != 1 {
				t.Errorf("a host that %s: its connection was closed %d times", name, closed)
			}
		})
	}
}

func TestAWaitForAHostEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	s := &Service{config: Config{Holder: func() (api.Service, func() error) {
		return lessorHost{answer: func(ctx context.Context, yield func(api.LeaseUpdate, error) bool) {
			yield(api.LeaseUpdate{Waiting: "busy"}, nil)
			<-ctx.Done()
			ended = true
		}}, func() error { return nil }
	}}}
	release, err := s.askHost(ctx, integration.LeaseRequest{Kind: device.HolderGeneration, Run: "r", Waiting: func(string) { cancel() }})
	if release != nil || !errors.Is(err, context.Canceled) || !ended {
		t.Errorf("%v, the call has ended: %v", err, ended)
	}
}
