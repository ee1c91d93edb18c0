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

// The codes of errors.
const (
	// RunNotFound: no run has the name; NoRuns: and there are no runs at all.
	RunNotFound Code = "run_not_found"
	NoRuns      Code = "no_runs"
	// GroupNotFound: no job is in the group.
	GroupNotFound Code = "group_not_found"
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
	// RunDeleted: the files of Run were removed for good; its events are kept.
	RunDeleted Code = "run_deleted"
	// RunStopped: Run was cancelled or rejected before its first checkpoint.
	RunStopped Code = "run_stopped"
	// NoActors: no process trains in the data directory at Path, whose actors there
	// would be.
	NoActors Code = "no_actors"
	// NoDevice: no device could take the work, even if nobody else used it.
	NoDevice Code = "no_device"
	// ProcessEnding: the process lets go of the data directory, and takes no more runs.
	ProcessEnding Code = "process_ending"
	// NotBegun: Run has nothing recorded but its job.
	NotBegun Code = "not_begun"
	// Unreachable: the service does not answer, or its answer was cut off.
	Unreachable Code = "unreachable"
)

// The codes of mistakes.
const (
	// DirNotEmpty: the data directory that was to be made has an event log already.
	// DirHasRuns: it has files of other runs.
	DirNotEmpty Code = "dir_not_empty"
	DirHasRuns  Code = "dir_has_runs"
	// NotBackup: the folder is not one that a backup made.
	NotBackup Code = "not_backup"
	// NotHead: the text is not the head of an event log. HeadMissing: there is a key, and
	// no head to check with it. KeyMissing: there is a signed head, and no key.
	// HeadUnsigned: there is a key, and the head is not signed.
	NotHead      Code = "not_head"
	HeadMissing  Code = "head_missing"
	KeyMissing   Code = "key_missing"
	HeadUnsigned Code = "head_unsigned"
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
	// Instead is a value of the request with which the call would work. The error's text
	// has it after Remedy.
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

// Error returns the message and the remedy.
func (e *Error) Error() string { return e.Message + e.ending() }

// ending returns what the text of the error says after Message.
func (e *Error) ending() string {
	text := ""
	if e.Remedy != "" {
		text = "; " + e.Remedy
	}
	if i := e.Instead; i != nil {
		text += ": " + i.Field + " " + i.Value
	}
	return text
}

// Kind returns Fault; see [fault.KindOf].
func (e *Error) Kind() fault.Kind { return e.Fault }

// Is makes an error of the kind Canceled equal to context.Canceled.
func (e *Error) Is(target error) bool {
	return target == context.Canceled && e.Fault == fault.Canceled //nolint:errorlint // errors.Is calls it for each error in a tree
}

// EndOf returns the error of a call whose context has ended. It is the same wherever the
// service runs.
func EndOf(ctx context.Context) *Error { return ErrorOf(ctx.Err()) }

// ErrorOf returns err as an error of a service, with its kind and mistakes; nil for
// nil. Of several that are joined, it has the code of the first that has one, with the
// run and the path that the code is about.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	e := wrapped(err)
	if e == nil { // the remedies of several are in the message, each after what it helps against
		e = &Error{Fault: fault.KindOf(err), Message: err.Error()}
		e.Mistakes = placedIn(e.Message, mistakesOf(err))
		if coded := firstCoded(err); coded != nil {
			e.Code, e.Path, e.Run = coded.Code, coded.Path, coded.Run
		}
		return e
	}
	if text, kind := err.Error(), fault.KindOf(err); text != e.Error() || kind != e.Fault { // something was added to it
		added := *e
		added.Fault = kind
		if text, ok := strings.CutSuffix(text, e.ending()); ok {
			added.Message = text
		} else {
			added.Message, added.Remedy, added.Instead = text, "", nil
		}
		added.Mistakes = placedIn(added.Message, mistakesOf(e))
		return &added
	}
	return e
}

// firstCoded returns the first error of a service in a tree that has a code; nil if there
// is none.
func firstCoded(err error) *Error {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *Error:
		if e.Code != "" {
			return e
		}
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if coded := firstCoded(part); coded != nil {
				return coded
			}
		}
	case interface{ Unwrap() error }:
		return firstCoded(e.Unwrap())
	}
	return nil
}

// wrapped returns the error of a service that err is or wraps; nil if there is none, or
// if it is one of several.
func wrapped(err error) *Error {
	for err != nil {
		if e, ok := err.(*Error); ok { //nolint:errorlint // it walks the tree itself
			return e
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // likewise
			if err = nil; len(joined.Unwrap()) == 1 {
				err = joined.Unwrap()[0]
			}
			continue
		}
		err = errors.Unwrap(err)
	}
	return nil
}
