// Package device owns what the system knows about compute devices: what each
// can do (ComputeCapability), what it has (MemoryInfo, HealthStatus), which of
// them suits a piece of work (KernelScheduler), and who may use it now (Ledger,
// Lease).
//
// It does not talk to hardware: a Driver does, one per kind of device
// (device/cpu is the host). It reads no clock, no randomness and no files; ids
// are inputs, so that replaying a ledger's events gives the same state.
//
// How work reaches a device: KernelScheduler.Schedule picks a Device from the
// Repository; the device's Ledger grants a Lease with a fencing Epoch; Fence
// wraps the Driver so that it refuses holders whose lease has ended.
//
// Device, Workload, Lease, Ledger and the events are values: methods return
// changed copies, and values may be shared between goroutines. KernelInstance
// belongs to one goroutine. MemoryRepository and Guard are safe for concurrent
// use.
package device

import (
	"fmt"
	"slices"
	"strings"

	"reprise/fault"
	"reprise/tensor"
)

// ErrInvalid is wrapped by the *fault.FieldError of a device, a workload, a lease or
// preferences that make no sense.
var ErrInvalid = fault.New(fault.Invalid, "invalid device data")

// invalid says what is wrong with a field of a subject, such as `workload "train"`.
func invalid(subject, field, value, problem, fix string) error {
	return fmt.Errorf("%s: %w", subject, &fault.FieldError{Field: field, Value: value, Problem: problem, Fix: fix, Cause: ErrInvalid})
}

// Kind says which programming model a device follows; it decides the shape of
// a LaunchConfig.
type Kind string

// The kinds of device.
const (
	CPU    Kind = "cpu"
	CUDA   Kind = "cuda"
	OpenCL Kind = "opencl"
)

// HealthStatus is the last known condition of a device.
type HealthStatus string

// The conditions. Work goes to any device except an unhealthy one; the
// scheduler prefers them in the order healthy, unknown, degraded.
const (
	Healthy   HealthStatus = "healthy"
	Degraded  HealthStatus = "degraded"  // works, but not as well as it should: slower, or with a fallback
	Unhealthy HealthStatus = "unhealthy" // must not be given work: its results cannot be trusted
	Unknown   HealthStatus = "unknown"   // not tested yet
)

// rank orders conditions from best to worst; it is -1 for an unknown value.
func (h HealthStatus) rank() int {
	return slices.Index([]HealthStatus{Healthy, Unknown, Degraded, Unhealthy}, h)
}

// Description is what a driver reports about its device: the input of New and
// the content of the Registered event.
type Description struct {
	ID         ID                `json:"id"`
	Name       string            `json:"name"`
	Kind       Kind              `json:"kind"`
	Capability ComputeCapability `json:"capability"`
	Memory     MemoryInfo        `json:"memory"`
	// Health is Unknown if empty.
	Health HealthStatus `json:"health"`
	// HealthNote says what is wrong with a device that is not healthy.
	HealthNote string `json:"health_note,omitempty"`
	// Slots is how many leases that are not shared can be held at a time; 0 means 1.
	Slots int `json:"slots"`
	// Units is how many things the device does at a time: threads of a CPU,
	// multiprocessors of a CUDA device, compute units under OpenCL. 0 means 1.
	Units int `json:"units"`
}

// Device is the entity the scheduler decides about: a validated description,
// and who holds the device. Two Devices are the same device if their IDs are
// equal. The zero Device does not exist and can execute nothing.
type Device struct {
	d         Description
	holders   []string     // of the leases in force, oldest first
	exclusive []string     // of those that take a slot
	reserved  tensor.Bytes // by the leases in force
}

// New returns the device with the given description, or a *fault.FieldError.
func New(d Description) (Device, error) {
	if d.Health == "" {
		d.Health = Unknown
	}
	if d.Slots == 0 {
		d.Slots = 1
	}
	if d.Units == 0 {
		d.Units = 1
	}
	if err := d.validate(); err != nil {
		return Device{}, err
	}
	d.Capability.Extensions = Features(d.Capability.Extensions...)
	return Device{d: d}, nil
}

func (d Description) validate() error {
	bad := func(field string, value any, problem, fix string) error {
		return invalid(fmt.Sprintf("device %q", d.ID), field, fmt.Sprintf("%#v", value), problem, fix)
	}
	switch {
	case !d.ID.valid():
		return bad("id", string(d.ID), "is not a name", "give it a name without spaces or slashes, such as cpu0, with its worker and a slash before it if that has a name")
	case d.Kind != CPU && d.Kind != CUDA && d.Kind != OpenCL:
		return bad("kind", string(d.Kind), "is not a kind of device", "use cpu, cuda or opencl")
	case d.Kind != CUDA && (d.Capability.Major != 0 || d.Capability.Minor != 0):
		return bad("capability", d.Capability.String(), "is a version, which only CUDA devices have", "list the features as extensions")
	case d.Health.rank() < 0:
		return bad("health", string(d.Health), "is not a condition", "use healthy, degraded, unhealthy or unknown")
	case d.Slots < 0:
		return bad("slots", d.Slots, "must be at least 1", "leave it out for 1")
	case d.Units < 0:
		return bad("units", d.Units, "must be at least 1", "leave it out for 1")
	}
	return d.Memory.validate(fmt.Sprintf("device %q", d.ID))
}

// ID returns what identifies the device.
func (d Device) ID() ID { return d.d.ID }

// Name returns the hardware's own name, such as the processor's model.
func (d Device) Name() string { return d.d.Name }

// Kind returns the programming model.
func (d Device) Kind() Kind { return d.d.Kind }

// Capability returns what the device's hardware can do.
func (d Device) Capability() ComputeCapability { return d.d.Capability.clone() }

// Health returns the last known condition and, if it is not Healthy, why.
func (d Device) Health() (status HealthStatus, note string) { return d.d.Health, d.d.HealthNote }

// Units returns how many things the device does at a time (Description.Units).
func (d Device) Units() int { return d.d.Units }

// Slots returns how many leases that are not shared can be held at a time.
func (d Device) Slots() int { return d.d.Slots }

// Holders returns who holds the device, oldest lease first.
func (d Device) Holders() []string { return slices.Clone(d.holders) }

// Memory returns the device's memory; what leases have reserved is not included
// in Available.
func (d Device) Memory() MemoryInfo {
	m := d.d.Memory
	m.Available = max(0, m.Available-d.reserved)
	return m
}

// Description returns the facts the device was made from, without the effect
// of leases.
func (d Device) Description() Description {
	c := d.d
	c.Capability = c.Capability.clone()
	return c
}

// WithHealth returns the device in another condition, or a *fault.FieldError for
// an unknown status.
func (d Device) WithHealth(status HealthStatus, note string) (Device, error) {
	c := d.d
	c.Health, c.HealthNote = status, note
	if err := c.validate(); err != nil {
		return Device{}, err
	}
	d.d = c
	return d, nil
}

// withLeases returns the device with these leases in force.
func (d Device) withLeases(leases []Lease) Device {
	d.holders, d.exclusive, d.reserved = nil, nil, 0
	for _, l := range leases {
		d.holders = append(d.holders, l.Holder)
		if !l.Shared {
			d.exclusive = append(d.exclusive, l.Holder)
		}
		d.reserved += l.Memory
	}
	return d
}

// CanExecute reports whether the device can take the workload now: it has
// every required feature, enough free memory, a free slot unless the workload is
// shared, and is not unhealthy.
func (d Device) CanExecute(w Workload) bool { return len(d.Refusal(w)) == 0 }

// Refusal returns every reason why the device cannot take the workload now,
// in a fixed order; none if it can.
func (d Device) Refusal(w Workload) []Reason {
	var reasons []Reason
	no := func(code ReasonCode, transient bool, format string, args ...any) {
		reasons = append(reasons, Reason{Code: code, Transient: transient, Message: fmt.Sprintf(format, args...)})
	}
	if d.d.ID == "" {
		no(ReasonUnknownDevice, false, "the device does not exist")
		return reasons
	}
	if d.d.Health == Unhealthy {
		because := ""
		if d.d.HealthNote != "" {
			because = ": " + d.d.HealthNote
		}
		no(ReasonUnhealthy, true, "the device is unhealthy%s", because)
	}
	for _, f := range w.Requirements {
		if !d.d.Capability.Supports(f) {
			no(ReasonMissingFeature, false, "needs %s, which %s does not have", f, d.d.Capability)
		}
	}
	memory := d.Memory()
	if need := w.Memory; !need.IsSatisfiedBy(memory.Offer()) {
		if need.Size > memory.Available {
			no(ReasonInsufficientMemory, need.Size <= memory.Total,
				"needs %s of memory, has %s free of %s", need.Size, memory.Available, memory.Total)
		}
		if need.Alignment > memory.Offer().Alignment {
			no(ReasonAlignment, false, "needs memory aligned to %d bytes, aligns to %d", need.Alignment, memory.Offer().Alignment)
		}
	}
	if !w.Shared && len(d.exclusive) >= d.d.Slots {
		no(ReasonLeased, true, "%d of %d slots are in use, by %s", len(d.exclusive), d.d.Slots, strings.Join(d.exclusive, ", "))
	}
	return reasons
}

// sameDescription reports whether both devices have the same description.
func (d Device) sameDescription(other Device) bool {
	a, b := d.d, other.d
	if !slices.Equal(a.Capability.Extensions, b.Capability.Extensions) {
		return false
	}
	a.Capability.Extensions, b.Capability.Extensions = nil, nil
	return a.ID == b.ID && a.Name == b.Name && a.Kind == b.Kind && a.Capability.Major == b.Capability.Major &&
		a.Capability.Minor == b.Capability.Minor && a.Memory == b.Memory && a.Health == b.Health &&
		a.HealthNote == b.HealthNote && a.Slots == b.Slots && a.Units == b.Units
}
