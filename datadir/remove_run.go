package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"reprise/training"
)

// RemoveRun removes the files of a run: its checkpoints, its initial weights, its step
// series and, if they are then empty, its folders. The caller has recorded that they are not needed, so that it can
// be repeated after an error or a crash, until it succeeds. What others have put there
// stays; left reports whether there is such.
func (w Workspace) RemoveRun(id training.RunID) (left bool, err error) {
	if err := id.Validate(); err != nil {
		return false, err
	}
	files := w.files()
	if _, err := files.Lstat(w.RunDir(id)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	left, err = w.Checkpoints(id).Clear()
	if missing := files.Remove(w.SeriesPath(id)); missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		err = errors.Join(err, missing)
	}
	err = errors.Join(err, w.Initial(id).Remove())
	if err != nil {
		return left, fmt.Errorf("remove the files of run %s: %w", id, err)
	}
	entries, err := files.ReadDir(w.RunDir(id))
	if err != nil {
		return left, err
	}
	if len(entries) > 0 {
		return true, nil
	}
	return false, files.Remove(w.RunDir(id))
}

// RunSize returns how many bytes the files of a run have.
func (w Workspace) RunSize(id training.RunID) (size int64) {
	var add func(path string)
	add = func(path string) {
		entries, err := w.files().ReadDir(path)
		if err != nil {
			return // what cannot be read is not counted
		}
		for _, e := range entries {
			inner := filepath.Join(path, e.Name())
			if e.IsDir() {
				add(inner)
			} else if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				size += info.Size()
			}
		}
	}
	add(w.RunDir(id))
	return size
}
