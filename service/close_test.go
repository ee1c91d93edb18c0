package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"reprise/api"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/fault"
	"reprise/internal/flock"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// submitOne submits a request and returns its run.
func submitOne(ctx context.Context, s *Service, r api.SubmitRequest) (string, error) {
	for submitted, err := range s.Submit(ctx, r) {
		if err == nil && submitted.Error != nil {
			err = submitted.Error
		}
		return string(submitted.RunID), err
	}
	return "", errors.New("nothing was submitted")
}

// trained returns a run that has completed.
func trained(t *testing.T, s *Service) string {
	t.Helper()
	r, _ := requests(t, 1, 4)
	run, err := submitOne(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
		if err != nil || u.End != nil && u.End.Details.State != training.Completed {
			t.Fatal(u.End, err)
		}
	}
	return run
}

// drain reads a stream to its end and returns its error.
func drain[T any](stream func(yield func(T, error) bool)) (last error) {
	for _, err := range stream {
		last = err
	}
	return last
}

// A service can be closed at any moment of its other calls: they end as the process does,
// or go on if they only read, and what they leave is whole.
func TestAServiceIsClosedWhileOtherCallsAreInProgress(t *testing.T) {
	for round := range 4 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { closesAmidCalls(t, round) })
	}
}

func closesAmidCalls(t *testing.T, round int) {
	s := newService(t)
	var open atomic.Int64 // devices
	openDevices := s.config.OpenDevices
	s.config.OpenDevices = func() ([]device.Driver, func() error, error) {
		if isDone(s.closing) {
			t.Error("devices are opened although the service is closing")
		}
		open.Add(1)
		drivers, shut, err := openDevices()
		return drivers, func() error {
			open.Add(-1)
			return shut()
		}, err
	}
	old := trained(t, s)
	r, _ := requests(t, 100_000, 4)
	ctx := context.WithoutCancel(t.Context())
	calls := map[string]func() error{
		"submit": func() error { _, err := submitOne(ctx, s, r); return err },
		"follow": func() error {
			run, err := submitOne(ctx, s, r)
			if err != nil {
				return err
			}
			return drain(s.Follow(ctx, api.FollowRequest{Runs: []string{run}}))
		},
		"cancel": func() error {
			_, err := s.Cancel(ctx, api.CancelRequest{Target: api.Target{All: true}, Cause: "a test"})
			return err
		},
		"resume": func() error { return drain(s.Resume(ctx, api.ResumeRequest{Target: api.Target{All: true}})) },
		"verify": func() error { return drain(s.Verify(ctx, api.VerifyRequest{Run: old})) },
		"validate": func() error {
			_, err := s.Validate(ctx, api.ValidateRequest{File: r.Files[0], Folder: r.Folder})
			return err
		},
		"devices": func() error { _, err := s.Devices(ctx, api.DevicesRequest{}); return err },
		"rebuild": func() error { _, err := s.RebuildProjections(ctx, api.RebuildRequest{}); return err },
		"guest":   func() error { _, err := submitOne(AsGuest(ctx), s, r); return err },
	}
	var running sync.WaitGroup
	begun := make(chan struct{}, 1000)
	for name, call := range calls {
		running.Add(1)
		go func() {
			defer running.Done()
			for {
				select {
				case begun <- struct{}{}:
				default:
				}
				err := call()
				switch fault.KindOf(err) {
				case fault.Unavailable, fault.Conflict, fault.NotFound: // as of a run that has ended meanwhile
				default:
					if err != nil {
						t.Errorf("%s: %v (%v)", name, err, fault.KindOf(err))
					}
				}
				if isDone(s.closing) {
					return
				}
			}
		}()
	}
	for range len(calls) * (round + 1) { // at another moment each time
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	running.Wait()
	if n := open.Load(); n != 0 {
		t.Errorf("devices are open %d times", n)
	}
	if held, holder, err := flock.Probe(s.workspace.LockPath()); held || err != nil {
		t.Errorf("the data directory is held: %v by %+v, %v", held, holder, err)
	}
	var ending *api.Error
	if _, err := submitOne(ctx, s, r); !errors.As(err, &ending) || ending.Code != api.ProcessEnding {
		t.Errorf("a run is submitted to a closed service: %v", err)
	}
	if _, err := s.Runs(ctx, api.RunsRequest{}); err != nil { // it only reads
		t.Error(err)
	}
	store, err := sqlite.Open(s.workspace.EventsPath(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := journal.VerifyLog(ctx, store); err != nil {
		t.Error(err)
	}
	state, err := journal.StateAt(ctx, store, eventstore.End)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range state.Devices {
		if leases := d.Ledger.Leases(); len(leases) > 0 {
			t.Errorf("device %s is still held: %v", d.ID, leases)
		}
	}
}

// A signal may come before the first submission: what is submitted later, such as by other
// processes, takes no device either.
func TestNothingIsPlacedAfterStopPlacing(t *testing.T) {
	s := newService(t)
	s.StopPlacing()
	for range 10 { // in the time of which the first one would have begun
		r, _ := requests(t, 100_000, 4)
		run, err := submitOne(t.Context(), s, r)
		if err != nil {
			t.Fatal(err)
		}
		prepared := false
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
			if err != nil {
				t.Fatal(err)
			}
			if prepared = u.Job != nil && u.Job.Type == (queue.JobPrepared{}).EventType(); prepared {
				break
			}
		}
		if !prepared {
			t.Fatal("the run came to rest before it was prepared")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.OpenReadOnly(s.workspace.EventsPath())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Type == (queue.JobPlaced{}).EventType() {
			t.Errorf("%s was placed", e.Aggregate)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
