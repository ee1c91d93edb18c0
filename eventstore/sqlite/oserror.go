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
	"reprise/internal/disk"
)

// osError is the operating system's error for a store's files, with a remedy, in place
// of SQLite's. errors.Is finds the system's error, such as syscall.ENOSPC, and SQLite's.
type osError struct {
	cause error
	fix   string
	err   error // that was returned
}

// Error names cause, path and fix.
func (e *osError) Error() string { return fmt.Sprintf("%v; %s", e.cause, e.fix) }

// Unwrap returns the cause and the error that was returned.
func (e *osError) Unwrap() []error { return []error{e.cause, e.err} }

// explained adds the cause to the error of a read.
func (s *Store) explained(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return explain(s.path, false, s.config.BusyTimeout, err, nil)
}

// explain adds the cause and a remedy to the error, if the cause is the operating
// system's error or a lock. last is the last error of the files, which SQLite may have
// dropped.
func explain(path string, writing bool, waited time.Duration, err, last error) error {
	var known *osError
	if err == nil || errors.As(err, &known) || errors.Is(err, eventstore.ErrCorrupt) {
		return err
	}
	for _, said := range []error{err, last} {
		if errno, fix := advice(said, filepath.Dir(path), writing); fix != "" {
			return &osError{cause: withPath(said, path, errno), fix: fix, err: err}
		}
	}
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		return &osError{
			cause: &lockedError{path, lockHolder(path), waited},
			fix:   "end the transaction or the program that holds the lock, then try again",
			err:   err,
		}
	}
	return err
}

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

// advice returns the system's error and a remedy; "" for other errors.
func advice(err error, folder string, writing bool) (syscall.Errno, string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, sqlite3.FULL):
		return syscall.ENOSPC, "free some space on that disk, then try again"
	case errors.Is(err, syscall.EDQUOT):
		return syscall.EDQUOT, "free some of your quota on that disk, then try again"
	case errors.Is(err, syscall.EROFS):
		return syscall.EROFS, "mount it for writing, or use a folder that can be written"
	case errors.Is(err, syscall.EIO), errors.Is(err, sqlite3.IOERR_CORRUPTFS):
		return syscall.EIO, "the disk itself failed: check it, and copy what it still holds to another"
	case errors.Is(err, syscall.EMFILE):
		return syscall.EMFILE, "raise the limit of open files, then try again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, sqlite3.READONLY):
		if writing {
			return syscall.EACCES, "run this as the owner of " + folder
		}
		return syscall.EACCES, "its owner can let you read it: chmod -R a+rX " + folder
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) {
		return errno, disk.Remedy(errno)
	}
	return 0, ""
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
