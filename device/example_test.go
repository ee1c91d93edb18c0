package device_test

import (
	"errors"
	"fmt"

	"reprise/device"
	"reprise/kernel"
	"reprise/tensor"
)

// A scheduler picks a device, its ledger grants a lease, and a check of the lease
// fails once the device has been released or leased again.
func Example() {
	cpu, _ := device.New(device.Description{
		ID: "cpu0", Name: "Example CPU", Kind: device.CPU, Health: device.Healthy,
		Capability: device.ComputeCapability{Extensions: device.Features(kernel.FMA)},
		Memory:     device.MemoryInfo{Total: 4 * tensor.GiB, Available: 4 * tensor.GiB},
	})
	devices := device.NewMemoryRepository()
	_ = devices.Save(cpu)
	scheduler := device.NewKernelScheduler(devices, func() device.InstanceID { return "instance-1" })

	work := device.Workload{
		Name:         "train",
		Requirements: []device.Feature{kernel.FMA},
		Memory:       device.MemoryRequirement{Size: tensor.GiB},
	}
	instance, err := scheduler.Schedule(work, device.SchedulingPreferences{})
	fmt.Println(instance.Device().ID(), instance.State(), err)

	// The ledger decides; the host records the events and applies them.
	ledger := device.Ledger{}
	apply := func(events []device.Event, err error) {
		if err != nil {
			fmt.Println(err)
		}
		for _, e := range events {
			ledger = ledger.Apply(e)
		}
	}
	apply(ledger.Register(cpu))
	apply(ledger.Acquire("run/a", "lease-1", work))
	lease := ledger.Leases()[0]
	fmt.Println(lease, ledger.Check(lease))
	apply(ledger.Acquire("run/b", "lease-2", work))

	apply(ledger.Release(lease, "the run is complete"))
	fmt.Println(errors.Is(ledger.Check(lease), device.ErrStaleLease))
	// Output:
	// cpu0 ready <nil>
	// lease lease-1 of run/a on cpu0 (epoch 1) <nil>
	// no suitable device for "train": cpu0: 1 of 1 slots are in use, by run/a
	// true
}

// Every use of a fenced backend is checked against the lease first.
func ExampleFence() {
	cpu, _ := device.New(device.Description{ID: "cpu0", Kind: device.CPU, Health: device.Healthy})
	events, _ := device.Ledger{}.Register(cpu)
	ledger := device.Ledger{}.Apply(events[0])
	events, _ = ledger.Acquire("run/a", "lease-1", device.Workload{})
	ledger = ledger.Apply(events[0])
	lease := ledger.Leases()[0]

	var guard device.Guard // the ledger's owner publishes, every holder checks
	guard.Publish(ledger)
	backend := device.Fence(&recorder{}, func() error { return guard.Check(lease) })
	_, err := backend.Allocate(16)
	fmt.Println(err)

	events = ledger.ReleaseAll("the process died")
	guard.Publish(ledger.Apply(events[0]))
	_, err = backend.Allocate(16)
	fmt.Println(err)
	// Output:
	// <nil>
	// allocate 16 elements: stale lease: lease lease-1 of run/a on cpu0 (epoch 1) has been released; the newest epoch is 1: acquire the device again
}
