package service

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"reprise/api"
	"reprise/eventstore"
	"reprise/training"
)

// Feeds of runs at rest outlive their hosting, which must not stay in memory with them.
func TestTheFeedOfARunAtRestLetsGoOfItsHosting(t *testing.T) {
	s := newService(t)
	r, _ := requests(t, 1, 4)
	var runs []string
	for submitted, err := range s.Submit(t.Context(), r) {
		if err != nil || submitted.Error != nil {
			t.Fatal(err, submitted.Error)
		}
		runs = append(runs, string(submitted.RunID))
	}
	for range 2 { // the second time from the feed of a run at rest
		ended := false
		for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
			if err != nil {
				t.Fatal(err)
			}
			ended = ended || u.End != nil
		}
		if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
			t.Fatal(err)
		}
		f := s.feed(training.RunID(runs[0]))
		if !ended || f == nil || !f.atRest() || s.hostingOf(f) != nil {
			t.Errorf("ended %v, and its feed has a hosting or is gone", ended)
		}
	}
	if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"}); err != nil {
		t.Error(err)
	}
}

// breakable is a store that takes no more events once it is broken.
type breakable struct {
	eventstore.Store
	broken *atomic.Bool
}

func (s breakable) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	if s.broken.Load() {
		return nil, &eventstore.FailedError{Err: syscall.ENOSPC}
	}
	return s.Store.Append(ctx, writes...)
}

// A run that rarely records anything must not keep a log that can record nothing.
func TestALogThatFailsEndsTheHostingOfEveryRun(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(t *testing.T, s *Service, second string) error
	}{
		{"submission", func(t *testing.T, s *Service, _ string) error {
			t.Helper()
			r, _ := requests(t, 1, 4)
			for submitted, err := range s.Submit(t.Context(), r) {
				if err == nil && submitted.Error != nil {
					err = submitted.Error
				}
				return err
			}
			return nil
		}},
		{"job event", func(t *testing.T, s *Service, second string) error {
			t.Helper()
			paused, err := s.Pause(t.Context(), api.PauseRequest{Target: api.Target{Runs: []string{second}}, Cause: "a test"})
			if err == nil && paused.Runs[0].Error != nil {
				err = paused.Runs[0].Error
			}
			return err
		}},
		{"event beside the host", func(t *testing.T, s *Service, _ string) error {
			t.Helper()
			return s.withStore(t.Context(), func(store eventstore.Store) error {
				_, err := store.Append(t.Context())
				return err
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			var broken atomic.Bool
			open := s.config.OpenForWriting
			s.config.OpenForWriting = func(path string) (eventstore.Store, error) {
				store, err := open(path)
				return breakable{store, &broken}, err
			}
			r, _ := requests(t, 1_000_000, 4, 8) // the second waits for the device
			for i := range r.Files {             // and neither records anything by itself
				r.Files[i].Content = api.Text(strings.Replace(string(r.Files[i].Content), "epochs:", "checkpoint_interval: 1000000, epochs:", 1))
			}
			var runs []string
			for submitted, err := range s.Submit(t.Context(), r) {
				if err != nil || submitted.Error != nil {
					t.Fatal(err, submitted.Error)
				}
				runs = append(runs, string(submitted.RunID))
			}
			steps := false
			for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs[:1]}) {
				if err != nil {
					t.Fatal(err)
				}
				if steps = u.Steps != nil; steps {
					break
				}
			}
			broken.Store(true)
			if err := c.fail(t, s, runs[1]); !steps || err == nil {
				t.Fatalf("trained %v, and what cannot be recorded: %v", steps, err)
			}
			left := map[training.RunID]*api.Error{}
			for u := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) { // it may end with what closed the host
				if u.Unfinished != nil {
					left[u.RunID] = u.Unfinished
				}
			}
			for _, id := range runs {
				if e := left[training.RunID(id)]; e == nil || !strings.Contains(e.Message, "no space left on device") || e.Remedy != "free some space" {
					t.Errorf("run %s was left with %+v", id, e)
				}
			}
			if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
				t.Error(err)
			}
			if _, err := s.RebuildProjections(AsGuest(t.Context()), api.RebuildRequest{}); api.ErrorOf(err) == nil || api.ErrorOf(err).Code != api.ProcessEnding {
				t.Errorf("a guest was told %v", err)
			}
			broken.Store(false) // a data directory that was let go can be opened again
			if _, err := s.Cancel(t.Context(), api.CancelRequest{Target: api.Target{Runs: runs[1:]}, Cause: "a test"}); err != nil {
				t.Error(err)
			}
			report, err := s.Run(t.Context(), api.RunRequest{Run: runs[0]})
			if err != nil || report.Details.State != training.Interrupted {
				t.Errorf("the run is %v, %v", report.Details.State, err)
			}
		})
	}
}

// A guest that has the data directory held, and submits its run only then, is not missed.
func TestARunThatJoinsWhileAProcessFinishesIsTold(t *testing.T) {
	s := newService(t)
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	looked := make(chan struct{})
	ctx, interrupt := context.WithCancel(t.Context())
	told, finished := make(chan []training.RunID, 2), make(chan error, 1)
	go func() {
		close(looked)
		finished <- s.Finish(ctx, func(runs []training.RunID) { told <- runs })
	}()
	<-looked
	r, _ := requests(t, 1_000_000, 4, 8) // the second joins the first
	for _, file := range r.Files {
		one := r
		one.Files = []api.RequestFile{file}
		if _, err := submitOne(AsGuest(t.Context()), s, one); err != nil {
			t.Fatal(err)
		}
	}
	s.release(h)
	if runs := <-told; len(runs) == 0 {
		t.Error("it was told of no run")
	}
	interrupt()
	if err := <-finished; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while runs train, it ended with %v", err)
	}
	if len(told) > 0 {
		t.Errorf("it was told again of %v", <-told)
	}
	if err := s.Finish(ctx, func(runs []training.RunID) { t.Errorf("told of %v, though it had been interrupted before", runs) }); err != nil {
		t.Error(err)
	}
}

// A process that is interrupted while nothing trains in it has nothing to say.
func TestAProcessThatIsHeldWithoutARunFinishesQuietly(t *testing.T) {
	s := newService(t)
	h, err := s.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.release(h)
	ctx, interrupt := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() {
		finished <- s.Finish(ctx, func(runs []training.RunID) { t.Errorf("told of %v", runs) })
	}()
	interrupt()
	if err := <-finished; err != nil {
		t.Error(err)
	}
}
