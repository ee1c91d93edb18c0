package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"reprise/dataset"
	"reprise/integration"
	"reprise/internal/disk"
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
	// errInterrupted ends a command that was interrupted and has said so already.
	errInterrupted = errors.New("interrupted")
	// errReported ends a command that has failed and has said so already.
	errReported = errors.New("failed")
)

// interruptedError ends a command that a signal interrupted, and says so. A run
// that it trained can be resumed.
type interruptedError struct{ error }

func (e interruptedError) Unwrap() error { return e.error }

// interrupted returns err as an interruption if it is only a consequence of ctx
// being done, or of the terminal that went with it. what says what became of the
// command's work.
func interrupted(ctx context.Context, err error, what string) error {
	if ctx.Err() == nil || isInterruption(err) || !errors.Is(err, context.Canceled) && !unheard(err) {
		return err
	}
	return interruptedError{errors.New("interrupted" + what)}
}

func isInterruption(err error) bool {
	return errors.Is(err, errInterrupted) || errors.As(err, new(interruptedError))
}

// advised adds to an error of the operating system what its user can do about it,
// unless it already says so.
func advised(err error) error {
	fix := disk.Remedy(err)
	if fix == "" || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), fix) {
		return err
	}
	return fmt.Errorf("%w; %s", err, fix)
}

// invalidError marks an error as the user's to correct: nothing was written.
type invalidError struct{ error }

func (e invalidError) Unwrap() error { return e.error }

// mistakes returns the error that is marked.
func (e invalidError) mistakes() error { return e.error }

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
	case isInterruption(err):
		return exitInterrupted
	case errors.As(err, &offline):
		return exitFailed
	case errors.As(err, &bad), errors.As(err, &field),
		errors.Is(err, training.ErrCannotResume),
		errors.Is(err, integration.ErrRunNotFound), errors.Is(err, integration.ErrAmbiguousRun):
		return exitInvalid
	default:
		return exitFailed
	}
}

// isSilent reports whether the command has already said what there is to say.
func isSilent(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errReported)
}
