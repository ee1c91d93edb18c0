package device

import (
	"fmt"
	"slices"
	"strings"

	"reprise/kernel"
)

// Feature is something that a kernel may require of the hardware.
type Feature = kernel.Feature

// FeatureSet lists features; order and repetition do not matter. Features
// returns a sorted set.
type FeatureSet []Feature

// Features returns the set of the given features, sorted, each once.
func Features(features ...Feature) FeatureSet {
	s := slices.Clone(FeatureSet(features))
	slices.Sort(s)
	return slices.Compact(s)
}

// Has reports whether the set contains the feature.
func (s FeatureSet) Has(f Feature) bool { return slices.Contains(s, f) }

// ComputeCapability says what a device's hardware can do. A CUDA device has a
// version, from which its features follow; a CPU or OpenCL device has version
// 0.0 and lists its features as Extensions. Extensions of a CUDA device add to
// what its version implies. The zero value supports nothing.
//
// It implements kernel.Capability.
type ComputeCapability struct {
	Major      uint8      `json:"major"`
	Minor      uint8      `json:"minor"`
	Extensions FeatureSet `json:"extensions,omitempty"`
}

// Supports reports whether the hardware has the feature; it returns false for
// an unknown feature.
func (c ComputeCapability) Supports(f Feature) bool {
	if c.Extensions.Has(f) {
		return true
	}
	first, ok := firstVersion(f)
	return ok && (c.Major > first.Major || c.Major == first.Major && c.Minor >= first.Minor)
}

// firstVersion returns the first CUDA compute capability that has the feature.
// "Guide" is NVIDIA's CUDA C++ Programming Guide, appendix Compute
// Capabilities; "PTX" is NVIDIA's Parallel Thread Execution ISA.
func firstVersion(f Feature) (ComputeCapability, bool) {
	v := func(major, minor uint8) (ComputeCapability, bool) {
		return ComputeCapability{Major: major, Minor: minor}, true
	}
	switch f {
	case kernel.FP64:
		// The first with IEEE 754-2008 double precision throughout. 1.3 has
		// the type too (PTX, .f64: "requires sm_13"); 2.0 is the rule here.
		return v(2, 0)
	case kernel.FMA:
		// PTX, fma.rn.f32: sm_20. Before it, mad.f32 truncates the product.
		return v(2, 0)
	case kernel.UnifiedMem:
		// Guide, Unified Memory: managed memory needs "SM architecture 3.0 or
		// higher".
		return v(3, 0)
	case kernel.FP16:
		// PTX, add/mul/fma.f16: sm_53. 5.0 and 5.2 only store halves.
		return v(5, 3)
	case kernel.CoopGroups:
		// Guide, Cooperative Groups: synchronisation of the whole grid needs
		// 6.0 (groups within a block work earlier, but are not what kernels
		// ask this feature for).
		return v(6, 0)
	case kernel.INT8Dot:
		// PTX, dp4a: sm_61. Note that 6.0 (P100) lacks it.
		return v(6, 1)
	case kernel.TensorCores:
		// PTX, wmma: sm_70 (Volta).
		return v(7, 0)
	case kernel.BF16, kernel.TF32:
		// PTX, mma with .bf16 and .tf32 operands: sm_80 (Ampere).
		return v(8, 0)
	case kernel.AsyncCopy:
		// PTX, cp.async: sm_80.
		return v(8, 0)
	case kernel.FP8:
		// PTX, mma with .e4m3 and .e5m2 operands: sm_89 (Ada).
		return v(8, 9)
	default: // features that only Extensions can name, and unknown ones
		return ComputeCapability{}, false
	}
}

// String formats the capability as "8.6" or "[avx2 fma fp64]".
func (c ComputeCapability) String() string {
	var parts []string
	if c.Major != 0 || c.Minor != 0 {
		parts = append(parts, fmt.Sprintf("%d.%d", c.Major, c.Minor))
	}
	if len(c.Extensions) > 0 || len(parts) == 0 {
		names := make([]string, len(c.Extensions))
		for i, f := range c.Extensions {
			names[i] = string(f)
		}
		parts = append(parts, "["+strings.Join(names, " ")+"]")
	}
	return strings.Join(parts, " ")
}

func (c ComputeCapability) clone() ComputeCapability {
	c.Extensions = slices.Clone(c.Extensions)
	return c
}
