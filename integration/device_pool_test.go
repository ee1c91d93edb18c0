package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// handDriver runs actors when a test says so, on a clock that only a test moves.
type handDriver struct {
	now    time.Time
	steps  []func()
	timers []*handTimer
}

type handTimer struct {
	at      time.Time
	action  func()
	stopped bool
}

func (d *handDriver) Run(step func()) { d.steps = append(d.steps, step) }

func (d *handDriver) AfterFunc(after time.Duration, action func()) func() bool {
	t := &handTimer{at: d.now.Add(after), action: action}
	d.timers = append(d.timers, t)
	return func() bool {
		ran := t.stopped
		t.stopped = true
		return !ran
	}
}

// settle runs the actors until they wait.
func (d *handDriver) settle() {
	for len(d.steps) > 0 {
		step := d.steps[0]
		d.steps = d.steps[1:]
		step()
	}
}

// pass lets a time pass, timer by timer.
func (d *handDriver) pass(by time.Duration) {
	for end := d.now.Add(by); ; {
		d.settle()
		var next *handTimer
		for _, t := range d.timers {
			if !t.stopped && !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			d.now = end
			return
		}
		d.now, next.stopped = next.at, true
		next.action()
	}
}

// askers is a device pool, and runs that ask it for a device and do nothing with it.
type askers struct {
	*handDriver
	t      *testing.T
	store  eventstore.Store
	system *actor.System
	pool   *devicePool
	ref    actor.Ref[deviceMessage]
	told   map[training.RunID][]RunMessage
}

type asker struct {
	id training.RunID
	of *askers
}

func (a asker) Receive(_ *actor.Context[RunMessage], m RunMessage) error {
	a.of.told[a.id] = append(a.of.told[a.id], m)
	return nil
}

func newAskers(t *testing.T, policy queue.Policy) *askers {
	t.Helper()
	w := newWorld(t)
	a := &askers{handDriver: &handDriver{now: time.Unix(1e9, 0)}, t: t, store: w.store, told: map[training.RunID][]RunMessage{}}
	clock := func() time.Time { return a.now }
	var err error
	if a.system, err = actor.NewSystem(actor.Config{Now: clock, Driver: a.handDriver}); err != nil {
		t.Fatal(err)
	}
	drivers := []device.Driver{w.driver}
	guards, waiting := newGuards(drivers), newRunQueue("", &queueRules{policy: policy}, w.store, clock)
	a.ref, err = actor.Spawn(a.system.Root(), actor.Spec[deviceMessage]{Name: "devices", New: func() actor.Actor[deviceMessage] {
		a.pool = newDevicePool(journal.NewDeviceLog(w.store, clock), drivers, guards, waiting, func() string { return fmt.Sprint("id-", w.ids.Add(1)) })
		return a.pool
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.settle()
	return a
}

// ask makes a run ask for a device.
func (a *askers) ask(id training.RunID) {
	a.t.Helper()
	ref, err := actor.Spawn(a.system.Root(), actor.Spec[RunMessage]{Name: string(id), New: func() actor.Actor[RunMessage] { return asker{id, a} }})
	if err != nil {
		a.t.Fatal(err)
	}
	a.tell(acquireDevice{Request: 1, Holder: runHolder(id), Submitted: a.now, Answer: toRun(ref), Progress: &runProgress{},
		Workload: device.Workload{Memory: device.MemoryRequirement{Size: 1 << 10, Alignment: 64}}})
}

func (a *askers) tell(m deviceMessage) {
	a.t.Helper()
	if err := a.ref.Tell(m); err != nil {
		a.t.Fatal(err)
	}
	a.settle()
}

func (a *askers) granted(id training.RunID) bool {
	return slices.ContainsFunc(a.told[id], func(m RunMessage) bool { _, ok := m.(leaseGranted); return ok })
}

func TestRunsThatJoinTheQueueAtOnceTakeFewDecisions(t *testing.T) {
	a := newAskers(t, queue.DefaultPolicy())
	const n = 300
	for i := range n {
		a.ask(training.RunID(fmt.Sprintf("run-%03d", i)))
	}
	// The first is placed, the second is told at once that it waits.
	all := decisions(t, a.store)
	if len(all) != 2 || len(all[0].Decision.Placed) != 1 || len(all[1].Decision.Pending) != 1 {
		t.Fatalf("%d decisions about runs that came at once", len(all))
	}
	a.pass(gatherInterval)
	all = decisions(t, a.store)
	if len(all) != 3 || len(all[2].Decision.Pending) != n-1 {
		t.Fatalf("%d decisions %v later", len(all), gatherInterval)
	}
	x, ok, err := journal.ExplainRun(context.Background(), a.store, "run-299")
	if err != nil || !ok || x.Outcome != "waiting" || x.Place != n-1 || !x.Again {
		t.Errorf("%+v, %v, %v", x, ok, err)
	}
	// A device that is free is given away at once, however short a time ago the last decision was made.
	a.ask("late")
	a.tell(forgetHolder{Holder: runHolder("run-000")})
	if !a.granted("run-001") {
		t.Error("the device is free, and nobody has it")
	}
}

// Who is promoted depends on the time, whether or not anybody has to give way.
func TestRunsThatWaitAreDecidedAboutAsTimePassesWithoutPreemption(t *testing.T) {
	a := newAskers(t, queue.Policy{Patience: 10 * time.Minute})
	a.ask("first")
	a.ask("second")
	before := len(decisions(t, a.store))
	a.pass(11 * time.Minute)
	all := decisions(t, a.store)
	if len(all) == before || all[len(all)-1].Snapshot.Jobs[1].Waited < 10*time.Minute {
		t.Errorf("%d decisions, %d of them as time passed", len(all), len(all)-before)
	}
}

func TestThePoolKeepsNoWorkOfALeaseThatWasTaken(t *testing.T) {
	a := newAskers(t, queue.DefaultPolicy())
	for i := range 20 {
		id := training.RunID(fmt.Sprint("run-", i))
		a.ask(id)
		if !a.granted(id) || len(a.pool.instances) != 1 {
			t.Fatalf("%s was granted a device: %v; %d are at work", id, a.granted(id), len(a.pool.instances))
		}
		a.tell(forgetHolder{Holder: runHolder(id)})
	}
	if n := len(a.pool.instances); n != 0 {
		t.Errorf("%d are at work under leases that have ended", n)
	}
}

// What is given back was completed, whoever had it; what is taken was not.
func TestAnInstanceIsCompletedByWhoeverGivesBackItsDevice(t *testing.T) {
	for _, kind := range []device.HolderKind{device.HolderRun, device.HolderVerification, device.HolderGeneration} {
		a := newAskers(t, queue.DefaultPolicy())
		holder := device.Holder{Kind: kind, Subject: "subject"}
		if kind != device.HolderRun {
			holder.Instance = "instance"
		}
		var lease device.Lease
		answer := func(_ actor.Sender, m leaseAnswer) error {
			if granted, ok := m.(leaseGranted); ok {
				lease = granted.Lease
			}
			return nil
		}
		a.tell(acquireDevice{Request: 1, Holder: holder, Submitted: a.now, Answer: answer, Progress: &runProgress{},
			Workload: device.Workload{Memory: device.MemoryRequirement{Size: 1 << 10, Alignment: 64}}})
		instance := a.pool.instances[lease.ID]
		if instance == nil {
			t.Fatalf("a %s got no device", kind)
		}
		a.tell(releaseDevice{Request: 2, Holder: holder, Allocation: allocationOf(lease), Answer: nobody})
		if instance.State() != device.StateCompleted {
			t.Errorf("the work of a %s that gave back its device is %v", kind, instance.State())
		}
	}
}
