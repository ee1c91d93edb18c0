package queue

import "reprise/device"

// RulesVersion counts the rules by which Plan decides. It goes up whenever Plan would
// decide differently about a snapshot that could be recorded before, or give other
// codes: a decision can be made again from its record only by the rules that made it.
//
// Since version 2 EASY backfill counts with the ends of jobs that the same plan places.
const RulesVersion = 2

// Decision says what to do with each job that waits.
type Decision struct {
	// Placed are in the order in which they were decided, best rank first.
	Placed []Placement `json:"placed,omitempty"`
	// Pending are the other waiting jobs, best rank first.
	Pending []Pending `json:"pending,omitempty"`
}

// Placement puts a job on devices, one of the gang on each.
type Placement struct {
	Job JobID       `json:"job"`
	On  []device.ID `json:"on"`
	// Preempt are the jobs that have to be checkpointed and leave first. More than
	// one placement may name the same job.
	Preempt []JobID `json:"preempt,omitempty"`
}

// Pending is a job that waits, and why.
type Pending struct {
	Job JobID `json:"job"`
	// Position counts from 1 in the order in which jobs are considered.
	Position int `json:"position"`
	// Reasons are shared between jobs that wait for the same reasons. The first is
	// the one to show.
	Reasons []Reason `json:"reasons"`
}

// Code is the machine-readable part of a Reason.
type Code string

// ReasonMissingLabel is why a device without a label is not given a job that needs
// it.
const ReasonMissingLabel device.ReasonCode = "missing_label"

// Why a job waits. Those of single devices are device.ReasonCode values.
const (
	CodePaused   Code = "paused"
	CodeAfter    Code = "after"     // another job must end first
	CodeDeferred Code = "deferred"  // what was in the way of the last attempt may still be
	CodeQuota    Code = "quota"     // the owner's jobs hold as much as they may
	CodeTooLarge Code = "too_large" // fewer devices than it wants could ever take it
	CodeUnfit    Code = "unfit"     // fewer than it wants could take it now, such as for their health
	CodeBusy     Code = "busy"      // devices that could take it are held by jobs that need not give way
	CodeScatter  Code = "scattered" // enough devices are free, but on too many workers
	CodeReserved Code = "reserved"  // free devices are kept for a job that ranks higher
	CodeBehind   Code = "behind"    // nothing may overtake the job ahead
)

// Reason is one reason for which a job waits, with the devices that it concerns.
type Reason struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Devices is how many devices it concerns; 0 where it concerns none.
	Devices int `json:"devices,omitempty"`
	// Transient says that waiting may help.
	Transient bool `json:"transient"`
	// Job is the one waited for, where it is one.
	Job JobID `json:"job,omitempty"`
}
