package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/internal/disk"
	"reprise/journal"
	"reprise/training"
)

// The documented exit codes.
const (
	exitCompleted   = 0
	exitFailed      = api.ExitFailed
	exitInvalid     = api.ExitInvalid
	exitInterrupted = api.ExitInterrupted
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

// advised adds to an error what its user can do about its cause, unless the error
// already says so. If a file is missing, the command's own words say what to do.
func advised(err error) error {
	var e *api.Error
	if errors.As(err, &e) { // the service knows the cause, and this program its commands
		if command := commandsFor(e.Code); command != "" && e.Remedy == "" {
			return &datadir.AdvisedError{Err: err, Remedy: command}
		}
		return err
	}
	if command := commandFor(err); command != "" {
		return datadir.AdviseOr(err, command)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return datadir.Advise(err)
}

// commandFor returns the commands and flags that help where the domain knows only
// what is missing; "" for any other error.
func commandFor(err error) string {
	var noLog *datadir.MissingLogError
	var noRun *journal.RunNotFoundError
	switch {
	case errors.As(err, &noLog):
		return commandsFor(api.LogMissing)
	case errors.As(err, &noRun) && noRun.Runs == 0:
		return commandsFor(api.NoRuns)
	case errors.As(err, &noRun):
		return commandsFor(api.RunNotFound)
	}
	return ""
}

// commandsFor returns the commands and flags that help in a situation that a service
// reports; "" where there are none.
func commandsFor(code api.Code) string {
	switch code {
	case api.LogMissing:
		return "put events.db back, or restore a backup into an empty folder with `reprise restore` (if a restore was killed, repeat it), " +
			"or choose another folder with --data-dir FOLDER. Nothing was changed"
	case api.NoRuns:
		return "start one with `reprise train JOB`"
	case api.RunNotFound:
		return "`reprise runs list` shows them all"
	case api.LogCorrupt, api.UnknownOperation, api.Unreachable:
	}
	return ""
}

// unusable says that a file or folder that the user named cannot be used, and the
// fix; nothing was written. Where another one would meet the same, as on a system
// without memory, that is not the user's mistake, and the remedy is the cause's.
func unusable(err error, fix string) error {
	ofThePath := func(cause error) bool { return errors.Is(err, cause) }
	if datadir.Remedy(err) != "" && !slices.ContainsFunc([]error{
		fs.ErrPermission, fs.ErrNotExist, syscall.ENOTDIR, syscall.EROFS, disk.ErrNotRegular,
	}, ofThePath) {
		return datadir.Advise(err)
	}
	return invalid(&datadir.AdvisedError{Err: err, Remedy: fix})
}

// invalidError marks an error as the user's to correct: nothing was written.
type invalidError struct{ error }

func (e invalidError) Unwrap() error { return e.error }

// invalid marks err as bad input or usage; nil stays nil.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalidError{err}
}

// exitCode returns the exit code for an error: for one of the service, api.StatusOf
// decides.
func exitCode(err error) int {
	var e *api.Error
	var bad invalidError
	var field *training.FieldError
	var offline *dataset.OfflineError
	switch {
	case err == nil:
		return exitCompleted
	case isInterruption(err):
		return exitInterrupted
	case errors.As(err, &e):
		return api.StatusOf(e.Fault).Exit
	case errors.As(err, &offline):
		return exitFailed
	case errors.As(err, &bad), errors.As(err, &field),
		errors.Is(err, training.ErrCannotResume),
		errors.Is(err, journal.ErrRunNotFound), errors.Is(err, journal.ErrAmbiguousRun):
		return exitInvalid
	default:
		return exitFailed
	}
}

// isSilent reports whether the command has already said what there is to say.
func isSilent(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errReported)
}

// partsOf returns the errors that were joined in err, one for each mistake.
func partsOf(err error) []error {
	if err == nil {
		return nil
	}
	if marked, ok := err.(invalidError); ok { //nolint:errorlint // the parts of a wrapped one are not all of it
		return partsOf(marked.error)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var parts []error
	for _, part := range joined.Unwrap() {
		parts = append(parts, partsOf(part)...)
	}
	return parts
}
