package eventstore

import (
	"fmt"

	"reprise/fault"
)

var (
	// ErrConcurrencyConflict is wrapped by every *ConflictError.
	ErrConcurrencyConflict = fault.New(fault.Conflict, "concurrency conflict")
	// ErrEventIDReused is returned for an event id that is in the store with
	// other content, in another place, or together with other events.
	ErrEventIDReused = fault.New(fault.Conflict, "event id is already used by another event")
	// ErrLimit is wrapped by the *fault.FieldError of a value beyond the limits.
	ErrLimit = fault.New(fault.Invalid, "beyond the limits of the event store")
	// ErrCorrupt is wrapped by every *CorruptionError.
	ErrCorrupt = fault.New(fault.Corrupt, "event log is corrupt")
	// ErrClosed is returned by a closed store and its subscriptions.
	ErrClosed = fault.New(fault.Unavailable, "event store is closed")
	// ErrNotEmpty is returned if a log is imported into a store that has events.
	ErrNotEmpty = fault.New(fault.Conflict, "event store is not empty")
	// ErrLocked is returned if another program kept the store locked for longer than
	// the store waits. Nothing was appended, and the caller may try again.
	ErrLocked = fault.New(fault.Unavailable, "event store is locked by another program")
	// ErrReadOnly is returned by writes to a store that is open for reading only.
	ErrReadOnly = fault.New(fault.Forbidden, "event store is open for reading only")
)

// FailedError is that of an append after which the store takes no others: whether the
// last one was stored is not known. Its kind is that of the cause.
type FailedError struct{ Err error }

// Error says what to do, and the cause.
func (e *FailedError) Error() string {
	return fmt.Sprintf("event store failed and must be opened again: %v", e.Err)
}

// Kind returns that of the cause.
func (e *FailedError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// DeniedError says that this user may not read, or write, the files of a store.
// errors.Is finds fs.ErrPermission in it.
type DeniedError struct {
	Folder  string // that the files are in
	Writing bool   // they were to be written, or changed
	Err     error  // the system's
}

// Error is the system's.
func (e *DeniedError) Error() string { return e.Err.Error() }

// Kind returns Forbidden.
func (e *DeniedError) Kind() fault.Kind { return fault.Forbidden }

// Unwrap returns Err.
func (e *DeniedError) Unwrap() error { return e.Err }

// ConflictError says that an aggregate is not at the expected version: somebody
// else was faster, and what was decided has to be decided again.
type ConflictError struct {
	Aggregate AggregateID
	Want      Expected
	Got       Version
}

// Error names the aggregate and both versions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: %s is at version %d, expected %v", ErrConcurrencyConflict, e.Aggregate, e.Got, e.Want)
}

// Kind returns Conflict.
func (e *ConflictError) Kind() fault.Kind { return fault.Conflict }

// Unwrap returns ErrConcurrencyConflict.
func (e *ConflictError) Unwrap() error { return ErrConcurrencyConflict }

// limit returns the error for a value that the store does not take.
func limit(field, value, problem, fix string) error {
	return &fault.FieldError{Field: field, Value: value, Problem: problem, Fix: fix, Cause: ErrLimit}
}

// CorruptionError names the first event that is not what was appended. Position
// is 0 if the damage is not in one event.
type CorruptionError struct {
	Position  Position
	Aggregate AggregateID
	Version   Version
	What      string
	// Path is the store's file; "" if the store has none.
	Path string
}

// Error names the event and what is wrong with it.
func (e *CorruptionError) Error() string {
	switch {
	case e.Position == 0:
		return fmt.Sprintf("%v: %s", ErrCorrupt, e.What)
	case e.Aggregate == "":
		return fmt.Sprintf("%v: event at position %d: %s", ErrCorrupt, e.Position, e.What)
	}
	return fmt.Sprintf("%v: event at position %d (version %d of %s): %s", ErrCorrupt, e.Position, e.Version, e.Aggregate, e.What)
}

// Kind returns Corrupt.
func (e *CorruptionError) Kind() fault.Kind { return fault.Corrupt }

// Unwrap returns ErrCorrupt.
func (e *CorruptionError) Unwrap() error { return ErrCorrupt }
