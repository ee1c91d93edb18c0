package integration

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// owned returns the submission of a short job of an owner.
func owned(id queue.JobID, owner string) queue.Submit {
	s := jobRequest{Seed: 3}.job(id)
	s.Owner = owner
	return s
}

// holdRun returns a HostConfig.Fault that holds the run of a job at its fifth step, closes
// reached, and waits until resume is closed.
func holdRun(id queue.JobID) (fault func(training.RunID, uint64), reached, resume chan struct{}) {
	reached, resume = make(chan struct{}), make(chan struct{})
	return func(run training.RunID, step uint64) {
		if run == training.RunID(id) && step == 5 {
			close(reached)
			<-resume
		}
	}, reached, resume
}

// placements returns the jobs of the world in the order in which they were placed.
func (w *world) placements() []queue.JobID {
	w.t.Helper()
	var order []queue.JobID
	for _, d := range decisions(w.t, w.store) {
		for _, p := range d.Decision.Placed {
			order = append(order, p.Job)
		}
	}
	return order
}

// What an owner has used of late counts, also under an earlier process.
func TestTheOwnerWhoHasUsedLeastComesFirst(t *testing.T) {
	w := newWorld(t)
	var passed atomic.Int64
	policy := queue.Policy{Order: queue.OrderShare, HalfLife: 4 * time.Hour}
	// life is that of one process: the first job has trained for that long when the others
	// come in this order, and they wait in another one.
	life := func(long time.Duration, jobs []queue.Submit, waiting ...training.RunID) {
		hold, reached, resume := holdRun(jobs[0].Job)
		h := w.jobHost(func(c *HostConfig) {
			c.Queue, c.Fault = &policy, hold
			c.Now = func() time.Time { return time.Unix(1e9, passed.Load()) }
		})
		defer closeHost(t, h)
		w.submit(h, jobs[0])
		<-reached
		passed.Add(int64(long))
		for _, j := range jobs[1:] {
			passed.Add(1)
			w.submit(h, j)
			w.until(h, j.Job, queue.StateQueued)
		}
		w.untilWaiting(waiting...)
		close(resume)
		for _, j := range jobs {
			w.ended(h, j.Job, queue.StateCompleted)
		}
	}
	life(8*time.Hour, []queue.Submit{owned("ada-1", "ada"), owned("ada-2", "ada"), owned("bob-1", "bob")}, "bob-1", "ada-2")
	passed.Add(int64(4 * time.Hour))
	life(time.Minute, []queue.Submit{owned("eve-1", "eve"), owned("ada-3", "ada"), owned("bob-2", "bob")}, "bob-2", "ada-3")
	if got := fmt.Sprint(w.placements()); got != "[ada-1 bob-1 ada-2 eve-1 bob-2 ada-3]" {
		t.Errorf("the device went to %s", got)
	}
	// Eight hours count as 4h/ln 2 * (1 - 1/4) = 4h19m41s, and half of it four hours later.
	most := map[queue.JobID]time.Duration{}
	for _, d := range decisions(t, w.store) {
		for _, p := range d.Decision.Placed {
			most[p.Job] = d.Snapshot.Usage["ada"].Round(time.Second)
		}
		if used := d.Snapshot.Usage["bob"]; used != 0 {
			t.Errorf("bob's runs took no time, but count as %v", used)
		}
	}
	for id, want := range map[queue.JobID]time.Duration{
		"ada-1": 0, "bob-1": 4*time.Hour + 19*time.Minute + 41*time.Second, "ada-2": 4*time.Hour + 19*time.Minute + 41*time.Second,
		"eve-1": 2*time.Hour + 9*time.Minute + 51*time.Second,
	} {
		if most[id] != want {
			t.Errorf("when %s was placed, ada had used %v, want %v", id, most[id], want)
		}
	}
	w.nothingLeft() // and each decision can be made again
}

// What a killed process trained counts from when the next one found it.
func TestWhatAKilledProcessTrainedCountsToo(t *testing.T) {
	w := newWorld(t)
	var passed atomic.Int64
	alive := w.store
	store := &dying{Store: alive, died: make(chan struct{})}
	store.left.Store(1 << 40)
	configure := func(c *HostConfig) {
		c.Queue = &queue.Policy{Order: queue.OrderShare}
		c.Now = func() time.Time { return time.Unix(1e9, passed.Load()) }
	}
	h := w.jobHost(func(c *HostConfig) {
		configure(c)
		c.Store = store
		c.Fault = func(_ training.RunID, step uint64) {
			switch step {
			case 5:
				passed.Add(int64(time.Hour))
			case 20: // after the first epoch
				store.left.Store(1)
			}
		}
	})
	long := jobRequest{Seed: 3, Epochs: 3}.job("ada-1")
	long.Owner = "ada"
	w.submit(h, long)
	<-store.died
	_ = h.Close() // it cannot record anything
	passed.Add(int64(48 * time.Hour))
	h = w.jobHost(configure)
	w.submit(h, owned("bob-1", "bob"))
	w.ended(h, "bob-1", queue.StateCompleted)
	closeHost(t, h)
	all := decisions(t, alive)
	if got := all[len(all)-1].Snapshot.Usage["ada"]; got < 58*time.Minute || got > time.Hour {
		t.Errorf("ada has used %v, want about an hour", got)
	}
}

// By default, nobody counts what owners use, and nothing of it is recorded.
func TestUseIsNotCountedUnlessThePolicyAsksForIt(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(nil)
	w.submit(h, owned("ada-1", "ada"), owned("ada-2", "ada"))
	w.ended(h, "ada-2", queue.StateCompleted)
	w.ended(h, "ada-1", queue.StateCompleted)
	closeHost(t, h)
	for _, d := range decisions(t, w.store) {
		if d.Snapshot.Usage != nil || d.Snapshot.Policy.HalfLife != 0 {
			t.Errorf("recorded %+v", d.Snapshot)
		}
	}
}

func TestAQuotaBoundsTheDevicesOfOneOwnerOnly(t *testing.T) {
	w := newWorld(t)
	hold, reached, resume := holdRun("ada-1")
	h := w.jobHost(func(c *HostConfig) {
		w.withDevices(2, newShelfOf(w.data))(c)
		c.Queue = &queue.Policy{Quotas: map[string]int{"ada": 1, "eve": 0}}
		c.Fault = hold
	})
	defer closeHost(t, h)
	w.submit(h, owned("ada-1", "ada"))
	<-reached
	w.submit(h, owned("ada-2", "ada"))
	w.until(h, "ada-2", queue.StateQueued)
	w.submit(h, owned("bob-1", "bob"))
	w.ended(h, "bob-1", queue.StateCompleted) // on the other device, past ada's
	w.untilWaiting("ada-2")
	all := decisions(t, w.store)
	last := all[len(all)-1].Decision
	if why := last.Why(last.Pending[0]); why[0].Code != queue.CodeQuota || !strings.Contains(why[0].Message, "ada") {
		t.Errorf("ada's second job waits for %+v", why)
	}
	if _, err := h.Submit(t.Context(), owned("eve-1", "eve")); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "eve") {
		t.Errorf("a job of who may hold nothing: %v", err)
	}
	close(resume)
	w.ended(h, "ada-1", queue.StateCompleted)
	w.ended(h, "ada-2", queue.StateCompleted)
}

func TestTheJobsThatWaitAreBoundedByOwner(t *testing.T) {
	w := newWorld(t)
	hold, reached, resume := holdRun("ada-1")
	h := w.jobHost(func(c *HostConfig) {
		c.Limits = &queue.Limits{Waiting: 4, WaitingPerOwner: 1, Owners: map[string]int{"bob": 2}}
		c.Fault = hold
	})
	defer closeHost(t, h)
	refused := func(s queue.Submit, names string) {
		t.Helper()
		if _, err := h.Submit(t.Context(), s); fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v, want a full queue for %s", s.Job, err, names)
		}
	}
	w.submit(h, owned("ada-1", "ada"))
	<-reached // it trains, and counts no longer
	w.submit(h, owned("ada-2", "ada"))
	refused(owned("ada-3", "ada"), "ada")
	w.submit(h, owned("bob-1", "bob"), owned("bob-2", "bob"))
	refused(owned("bob-3", "bob"), "bob")
	w.submit(h, owned("eve-1", "eve"))
	refused(owned("ivy-1", "ivy"), "the queue is full: 4 wait")
	if _, err := journal.NewJobLog(w.store, time.Now).Load(t.Context(), "ada-3"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a job was recorded that was refused: %v", err)
	}
	close(resume)
	for _, id := range []queue.JobID{"ada-1", "ada-2", "bob-1", "bob-2", "eve-1"} {
		w.ended(h, id, queue.StateCompleted)
	}
	w.submit(h, owned("ada-4", "ada"))
	w.ended(h, "ada-4", queue.StateCompleted)
}
