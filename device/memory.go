package device

import (
	"fmt"
	"math"
	"strconv"
)

// Bytes is an amount of memory.
type Bytes int64

// The binary units.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// String formats the amount in the largest unit that it reaches, with at most
// one decimal: "512 B", "1.5 GiB". What does not come out even is rounded
// down, so that a figure never promises more than there is.
func (b Bytes) String() string {
	if b < 0 {
		return "-" + (-max(b, math.MinInt64+1)).String()
	}
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b < u.size {
			continue
		}
		whole, tenth := b/u.size, b%u.size*10/u.size
		if tenth == 0 {
			return fmt.Sprintf("%d %s", whole, u.name)
		}
		return fmt.Sprintf("%d.%d %s", whole, tenth, u.name)
	}
	return strconv.FormatInt(int64(b), 10) + " B"
}

// AccessPattern says how memory will be gone through. It is a hint: it changes
// no decision about whether a requirement is satisfied.
type AccessPattern string

// The access patterns; the empty one says nothing.
const (
	Sequential AccessPattern = "sequential"
	Strided    AccessPattern = "strided"
	Random     AccessPattern = "random"
)

// Allocation is memory that has been, or could be, given out.
type Allocation struct {
	Size, Alignment Bytes
}

// MemoryRequirement is the memory that a piece of work needs. The zero value
// needs none.
type MemoryRequirement struct {
	Size Bytes `json:"size"`
	// Alignment of the first byte: a power of two; 0, like 1, asks for none.
	Alignment     Bytes         `json:"alignment,omitempty"`
	AccessPattern AccessPattern `json:"access_pattern,omitempty"`
}

// IsSatisfiedBy reports whether the allocation is at least as large and at
// least as aligned as required.
func (r MemoryRequirement) IsSatisfiedBy(a Allocation) bool {
	return a.Size >= r.Size && a.Alignment >= r.Alignment
}

// Validate fails with an *InvalidError for a negative size, an alignment that
// is not a power of two, or an access pattern that does not exist.
func (r MemoryRequirement) Validate() error { return r.validate("memory requirement") }

func (r MemoryRequirement) validate(subject string) error {
	switch {
	case r.Size < 0:
		return &InvalidError{subject, "size", strconv.FormatInt(int64(r.Size), 10), "use 0 or more bytes"}
	case !powerOfTwoOrZero(r.Alignment):
		return &InvalidError{subject, "alignment", strconv.FormatInt(int64(r.Alignment), 10), "use a power of two, or 0 for none"}
	}
	switch r.AccessPattern {
	case "", Sequential, Strided, Random:
		return nil
	}
	return &InvalidError{subject, "access_pattern", strconv.Quote(string(r.AccessPattern)), "use sequential, strided or random"}
}

// MemoryInfo is the memory of a device.
type MemoryInfo struct {
	Total     Bytes `json:"total"`
	Available Bytes `json:"available"`
	// Alignment is what the device guarantees for every allocation: a power of
	// two; 0 stands for 1.
	Alignment Bytes `json:"alignment,omitempty"`
}

// Offer returns the largest allocation that the device can give.
func (m MemoryInfo) Offer() Allocation {
	return Allocation{Size: m.Available, Alignment: max(1, m.Alignment)}
}

func (m MemoryInfo) validate(subject string) error {
	bad := func(field string, value Bytes, fix string) error {
		return &InvalidError{subject, field, strconv.FormatInt(int64(value), 10), fix}
	}
	switch {
	case m.Total < 0:
		return bad("memory.total", m.Total, "use 0 or more bytes")
	case m.Available < 0 || m.Available > m.Total:
		return bad("memory.available", m.Available, fmt.Sprintf("use 0 to the total of %d bytes", m.Total))
	case !powerOfTwoOrZero(m.Alignment):
		return bad("memory.alignment", m.Alignment, "use a power of two, or 0 for none")
	}
	return nil
}

func powerOfTwoOrZero(b Bytes) bool { return b >= 0 && b&(b-1) == 0 }
