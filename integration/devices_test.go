package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"reprise/device"
	"reprise/journal"
	"reprise/tensor"
	"reprise/training"
)

func leaseRequest(memory tensor.Bytes) LeaseRequest {
	return LeaseRequest{Kind: device.HolderVerification, Run: "run-1", Workload: device.Workload{
		Name: "w", Memory: device.MemoryRequirement{Size: memory}, Shared: true,
	}}
}

// A verification runs beside a training of the same host, whose log records its lease.
func TestAVerificationSharesTheDeviceOfATraining(t *testing.T) {
	w := newWorld(t)
	done, _ := w.train(w.request(nil), nil)
	g := newGate("gradient", 3)
	h, _, _ := w.host(func(c *HostConfig) { c.Devices = []device.Driver{&slow{w.driver, g}} })
	defer closeHost(t, h)
	defer g.lift()
	id, err := h.Start(context.Background(), w.request(nil))
	if err != nil {
		t.Fatal(err)
	}
	<-g.reached
	v := Verifier{Store: w.store, Workspace: w.workspace, Devices: h.Devices()}
	if report, err := v.Verify(context.Background(), Verification{Run: done}, w.data); err != nil || !report.Verified {
		t.Errorf("beside a training: %+v, %v", report, err)
	}
	ledger := w.recorded()
	if l := ledger.Leases(); ledger.Epoch() != 3 || len(l) != 1 || l[0].Holder != journal.HolderOf(id) {
		t.Errorf("epoch %d, leases %v", ledger.Epoch(), l)
	}
	g.lift()
	if r := rest(t, h, id); r.Session.State != training.Completed {
		t.Errorf("the training is %s: %s", r.Session.State, r.Reason)
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		t.Error(err)
	}
}

func TestLeasesShareMemoryAndNeverExceedIt(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	d := w.devices()
	free := w.driver.Describe().Memory().Available
	if _, err := d.Acquire(ctx, leaseRequest(free+1)); !errors.Is(err, device.ErrNoSuitableDevice) {
		t.Errorf("more memory than there is: %v", err)
	}
	first, err := d.Acquire(ctx, leaseRequest(free))
	if err != nil {
		t.Fatal(err)
	}
	// The next one waits for the memory, and says so.
	waits, got := make(chan string, 1), make(chan *Lease, 1)
	r := leaseRequest(1)
	r.Waiting = func(why string) { waits <- why }
	go func() {
		l, err := d.Acquire(ctx, r)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	if why := <-waits; why == "" {
		t.Error("no reason to wait")
	}
	// One that no longer wants it does not get it.
	gone, cancel := context.WithCancel(ctx)
	r.Waiting = func(string) { cancel() }
	if _, err := d.Acquire(gone, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
	if err := errors.Join(first.Release(), first.Release()); err != nil {
		t.Error(err)
	}
	if _, err := first.Backend().Allocate(1); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("after the release: %v", err)
	}
	second := <-got
	if _, err := second.Backend().Allocate(1); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := second.Backend().Allocate(1); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("after the devices were closed: %v", err)
	}
	if _, err := d.Acquire(ctx, leaseRequest(1)); !errors.Is(err, ErrDevicesClosed) {
		t.Errorf("of closed devices: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

// The start of one worker leaves what another has alone, also what waits; each recovers
// its own.
func TestAWorkerRecoversOnlyItsOwn(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	worker := func(name string) func(*HostConfig) { return func(c *HostConfig) { c.Worker = name } }
	g := newGate("gradient", 3)
	a, _, _ := w.host(func(c *HostConfig) {
		worker("a")(c)
		c.Devices = []device.Driver{&slow{w.driver, g}}
	})
	defer closeHost(t, a)
	defer g.lift()
	var ids []training.RunID
	for range 2 { // one trains, one waits
		id, err := a.Start(ctx, w.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	<-g.reached
	before := w.recorded()
	if l := before.Leases(); len(l) != 1 || l[0].Device != "a/cpu0" {
		t.Fatalf("leases %v", l)
	}
	b, _, recovery := w.host(worker("b"))
	if recovery.Leases+len(recovery.Interrupted)+len(recovery.Failed) > 0 {
		t.Errorf("b recovered %+v", recovery)
	}
	id, err := b.Start(ctx, w.request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if r := rest(t, b, id); r.Session.State != training.Completed || r.Saga.Context.Worker != "b" {
		t.Errorf("the run of b is %s on worker %q: %s", r.Session.State, r.Saga.Context.Worker, r.Reason)
	}
	closeHost(t, b)
	if now := w.recorded(); now.Epoch() != before.Epoch() || len(now.Leases()) != 1 {
		t.Errorf("a's ledger became epoch %d, %v", now.Epoch(), now.Leases())
	}
	left := copyLog(t, w.store) // as if a had died here
	runs, devices := journal.NewRunLog(left, time.Now), journal.NewDeviceLog(left, time.Now)
	if r, err := Recover(ctx, "b", runs, devices); err != nil || r.Leases+len(r.Interrupted) != 0 {
		t.Errorf("b recovers %+v, %v", r, err)
	}
	if r, err := Recover(ctx, "a", runs, devices); err != nil || r.Leases != 1 || len(r.Interrupted) != 2 {
		t.Errorf("a recovers %+v, %v", r, err)
	}
	g.lift()
	for _, id := range ids {
		if r := rest(t, a, id); r.Session.State != training.Completed {
			t.Errorf("run %s of a is %s: %s", id, r.Session.State, r.Reason)
		}
	}
	if _, err := journal.VerifyLog(ctx, w.store); err != nil {
		t.Error(err)
	}
}

func TestAHostRefusesAWorkerWithoutAProperName(t *testing.T) {
	w := newWorld(t)
	_, _, err := NewHost(context.Background(), HostConfig{Store: w.store, Worker: "a/b", Devices: []device.Driver{w.driver}})
	if !errors.Is(err, device.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}
