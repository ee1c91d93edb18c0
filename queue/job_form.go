package queue

import (
	"encoding/json"
	"time"

	"reprise/device"
)

// jobForm is the JSON form of a Job.
type jobForm struct {
	ID         JobID         `json:"id"`
	Worker     string        `json:"worker,omitempty"`
	Submission Submission    `json:"submission"`
	State      State         `json:"state"`
	Priority   int           `json:"priority,omitempty"`
	After      []JobID       `json:"after,omitempty"`
	Estimate   *Estimate     `json:"estimate,omitempty"`
	On         []device.ID   `json:"on,omitempty"`
	Stop       *stopForm     `json:"stop,omitempty"`
	Cause      *Cause        `json:"cause,omitempty"`
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	Deferrals  int           `json:"deferrals,omitempty"`
	Ran        time.Duration `json:"ran_ns,omitempty"`
	Waited     time.Duration `json:"waited_ns,omitempty"`
	Annotation Annotation    `json:"annotation,omitzero"`
	Deleted    bool          `json:"deleted,omitempty"`
}

type stopForm struct {
	To State `json:"to"`
	Cause
}

// MarshalJSON returns everything that is known of the job, for read models. Its events
// are what is kept for ever, not this form.
func (j Job) MarshalJSON() ([]byte, error) {
	f := jobForm{
		ID: j.id, Worker: j.worker, Submission: j.submission, State: j.state, Priority: j.priority, After: j.after, Estimate: j.estimate,
		On: j.on, RetryAfter: j.retryAfter, Deferrals: j.deferrals, Ran: j.ran, Waited: j.waited, Annotation: j.annotation, Deleted: j.deleted,
	}
	if j.stop != nil {
		f.Stop = &stopForm{To: j.stop.To, Cause: j.stop.Cause}
	}
	if j.cause != (Cause{}) {
		f.Cause = &j.cause
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON returned.
func (j *Job) UnmarshalJSON(b []byte) error {
	var f jobForm
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*j = Job{
		id: f.ID, worker: f.Worker, submission: f.Submission.clone(), state: f.State, priority: f.Priority, after: copied(f.After), estimate: f.Estimate,
		on: copied(f.On), retryAfter: f.RetryAfter, deferrals: f.Deferrals, ran: f.Ran, waited: f.Waited, annotation: f.Annotation.clone(), deleted: f.Deleted,
	}
	if f.Stop != nil {
		j.stop = &Stop{To: f.Stop.To, Cause: f.Stop.Cause}
	}
	if f.Cause != nil {
		j.cause = *f.Cause
	}
	return nil
}

// WithoutRequest returns the job without the request that was submitted, for lists of
// many jobs. Everything else is as before.
func (j Job) WithoutRequest() Job {
	j.submission.Request = noRequest()
	return j
}

func noRequest() json.RawMessage { return json.RawMessage("{}") }
