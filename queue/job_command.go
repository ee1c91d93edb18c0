package queue

import (
	"fmt"
	"slices"
	"time"

	"reprise/device"
	"reprise/fault"
)

// Command is something that a user or the host wants of a job: one of the structs of
// this file. The set is closed.
type Command interface{ jobCommand() }

// The commands of users.
type (
	// Submit makes a job. Its id, that of its run, is new.
	Submit struct {
		Job JobID
		Submission
		Worker string // that hosts it
	}
	// Pause makes a job wait until it is resumed. One that has devices is asked to
	// stop; the host then answers with Defer.
	Pause struct {
		Cause Cause
		// Waited is how long the job has been in the queue, as in JobPlaced.
		Waited time.Duration
	}
	// Resume lets a job that is paused, or that its process has left, wait again.
	Resume struct{}
	// SetPriority changes the priority of a job that has not ended.
	SetPriority struct{ Priority int }
	// Delete has the files of a job that has ended removed. A second Delete changes nothing.
	Delete struct{}
	// Cancel ends a job, whatever it does. One that has devices is asked to stop; the
	// host then answers with Defer. A second Cancel changes nothing.
	Cancel struct{ Cause Cause }
)

// The commands of the host.
type (
	// Prepare says that the job's data are being opened.
	Prepare struct{}
	// Queue says that they are open, and puts the job into the queue.
	Queue struct{ Estimate Estimate }
	// Place says that the job has devices.
	Place struct {
		Devices []device.ID
		Waited  time.Duration // in the queue
	}
	// Start says that the job runs.
	Start struct{}
	// Defer says that the job has no devices any more, or that its data cannot be
	// opened now: it gave way, its process ended, or something else is in the way
	// that may pass. If the job was asked to stop, it is then paused or cancelled;
	// else it waits again, for RetryAfter at least.
	Defer struct {
		Cause      Cause
		Ran        time.Duration
		RetryAfter time.Duration
	}
	// Reject ends a job for which waiting is no use.
	Reject struct{ Cause Cause }
	// Complete says that all is trained. It counts even for a job that was asked to
	// stop.
	Complete struct{ Ran time.Duration }
	// Fail says that the job cannot be trained.
	Fail struct {
		Cause Cause
		Ran   time.Duration
	}
	// CheckDuration cancels the job if it has run for as long as it may. Ran is how
	// long it has run since it was placed last.
	CheckDuration struct{ Ran time.Duration }
	// EndPredecessor says that another job has ended. If the job waits for it, it
	// waits no longer, or is cancelled if the other one did not complete.
	EndPredecessor struct {
		Job   JobID
		State State
	}
)

func (Submit) jobCommand()         {}
func (Pause) jobCommand()          {}
func (Resume) jobCommand()         {}
func (SetPriority) jobCommand()    {}
func (Delete) jobCommand()         {}
func (Cancel) jobCommand()         {}
func (Prepare) jobCommand()        {}
func (Queue) jobCommand()          {}
func (Place) jobCommand()          {}
func (Start) jobCommand()          {}
func (Defer) jobCommand()          {}
func (Reject) jobCommand()         {}
func (Complete) jobCommand()       {}
func (Fail) jobCommand()           {}
func (CheckDuration) jobCommand()  {}
func (EndPredecessor) jobCommand() {}

// Decide returns the events that the command leads to; none if what it wants is so
// already. The error has kind fault.NotFound for a job that was never submitted,
// fault.Conflict for a command that does not fit the job's state, and fault.Invalid
// for one that fits none.
func (j Job) Decide(c Command) ([]JobEvent, error) {
	if s, ok := c.(Submit); ok {
		e := JobSubmitted{Job: s.Job, Submission: s.Submission.clone(), Worker: s.Worker}
		if err := j.check(e); err != nil {
			return nil, err
		}
		return []JobEvent{e}, nil
	}
	if j.state == "" {
		return nil, fault.New(fault.NotFound, "the job was never submitted")
	}
	switch c := c.(type) {
	case Pause:
		return j.pause(c)
	case Resume:
		return j.decided("resume", JobResumed{})
	case SetPriority:
		if c.Priority == j.priority && !j.state.Ended() {
			return nil, nil
		}
		return j.decided("prioritize", JobPriorityChanged{c.Priority})
	case Delete:
		if j.deleted {
			return nil, nil
		}
		return j.decided("delete", JobDeleted{})
	case Annotate:
		return j.annotate(c)
	case Cancel:
		return j.cancel(c.Cause)
	case Prepare:
		return j.decided("prepare", JobPreparing{})
	case Queue:
		return j.decided("queue", JobPrepared{c.Estimate.clone()})
	case Place:
		return j.decided("place", JobPlaced{Devices: c.Devices, Waited: c.Waited})
	case Start:
		return j.decided("start", JobStarted{})
	case Defer:
		return j.deferred(c)
	case Reject:
		return j.decided("reject", JobRejected{c.Cause})
	case Complete:
		return j.decided("complete", JobCompleted{c.Ran})
	case Fail:
		return j.decided("fail", JobFailed{c.Cause, c.Ran})
	case CheckDuration:
		return j.checkDuration(c.Ran)
	case EndPredecessor:
		return j.endPredecessor(c)
	}
	return nil, fault.New(fault.Internal, "%T is not a command of a job", c)
}

// decided returns the event if it can happen now.
func (j Job) decided(verb string, e JobEvent) ([]JobEvent, error) {
	if err := j.check(e); err != nil {
		if j.state.Ended() {
			return nil, fault.New(fault.Conflict, "run %s %s: there is nothing to %s", j.id, ended(j.state), verb)
		}
		return nil, fmt.Errorf("cannot %s run %s: %w", verb, j.id, err)
	}
	return []JobEvent{e}, nil
}

func (j Job) pause(c Pause) ([]JobEvent, error) {
	switch {
	case j.state == StatePaused, j.stop != nil && j.stop.To == StatePaused:
		return nil, nil
	case j.state.HasDevices():
		return j.decided("pause", JobStopRequested{StatePaused, c.Cause})
	case j.state != StateQueued:
		c.Waited = 0
	}
	return j.decided("pause", JobPaused{Waited: c.Waited})
}

func (j Job) cancel(cause Cause) ([]JobEvent, error) {
	switch {
	case j.state == StateCancelled, j.stop != nil && j.stop.To == StateCancelled:
		return nil, nil
	case j.state.HasDevices():
		return j.decided("cancel", JobStopRequested{StateCancelled, cause})
	}
	return j.decided("cancel", JobCancelled{Cause: cause})
}

func (j Job) deferred(c Defer) ([]JobEvent, error) {
	switch {
	case j.stop == nil:
		return j.decided("defer", JobDeferred{c.Cause, c.Ran, c.RetryAfter})
	case j.stop.To == StatePaused:
		return j.decided("pause", JobPaused{Ran: c.Ran})
	default:
		return j.decided("cancel", JobCancelled{j.stop.Cause, c.Ran})
	}
}

func (j Job) checkDuration(ran time.Duration) ([]JobEvent, error) {
	left, bounded := j.TimeLeft()
	if !bounded || j.state.Ended() || ran < left {
		return nil, nil
	}
	return j.cancel(Cause{CauseMaxDuration, fmt.Sprintf(
		"it has run for the %v that job.max_duration allows; its last checkpoint is kept, and a fork can continue from it", j.submission.MaxDuration)})
}

func (j Job) endPredecessor(c EndPredecessor) ([]JobEvent, error) {
	switch {
	case !c.State.Ended():
		return nil, fault.New(fault.Conflict, "job %s is %s and has not ended", c.Job, c.State)
	case j.state.Ended() || !slices.Contains(j.after, c.Job):
		return nil, nil
	case c.State == StateCompleted:
		return j.decided("release", JobPredecessorCompleted{c.Job})
	}
	return j.cancel(Cause{CausePredecessor, fmt.Sprintf("it was to run after job %s, which was %s; retry that one first, or submit this one without it",
		c.Job, c.State.past())})
}

// past returns the state as the participle that follows "was".
func (s State) past() string {
	if s == StateFailed {
		return "not trained to its end"
	}
	return string(s)
}
