package queue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"reprise/device"
	"reprise/fault"
)

// The limits of a submission.
const (
	MaxPriority   = 1000 // and -MaxPriority
	MaxDevices    = 4096
	MaxAfter      = 64
	MaxLabels     = 32
	MaxNameLength = 128 // of a name, an owner, a group or a label, in bytes
)

// Submission is what a user asks for: what to train, and how to queue it. The first
// event of a job keeps it as it was.
type Submission struct {
	// Request is the training request in canonical JSON, or NoRequest. It says nothing
	// about queueing.
	Request json.RawMessage `json:"request"`
	// Folder is the absolute path of the folder that relative paths in the request start
	// from; "" if it has none.
	Folder string `json:"folder,omitempty"`
	// Name is for people, such as the request's file.
	Name  string `json:"name,omitempty"`
	Owner string `json:"owner,omitempty"`
	// Priority is from -MaxPriority to MaxPriority, the higher the sooner.
	Priority int `json:"priority,omitempty"`
	// Group names jobs that are cancelled, paused and retried together.
	Group string `json:"group,omitempty"`
	// After are jobs that must complete first.
	After []JobID `json:"after,omitempty"`
	// MaxDuration bounds the time for which the job runs, not that for which it
	// waits; 0 is no bound.
	MaxDuration time.Duration `json:"max_duration_ns,omitempty"`
	// Devices is how many devices the job needs at once; 0 means 1.
	Devices int `json:"devices,omitempty"`
	// Labels are those that each of its devices must have.
	Labels []string `json:"labels,omitempty"`
	// Annotation is what is noted about the run initially.
	Annotation Annotation `json:"annotation,omitzero"`
	// RetryOf is the job that this one tries again.
	RetryOf JobID `json:"retry_of,omitempty"`
}

// NoRequest returns the Request of a job that was not made from one, such as that of a run
// that a message began. Its data are open when it is submitted, and it cannot be retried.
func NoRequest() json.RawMessage { return json.RawMessage("null") }

// Validate fails with a *fault.FieldError, or several of them joined, for what no
// queue can accept. Fields are named as in a training request.
func (s Submission) Validate() error {
	var errs fieldErrors
	if !json.Valid(s.Request) {
		errs.add("request", shown(string(s.Request)), "is not JSON", "submit the canonical form of a training request")
	}
	for _, n := range []struct{ field, value string }{{"name", s.Name}, {"job.owner", s.Owner}, {"job.group", s.Group}} {
		if problem := badName(n.value); problem != "" {
			errs.add(n.field, shown(n.value), problem, fmt.Sprintf("use one line of at most %d bytes", MaxNameLength))
		}
	}
	if s.Priority < -MaxPriority || s.Priority > MaxPriority {
		errs.add("job.priority", strconv.Itoa(s.Priority), fmt.Sprintf("must be from %d to %d", -MaxPriority, MaxPriority), "use a number such as 10")
	}
	if s.MaxDuration < 0 {
		errs.add("job.max_duration", s.MaxDuration.String(), "must be above 0", "use a duration such as 12h, or leave it out for no bound")
	}
	if s.Devices < 0 || s.Devices > MaxDevices {
		errs.add("config.devices", strconv.Itoa(s.Devices), fmt.Sprintf("must be from 1 to %d", MaxDevices), "use the number of devices to train on")
	}
	addNames(&errs, "job.after", s.After, MaxAfter, "a run")
	addNames(&errs, "job.labels", s.Labels, MaxLabels, "a label")
	if err := s.Annotation.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errs.join()
}

// clone returns a copy that shares nothing.
func (s Submission) clone() Submission {
	s.Request, s.After, s.Labels = copied(s.Request), copied(s.After), copied(s.Labels)
	s.Annotation = s.Annotation.clone()
	return s
}

// copied returns a copy of a list; nil for an empty one, as its JSON form reads.
func copied[S ~[]E, E any](list S) S { return append(S(nil), list...) }

// Estimate is what is known of a job once its data have been opened.
type Estimate struct {
	// Features and Memory are what it needs of each of its devices.
	Features []device.Feature         `json:"features,omitempty"`
	Memory   device.MemoryRequirement `json:"memory"`
	Steps    uint64                   `json:"steps"`
	// Duration is how long the job will probably run; 0 is unknown.
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Fingerprint is that of the data set that was opened.
	Fingerprint string `json:"dataset_fingerprint"`
}

// Validate fails for an estimate that makes no sense for any job.
func (e Estimate) Validate() error {
	var errs fieldErrors
	if e.Steps == 0 {
		errs.add("estimate.steps", "0", "must be at least 1", "prepare a request that trains")
	}
	if e.Duration < 0 {
		errs.add("estimate.duration_ns", e.Duration.String(), "must not be negative", "use 0 for an unknown duration")
	}
	if e.Fingerprint == "" {
		errs.add("estimate.dataset_fingerprint", "", "is missing", "open the data set first")
	}
	if err := (device.Workload{Requirements: e.Features, Memory: e.Memory}).Validate(); err != nil {
		errs = append(errs, fault.As(fault.Invalid, err))
	}
	return errs.join()
}

func (e Estimate) clone() Estimate {
	e.Features = copied(e.Features)
	return e
}
