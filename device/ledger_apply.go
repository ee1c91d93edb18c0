package device

import (
	"fmt"
	"slices"

	"reprise/fault"
)

// ErrContradiction is wrapped by every *ContradictionError.
var ErrContradiction = fault.New(fault.Corrupt, "event contradicts the device's history")

// ContradictionError says that an event cannot follow the events before it: the
// log was not written by these rules.
type ContradictionError struct {
	Event Event
	Why   string
}

// Error names the event and the contradiction.
func (e *ContradictionError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrContradiction, e.Event.EventType(), e.Why)
}

// Kind returns Corrupt.
func (e *ContradictionError) Kind() fault.Kind { return fault.Corrupt }

// Unwrap returns ErrContradiction.
func (e *ContradictionError) Unwrap() error { return ErrContradiction }

// Replay returns the ledger that results from a device's events, or a
// *ContradictionError.
func Replay(events []Event) (Ledger, error) {
	var l Ledger
	for i, e := range events {
		next, err := l.ApplyRecorded(e)
		if err != nil {
			return Ledger{}, fmt.Errorf("event %d: %w", i+1, err)
		}
		l = next
	}
	return l, nil
}

// Apply returns the ledger after the event; l is unchanged. It panics with a
// *ContradictionError for an event that l could not have decided on, which is a
// broken invariant. Use ApplyRecorded for events from outside.
func (l Ledger) Apply(e Event) Ledger {
	next, err := l.ApplyRecorded(e)
	if err != nil {
		panic(err)
	}
	return next
}

// ApplyRecorded returns the ledger after an event of a log, or a
// *ContradictionError. It checks every invariant listed at Ledger, so that a
// log that breaks one is found when it is read and not when two holders meet.
func (l Ledger) ApplyRecorded(e Event) (Ledger, error) {
	no := func(format string, args ...any) (Ledger, error) {
		return Ledger{}, &ContradictionError{Event: e, Why: fmt.Sprintf(format, args...)}
	}
	if _, first := e.(Registered); !first && !l.registered() {
		return no("the device is not registered")
	}
	switch e := e.(type) {
	case Registered:
		d, err := New(e.Device)
		switch {
		case err != nil:
			return no("%v", err)
		case l.registered() && l.device.ID() != d.ID():
			return no("it belongs to device %s, the ledger to %s", d.ID(), l.device.ID())
		case len(l.leases) > 0:
			return no("%v is in force", l.leases[0])
		}
		l.device = d
	case Leased:
		if why := l.contradiction(e.Lease); why != "" {
			return no("%v %s", e.Lease, why)
		}
		l.epoch = e.Lease.Epoch
		l.leases = append(slices.Clip(l.leases), e.Lease)
	case Released:
		i := slices.Index(l.leases, e.Lease)
		if i < 0 {
			return no("%v is not in force", e.Lease)
		}
		l.leases = slices.Concat(l.leases[:i], l.leases[i+1:])
	case HealthChanged:
		d, err := l.device.WithHealth(e.Health, e.Note)
		switch {
		case err != nil:
			return no("%v", err)
		case e.Device != l.device.ID():
			return no("it belongs to device %s, the ledger to %s", e.Device, l.device.ID())
		case e.Health == Unhealthy && len(l.leases) > 0:
			return no("%v is in force", l.leases[0])
		}
		l.device = d
	default:
		return no("it is not an event of a device")
	}
	return l, nil
}

// contradiction returns why a new lease could not have been granted, or "".
func (l Ledger) contradiction(lease Lease) string {
	device := l.Device()
	switch {
	case lease.Device != l.device.ID():
		return "does not belong to device " + string(l.device.ID())
	case lease.ID == "" || lease.Holder == "":
		return "has no id or no holder"
	case lease.Epoch <= l.epoch:
		return fmt.Sprintf("is not after epoch %d", l.epoch)
	case !lease.Shared && len(device.exclusive) >= device.Slots():
		return fmt.Sprintf("exceeds the %d slots", device.Slots())
	case lease.Memory < 0 || lease.Memory > device.Memory().Available:
		return fmt.Sprintf("reserves %d bytes of %d free", lease.Memory, device.Memory().Available)
	case device.d.Health == Unhealthy:
		return "is on an unhealthy device"
	}
	for _, held := range l.leases {
		if held.ID == lease.ID || held.Holder == lease.Holder {
			return fmt.Sprintf("meets %v", held)
		}
	}
	return ""
}
