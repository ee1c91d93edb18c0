package eventstore

import (
	"errors"
	"fmt"
)

var (
	// ErrConcurrencyConflict is wrapped by every *ConflictError.
	ErrConcurrencyConflict = errors.New("concurrency conflict")
	// ErrEventIDReused is returned for an event id that is in the store with
	// other content, in another place, or together with other events.
	ErrEventIDReused = errors.New("event id is already used by another event")
	// ErrLimit is wrapped by every *LimitError.
	ErrLimit = errors.New("beyond the limits of the event store")
	// ErrCorrupt is wrapped by every *CorruptionError.
	ErrCorrupt = errors.New("event log is corrupt")
	// ErrClosed is returned by a closed store and its subscriptions.
	ErrClosed = errors.New("event store is closed")
	// ErrNotEmpty is returned if a log is imported into a store that has events.
	ErrNotEmpty = errors.New("event store is not empty")
	// ErrLocked is returned if another program kept the store locked for longer than
	// the store waits. Nothing was appended; the append may be tried again.
	ErrLocked = errors.New("event store is locked by another program")
	// ErrReadOnly is returned by writes to a store that is open for reading only.
	ErrReadOnly = errors.New("event store is open for reading only")
)

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

// Unwrap returns ErrConcurrencyConflict.
func (e *ConflictError) Unwrap() error { return ErrConcurrencyConflict }

// LimitError says which limit a value exceeds.
type LimitError struct {
	Field string
	Got   string
	Limit string
}

// Error names field, value and limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %s is %s, must be %s", ErrLimit, e.Field, e.Got, e.Limit)
}

// Unwrap returns ErrLimit.
func (e *LimitError) Unwrap() error { return ErrLimit }

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

// Unwrap returns ErrCorrupt.
func (e *CorruptionError) Unwrap() error { return ErrCorrupt }
