package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/journal"
)

// Field names the data directory in errors about it.
const Field = "data_dir"

// CodeHasRuns is the code of the field error about a data directory that has files of
// other runs.
const CodeHasRuns = "dir_has_runs"

// mixed says that a restore would mix a run's files with others. why says what is wrong
// with the run.
func mixed(run, why string) error {
	return &fault.FieldError{Field: Field, Problem: fmt.Sprintf("has files of the run %q in runs: it %s, and a restore would mix them", run, why),
		Fix: "choose an empty folder, or move runs away", Code: CodeHasRuns}
}

// CheckNoOtherRuns fails with *fault.FieldError where a data directory has files of runs that the log does
// not have. Those that it has may be what a killed restore left.
func (w Workspace) CheckNoOtherRuns(ctx context.Context, log eventstore.Store) error {
	there, err := w.RunNames()
	if err != nil || len(there) == 0 {
		return err
	}
	state, err := journal.StateAt(ctx, log, eventstore.End)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range state.Runs {
		known[string(r.ID)] = true
	}
	for _, name := range there {
		if !known[name] {
			return mixed(name, "is not in the backup")
		}
	}
	return nil
}

// PublishRuns moves the folders of runs from another data directory on the same disk to
// this one. A run that is there already stays if its files equal those that were
// copied; it fails with *fault.FieldError if they do not. undo moves back what was moved.
func (w Workspace) PublishRuns(part Workspace) (undo func() error, err error) {
	var moved []string
	undo = func() error {
		var errs []error
		for _, name := range moved {
			errs = append(errs, disk.RenameNew(disk.OS{}, filepath.Join(w.RunsDir(), name), filepath.Join(part.RunsDir(), name)))
		}
		return errors.Join(errs...)
	}
	names, err := part.RunNames()
	if err != nil {
		return undo, err
	}
	var absent []string
	for _, name := range names {
		if !disk.Exists(filepath.Join(w.RunsDir(), name)) {
			absent = append(absent, name)
			continue
		}
		difference, err := treeDifference(filepath.Join(part.RunsDir(), name), filepath.Join(w.RunsDir(), name))
		if err != nil {
			return undo, err
		}
		if difference != "" {
			return undo, mixed(name, "differs from the backup's ("+difference+")")
		}
		// Whoever gave it its name may have died before that was durable.
		if err := disk.MkdirAll(disk.OS{}, filepath.Join(w.RunsDir(), name), 0o755); err != nil {
			return undo, err
		}
	}
	for _, name := range absent {
		if err := disk.Publish(disk.OS{}, filepath.Join(part.RunsDir(), name), filepath.Join(w.RunsDir(), name)); err != nil {
			return undo, err
		}
		moved = append(moved, name)
	}
	return undo, nil
}

// treeDifference returns the first entry in which two folders differ, in names,
// kinds or content; "" if they are equal.
func treeDifference(a, b string) (string, error) {
	if info, err := os.Lstat(b); err != nil || !info.IsDir() { // a link leads elsewhere
		return filepath.Base(b), err
	}
	entries, err := disk.OS{}.ReadDir(a)
	if err != nil {
		return "", err
	}
	others, err := disk.OS{}.ReadDir(b)
	if err != nil {
		return "", err
	}
	for i, e := range entries {
		switch path := filepath.Join(b, e.Name()); {
		case i >= len(others) || others[i].Name() != e.Name() || others[i].Type() != e.Type():
			return e.Name(), nil
		case e.IsDir():
			if d, err := treeDifference(filepath.Join(a, e.Name()), path); d != "" || err != nil {
				return filepath.Join(e.Name(), d), err
			}
		default:
			if same, err := sameContent(filepath.Join(a, e.Name()), path); !same || err != nil {
				return e.Name(), err
			}
		}
	}
	if len(others) > len(entries) {
		return others[len(entries)].Name(), nil
	}
	return "", nil
}

// sameContent reports whether two regular files have the same bytes.
func sameContent(a, b string) (same bool, err error) {
	f, err := disk.Open(disk.OS{}, a)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	g, err := disk.Open(disk.OS{}, b)
	if err != nil {
		return false, err
	}
	defer func() { _ = g.Close() }() // it was only read
	ofA, ofB := make([]byte, compareBytes), make([]byte, compareBytes)
	for {
		n, errA := io.ReadFull(f, ofA)
		m, errB := io.ReadFull(g, ofB)
		ended := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		switch {
		case errA != nil && !ended:
			return false, errA
		case errB != nil && !errors.Is(errB, io.EOF) && !errors.Is(errB, io.ErrUnexpectedEOF):
			return false, errB
		case !bytes.Equal(ofA[:n], ofB[:m]):
			return false, nil
		case ended:
			return true, nil
		}
	}
}

// compareBytes is how much of a file is compared at once.
const compareBytes = 1 << 18
