package api

import (
	"context"
	"errors"
	"strings"

	"reprise/fault"
	"reprise/training"
)

// Code names a situation in which whoever shows an error knows better than the service
// what helps: a command names commands, a page has buttons.
type Code string

// The codes.
const (
	// RunNotFound: no run has the name; NoRuns: and there are no runs at all.
	RunNotFound Code = "run_not_found"
	NoRuns      Code = "no_runs"
	// LogMissing: the data directory has files that belong to an event log, and no log.
	LogMissing Code = "log_missing"
	// LogCorrupt: the event log at Path is not what was written.
	LogCorrupt Code = "log_corrupt"
	// InterruptedEarly: Run was interrupted before its first checkpoint, so that there is
	// none to start from; resuming it makes one.
	InterruptedEarly Code = "interrupted_early"
	// StepsOmitted: Run has more checkpoints than the message lists, at its end.
	StepsOmitted Code = "steps_omitted"
	// NoEvents: the event log of the data directory at Path has no events.
	NoEvents Code = "no_events"
	// DirInUse: another process holds the data directory at Path.
	DirInUse Code = "dir_in_use"
	// DerivedWrong: the events are intact, and a read model or a snapshot that was
	// derived from them is wrong; it can be made from them again.
	DerivedWrong Code = "derived_wrong"
	// UnknownOperation: the service has no such operation, as in another version.
	UnknownOperation Code = "unknown_operation"
	// DirGone: the data directory was removed or replaced while a run trained in it.
	DirGone Code = "dir_gone"
	// RunEnded: Run has ended for good and cannot be resumed. RunUnfinished: a run was
	// left where it was, and can be resumed.
	RunEnded      Code = "run_ended"
	RunUnfinished Code = "run_unfinished"
	// RunStopped: Run was cancelled or rejected before its first checkpoint.
	RunStopped Code = "run_stopped"
	// NoActors: no process trains in the data directory at Path, whose actors there
	// would be.
	NoActors Code = "no_actors"
	// ProcessEnding: the process lets go of the data directory, and takes no more runs.
	ProcessEnding Code = "process_ending"
	// NotBegun: Run has nothing recorded but its job.
	NotBegun Code = "not_begun"
	// Unreachable: the service does not answer, or its answer was cut off.
	Unreachable Code = "unreachable"
)

// Error is an error of a Service. It is the same whether the service runs in this
// process or in another, and wraps nothing: whatever a caller can depend on crosses
// the wire.
type Error struct {
	// Fault is the error's kind, by which a caller decides what to do.
	Fault fault.Kind `json:"kind"`
	// Code is "" where the kind says enough.
	Code Code `json:"code,omitempty"`
	// Message says what went wrong. Several mistakes are on lines of their own; lines
	// that begin with a space belong to the one before them.
	Message string `json:"message"`
	// Path is the file or folder that the code is about, on the service's machine.
	Path string `json:"path,omitempty"`
	// Run is the run that the code is about.
	Run training.RunID `json:"run,omitempty"`
	// Remedy says what to do about the cause; "" if Message does, or nothing is known.
	Remedy string `json:"remedy,omitempty"`
	// Instead is a value of the request with which the call would work; Remedy ends
	// with its field and the value.
	Instead *FieldValue `json:"instead,omitempty"`
	// Mistakes are what is wrong with the request, field by field, in the order of
	// Message; none where nothing is.
	Mistakes []Mistake `json:"mistakes,omitempty"`
}

// FieldValue is a value of a field of a request.
type FieldValue struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// Mistake is something wrong with a field of a request, or of the training request
// in it.
type Mistake struct {
	// Field is the field's path, such as "at" or "config.batch_size".
	Field string `json:"field,omitempty"`
	// Value is the value as it was written; "" if there is none.
	Value string `json:"value,omitempty"`
	// Problem says what is wrong with the value, Fix what to do. Example is a value
	// that the field could have.
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
	Example string `json:"example,omitempty"`
	// File, Line and Column are the place in a training request's file, counted from
	// 1, Column in characters; Excerpt shows it. Setting is the setting that it is in
	// instead. All are zero for other mistakes.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
	Setting string `json:"setting,omitempty"`
}

// Error returns the message and the remedy.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Message
	}
	return e.Message + "; " + e.Remedy
}

// Kind returns Fault; see [fault.KindOf].
func (e *Error) Kind() fault.Kind { return e.Fault }

// Is makes an error of the kind Canceled equal to context.Canceled.
func (e *Error) Is(target error) bool {
	return target == context.Canceled && e.Fault == fault.Canceled //nolint:errorlint // errors.Is calls it for each error in a tree
}

// ErrorOf returns err as an error of a service, with its kind and mistakes; nil for
// nil.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	e := wrapped(err)
	if e == nil {
		return &Error{Fault: fault.KindOf(err), Message: err.Error(), Mistakes: mistakesOf(err)}
	}
	if text, kind := err.Error(), fault.KindOf(err); text != e.Error() || kind != e.Fault { // something was added to it
		added := *e
		added.Fault = kind
		if text, ok := strings.CutSuffix(text, "; "+e.Remedy); ok && e.Remedy != "" {
			added.Message = text
		} else {
			added.Message, added.Remedy = text, ""
		}
		return &added
	}
	return e
}

// wrapped returns the error of a service that err is or wraps; nil if there is none, or
// if it is one of several.
func wrapped(err error) *Error {
	for err != nil {
		if e, ok := err.(*Error); ok { //nolint:errorlint // it walks the tree itself
			return e
		}
		err = errors.Unwrap(err)
	}
	return nil
}

// mistakesOf returns the mistakes among the errors that err is made of.
func mistakesOf(err error) []Mistake {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *Error:
		return e.Mistakes
	case *RequestError:
		return []Mistake{{
			Field: e.Field, Value: e.Value, Problem: e.Problem, Fix: e.Fix, File: e.File, Line: e.Line, Column: e.Column,
			Excerpt: strings.TrimPrefix(e.excerpt, "\n"), Setting: e.Setting,
		}}
	case *fault.FieldError:
		return []Mistake{{Field: e.Field, Value: e.Value, Problem: e.Problem, Fix: e.Fix, Example: e.Example}}
	case interface{ Unwrap() []error }:
		var list []Mistake
		for _, part := range e.Unwrap() {
			list = append(list, mistakesOf(part)...)
		}
		return list
	case interface{ Unwrap() error }:
		return mistakesOf(e.Unwrap())
	}
	return nil
}
