package api

import (
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/training"
)

// DevicesRequest asks for the devices.
type DevicesRequest struct{}

// DeviceList is the devices of a machine.
type DeviceList struct {
	Devices []Device `json:"devices"`
}

// Device is a device and who holds it.
type Device struct {
	device.Description
	// Leases are those in force.
	Leases []device.Lease `json:"leases"`
}

// StateRequest asks for the state of the whole system.
type StateRequest struct {
	// At is when; now if it is zero.
	At PointInTime `json:"at,omitzero"`
}

// StateReport is the state of the whole system and the event that led to it.
type StateReport struct {
	State SystemState `json:"state"`
	// Aggregate is what the event at the state's position happened to, and Headline
	// says what happened; both are "" before the first event.
	Aggregate eventstore.AggregateID `json:"aggregate,omitempty"`
	Headline  string                 `json:"headline,omitempty"`
}

// SystemState is queue, devices and runs as of a position of the log.
type SystemState struct {
	Position eventstore.Position `json:"position"`
	// End is the position at which the log ends.
	End eventstore.Position `json:"end"`
	// Time is when the event at Position happened; null before the first.
	Time *time.Time `json:"time"`
	// Queue has the runs that wait, the first come first.
	Queue []QueuedRun `json:"queue"`
	// Devices are as their ledgers have them: their free memory is what leases leave.
	Devices []Device `json:"devices"`
	Runs    []Run    `json:"runs"`
	// Note says that the log has something under way that no process works on.
	Note string `json:"note,omitempty"`
}

// QueuedRun is a run that waits, for what the state of its saga says.
type QueuedRun struct {
	RunID training.RunID     `json:"run_id"`
	For   training.SagaState `json:"waits_in"`
	Since time.Time          `json:"since"`
}
