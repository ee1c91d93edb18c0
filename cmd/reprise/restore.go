package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/disk"
	"reprise/journal"
)

func newRestoreCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a data directory from a backup",
		Long: `Restore copies a backup into the data directory, which must not have an event log
or files of other runs yet, and verifies every event and every file as it is copied.
The log comes last, so that a restore that is cut off never leaves a data directory that
looks complete. Repeat the same command to complete it: files of runs that are already
there are kept if they equal the backup's byte for byte; nothing is removed or replaced.

Runs that were training when the backup was made are interrupted in the copy; "reprise
runs resume" finishes them with the same bits as if nothing had happened.`,
		Example: "  reprise restore /mnt/disk/reprise-monday --data-dir ~/reprise-again",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.restore(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) restore(ctx context.Context, folder, format string) (err error) {
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	backup := datadir.Workspace{Dir: folder}
	if !disk.Exists(backup.EventsPath()) {
		return invalid(fmt.Errorf("%s: is not a backup: it has no events.db; name the folder that `reprise backup` made", folder))
	}
	w, release, err := env.newDataDir("reprise restore " + folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	report := backupReport{From: folder, To: w.Dir}
	if err := env.restoreInto(ctx, w, backup, &report); err != nil {
		if errors.Is(err, context.Canceled) {
			_, _ = fmt.Fprintln(env.stderr, "reprise: the restore was interrupted; repeat it")
			return errInterrupted
		}
		return err
	}
	return env.printBackup(format, report, "list its runs with",
		fmt.Sprintf("%s runs list --data-dir %s", env.program, shellQuoted(w.Dir)))
}

// restoreInto copies the runs' files to an area of their own, and gives them their
// names once all of them are there and verified. The log comes last.
func (env *environment) restoreInto(ctx context.Context, w, backup datadir.Workspace, report *backupReport) (err error) {
	store, err := sqlite.OpenReadOnly(backup.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	if err := refuseOtherRuns(ctx, store, w); err != nil {
		return err
	}
	// runs may be a link to another disk.
	area, err := env.stage(w.RunsDir(), "reprise restore "+backup.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := disk.Or(nil).Mkdir(area.Path(), 0o755); err != nil {
		return err
	}
	part := datadir.Workspace{Dir: area.Path()}
	progress := newCounter(env, "restoring", "checkpoints")
	report.RunFiles, err = datadir.CopyRunFiles(ctx, store, part, backup, progress.update)
	progress.close()
	if err != nil {
		return err
	}
	undo, err := publishRuns(part, w)
	if err != nil {
		return errors.Join(err, undo())
	}
	head, err := sqlite.Restore(ctx, backup.EventsPath(), w.EventsPath())
	if err != nil {
		return errors.Join(err, undo())
	}
	report.Position, report.HeadHash = head.Position, head.Hash
	return nil
}

// refuseOtherRuns fails where a data directory has files of runs that the log does
// not have. Those that it has may be what a killed restore left.
func refuseOtherRuns(ctx context.Context, log eventstore.Store, w datadir.Workspace) error {
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
			return mixed(w, name, "is not in the backup")
		}
	}
	return nil
}

// mixed says that a restore would mix a run's files with others.
func mixed(w datadir.Workspace, run, why string) error {
	return invalid(fmt.Errorf("--data-dir %s: has files of the run %q in runs: it %s, and a restore would mix them; "+
		"choose an empty folder with --data-dir FOLDER, or move runs away", w.Dir, run, why))
}

// publishRuns moves the folders of runs to where they belong. A run that is there
// already stays if its files equal those that were copied. undo moves back what was
// moved.
func publishRuns(part, w datadir.Workspace) (undo func() error, err error) {
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
			return undo, mixed(w, name, "differs from the backup's ("+difference+")")
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
