package main

import (
	"errors"

	"reprise/dataset"
	"reprise/integration"
	"reprise/training"
)

// The documented exit codes.
const (
	exitCompleted   = 0
	exitFailed      = 1
	exitInvalid     = 2
	exitInterrupted = 130
)

var (
	// errInterrupted ends a command whose run was interrupted and is resumable.
	errInterrupted = errors.New("interrupted")
	// errReported ends a command that has failed and has said so already.
	errReported = errors.New("failed")
)

// invalidError marks an error as the user's to mend: nothing was written.
type invalidError struct{ error }

func (e invalidError) Unwrap() error { return e.error }

// invalid marks err as bad input or usage; nil stays nil.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalidError{err}
}

// exitCode is the one table from errors to exit codes.
func exitCode(err error) int {
	var bad invalidError
	var field *training.FieldError
	var offline *dataset.OfflineError
	switch {
	case err == nil:
		return exitCompleted
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &offline):
		return exitFailed
	case errors.As(err, &bad), errors.As(err, &field),
		errors.Is(err, training.ErrCannotResume), errors.Is(err, integration.ErrRunNotFound):
		return exitInvalid
	default:
		return exitFailed
	}
}

// isSilent reports whether the command has already said what there is to say.
func isSilent(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errReported)
}
