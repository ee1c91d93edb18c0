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
