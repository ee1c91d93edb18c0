package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/eventstore"
	"reprise/fault"
)

// osError is the operating system's error for a store's files, in place of SQLite's.
// errors.Is finds the system's error, such as syscall.ENOSPC, and SQLite's.
type osError struct {
	cause error
	err   error // that was returned
}

// Error names the cause and the path.
func (e *osError) Error() string { return e.cause.Error() }

// Unwrap returns the cause and the error that was returned.
func (e *osError) Unwrap() []error { return []error{e.cause, e.err} }

// explained adds the cause to the error of a read.
func (s *Store) explained(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return explain(s.path, false, s.config.BusyTimeout, err, nil)
}

// explain adds the cause to the error, if that is the operating system's error or a
// lock. last is the last error of the files, which SQLite may have dropped.
func explain(path string, writing bool, waited time.Duration, err, last error) error {
	var known *osError
	if err == nil || errors.As(err, &known) || errors.Is(err, eventstore.ErrCorrupt) {
		return err
	}
	for _, said := range []error{err, last} {
		if errno := systemError(said); errno != 0 {
			cause := withPath(said, path, errno)
			if errors.Is(errno, fs.ErrPermission) {
				cause = &eventstore.DeniedError{Folder: filepath.Dir(path), Writing: writing, Err: cause}
			}
			return &osError{cause: cause, err: err}
		}
	}
	for _, code := range []error{sqlite3.IOERR_SHMOPEN, sqlite3.IOERR_SHMSIZE, sqlite3.IOERR_SHMMAP} {
		if errors.Is(err, code) {
			return &osError{cause: &indexError{path + "-shm", err}, err: err}
		}
	}
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		return &osError{cause: &lockedError{path, lockHolder(path), waited}, err: err}
	}
	return err
}

// indexError says that the index of the write-ahead log could not be created or
// extended. SQLite keeps the system's error to itself.
type indexError struct {
	path string
	err  error
}

// Error names the file and what to do.
func (e *indexError) Error() string {
	return fmt.Sprintf("cannot write %s, the index of the write-ahead log (%v); "+
		"free some space on that disk, or allow larger files (ulimit -f) and more memory (ulimit -v)", e.path, e.err)
}

// Kind returns Exhausted.
func (e *indexError) Kind() fault.Kind { return fault.Exhausted }

// Unwrap returns SQLite's error.
func (e *indexError) Unwrap() error { return e.err }

// Advised reports that the text says what to do.
func (e *indexError) Advised() bool { return true }

// lockedError says that a lock was not released.
type lockedError struct {
	path, holder string
	waited       time.Duration
}

// Error names the file and, if it is known, who holds the lock.
func (e *lockedError) Error() string {
	return fmt.Sprintf("%s is locked%s, and was not released within %v", e.path, e.holder, e.waited)
}

// Unwrap returns eventstore.ErrLocked.
func (e *lockedError) Unwrap() error { return eventstore.ErrLocked }

// systemError returns the system's error behind an error of SQLite or of a file; 0
// if there is none. That a file is missing, or an operation not supported, explains
// nothing: SQLite looks for files and tries operations that need not be there.
func systemError(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		if errors.Is(errno, fs.ErrNotExist) || errors.Is(errno, errors.ErrUnsupported) || errno == syscall.EINVAL {
			return 0
		}
		return errno
	case errors.Is(err, sqlite3.FULL):
		return syscall.ENOSPC
	case errors.Is(err, sqlite3.IOERR_CORRUPTFS):
		return syscall.EIO
	case errors.Is(err, fs.ErrPermission), errors.Is(err, sqlite3.READONLY):
		return syscall.EACCES
	}
	return 0
}

// withPath returns the system's error with the path that it names, or with this one.
func withPath(err error, path string, errno syscall.Errno) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named
	}
	return &fs.PathError{Op: "access", Path: path, Err: errno}
}

// lastError is the last error of a group of files. It is safe for concurrent use.
type lastError struct {
	mu  sync.Mutex
	err error
}

// met records an error, and returns it.
func (l *lastError) met(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
	}
	return err
}

// take returns the error and forgets it.
func (l *lastError) take() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.err
	l.err = nil
	return err
}

// systemFile is what SQLite uses of the operating system's files, except memory
// mapping.
type systemFile interface {
	vfs.File
	vfs.FileLockState
	vfs.FileHasMoved
	vfs.FileSizeHint
	vfs.FilePersistWAL
	vfs.FilePowersafeOverwrite
	vfs.FileSharedMemory
}

// notingFile is a file that records its errors.
type notingFile struct {
	systemFile
	last *lastError
}

// noting makes the file record its errors, if it is one of the operating system's.
func (l *lastError) noting(f vfs.File) vfs.File {
	if system, ok := f.(systemFile); ok {
		return &notingFile{system, l}
	}
	return f
}

// ReadAt implements io.ReaderAt.
func (f *notingFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.systemFile.ReadAt(b, at)
	return n, f.last.met(err)
}

// WriteAt implements io.WriterAt.
func (f *notingFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.systemFile.WriteAt(b, at)
	return n, f.last.met(err)
}

// Truncate implements vfs.File.
func (f *notingFile) Truncate(size int64) error { return f.last.met(f.systemFile.Truncate(size)) }

// Sync implements vfs.File.
func (f *notingFile) Sync(flags vfs.SyncFlag) error { return f.last.met(f.systemFile.Sync(flags)) }

// Size implements vfs.File.
func (f *notingFile) Size() (int64, error) {
	n, err := f.systemFile.Size()
	return n, f.last.met(err)
}

// SizeHint implements vfs.FileSizeHint.
func (f *notingFile) SizeHint(size int64) error { return f.last.met(f.systemFile.SizeHint(size)) }
