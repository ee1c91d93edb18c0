package device_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

func TestNewRefusesInvalidDescriptions(t *testing.T) {
	for field, spoil := range map[string]func(*device.Description){
		"id":               func(d *device.Description) { d.ID = "" },
		"id ":              func(d *device.Description) { d.ID = "cpu 0" },
		"id  ":             func(d *device.Description) { d.ID = "a/b/cpu0" },
		"id   ":            func(d *device.Description) { d.ID = "/cpu0" },
		"id    ":           func(d *device.Description) { d.ID = "a/" },
		"id     ":          func(d *device.Description) { d.ID = "node 7/cpu0" },
		"kind":             func(d *device.Description) { d.Kind = "abacus" },
		"capability":       func(d *device.Description) { d.Capability.Major = 8 },
		"health":           func(d *device.Description) { d.Health = "splendid" },
		"slots":            func(d *device.Description) { d.Slots = -1 },
		"units":            func(d *device.Description) { d.Units = -4 },
		"memory.total":     func(d *device.Description) { d.Memory = device.MemoryInfo{Total: -1, Available: -1} },
		"memory.available": func(d *device.Description) { d.Memory.Available = d.Memory.Total + 1 },
		"memory.alignment": func(d *device.Description) { d.Memory.Alignment = 48 },
	} {
		description := devicetest.Device(t, "cpu0", tensor.GiB).Description()
		spoil(&description)
		_, err := device.New(description)
		var invalid *fault.FieldError
		if !errors.Is(err, device.ErrInvalid) || !errors.As(err, &invalid) {
			t.Errorf("%s: error %v", field, err)
			continue
		}
		if invalid.Field != strings.TrimSpace(field) || invalid.Fix == "" || invalid.Value == "" {
			t.Errorf("%s: error names field %q, value %q, fix %q", field, invalid.Field, invalid.Value, invalid.Fix)
		}
	}
}

func TestNewFillsInDefaults(t *testing.T) {
	d, err := device.New(device.Description{ID: "x", Kind: device.OpenCL})
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := d.Health(); status != device.Unknown || d.Slots() != 1 || d.Units() != 1 {
		t.Errorf("health %s, %d slots, %d units", status, d.Slots(), d.Units())
	}
}

func TestDeviceSharesNoMemoryWithItsDescription(t *testing.T) {
	description := devicetest.Device(t, "cpu0", 1).Description()
	d, err := device.New(description)
	if err != nil {
		t.Fatal(err)
	}
	description.Capability.Extensions[0] = "spoiled"
	d.Description().Capability.Extensions[0] = "spoiled"
	d.Capability().Extensions[0] = "spoiled"
	if d.Capability().Supports("spoiled") || !d.Capability().Supports(kernel.FMA) {
		t.Errorf("capability became %v", d.Capability())
	}
}

func TestHealthDecidesWhetherADeviceTakesWork(t *testing.T) {
	for status, want := range map[device.HealthStatus]bool{
		device.Healthy: true, device.Unknown: true, device.Degraded: true, device.Unhealthy: false,
	} {
		d, err := devicetest.Device(t, "cpu0", 1).WithHealth(status, "as the test wants")
		if err != nil {
			t.Fatal(err)
		}
		if got := d.CanExecute(device.Workload{}); got != want {
			t.Errorf("%s: %v, want %v", status, got, want)
		}
	}
	if _, err := devicetest.Device(t, "cpu0", 1).WithHealth("splendid", ""); !errors.Is(err, device.ErrInvalid) {
		t.Errorf("a health that does not exist: %v", err)
	}
	if (device.Device{}).CanExecute(device.Workload{}) {
		t.Error("the zero device takes work")
	}
}

func TestRefusalNamesEveryReasonWithFigures(t *testing.T) {
	d := devicetest.Leased(t, devicetest.Device(t, "cpu0", 3*tensor.GiB, func(d *device.Description) {
		d.Memory.Available = 3 * tensor.GiB / 2
	}))
	d, err := d.WithHealth(device.Unhealthy, "memory test failed at 0x10")
	if err != nil {
		t.Fatal(err)
	}
	got := d.Refusal(device.Workload{
		Requirements: []device.Feature{kernel.FMA, kernel.TensorCores},
		Memory:       device.MemoryRequirement{Size: 2 * tensor.GiB, Alignment: 64},
	})
	want := []device.Reason{
		{Code: device.ReasonUnhealthy, Transient: true, Message: "the device is unhealthy: memory test failed at 0x10"},
		{Code: device.ReasonMissingFeature, Message: "needs tensor_cores, which [fma fp64] does not have"},
		{Code: device.ReasonInsufficientMemory, Transient: true, Message: "needs 2 GiB of memory, has 1.5 GiB free of 3 GiB"},
		{Code: device.ReasonAlignment, Message: "needs memory aligned to 64 bytes, aligns to 1"},
		{Code: device.ReasonLeased, Transient: true, Message: "1 of 1 slots are in use, by somebody"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	hopeless := d.Refusal(device.Workload{Memory: device.MemoryRequirement{Size: 3*tensor.GiB + 1}})
	if hopeless[1].Code != device.ReasonInsufficientMemory || hopeless[1].Transient {
		t.Errorf("more than the total is said to be transient: %+v", hopeless[1])
	}
}

func TestCanExecuteEqualsItsDefinition(t *testing.T) {
	features := []device.Feature{kernel.FP64, kernel.FMA, kernel.AVX2, kernel.TensorCores}
	rapid.Check(t, func(t *rapid.T) {
		has := rapid.SliceOfDistinct(rapid.SampledFrom(features), rapid.ID).Draw(t, "has")
		total := rapid.Int64Range(0, 40).Draw(t, "total")
		available := rapid.Int64Range(0, total).Draw(t, "available")
		alignment := tensor.Bytes(1) << rapid.IntRange(0, 8).Draw(t, "alignment")
		health := rapid.SampledFrom([]device.HealthStatus{device.Healthy, device.Degraded, device.Unhealthy, device.Unknown}).Draw(t, "health")
		d, err := device.New(device.Description{
			ID: "d", Kind: device.CPU, Health: health,
			Capability: device.ComputeCapability{Extensions: has},
			Memory:     device.MemoryInfo{Total: tensor.Bytes(total), Available: tensor.Bytes(available), Alignment: alignment},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := device.Workload{
			Requirements: rapid.SliceOf(rapid.SampledFrom(features)).Draw(t, "needs"),
			Memory: device.MemoryRequirement{
				Size:      tensor.Bytes(rapid.Int64Range(0, 50).Draw(t, "size")),
				Alignment: tensor.Bytes(1) << rapid.IntRange(0, 8).Draw(t, "align"),
			},
		}
		want := health != device.Unhealthy && int64(w.Memory.Size) <= available && w.Memory.Alignment <= alignment
		for _, f := range w.Requirements {
			found := false
			for _, h := range has {
				found = found || h == f
			}
			want = want && found
		}
		if got := d.CanExecute(w); got != want || got != (len(d.Refusal(w)) == 0) {
			t.Fatalf("got %v, want %v; refusal %v", got, want, d.Refusal(w))
		}
	})
}

func TestMemoryRequirement(t *testing.T) {
	for _, test := range []struct {
		need device.MemoryRequirement
		have device.Allocation
		want bool
	}{
		{device.MemoryRequirement{}, device.Allocation{}, true},
		{device.MemoryRequirement{Size: 100, Alignment: 64}, device.Allocation{Size: 100, Alignment: 64}, true},
		{device.MemoryRequirement{Size: 100, Alignment: 64}, device.Allocation{Size: 99, Alignment: 64}, false},
		{device.MemoryRequirement{Size: 100, Alignment: 64}, device.Allocation{Size: 100, Alignment: 32}, false},
		{device.MemoryRequirement{Size: 100, Alignment: 64}, device.Allocation{Size: 1000, Alignment: 4096}, true},
		{device.MemoryRequirement{Size: 1, AccessPattern: device.AccessRandom}, device.Allocation{Size: 1}, true},
		{device.MemoryRequirement{Size: math.MaxInt64}, device.Allocation{Size: math.MaxInt64 - 1}, false},
	} {
		if got := test.need.IsSatisfiedBy(test.have); got != test.want {
			t.Errorf("%+v by %+v: %v, want %v", test.need, test.have, got, test.want)
		}
	}
	for field, bad := range map[string]device.MemoryRequirement{
		"size":           {Size: -1},
		"alignment":      {Alignment: 3},
		"alignment ":     {Alignment: -8},
		"alignment  ":    {Alignment: math.MinInt64}, // has one bit set, but is negative
		"access_pattern": {AccessPattern: "sideways"},
	} {
		var invalid *fault.FieldError
		if err := bad.Validate(); !errors.As(err, &invalid) || invalid.Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, good := range []device.MemoryRequirement{{}, {Alignment: 1}, {Alignment: 1 << 62}, {Size: math.MaxInt64, AccessPattern: device.AccessStrided}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestWorkloadValidation(t *testing.T) {
	for field, w := range map[string]device.Workload{
		"items":           {Items: -1},
		"requirements[1]": {Requirements: []device.Feature{kernel.FMA, ""}},
		"size":            {Memory: device.MemoryRequirement{Size: -5}},
	} {
		var invalid *fault.FieldError
		if err := w.Validate(); !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Descriptions are kept in the log, so their JSON form is a format.
func TestDescriptionKeepsItsJSONForm(t *testing.T) {
	d := devicetest.Device(t, "cpu0", tensor.GiB)
	const want = `{"id":"cpu0","name":"device cpu0","kind":"cpu",` +
		`"capability":{"major":0,"minor":0,"extensions":["fma","fp64"]},` +
		`"memory":{"total":1073741824,"available":1073741824},"health":"healthy","slots":1,"units":4}`
	got, err := json.Marshal(d.Description())
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s (%v)", got, want, err)
	}
	var back device.Description
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, d.Description()) {
		t.Errorf("came back as %+v, %v", back, err)
	}
}
