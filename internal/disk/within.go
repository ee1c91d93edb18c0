package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"reprise/fault"
)

// Within is the operating system's file system below the folder Dir, and nothing
// outside it: a path that is not below Dir is refused, and so is a symbolic link
// that leads outside, whoever created it. Dir itself may be a symbolic link.
type Within struct{ Dir string }

var _ FS = Within{}

// ErrOutside says that a path, or a symbolic link in it, leads out of the folder
// that it must stay in.
var ErrOutside = fault.New(fault.Forbidden, "leads out of the folder that it must stay in")

// at performs an operation on the name below Dir. Its errors have the path as it
// was given.
func (w Within) at(op, name string, do func(root *os.Root, relative string) error) (err error) {
	relative, err := filepath.Rel(w.Dir, name)
	if err != nil || !filepath.IsLocal(relative) {
		return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w, %s", ErrOutside, w.Dir)}
	}
	if info, err := os.Stat(w.Dir); err == nil && !info.IsDir() { // opening a pipe would wait
		return &fs.PathError{Op: op, Path: w.Dir, Err: syscall.ENOTDIR}
	}
	root, err := os.OpenRoot(w.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only the starting point
	err = do(root, relative)
	var at *fs.PathError
	if errors.As(err, &at) {
		cause := at.Err
		if leadsOut(cause) {
			cause = fmt.Errorf("%w, %s", ErrOutside, w.Dir)
		}
		return &fs.PathError{Op: op, Path: name, Err: cause}
	}
	return err
}

// leadsOut reports whether an error is that of os.Root for a link that leads out of
// it. That error is not exported, and not one of the system's.
func leadsOut(err error) bool { return err != nil && err.Error() == "path escapes from parent" }

// OpenFile opens a file as OS.OpenFile does.
func (w Within) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	var opened *os.File
	err := w.at("open", name, func(root *os.Root, relative string) (err error) {
		if flag&os.O_CREATE != 0 {
			opened, err = createIn(root, relative, flag, perm)
		} else {
			opened, err = root.OpenFile(relative, flag, perm)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return named{opened, name}, nil
}

// named is a file with the name by which it was opened.
type named struct {
	*os.File
	name string
}

// Name returns the path as it was given.
func (f named) Name() string { return f.name }

// Mkdir makes a folder as OS.Mkdir does.
func (w Within) Mkdir(name string, perm fs.FileMode) error {
	return w.at("mkdir", name, func(root *os.Root, relative string) error { return mkdirIn(root, relative, perm) })
}

// Rename is os.Rename. Both names are below Dir.
func (w Within) Rename(from, to string) error {
	return w.at("rename", from, func(root *os.Root, old string) error {
		return w.at("rename", to, func(_ *os.Root, relative string) error { return root.Rename(old, relative) })
	})
}

// Remove is os.Remove.
func (w Within) Remove(name string) error {
	return w.at("remove", name, func(root *os.Root, relative string) error { return root.Remove(relative) })
}

// RemoveAll is os.RemoveAll.
func (w Within) RemoveAll(name string) error {
	return w.at("remove", name, func(root *os.Root, relative string) error { return root.RemoveAll(relative) })
}

// Stat is os.Stat.
func (w Within) Stat(name string) (info fs.FileInfo, err error) {
	err = w.at("stat", name, func(root *os.Root, relative string) error {
		info, err = root.Stat(relative)
		return err
	})
	return info, err
}

// Lstat is os.Lstat.
func (w Within) Lstat(name string) (info fs.FileInfo, err error) {
	err = w.at("lstat", name, func(root *os.Root, relative string) error {
		info, err = root.Lstat(relative)
		return err
	})
	return info, err
}

// ReadDir is os.ReadDir.
func (w Within) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = w.at("open", name, func(root *os.Root, relative string) error {
		entries, err = readDir(root.OpenFile(relative, folderFlags, 0))
		return err
	})
	return entries, err
}

// SyncDir opens the folder and syncs it.
func (w Within) SyncDir(name string) error {
	return w.at("open", name, func(root *os.Root, relative string) error {
		d, err := root.OpenFile(relative, folderFlags, 0)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
}
