package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/internal/staging"
)

// CheckNew fails with *fault.FieldError where nothing can be made at a path: there is
// something, or the folder that it would lie in does not exist. kind says what is to be
// made, such as "folder".
func CheckNew(field, kind, path string) error {
	if disk.Exists(path) {
		return &fault.FieldError{Field: field, Value: path, Problem: "already exists", Fix: "name a " + kind + " that does not exist yet"}
	}
	return CheckParent(field, path)
}

// CheckParent fails with *fault.FieldError where the folder that a path lies in does
// not exist: the path is misspelled, or a disk is not mounted.
func CheckParent(field, path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return &fault.FieldError{Field: field, Problem: "there is no folder " + parent, Fix: "correct the path, mount its disk, or make the folder first"}
	}
	return nil
}

// CheckOutside fails with *fault.FieldError where a path lies in the data directory, or
// in the folder that its runs really lie in.
func (w Workspace) CheckOutside(field, path string) error {
	at := resolved(path)
	for _, dir := range []string{w.Dir, w.RunsDir()} {
		if relative, err := filepath.Rel(resolved(dir), at); err == nil && filepath.IsLocal(relative) {
			return &fault.FieldError{Field: field, Value: path, Problem: "lies in the data directory " + w.Dir, Fix: "name a place outside it"}
		}
	}
	return nil
}

// resolved resolves the symbolic links of a path, as far as the path exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

// Publish has create make a file or folder under a temporary name beside its own, and
// then renames it, durably. It replaces nothing, and leaves nothing if create fails.
// What killed processes left beside it, it removes. holder is this process.
func Publish(field, path string, holder flock.Info, create func(part string) error) (err error) {
	area, err := Stage(filepath.Dir(path), holder)
	if err != nil {
		return Unusable(fmt.Errorf("%s: %w", path, err), "choose a folder that you can write to")
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := create(area.Path()); err != nil {
		return err
	}
	err = area.Publish(path)
	if errors.Is(err, fs.ErrExist) {
		return &fault.FieldError{Field: field, Value: path, Problem: "exists by now", Fix: "name one that does not exist yet"}
	}
	return err
}

// Stage makes an area in a folder, which it makes where it does not exist.
func Stage(folder string, holder flock.Info) (*staging.Area, error) {
	if err := disk.MkdirAll(disk.OS{}, folder, 0o755); err != nil {
		return nil, err
	}
	return staging.New(folder, holder)
}

// WriteNew makes a file that does not exist yet, durably, whole or not at all.
func WriteNew(field, path string, holder flock.Info, write func(io.Writer) error) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return Unusable(fmt.Errorf("%s: %w", path, err), "name a file in a folder that exists")
	}
	return Publish(field, path, holder, func(part string) error { return disk.WriteNew(disk.OS{}, part, write) })
}
