package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// JobOptions say how to queue a request, as queue.Submission does. They change nothing
// about what is trained.
type JobOptions struct {
	// Priority is 0 by default; the highest comes first.
	Priority int `json:"priority,omitempty"`
	// Owner is the user who submits it by default.
	Owner string `json:"owner,omitempty"`
	Group string `json:"group,omitempty"`
	// After are the runs that must complete first.
	After []string `json:"after,omitempty"`
	// MaxDuration bounds how long the run trains; 0 is no bound. In JSON it is a text
	// such as "1h30m0s".
	MaxDuration time.Duration `json:"max_duration,omitempty"`
	// Labels are those that each device must have.
	Labels []string `json:"labels,omitempty"`
	// Annotation is what is noted about the run.
	queue.Annotation
}

// IsZero reports whether nothing is said about queueing.
func (o JobOptions) IsZero() bool {
	return o.Priority == 0 && o.Owner == "" && o.Group == "" && len(o.After) == 0 && o.MaxDuration == 0 && len(o.Labels) == 0 &&
		o.Annotation.IsZero()
}

// MarshalJSON writes the duration as a request does.
func (o JobOptions) MarshalJSON() ([]byte, error) {
	type plain JobOptions
	text := ""
	if o.MaxDuration != 0 {
		text = o.MaxDuration.String()
	}
	return json.Marshal(struct {
		plain
		MaxDuration string `json:"max_duration,omitempty"`
	}{plain(o), text})
}

// Split returns the request to train, which says nothing about queueing, and what
// submits it to a queue under a name. Its owner is the request's, else the user.
func (r TrainingRequest) Split(name, user string) (TrainingRequest, queue.Submission, error) {
	s := r.submission()
	if s.Owner == "" {
		s.Owner = user
	}
	s.Name = name
	r.Job = JobOptions{}
	var err error
	if s.Request, err = r.Canonical(); err != nil {
		return TrainingRequest{}, queue.Submission{}, err
	}
	return r, s, s.Validate()
}

// submission returns what the request says about queueing.
func (r TrainingRequest) submission() queue.Submission {
	s := queue.Submission{
		Owner: r.Job.Owner, Priority: r.Job.Priority, Group: r.Job.Group, MaxDuration: r.Job.MaxDuration,
		Labels: slices.Clone(r.Job.Labels), Annotation: r.Job.Annotation,
	}
	if n := r.Config.Devices; n != 1 {
		s.Devices = n
	}
	for _, id := range r.Job.After {
		s.After = append(s.After, queue.JobID(id))
	}
	return s
}

// checkJob fails for a job that no queue accepts.
func (r TrainingRequest) checkJob() error {
	s := r.submission()
	s.Request = []byte("{}")   // not known yet
	if !r.Sound("job.after") { // the places in a list shift where a wrong entry is left out
		s.After = nil
	}
	if !r.Sound("job.labels") {
		s.Labels = nil
	}
	if !r.Sound("job.tags") {
		s.Annotation.Tags = nil
	}
	errs := []error{s.Validate()}
	for i, id := range s.After {
		var bad *fault.FieldError
		if errors.As(training.RunID(id).Validate(), &bad) && id != "" {
			errs = append(errs, &fault.FieldError{Field: fmt.Sprintf("job.after[%d]", i), Value: bad.Value, Problem: bad.Problem, Fix: bad.Fix})
		}
	}
	return joined(errs...)
}
