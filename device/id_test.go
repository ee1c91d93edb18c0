package device_test

import (
	"errors"
	"strings"
	"testing"

	"reprise/device"
	"reprise/device/devicetest"
)

func TestADeviceIsNamedByItsWorker(t *testing.T) {
	for id, want := range map[device.ID][2]string{"cpu0": {"", "cpu0"}, "a/cpu0": {"a", "cpu0"}, "node-7.b/cuda1": {"node-7.b", "cuda1"}} {
		if id.Worker() != want[0] || id.Name() != want[1] || device.DeviceOf(want[0], want[1]) != id {
			t.Errorf("%s is device %q of worker %q, want %q", id, id.Name(), id.Worker(), want)
		}
		if d := devicetest.Device(t, id, 1); d.ID() != id {
			t.Errorf("%s became %s", id, d.ID())
		}
	}
}

func TestWorkersHaveShortPlainNames(t *testing.T) {
	for _, name := range []string{"", "a", "node-7.example_b", strings.Repeat("w", 64)} {
		if err := device.CheckWorker(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"a/b", "a b", "é", "a\n", strings.Repeat("w", 65)} {
		if err := device.CheckWorker(name); !errors.Is(err, device.ErrInvalid) {
			t.Errorf("%q: error %v", name, err)
		}
	}
}

// fixed is a driver of which only the description matters.
type fixed struct {
	device.Driver
	device device.Device
}

func (f fixed) Describe() device.Device { return f.device }

func TestADriverTakesTheNameOfItsWorker(t *testing.T) {
	bare, named := fixed{device: devicetest.Device(t, "cpu0", 7)}, fixed{device: devicetest.Device(t, "a/cpu0", 7)}
	for _, c := range []struct {
		worker string
		driver device.Driver
		want   device.ID
	}{{"", bare, "cpu0"}, {"a", bare, "a/cpu0"}, {"a", named, "a/cpu0"}} {
		d, err := device.OfWorker(c.worker, c.driver)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Describe(); got.ID() != c.want || got.Memory().Total != 7 {
			t.Errorf("worker %q: %s with %v", c.worker, got.ID(), got.Memory())
		}
	}
	for _, worker := range []string{"", "b"} {
		if _, err := device.OfWorker(worker, named); !errors.Is(err, device.ErrWrongDevice) {
			t.Errorf("worker %q was given a/cpu0: %v", worker, err)
		}
	}
	if _, err := device.OfWorker("a/b", bare); !errors.Is(err, device.ErrInvalid) {
		t.Errorf("worker a/b: %v", err)
	}
}
