package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"reprise/api"
	"reprise/datadir"
	"reprise/fault"
)

// The documented exit codes; docs/errors.md says which errors have which.
const (
	exitCompleted   = api.ExitCompleted
	exitFailed      = api.ExitFailed
	exitInvalid     = api.ExitInvalid
	exitInterrupted = api.ExitInterrupted
)

var (
	// errInterrupted ends a command that was interrupted and has said so already.
	errInterrupted = fault.New(fault.Canceled, "interrupted")
	// errReported ends a command that has failed and has said so already.
	errReported = fault.New(fault.Internal, "failed")
)

// interruptedError ends a command that a signal interrupted, and says so. A run
// that it trained can be resumed.
type interruptedError struct{ error }

func (e interruptedError) Kind() fault.Kind { return fault.Canceled }

func (e interruptedError) Unwrap() error { return e.error }

// interrupted returns err as an interruption if it is only a consequence of ctx
// being done, or of the terminal that went with it. what says what became of the
// command's work. A cancellation that no signal asked for is a failure.
func interrupted(ctx context.Context, err error, what string) error {
	switch {
	case isInterruption(err):
		return err
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || unheard(err)):
		return interruptedError{errors.New("interrupted" + what)}
	case fault.KindOf(err) == fault.Canceled:
		return fault.As(fault.Internal, err)
	}
	return err
}

func isInterruption(err error) bool {
	return errors.Is(err, errInterrupted) || errors.As(err, new(interruptedError))
}

// advised adds to an error what its user can do about its cause, unless the error
// already says so. If a file is missing, the command's own words say what to do.
func advised(err error) error {
	var e *api.Error
	if errors.As(err, &e) { // the service knows the cause, and this program its commands
		return revise(err, func(e *api.Error) *api.Error {
			command := commandsFor(e.Code)
			if command == "" || e.Remedy != "" {
				return e
			}
			named := *e
			named.Remedy = command
			return &named
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return datadir.Advise(err)
}

// commandsFor returns the commands and flags that help in a situation that a service
// reports in an error or in one of its mistakes; "" where there are none.
func commandsFor(code api.Code) string {
	switch code {
	case api.LogMissing:
		return "put events.db back, or restore a backup into an empty folder with `reprise restore` (if a restore was killed, repeat it), " +
			"or choose another folder with --data-dir FOLDER. Nothing was changed"
	case api.NoRuns:
		return "start one with `reprise train JOB`"
	case api.GroupNotFound:
		return "`reprise runs list` shows the group of each run"
	case api.RunNotFound:
		return "`reprise runs list` shows them all"
	case api.DerivedWrong:
		return "rebuild it with `reprise projections rebuild`"
	case api.DirInUse:
		return "wait for it to end, or use another folder with --data-dir FOLDER"
	case api.LogCorrupt, api.NoEvents, api.NoDevice, api.UnknownOperation, api.Unreachable, api.DirGone:
	case api.DirNotEmpty:
		return "choose an empty folder with --data-dir FOLDER"
	case api.DirHasRuns:
		return "choose an empty folder with --data-dir FOLDER, or move runs away"
	case api.NotBackup:
		return "name the folder that `reprise backup` made"
	case api.NotHead:
		return "give a file that `reprise events head` wrote"
	case api.HeadMissing:
		return "give the head as well: --head FILE"
	case api.KeyMissing:
		return "give the public key to check it with: --key PUB"
	case api.HeadUnsigned:
		return "leave out --key, or sign the next one with `reprise events head --sign KEY`"
	case api.NotBegun, api.RunStopped, api.RunDeleted, api.InterruptedEarly, api.StepsOmitted, api.RunEnded, api.RunUnfinished, api.NoActors, api.ProcessEnding: // said elsewhere
	}
	return ""
}

// unusable says that a file or folder that the user named cannot be used, and the fix.
func unusable(err error, fix string) error { return datadir.Unusable(err, fix) }

// invalid marks err as the user's to correct: nothing was written; nil stays nil.
func invalid(err error) error { return fault.As(fault.Invalid, err) }

// exitCode returns the exit code of an error's kind.
func exitCode(err error) int {
	if err == nil {
		return exitCompleted
	}
	return api.StatusOf(fault.KindOf(err)).Exit
}

// partly gives what went wrong with some of several runs the exit code of a failure if
// something was done with others: that of a mistake says that nothing was.
func partly(err error, done bool) error {
	if done && exitCode(err) == exitInvalid {
		return fault.As(fault.Internal, err)
	}
	return err
}

// about says which run or file an error is about, unless its text does.
func about(name string, err error) error {
	if strings.Contains(err.Error(), name) {
		return err
	}
	return errorf("%s: %w", name, err)
}

// isSilent reports whether the command has already said what there is to say.
func isSilent(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errReported)
}
