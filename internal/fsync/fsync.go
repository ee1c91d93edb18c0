// Package fsync makes the names of files and folders survive the loss of power:
// a file that is synced can still be lost with the entry that names it.
//
// All functions are safe for concurrent use.
package fsync

import (
	"errors"
	"os"
	"path/filepath"
)

// Dir makes the entries of a folder durable.
func Dir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MkdirAll is os.MkdirAll whose folders, once it returns, are durable: every
// one that it made, and path itself in any case, since an earlier process may
// have died before it was.
func MkdirAll(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if info, err := os.Stat(path); err != nil {
		return err
	} else if !info.IsDir() {
		return &os.PathError{Op: "mkdir", Path: path, Err: errors.New("is a file")}
	}
	return Dir(parent)
}
