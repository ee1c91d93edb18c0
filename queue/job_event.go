package queue

import (
	"time"

	"reprise/device"
)

// JobEvent is a fact in the life of a job: one of the structs of this file. The set is
// closed. EventType gives its versioned name in the log; the JSON form of the struct
// is its payload (docs/event-format.md). A job's stream is "job/RUN".
type JobEvent interface {
	EventType() string
	jobEvent()
}

// Cause says why something happened to a job: a code for programs and a sentence for
// people.
type Cause struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// The causes that have a meaning here. A host has codes of its own, too, such as why
// data could not be opened.
const (
	CauseUser         Code = "user"          // somebody asked for it
	CausePredecessor  Code = "predecessor"   // a job that it was to run after did not complete
	CauseMaxDuration  Code = "max_duration"  // it has run for as long as it may
	CauseGaveWay      Code = "gave_way"      // a job that ranks higher took its devices
	CauseData         Code = "data"          // the data that it was recorded with cannot be opened
	CauseProcessEnded Code = "process_ended" // the process that hosted it ended
	CauseObstacle     Code = "obstacle"      // something is in its way that does not pass by itself
)

// The events of a job, in the order in which an undisturbed job has the first of
// them. An event that ends a period says how long the job ran or waited in it, as
// measured by its host: the time for which no host was alive is not counted.
type (
	// JobSubmitted is the first event of every job.
	JobSubmitted struct {
		Job JobID `json:"job"`
		Submission
		// Worker is the one that hosts the job; "" is the only one.
		Worker string `json:"worker,omitempty"`
	}
	// JobPreparing records that the job's data are being opened.
	JobPreparing struct{}
	// JobPrepared records what the job needs. It is in the queue from now on.
	JobPrepared struct {
		Estimate
	}
	// JobPredecessorCompleted records that the job no longer waits for another one.
	JobPredecessorCompleted struct {
		Job JobID `json:"job"`
	}
	// JobPlaced records that devices are set aside for the job.
	JobPlaced struct {
		Devices []device.ID `json:"devices"`
		// Waited is how long it was in the queue since it last entered it, without
		// the time for which it was paused or had to come after others.
		Waited time.Duration `json:"waited_ns,omitempty"`
	}
	// JobStarted records that the job runs.
	JobStarted struct{}
	// JobCompleted is the end of a job that trained all that it was to train.
	JobCompleted struct {
		Ran time.Duration `json:"ran_ns,omitempty"`
	}

	// JobDeferred records that the job waits again, for a reason that may pass: to be
	// prepared if its data were being opened, else for devices. One that waits for
	// devices already waits for RetryAfter first.
	JobDeferred struct {
		Cause
		Ran time.Duration `json:"ran_ns,omitempty"`
		// RetryAfter is how long to wait before the next attempt.
		RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	}
	// JobStopRequested records that a job that has devices shall write a checkpoint,
	// give them back, and then be in the state To: paused or cancelled.
	JobStopRequested struct {
		To State `json:"to"`
		Cause
	}
	// JobPaused records that the job waits until somebody resumes it.
	JobPaused struct {
		Ran    time.Duration `json:"ran_ns,omitempty"`
		Waited time.Duration `json:"waited_ns,omitempty"`
	}
	// JobResumed records that a job that was paused, or that its process had left, waits to
	// be prepared or for devices again, or that one that was to be paused runs on.
	JobResumed struct{}
	// JobPriorityChanged records a new priority.
	JobPriorityChanged struct {
		Priority int `json:"priority"`
	}

	// JobAnnotated records what is noted about the job from now on. It may come in any
	// state, even after the end.
	JobAnnotated struct {
		Annotation
	}

	// JobDeleted records that the files of the run of a job that has ended are about to be
	// removed. Its events stay.
	JobDeleted struct{}

	// JobCancelled is the end of a job that somebody, a bound or a predecessor ended.
	// A checkpoint that was committed stays.
	JobCancelled struct {
		Cause
		Ran time.Duration `json:"ran_ns,omitempty"`
	}
	// JobFailed is the end of a job that could not be trained.
	JobFailed struct {
		Cause
		Ran time.Duration `json:"ran_ns,omitempty"`
	}
	// JobRejected is the end of a job that cannot run, as found before it had devices.
	JobRejected struct {
		Cause
	}
)

// EventType returns "queue.job_submitted.v1".
func (JobSubmitted) EventType() string { return "queue.job_submitted.v1" }

// EventType returns "queue.job_preparing.v1".
func (JobPreparing) EventType() string { return "queue.job_preparing.v1" }

// EventType returns "queue.job_prepared.v1".
func (JobPrepared) EventType() string { return "queue.job_prepared.v1" }

// EventType returns "queue.job_predecessor_completed.v1".
func (JobPredecessorCompleted) EventType() string { return "queue.job_predecessor_completed.v1" }

// EventType returns "queue.job_placed.v1".
func (JobPlaced) EventType() string { return "queue.job_placed.v1" }

// EventType returns "queue.job_started.v1".
func (JobStarted) EventType() string { return "queue.job_started.v1" }

// EventType returns "queue.job_completed.v1".
func (JobCompleted) EventType() string { return "queue.job_completed.v1" }

// EventType returns "queue.job_deferred.v1".
func (JobDeferred) EventType() string { return "queue.job_deferred.v1" }

// EventType returns "queue.job_stop_requested.v1".
func (JobStopRequested) EventType() string { return "queue.job_stop_requested.v1" }

// EventType returns "queue.job_paused.v1".
func (JobPaused) EventType() string { return "queue.job_paused.v1" }

// EventType returns "queue.job_resumed.v1".
func (JobResumed) EventType() string { return "queue.job_resumed.v1" }

// EventType returns "queue.job_priority_changed.v1".
func (JobPriorityChanged) EventType() string { return "queue.job_priority_changed.v1" }

// EventType returns "queue.job_annotated.v1".
func (JobAnnotated) EventType() string { return "queue.job_annotated.v1" }

// EventType returns "queue.job_deleted.v1".
func (JobDeleted) EventType() string { return "queue.job_deleted.v1" }

// EventType returns "queue.job_cancelled.v1".
func (JobCancelled) EventType() string { return "queue.job_cancelled.v1" }

// EventType returns "queue.job_failed.v1".
func (JobFailed) EventType() string { return "queue.job_failed.v1" }

// EventType returns "queue.job_rejected.v1".
func (JobRejected) EventType() string { return "queue.job_rejected.v1" }

func (JobSubmitted) jobEvent()            {}
func (JobPreparing) jobEvent()            {}
func (JobPrepared) jobEvent()             {}
func (JobPredecessorCompleted) jobEvent() {}
func (JobPlaced) jobEvent()               {}
func (JobStarted) jobEvent()              {}
func (JobCompleted) jobEvent()            {}
func (JobDeferred) jobEvent()             {}
func (JobStopRequested) jobEvent()        {}
func (JobPaused) jobEvent()               {}
func (JobResumed) jobEvent()              {}
func (JobPriorityChanged) jobEvent()      {}
func (JobAnnotated) jobEvent()            {}
func (JobDeleted) jobEvent()              {}
func (JobCancelled) jobEvent()            {}
func (JobFailed) jobEvent()               {}
func (JobRejected) jobEvent()             {}

// JobEvents returns an empty event of each type that a job's stream may have, for the
// codec that reads them.
func JobEvents() []JobEvent {
	return []JobEvent{
		JobSubmitted{}, JobPreparing{}, JobPrepared{}, JobPredecessorCompleted{}, JobPlaced{}, JobStarted{}, JobCompleted{},
		JobDeferred{}, JobStopRequested{}, JobPaused{}, JobResumed{}, JobPriorityChanged{}, JobAnnotated{}, JobDeleted{},
		JobCancelled{}, JobFailed{}, JobRejected{},
	}
}
