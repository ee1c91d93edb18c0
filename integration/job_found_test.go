package integration

import (
	"errors"
	"testing"

	"reprise/queue"
	"reprise/training"
)

// A submission that seems to fail may be recorded. Whoever resumes such a job later has it
// run after those that it names: those that have ended meanwhile are not waited for.
func TestAJobThatIsFoundInTheLogKnowsWhatHasEnded(t *testing.T) {
	w := newWorld(t)
	store := &countedStore{Store: w.store}
	h := w.jobHost(func(c *HostConfig) { c.Store = store })
	lost := func(submits ...queue.Submit) {
		t.Helper()
		store.failing.Store(1)
		if _, err := h.Submit(t.Context(), submits...); !errors.Is(err, errLostAppend) {
			t.Fatalf("it did not seem to fail: %v", err)
		}
	}
	after := func(id queue.JobID, others ...queue.JobID) queue.Submit {
		s := jobRequest{Seed: 1}.job(id)
		s.After = others
		return s
	}
	for _, id := range []queue.JobID{"completes", "is-cancelled"} {
		w.submit(h, after(id))
		if err := h.Pause(t.Context(), Target{Job: id}, ""); err != nil {
			t.Fatal(err)
		}
		w.ended(h, id, queue.StatePaused) // nothing else is recorded until it is resumed
	}
	lost(after("after-completed", "completes"))
	lost(after("after-cancelled", "is-cancelled"))
	lost(after("pair-1"), after("pair-2", "pair-1"))
	if err := h.Cancel(t.Context(), Target{Job: "is-cancelled"}, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.Resume(t.Context(), "completes"); err != nil {
		t.Fatal(err)
	}
	w.ended(h, "completes", queue.StateCompleted)

	for _, id := range []training.RunID{"after-completed", "pair-2", "pair-1"} {
		if err := h.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []queue.JobID{"after-completed", "pair-1", "pair-2"} {
		w.ended(h, id, queue.StateCompleted)
	}
	_ = h.Resume(t.Context(), "after-cancelled") // that it has ended may be an error
	if c := w.ended(h, "after-cancelled", queue.StateCancelled).Cause(); c.Code != queue.CausePredecessor {
		t.Errorf("it was cancelled for %+v", c)
	}
	if err := h.Close(); !errors.Is(err, errLostAppend) {
		t.Errorf("closed with %v", err)
	}
	w.nothingLeft()
}
