package device_test

import (
	"errors"
	"testing"

	"reprise/device"
)

func TestHoldersAreFoundByTheirNames(t *testing.T) {
	for name, want := range map[string]device.Holder{
		"run/a":             {Kind: device.HolderRun, Subject: "a"},
		"verification/a/1":  {Kind: device.HolderVerification, Subject: "a", Instance: "1"},
		"generation/a-b/x2": {Kind: device.HolderGeneration, Subject: "a-b", Instance: "x2"},
	} {
		if got, ok := device.ParseHolder(name); !ok || got != want || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", "run", "run/", "run/a/1", "a", "verification/a", "verification/a/", "verification//1", "generation/a/1/2", "king/a", "/a",
	} {
		if h, ok := device.ParseHolder(name); ok || !errors.Is(h.Validate(), device.ErrInvalid) {
			t.Errorf("%q is the name of %+v", name, h)
		}
	}
}

func TestASharedLeaseTakesMemoryAndNoSlot(t *testing.T) {
	b := newBook(t, 1)
	shared := need(30)
	shared.Shared = true
	b.do(b.now.Acquire("run/1", "a", need(30)))
	b.do(b.now.Acquire("verification/1/x", "b", shared))
	if leases := b.now.Leases(); len(leases) != 2 || leases[0].Shared || !leases[1].Shared || b.now.Check(leases[1]) != nil {
		t.Fatalf("leases %+v", leases)
	}
	if free := b.now.Device().Memory().Available; free != 40 {
		t.Errorf("%d bytes are free, want 40", free)
	}
	if _, err := b.now.Acquire("run/2", "c", need(1)); !errors.Is(err, device.ErrNoSuitableDevice) {
		t.Errorf("a second lease that is not shared: %v", err)
	}
	large := need(41)
	large.Shared = true
	if _, err := b.now.Acquire("generation/1/y", "d", large); !errors.Is(err, device.ErrNoSuitableDevice) {
		t.Errorf("more memory than is free: %v", err)
	}
	over := device.Leased{Lease: device.Lease{ID: "e", Device: "cpu0", Holder: "generation/1/y", Epoch: 3, Memory: 41, Shared: true}}
	if _, err := b.now.ApplyRecorded(over); !errors.Is(err, device.ErrContradiction) {
		t.Errorf("a recorded lease of more memory than is free: %v", err)
	}
	b.do(b.now.Release(b.now.Leases()[0], "done"))
	b.do(b.now.Acquire("run/2", "f", need(1)))
}
