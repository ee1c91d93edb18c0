package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"reprise/api"
	"reprise/internal/figures"
	"reprise/training"
)

// A run does not end because nobody reads what is said about it.
func TestASlowFollowerMissesTheOldestAndNoEnd(t *testing.T) {
	const bound, events = 16, 1000
	to := newFollower(bound)
	f := newFeed(nil, "r", &api.RunReport{})
	f.attach(to)
	for i := range events {
		f.publish(api.RunUpdate{RunID: "r", Event: &api.RunEvent{Type: fmt.Sprint(i)}})
		if n := len(to.pending); n > bound {
			t.Fatalf("%d updates wait", n)
		}
	}
	f.publish(api.RunUpdate{RunID: "r", End: &api.RunReport{}})
	list, err := to.next(t.Context(), func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Begin == nil || list[len(list)-1].End == nil {
		t.Errorf("it misses the beginning or the end: %+v", list)
	}
	dropped := list[0].Dropped
	for i, u := range list[1 : len(list)-1] {
		if want := fmt.Sprint(dropped + i); u.Event.Type != want || u.Dropped != 0 {
			t.Errorf("update %d is %+v, want event %s", i, u, want)
		}
	}
	if dropped == 0 || dropped+len(list)-2 != events {
		t.Errorf("%d of %d updates are left, and %d were dropped", len(list), events, dropped)
	}
}

// Runs that take turns do not fill the follower with their steps.
func TestStepsThatWaitBecomeOneForEachRun(t *testing.T) {
	to := newFollower(maxPending)
	for i := range uint64(10) {
		for _, run := range []training.RunID{"a", "b"} {
			to.push(api.RunUpdate{RunID: run, Steps: &api.StepsTaken{Step: i + 1, Count: 1, Loss: float64(i), EpochDone: i == 4}})
			if i == 6 && run == "b" {
				to.push(api.RunUpdate{RunID: run, Event: &api.RunEvent{Type: "an event"}})
			}
		}
	}
	var got []string
	for _, u := range to.take() {
		if u.Steps == nil {
			got = append(got, string(u.RunID)+" event")
			continue
		}
		got = append(got, fmt.Sprint(u.RunID, u.Steps.Step, u.Steps.Count, u.Steps.Loss, u.Steps.EpochDone))
	}
	if want := fmt.Sprint([]string{"a10 10 4.5 true", "b7 7 3 true", "b event", "b10 3 8 false"}); fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	if to.push(api.RunUpdate{RunID: "a", Steps: &api.StepsTaken{Step: 11, Count: 1}}); len(to.take()) != 1 {
		t.Error("steps after what was taken are lost")
	}
}

func TestNothingIsToldAfterTheEndOfARun(t *testing.T) {
	to := newFollower(maxPending)
	f := newFeed(nil, "r", nil)
	f.publish(api.RunUpdate{RunID: "r", End: &api.RunReport{}})
	f.publish(api.RunUpdate{RunID: "r", Event: &api.RunEvent{Type: "late"}})
	f.attach(to)
	if list := to.take(); !f.atRest() || len(list) != 1 || list[0].End == nil {
		t.Errorf("at rest: %v, %+v", f.atRest(), list)
	}
}

func TestTheBoundOfAFollowerIsDocumented(t *testing.T) {
	raw, err := os.ReadFile("../docs/actors.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("| updates that wait for a follower of a run | %s |", figures.Thousands(maxPending)); !strings.Contains(string(raw), row) {
		t.Errorf("docs/actors.md has no row %s", row)
	}
}

// A pause is no end while another run that is followed is under way: what becomes of the
// run then is what its follower is told last.
func TestARunThatWasPausedIsFollowedOn(t *testing.T) {
	s := newService(t)
	const long, short = 1_000_000, 1
	submit := func(epochs int, seeds ...int) (runs []string) {
		r, _ := requests(t, epochs, seeds...)
		for submitted, err := range s.Submit(t.Context(), r) {
			if err != nil || submitted.Error != nil {
				t.Fatal(err, submitted.Error)
			}
			runs = append(runs, string(submitted.RunID))
		}
		return runs
	}
	holds := submit(long, 4)[0]
	others := submit(short, 5, 6)
	resumed, cancelled := others[0], others[1]
	if _, err := s.Pause(t.Context(), api.PauseRequest{Target: api.Target{Runs: others}, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	cancel := func(run string) {
		if _, err := s.Cancel(t.Context(), api.CancelRequest{Target: api.Target{Runs: []string{run}}, Cause: "a test"}); err != nil {
			t.Error(err)
		}
	}
	ends, begins := map[string][]training.State{}, 0
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: append(others, holds)}) {
		if err != nil {
			t.Fatal(err)
		}
		run := string(u.RunID)
		if u.Begin != nil && run == resumed && len(ends[run]) > 0 {
			begins++
		}
		if u.End == nil {
			continue
		}
		ends[run] = append(ends[run], u.End.Details.State)
		if len(ends[resumed]) == 1 && len(ends[cancelled]) == 1 && run != holds { // both are paused
			for submitted, err := range s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{resumed}}}) {
				if err != nil || submitted.Error != nil {
					t.Error(err, submitted.Error)
				}
			}
			cancel(cancelled)
		}
		if run == cancelled && len(ends[cancelled]) == 2 { // it is told while another one trains
			cancel(holds)
		}
	}
	for run, want := range map[string][]training.State{
		holds: {api.Cancelled}, resumed: {api.Paused, training.Completed}, cancelled: {api.Paused, api.Cancelled},
	} {
		if got := ends[run]; !slices.Equal(got, want) {
			t.Errorf("a run ended as %v, want %v", got, want)
		}
	}
	if begins != 1 {
		t.Errorf("the resumed run began %d times", begins)
	}
}

// A run that is resumed after it was found at rest, and before that was told, is not at
// rest: its followers hear of nothing but its real end, and the process keeps hosting it.
func TestARunThatIsResumedAsItComesToRestKeepsItsFollowers(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(s *Service, run string) error
	}{
		{"pause", func(s *Service, run string) error {
			_, err := s.Pause(context.Background(), api.PauseRequest{Target: api.Target{Runs: []string{run}}, Cause: "a test"})
			return err
		}},
		{"interrupt", func(s *Service, run string) error {
			_, err := s.Interrupt(context.Background(), api.InterruptRequest{Runs: []string{run}, Cause: "a test"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			atRest, resumed := make(chan struct{}), make(chan struct{})
			var first sync.Once
			s.hosts.atRest = func(training.RunID) {
				first.Do(func() {
					close(atRest)
					<-resumed
				})
			}
			r, _ := requests(t, 1_000_000, 4)
			run, err := submitOne(t.Context(), s, r)
			if err != nil {
				t.Fatal(err)
			}
			steps, ends, stopped := 0, []training.State{}, make(chan error, 1)
			for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
				if err != nil || u.Unfinished != nil {
					t.Fatal(err, u.Unfinished)
				}
				if u.End != nil {
					ends = append(ends, u.End.Details.State)
				}
				if u.Steps == nil {
					continue
				}
				if steps++; steps == 1 {
					go func() {
						err := c.stop(s, run)
						<-atRest
						err = errors.Join(err, drain(s.Resume(context.Background(), api.ResumeRequest{Target: api.Target{Runs: []string{run}}})))
						close(resumed)
						_, failed := s.Cancel(context.Background(), api.CancelRequest{Target: api.Target{Runs: []string{run}}, Cause: "a test"})
						stopped <- errors.Join(err, failed)
					}()
				}
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if want := []training.State{api.Cancelled}; !slices.Equal(ends, want) {
				t.Errorf("its follower heard of the ends %v, want %v", ends, want)
			}
		})
	}
}
