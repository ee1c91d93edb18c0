package service

import (
	"strings"
	"testing"

	"reprise/api"
	"reprise/training"
)

// A run that cannot be deleted is not cancelled for it: it can still be resumed.
func TestARunThatIsNotDeletedCanBeResumed(t *testing.T) {
	s := newService(t)
	q, _ := requests(t, 1_000_000, 4)
	q.RunIDs = []training.RunID{"parent"}
	for u, err := range s.Submit(t.Context(), q) {
		if err != nil || u.Error != nil {
			t.Fatal(err, u.Error)
		}
	}
	parent := api.Target{Runs: []string{"parent"}}
	paused := false
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: parent.Runs}) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Steps != nil && !paused {
			if _, err := s.Pause(t.Context(), api.PauseRequest{Target: parent, Cause: "a test"}); err != nil {
				t.Fatal(err)
			}
			paused = true
		}
	}
	if _, err := s.Fork(t.Context(), api.ForkRequest{Run: "parent", NewRun: "fork", Settings: api.Settings{Values: []api.Text{"job.name=forked"}}}); err != nil {
		t.Fatal(err)
	}
	finished := func() {
		t.Helper()
		if _, err := s.Cancel(t.Context(), api.CancelRequest{Target: api.Target{All: true}, Cause: "a test"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Finish(t.Context(), func([]training.RunID) {}); err != nil {
			t.Fatal(err)
		}
	}
	deleted := func(id, refusal string) {
		t.Helper()
		answer, err := s.Delete(t.Context(), api.DeleteRequest{Target: api.Target{Runs: []string{id}}})
		if err != nil || len(answer.Runs) != 1 {
			t.Fatal(answer, err)
		}
		if e := answer.Runs[0].Error; refusal == "" && e != nil || refusal != "" && (e == nil || !strings.Contains(e.Error(), refusal)) {
			t.Errorf("deleting %s: %v, want %q", id, e, refusal)
		}
	}
	deleted("parent", "is needed by its fork fork")
	if r, err := s.Run(t.Context(), api.RunRequest{Run: "parent"}); err != nil || r.Details.State != api.Paused {
		t.Errorf("the run is %s, %v", r.Details.State, err)
	}
	for _, err := range s.Resume(t.Context(), api.ResumeRequest{Target: parent}) {
		if err != nil {
			t.Error(err)
		}
	}
	deleted("parent", "cancel it first")
	finished()
	deleted("fork", "")
	deleted("parent", "")
}
