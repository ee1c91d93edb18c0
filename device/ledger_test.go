package device_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/kernel"
	"reprise/tensor"
)

// book is a ledger with its log: the host of the tests.
type book struct {
	t   testing.TB
	now device.Ledger
	log []device.Event
}

// newBook registers a device with 100 bytes and the given number of slots.
func newBook(t testing.TB, slots int) *book {
	t.Helper()
	b := &book{t: t}
	b.do(b.now.Register(devicetest.Device(t, "cpu0", 100, func(d *device.Description) { d.Slots = slots })))
	return b
}

// do applies events that were decided on, which must have succeeded.
func (b *book) do(events []device.Event, err error) []device.Event {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range events {
		b.now = b.now.Apply(e)
	}
	b.log = append(b.log, events...)
	return events
}

// acquire returns the lease that the holder gets.
func (b *book) acquire(holder string, id device.LeaseID, size tensor.Bytes) device.Lease {
	b.t.Helper()
	events := b.do(b.now.Acquire(holder, id, need(size)))
	return events[len(events)-1].(device.Leased).Lease
}

func need(size tensor.Bytes) device.Workload {
	return device.Workload{Name: "w", Memory: device.MemoryRequirement{Size: size}}
}

func TestLeaseIsGrantedCheckedAndReleased(t *testing.T) {
	b := newBook(t, 1)
	lease := b.acquire("run/1", "a", 60)
	want := device.Lease{ID: "a", Device: "cpu0", Holder: "run/1", Epoch: 1, Memory: 60}
	if lease != want || b.now.Epoch() != 1 || !reflect.DeepEqual(b.now.Leases(), []device.Lease{want}) {
		t.Errorf("lease %+v, epoch %d, leases %v", lease, b.now.Epoch(), b.now.Leases())
	}
	if d := b.now.Device(); d.Memory().Available != 40 || !reflect.DeepEqual(d.Holders(), []string{"run/1"}) {
		t.Errorf("the device has %v free, held by %q", d.Memory().Available, d.Holders())
	}
	if err := b.now.Check(lease); err != nil {
		t.Errorf("check: %v", err)
	}
	b.do(b.now.Release(lease, "done"))
	if err := b.now.Check(lease); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("check after the release: %v", err)
	}
	if d := b.now.Device(); len(b.now.Leases()) != 0 || d.Memory().Available != 100 || len(d.Holders()) != 0 {
		t.Errorf("after the release: %v, %v free, held by %q", b.now.Leases(), d.Memory().Available, d.Holders())
	}
	if last := b.log[len(b.log)-1]; last != (device.Released{Lease: lease, Reason: "done"}) {
		t.Errorf("logged %+v", last)
	}
}

func TestASecondHolderIsRefusedWithTheHoldersName(t *testing.T) {
	b := newBook(t, 1)
	b.acquire("run/1", "a", 0)
	events, err := b.now.Acquire("run/2", "b", need(0))
	var none *device.NoSuitableDeviceError
	if !errors.As(err, &none) || !none.Transient() || !strings.Contains(err.Error(), "run/1") || events != nil {
		t.Errorf("events %v, error %v", events, err)
	}
}

func TestAcquireRefusesUnsuitableWorkloads(t *testing.T) {
	for name, test := range map[string]struct {
		holder string
		id     device.LeaseID
		w      device.Workload
		want   error
	}{
		"too much memory":     {"run/1", "a", need(101), device.ErrNoSuitableDevice},
		"a missing feature":   {"run/1", "a", device.Workload{Requirements: []device.Feature{kernel.BF16}}, device.ErrNoSuitableDevice},
		"an invalid workload": {"run/1", "a", need(-1), device.ErrInvalid},
		"no holder":           {"", "a", need(1), device.ErrInvalid},
		"no id":               {"run/1", "", need(1), device.ErrInvalid},
		"another's lease id":  {"run/1", "theirs", need(1), device.ErrLeaseIDInUse},
	} {
		b := newBook(t, 2)
		b.acquire("run/0", "theirs", 0)
		if events, err := b.now.Acquire(test.holder, test.id, test.w); !errors.Is(err, test.want) || events != nil {
			t.Errorf("%s: events %v, error %v, want %v", name, events, err, test.want)
		}
	}
	if _, err := (device.Ledger{}).Acquire("run/1", "a", need(0)); !errors.Is(err, device.ErrNotRegistered) {
		t.Errorf("without a device: %v", err)
	}
}

func TestASecondLeaseOfAHolderReplacesTheFirst(t *testing.T) {
	b := newBook(t, 1)
	first := b.acquire("run/1", "a", 80)
	events := b.do(b.now.Acquire("run/1", "b", need(90))) // 80+90 would not fit
	if len(events) != 2 || events[0] != (device.Released{Lease: first, Reason: "replaced by lease b"}) {
		t.Fatalf("events %+v", events)
	}
	second := events[1].(device.Leased).Lease
	if second.Epoch != 2 || b.now.Check(second) != nil || !errors.Is(b.now.Check(first), device.ErrStaleLease) {
		t.Errorf("second %+v: %v; first: %v", second, b.now.Check(second), b.now.Check(first))
	}
	if _, err := b.now.Acquire("run/1", "c", need(101)); !errors.Is(err, device.ErrNoSuitableDevice) || b.now.Check(second) != nil {
		t.Errorf("a refused replacement (%v) cost the holder its lease: %v", err, b.now.Check(second))
	}
}

func TestTheSameLeaseIDAgainIsANewLease(t *testing.T) {
	b := newBook(t, 1)
	first := b.acquire("run/1", "a", 0)
	second := b.acquire("run/1", "a", 0)
	if second.Epoch != first.Epoch+1 {
		t.Fatalf("epochs %d, %d", first.Epoch, second.Epoch)
	}
	// The old incarnation must neither use nor end the new one's lease.
	if err := b.now.Check(first); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("check of the old: %v", err)
	}
	if events, err := b.now.Release(first, "late"); !errors.Is(err, device.ErrStaleLease) || events != nil {
		t.Errorf("release of the old: %v, %v", events, err)
	}
	if err := b.now.Check(second); err != nil {
		t.Errorf("check of the new: %v", err)
	}
}

func TestReleaseIsIdempotentEvenWhenAnotherHoldsTheDevice(t *testing.T) {
	b := newBook(t, 1)
	first := b.acquire("run/1", "a", 0)
	b.do(b.now.Release(first, "done"))
	second := b.acquire("run/2", "b", 0)
	if events, err := b.now.Release(first, "again"); events != nil || err != nil {
		t.Errorf("again: %v, %v", events, err)
	}
	if err := b.now.Check(second); err != nil {
		t.Errorf("the second holder lost its lease: %v", err)
	}
}

func TestALeaseThatWasNeverGrantedIsRefused(t *testing.T) {
	b := newBook(t, 2)
	good := b.acquire("run/1", "a", 10)
	for name, spoil := range map[string]func(*device.Lease){
		"epoch of the future": func(l *device.Lease) { l.ID, l.Epoch = "z", 2 },
		"epoch zero":          func(l *device.Lease) { l.ID, l.Epoch = "z", 0 },
		"another holder":      func(l *device.Lease) { l.Holder = "run/2" },
		"another epoch":       func(l *device.Lease) { l.Epoch = 9 },
		"more memory":         func(l *device.Lease) { l.Memory = 11 },
	} {
		bad := good
		spoil(&bad)
		if err := b.now.Check(bad); !errors.Is(err, device.ErrStaleLease) {
			t.Errorf("%s: check %v", name, err)
		}
		events, err := b.now.Release(bad, "mischief")
		var stale *device.StaleLeaseError
		if !errors.As(err, &stale) || events != nil || stale.Lease != bad || stale.Newest != 1 {
			t.Errorf("%s: release %v, %v", name, events, err)
		}
	}
	foreign := good
	foreign.Device = "gpu0"
	if err := b.now.Check(foreign); !errors.Is(err, device.ErrWrongDevice) {
		t.Errorf("check of another device's lease: %v", err)
	}
	if _, err := b.now.Release(foreign, ""); !errors.Is(err, device.ErrWrongDevice) {
		t.Errorf("release of another device's lease: %v", err)
	}
}

func TestReleaseAllLeavesNone(t *testing.T) {
	b := newBook(t, 3)
	b.acquire("run/1", "a", 10)
	second := b.acquire("run/2", "b", 10)
	b.acquire("run/3", "c", 10)
	if events := b.do(b.now.ReleaseHolder("run/2", "its actor died"), nil); len(events) != 1 || b.now.Check(second) == nil {
		t.Errorf("released %v of run/2", events)
	}
	if events := b.now.ReleaseHolder("run/2", "again"); events != nil {
		t.Errorf("released %v of run/2 again", events)
	}
	if events := b.do(b.now.ReleaseAll("recovery"), nil); len(events) != 2 || len(b.now.Leases()) != 0 {
		t.Errorf("released %v, left %v", events, b.now.Leases())
	}
	if events := b.now.ReleaseAll("again"); events != nil {
		t.Errorf("released %v again", events)
	}
	if next := b.acquire("run/1", "d", 0); next.Epoch != 4 {
		t.Errorf("after recovery the epoch is %d, want 4", next.Epoch)
	}
}

func TestAnUnhealthyDeviceLosesItsLeases(t *testing.T) {
	b := newBook(t, 2)
	lease := b.acquire("run/1", "a", 0)
	b.do(b.now.SetHealth(device.Degraded, "slow"))
	if err := b.now.Check(lease); err != nil {
		t.Errorf("degraded: %v", err)
	}
	events := b.do(b.now.SetHealth(device.Unhealthy, "self-test failed"))
	if len(events) != 2 || len(b.now.Leases()) != 0 || !errors.Is(b.now.Check(lease), device.ErrStaleLease) {
		t.Errorf("unhealthy: %v leaves %v", events, b.now.Leases())
	}
	if again := b.do(b.now.SetHealth(device.Unhealthy, "self-test failed")); again != nil {
		t.Errorf("the same condition again gave %v", again)
	}
	if _, err := b.now.Acquire("run/1", "b", need(0)); !errors.Is(err, device.ErrNoSuitableDevice) {
		t.Errorf("acquired an unhealthy device: %v", err)
	}
	b.do(b.now.SetHealth(device.Healthy, ""))
	b.acquire("run/1", "b", 0)
	if _, err := b.now.SetHealth("splendid", ""); !errors.Is(err, device.ErrInvalid) {
		t.Errorf("a health that does not exist: %v", err)
	}
	if _, err := (device.Ledger{}).SetHealth(device.Healthy, ""); !errors.Is(err, device.ErrNotRegistered) {
		t.Errorf("without a device: %v", err)
	}
}

func TestRegisteringAgain(t *testing.T) {
	b := newBook(t, 1)
	same := b.now.Device()
	if events := b.do(b.now.Register(same)); events != nil {
		t.Errorf("the same description gave %v", events)
	}
	lease := b.acquire("run/1", "a", 0)
	if events := b.do(b.now.Register(b.now.Device())); events != nil {
		t.Errorf("the same description of a leased device gave %v", events)
	}
	changes := map[string]func(*device.Description){
		"name":       func(d *device.Description) { d.Name = "other" },
		"kind":       func(d *device.Description) { d.Kind = device.OpenCL },
		"extensions": func(d *device.Description) { d.Capability.Extensions = device.Features(kernel.AVX2) },
		"memory":     func(d *device.Description) { d.Memory.Available-- },
		"health":     func(d *device.Description) { d.Health = device.Degraded },
		"note":       func(d *device.Description) { d.HealthNote = "a note" },
		"slots":      func(d *device.Description) { d.Slots = 9 },
		"units":      func(d *device.Description) { d.Units = 9 },
	}
	for name, change := range changes {
		changed := devicetest.Device(t, "cpu0", 100, change)
		if _, err := b.now.Register(changed); !errors.Is(err, device.ErrHeld) || !strings.Contains(err.Error(), "run/1") {
			t.Errorf("%s changed under a lease: %v", name, err)
		}
	}
	b.do(b.now.Release(lease, "done"))
	for name, change := range changes {
		before := b.now
		if events := b.do(b.now.Register(devicetest.Device(t, "cpu0", 100, change))); len(events) != 1 || b.now.Epoch() != 1 {
			t.Errorf("%s changed: %v, epoch %d", name, events, b.now.Epoch())
		}
		b.now = before
	}
	if _, err := b.now.Register(devicetest.Device(t, "cpu1", 100)); !errors.Is(err, device.ErrWrongDevice) {
		t.Errorf("another device: %v", err)
	}
	if _, err := b.now.Register(device.Device{}); !errors.Is(err, device.ErrInvalid) {
		t.Errorf("no device: %v", err)
	}
}

func TestApplyLeavesTheOldStateAlone(t *testing.T) {
	b := newBook(t, 4)
	b.acquire("run/1", "a", 10)
	b.acquire("run/2", "b", 10)
	b.acquire("run/3", "c", 10) // slices grow to 4: there is room after the third
	before := b.now
	want := before.Leases()
	// Two futures of one state: with shared memory the second would overwrite
	// what the first appended.
	one := before.Apply(device.Leased{Lease: device.Lease{ID: "d", Device: "cpu0", Holder: "run/4", Epoch: 4}})
	two := before.Apply(device.Leased{Lease: device.Lease{ID: "e", Device: "cpu0", Holder: "run/5", Epoch: 4}})
	before.Apply(device.Released{Lease: want[0]})
	if !reflect.DeepEqual(before.Leases(), want) || one.Leases()[3].ID != "d" || two.Leases()[3].ID != "e" {
		t.Errorf("before %v, one %v, two %v", before.Leases(), one.Leases(), two.Leases())
	}
}

// A log that these rules could not have written is detected when it is read.
func TestReplayFindsContradictions(t *testing.T) {
	b := newBook(t, 2)
	a := b.acquire("run/1", "a", 60)
	good := b.log
	with := func(change func(*device.Lease)) device.Event {
		l := device.Lease{ID: "b", Device: "cpu0", Holder: "run/2", Epoch: 2, Memory: 40}
		change(&l)
		return device.Leased{Lease: l}
	}
	other := devicetest.Device(t, "cpu1", 1).Description()
	broken := devicetest.Device(t, "cpu0", 1).Description()
	broken.Kind = "abacus"
	for name, bad := range map[string]device.Event{
		"an epoch again":                 with(func(l *device.Lease) { l.Epoch = 1 }),
		"epoch zero":                     with(func(l *device.Lease) { l.Epoch = 0 }),
		"an id in force":                 with(func(l *device.Lease) { l.ID = "a" }),
		"a holder with a lease":          with(func(l *device.Lease) { l.Holder = "run/1" }),
		"no holder":                      with(func(l *device.Lease) { l.Holder = "" }),
		"more memory than is free":       with(func(l *device.Lease) { l.Memory = 41 }),
		"negative memory":                with(func(l *device.Lease) { l.Memory = -1 }),
		"a lease of another device":      with(func(l *device.Lease) { l.Device = "cpu1" }),
		"a release of nothing":           device.Released{Lease: device.Lease{ID: "z", Device: "cpu0"}},
		"a release of another epoch":     device.Released{Lease: device.Lease{ID: a.ID, Device: a.Device, Holder: a.Holder, Epoch: 7, Memory: a.Memory}},
		"another device":                 device.Registered{Device: other},
		"an invalid description":         device.Registered{Device: broken},
		"a new description under leases": device.Registered{Device: b.now.Device().Description()},
		"another device's health":        device.HealthChanged{Device: "cpu1", Health: device.Healthy},
		"an invalid health":              device.HealthChanged{Device: "cpu0", Health: "splendid"},
		"unhealthy with leases":          device.HealthChanged{Device: "cpu0", Health: device.Unhealthy},
		"nothing":                        nil,
	} {
		if _, err := device.Replay(append(good[:len(good):len(good)], bad)); !errors.Is(err, device.ErrContradiction) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := device.Replay(append(good[:len(good):len(good)], with(func(*device.Lease) {}))); err != nil {
		t.Errorf("the lease that all of these build on: %v", err)
	}
	if _, err := device.Replay(good[1:]); !errors.Is(err, device.ErrContradiction) {
		t.Errorf("a log without its beginning: %v", err)
	}
	full := newBook(t, 1)
	full.acquire("run/1", "a", 0)
	if _, err := device.Replay(append(full.log, with(func(*device.Lease) {}))); !errors.Is(err, device.ErrContradiction) {
		t.Errorf("a lease beyond the slots: %v", err)
	}
	sick := newBook(t, 1)
	sick.do(sick.now.SetHealth(device.Unhealthy, ""))
	if _, err := device.Replay(append(sick.log, with(func(l *device.Lease) { l.Epoch = 1 }))); !errors.Is(err, device.ErrContradiction) {
		t.Errorf("a lease of an unhealthy device: %v", err)
	}
}

func TestApplyPanicsOnABrokenInvariant(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, device.ErrContradiction) {
			t.Errorf("recovered %v", err)
		}
	}()
	device.Ledger{}.Apply(device.Leased{})
}

// Events are kept in the log, so their names and JSON forms are a format.
func TestEventsKeepTheirNamesAndJSONForm(t *testing.T) {
	lease := device.Lease{ID: "a", Device: "cpu0", Holder: "run/1", Epoch: 3, Memory: 5}
	shared := lease
	shared.Shared = true
	for _, test := range []struct {
		event      device.Event
		name, json string
		back       func([]byte) (device.Event, error)
	}{
		{device.Registered{Device: device.Description{ID: "cpu0"}}, "device.registered.v1",
			`{"device":{"id":"cpu0","name":"","kind":"","capability":{"major":0,"minor":0},"memory":{"total":0,"available":0},"health":"","slots":0,"units":0}}`,
			decode[device.Registered]},
		{device.Leased{Lease: lease}, "device.leased.v1",
			`{"lease":{"id":"a","device":"cpu0","holder":"run/1","epoch":3,"memory":5}}`, decode[device.Leased]},
		{device.Leased{Lease: shared}, "device.leased.v1",
			`{"lease":{"id":"a","device":"cpu0","holder":"run/1","epoch":3,"memory":5,"shared":true}}`, decode[device.Leased]},
		{device.Released{Lease: lease, Reason: "done"}, "device.released.v1",
			`{"lease":{"id":"a","device":"cpu0","holder":"run/1","epoch":3,"memory":5},"reason":"done"}`, decode[device.Released]},
		{device.HealthChanged{Device: "cpu0", Health: device.Unhealthy, Note: "x"}, "device.health_changed.v1",
			`{"device":"cpu0","health":"unhealthy","note":"x"}`, decode[device.HealthChanged]},
	} {
		payload, err := json.Marshal(test.event)
		if err != nil || string(payload) != test.json || test.event.EventType() != test.name {
			t.Errorf("%s %s\nwant %s %s (%v)", test.event.EventType(), payload, test.name, test.json, err)
		}
		if back, err := test.back(payload); err != nil || !reflect.DeepEqual(back, test.event) {
			t.Errorf("%s came back as %+v, %v", test.name, back, err)
		}
	}
}

func decode[E device.Event](payload []byte) (device.Event, error) {
	var e E
	err := json.Unmarshal(payload, &e)
	return e, err
}

func TestGuardChecksThePublishedLedger(t *testing.T) {
	b := newBook(t, 1)
	lease := b.acquire("run/1", "a", 0)
	var guard device.Guard
	if err := guard.Check(lease); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("before anything is published: %v", err)
	}
	guard.Publish(b.now)
	if err := guard.Check(lease); err != nil {
		t.Errorf("in force: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = guard.Check(lease) }); n != 0 {
		t.Errorf("a check that agrees allocates %v times", n)
	}
	b.do(b.now.ReleaseAll("recovery"), nil)
	if err := guard.Check(lease); err != nil {
		t.Errorf("released but not yet published: %v", err)
	}
	guard.Publish(b.now)
	if err := guard.Check(lease); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("released: %v", err)
	}
}
