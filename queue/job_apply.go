package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/fault"
)

// ErrContradiction is wrapped by every *ContradictionError.
var ErrContradiction = fault.New(fault.Corrupt, "event contradicts the job's history")

// ContradictionError says that an event cannot follow the events before it: the log
// was not written by these rules. It is Corrupt.
type ContradictionError struct {
	Event JobEvent
	Why   error
}

// Error names the event and the contradiction.
func (e *ContradictionError) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrContradiction, e.Event.EventType(), e.Why)
}

// Unwrap returns ErrContradiction.
func (e *ContradictionError) Unwrap() error { return ErrContradiction }

// Kind returns fault.Corrupt.
func (e *ContradictionError) Kind() fault.Kind { return fault.Corrupt }

// ReplayJob returns the job that results from its events, or a *ContradictionError.
func ReplayJob(events []JobEvent) (Job, error) {
	var j Job
	for i, e := range events {
		next, err := j.ApplyRecorded(e)
		if err != nil {
			return Job{}, fmt.Errorf("event %d: %w", i+1, err)
		}
		j = next
	}
	return j, nil
}

// Apply returns the job after the event; j is unchanged. It panics with a
// *ContradictionError for an event that j could not have decided on, which is a broken
// invariant. Use ApplyRecorded for events from outside.
func (j Job) Apply(e JobEvent) Job {
	next, err := j.ApplyRecorded(e)
	if err != nil {
		panic(err)
	}
	return next
}

// ApplyRecorded returns the job after an event of a log, or a *ContradictionError.
func (j Job) ApplyRecorded(e JobEvent) (Job, error) {
	if err := j.check(e); err != nil {
		return Job{}, &ContradictionError{Event: e, Why: err}
	}
	switch e := e.(type) {
	case JobSubmitted:
		s := e.Submission.clone()
		j = Job{id: e.Job, worker: e.Worker, submission: s, state: StateSubmitted, priority: s.Priority, after: copied(s.After), annotation: s.Annotation.clone()}
	case JobPreparing:
		j.state = StatePreparing
	case JobPrepared:
		estimate := e.Estimate.clone()
		j.state, j.estimate = StateQueued, &estimate
		j.cause, j.retryAfter, j.deferrals = Cause{}, 0, 0
	case JobPredecessorCompleted:
		j.after = slices.DeleteFunc(copied(j.after), func(id JobID) bool { return id == e.Job })
	case JobPlaced:
		j.state, j.on = StatePlaced, copied(e.Devices)
		j.waited += e.Waited
	case JobStarted:
		j.state = StateRunning
	case JobCompleted:
		j.end(StateCompleted, Cause{}, e.Ran)
	case JobDeferred:
		if e.Code != j.cause.Code {
			j.deferrals = 0
		}
		j.deferrals++
		j.cause, j.retryAfter = e.Cause, e.RetryAfter
		j.wait(e.Ran)
	case JobStopRequested:
		j.stop = &Stop{To: e.To, Cause: e.Cause}
	case JobPaused:
		j.wait(e.Ran)
		j.state = StatePaused
		j.waited += e.Waited
	case JobResumed:
		j.cause, j.retryAfter, j.deferrals = Cause{}, 0, 0
		if j.stop = nil; j.state == StatePaused {
			j.wait(0)
		}
	case JobPriorityChanged:
		j.priority = e.Priority
	case JobDeleted:
		j.deleted = true
	case JobAnnotated:
		j.annotation = e.Annotation.clone()
	case JobCancelled:
		j.end(StateCancelled, e.Cause, e.Ran)
	case JobFailed:
		j.end(StateFailed, e.Cause, e.Ran)
	case JobRejected:
		j.end(StateRejected, e.Cause, 0)
	}
	return j, nil
}

// wait gives the devices back and puts the job where it waits for the next ones.
func (j *Job) wait(ran time.Duration) {
	j.on, j.stop = nil, nil
	j.ran += ran
	if j.state = StateQueued; j.estimate == nil {
		j.state = StateSubmitted
	}
}

func (j *Job) end(state State, cause Cause, ran time.Duration) {
	j.state, j.cause, j.on, j.stop, j.retryAfter = state, cause, nil, nil, 0
	j.ran += ran
}

// from returns the states in which an event can happen.
func from(e JobEvent) []State {
	switch e.(type) {
	case JobPreparing:
		return []State{StateSubmitted}
	case JobPrepared:
		return []State{StatePreparing}
	case JobPlaced:
		return []State{StateQueued}
	case JobStarted:
		return []State{StatePlaced}
	case JobCompleted, JobFailed: // also where it is not on record that the run began
		return []State{StateQueued, StatePaused, StatePlaced, StateRunning}
	case JobDeferred:
		return []State{StateSubmitted, StatePreparing, StateQueued, StatePlaced, StateRunning}
	case JobStopRequested:
		return []State{StatePlaced, StateRunning}
	case JobRejected:
		return []State{StateSubmitted, StatePreparing, StateQueued}
	case JobPaused:
		return []State{StateSubmitted, StatePreparing, StateQueued, StatePlaced, StateRunning}
	case JobResumed:
		return []State{StateSubmitted, StateQueued, StatePaused, StatePlaced, StateRunning}
	case JobPredecessorCompleted, JobPriorityChanged, JobCancelled:
		return []State{StateSubmitted, StatePreparing, StateQueued, StatePaused, StatePlaced, StateRunning}
	case JobDeleted:
		return []State{StateCompleted, StateFailed, StateCancelled, StateRejected}
	case JobAnnotated:
		return States()
	case JobSubmitted: // it comes before every state
	}
	return nil
}

// check fails with why an event cannot follow: of kind fault.Conflict if it does not
// fit the job's state, of kind fault.Invalid if it fits none.
func (j Job) check(e JobEvent) error {
	if e, first := e.(JobSubmitted); first {
		switch {
		case j.state != "":
			return fault.New(fault.Conflict, "job %s was submitted before", j.id)
		case e.Job == "":
			return &fault.FieldError{Field: "job", Problem: "has no id", Fix: "give it the id of its run"}
		case slices.Contains(e.After, e.Job):
			return &fault.FieldError{Field: "job.after", Value: string(e.Job), Problem: "is the job itself", Fix: "name other runs"}
		}
		return e.Validate()
	}
	if j.state == "" {
		return fault.New(fault.NotFound, "the job was never submitted")
	}
	if allowed := from(e); !slices.Contains(allowed, j.state) {
		if j.state.Ended() {
			return j.hasEnded()
		}
		return fault.New(fault.Conflict, "it is %s, not %s", j.state, either(allowed))
	}
	if err := invalid(e); err != nil {
		return err
	}
	return j.conflict(e)
}

// hasEnded is the error of a command that comes after the end of the job.
func (j Job) hasEnded() error { return fault.New(fault.Conflict, "it %s", ended(j.state)) }

// ended says that a job has come to an end: "has completed", "was cancelled".
func ended(s State) string {
	if s == StateCompleted || s == StateFailed {
		return "has " + string(s)
	}
	return "was " + string(s)
}

// conflict fails for an event that does not fit what else is known of the job.
func (j Job) conflict(e JobEvent) error {
	no := func(format string, a ...any) error {
		return fault.New(fault.Conflict, "it %s", fmt.Sprintf(format, a...))
	}
	leaves := func(to State) error { // a job that has devices must have been asked to give them back
		if j.state.HasDevices() && (j.stop == nil || j.stop.To != to) {
			return no("has devices and was not asked to stop: it cannot be %s yet", to)
		}
		return nil
	}
	switch e := e.(type) {
	case JobPredecessorCompleted:
		if !slices.Contains(j.after, e.Job) {
			return no("does not wait for job %s", e.Job)
		}
	case JobPlaced:
		switch {
		case len(j.after) > 0:
			return no("must wait for job %s first", j.after[0])
		case len(e.Devices) != j.Size():
			return no("needs %s, not %d", devices(j.Size()), len(e.Devices))
		}
	case JobStarted:
		if j.stop != nil {
			return no("is to be %s: it cannot start", j.stop.To)
		}
	case JobDeferred:
		if j.stop != nil {
			return no("is to be %s: it cannot wait for devices again", j.stop.To)
		}
	case JobStopRequested:
		if j.stop != nil && (j.stop.To == StateCancelled || j.stop.To == e.To) {
			return no("is to be %s already", j.stop.To)
		}
	case JobPaused:
		return leaves(StatePaused)
	case JobCancelled:
		return leaves(StateCancelled)
	case JobResumed:
		if j.state != StatePaused && !j.Left() && (j.stop == nil || j.stop.To != StatePaused) {
			return no("is %s and not to be paused: there is nothing to resume", j.state)
		}
	case JobDeleted:
		if j.deleted {
			return no("was deleted before")
		}
	case JobSubmitted, JobPreparing, JobPrepared, JobCompleted, JobPriorityChanged, JobAnnotated, JobFailed, JobRejected:
		// That the state allows them is enough.
	}
	return nil
}

// invalid fails for an event that no job can have.
func invalid(e JobEvent) error {
	period := func(times ...time.Duration) error {
		for _, t := range times {
			if t < 0 {
				return fault.New(fault.Invalid, "a period of %v is negative; measure it with a clock that never runs backwards", t)
			}
		}
		return nil
	}
	named := func(c Cause) error {
		if c.Code == "" || c.Message == "" {
			return fault.New(fault.Invalid, "the cause (code %q, message %q) is not complete; give a code and a sentence", c.Code, c.Message)
		}
		return nil
	}
	switch e := e.(type) {
	case JobPrepared:
		return e.Validate()
	case JobPlaced:
		for i, id := range e.Devices {
			if id == "" || slices.Contains(e.Devices[:i], id) {
				return fault.New(fault.Invalid, "device %q is empty or is there twice; name each device once", id)
			}
		}
		return period(e.Waited)
	case JobCompleted:
		return period(e.Ran)
	case JobDeferred:
		return errors.Join(named(e.Cause), period(e.Ran, e.RetryAfter))
	case JobStopRequested:
		if e.To != StatePaused && e.To != StateCancelled {
			return fault.New(fault.Invalid, "a job cannot be stopped to be %q; use %s or %s", e.To, StatePaused, StateCancelled)
		}
		return named(e.Cause)
	case JobPaused:
		return period(e.Ran, e.Waited)
	case JobPriorityChanged:
		return Submission{Request: []byte("{}"), Priority: e.Priority}.Validate()
	case JobAnnotated:
		return e.Validate()
	case JobCancelled:
		return errors.Join(named(e.Cause), period(e.Ran))
	case JobFailed:
		return errors.Join(named(e.Cause), period(e.Ran))
	case JobRejected:
		return named(e.Cause)
	case JobSubmitted, JobPreparing, JobStarted, JobPredecessorCompleted, JobResumed, JobDeleted:
		// They say nothing more, or were checked before.
	}
	return nil
}

// either lists states as alternatives.
func either(states []State) string {
	if len(states) == 0 {
		return "in another state"
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
