package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/internal/staging"
)

// LockError says that a data directory could not be locked: another process holds it
// (flock.ErrLocked), or it cannot be written.
type LockError struct {
	Dir string
	Err error
}

// Error names the directory and the cause.
func (e *LockError) Error() string { return fmt.Sprintf("lock %s: %v", e.Dir, e.Err) }

// Kind returns that of Err.
func (e *LockError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns the cause.
func (e *LockError) Unwrap() error { return e.Err }

// OpenWorkspace is a data directory that is open for writing.
type OpenWorkspace struct {
	Workspace
	// Store fails with ErrDataDirGone once the directory is not the one that was
	// opened.
	Store eventstore.Store
	// Settled is what was settled as the directory was opened.
	Settled Settled

	release func() error
}

// verifiedEvents and verifiedBytes bound the logs that are verified when they are opened
// for writing, so that it takes a fraction of a second.
const (
	verifiedEvents = 10_000
	verifiedBytes  = 32 << 20
)

// Open locks the data directory and opens its event store, creating both where they
// do not exist. It fails with *LockError, and, having changed nothing, where the log
// is missing beside other files (*MissingLogError), is older than they are
// (*OlderLogError), or is corrupt (eventstore.ErrCorrupt); a log of more than 10,000
// events or 32 MiB is not verified. Close must follow.
func (w Workspace) Open(ctx context.Context, holder flock.Info, open func(path string) (eventstore.Store, error)) (*OpenWorkspace, error) {
	release, err := w.Lock(holder)
	if err != nil {
		return nil, err
	}
	opened := &OpenWorkspace{Workspace: w, release: release}
	if err := opened.openStore(ctx, open); err != nil {
		return nil, errors.Join(err, release())
	}
	return opened, nil
}

func (o *OpenWorkspace) openStore(ctx context.Context, open func(path string) (eventstore.Store, error)) error {
	if err := o.CheckLogExists(false); err != nil {
		return err
	}
	store, err := open(o.EventsPath())
	if err != nil {
		return err
	}
	if o.Store, err = bound(store, o.EventsPath()); err == nil {
		err = o.verifyShort(ctx)
	}
	if err == nil {
		o.Settled, err = SettleFiles(ctx, o.Store, o.Workspace)
	}
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return nil
}

// verifyShort verifies a log that is short.
func (o *OpenWorkspace) verifyShort(ctx context.Context) error {
	head, err := o.Store.Head(ctx)
	if err != nil || head.Position > verifiedEvents {
		return err
	}
	if info, err := os.Stat(o.EventsPath()); err != nil || info.Size() > verifiedBytes {
		return err
	}
	_, err = o.Store.Verify(ctx)
	return err
}

// Close closes the store and releases the lock.
func (o *OpenWorkspace) Close() error { return errors.Join(o.Store.Close(), o.release()) }

// Lock locks the data directory for writing, creating it where it does not exist, and
// removes what killed commands left in it. It fails with *LockError. The returned
// function releases the lock.
func (w Workspace) Lock(holder flock.Info) (release func() error, err error) {
	if err := disk.MkdirAll(disk.OS{}, w.Dir, 0o755); err != nil {
		return nil, &LockError{w.Dir, err}
	}
	lock, err := flock.Acquire(w.LockPath(), holder)
	if err != nil {
		return nil, &LockError{w.Dir, err}
	}
	w.sweep()
	return lock.Release, nil
}

// sweep removes what killed commands left in a data directory whose lock the caller
// holds.
func (w Workspace) sweep() {
	staging.Sweep(w.Dir)
	staging.Sweep(w.RunsDir())
	staging.SweepImports(w.Dir)
}

// MissingLogError says that a data directory has files that an event log belongs to,
// and no event log: it is not an empty one then.
type MissingLogError struct {
	Dir  string
	Left []string // what is there
}

// Error names what is there.
func (e *MissingLogError) Error() string {
	return fmt.Sprintf("%s: the event log is missing: there is no events.db beside %s", e.Dir, strings.Join(e.Left, " and "))
}

// Kind returns Corrupt.
func (e *MissingLogError) Kind() fault.Kind { return fault.Corrupt }

// CheckLogExists fails with *MissingLogError where the log is missing beside other
// files. withRuns says that runs may be there, since their log is about to be added.
func (w Workspace) CheckLogExists(withRuns bool) error {
	if disk.Exists(w.EventsPath()) {
		return nil
	}
	var left []string
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(w.EventsPath() + suffix); err == nil && info.Size() > 0 {
			left = append(left, filepath.Base(w.EventsPath())+suffix)
		}
	}
	switch n := w.CountRuns(); {
	case withRuns || n == 0:
	case n == 1:
		left = append(left, "the files of 1 run in runs")
	default:
		left = append(left, fmt.Sprintf("the files of %d runs in runs", n))
	}
	if len(left) == 0 {
		return nil
	}
	return &MissingLogError{w.Dir, left}
}

// CountRuns returns the number of runs that have files in the data directory.
func (w Workspace) CountRuns() int {
	names, err := w.RunNames()
	if err != nil {
		return 0 // a caller that needs them will say why
	}
	return len(names)
}

// RunNames returns the names in the folder of the runs' files, other than hidden
// ones.
func (w Workspace) RunNames() ([]string, error) {
	entries, err := disk.OS{}.ReadDir(w.RunsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
