package integration

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/training"
)

// ailing is a device whose self-test can be made to fail.
type ailing struct {
	device.Driver
	ill, tested atomic.Bool
}

func (d *ailing) SelfTest() error {
	if d.tested.Store(true); d.ill.Load() {
		return errors.New("self-test of the memory: a stuck bit")
	}
	return d.Driver.SelfTest()
}

func (d *ailing) Describe() device.Device {
	described := d.Driver.Describe()
	if !d.tested.Load() || !d.ill.Load() {
		return described
	}
	sick, err := described.WithHealth(device.Unhealthy, "self-test of the memory: a stuck bit")
	if err != nil {
		panic(err)
	}
	return sick
}

// recorded returns the device's ledger as it stands in the log; the zero Ledger
// before the device is registered.
func (w *world) recorded() device.Ledger {
	w.t.Helper()
	state, err := journal.StateAt(context.Background(), w.store, eventstore.End)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(state.Devices) == 0 {
		return device.Ledger{}
	}
	return state.Devices[0].Ledger
}

func TestADeviceThatFailsItsSelfTestIsNotLeased(t *testing.T) {
	w := newWorld(t)
	sick := &ailing{Driver: w.driver}
	sick.ill.Store(true)
	r, _ := w.train(w.request(nil), func(c *HostConfig) { c.Devices = []device.Driver{sick} })
	if !strings.Contains(r.Reason, "a stuck bit") {
		t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
	}
	ledger := w.recorded()
	if health, note := ledger.Device().Health(); health != device.Unhealthy || !strings.Contains(note, "a stuck bit") {
		t.Errorf("recorded health %s: %s", health, note)
	}
	if ledger.Epoch() != 0 {
		t.Errorf("%d leases were granted", ledger.Epoch())
	}
}

func TestADeviceThatBecomesUnhealthyLosesItsLease(t *testing.T) {
	w := newWorld(t)
	sick := &ailing{Driver: w.driver}
	h, _, _ := w.host(func(c *HostConfig) { c.Devices = []device.Driver{sick} })
	defer closeHost(t, h)
	endless := func(h *training.Hyperparameters) { h.Epochs = 1_000_000 }
	start := func() training.RunID {
		id, err := h.Start(context.Background(), w.request(endless))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := start()
	for w.recorded().Epoch() == 0 { // until it has the lease
		runtime.Gosched()
	}
	sick.ill.Store(true)
	// A second run's request causes the device to be tested.
	second := start()
	for _, id := range []training.RunID{first, second} {
		r := rest(t, h, id)
		if r.Session.State == training.Completed || !strings.Contains(r.Reason, "a stuck bit") {
			t.Errorf("run %s is %s: %q", id, r.Session.State, r.Reason)
		}
	}
	ledger := w.recorded()
	if health, _ := ledger.Device().Health(); health != device.Unhealthy || len(ledger.Leases()) != 0 {
		t.Errorf("health %s, leases %v", health, ledger.Leases())
	}
}
