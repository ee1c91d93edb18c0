package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/flock"
	"reprise/journal"
	"reprise/nn"
	"reprise/training"
)

// The code of a mistake says that nothing was done.
func TestWhatWasDoneInPartExitsAsAFailure(t *testing.T) {
	mistake, stop := fault.New(fault.Conflict, "it has ended"), interruptedError{errors.New("interrupted")}
	for _, c := range []struct {
		err  error
		done bool
		code int
	}{
		{nil, true, exitCompleted}, {mistake, false, exitInvalid}, {mistake, true, exitFailed},
		{stop, true, exitInterrupted}, {errors.New("unknown"), true, exitFailed},
	} {
		if err := partly(c.err, c.done); exitCode(err) != c.code || err != nil && err.Error() != c.err.Error() {
			t.Errorf("%v, %v: exit code %d, %v, want %d", c.err, c.done, exitCode(err), err, c.code)
		}
	}
}

func TestTheExitCodeFollowsFromTheKind(t *testing.T) {
	field := &fault.FieldError{Field: "config.epochs", Value: "0", Problem: "must be at least 1", Fix: "use 10"}
	offline := &dataset.OfflineError{Name: "mnist", Attempts: []dataset.Attempt{{Err: field}}}
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, exitCompleted},
		{errors.New("unknown"), exitFailed},
		{fmt.Errorf("read: %w", field), exitInvalid},
		{invalid(errors.New("--at")), exitInvalid},
		{&nn.LayerError{Field: "units"}, exitInvalid},
		{&journal.RunNotFoundError{Name: "x"}, exitInvalid},
		{fmt.Errorf("x %w", journal.ErrAmbiguousRun), exitInvalid},
		{fmt.Errorf("run r: %w", training.ErrCannotResume), exitInvalid},
		{offline, exitFailed},
		{&datadir.LockError{Dir: "d", Err: &flock.LockedError{}}, exitFailed}, // it may pass
		{&integration.UnfinishedError{Run: "r", Cause: field}, exitFailed},    // the run was accepted
		{&device.NoSuitableDeviceError{Workload: "w"}, exitInvalid},
		{eventstore.ErrLocked, exitFailed},
		{&eventstore.CorruptionError{What: "hash"}, exitFailed},
		{fmt.Errorf("write: %w", syscall.ENOSPC), exitFailed},
		{errInterrupted, exitInterrupted},
		{interruptedError{errors.New("interrupted")}, exitInterrupted},
		{errors.Join(interruptedError{context.Canceled}, syscall.EIO), exitInterrupted},
		{errReported, exitFailed},
	} {
		if code := exitCode(c.err); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, code, c.code)
		}
	}
}
