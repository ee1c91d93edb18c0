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

	"reprise/internal/disk"
)

// ErrLocked is wrapped by every *LockedError.
var ErrLocked = errors.New("locked by another process")

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
		return fmt.Sprintf("%s: %v", e.Path, ErrLocked)
	}
	return fmt.Sprintf("%v: %s, process %d, since %s", ErrLocked, e.Holder.Command, e.Holder.PID,
		e.Holder.StartedAt.Local().Format("2006-01-02 15:04:05"))
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Lock is a lock that is held. It is safe for concurrent use.
type Lock struct {
	mu   sync.Mutex
	file *os.File
}

// Acquire takes the exclusive lock on the file at path, creating the file if
// necessary, and writes the holder to it. It fails at once with *LockedError if
// another process, or another Lock of this one, holds the lock. A Probe never makes
// it fail.
func Acquire(path string, holder Info) (*Lock, error) {
	f, err := open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	held, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !held {
		return nil, errors.Join(&LockedError{Path: path, Holder: readInfo(f)}, f.Close())
	}
	if err := writeInfo(f, holder); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &Lock{file: f}, nil
}

// Release releases the lock; calling it again does nothing. The file remains:
// removing it would let two processes lock two files of the same name.
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
