package device

import (
	"fmt"
	"sync/atomic"

	"reprise/fault"
	"reprise/tensor"
)

var (
	// ErrStaleLease is wrapped by every *StaleLeaseError: the lease is not, or
	// no longer, in force, and its holder must stop using the device.
	ErrStaleLease = fault.New(fault.Conflict, "stale lease")
	// ErrWrongDevice is returned if a lease or an event of one device is
	// presented to another.
	ErrWrongDevice = fault.New(fault.Internal, "belongs to another device")
	// ErrLeaseIDInUse is returned if another holder has a lease with the id.
	ErrLeaseIDInUse = fault.New(fault.Conflict, "lease id is in use by another holder")
)

// LeaseID names a lease. It must not be reused while the lease is in force.
type LeaseID string

// Epoch counts the leases that a device has ever granted, from 1. A greater
// epoch is a later lease, so the epoch is a fencing token: actions under an old
// epoch must be refused once there is a newer one.
type Epoch uint64

// Lease is the right to use a device until it is released.
type Lease struct {
	ID     LeaseID `json:"id"`
	Device ID      `json:"device"`
	// Holder names who uses the device (Holder.String), such as "run/01k5...".
	Holder string `json:"holder"`
	Epoch  Epoch  `json:"epoch"`
	// Memory is reserved for the holder.
	Memory tensor.Bytes `json:"memory"`
	// Shared leases take no slot of the device.
	Shared bool `json:"shared,omitempty"`
}

// String names the lease for messages.
func (l Lease) String() string {
	return fmt.Sprintf("lease %s of %s on %s (epoch %d)", l.ID, l.Holder, l.Device, l.Epoch)
}

// StaleLeaseError says why a lease is not in force.
type StaleLeaseError struct {
	Lease Lease
	// Newest is the epoch of the device's newest lease, in force or not.
	Newest Epoch
	Why    string
}

// Error names the lease, the newest epoch and what is wrong.
func (e *StaleLeaseError) Error() string {
	return fmt.Sprintf("%v: %v %s; the newest epoch is %d: acquire the device again", ErrStaleLease, e.Lease, e.Why, e.Newest)
}

// Kind returns Conflict.
func (e *StaleLeaseError) Kind() fault.Kind { return fault.Conflict }

// Unwrap returns ErrStaleLease.
func (e *StaleLeaseError) Unwrap() error { return ErrStaleLease }

// Guard lets goroutines other than a ledger's owner check leases: the owner
// publishes each new state of the ledger, and any goroutine checks against the
// latest one, without locks and without a message to the owner. The zero value
// refuses every lease. It is safe for concurrent use and must not be copied.
type Guard struct {
	ledger atomic.Pointer[Ledger]
}

// Publish makes the state of the ledger the one that Check uses.
func (g *Guard) Publish(l Ledger) { g.ledger.Store(&l) }

// Check is Ledger.Check on the last published state.
func (g *Guard) Check(l Lease) error {
	if published := g.ledger.Load(); published != nil {
		return published.Check(l)
	}
	return &StaleLeaseError{Lease: l, Why: "belongs to a device without a ledger"}
}
