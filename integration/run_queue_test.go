package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/device"
	cpudevice "reprise/device/cpu"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/tensor"
	"reprise/training"
)

// seeded returns a short request with a seed of its own.
func seeded(seed uint64) func(*training.Hyperparameters) {
	return func(h *training.Hyperparameters) { h.Seed, h.BatchSize = seed, 128 }
}

// references are the outcomes of the seeds 1 to n, each trained alone.
func references(t *testing.T, n int) []journal.RunRecord {
	t.Helper()
	want := make([]journal.RunRecord, n)
	for i := range want {
		want[i] = reference(t, seeded(uint64(i+1)))
	}
	return want
}

// crowd starts runs with the seeds 1 to n, of which the first waits at step 5
// until all have been started.
func (w *world) crowd(n int, change func(*HostConfig)) (*Host, *witness, []training.RunID) {
	w.t.Helper()
	var first sync.Once
	begun, started := make(chan struct{}), make(chan struct{})
	h, j, _ := w.host(func(c *HostConfig) {
		if change != nil {
			change(c)
		}
		fault := c.Fault
		c.Fault = func(run training.RunID, step uint64) {
			if step == 5 {
				first.Do(func() {
					close(begun)
					<-started
				})
			}
			if fault != nil {
				fault(run, step)
			}
		}
	})
	ids := make([]training.RunID, n)
	for i := range ids {
		id, err := h.Start(context.Background(), w.request(seeded(uint64(i+1))))
		if err != nil {
			w.t.Fatal(err)
		}
		if ids[i] = id; i == 0 {
			<-begun
		}
	}
	close(started)
	return h, j, ids
}

// holders returns who was granted a lease, in order.
func (w *world) holders() []string {
	w.t.Helper()
	var all []string
	_, err := eventstore.Walk(context.Background(), w.store, 0, eventstore.End, func(e eventstore.Event) error {
		event, err := journal.EventOf(e)
		if leased, ok := event.(device.Leased); ok {
			all = append(all, strings.TrimPrefix(leased.Lease.Holder, journal.RunPrefix))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestRunsThatShareADeviceEndWithTheBitsThatTheyHaveAlone(t *testing.T) {
	want := references(t, 3)
	w := newWorld(t)
	h, j, ids := w.crowd(3, nil)
	for i, id := range ids {
		r := rest(t, h, id)
		if r.Session.State != training.Completed || r.Interruptions != 0 {
			t.Errorf("%s is %s after %d interruptions: %s", id, r.Session.State, r.Interruptions, r.Reason)
		}
		sameOutcome(t, r, want[i])
		verify(t, w, r)
	}
	if n := j.count("training.resource_allocated.v1"); n != 3 {
		t.Errorf("%d allocations, want 3", n)
	}
	if got := w.holders(); fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("the device went to %v, submitted were %v", got, ids)
	}
	closeHost(t, h)
	for _, id := range ids {
		r, err := journal.NewRunLog(w.store, nil).Load(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		w.checkReleased(r)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// A run that waits for a device that can never take it would wait for ever.
func TestARunThatNoDeviceCanEverTakeDoesNotWait(t *testing.T) {
	w := newWorld(t)
	h, _, ids := w.crowd(1, func(c *HostConfig) {
		r, err := (training.TrainingRun{}).Apply(w.request(seeded(1))[0])
		if err != nil {
			t.Fatal(err)
		}
		need, err := WorkloadOf(r.Session)
		if err != nil {
			t.Fatal(err)
		}
		small, err := cpudevice.New(cpudevice.Config{Threads: 1, Features: "auto", MemoryLimit: need.Memory.Size + 64*tensor.KiB})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = small.Close() })
		c.Devices = []device.Driver{small}
	})
	defer closeHost(t, h)
	large, err := h.Start(context.Background(), w.request(func(h *training.Hyperparameters) { h.BatchSize = 1400 }))
	if err != nil {
		t.Fatal(err)
	}
	if r := rest(t, h, large); r.Session.State != training.Interrupted || !strings.Contains(r.Reason, "use a machine that has such a device") {
		t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
	}
	if r := rest(t, h, ids[0]); r.Session.State != training.Completed {
		t.Errorf("the other run is %s: %s", r.Session.State, r.Reason)
	}
}

// Whatever the pool fails at, the runs that wait are still there when it has
// restarted.
func TestAPoolThatFailsLosesNoRunThatWaits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	want := references(t, 3)
	for _, kind := range []string{"device.released.v1", "device.leased.v1"} {
		for _, panics := range []bool{false, true} {
			if panics && testing.Short() {
				continue // nobody tells the run then: it waits for half a minute before it asks again
			}
			t.Run(fmt.Sprintf("%s, panics: %v", kind, panics), func(t *testing.T) {
				w := newWorld(t)
				store := &contested{Store: w.store, kind: kind, panics: panics}
				h, _, ids := w.crowd(3, func(c *HostConfig) {
					c.Store = store
					c.Fault = func(_ training.RunID, step uint64) {
						if step == 6 && store.left.Load() == 0 {
							store.left.Store(1) // the first to give back, or to be granted, from now on
						}
					}
				})
				for i, id := range ids {
					r := rest(t, h, id)
					if r.Session.State != training.Completed {
						t.Errorf("%s is %s: %s", id, r.Session.State, r.Reason)
					}
					sameOutcome(t, r, want[i])
				}
				if store.left.Load() > 0 {
					t.Error("nothing failed")
				}
				closeHost(t, h)
				for _, id := range ids {
					r, err := journal.NewRunLog(w.store, nil).Load(context.Background(), id)
					if err != nil {
						t.Fatal(err)
					}
					w.checkReleased(r)
				}
			})
		}
	}
}

// A process that is killed leaves no trace of its queue: its runs are resumed.
func TestAProcessThatDiesWhileRunsWaitIsRecoveredFrom(t *testing.T) {
	want := references(t, 3)
	w := newWorld(t)
	alive := w.store
	store := &dying{Store: alive, died: make(chan struct{})}
	store.left.Store(1 << 40)
	h, _, ids := w.crowd(3, func(c *HostConfig) {
		c.Store = store
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 20 {
				store.left.Store(1)
			}
		}
	})
	<-store.died
	_ = h.Close() // it cannot record anything

	h, _, recovery := w.host(nil)
	defer closeHost(t, h)
	if len(recovery.Interrupted) != 3 || recovery.Leases != 1 {
		t.Errorf("recovered %+v, want three runs and the lease of the first", recovery)
	}
	for _, id := range ids {
		if err := h.Resume(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	for i, id := range ids {
		r := rest(t, h, id)
		sameOutcome(t, r, want[i])
		verify(t, w, r)
	}
}

// What a run has had, and how long it has waited, counts in the next process, too.
func TestAResumedRunKeepsItsTimesInTheQueue(t *testing.T) {
	w := newWorld(t)
	alive := w.store
	store := &dying{Store: alive, died: make(chan struct{})}
	store.left.Store(1 << 40)
	var clock atomic.Int64
	configure := func(c *HostConfig) { // each look at the clock takes a minute
		c.Now = func() time.Time { return time.Unix(1e9+60*clock.Add(1), 0) }
		c.Queue = &queue.Policy{Preempt: true, Quantum: 1000 * time.Hour, Levels: []time.Duration{time.Minute}, Patience: 2 * time.Minute}
	}
	fault, reached, resume := holdAt(20)
	h, _, ids := w.crowd(3, func(c *HostConfig) {
		configure(c)
		c.Store, c.Fault = store, fault
	})
	<-reached
	w.untilAllWait(ids[1:]...) // by this clock, either may have waited longer
	store.left.Store(1)
	close(resume)
	<-store.died
	_ = h.Close() // it cannot record anything

	before := decisions(t, alive)
	known := map[queue.JobID]queue.Entry{}
	for _, d := range before {
		for _, j := range d.Snapshot.Jobs {
			known[j.ID] = j
		}
	}
	fault, reached, resume = holdAt(15)
	h, _, _ = w.host(func(c *HostConfig) { configure(c); c.Fault = fault })
	defer closeHost(t, h)
	for i := range ids { // the one that had the device comes last
		if err := h.Resume(context.Background(), ids[len(ids)-1-i]); err != nil {
			t.Fatal(err)
		}
	}
	<-reached
	close(resume)
	for _, id := range ids {
		if r := rest(t, h, id); r.Session.State != training.Completed {
			t.Errorf("%s is %s: %s", id, r.Session.State, r.Reason)
		}
	}
	found := 0
	seen := map[queue.JobID]bool{}
	for _, d := range decisions(t, alive)[len(before):] {
		for _, j := range d.Snapshot.Jobs {
			if seen[j.ID] {
				continue
			}
			seen[j.ID] = true
			was := known[j.ID]
			if j.Served < was.Served || j.Waited < was.Waited || was.Served+was.Waited == 0 {
				t.Errorf("%s begins with %v served and %v waited, after %v and %v", j.ID, j.Served, j.Waited, was.Served, was.Waited)
			}
			if was.Waited >= 2*time.Minute && len(was.On) == 0 {
				found++
			}
		}
	}
	if len(seen) != 3 || found == 0 {
		t.Errorf("%d runs came again, %d of them promoted", len(seen), found)
	}
	if _, err := journal.VerifyLog(context.Background(), alive); err != nil {
		t.Error(err)
	}
}
