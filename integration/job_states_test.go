package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reprise/actor"
	"reprise/dataset"
	"reprise/device"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/queue"
	"reprise/training"
)

// moment is one in the life of a job.
type moment struct {
	state queue.State
	// reach starts a host in which the job "it" stays at the moment until lift is called.
	reach func(w *world, it queue.Submit) (h *Host, lift func())
	// held says that the job cannot end before lift is called.
	held bool
}

// moments are those of the life of a job (docs/scheduling.md) besides the states that
// TestAJobIsCancelledAndPausedInEveryState has.
func moments() map[string]moment {
	nothing := func() {}
	// at brings the job to a gate of its device or, where it has no such gate, of its steps.
	at := func(place string, nth int64, panics bool) func(*world, queue.Submit) (*Host, func()) {
		return func(w *world, it queue.Submit) (*Host, func()) {
			g, panicked := newGate(place, nth), false
			h := w.jobHost(func(c *HostConfig) {
				c.Devices = []device.Driver{&slow{w.driver, g}}
				c.Workspace.Disk = &slowDisk{disk.OS{}, g}
				c.Fault = func(_ training.RunID, step uint64) {
					if step == 15 && panics && !panicked {
						panicked = true
						panic("a defect")
					}
					g.pass(fmt.Sprintf("step %d.", step))
				}
			})
			w.submit(h, it)
			<-g.reached
			return h, g.lift
		}
	}
	// behind brings the job to where it waits for another one, which has the device.
	behind := func(arrive func(w *world, h *Host, it queue.Submit)) func(*world, queue.Submit) (*Host, func()) {
		return func(w *world, it queue.Submit) (*Host, func()) {
			g := newGate("other", 1)
			h := w.jobHost(func(c *HostConfig) { c.Fault = func(run training.RunID, _ uint64) { g.pass(string(run)) } })
			w.submit(h, jobRequest{Seed: 1}.job("other"))
			<-g.reached
			arrive(w, h, it)
			return h, g.lift
		}
	}
	pause := func(w *world, h *Host) {
		if err := h.Pause(w.t.Context(), Target{Job: "it"}, "lunch"); err != nil {
			w.t.Fatal(err)
		}
	}
	return map[string]moment{
		"deferred before it is prepared": {state: queue.StateSubmitted, reach: func(w *world, it queue.Submit) (*Host, func()) {
			news, first := newDeferralNews(), true
			h := w.jobHost(func(c *HostConfig) {
				c.Observer = news
				c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
					if first {
						first = false
						return nil, fault.New(fault.Unavailable, "the network is down")
					}
					return w.prepare(ctx, id, s)
				}
			})
			w.submit(h, it)
			<-news.got
			return h, nothing
		}},
		"deferred after its run was interrupted": {state: queue.StateQueued, reach: func(w *world, it queue.Submit) (*Host, func()) {
			news := newDeferralNews()
			sick := &ailing{Driver: w.driver}
			sick.ill.Store(true)
			h := w.jobHost(func(c *HostConfig) {
				c.Observer, c.Devices, c.Restarts = news, []device.Driver{sick}, actor.Intensity{Restarts: 1, Period: time.Hour}
			})
			w.submit(h, it)
			<-news.got
			return h, func() { sick.ill.Store(false) }
		}},
		"opening its data again": {state: queue.StateQueued, reach: func(w *world, it queue.Submit) (*Host, func()) {
			asked, open := make(chan struct{}), make(chan struct{})
			h := w.jobHost(func(c *HostConfig) {
				c.OpenDataset = func(context.Context, training.Dataset) (*dataset.Dataset, error) {
					select {
					case <-open:
					default:
						close(asked)
						<-open
					}
					return w.data, nil
				}
			})
			w.submit(h, it)
			<-asked
			return h, func() { close(open) }
		}},
		"held by after": {state: queue.StateQueued, reach: behind(func(w *world, h *Host, it queue.Submit) {
			it.After = []queue.JobID{"other"}
			w.submit(h, it)
			w.until(h, "it", queue.StateQueued)
		})},
		"paused": {state: queue.StatePaused, reach: behind(func(w *world, h *Host, it queue.Submit) {
			w.submit(h, it)
			w.until(h, "it", queue.StateQueued)
			pause(w, h)
		})},
		"left by a process that died": {state: queue.StateQueued, reach: func(w *world, it queue.Submit) (*Host, func()) {
			h, lift := behind(func(w *world, h *Host, it queue.Submit) {
				w.submit(h, it)
				w.until(h, "it", queue.StateQueued)
			})(w, it)
			h.StopPlacing()
			lift()
			closeHost(w.t, h)
			return w.jobHost(nil), nothing
		}},
		"placed":                     {state: queue.StatePlaced, held: true, reach: at("allocate", 1, false)},
		"checkpointing":              {state: queue.StateRunning, held: true, reach: at("disk", 1, false)},
		"evaluating":                 {state: queue.StateRunning, held: true, reach: at("evaluation", 1, false)},
		"placed again after a panic": {state: queue.StatePlaced, held: true, reach: at("allocate", 2, true)},
		"recovered from a panic":     {state: queue.StateRunning, held: true, reach: at("step 14.", 2, true)},
		"asked to pause": {state: queue.StateRunning, held: true, reach: func(w *world, it queue.Submit) (*Host, func()) {
			h, lift := at("step 15.", 1, false)(w, it)
			pause(w, h)
			return h, lift
		}},
		"resumed from a checkpoint": {state: queue.StateRunning, held: true, reach: func(w *world, it queue.Submit) (*Host, func()) {
			h, lift := at("step 15.", 1, false)(w, it)
			pause(w, h)
			lift()
			w.ended(h, "it", queue.StatePaused)
			closeHost(w.t, h)
			g := newGate("step 20.", 1)
			h = w.jobHost(func(c *HostConfig) {
				c.Fault = func(_ training.RunID, step uint64) { g.pass(fmt.Sprintf("step %d.", step)) }
			})
			if err := h.Unpause(w.t.Context(), Target{Job: "it"}); err != nil {
				w.t.Fatal(err)
			}
			<-g.reached
			return h, g.lift
		}},
	}
}

// A job can be cancelled and paused at every moment. It then has no device, and one that
// was paused ends with the bits that it has undisturbed.
func TestAJobIsCancelledAndPausedAtEveryMoment(t *testing.T) {
	r := jobRequest{Seed: 3, Epochs: 3}
	want := reference(t, r.change)
	for name, m := range moments() {
		for _, pauses := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/pause=%v", name, pauses), func(t *testing.T) {
				w := newWorld(t)
				h, lift := m.reach(w, r.job("it"))
				w.until(h, "it", m.state)
				do, to := h.Cancel, queue.StateCancelled
				if pauses {
					do, to = h.Pause, queue.StatePaused
				}
				if err := do(t.Context(), Target{Job: "it"}, "enough"); err != nil {
					t.Fatal(err)
				}
				if m.held {
					lift()
				}
				job := w.ended(h, "it", to)
				if on := job.On(); len(on) > 0 {
					t.Errorf("it has %v", on)
				}
				for _, l := range w.recorded().Leases() {
					if l.Holder == runHolder("it").String() {
						t.Errorf("its run has the lease %+v", l)
					}
				}
				if !m.held {
					lift()
				}
				if pauses {
					if err := h.Unpause(t.Context(), Target{Job: "it"}); err != nil {
						t.Fatal(err)
					}
					w.ended(h, "it", queue.StateCompleted)
					sameOutcome(t, w.record("it"), want)
				} else if c := job.Cause(); c != (queue.Cause{Code: queue.CauseUser, Message: "enough"}) {
					t.Errorf("%+v", c)
				}
				closeHost(t, h)
				w.nothingLeft()
			})
		}
	}
}
