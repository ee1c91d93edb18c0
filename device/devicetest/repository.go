// Package devicetest holds the contracts of the device package as test suites:
// every device.Repository passes Repository, every device.Driver passes Driver.
//
// It is imported by tests only.
package devicetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"reprise/device"
	"reprise/kernel"
	"reprise/tensor"
)

// Device returns a healthy device for tests: a CPU with 4 threads, fp64 and
// fma, and all of its memory available. Changes are applied to its description
// before it is made.
func Device(t testing.TB, id device.ID, memory tensor.Bytes, changes ...func(*device.Description)) device.Device {
	t.Helper()
	description := device.Description{
		ID: id, Name: "device " + string(id), Kind: device.CPU, Units: 4,
		Capability: device.ComputeCapability{Extensions: device.Features(kernel.FP64, kernel.FMA)},
		Memory:     device.MemoryInfo{Total: memory, Available: memory},
		Health:     device.Healthy,
	}
	for _, change := range changes {
		change(&description)
	}
	d, err := device.New(description)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Repository tests a device.Repository; empty returns a new one without
// devices.
func Repository(t *testing.T, empty func(t *testing.T) device.Repository) {
	small := func(t *testing.T) device.Device { return Device(t, "b", tensor.GiB) }
	large := func(t *testing.T) device.Device { return Device(t, "a", 8*tensor.GiB) }
	sick := func(t *testing.T) device.Device {
		return Device(t, "c", 8*tensor.GiB, func(d *device.Description) { d.Health = device.Unhealthy })
	}
	for name, test := range map[string]func(*testing.T, device.Repository){
		"an empty repository has nothing and says so without an error": func(t *testing.T, r device.Repository) {
			wantIDs(t, list(t, r))
			wantIDs(t, find(t, r, device.Workload{}))
			if d, ok := r.GetByID("a"); ok || d.ID() != "" {
				t.Errorf("GetByID gave %v, %v", d.ID(), ok)
			}
		},
		"devices come back ordered by id": func(t *testing.T, r device.Repository) {
			save(t, r, sick(t), small(t), large(t))
			wantIDs(t, list(t, r), "a", "b", "c")
			wantIDs(t, find(t, r, device.Workload{}), "a", "b")
		},
		"a device is found by id as it was saved": func(t *testing.T, r device.Repository) {
			save(t, r, small(t), large(t))
			d, ok := r.GetByID("b")
			if !ok || d.Name() != "device b" || d.Memory().Total != tensor.GiB || !d.Capability().Supports(kernel.FMA) {
				t.Errorf("got %+v, %v", d.Description(), ok)
			}
		},
		"only devices that can execute the workload are available": func(t *testing.T, r device.Repository) {
			save(t, r, small(t), large(t), sick(t))
			wantIDs(t, find(t, r, device.Workload{Memory: device.MemoryRequirement{Size: 2 * tensor.GiB}}), "a")
			wantIDs(t, find(t, r, device.Workload{Requirements: []device.Feature{kernel.FMA}}), "a", "b")
			wantIDs(t, find(t, r, device.Workload{Requirements: []device.Feature{kernel.TensorCores}}))
		},
		"a leased device is not available but listed": func(t *testing.T, r device.Repository) {
			save(t, r, small(t), Leased(t, large(t)))
			wantIDs(t, find(t, r, device.Workload{}), "b")
			wantIDs(t, list(t, r), "a", "b")
			if d, _ := r.GetByID("a"); !slices.Equal(d.Holders(), []string{"somebody"}) {
				t.Errorf("holders %q, want somebody", d.Holders())
			}
		},
		"saving again replaces": func(t *testing.T, r device.Repository) {
			save(t, r, small(t))
			broken, err := small(t).WithHealth(device.Unhealthy, "self-test failed")
			if err != nil {
				t.Fatal(err)
			}
			save(t, r, broken)
			wantIDs(t, list(t, r), "b")
			wantIDs(t, find(t, r, device.Workload{}))
		},
		"callers receive copies": func(t *testing.T, r device.Repository) {
			save(t, r, small(t), large(t))
			devices := list(t, r)
			devices[0].Capability().Extensions[0] = "spoiled"
			devices[0] = device.Device{}
			wantIDs(t, list(t, r), "a", "b")
			if d, _ := r.GetByID("a"); !d.Capability().Supports(kernel.FP64) || d.Capability().Supports("spoiled") {
				t.Errorf("the stored capability became %v", d.Capability())
			}
		},
		"the zero device is refused": func(t *testing.T, r device.Repository) {
			if err := r.Save(device.Device{}); err == nil {
				t.Error("saved a device without an id")
			}
			wantIDs(t, list(t, r))
		},
		"an invalid workload is refused": func(t *testing.T, r device.Repository) {
			if _, err := r.FindAvailable(device.Workload{Memory: device.MemoryRequirement{Alignment: 3}}); err == nil {
				t.Error("searched for memory aligned to 3 bytes")
			}
		},
		"concurrent use": concurrentUse,
	} {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

func concurrentUse(t *testing.T, r device.Repository) {
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			id := device.ID(fmt.Sprintf("d%d", g))
			for i := range 50 {
				if err := r.Save(Device(t, id, tensor.Bytes(i+1))); err != nil {
					t.Error(err)
				}
				if d, ok := r.GetByID(id); !ok || d.Memory().Total != tensor.Bytes(i+1) {
					t.Errorf("%s: own write %d not seen", id, i)
				}
				if _, err := r.FindAvailable(device.Workload{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	wantIDs(t, list(t, r), "d0", "d1", "d2", "d3")
}

// Leased returns the device with its first slot held by "somebody".
func Leased(t testing.TB, d device.Device) device.Device {
	t.Helper()
	registered, err := device.Ledger{}.Register(d)
	if err != nil {
		t.Fatal(err)
	}
	ledger := device.Ledger{}.Apply(registered[0])
	leased, err := ledger.Acquire("somebody", "lease-1", device.Workload{})
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Apply(leased[0]).Device()
}

func save(t *testing.T, r device.Repository, devices ...device.Device) {
	t.Helper()
	for _, d := range devices {
		if err := r.Save(d); err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, r device.Repository) []device.Device {
	t.Helper()
	devices, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	return devices
}

func find(t *testing.T, r device.Repository, w device.Workload) []device.Device {
	t.Helper()
	devices, err := r.FindAvailable(w)
	if err != nil {
		t.Fatal(err)
	}
	return devices
}

func wantIDs(t *testing.T, got []device.Device, want ...device.ID) {
	t.Helper()
	ids := make([]device.ID, len(got))
	for i, d := range got {
		ids[i] = d.ID()
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got devices %q, want %q", ids, want)
	}
}
