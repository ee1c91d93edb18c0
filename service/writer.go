package service

import (
	"context"
	"errors"
	"iter"
	"os"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
)

// Copies copies event logs of the kind that the data directory has. Every field is
// needed.
type Copies struct {
	// Backup copies the event log at a path, as it is at one moment, to a new file;
	// Restore copies one that nobody writes to. Both verify the copy, and return its end.
	Backup, Restore func(ctx context.Context, from, path string) (eventstore.Head, error)
	// OpenWreck opens an event log that may be damaged.
	OpenWreck func(ctx context.Context, path string) (Wreck, error)
}

func (c Copies) complete() bool { return c.Backup != nil && c.Restore != nil && c.OpenWreck != nil }

// Wreck is an event log that may be damaged, as a source of the whole events in it. It
// is used by one goroutine.
type Wreck interface {
	// Salvaged describes what was found.
	Salvaged() eventstore.Salvaged
	// Events are the events of the log that is whole from its first event; Rest are the
	// other whole events, by position.
	Events() iter.Seq2[eventstore.Event, error]
	Rest() iter.Seq2[eventstore.Event, error]
	Close() error
}

// needDir fails where there is no data directory.
func (s *Service) needDir() error {
	if s.config.Dir == "" {
		return s.config.NoDir
	}
	return nil
}

// open opens the data directory for writing, and warns of what it could not settle.
func (s *Service) open(ctx context.Context) (*datadir.OpenWorkspace, error) {
	if err := s.needDir(); err != nil {
		return nil, err
	}
	opened, err := s.workspace.Open(ctx, s.holder(), s.config.OpenForWriting)
	if err != nil {
		return nil, s.lockError(err)
	}
	for _, warning := range opened.Settled.Warnings() {
		api.Notify(ctx, api.Notice{Warning: warning})
	}
	return opened, nil
}

// holder describes this process in the locks that it takes.
func (s *Service) holder() flock.Info {
	return flock.Info{PID: s.config.Process, Command: s.config.Command, StartedAt: s.config.Now()}
}

// newDir locks the data directory, which has no event log yet, and makes it where it
// does not exist. parents says that the folders above it are made, too.
func (s *Service) newDir(parents bool) (release func() error, err error) {
	if err := s.needDir(); err != nil {
		return nil, err
	}
	w := s.workspace
	if !parents && !disk.Exists(w.Dir) {
		if err := datadir.CheckParent(fieldDir, w.Dir); err != nil {
			return nil, err
		}
	}
	release, err = w.Lock(s.holder())
	if err != nil {
		return nil, s.lockError(err)
	}
	if _, err := os.Lstat(w.EventsPath()); !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(&fault.FieldError{Field: fieldDir, Problem: "already has an event log",
			Fix: "choose an empty folder", Code: string(api.DirNotEmpty)}, release())
	}
	if err := w.CheckLogExists(true); err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

// fieldDir is the field that errors about the data directory name.
const fieldDir = datadir.Field

// lockError says why the data directory cannot be opened for writing.
func (s *Service) lockError(err error) error {
	var lock *datadir.LockError
	switch {
	case !errors.As(err, &lock):
		return err
	case errors.Is(err, flock.ErrLocked):
		return api.InUse(s.workspace.Dir, lock.Err)
	}
	if errors.Is(err, os.ErrPermission) {
		// Without its cause, whose remedy is another one: the folder is right for its owner.
		return fault.As(fault.Forbidden, &fault.FieldError{
			Field: fieldDir, Problem: lock.Err.Error(), Fix: "run this as its owner, or choose a folder that you may write to",
		})
	}
	return datadir.UnusableField(fieldDir, lock.Err, "choose a folder that you can write to")
}
