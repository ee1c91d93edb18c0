package queue

import (
	"slices"
	"time"

	"reprise/device"
)

// State is where a job stands.
type State string

// The states. A job waits in the first three and in the fourth, has devices in placed
// and running, and has ended in the last four, which are final.
//
//	submitted <-> preparing -> queued <-> placed -> running -> completed
//
// From any of these a job can be paused or cancelled; one that has devices writes a
// checkpoint and gives them back first. A job that is resumed, or that is deferred
// because of something that may pass, is submitted again if its data have not been
// opened yet, else queued. It ends as rejected if it turns out before it has devices
// that it cannot run, and as failed after that.
const (
	StateSubmitted State = "submitted" // its data are to be opened
	StatePreparing State = "preparing" // its data are being opened
	StateQueued    State = "queued"    // it waits for devices or for other jobs
	StatePaused    State = "paused"    // it waits for somebody to resume it
	StatePlaced    State = "placed"    // devices are set aside for it
	StateRunning   State = "running"
	StateCompleted State = "completed"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
	StateRejected  State = "rejected"
)

// States returns all states, in the order in which a job may have them.
func States() []State {
	return []State{
		StateSubmitted, StatePreparing, StateQueued, StatePaused, StatePlaced, StateRunning,
		StateCompleted, StateFailed, StateCancelled, StateRejected,
	}
}

// Ended reports whether the state is final.
func (s State) Ended() bool {
	return slices.Contains([]State{StateCompleted, StateFailed, StateCancelled, StateRejected}, s)
}

// HasDevices reports whether a job in this state has devices.
func (s State) HasDevices() bool { return s == StatePlaced || s == StateRunning }

// Waits reports whether a job in this state has neither devices nor ended.
func (s State) Waits() bool {
	return slices.Contains([]State{StateSubmitted, StatePreparing, StateQueued, StatePaused}, s)
}

// Job is the aggregate of a job: what was asked for, and where it stands. It is a pure
// state machine: Decide returns events and changes nothing, Apply returns the job after
// an event. The host persists the events, then applies them, then tells anyone. Times
// and ids come in with the commands.
//
// A job's id is that of its run, and its stream is "job/RUN". The zero value is a job
// that was not submitted. A Job is a value: it may be shared between goroutines.
type Job struct {
	id         JobID
	worker     string
	submission Submission
	state      State
	priority   int
	after      []JobID // that have not completed yet
	estimate   *Estimate
	on         []device.ID
	stop       *Stop
	cause      Cause
	retryAfter time.Duration
	deferrals  int
	ran        time.Duration
	waited     time.Duration
}

// Stop is what a job that has devices shall do once it has given them back.
type Stop struct {
	To State // StatePaused or StateCancelled
	Cause
}

// ID returns the job's id; "" before it was submitted.
func (j Job) ID() JobID { return j.id }

// Worker returns the worker that hosts the job; "" for the only one.
func (j Job) Worker() string { return j.worker }

// State returns where the job stands; "" before it was submitted.
func (j Job) State() State { return j.state }

// Submission returns what was asked for, as it was. Priority may have changed since.
func (j Job) Submission() Submission { return j.submission.clone() }

// Priority returns the priority that the job has now.
func (j Job) Priority() int { return j.priority }

// After returns the jobs that have to complete first and have not.
func (j Job) After() []JobID { return copied(j.after) }

// Estimate returns what is known of the job since its data were opened; false before.
func (j Job) Estimate() (Estimate, bool) {
	if j.estimate == nil {
		return Estimate{}, false
	}
	return j.estimate.clone(), true
}

// On returns the devices that the job has.
func (j Job) On() []device.ID { return copied(j.on) }

// Stop returns what a job that has devices shall do as soon as it can; false if it
// shall go on.
func (j Job) Stop() (Stop, bool) {
	if j.stop == nil {
		return Stop{}, false
	}
	return *j.stop, true
}

// Left reports whether the host of the job has left it where it waits, so that somebody
// has to resume it: its process ended, or there is something in its way that does not pass
// by itself.
func (j Job) Left() bool {
	return (j.state == StateSubmitted || j.state == StateQueued) && (j.cause.Code == CauseProcessEnded || j.cause.Code == CauseObstacle)
}

// Cause returns why the job was deferred last, or why it ended; it is zero for a job
// that was not deferred and for one that completed.
func (j Job) Cause() Cause { return j.cause }

// RetryAfter returns how long a job that was deferred waits before the next attempt,
// from the time of the event.
func (j Job) RetryAfter() time.Duration { return j.retryAfter }

// Deferrals returns how many times in a row the job was deferred with the same code,
// for a host that waits longer each time.
func (j Job) Deferrals() int { return j.deferrals }

// Ran returns how long the job has run, up to the last event that ended a period.
func (j Job) Ran() time.Duration { return j.ran }

// Waited returns how long the job has waited for devices, up to the last event that
// ended a period.
func (j Job) Waited() time.Duration { return j.waited }

// Size returns how many devices the job needs at once.
func (j Job) Size() int { return max(1, j.submission.Devices) }

// TimeLeft returns how much longer the job may run; false if nothing bounds it.
func (j Job) TimeLeft() (time.Duration, bool) {
	if j.submission.MaxDuration == 0 {
		return 0, false
	}
	return max(0, j.submission.MaxDuration-j.ran), true
}

// Entry returns the job as a snapshot shows it, but for what only the host's clock
// knows: Submitted, Since, NotBefore, and the parts of Served and Waited that are not
// on record yet. It returns false for a job that is in no snapshot, because it has
// ended or its data have not been opened.
func (j Job) Entry() (Entry, bool) {
	if j.estimate == nil || j.state.Ended() {
		return Entry{}, false
	}
	e := Entry{
		ID: j.id, Owner: j.submission.Owner, Priority: j.priority, Devices: j.submission.Devices,
		Need: Need{
			Features: copied(j.estimate.Features), Memory: j.estimate.Memory, Labels: copied(j.submission.Labels),
		},
		After: j.After(), Paused: j.state == StatePaused, On: j.On(), Served: j.ran, Waited: j.waited,
	}
	if j.estimate.Duration > 0 {
		e.Remaining = max(1, j.estimate.Duration-j.ran) // 0 would say that nothing is known
	}
	return e, true
}
