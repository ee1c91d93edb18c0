package servicetest

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/tensor"
	"reprise/training"
)

// endless are the settings of a run that trains until it is interrupted.
func endless() []string {
	return []string{"config.epochs=1000000", "config.checkpoint_interval=1000000"}
}

// underWay submits runs, and returns them once one of them trains: that one comes first.
// Which it is depends on whose data are open first.
func underWay(t *testing.T, s api.Service) []string {
	t.Helper()
	runs := submitted(t, s, endless()...)
	trains := ""
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: runs}) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event != nil && u.Event.Type == "training.epoch_completed.v1" {
			trains = string(u.RunID)
			break
		}
	}
	others := slices.DeleteFunc(runs, func(run string) bool { return run == trains })
	return append([]string{trains}, others...)
}

// stopRuns interrupts runs and waits until they are at rest.
func stopRuns(t *testing.T, s api.Service, runs []string) {
	t.Helper()
	if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: runs, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	for _, end := range followed(t, s, runs, nil) {
		if end.Details.State != training.Interrupted {
			t.Errorf("%+v", end.Details.Run)
		}
	}
}

func leaseFor(run string, memory tensor.Bytes) api.LeaseRequest {
	return api.LeaseRequest{Kind: device.HolderVerification, Run: run, Workload: device.Workload{
		Name: "a test", Memory: device.MemoryRequirement{Size: memory}, Shared: true,
	}}
}

// heldBy returns the leases of verifications that are in force.
func heldBy(t *testing.T, s api.Service) (list []device.Lease) {
	t.Helper()
	devices, err := s.Devices(t.Context(), api.DevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices.Devices {
		for _, l := range d.Leases {
			if strings.HasPrefix(l.Holder, string(device.HolderVerification)+"/") {
				list = append(list, l)
			}
		}
	}
	return list
}

// released waits until the log says that a lease was released.
func released(t *testing.T, s api.Service, lease device.Lease) {
	t.Helper()
	for e, err := range s.Tail(t.Context(), api.TailRequest{Type: "device.released.", After: new(eventstore.Position), Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(e.Payload), string(lease.ID)) {
			return
		}
	}
}

// leased takes a lease beside a run, and ends it in each way.
func leased(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	runs := underWay(t, s)
	for name, end := range map[string]func(cancel func()) bool{
		"the stream is broken off": func(func()) bool { return false },
		"ctx ends":                 func(cancel func()) bool { cancel(); return true },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var granted *device.Lease
		var last error
		for u, err := range s.Lease(ctx, leaseFor(runs[0], 64)) {
			if last = err; err != nil {
				break
			}
			if u.Granted == nil {
				continue
			}
			if granted = u.Granted; !slices.Contains(heldBy(t, s), *granted) || !granted.Shared || granted.Memory != 64 {
				t.Errorf("%s: granted %v, in force %v", name, granted, heldBy(t, s))
			}
			if !end(cancel) {
				break
			}
		}
		cancel()
		if granted == nil || last != nil && fault.KindOf(last) != fault.Canceled {
			t.Fatalf("%s: granted %v, %v", name, granted, last)
		}
		released(t, s, *granted)
		if left := heldBy(t, s); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	// What waits is told why; nobody waits for what no device has.
	devices, err := s.Devices(t.Context(), api.DevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all := devices.Devices[0].Memory.Available
	for u, err := range s.Lease(t.Context(), leaseFor(runs[0], all)) {
		if err != nil || u.Granted != nil {
			t.Fatalf("memory that a run has: %+v, %v", u, err)
		}
		if u.Waiting != "" {
			break
		}
	}
	for _, c := range []struct {
		request api.LeaseRequest
		code    api.Code
		kind    fault.Kind
	}{
		{leaseFor(runs[0], all+1), api.NoDevice, fault.Unavailable}, // others on the machine may free it
		{leaseFor(runs[0], devices.Devices[0].Memory.Total+1), api.NoDevice, fault.Invalid},
		{leaseFor("no such run", 64), api.RunNotFound, fault.NotFound},
	} {
		var e *api.Error
		for u, err := range s.Lease(t.Context(), c.request) {
			if u.Granted != nil || u.Waiting != "" {
				t.Errorf("%+v: %+v", c.request, u)
			}
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%v", err)
			}
		}
		if e == nil || e.Code != c.code || e.Fault != c.kind {
			t.Errorf("%+v: %#v", c.request, e)
		}
	}
	// A lease does not keep a service from letting go of the data directory.
	for u, err := range s.Lease(t.Context(), leaseFor(runs[0], 64)) {
		if u.Granted != nil {
			stopRuns(t, s, runs)
		}
		if err != nil && fault.KindOf(err) != fault.Unavailable {
			t.Errorf("after the runs ended: %v", err)
		}
	}
	if left := heldBy(t, s); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
