package integration

import (
	"context"
	"slices"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
)

// fullHost starts a process that takes few runs at a time, one of which holds the only
// device until the gate is open.
func (w *world) fullHost(runs int, change func(*HostConfig)) (*Host, *stepGate) {
	w.t.Helper()
	var gate *stepGate
	h := w.jobHost(func(c *HostConfig) {
		gate = newStepGate(c, "first", 2)
		if change != nil {
			change(c)
		}
	})
	h.mu.Lock()
	h.maxRuns = runs
	h.mu.Unlock()
	w.submit(h, jobRequest{Seed: 1}.job("first"))
	<-gate.reached
	return h, gate
}

// waiting submits a job and returns once it is in the queue.
func (w *world) waiting(h *Host, id queue.JobID, priority int) {
	w.t.Helper()
	s := jobRequest{Seed: 2}.job(id)
	s.Priority = priority
	w.submit(h, s)
	w.until(h, id, queue.StateQueued)
}

// untilInside returns when exactly these jobs have actors, but for the first, and none is
// about to leave.
func (w *world) untilInside(h *Host, ids ...queue.JobID) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		var now []queue.JobID
		var changed []<-chan struct{}
		leaving := false
		h.jobs.mu.Lock()
		for _, j := range h.jobs.sorted() {
			changed = append(changed, j.changed)
			if j.underWay && j.id() != "first" {
				now = append(now, j.id())
				leaving = leaving || j.stopping
			}
		}
		h.jobs.mu.Unlock()
		if !leaving && slices.Equal(now, ids) {
			return
		}
		news := make(chan struct{}, len(changed))
		for _, c := range changed {
			go func() {
				select {
				case <-c:
					news <- struct{}{}
				case <-ctx.Done():
				}
			}()
		}
		select {
		case <-news:
		case <-ctx.Done():
			w.t.Fatalf("the jobs with actors are %v, want %v", now, ids)
		}
	}
}

// placedOrder returns the jobs in the order in which they got devices.
func (w *world) placedOrder() []queue.JobID {
	w.t.Helper()
	var order []queue.JobID
	if _, err := eventstore.Walk(w.t.Context(), w.store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Type != (queue.JobPlaced{}).EventType() {
			return nil
		}
		id, _ := journal.JobOf(e.Aggregate)
		order = append(order, id)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return order
}

// Above the number of runs that a host takes, the jobs that rank highest are those that
// decisions are about. The others have a recorded reason, and lose nothing by having made
// room.
func TestMoreJobsThanAHostTakesAreServedByRank(t *testing.T) {
	want := reference(t, jobRequest{Seed: 2}.change)
	w := newWorld(t)
	h, gate := w.fullHost(3, nil)
	for _, id := range []queue.JobID{"low1", "low2", "low3"} {
		w.waiting(h, id, 0)
	}
	w.untilInside(h, "low1", "low2")
	w.waiting(h, "high", 1000)
	w.untilInside(h, "low1", "high")
	for _, id := range []queue.JobID{"low2", "low3"} {
		if j, err := h.Job(t.Context(), id); err != nil || j.State() != queue.StateQueued || j.Cause().Code != codeHostFull {
			t.Errorf("%s is %s, for %+v, %v; want it queued, since the host is full", id, j.State(), j.Cause(), err)
		}
	}
	if j, err := h.Job(t.Context(), "high"); err != nil || j.Cause().Code != "" {
		t.Errorf("the job that ranks highest waits for %+v, %v", j.Cause(), err)
	}
	if err := h.SetPriority(t.Context(), Target{Job: "low3"}, 500); err != nil {
		t.Fatal(err)
	}
	w.untilInside(h, "low3", "high")
	close(gate.open)
	for _, id := range []queue.JobID{"high", "low1", "low2", "low3"} {
		w.ended(h, id, queue.StateCompleted)
	}
	closeHost(t, h)
	if got, want := w.placedOrder(), []queue.JobID{"first", "high", "low3", "low1", "low2"}; !slices.Equal(got, want) {
		t.Errorf("devices went to %v, want %v", got, want)
	}
	for _, id := range []queue.JobID{"low1", "low2"} {
		sameOutcome(t, w.record(id), want)
	}
	w.nothingLeft()
}

// Who may have a place depends on how long a job has waited, as in queue.Plan.
func TestAgeingCountsForJobsBeyondThoseThatAHostTakes(t *testing.T) {
	w, clock := newWorld(t), newHandClock()
	h, gate := w.fullHost(2, func(c *HostConfig) {
		c.Now = clock.now
		c.Queue = &queue.Policy{Ageing: time.Hour}
	})
	w.waiting(h, "mid", 1)
	w.waiting(h, "old", 0)
	w.untilInside(h, "mid")
	clock.advance(10 * time.Hour)
	w.waiting(h, "new", 5)
	if err := h.Cancel(t.Context(), Target{Job: "mid"}, ""); err != nil {
		t.Fatal(err)
	}
	w.ended(h, "mid", queue.StateCancelled)
	w.untilInside(h, "old") // its priority counts as 10
	close(gate.open)
	w.ended(h, "old", queue.StateCompleted)
	w.ended(h, "new", queue.StateCompleted)
	closeHost(t, h)
	if got, want := w.placedOrder(), []queue.JobID{"first", "old", "new"}; !slices.Equal(got, want) {
		t.Errorf("devices went to %v, want %v", got, want)
	}
	w.nothingLeft()
}

// Under fair share, the job of an owner who has used less is considered first also beyond
// those that a host takes.
func TestFairShareCountsForJobsBeyondThoseThatAHostTakes(t *testing.T) {
	w, clock := newWorld(t), newHandClock()
	h, gate := w.fullHost(2, func(c *HostConfig) {
		c.Now = clock.now
		c.Queue = &queue.Policy{Order: queue.OrderShare, HalfLife: 24 * time.Hour}
	})
	clock.advance(time.Hour) // of the one without a name
	w.waiting(h, "same", 0)
	w.untilInside(h, "same")
	w.untilWaiting("same")
	s := jobRequest{Seed: 2}.job("other")
	s.Owner = "ada"
	w.submit(h, s)
	w.untilInside(h, "other")
	close(gate.open)
	w.ended(h, "same", queue.StateCompleted)
	closeHost(t, h)
	if got, want := w.placedOrder(), []queue.JobID{"first", "other", "same"}; !slices.Equal(got, want) {
		t.Errorf("devices went to %v, want %v", got, want)
	}
	w.nothingLeft()
}
