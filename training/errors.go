package training

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalidCheckpoint is returned for a checkpoint of another session.
	ErrInvalidCheckpoint = errors.New("checkpoint belongs to another session")
	// ErrNonMonotonicCheckpoint is returned for a checkpoint that is not ahead
	// of the last one.
	ErrNonMonotonicCheckpoint = errors.New("checkpoint is not ahead of the last one")
	// ErrCannotResume is returned for a run that has ended.
	ErrCannotResume = errors.New("a run that has ended cannot be resumed")
	// ErrInvalidTransition is returned when an event does not fit the state.
	ErrInvalidTransition = errors.New("event does not fit the state")
	// ErrNotReproducible is returned when an epoch or evaluation that was recorded
	// before a crash gives other figures when it is repeated.
	ErrNotReproducible = errors.New("came out differently from what the log has")
)

// FieldError names a field of the training request, its value, what is wrong
// with it and how to fix it.
type FieldError struct {
	Field   string
	Value   string
	Problem string
	Fix     string
}

// Error returns "config.batch_size: 0 must be at least 1; use ...".
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s %s; %s", e.Field, e.Value, e.Problem, e.Fix)
}
