package device_test

import (
	"testing"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/kernel"
	"reprise/tensor"
)

// The mission's test.
func TestDeviceCapabilityChecking(t *testing.T) {
	gpu, err := device.New(device.Description{
		ID:         "gpu0",
		Name:       "RTX 3090",
		Kind:       device.CUDA,
		Capability: device.ComputeCapability{Major: 8, Minor: 6},
		Memory:     device.MemoryInfo{Total: 24 * tensor.GiB, Available: 20 * tensor.GiB},
		Health:     device.Healthy,
	})
	if err != nil {
		t.Fatal(err)
	}
	needs := func(size tensor.Bytes, features ...device.Feature) device.Workload {
		return device.Workload{Requirements: features, Memory: device.MemoryRequirement{Size: size}}
	}
	for _, test := range []struct {
		name     string
		workload device.Workload
		want     bool
	}{
		{"tensor cores (8.6 >= 7.0)", needs(tensor.GiB, kernel.TensorCores), true},
		{"huge memory", needs(30 * tensor.GiB), false},
		{"nothing", device.Workload{}, true},
		{"all the available memory", needs(20 * tensor.GiB), true},
		{"one byte more than available, though less than the total", needs(20*tensor.GiB + 1), false},
		{"every feature of 8.6", needs(0, kernel.TensorCores, kernel.BF16, kernel.FP64, kernel.TF32), true},
		{"one feature of many missing", needs(0, kernel.TensorCores, kernel.FP8, kernel.FP64), false},
		{"an unknown feature", needs(0, "teleport"), false},
		{"an aligned byte of a device that aligns to nothing", device.Workload{
			Memory: device.MemoryRequirement{Size: 1, Alignment: 256}}, false},
	} {
		if got := gpu.CanExecute(test.workload); got != test.want {
			t.Errorf("%s: %v, want %v; refusal %v", test.name, got, test.want, gpu.Refusal(test.workload))
		}
	}
}

func TestCUDAVersionImpliesFeatures(t *testing.T) {
	type version = device.ComputeCapability
	for _, test := range []struct {
		feature     device.Feature
		last, first version // the last version without, the first with
	}{
		{kernel.FP64, version{Major: 1, Minor: 3}, version{Major: 2, Minor: 0}},
		{kernel.FMA, version{Major: 1, Minor: 255}, version{Major: 2, Minor: 0}},
		{kernel.UnifiedMem, version{Major: 2, Minor: 1}, version{Major: 3, Minor: 0}},
		{kernel.FP16, version{Major: 5, Minor: 2}, version{Major: 5, Minor: 3}},
		{kernel.CoopGroups, version{Major: 5, Minor: 3}, version{Major: 6, Minor: 0}},
		{kernel.INT8Dot, version{Major: 6, Minor: 0}, version{Major: 6, Minor: 1}},
		{kernel.TensorCores, version{Major: 6, Minor: 2}, version{Major: 7, Minor: 0}},
		{kernel.BF16, version{Major: 7, Minor: 5}, version{Major: 8, Minor: 0}},
		{kernel.TF32, version{Major: 7, Minor: 5}, version{Major: 8, Minor: 0}},
		{kernel.AsyncCopy, version{Major: 7, Minor: 5}, version{Major: 8, Minor: 0}},
		{kernel.FP8, version{Major: 8, Minor: 8}, version{Major: 8, Minor: 9}},
	} {
		if test.last.Supports(test.feature) {
			t.Errorf("%v supports %s", test.last, test.feature)
		}
		later := version{Major: test.first.Major + 1} // a minor version of 0 takes nothing away
		for _, c := range []version{test.first, later, {Major: 255, Minor: 255}} {
			if !c.Supports(test.feature) {
				t.Errorf("%v does not support %s", c, test.feature)
			}
		}
	}
}

func TestFeaturesOfOtherHardwareComeFromExtensionsOnly(t *testing.T) {
	cuda := device.ComputeCapability{Major: 12, Minor: 0}
	for _, f := range []device.Feature{kernel.AVX2, kernel.AVX512, kernel.NEON, "", "TENSOR_CORES"} {
		if cuda.Supports(f) {
			t.Errorf("CUDA %v supports %q", cuda, f)
		}
	}
	cpu := device.ComputeCapability{Extensions: device.Features(kernel.FMA, kernel.AVX2)}
	for f, want := range map[device.Feature]bool{
		kernel.FMA: true, kernel.AVX2: true, kernel.FP64: false, kernel.AVX512: false, kernel.TensorCores: false,
	} {
		if cpu.Supports(f) != want {
			t.Errorf("a CPU with %v: %s is %v, want %v", cpu, f, !want, want)
		}
	}
	if (device.ComputeCapability{}).Supports(kernel.FP64) {
		t.Error("the zero capability supports fp64")
	}
	both := device.ComputeCapability{Major: 7, Extensions: device.Features(kernel.BF16)}
	if !both.Supports(kernel.BF16) || !both.Supports(kernel.TensorCores) || both.Supports(kernel.TF32) {
		t.Errorf("extensions do not add to the version of %v", both)
	}
}

func TestCapabilityPrints(t *testing.T) {
	for want, c := range map[string]device.ComputeCapability{
		"8.6":        {Major: 8, Minor: 6},
		"[avx2 fma]": {Extensions: device.Features(kernel.FMA, kernel.AVX2, kernel.FMA)},
		"7.0 [bf16]": {Major: 7, Extensions: device.Features(kernel.BF16)},
		"[]":         {},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A kernel table asks the device's capability: the two contexts meet here.
func TestCapabilitySelectsKernels(t *testing.T) {
	var _ kernel.Capability = device.ComputeCapability{}
	table := kernel.Table{
		{Name: "matmul.avx2", Operation: kernel.OpMatMul, Requirements: []kernel.Feature{kernel.AVX2}},
		{Name: "matmul.portable", Operation: kernel.OpMatMul, Requirements: []kernel.Feature{kernel.FMA}},
	}
	d := devicetest.Device(t, "cpu0", tensor.GiB)
	k, err := table.KernelForOperation(kernel.OpMatMul, 0, d.Capability())
	if err != nil || k.Name != "matmul.portable" {
		t.Errorf("selected %q, %v", k.Name, err)
	}
}
