package device_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/kernel"
	"reprise/tensor"
)

// scheduler returns a scheduler over the devices that names instances i1, i2...
func scheduler(t testing.TB, devices ...device.Device) *device.KernelScheduler {
	t.Helper()
	r := device.NewMemoryRepository()
	for _, d := range devices {
		if err := r.Save(d); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	return device.NewKernelScheduler(r, func() device.InstanceID {
		n++
		return device.InstanceID(fmt.Sprintf("i%d", n))
	})
}

func healthOf(status device.HealthStatus) func(*device.Description) {
	return func(d *device.Description) { d.Health = status }
}

func TestSchedulerFollowsPreferences(t *testing.T) {
	devices := []device.Device{
		devicetest.Device(t, "large", 8*tensor.GiB),
		devicetest.Device(t, "medium", 4*tensor.GiB),
		devicetest.Device(t, "medium-too", 4*tensor.GiB),
		devicetest.Device(t, "small", tensor.GiB),
		devicetest.Device(t, "worn", 16*tensor.GiB, healthOf(device.Degraded)),
		devicetest.Device(t, "broken", 32*tensor.GiB, healthOf(device.Unhealthy)),
	}
	size := func(s tensor.Bytes) device.Workload {
		return device.Workload{Name: "w", Memory: device.MemoryRequirement{Size: s}}
	}
	for _, test := range []struct {
		name        string
		workload    device.Workload
		preferences device.SchedulingPreferences
		want        device.ID
	}{
		{"the zero preferences take the most free memory", size(1), device.SchedulingPreferences{}, "large"},
		{"best fit takes the least that suffices", size(1), device.SchedulingPreferences{Policy: device.PolicyBestFit}, "small"},
		{"best fit skips what is too small; ties go to the first id", size(2 * tensor.GiB), device.SchedulingPreferences{Policy: device.PolicyBestFit}, "medium"},
		{"an excluded device is passed over", size(1), device.SchedulingPreferences{Exclude: []device.ID{"large"}}, "medium"},
		{"a degraded device is the last resort", size(10 * tensor.GiB), device.SchedulingPreferences{}, "worn"},
		{"a named device", size(1), device.SchedulingPreferences{Policy: device.PolicyNamed, Device: "small"}, "small"},
		{"a named device, though degraded", size(1), device.SchedulingPreferences{Policy: device.PolicyNamed, Device: "worn"}, "worn"},
	} {
		t.Run(test.name, func(t *testing.T) {
			instance, err := scheduler(t, devices...).Schedule(test.workload, test.preferences)
			if err != nil {
				t.Fatal(err)
			}
			if got := instance.Device().ID(); got != test.want {
				t.Errorf("chose %s, want %s", got, test.want)
			}
			if instance.State() != device.StateReady || instance.ID() != "i1" || !reflect.DeepEqual(instance.Workload(), test.workload) {
				t.Errorf("instance %s is %s with %+v", instance.ID(), instance.State(), instance.Workload())
			}
		})
	}
}

func TestSchedulerSaysWhyNoDeviceSuits(t *testing.T) {
	devices := []device.Device{
		devicetest.Leased(t, devicetest.Device(t, "cpu0", tensor.GiB)),
		devicetest.Device(t, "cpu1", tensor.GiB),
	}
	tests := []struct {
		name        string
		devices     []device.Device
		workload    device.Workload
		preferences device.SchedulingPreferences
		codes       map[device.ID][]device.ReasonCode
		transient   bool
		message     string
	}{
		{name: "no devices at all", workload: device.Workload{Name: "w"}, codes: map[device.ID][]device.ReasonCode{},
			message: `no suitable device for "w": there are no devices`},
		{name: "every device has its own reasons", devices: devices,
			workload: device.Workload{Name: "w", Requirements: []device.Feature{kernel.BF16}},
			codes: map[device.ID][]device.ReasonCode{
				"cpu0": {device.ReasonMissingFeature, device.ReasonLeased}, "cpu1": {device.ReasonMissingFeature}},
			message: `no suitable device for "w": cpu0: needs bf16, which [fma fp64] does not have, and ` +
				`1 of 1 slots are in use, by somebody; cpu1: needs bf16, which [fma fp64] does not have`},
		{name: "waiting helps if only a lease is in the way", devices: devices, workload: device.Workload{Name: "w"},
			preferences: device.SchedulingPreferences{Exclude: []device.ID{"cpu1"}}, transient: true,
			codes: map[device.ID][]device.ReasonCode{"cpu0": {device.ReasonLeased}, "cpu1": {device.ReasonExcluded}},
			message: `no suitable device for "w": cpu0: 1 of 1 slots are in use, by somebody; ` +
				`cpu1: the request excludes it`},
		{name: "a named device that is leased is not replaced", devices: devices, workload: device.Workload{Name: "w"},
			preferences: device.SchedulingPreferences{Policy: device.PolicyNamed, Device: "cpu0"}, transient: true,
			codes: map[device.ID][]device.ReasonCode{"cpu0": {device.ReasonLeased}, "cpu1": {device.ReasonNotRequested}},
			message: `no suitable device for "w": cpu0: 1 of 1 slots are in use, by somebody; ` +
				`cpu1: the request asks for cpu0`},
		{name: "a named device that is excluded", devices: devices[1:], workload: device.Workload{Name: "w"},
			preferences: device.SchedulingPreferences{Policy: device.PolicyNamed, Device: "cpu1", Exclude: []device.ID{"cpu1"}},
			codes:       map[device.ID][]device.ReasonCode{"cpu1": {device.ReasonExcluded}},
			message:     `no suitable device for "w": cpu1: the request excludes it`},
		{name: "a named device that does not exist", devices: devices[1:], workload: device.Workload{Name: "w"},
			preferences: device.SchedulingPreferences{Policy: device.PolicyNamed, Device: "cpu0"},
			codes:       map[device.ID][]device.ReasonCode{"cpu0": {device.ReasonUnknownDevice}, "cpu1": {device.ReasonNotRequested}},
			message:     `no suitable device for "w": cpu0: there is no such device; cpu1: the request asks for cpu0`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := scheduler(t, test.devices...).Schedule(test.workload, test.preferences)
			var none *device.NoSuitableDeviceError
			if !errors.Is(err, device.ErrNoSuitableDevice) || !errors.As(err, &none) {
				t.Fatalf("error %v", err)
			}
			codes := map[device.ID][]device.ReasonCode{}
			for _, refusal := range none.Refusals {
				for _, reason := range refusal.Reasons {
					codes[refusal.Device] = append(codes[refusal.Device], reason.Code)
				}
			}
			if !reflect.DeepEqual(codes, test.codes) || none.Transient() != test.transient {
				t.Errorf("codes %v, want %v; transient %v, want %v", codes, test.codes, none.Transient(), test.transient)
			}
			if err.Error() != test.message {
				t.Errorf("message %q\nwant    %q", err, test.message)
			}
		})
	}
}

func TestSchedulerRefusesInvalidInput(t *testing.T) {
	for name, test := range map[string]struct {
		workload    device.Workload
		preferences device.SchedulingPreferences
	}{
		"alignment of 3":          {workload: device.Workload{Memory: device.MemoryRequirement{Alignment: 3}}},
		"a policy of its own":     {preferences: device.SchedulingPreferences{Policy: "fastest"}},
		"named without a name":    {preferences: device.SchedulingPreferences{Policy: device.PolicyNamed}},
		"a name without the word": {preferences: device.SchedulingPreferences{Device: "cpu0"}},
	} {
		_, err := scheduler(t, devicetest.Device(t, "cpu0", 1)).Schedule(test.workload, test.preferences)
		if !errors.Is(err, device.ErrInvalid) || errors.Is(err, device.ErrNoSuitableDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failingRepository fails when finding, or only when listing.
type failingRepository struct {
	device.MemoryRepository
	find, list error
}

func (r *failingRepository) FindAvailable(device.Workload) ([]device.Device, error) {
	return nil, r.find
}
func (r *failingRepository) List() ([]device.Device, error) { return nil, r.list }

func TestSchedulerReturnsTheRepositorysErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, r := range []*failingRepository{{find: broken}, {list: broken}} {
		_, err := device.NewKernelScheduler(r, func() device.InstanceID { return "i" }).Schedule(device.Workload{}, device.SchedulingPreferences{})
		if !errors.Is(err, broken) || errors.Is(err, device.ErrNoSuitableDevice) {
			t.Errorf("error %v", err)
		}
	}
}

// racingRepository has its device released between finding and listing.
type racingRepository struct{ device.MemoryRepository }

func (r *racingRepository) FindAvailable(device.Workload) ([]device.Device, error) { return nil, nil }

func TestSchedulerGivesAReasonEvenIfTheDeviceIsFreeAgain(t *testing.T) {
	r := &racingRepository{}
	if err := r.Save(devicetest.Device(t, "cpu0", 1)); err != nil {
		t.Fatal(err)
	}
	_, err := device.NewKernelScheduler(r, func() device.InstanceID { return "i" }).Schedule(device.Workload{}, device.SchedulingPreferences{})
	var none *device.NoSuitableDeviceError
	if !errors.As(err, &none) || !none.Transient() || len(none.Refusals) != 1 || len(none.Refusals[0].Reasons) != 1 {
		t.Errorf("error %v", err)
	}
}

// backwards is a repository that breaks its promise of order.
type backwards struct{ device.MemoryRepository }

func (r *backwards) FindAvailable(w device.Workload) ([]device.Device, error) {
	found, err := r.MemoryRepository.FindAvailable(w)
	slices.Reverse(found)
	return found, err
}

func TestSchedulerBreaksTiesByIDWhateverTheOrderOfTheRepository(t *testing.T) {
	r := &backwards{}
	for _, id := range []device.ID{"a", "b", "c"} {
		if err := r.Save(devicetest.Device(t, id, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range []device.Policy{device.PolicyMostFree, device.PolicyBestFit} {
		instance, err := device.NewKernelScheduler(r, func() device.InstanceID { return "i" }).Schedule(
			device.Workload{}, device.SchedulingPreferences{Policy: policy})
		if err != nil || instance.Device().ID() != "a" {
			t.Errorf("%s: chose %q, %v", policy, instance.Device().ID(), err)
		}
	}
}

// The plain twin: of all devices that can take the work, none is better.
func TestSchedulerChoosesAsItsDefinitionSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "devices")
		var devices []device.Device
		for i := range n {
			memory := tensor.Bytes(rapid.IntRange(0, 3).Draw(t, "memory"))
			status := rapid.SampledFrom([]device.HealthStatus{device.Healthy, device.Degraded, device.Unhealthy, device.Unknown}).Draw(t, "health")
			d, err := device.New(device.Description{ID: device.ID(rune('a' + i)), Kind: device.CPU, Health: status,
				Memory: device.MemoryInfo{Total: memory, Available: memory}})
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, d)
		}
		w := device.Workload{Memory: device.MemoryRequirement{Size: tensor.Bytes(rapid.IntRange(0, 3).Draw(t, "size"))}}
		p := device.SchedulingPreferences{Policy: rapid.SampledFrom([]device.Policy{"", device.PolicyMostFree, device.PolicyBestFit}).Draw(t, "policy")}
		if n > 0 && rapid.Bool().Draw(t, "exclude") {
			p.Exclude = []device.ID{devices[0].ID()}
		}
		var want device.ID
		bestScore := -1
		for _, d := range devices {
			if !d.CanExecute(w) || slices.Contains(p.Exclude, d.ID()) {
				continue
			}
			status, _ := d.Health()
			score := map[device.HealthStatus]int{device.Healthy: 200, device.Unknown: 100, device.Degraded: 0}[status]
			if p.Policy == device.PolicyBestFit {
				score += 50 - int(d.Memory().Available)
			} else {
				score += 50 + int(d.Memory().Available)
			}
			if score > bestScore {
				want, bestScore = d.ID(), score
			}
		}
		r := device.NewMemoryRepository()
		for _, i := range rapid.Permutation(slices.Collect(seq(n))).Draw(t, "order") {
			if err := r.Save(devices[i]); err != nil {
				t.Fatal(err)
			}
		}
		instance, err := device.NewKernelScheduler(r, func() device.InstanceID { return "i" }).Schedule(w, p)
		if (want == "") != errors.Is(err, device.ErrNoSuitableDevice) {
			t.Fatalf("want %q, error %v", want, err)
		}
		if err == nil && instance.Device().ID() != want {
			t.Fatalf("chose %s, want %s", instance.Device().ID(), want)
		}
	})
}

func seq(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
