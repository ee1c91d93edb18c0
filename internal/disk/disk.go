// Package disk is the narrow view of a file system through which everything is
// written that must survive a loss of power: the operations that a test can count,
// fail, and undo if they were not synced (package disktest).
//
// OS is the operating system's file system; a nil FS stands for it (Or). It is safe
// for concurrent use, and a File is as far as *os.File is.
package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"reprise/fault"
)

// FS is a file system. Its errors are those of package os: errors.Is finds
// fs.ErrNotExist and fs.ErrExist in them.
type FS interface {
	// OpenFile opens a file as os.OpenFile does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	// RemoveAll removes a folder and everything in it; it succeeds if there is no
	// such folder.
	RemoveAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	// Lstat is Stat without following links.
	Lstat(name string) (fs.FileInfo, error)
	// ReadDir lists a folder in lexical order.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the entries of a folder durable: a file that is synced can
	// still be lost with the entry that names it.
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes the content durable. Never repeat it after an error: what it should
	// have written may be lost, and the next Sync would not report that.
	Sync() error
}

// Or returns the file system, or OS for nil.
func Or(f FS) FS {
	if f == nil {
		return OS{}
	}
	return f
}

// OS is the file system of the operating system.
type OS struct{}

var _ FS = OS{}

// OpenFile is os.OpenFile. A file that root creates in the folder of another user
// belongs to that user.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := OpenOS(name, flag, perm)
	if err != nil {
		return nil, err // not a nil *os.File
	}
	return f, nil
}

// OpenOS is OS.OpenFile for callers that need an *os.File.
func OpenOS(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if flag&os.O_CREATE == 0 {
		return os.OpenFile(name, flag, perm)
	}
	return create(name, flag, perm)
}

// Mkdir is os.Mkdir. A folder that root creates in the folder of another user
// belongs to that user.
func (OS) Mkdir(name string, perm fs.FileMode) error { return mkdir(name, perm) }

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll is os.RemoveAll.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Stat is os.Stat.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Lstat is os.Lstat.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// ReadDir is os.ReadDir that never waits for a pipe.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) {
	return readDir(os.OpenFile(name, folderFlags, 0))
}

// folderFlags opens a folder without waiting, should it be a pipe.
const folderFlags = os.O_RDONLY | syscall.O_NONBLOCK

// readDir lists a folder that was opened, in lexical order, and closes it.
func readDir(d *os.File, err error) ([]fs.DirEntry, error) {
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, d.Close())
}

// SyncDir opens the folder and syncs it.
func (OS) SyncDir(name string) error {
	d, err := os.OpenFile(name, folderFlags, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SourceError is an error of what is copied, rather than of the place that it is copied
// to.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

// Kind returns that of Err.
func (e *SourceError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns the error.
func (e *SourceError) Unwrap() error { return e.Err }

// Exists reports false only if there is certainly nothing of that name.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// ErrNotRegular says that a name is that of a folder, a pipe, a socket or a
// device, not of a regular file.
var ErrNotRegular = fault.New(fault.Corrupt, "is not a regular file")

// ErrNotFolder says that a name is that of something other than a folder.
var ErrNotFolder = fault.New(fault.Corrupt, "is not a folder")

// Open opens a regular file for reading. It fails with ErrNotRegular for
// anything else, without waiting: opening a pipe to read it, or reading it, would
// block until somebody writes.
func Open(f FS, name string) (File, error) { return OpenRegular(f, name, os.O_RDONLY, 0) }

// OpenRegular opens a file as FS.OpenFile does, with the guarantees of Open. A file
// is truncated (os.O_TRUNC) only after it is known to be regular.
func OpenRegular(f FS, name string, flag int, perm fs.FileMode) (File, error) {
	opened, err := f.OpenFile(name, flag&^os.O_TRUNC|syscall.O_NONBLOCK, perm)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	switch {
	case err == nil && !info.Mode().IsRegular():
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	case err == nil && flag&os.O_TRUNC != 0 && info.Size() > 0:
		err = opened.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// tempBytes is the number of random bytes in a temporary name.
const tempBytes = 8

// TempName returns an unused name for a file that will be renamed to name.
func TempName(name string) string {
	var random [tempBytes]byte
	_, _ = rand.Read(random[:]) // never fails
	return name + tempInfix + hex.EncodeToString(random[:])
}

// CutTempName reports whether temp begins with a name of the form that TempName
// gives for the name, and returns what follows it.
func CutTempName(temp, name string) (suffix string, ok bool) {
	rest, ok := strings.CutPrefix(temp, name+tempInfix)
	if !ok || len(rest) < 2*tempBytes {
		return "", false
	}
	random, suffix := rest[:2*tempBytes], rest[2*tempBytes:]
	_, err := hex.DecodeString(random)
	return suffix, err == nil && random == strings.ToLower(random)
}

const tempInfix = ".reprise-partial-"

// MkdirAll is os.MkdirAll that makes the folders durable before it returns: every
// one that it created, and in any case path itself, since an earlier process may
// have died before syncing it.
func MkdirAll(f FS, path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	if _, err := f.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := MkdirAll(f, parent, perm); err != nil {
			return err
		}
	}
	if err := f.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := f.Stat(path); err != nil {
		return err
	} else if !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: path, Err: ErrNotFolder}
	}
	return f.SyncDir(parent)
}

// WriteNew writes a file that does not exist yet, and makes its content durable;
// Publish makes its name durable. After an error there is no such file.
func WriteNew(f FS, name string, content func(io.Writer) error) error {
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err = content(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, f.Remove(name))
	}
	return nil
}

// Publish durably renames what is complete: a folder with everything in it, or a
// file that was synced. If the new name exists, it fails with fs.ErrExist and
// changes nothing.
func Publish(f FS, part, name string) error {
	info, err := f.Lstat(part)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := f.SyncDir(part); err != nil {
			return err
		}
	}
	if err := RenameNew(f, part, name); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}
