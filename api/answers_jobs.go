package api

import (
	"fmt"
	"strings"
	"time"

	"reprise/queue"
	"reprise/training"
)

// Target names the runs that a request is about: by Runs, by All, or by what they have in
// common, which is one or more of Group, Name and Tags.
type Target struct {
	Runs []string `json:"runs,omitempty"`
	// Group is a group of jobs: those of it that the request fits.
	Group string `json:"group,omitempty"`
	// Name is what runs are called, and Tags are tags that each of them has.
	Name string   `json:"name,omitempty"`
	Tags []string `json:"tags,omitempty"`
	// All is every run that the request fits.
	All bool `json:"all,omitempty"`
}

// Selects reports whether the target says what its runs have in common.
func (t Target) Selects() bool { return t.Group != "" || t.Name != "" || len(t.Tags) > 0 }

// Fits reports whether a run has what the target says.
func (t Target) Fits(r Run) bool {
	return RunsRequest{Group: t.Group, Name: t.Name, Tags: t.Tags}.Fits(r)
}

// String says what the runs have in common: `group "sweep", tag "a"`.
func (t Target) String() string {
	var parts []string
	if t.Group != "" {
		parts = append(parts, fmt.Sprintf("group %q", t.Group))
	}
	if t.Name != "" {
		parts = append(parts, fmt.Sprintf("name %q", t.Name))
	}
	for _, tag := range t.Tags {
		parts = append(parts, fmt.Sprintf("tag %q", tag))
	}
	return strings.Join(parts, ", ")
}

// CancelRequest asks for runs to be ended for good, wherever they are. Their checkpoints
// stay.
type CancelRequest struct {
	Target
	// Cause is recorded as why.
	Cause string `json:"cause"`
}

// PauseRequest asks for runs to wait until somebody resumes them.
type PauseRequest struct {
	Target
	Cause string `json:"cause"`
}

// PriorityRequest asks for another priority of runs that have not ended.
type PriorityRequest struct {
	Target
	Priority int `json:"priority"`
}

// RetryRequest asks for a new run for each of some that have ended without having
// completed.
type RetryRequest struct {
	Target
	// RunIDs are ids for the new runs, as SubmitRequest.RunIDs, in no order. The service
	// draws ids for more runs than these.
	RunIDs []training.RunID `json:"run_ids,omitempty"`
}

// DeleteRequest asks for the files of runs to be removed for good: their checkpoints and
// the figures of their steps. Their events stay in the log.
type DeleteRequest struct {
	Target
	// DryRun asks only what would be freed.
	DryRun bool `json:"dry_run,omitempty"`
}

// Deleted is what became of runs that were to be deleted, or would.
type Deleted struct {
	Runs []DeletedRun `json:"runs"`
}

// DeletedRun is what became of one run.
type DeletedRun struct {
	RunID training.RunID `json:"run_id"`
	Name  string         `json:"name,omitempty"`
	// State is that before it was deleted.
	State training.State `json:"state,omitempty"`
	// Bytes are those of the files, and Checkpoints how many were among them.
	Bytes       int64 `json:"bytes"`
	Checkpoints int   `json:"checkpoints"`
	// DeletedBefore is when it was deleted, if that was before the request.
	DeletedBefore *time.Time `json:"deleted_before,omitempty"`
	// Left says that something in the run's folder is not Reprise's, and was left.
	Left bool `json:"left,omitempty"`
	// Error is why the run was not deleted.
	Error *Error `json:"error,omitempty"`
}

// Commanded is what became of runs that a request was about.
type Commanded struct {
	Runs []CommandedRun `json:"runs"`
}

// CommandedRun is what became of one run.
type CommandedRun struct {
	RunID training.RunID `json:"run_id"`
	// State is that of the run afterwards. One that is still writing its checkpoint is
	// running, and Stopping says what it will be.
	State    training.State `json:"state,omitempty"`
	Stopping training.State `json:"stopping,omitempty"`
	// RetryOf is the run that this one tries again.
	RetryOf training.RunID `json:"retry_of,omitempty"`
	// Priority is the new one; nil where it was not changed.
	Priority *int `json:"priority,omitempty"`
	// Error is why nothing was done.
	Error *Error `json:"error,omitempty"`
}

// The states of a run that its own events do not tell: those of its job.
const (
	Submitted = training.State(queue.StateSubmitted) // it waits for its data, or to be prepared
	Preparing = training.State(queue.StatePreparing) // its data are being opened
	Queued    = training.State(queue.StateQueued)    // it waits for devices or other runs
	Placed    = training.State(queue.StatePlaced)    // it has a device and makes its model
	Paused    = training.State(queue.StatePaused)    // it waits for somebody to resume it
	Cancelled = training.State(queue.StateCancelled)
	Rejected  = training.State(queue.StateRejected) // it can never run
)

// Left reports whether the process that trains has ended and left the run where it was.
func (r Run) Left() bool {
	return r.Job != nil && r.Job.Cause != nil && r.Job.Cause.Code == queue.CauseProcessEnded
}

// LacksData reports whether the data that the run was recorded with could not be opened.
func (r Run) LacksData() bool {
	return r.Job != nil && r.Job.Cause != nil && r.Job.Cause.Code == queue.CauseData
}

// RunStates returns all states of a run, in the order in which one may have them.
func RunStates() []training.State {
	return []training.State{
		Submitted, Preparing, Queued, Placed, training.Initializing, training.Running,
		Paused, training.Interrupted, training.Completed, training.Failed, Cancelled, Rejected,
	}
}

// Job is how a run is queued.
type Job struct {
	// State is that of the job as recorded, whether a process works on it or not.
	State queue.State `json:"state"`
	// Name is the request's file.
	Name  string `json:"name,omitempty"`
	Owner string `json:"owner,omitempty"`
	Group string `json:"group,omitempty"`
	// Priority is the one that it has now.
	Priority int `json:"priority,omitempty"`
	// After are the runs that have to complete first and have not.
	After []queue.JobID `json:"after,omitempty"`
	// MaxSeconds bounds for how long it has devices; 0 is no bound.
	MaxSeconds float64       `json:"max_seconds,omitempty"`
	Labels     []string      `json:"labels,omitempty"`
	RetryOf    queue.JobID   `json:"retry_of,omitempty"`
	Stopping   queue.State   `json:"stopping,omitempty"`
	Cause      *queue.Cause  `json:"cause,omitempty"`
	Deferrals  int           `json:"deferrals,omitempty"`
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	// Deleted says that the run's files were removed.
	Deleted bool `json:"deleted,omitempty"`
	// DeletedAt is when; nil for a run that was not deleted.
	DeletedAt *time.Time `json:"deleted_at,omitempty"`
	// SubmittedAt is when it was submitted.
	SubmittedAt time.Time `json:"submitted_at"`
}
