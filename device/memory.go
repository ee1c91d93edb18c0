package device

import (
	"fmt"
	"strconv"

	"reprise/tensor"
)

// AccessPattern says how memory will be accessed. It is a hint: it does not
// affect whether a requirement is satisfied.
type AccessPattern string

// The access patterns; the empty one means unknown.
const (
	AccessSequential AccessPattern = "sequential"
	AccessStrided    AccessPattern = "strided"
	AccessRandom     AccessPattern = "random"
)

// Allocation is memory that has been, or could be, allocated.
type Allocation struct {
	Size, Alignment tensor.Bytes
}

// MemoryRequirement is the memory that a piece of work needs. The zero value
// needs none.
type MemoryRequirement struct {
	Size tensor.Bytes `json:"size"`
	// Alignment of the first byte: a power of two; 0, like 1, requires none.
	Alignment     tensor.Bytes  `json:"alignment,omitempty"`
	AccessPattern AccessPattern `json:"access_pattern,omitempty"`
}

// IsSatisfiedBy reports whether the allocation is at least as large and at
// least as aligned as required.
func (r MemoryRequirement) IsSatisfiedBy(a Allocation) bool {
	return a.Size >= r.Size && a.Alignment >= r.Alignment
}

// Validate fails with a *fault.FieldError for a negative size, an alignment that
// is not a power of two, or an unknown access pattern.
func (r MemoryRequirement) Validate() error { return r.validate("memory requirement") }

func (r MemoryRequirement) validate(subject string) error {
	switch {
	case r.Size < 0:
		return invalid(subject, "size", strconv.FormatInt(int64(r.Size), 10), "must not be negative", "use 0 or more bytes")
	case !powerOfTwoOrZero(r.Alignment):
		return invalid(subject, "alignment", strconv.FormatInt(int64(r.Alignment), 10), "must be a power of two", "use one such as 64, or 0 for none")
	}
	switch r.AccessPattern {
	case "", AccessSequential, AccessStrided, AccessRandom:
		return nil
	}
	return invalid(subject, "access_pattern", strconv.Quote(string(r.AccessPattern)), "is not an access pattern", "use sequential, strided or random")
}

// MemoryInfo is the memory of a device.
type MemoryInfo struct {
	Total     tensor.Bytes `json:"total"`
	Available tensor.Bytes `json:"available"`
	// Alignment is what the device guarantees for every allocation: a power of
	// two; 0 means 1.
	Alignment tensor.Bytes `json:"alignment,omitempty"`
}

// Offer returns the largest allocation that the device can provide.
func (m MemoryInfo) Offer() Allocation {
	return Allocation{Size: m.Available, Alignment: max(1, m.Alignment)}
}

func (m MemoryInfo) validate(subject string) error {
	bad := func(field string, value tensor.Bytes, problem, fix string) error {
		return invalid(subject, field, strconv.FormatInt(int64(value), 10), problem, fix)
	}
	switch {
	case m.Total < 0:
		return bad("memory.total", m.Total, "must not be negative", "use 0 or more bytes")
	case m.Available < 0 || m.Available > m.Total:
		return bad("memory.available", m.Available, fmt.Sprintf("must be between 0 and the total of %d bytes", m.Total), "report what is free")
	case !powerOfTwoOrZero(m.Alignment):
		return bad("memory.alignment", m.Alignment, "must be a power of two", "use one such as 64, or 0 for none")
	}
	return nil
}

func powerOfTwoOrZero(b tensor.Bytes) bool { return b >= 0 && b&(b-1) == 0 }
