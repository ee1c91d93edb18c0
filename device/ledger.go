package device

import (
	"fmt"
	"slices"

	"reprise/fault"
)

var (
	// ErrNotRegistered is returned by a ledger without a device.
	ErrNotRegistered = fault.New(fault.NotFound, "device is not registered")
	// ErrHeld is returned if a change must wait until leases are released.
	ErrHeld = fault.New(fault.Unavailable, "device is leased")
)

// Ledger is the aggregate that decides who may use one device. It is a pure
// state machine: the deciding methods return events and change nothing; Apply
// returns the state after an event. The host persists the events, then applies
// them, then tells anyone.
//
// Invariants: there are never more leases than slots, not counting shared ones, and
// all of them never reserve more memory than the device has free; no two leases have the same holder or
// id; epochs strictly increase over the whole life of the device, including
// across restarts; an unhealthy device has no leases.
//
// The zero value is a ledger without a device. A Ledger is a value: it may be
// shared between goroutines.
type Ledger struct {
	device Device
	epoch  Epoch   // of the newest lease ever granted
	leases []Lease // in force, by ascending epoch; never written to once shared
}

// Device returns the device with its leases in force: its free memory and slots
// are what the next lease can have. It is the zero Device before Registered.
func (l Ledger) Device() Device { return l.device.withLeases(l.leases) }

// Epoch returns the epoch of the newest lease ever granted; 0 if there was none.
func (l Ledger) Epoch() Epoch { return l.epoch }

// Leases returns the leases in force, oldest first.
func (l Ledger) Leases() []Lease { return slices.Clone(l.leases) }

// Register decides to describe the device, for the first time or again. An
// unchanged description gives no events. It fails with ErrWrongDevice for
// another device's id and with ErrHeld if the description changes while leases
// are in force: release them first (ReleaseAll).
func (l Ledger) Register(d Device) ([]Event, error) {
	switch {
	case d.ID() == "":
		return nil, invalid("device", "id", `""`, "is not a name", "make the device with New")
	case l.registered() && l.device.ID() != d.ID():
		return nil, fmt.Errorf("register %s with the ledger of %s: %w", d.ID(), l.device.ID(), ErrWrongDevice)
	case l.registered() && l.device.sameDescription(d):
		return nil, nil
	case len(l.leases) > 0:
		return nil, fmt.Errorf("register %s again: %w by %s; release all leases first", d.ID(), ErrHeld, l.leases[0].Holder)
	}
	return []Event{Registered{Device: d.Description()}}, nil
}

// Acquire decides to lease the device to the holder for the workload. A lease
// that the holder already has is released first, even if it has the same id.
//
// It fails with *NoSuitableDeviceError (ErrNoSuitableDevice) if the device
// cannot take the workload now, with ErrLeaseIDInUse, ErrNotRegistered, or a
// *fault.FieldError; the holder then keeps any lease that it has.
func (l Ledger) Acquire(holder string, id LeaseID, w Workload) ([]Event, error) {
	switch {
	case !l.registered():
		return nil, fmt.Errorf("acquire for %s: %w", holder, ErrNotRegistered)
	case holder == "":
		return nil, invalid("lease", "holder", `""`, "is not a name", "say who will use the device")
	case id == "":
		return nil, invalid("lease", "id", `""`, "is not an id", "give the lease one")
	}
	if err := w.Validate(); err != nil {
		return nil, fmt.Errorf("acquire %s for %s: %w", l.device.ID(), holder, err)
	}
	var events []Event
	after := l
	for _, held := range l.leases {
		switch {
		case held.Holder == holder:
			e := Released{Lease: held, Reason: "replaced by lease " + string(id)}
			events, after = append(events, e), after.Apply(e)
		case held.ID == id:
			return nil, fmt.Errorf("acquire %s for %s with lease id %s of %s: %w", l.device.ID(), holder, id, held.Holder, ErrLeaseIDInUse)
		}
	}
	if reasons := after.Device().Refusal(w); len(reasons) > 0 {
		return nil, &NoSuitableDeviceError{Workload: w.Name, Refusals: []Refusal{{Device: l.device.ID(), Reasons: reasons}}}
	}
	return append(events, Leased{Lease: Lease{
		ID: id, Device: l.device.ID(), Holder: holder, Epoch: l.epoch + 1, Memory: w.Memory.Size, Shared: w.Shared,
	}}), nil
}

// Release decides to end a lease. One that has already ended gives no events,
// so that compensation can be repeated. It fails with *StaleLeaseError if the
// lease was never granted or its id is in force under another epoch, and with
// ErrWrongDevice.
func (l Ledger) Release(lease Lease, reason string) ([]Event, error) {
	if err := l.own(lease); err != nil {
		return nil, err
	}
	held, ok := l.byID(lease.ID)
	switch {
	case ok && held == lease:
		return []Event{Released{Lease: held, Reason: reason}}, nil
	case ok:
		return nil, &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: fmt.Sprintf("is not the one in force, %v", held)}
	case lease.Epoch == 0 || lease.Epoch > l.epoch:
		return nil, &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: "was never granted"}
	}
	return nil, nil
}

// ReleaseHolder decides to end the holder's lease, if it has one.
func (l Ledger) ReleaseHolder(holder, reason string) []Event {
	return l.release(reason, func(held Lease) bool { return held.Holder == holder })
}

// ReleaseAll decides to end every lease, oldest first. Recovery uses it for
// holders that died with their process.
func (l Ledger) ReleaseAll(reason string) []Event {
	return l.release(reason, func(Lease) bool { return true })
}

func (l Ledger) release(reason string, which func(Lease) bool) []Event {
	var events []Event
	for _, held := range l.leases {
		if which(held) {
			events = append(events, Released{Lease: held, Reason: reason})
		}
	}
	return events
}

// SetHealth decides on a new condition of the device; an unchanged one gives no
// events. An unhealthy device may compute wrong bits, so its leases end. It
// fails with ErrNotRegistered or a *fault.FieldError.
func (l Ledger) SetHealth(status HealthStatus, note string) ([]Event, error) {
	if !l.registered() {
		return nil, fmt.Errorf("set health: %w", ErrNotRegistered)
	}
	if _, err := l.device.WithHealth(status, note); err != nil {
		return nil, err
	}
	if was, wasNote := l.device.Health(); was == status && wasNote == note {
		return nil, nil
	}
	var events []Event
	if status == Unhealthy {
		events = l.ReleaseAll("device unhealthy: " + note)
	}
	return append(events, HealthChanged{Device: l.device.ID(), Health: status, Note: note}), nil
}

// Check fails with *StaleLeaseError (ErrStaleLease) unless exactly this lease
// is in force, and with ErrWrongDevice for another device's.
func (l Ledger) Check(lease Lease) error {
	if err := l.own(lease); err != nil {
		return err
	}
	held, ok := l.byID(lease.ID)
	switch {
	case ok && held == lease:
		return nil
	case ok:
		return &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: fmt.Sprintf("is not the one in force, %v", held)}
	case lease.Epoch == 0 || lease.Epoch > l.epoch:
		return &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: "was never granted"}
	}
	return &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: "has been released"}
}

func (l Ledger) registered() bool { return l.device.ID() != "" }

func (l Ledger) byID(id LeaseID) (Lease, bool) {
	i := slices.IndexFunc(l.leases, func(held Lease) bool { return held.ID == id })
	if i < 0 {
		return Lease{}, false
	}
	return l.leases[i], true
}

// own fails unless the lease belongs to this ledger's device.
func (l Ledger) own(lease Lease) error {
	if lease.Device != l.device.ID() {
		return fmt.Errorf("%v at the ledger of %s: %w", lease, l.device.ID(), ErrWrongDevice)
	}
	return nil
}
