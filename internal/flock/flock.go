// Package flock locks a directory for one process, through an advisory lock of
// the operating system on a file in it. The system releases the lock when the
// process dies, however it dies; no stale lock is ever left.
//
// For people and error messages, the file says who took the lock last.
package flock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"reprise/fault"
	"reprise/internal/disk"
)

// ErrLocked is wrapped by every *LockedError.
var ErrLocked = fault.New(fault.Unavailable, "locked by another process")

// Info says who holds a lock.
type Info struct {
	PID       int       `json:"pid"`
	Command   string    `json:"command"`
	StartedAt time.Time `json:"started_at"`
}

// LockedError says who holds the lock that was wanted.
type LockedError struct {
	Path   string
	Holder Info // zero if the holder has not written it yet
}

// Error names the holder.
func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return "in use by another process"
	}
	return fmt.Sprintf("in use by process %d (%s), since %s", e.Holder.PID, e.Holder.Command,
		e.Holder.StartedAt.Local().Format("2006-01-02 15:04:05"))
}

// Kind returns Unavailable.
func (e *LockedError) Kind() fault.Kind { return fault.Unavailable }

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Lock is a held lock. It is safe for concurrent use.
type Lock struct {
	mu   sync.Mutex
	file *os.File
}

// attempts bounds how often a file is opened again because another process
// removed or replaced it.
const attempts = 100

// Acquire takes the exclusive lock on the file at path, creating the file if
// necessary, and writes the holder to it. It fails at once with *LockedError if
// another process, or another Lock of this one, holds the lock. A Probe never makes
// it fail.
//
// The file that it locks is the one that path names: if another process that held
// the lock removed the file or its folder meanwhile, Acquire opens it again, and
// fails with fs.ErrNotExist if the folder is gone.
func Acquire(path string, holder Info) (*Lock, error) { return acquire(path, holder, tryLock) }

// Seize is Acquire for callers that are about to remove the file: it creates none,
// and writes nothing, so that it works on a full disk.
func Seize(path string) (*Lock, error) { return seize(path, os.O_RDWR, tryLock) }

// acquire is Acquire with the function that locks an open file.
func acquire(path string, holder Info, lock func(*os.File) (bool, error)) (*Lock, error) {
	l, err := seize(path, os.O_RDWR|os.O_CREATE, lock)
	if err != nil {
		return nil, err
	}
	if err := writeInfo(l.file, holder); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), l.Release())
	}
	return l, nil
}

func seize(path string, flag int, lock func(*os.File) (bool, error)) (*Lock, error) {
	for range attempts {
		f, err := lockFile(path, flag, lock)
		if err == nil {
			return &Lock{file: f}, nil
		}
		if !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock %s: %w", path, errReplaced)
}

// errReplaced says that the path no longer names the file that was locked.
var errReplaced = errors.New("the file was replaced again and again by other processes")

// lockFile opens the file at path and locks it. It fails with errReplaced where
// the path does not name the locked file: a lock on a file without a name keeps
// nobody out.
func lockFile(path string, flag int, lock func(*os.File) (bool, error)) (*os.File, error) {
	f, err := open(path, flag)
	if err != nil {
		return nil, err
	}
	held, err := lock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !held {
		return nil, errors.Join(&LockedError{Path: path, Holder: readInfo(f)}, f.Close())
	}
	named, err := names(path, f)
	if err == nil && !named {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// names reports whether path names the open file.
func names(path string, f *os.File) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// Release releases the lock; calling it again does nothing. The file remains. To
// remove it, a process must hold the lock: a later Acquire then notices that what it
// locked has lost its name.
func (l *Lock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}

// Probe reports whether the file at path is locked, and by whom, without
// disturbing an Acquire. A missing file is not locked.
func Probe(path string) (bool, Info, error) {
	f, err := open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return false, Info{}, nil
	}
	if err != nil {
		return false, Info{}, err
	}
	defer func() { _ = f.Close() }()
	held, err := isLocked(f)
	if err != nil {
		return false, Info{}, fmt.Errorf("probe %s: %w", path, err)
	}
	if !held {
		return false, Info{}, nil
	}
	return true, readInfo(f), nil
}

// open opens the file, without waiting, and refuses anything but a regular one. It
// also refuses a symbolic link, whose target would be overwritten.
func open(path string, flag int) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	f, err := disk.OpenOS(path, flag|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(notRegular(path), err, f.Close())
	}
	return f, nil
}

func notRegular(path string) error {
	return &fs.PathError{Op: "lock", Path: path, Err: errors.New("is not a regular file; move it away")}
}

// maxInfo limits how much is read back: the file may hold anything.
const maxInfo = 4096

func readInfo(f *os.File) Info {
	var info Info
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, maxInfo))
	if err != nil || json.Unmarshal(raw, &info) != nil {
		return Info{}
	}
	return info
}

func writeInfo(f *os.File, info Info) error {
	raw, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(raw, '\n'), 0)
	return err
}
