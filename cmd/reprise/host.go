package main

import (
	"errors"
	"fmt"
	"io/fs"

	"reprise/datadir"
)

// unusableDir says that the data directory cannot be written to, and what to do.
func unusableDir(w datadir.Workspace, err error) error {
	fix := "choose a folder that you can write to"
	if errors.Is(err, fs.ErrPermission) {
		fix = "run this as its owner, or choose a folder that you may write to"
	}
	return unusable(fmt.Errorf("--data-dir %s: %w", w.Dir, err), fix)
}

// inUse says that another process writes the data directory. Nothing is wrong with
// the command: the same one works later.
func inUse(w datadir.Workspace, err error) error {
	return fmt.Errorf("--data-dir %s is %w; "+waitForIt, w.Dir, err)
}

// waitForIt is what to do about a data directory that another process is using.
const waitForIt = "wait for it to end, or use another folder with --data-dir FOLDER"
