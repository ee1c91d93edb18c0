package training

import (
	"reprise/fault"
)

var (
	// ErrInvalidCheckpoint is returned for a checkpoint of another session.
	ErrInvalidCheckpoint = fault.New(fault.Corrupt, "checkpoint belongs to another session")
	// ErrNonMonotonicCheckpoint is returned for a checkpoint that is not ahead
	// of the last one.
	ErrNonMonotonicCheckpoint = fault.New(fault.Corrupt, "checkpoint is not ahead of the last one")
	// ErrCannotResume is returned for a run that has ended.
	ErrCannotResume = fault.New(fault.Conflict, "a run that has ended cannot be resumed")
	// ErrInvalidTransition is returned when an event does not fit the state.
	ErrInvalidTransition = fault.New(fault.Corrupt, "event does not fit the state")
	// ErrNotReproducible is returned when an epoch or evaluation that was recorded
	// before a crash gives other figures when it is repeated.
	ErrNotReproducible = fault.New(fault.Corrupt, "came out differently from what the log has")
)
