package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/kernel"
	"reprise/queue"
	"reprise/tensor"
	"reprise/training"
)

// decisions returns those in the log, oldest first.
func decisions(t *testing.T, store eventstore.Store) []journal.QueueDecided {
	t.Helper()
	var all []journal.QueueDecided
	var replay journal.QueueReplay
	if _, err := eventstore.Walk(context.Background(), store, 0, eventstore.End, func(e eventstore.Event) error {
		if e.Aggregate != journal.QueueAggregate {
			return nil
		}
		event, err := journal.EventOf(e)
		if err != nil {
			return err
		}
		d, err := replay.Apply(event.(journal.QueueEvent))
		all = append(all, d)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// untilWaiting returns when the newest decision is that exactly these runs wait.
func (w *world) untilWaiting(ids ...training.RunID) {
	w.t.Helper()
	w.untilPending(func(now []training.RunID) bool { return reflect.DeepEqual(now, ids) })
}

// untilAllWait is untilWaiting for runs in any order.
func (w *world) untilAllWait(ids ...training.RunID) {
	w.t.Helper()
	ids = slices.Sorted(slices.Values(ids))
	w.untilPending(func(now []training.RunID) bool { return slices.Equal(slices.Sorted(slices.Values(now)), ids) })
}

func (w *world) untilPending(reached func(now []training.RunID) bool) {
	w.t.Helper()
	for {
		var now []training.RunID
		if all := decisions(w.t, w.store); len(all) > 0 {
			for _, p := range all[len(all)-1].Decision.Pending {
				now = append(now, training.RunID(p.Job))
			}
		}
		if reached(now) {
			return
		}
		runtime.Gosched()
	}
}

// untilPreempted returns when it was decided that a run has to give way.
func (w *world) untilPreempted() {
	for !slices.ContainsFunc(decisions(w.t, w.store), func(d journal.QueueDecided) bool {
		return slices.ContainsFunc(d.Decision.Placed, func(p queue.Placement) bool { return len(p.Preempt) > 0 })
	}) {
		runtime.Gosched()
	}
}

// holdAt returns a fault that holds the first run that gets there at a step.
func holdAt(step uint64) (fault func(training.RunID, uint64), reached, resume chan struct{}) {
	reached, resume = make(chan struct{}), make(chan struct{})
	var first sync.Once
	return func(_ training.RunID, at uint64) {
		if at == step {
			first.Do(func() {
				close(reached)
				<-resume
			})
		}
	}, reached, resume
}

func TestDecisionsAreRecordedAndCanBeMadeAgain(t *testing.T) {
	w := newWorld(t)
	fault, reached, resume := holdAt(6)
	h, _, ids := w.crowd(3, func(c *HostConfig) { c.Fault = fault })
	<-reached
	w.untilWaiting(ids[1:]...)
	close(resume)
	for _, id := range ids {
		rest(t, h, id)
	}
	closeHost(t, h)
	var told []string
	for _, d := range decisions(t, w.store) {
		if what := d.Check(); what != "" {
			t.Error(what)
		}
		for _, p := range d.Decision.Placed {
			told = append(told, fmt.Sprintf("%s on %s", p.Job, p.On))
		}
		for _, p := range d.Decision.Pending {
			why := d.Decision.Why(p)
			if len(why) != 1 || why[0].Code != queue.CodeBusy {
				t.Errorf("%s waits for %+v", p.Job, why)
			}
		}
	}
	want := []string{}
	for _, id := range ids {
		want = append(want, fmt.Sprintf("%s on [cpu0]", id))
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("placed %q, want %q", told, want)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

// A run that is interrupted while it waits is out of the queue: nothing is granted to it
// any more.
func TestARunThatIsInterruptedWhileItWaitsLeavesTheQueue(t *testing.T) {
	want := references(t, 3)
	w := newWorld(t)
	fault, reached, resume := holdAt(6)
	h, _, ids := w.crowd(3, func(c *HostConfig) { c.Fault = fault })
	<-reached
	w.untilWaiting(ids[1:]...)
	h.Interrupt(ids[1], "Ctrl-C")
	r := rest(t, h, ids[1]) // although the device is not free
	if r.Session.State != training.Interrupted || r.Reason != "Ctrl-C" || len(r.Saga.Context.AllocatedDevices) > 0 {
		t.Errorf("state %s, reason %q, holding %v", r.Session.State, r.Reason, r.Saga.Context.AllocatedDevices)
	}
	w.untilWaiting(ids[2])
	close(resume)
	sameOutcome(t, rest(t, h, ids[0]), want[0])
	sameOutcome(t, rest(t, h, ids[2]), want[2])
	if got := w.holders(); fmt.Sprint(got) != fmt.Sprint([]training.RunID{ids[0], ids[2]}) {
		t.Errorf("the device went to %v", got)
	}
	closeHost(t, h)
	w.checkReleased(r)
	sameOutcome(t, w.resume(ids[1], nil), want[1])
}

func TestADecisionThatDiffersInNothingIsNotRecordedAgain(t *testing.T) {
	store := memory.New()
	log := journal.QueueLog{Store: store, Now: time.Now}
	snapshot := longJobs(3)
	ctx := context.Background()
	for range 3 {
		snapshot.Now += time.Second
		if err := log.Record(ctx, snapshot, queue.Plan(&snapshot)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(decisions(t, store)); n != 1 {
		t.Errorf("%d decisions, want 1", n)
	}
	snapshot.Jobs = snapshot.Jobs[:2]
	if err := log.Record(ctx, snapshot, queue.Plan(&snapshot)); err != nil {
		t.Fatal(err)
	}
	snapshot.Jobs = nil
	if err := log.Record(ctx, snapshot, queue.Plan(&snapshot)); err != nil { // decides nothing
		t.Fatal(err)
	}
	if n := len(decisions(t, store)); n != 2 {
		t.Errorf("%d decisions, want 2", n)
	}
}

// longJobs has a run that runs and others that wait, all with names and figures as
// long as they can be.
func longJobs(n int) queue.Snapshot {
	const long = time.Duration(1<<62 - 1)
	id := device.ID("cpu0")
	s := queue.Snapshot{Policy: queue.DefaultPolicy(), Devices: []queue.Device{{ID: id, Description: device.Description{
		ID: id, Kind: device.CPU, Capability: device.ComputeCapability{Extensions: device.Features(kernel.FMA)},
		Memory: device.MemoryInfo{Total: 1 << 62, Available: 1 << 62}, Health: device.Healthy, Slots: 1, Units: 1,
	}}}}
	for i := range n {
		j := queue.Entry{
			ID: queue.JobID(fmt.Sprintf("%064d", i)), Submitted: long, Served: long / 2, Waited: time.Minute, Remaining: long,
			Need: queue.Need{Features: []device.Feature{kernel.FMA}, Memory: device.MemoryRequirement{Size: tensor.Bytes(1 << 61), Alignment: 64}},
		}
		if i == 0 {
			j.On, j.Since = []device.ID{id}, time.Second
		}
		s.Jobs = append(s.Jobs, j)
	}
	return s
}

func TestADecisionAboutAsManyRunsAsAHostTakesFitsInAnEvent(t *testing.T) {
	store := memory.New()
	log := journal.QueueLog{Store: store, Now: time.Now}
	// Starts at the same time may pass the limit together.
	snapshot := longJobs(MaxRuns + 100)
	for i := range 100 {
		d := snapshot.Devices[0]
		d.ID = device.ID(fmt.Sprintf("%s%064d", d.ID, i))
		d.Description.ID, d.Description.Name = d.ID, strings.Repeat("x", 64)
		snapshot.Devices = append(snapshot.Devices, d)
	}
	for i := range 100 {
		snapshot.Jobs[i].On = []device.ID{snapshot.Devices[i+1].ID}
	}
	snapshot.Devices = snapshot.Devices[1:]
	if err := log.Record(context.Background(), snapshot, queue.Plan(&snapshot)); err != nil {
		t.Fatal(err)
	}
	all := decisions(t, store)
	if len(all) != 1 || len(all[0].Decision.Pending) != MaxRuns || all[0].Check() != "" {
		t.Errorf("%d decisions", len(all))
	}
}

func TestAHostThatIsFullRefusesARunAndRecordsNothingOfIt(t *testing.T) {
	w := newWorld(t)
	h, _, _ := w.host(nil)
	defer closeHost(t, h)
	h.mu.Lock()
	for i := range MaxRuns {
		h.runs[training.RunID(fmt.Sprint("other-", i))] = &hosted{done: make(chan struct{})}
	}
	h.mu.Unlock()
	_, err := h.Start(context.Background(), w.request(nil))
	if !errors.Is(err, ErrTooManyRuns) || !strings.Contains(err.Error(), "1000 runs train or wait") {
		t.Errorf("%v", err)
	}
	h.mu.Lock()
	clear(h.runs)
	h.mu.Unlock()
	if runs, err := journal.ReadRuns(context.Background(), w.store); err != nil || len(runs.Runs) != 0 {
		t.Errorf("%d runs are recorded, %v", len(runs.Runs), err)
	}
}

func TestAnExplanationFollowsFromTheRecordedDecision(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	fault, reached, resume := holdAt(6)
	h, _, ids := w.crowd(3, func(c *HostConfig) { c.Fault = fault })
	<-reached
	w.untilWaiting(ids[1:]...)
	x, ok, err := journal.ExplainRun(ctx, w.store, ids[2])
	if err != nil || !ok || x.Outcome != "waiting" || x.Place != 2 || !x.Again || len(x.Reasons) != 1 || x.Reasons[0].Code != queue.CodeBusy {
		t.Errorf("%+v, %v, %v", x, ok, err)
	}
	if len(x.Holders) != 1 || x.Holders[0].RunID != ids[0] || x.Holders[0].Remaining <= 0 {
		t.Errorf("holders %+v", x.Holders)
	}
	if !slices.Equal(x.Ahead, ids[1:2]) {
		t.Errorf("ahead of it are %v, want %v", x.Ahead, ids[1:2])
	}
	if second, _, err := journal.ExplainRun(ctx, w.store, ids[1]); err != nil || second.Start == nil || *second.Start != x.Holders[0].Remaining {
		t.Errorf("probable start %v, %v", second.Start, err)
	}
	close(resume)
	for i, id := range ids {
		rest(t, h, id)
		x, ok, err := journal.ExplainRun(ctx, w.store, id)
		if err != nil || !ok || x.Outcome != "placed" || x.On[0] != "cpu0" || x.HadToWait != (i > 0) || !x.Again {
			t.Errorf("run %d: %+v, %v, %v", i, x, ok, err)
		}
	}
	closeHost(t, h)
	if x, ok, err := journal.ExplainRun(ctx, w.store, "unknown"); ok || err != nil {
		t.Errorf("%+v, %v", x, err)
	}
}

// A run that gives way after every few steps ends with the bits that it has undisturbed.
func TestRunsThatGiveWayEndWithTheBitsThatTheyHaveAlone(t *testing.T) {
	want := references(t, 3)
	w := newWorld(t)
	var clock atomic.Int64
	var first sync.Once
	h, j, ids := w.crowd(3, func(c *HostConfig) {
		// The first run does not end before it has to give way.
		c.Fault = func(_ training.RunID, step uint64) {
			if step == 6 {
				first.Do(w.untilPreempted)
			}
		}
		// Each look at the clock takes a second, and a run is at the next level after
		// eight of them.
		c.Now = func() time.Time { return time.Unix(1e9+clock.Add(1), 0) }
		c.Queue = &queue.Policy{Order: queue.OrderAttained, Preempt: true, Quantum: time.Second,
			Levels: []time.Duration{8 * time.Second, 60 * time.Second}}
	})
	gaveWay := 0
	for i, id := range ids {
		r := rest(t, h, id)
		if r.Session.State != training.Completed {
			t.Errorf("%s is %s: %s", id, r.Session.State, r.Reason)
		}
		gaveWay += r.Interruptions
		sameOutcome(t, r, want[i])
		verify(t, w, r)
	}
	if gaveWay == 0 || j.count("training.training_resumed.v1") != gaveWay {
		t.Errorf("gave way %d times, resumed %d times", gaveWay, j.count("training.training_resumed.v1"))
	}
	closeHost(t, h)
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}
