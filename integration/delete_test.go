package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// refusesToDelete checks that a run is not deleted, and that nothing is recorded about it.
func (w *world) refusesToDelete(h *Host, id queue.JobID, why string) {
	w.t.Helper()
	log := journal.NewJobLog(w.store, time.Now)
	before, err := log.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := h.Delete(w.t.Context(), id); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), why) {
		w.t.Errorf("deleting %s: %v, want %q", id, err, why)
	}
	if after, err := log.Load(w.t.Context(), id); err != nil || after.Version != before.Version {
		w.t.Errorf("job %s has version %d, and had %d; %v", id, after.Version, before.Version, err)
	}
}

// A run that is not deleted, since a fork needs it or since it is under way, stays as it
// was: it can be resumed, and so can what runs after it. One that is deleted is cancelled
// in the same step.
func TestARunThatIsNotDeletedIsNotCancelledEither(t *testing.T) {
	w := newWorld(t)
	var g *stepGate
	h := w.jobHost(func(c *HostConfig) { g = newStepGate(c, "parent", 2) })
	after := jobRequest{Seed: 2}.job("after")
	after.After = []queue.JobID{"parent"}
	w.submit(h, jobRequest{Seed: 1, Epochs: 2}.job("parent"), after)
	<-g.reached
	w.refusesToDelete(h, "parent", "run parent is under way")
	w.refusesToDelete(h, "after", "run after is under way")
	h.Interrupt("parent", "interrupted by the user")
	close(g.open)
	var unfinished *UnfinishedError
	if _, err := h.WaitJob(t.Context(), "parent"); !errors.As(err, &unfinished) {
		t.Fatal(err)
	}

	parent := w.record("parent")
	at, _ := parent.LastCheckpoint()
	fork := w.fork(parent, at, func(h *training.Hyperparameters) { h.Epochs = 1 })
	id, err := h.SubmitPrepared(t.Context(), queue.Submit{Submission: queue.Submission{Request: queue.NoRequest()}}, fork)
	if err != nil {
		t.Fatal(err)
	}
	w.refusesToDelete(h, "parent", "is needed by its fork "+string(id))
	if j, err := h.Job(t.Context(), "after"); err != nil || j.State().Ended() {
		t.Errorf("what runs after it is %s, %v", j.State(), err)
	}
	w.ended(h, id, queue.StateCompleted)
	if err := h.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}

	// Without its fork it could be deleted, had nobody resumed it.
	if err := errors.Join(h.Unpause(t.Context(), Target{Job: "parent"}), h.Unpause(t.Context(), Target{Job: "after"}), h.Pause(t.Context(), Target{Job: "after"}, "")); err != nil {
		t.Fatal(err)
	}
	w.refusesToDelete(h, "parent", "run parent is under way")
	w.ended(h, "parent", queue.StateCompleted)
	w.submit(h, func() queue.Submit {
		last := jobRequest{Seed: 3}.job("last")
		last.After = []queue.JobID{"after"}
		return last
	}())
	if err := h.Delete(t.Context(), "after"); err != nil {
		t.Fatal(err)
	}
	if j, err := h.Job(t.Context(), "after"); err != nil || j.State() != queue.StateCancelled || !j.Deleted() || j.Cause().Message != "it is deleted" {
		t.Errorf("it is %s (%s), deleted: %t, %v", j.State(), j.Cause().Message, j.Deleted(), err)
	}
	w.ended(h, "last", queue.StateCancelled)
	closeHost(t, h)
	w.nothingLeft()
}
