package api

import (
	"errors"
	"strconv"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
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
	// Labels are what jobs can ask of it with job.labels.
	Labels []string `json:"labels,omitempty"`
	// Leases are those in force.
	Leases []device.Lease `json:"leases"`
}

// LeaseInterval is how often a caller that waits for a lease is told so.
const LeaseInterval = time.Second

// LeaseRequest asks for a lease of a device for work beside what trains.
type LeaseRequest struct {
	// Kind says what will use the device, a verification or a generation, and Run which run
	// it is about.
	Kind device.HolderKind `json:"kind"`
	Run  string            `json:"run"`
	// Workload is shared: only a run has a device to itself.
	Workload device.Workload `json:"workload"`
}

// Validate returns a *fault.FieldError for each field that cannot be used, joined.
func (r LeaseRequest) Validate() error {
	var errs []error
	switch r.Kind {
	case device.HolderVerification, device.HolderGeneration:
		errs = append(errs, device.Holder{Kind: r.Kind, Subject: r.Run, Instance: "new"}.Validate())
	default:
		errs = append(errs, &fault.FieldError{
			Field: "kind", Value: strconv.Quote(string(r.Kind)), Problem: "is not a kind of work that can ask for a lease", Fix: "use verification or generation",
		})
	}
	if !r.Workload.Shared {
		errs = append(errs, &fault.FieldError{Field: "workload.shared", Value: "false", Problem: "would keep runs from training", Fix: "use true"})
	}
	return errors.Join(append(errs, r.Workload.Validate())...)
}

// LeaseUpdate is how a request for a lease stands. Both fields are zero if nothing is
// known yet.
type LeaseUpdate struct {
	// Waiting is why there is no device yet.
	Waiting string `json:"waiting,omitempty"`
	// Granted is the lease.
	Granted *device.Lease `json:"granted,omitempty"`
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

// QueuedRun is a run that does not train yet.
type QueuedRun struct {
	RunID training.RunID `json:"run_id"`
	// For is the state of its job, such as queued. For a run that never had one, as in
	// older logs, it is that of its saga, such as allocating_resources.
	For   string    `json:"waits_in"`
	Since time.Time `json:"since"`
}
