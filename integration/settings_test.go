package integration

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
)

// set changes the settings of the queue.
func (w *world) set(h *Host, c queue.SettingsChange) {
	w.t.Helper()
	if _, err := h.SetQueue(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

// untilReason returns when the newest decision is that a job waits for a reason.
func (w *world) untilReason(code queue.Code) {
	w.t.Helper()
	for {
		if all := decisions(w.t, w.store); len(all) > 0 {
			last := all[len(all)-1].Decision
			if slices.ContainsFunc(last.Pending, func(p journal.RecordedPending) bool {
				return slices.ContainsFunc(last.Why(p), func(r queue.Reason) bool { return r.Code == code })
			}) {
				return
			}
		}
		runtime.Gosched()
	}
}

// A share counts from the next decision on, with what owners used before it was set, also
// under the next process.
func TestASharePutsOwnersInOrderWhileTheHostRuns(t *testing.T) {
	w := newWorld(t)
	var passed atomic.Int64
	configure := func(c *HostConfig) {
		c.Queue, c.Now = &queue.Policy{}, func() time.Time { return time.Unix(1e9, passed.Load()) }
	}
	hold, reached, resume := holdRun("ada-1")
	h := w.jobHost(func(c *HostConfig) {
		configure(c)
		c.Fault = hold
	})
	w.submit(h, owned("ada-1", "ada"))
	<-reached
	for _, j := range []queue.Submit{owned("ada-2", "ada"), owned("bob-1", "bob")} {
		passed.Add(int64(time.Hour))
		w.submit(h, j)
		w.until(h, j.Job, queue.StateQueued)
	}
	w.untilWaiting("ada-2", "bob-1")
	share := 1.0
	w.set(h, queue.SettingsChange{Shares: map[string]*float64{"ada": &share}})
	w.untilWaiting("bob-1", "ada-2")
	share = 1000
	w.set(h, queue.SettingsChange{Shares: map[string]*float64{"ada": &share, "bob": new(0.001)}})
	close(resume)
	for _, id := range []queue.JobID{"ada-1", "ada-2", "bob-1"} {
		w.ended(h, id, queue.StateCompleted)
	}
	closeHost(t, h)
	hold, reached, resume = holdRun("eve-1")
	h = w.jobHost(func(c *HostConfig) {
		configure(c)
		c.Fault = hold
	})
	w.submit(h, owned("eve-1", "eve"))
	<-reached
	for _, j := range []queue.Submit{owned("ada-3", "ada"), owned("bob-2", "bob")} { // bob has used nothing yet
		passed.Add(1)
		w.submit(h, j)
		w.until(h, j.Job, queue.StateQueued)
	}
	w.untilWaiting("bob-2", "ada-3")
	close(resume)
	for _, id := range []queue.JobID{"eve-1", "ada-3", "bob-2"} {
		w.ended(h, id, queue.StateCompleted)
	}
	closeHost(t, h)
	var versions []uint64
	for _, d := range decisions(t, w.store) {
		versions = append(versions, d.Snapshot.Policy.Settings)
	}
	if got := fmt.Sprint(slices.Compact(versions)); got != "[0 1 2]" {
		t.Errorf("the decisions were made with the settings %s", got)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// A quota keeps an owner's job from a free device until it is raised, and never ends a job
// that waits.
func TestAQuotaThatIsSetHoldsJobsBack(t *testing.T) {
	w := newWorld(t)
	hold, reached, resume := holdRun("ada-1")
	h := w.jobHost(func(c *HostConfig) {
		w.withDevices(2, newShelfOf(w.data))(c)
		c.Fault = hold
	})
	one, none := 1, 0
	w.set(h, queue.SettingsChange{Quotas: map[string]*int{"ada": &one}})
	w.submit(h, owned("ada-1", "ada"))
	<-reached
	w.submit(h, owned("ada-2", "ada"))
	w.untilReason(queue.CodeQuota)
	w.set(h, queue.SettingsChange{Quotas: map[string]*int{"ada": &none}})
	if _, err := h.Submit(context.Background(), owned("ada-3", "ada")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a job that its owner's quota keeps from ever running: %v", err)
	}
	w.set(h, queue.SettingsChange{Quotas: map[string]*int{"ada": nil}})
	w.ended(h, "ada-2", queue.StateCompleted)
	close(resume)
	w.ended(h, "ada-1", queue.StateCompleted)
	closeHost(t, h)
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// A label that no device has is refused, one that a device lost is waited for.
func TestALabelThatADeviceLosesIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	id := w.driver.Describe().ID()
	hold, reached, resume := holdRun("first")
	h := w.jobHost(func(c *HostConfig) { c.Fault = hold })
	labelled := jobRequest{Seed: 4}.job("labelled")
	labelled.Labels = []string{"fast"}
	if _, err := h.Submit(context.Background(), labelled); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a label that no device has: %v", err)
	}
	if _, err := h.SetQueue(context.Background(), queue.SettingsChange{Labels: map[device.ID][]string{"none": {"fast"}}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a device that there is not: %v", err)
	}
	fast := queue.SettingsChange{Labels: map[device.ID][]string{id: {"fast"}}}
	w.set(h, fast)
	w.submit(h, jobRequest{Seed: 3}.job("first"))
	<-reached
	w.submit(h, labelled)
	w.untilWaiting("labelled")
	w.set(h, queue.SettingsChange{Labels: map[device.ID][]string{id: nil}})
	w.untilReason(queue.Code(queue.ReasonMissingLabel))
	close(resume)
	w.ended(h, "first", queue.StateCompleted)
	if job, err := h.Job(context.Background(), "labelled"); err != nil || job.State() != queue.StateQueued || job.Deferrals() > 0 {
		t.Errorf("a job that waits for a label is %s after %d attempts: %v", job.State(), job.Deferrals(), err)
	}
	w.set(h, fast)
	w.ended(h, "labelled", queue.StateCompleted)
	closeHost(t, h)
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// Settings that say what they said before are not recorded again.
func TestSettingsThatChangeNothingAreNotRecorded(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(nil)
	two := 2
	for range 2 {
		w.set(h, queue.SettingsChange{Quotas: map[string]*int{"ada": &two, "bob": nil}})
	}
	closeHost(t, h)
	n := 0
	if _, err := eventstore.Walk(context.Background(), w.store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Aggregate == journal.SettingsAggregate {
			n++
			if want := `{"quotas":{"ada":2}}`; string(e.Payload) != want {
				t.Errorf("recorded %s, want %s", e.Payload, want)
			}
		}
		return nil
	}); err != nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
}
