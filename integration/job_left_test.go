package integration

import (
	"testing"
	"time"

	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// leftJobs records jobs whose process has died, one in each state in which a job waits.
func leftJobs(t *testing.T, w *world) []queue.JobID {
	t.Helper()
	log := journal.NewJobLog(w.store, time.Now)
	for id, events := range map[queue.JobID][]queue.JobEvent{"submitted": nil, "preparing": {queue.JobPreparing{}}, "paused": {queue.JobPaused{}}} {
		first, err := queue.Job{}.Decide(queue.Submit{Job: id, Submission: jobRequest{Seed: 1}.job("").Submission})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), journal.JobChange{ID: id, Events: append(first, events...)}); err != nil {
			t.Fatal(err)
		}
	}
	return []queue.JobID{"submitted", "preparing"}
}

// allLeft checks that jobs wait to be resumed, and nothing else.
func allLeft(t *testing.T, h *Host, ids ...queue.JobID) {
	t.Helper()
	for _, id := range ids {
		if j, err := h.Job(t.Context(), id); err != nil || !j.Left() || h.WorksOn(id) {
			t.Errorf("job %s is %s, left: %t, worked on: %t, %v", id, j.State(), j.Left(), h.WorksOn(id), err)
		}
	}
}

// Jobs that waited when their process died wait to be resumed, on record; recovering them
// twice records nothing more. Those that were paused stay so.
func TestJobsThatWaitedWhenTheirProcessDiedAreLeft(t *testing.T) {
	w := newWorld(t)
	ids := leftJobs(t, w)
	versions := map[queue.JobID]int{}
	for round := range 2 {
		h := w.jobHost(nil)
		allLeft(t, h, ids...)
		if j, err := h.Job(t.Context(), "paused"); err != nil || j.State() != queue.StatePaused || j.Left() {
			t.Errorf("the paused job is %s, left: %t, %v", j.State(), j.Left(), err)
		}
		for _, id := range ids {
			r, err := journal.NewJobLog(w.store, time.Now).Load(t.Context(), id)
			if err != nil || round > 0 && int(r.Version) != versions[id] {
				t.Errorf("job %s has version %d, and had %d; %v", id, r.Version, versions[id], err)
			}
			versions[id] = int(r.Version)
		}
		if round == 0 {
			closeHost(t, h)
			continue
		}
		for _, id := range ids {
			if err := h.Unpause(t.Context(), Target{Job: id}); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			if j := w.ended(h, id, queue.StateCompleted); j.Left() {
				t.Errorf("job %s has completed and counts as left", id)
			}
		}
		closeHost(t, h)
	}
}

// Jobs that wait when their host is closed, for a device or for others, or whose run is
// interrupted, are left on record, wait to be resumed under the next host, and complete
// once they are.
func TestJobsThatWaitWhenTheirHostIsClosedAreLeft(t *testing.T) {
	w := newWorld(t)
	g := newGate("first", 1)
	h := w.jobHost(func(c *HostConfig) { c.Fault = func(run training.RunID, _ uint64) { g.pass(string(run)) } })
	w.submit(h, jobRequest{Seed: 1}.job("first"))
	<-g.reached
	after := jobRequest{Seed: 2}.job("after")
	after.After = []queue.JobID{"device"}
	w.submit(h, jobRequest{Seed: 3}.job("device"), after, jobRequest{Seed: 4}.job("released"))
	h.Interrupt("released", "interrupted by the user")
	allLeft(t, h, "released")
	if j, err := h.Job(t.Context(), "released"); err != nil || j.Cause().Message != "interrupted by the user" {
		t.Errorf("it was left because of %+v, %v", j.Cause(), err)
	}
	g.lift()
	closeHost(t, h)
	h = w.jobHost(nil)
	ids := []queue.JobID{"device", "after", "released"}
	allLeft(t, h, ids...)
	for _, id := range ids {
		if err := h.Unpause(t.Context(), Target{Job: id}); err != nil {
			t.Fatal(err)
		}
		if j, err := h.Job(t.Context(), id); err != nil || j.Left() || !h.WorksOn(id) {
			t.Errorf("job %s was resumed and is left: %t, %v", id, j.Left(), err)
		}
	}
	for _, id := range ids {
		w.ended(h, id, queue.StateCompleted)
	}
	closeHost(t, h)
	w.nothingLeft()
}
