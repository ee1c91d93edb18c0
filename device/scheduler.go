package device

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/fault"
)

// ErrNoSuitableDevice is wrapped by every *NoSuitableDeviceError.
var ErrNoSuitableDevice = fault.New(fault.Unavailable, "no suitable device")

// NoSuitableDeviceError says, for every device, why it was not chosen.
type NoSuitableDeviceError struct {
	Workload string
	Refusals []Refusal // ordered by device; empty if there are no devices
}

// Error lists the reasons of each device.
func (e *NoSuitableDeviceError) Error() string {
	devices := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		messages := make([]string, len(r.Reasons))
		for j, reason := range r.Reasons {
			messages[j] = reason.Message
		}
		devices[i] = fmt.Sprintf("%s: %s", r.Device, strings.Join(messages, ", and "))
	}
	if len(devices) == 0 {
		devices = []string{"there are no devices"}
	}
	return fmt.Sprintf("%v for %q: %s", ErrNoSuitableDevice, e.Workload, strings.Join(devices, "; "))
}

// Kind returns Unavailable if waiting may help, else Invalid.
func (e *NoSuitableDeviceError) Kind() fault.Kind {
	if e.Transient() {
		return fault.Unavailable
	}
	return fault.Invalid
}

// Unwrap returns ErrNoSuitableDevice.
func (e *NoSuitableDeviceError) Unwrap() error { return ErrNoSuitableDevice }

// Transient reports whether waiting may help: some device has only transient
// reasons.
func (e *NoSuitableDeviceError) Transient() bool {
	return slices.ContainsFunc(e.Refusals, func(r Refusal) bool {
		return !slices.ContainsFunc(r.Reasons, func(reason Reason) bool { return !reason.Transient })
	})
}

// Policy says which of several suitable devices is best.
type Policy string

// The policies.
const (
	PolicyMostFree Policy = "most_free" // the most free memory: spreads work; the default
	PolicyBestFit  Policy = "best_fit"  // the least free memory that suffices: keeps large devices for large work
	PolicyNamed    Policy = "named"     // SchedulingPreferences.Device or none
)

// SchedulingPreferences narrow and order the choice of a device. The zero
// value is PolicyMostFree among all devices.
type SchedulingPreferences struct {
	Policy  Policy // empty means PolicyMostFree
	Device  ID     // for PolicyNamed
	Exclude []ID   // never these, not even by name
}

func (p SchedulingPreferences) validate() error {
	const subject = "scheduling preferences"
	switch p.Policy {
	case "", PolicyMostFree, PolicyBestFit:
		if p.Device != "" {
			return invalid(subject, "device", strconv.Quote(string(p.Device)), "has no effect with policy "+strconv.Quote(string(p.Policy)), "use it with the policy named, or leave it out")
		}
	case PolicyNamed:
		if p.Device == "" {
			return invalid(subject, "device", `""`, "does not fit the policy named", "name the device to use")
		}
	default:
		return invalid(subject, "policy", strconv.Quote(string(p.Policy)), "is not a policy", "use most_free, best_fit or named")
	}
	return nil
}

// refuse returns why the preferences rule out a device.
func (p SchedulingPreferences) refuse(id ID) []Reason {
	var reasons []Reason
	if slices.Contains(p.Exclude, id) {
		reasons = append(reasons, Reason{Code: ReasonExcluded, Message: "the request excludes it"})
	}
	if p.Policy == PolicyNamed && p.Device != id {
		reasons = append(reasons, Reason{Code: ReasonNotRequested, Message: fmt.Sprintf("the request asks for %s", p.Device)})
	}
	return reasons
}

// better orders suitable devices, best first: by condition, then by the
// policy, then by ID, so that the choice never depends on the repository.
func (p SchedulingPreferences) better(a, b Device) int {
	free := cmp.Compare(b.Memory().Available, a.Memory().Available)
	if p.Policy == PolicyBestFit {
		free = -free
	}
	return cmp.Or(
		cmp.Compare(a.d.Health.rank(), b.d.Health.rank()),
		free,
		strings.Compare(string(a.ID()), string(b.ID())),
	)
}

// KernelScheduler chooses the device for a piece of work. It reserves nothing:
// the chosen device's Ledger may still refuse the lease, and does so if another
// holder took the device in between.
//
// It is as safe for concurrent use as its repository and newID.
type KernelScheduler struct {
	devices Repository
	newID   func() InstanceID
}

// NewKernelScheduler returns a scheduler over the repository's devices; newID
// names each instance and must not return the same id twice.
func NewKernelScheduler(devices Repository, newID func() InstanceID) *KernelScheduler {
	return &KernelScheduler{devices: devices, newID: newID}
}

// Schedule returns an instance of the workload, ready on the best suitable
// device. It fails with *NoSuitableDeviceError (ErrNoSuitableDevice) if no
// device is suitable, with a *fault.FieldError for an invalid workload or invalid
// preferences, and with the repository's errors.
func (s *KernelScheduler) Schedule(w Workload, p SchedulingPreferences) (KernelInstance, error) {
	if err := w.Validate(); err != nil {
		return KernelInstance{}, fmt.Errorf("schedule: %w", err)
	}
	if err := p.validate(); err != nil {
		return KernelInstance{}, fmt.Errorf("schedule %q: %w", w.Name, err)
	}
	suitable, err := s.devices.FindAvailable(w)
	if err != nil {
		return KernelInstance{}, fmt.Errorf("schedule %q: find devices: %w", w.Name, err)
	}
	suitable = slices.DeleteFunc(suitable, func(d Device) bool { return len(p.refuse(d.ID())) > 0 })
	if len(suitable) == 0 {
		return KernelInstance{}, s.explain(w, p)
	}
	best := slices.MinFunc(suitable, p.better)
	return KernelInstance{
		id: s.newID(), workload: w.clone(), device: best,
		state: StateReady, config: launchConfig(w, best),
	}, nil
}

// explain collects why no device was chosen.
func (s *KernelScheduler) explain(w Workload, p SchedulingPreferences) error {
	all, err := s.devices.List()
	if err != nil {
		return fmt.Errorf("schedule %q: list devices: %w", w.Name, err)
	}
	e := &NoSuitableDeviceError{Workload: w.Name}
	asked := p.Policy != PolicyNamed
	for _, d := range all {
		asked = asked || d.ID() == p.Device
		reasons := append(p.refuse(d.ID()), d.Refusal(w)...)
		if len(reasons) == 0 {
			reasons = []Reason{{Code: ReasonLeased, Transient: true, Message: "it was released just now; try again"}}
		}
		e.Refusals = append(e.Refusals, Refusal{Device: d.ID(), Reasons: reasons})
	}
	if !asked {
		e.Refusals = append(e.Refusals, Refusal{Device: p.Device, Reasons: []Reason{
			{Code: ReasonUnknownDevice, Message: "there is no such device"},
		}})
		slices.SortFunc(e.Refusals, func(a, b Refusal) int { return strings.Compare(string(a.Device), string(b.Device)) })
	}
	return e
}
