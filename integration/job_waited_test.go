package integration

import (
	"sync/atomic"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// handClock is a clock that only moves when it is told to.
type handClock struct {
	start time.Time
	since atomic.Int64
}

func newHandClock() *handClock { return &handClock{start: time.Now()} }

func (c *handClock) now() time.Time          { return c.start.Add(time.Duration(c.since.Load())) }
func (c *handClock) advance(d time.Duration) { c.since.Add(int64(d)) }

// waitsOf returns how long the events of a job say that it waited.
func (w *world) waitsOf(id queue.JobID) []time.Duration {
	w.t.Helper()
	var waits []time.Duration
	if _, err := eventstore.Walk(w.t.Context(), w.store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Aggregate != eventstore.AggregateID(journal.JobPrefix+string(id)) {
			return nil
		}
		event, err := journal.EventOf(e)
		switch event := event.(type) {
		case queue.JobPlaced:
			waits = append(waits, event.Waited)
		case queue.JobPaused:
			waits = append(waits, event.Waited)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return waits
}

// What a job waits for devices counts from its resumption on where an earlier process left
// it, or its host did.
func TestAJobThatWasLeftRecordsHowLongItWaits(t *testing.T) {
	for _, end := range []string{"paused", "placed"} {
		t.Run(end, func(t *testing.T) {
			w, clock := newWorld(t), newHandClock()
			first := w.jobHost(func(c *HostConfig) { c.Now = clock.now })
			first.StopPlacing()
			w.submit(first, jobRequest{Seed: 1}.job("a"))
			w.until(first, "a", queue.StateQueued)
			closeHost(t, first)

			clock.advance(time.Hour) // nobody hosts it
			h := w.jobHost(func(c *HostConfig) { c.Now = clock.now })
			defer closeHost(t, h)
			h.StopPlacing()
			clock.advance(time.Hour) // nobody has resumed it
			resume := func() {
				if err := h.Unpause(t.Context(), Target{Job: "a"}); err != nil {
					t.Fatal(err)
				}
			}
			resume()
			clock.advance(7 * time.Minute)
			h.Interrupt(training.RunID("a"), "the host leaves it")
			if _, err := h.Wait(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			clock.advance(time.Hour) // it is left again
			resume()
			clock.advance(4 * time.Minute)
			want := 11 * time.Minute
			if end == "paused" {
				if err := h.Pause(t.Context(), Target{Job: "a"}, ""); err != nil {
					t.Fatal(err)
				}
				w.ended(h, "a", queue.StatePaused)
			} else {
				h.waiting.ending.Store(false)
				if err := h.devices.Tell(replan{}); err != nil {
					t.Fatal(err)
				}
				w.ended(h, "a", queue.StateCompleted)
			}
			if got := w.waitsOf("a"); len(got) != 1 || got[0] != want {
				t.Errorf("its events say that it waited %v, want %v", got, want)
			}
		})
	}
}

// What a job waited before it was deferred counts, and the time for which it was deferred
// does not.
func TestADeferralKeepsHowLongAJobWaited(t *testing.T) {
	w, clock := newWorld(t), newHandClock()
	h := w.jobHost(func(c *HostConfig) { c.Now = clock.now })
	defer closeHost(t, h)
	h.StopPlacing()
	w.submit(h, jobRequest{Seed: 1}.job("a"))
	w.until(h, "a", queue.StateQueued)
	clock.advance(7 * time.Minute)
	b := h.jobs
	b.mu.Lock()
	j := b.live["a"]
	err := b.decide(j, queue.Defer{Cause: queue.Cause{Code: "full", Message: "the disk is full"}, RetryAfter: time.Hour})
	before := b.waited(j)
	clock.advance(time.Hour + 4*time.Minute)
	after := b.waited(j)
	b.mu.Unlock()
	if err != nil || before != 7*time.Minute || after != 11*time.Minute {
		t.Errorf("it has waited %v, then %v (%v), want 7m and 11m", before, after, err)
	}
}
