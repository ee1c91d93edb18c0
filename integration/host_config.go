package integration

import (
	"errors"
	"fmt"

	"reprise/device"
	"reprise/fault"
	"reprise/queue"
)

// Validate returns a *fault.FieldError for each field that is missing or cannot be used,
// joined.
func (c HostConfig) Validate() error {
	var errs []error
	needs := func(missing bool, field, what, fix string) {
		if missing {
			errs = append(errs, &fault.FieldError{Field: field, Value: "nil", Problem: "must be " + what, Fix: fix})
		}
	}
	needs(c.Store == nil, "Store", "an event store", "open one with eventstore/sqlite")
	if c.Workspace.Dir == "" {
		errs = append(errs, &fault.FieldError{Field: "Workspace.Dir", Value: `""`, Problem: "is not a folder", Fix: "name the data directory"})
	}
	for i, d := range c.Devices {
		needs(d == nil, fmt.Sprintf("Devices[%d]", i), "a driver", "leave it out, or open the device")
	}
	needs(c.OpenDataset == nil, "OpenDataset", "a function", "open data with dataset.Library.Reopen")
	needs(c.Now == nil, "Now", "a clock", "pass time.Now")
	needs(c.NewID == nil, "NewID", "a function", "return a random name")
	var setting *fault.FieldError
	if err := c.Restarts.Validate(); errors.As(err, &setting) {
		errs = append(errs, &fault.FieldError{Field: "Restarts", Value: setting.Field + " " + setting.Value, Problem: setting.Problem, Fix: setting.Fix})
	}
	if c.Preparations < 0 {
		errs = append(errs, &fault.FieldError{Field: "Preparations", Value: fmt.Sprint(c.Preparations), Problem: "must not be negative", Fix: "leave it 0 for the default"})
	}
	if c.Queue != nil {
		errs = append(errs, within("Queue", c.Queue.Validate()))
	}
	if c.Limits != nil {
		errs = append(errs, within("Limits", c.Limits.Validate()))
	}
	if err := device.CheckWorker(c.Worker); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// within names the field to which a part with errors belongs.
func within(field string, err error) error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, within(field, e))
		}
		return errors.Join(errs...)
	}
	var one *fault.FieldError
	if errors.As(err, &one) {
		named := *one
		named.Field = field + "." + one.Field
		return &named
	}
	return err
}

// newJobID returns an id for a job that has none.
func (c HostConfig) newJobID() queue.JobID {
	if c.NewJobID != nil {
		return c.NewJobID()
	}
	return queue.JobID(c.NewID())
}
