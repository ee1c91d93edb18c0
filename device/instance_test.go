package device_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/device"
	"reprise/device/devicetest"
)

// move applies a transition by name.
func move(i *device.KernelInstance, t device.Transition) error {
	switch t {
	case device.TransitionLaunch:
		return i.Launch()
	case device.TransitionStart:
		return i.Start()
	case device.TransitionComplete:
		return i.Complete()
	case device.TransitionFail:
		return i.Fail("the test wants it")
	case device.TransitionCancel:
		return i.Cancel("the test wants it")
	}
	panic("no such transition: " + t)
}

func readyInstance(t *testing.T) device.KernelInstance {
	t.Helper()
	instance, err := scheduler(t, devicetest.Device(t, "cpu0", 1)).Schedule(device.Workload{}, device.SchedulingPreferences{})
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// Every state against every transition: those not listed must be refused and
// change nothing.
func TestKernelInstanceStateMachine(t *testing.T) {
	allowed := map[string]device.ExecutionState{
		"ready launch":     device.StateLaunching,
		"ready cancel":     device.StateCancelled,
		"launching start":  device.StateRunning,
		"launching fail":   device.StateFailed,
		"launching cancel": device.StateCancelled,
		"running complete": device.StateCompleted,
		"running fail":     device.StateFailed,
		"running cancel":   device.StateCancelled,
	}
	ways := map[device.ExecutionState][]device.Transition{
		device.StateReady:     {},
		device.StateLaunching: {device.TransitionLaunch},
		device.StateRunning:   {device.TransitionLaunch, device.TransitionStart},
		device.StateCompleted: {device.TransitionLaunch, device.TransitionStart, device.TransitionComplete},
		device.StateFailed:    {device.TransitionLaunch, device.TransitionStart, device.TransitionFail},
		device.StateCancelled: {device.TransitionCancel},
	}
	tried := 0
	for state, way := range ways {
		for _, transition := range []device.Transition{device.TransitionLaunch, device.TransitionStart, device.TransitionComplete, device.TransitionFail, device.TransitionCancel} {
			instance := readyInstance(t)
			for _, step := range way {
				if err := move(&instance, step); err != nil {
					t.Fatal(err)
				}
			}
			if instance.State() != state {
				t.Fatalf("%v leads to %s, want %s", way, instance.State(), state)
			}
			before := instance
			want, ok := allowed[string(state)+" "+string(transition)]
			err := move(&instance, transition)
			if ok {
				tried++
				reasoned := transition == device.TransitionFail || transition == device.TransitionCancel
				if err != nil || instance.State() != want || (instance.Failure() != "") != reasoned {
					t.Errorf("%s in %s: now %s (%q), %v; want %s", transition, state, instance.State(), instance.Failure(), err, want)
				}
				continue
			}
			var invalid *device.InvalidStateError
			if !errors.Is(err, device.ErrInvalidState) || !errors.As(err, &invalid) ||
				*invalid != (device.InvalidStateError{Instance: "i1", State: state, Transition: transition}) {
				t.Errorf("%s in %s: error %#v", transition, state, err)
			}
			if instance.State() != before.State() || instance.Failure() != before.Failure() {
				t.Errorf("the refused %s changed %s to %s", transition, before.State(), instance.State())
			}
		}
		if state.Final() != (state == device.StateCompleted || state == device.StateFailed || state == device.StateCancelled) {
			t.Errorf("%s: final is %v", state, state.Final())
		}
	}
	if tried != len(allowed) {
		t.Errorf("%d allowed transitions tried of %d", tried, len(allowed))
	}
}

func TestInvalidStateErrorNamesWhatHappened(t *testing.T) {
	instance := readyInstance(t)
	err := instance.Complete()
	if want := "instance i1 cannot complete: it is ready"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLaunchConfigFitsTheDevice(t *testing.T) {
	kind := func(k device.Kind, major uint8, units int) device.Description {
		return device.Description{ID: "d", Kind: k, Units: units, Capability: device.ComputeCapability{Major: major}}
	}
	for _, test := range []struct {
		name        string
		description device.Description
		items       int64
		want        device.LaunchConfig
	}{
		{"a CPU uses every thread", kind(device.CPU, 0, 8), 0, device.LaunchConfig{Threads: 8}},
		{"but no more than there is work for", kind(device.CPU, 0, 8), 3, device.LaunchConfig{Threads: 3}},
		{"plenty of work", kind(device.CPU, 0, 8), math.MaxInt64, device.LaunchConfig{Threads: 8}},
		{"CUDA fills its multiprocessors where the work is unknown", kind(device.CUDA, 8, 82), 0, device.LaunchConfig{Grid: 656, Block: 256}},
		{"one thread per item, rounded up to blocks", kind(device.CUDA, 8, 82), 1000, device.LaunchConfig{Grid: 4, Block: 256}},
		{"an exact number of blocks", kind(device.CUDA, 8, 82), 1024, device.LaunchConfig{Grid: 4, Block: 256}},
		{"a small launch is rounded up to warps", kind(device.CUDA, 8, 82), 33, device.LaunchConfig{Grid: 1, Block: 64}},
		{"one item is one warp", kind(device.CUDA, 8, 82), 1, device.LaunchConfig{Grid: 1, Block: 32}},
		{"the grid has a limit", kind(device.CUDA, 3, 82), math.MaxInt64, device.LaunchConfig{Grid: 1<<31 - 1, Block: 256}},
		{"which was lower before 3.0", kind(device.CUDA, 2, 14), math.MaxInt64, device.LaunchConfig{Grid: 65535, Block: 256}},
		{"OpenCL in work-groups", kind(device.OpenCL, 0, 4), 1000, device.LaunchConfig{Grid: 16, Block: 64}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := device.New(test.description)
			if err != nil {
				t.Fatal(err)
			}
			instance, err := scheduler(t, d).Schedule(device.Workload{Items: test.items}, device.SchedulingPreferences{})
			if err != nil {
				t.Fatal(err)
			}
			if got := instance.LaunchConfig(); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
