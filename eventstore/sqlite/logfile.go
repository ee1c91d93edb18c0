package sqlite

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3/vfs"
)

// logVFS is a VFS that wraps the files of another one: it writes write-ahead logs as
// described at logFile, and records the errors of all files.
type logVFS struct {
	vfs.VFSFilename
	last  lastError
	plain bool // write-ahead logs are written as SQLite writes them
}

// registerLogVFS registers with SQLite a logVFS that wraps the VFS called base. Call
// unregister once nothing is open through it.
func registerLogVFS(base string) (v *logVFS, name string, unregister func(), err error) {
	of, err := findVFS(base)
	if err != nil {
		return nil, "", nil, err
	}
	v = &logVFS{VFSFilename: of}
	name = fmt.Sprintf("reprise-%p", v)
	vfs.Register(name, v)
	return v, name, func() { vfs.Unregister(name) }, nil
}

// OpenFilename implements vfs.VFSFilename.
func (v *logVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := v.VFSFilename.OpenFilename(name, flags)
	if err != nil {
		return f, flags, v.last.met(err)
	}
	f = v.last.noting(f)
	if flags&vfs.OPEN_WAL == 0 || v.plain {
		return f, flags, nil
	}
	size, err := f.Size()
	if err != nil {
		return nil, flags, errors.Join(err, f.Close())
	}
	return &logFile{File: f, size: size}, flags, nil
}

// logFile is a write-ahead log as the writer's connection writes it. SQLite writes each
// frame of a commit in two pieces; logFile writes all of a commit at once. And if a sync
// would have to store a new size of the file, logFile first grows the file ahead: the
// following syncs store data only, which takes half the time or less.
type logFile struct {
	vfs.File
	// pending will be written at the offset at, where the frames before it end. That
	// happens when a commit ends, before SQLite makes the commit visible to others.
	pending []byte
	at      int64
	commit  bool  // the page that comes next ends a commit
	size    int64 // when it was synced or opened
	end     int64 // of what was written
}

const (
	maxPending = 1 << 20
	// A log grows ahead by its own length, within these bounds, with zeros, which are
	// not a frame.
	minGrowth = 64 << 10
	maxGrowth = 1 << 20
)

// WriteAt implements io.WriterAt.
func (f *logFile) WriteAt(b []byte, at int64) (int, error) {
	ends := f.commit
	f.commit = len(b) == frameHeaderSize && commitOf(b) != 0
	if at != f.at+int64(len(f.pending)) {
		if err := f.flush(); err != nil {
			return 0, err
		}
		if 0 < at && at < f.at { // a frame, or only its header, is overwritten
			return f.File.WriteAt(b, at)
		}
		f.at = at
	}
	f.pending = append(f.pending, b...)
	if ends || len(f.pending) >= maxPending {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// flush writes what is pending.
func (f *logFile) flush() error {
	if len(f.pending) == 0 {
		return nil
	}
	b := f.pending
	f.pending = f.pending[:0]
	_, err := f.File.WriteAt(b, f.at)
	f.at += int64(len(b))
	f.end = max(f.end, f.at)
	return err
}

// Sync implements vfs.File.
func (f *logFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	if f.end > f.size {
		f.grow()
	}
	return f.File.Sync(flags)
}

// grow writes zeros after the end of the file. If that fails, for example because the
// disk is full, nothing is lost but time.
func (f *logFile) grow() {
	size, err := f.File.Size()
	if err != nil {
		return
	}
	ahead := make([]byte, min(max(size, minGrowth), maxGrowth))
	if _, err := f.File.WriteAt(ahead, size); err == nil {
		f.size = size + int64(len(ahead))
	}
}

// ReadAt implements io.ReaderAt.
func (f *logFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

// Size implements vfs.File.
func (f *logFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Truncate implements vfs.File.
func (f *logFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.size, f.end = size, size
	return f.File.Truncate(size)
}

// Close implements io.Closer.
func (f *logFile) Close() error { return errors.Join(f.flush(), f.File.Close()) }
