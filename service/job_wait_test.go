package service

import (
	"os"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/queue"
	"reprise/training"
)

// A run that is resumed without its data says that it waits for them, since when, and when
// it tries again, and nothing that was decided before it was interrupted. A run that comes
// after it says so, too.
func TestAResumedRunWithoutItsDataWaitsForThem(t *testing.T) {
	s := newService(t)
	r, table := requests(t, 1_000_000, 4, 5)
	var runs []string
	for submitted, err := range s.Submit(t.Context(), r) {
		if err != nil || submitted.Error != nil {
			t.Fatal(err, submitted.Error)
		}
		runs = append(runs, string(submitted.RunID))
	}
	first, it := runs[0], runs[1]
	untilDecided(t, s, it)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(table); err != nil {
		t.Fatal(err)
	}
	s, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	resume := func(run string) {
		t.Helper()
		if err := drain(s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{run}}})); err != nil {
			t.Fatal(err)
		}
	}
	resume(it)
	var deferred []time.Time
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{it}}) {
		if err != nil || u.End != nil || u.Unfinished != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		if u.Job == nil || u.Job.Type != (queue.JobDeferred{}).EventType() {
			continue
		}
		if deferred = append(deferred, time.Now()); len(deferred) == 2 {
			break
		}
	}
	x, err := s.Explain(t.Context(), api.ExplainRequest{Run: it})
	if err != nil {
		t.Fatal(err)
	}
	if x.State != api.Submitted || x.Recorded || x.Decision != nil {
		t.Errorf("it is %s, with the decision %+v", x.State, x.Decision)
	}
	if c := x.Job.Cause; c == nil || c.Code != queue.CauseData || !strings.Contains(c.Message, table) || x.Data != table {
		t.Errorf("because of %+v, on %q", c, x.Data)
	}
	if x.NextAttempt == nil || !x.NextAttempt.After(deferred[1]) {
		t.Errorf("the next attempt is at %v, after one at %v", x.NextAttempt, deferred[1])
	}
	report, err := s.State(t.Context(), api.StateRequest{})
	if err != nil || len(report.State.Queue) != 1 {
		t.Fatalf("%+v, %v", report.State.Queue, err)
	}
	if q := report.State.Queue[0]; string(q.RunID) != it || q.For != string(api.Submitted) || !q.Since.Before(deferred[0]) {
		t.Errorf("%+v: want it waiting since before %v", q, deferred[0])
	}
	after := x
	after.Job.After = []queue.JobID{queue.JobID(it)}
	log, err := s.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	after.Predecessors = nil
	if err := s.explainPredecessors(t.Context(), log, &after); err != nil || len(after.Predecessors) != 1 {
		t.Fatalf("%+v, %v", after.Predecessors, err)
	}
	if p := after.Predecessors[0]; p.State != api.Submitted || !strings.Contains(p.Problem, table) {
		t.Errorf("of the run that comes first: %+v", p)
	}
	if x, err := s.Explain(t.Context(), api.ExplainRequest{Run: first}); err != nil || x.State != training.Interrupted || x.Decision == nil || x.NextAttempt != nil {
		t.Errorf("of the other run: %+v, %v", x, err)
	}
}

// untilDecided returns once a decision says why a run waits.
func untilDecided(t *testing.T, s *Service, run string) {
	t.Helper()
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}, Others: true}) {
		if err != nil || u.Unfinished != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		if x, err := s.Explain(t.Context(), api.ExplainRequest{Run: run}); err != nil {
			t.Fatal(err)
		} else if x.Decision != nil && x.Decision.Outcome == "waiting" {
			return
		}
	}
}
