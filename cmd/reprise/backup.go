package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
)

// backupReport is what `backup` and `restore` print.
type backupReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Position and HeadHash stand for everything that is in the copy.
	Position eventstore.Position `json:"position"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	integration.RunFiles
}

func newBackupCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy the data directory to a new folder, also while a run trains in it",
		Long: `Backup copies the event log as it is at one moment, and every checkpoint and step
series that it refers to, to a new folder. Training may go on meanwhile. Each event
and each file is verified on the way, so that damage is found now and not on the day
of need. The folder gets its name once all of it is synced to the disk.

A backup is itself a data directory: "reprise --data-dir FOLDER runs list" reads it,
and "reprise restore" makes a working copy of it.`,
		Example: "  reprise backup /mnt/disk/reprise-monday",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.backup(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) backup(ctx context.Context, folder, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	if !exists(w.EventsPath()) {
		return invalid(fmt.Errorf("--data-dir %s: has no event log; there is nothing to back up", w.Dir))
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	if exists(folder) {
		return invalid(fmt.Errorf("%s: exists already; name a folder that does not exist yet", folder))
	}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	report := backupReport{From: w.Dir, To: folder}
	if err := env.makeBackup(ctx, store, &report); err != nil {
		if errors.Is(err, context.Canceled) {
			return errInterrupted
		}
		return err
	}
	return env.printBackup(format, report, fmt.Sprintf("restore it with: %s restore %s --data-dir NEW_FOLDER", env.program, folder))
}

// makeBackup makes a backup beside its name, and gives it the name in the end.
func (env *environment) makeBackup(ctx context.Context, store *sqlite.Store, report *backupReport) (err error) {
	part := integration.Workspace{Dir: report.To + ".part"}
	if err := os.RemoveAll(part.Dir); err != nil { // of an earlier crash
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part.Dir))
		}
	}()
	if err := disk.MkdirAll(disk.OS{}, part.Dir, 0o755); err != nil {
		return invalid(fmt.Errorf("%s: %w; choose a folder that can be written", report.To, err))
	}
	head, err := store.Backup(ctx, part.EventsPath())
	if err != nil {
		return err
	}
	report.Position, report.HeadHash = head.Position, head.Hash
	// The copy says what belongs to it: the log goes on growing.
	copied, err := sqlite.OpenReadOnly(part.EventsPath())
	if err != nil {
		return err
	}
	progress := newCounter(env, "checkpoints backed up")
	report.RunFiles, err = integration.CopyRunFiles(ctx, copied, part, integration.Workspace{Dir: report.From}, progress.update)
	progress.close()
	if err = errors.Join(err, copied.Close()); err != nil {
		return err
	}
	return disk.Publish(disk.OS{}, part.Dir, report.To)
}

func newRestoreCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a data directory from a backup",
		Long: `Restore copies a backup into the data directory, which must not have an event log
yet, and verifies every event and every file on the way. The log comes last: a
restore that is cut off leaves no data directory that looks whole, and is repeated.

Runs that trained when the backup was made are interrupted in the copy, and go on
with "reprise runs resume" to the very bits that they would have had.`,
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
	backup := integration.Workspace{Dir: folder}
	if !exists(backup.EventsPath()) {
		return invalid(fmt.Errorf("%s: is no backup: it has no events.db; name the folder that `reprise backup` made", folder))
	}
	w, release, err := env.newDataDir("reprise restore " + folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	store, err := sqlite.OpenReadOnly(backup.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	report := backupReport{From: folder, To: w.Dir}
	progress := newCounter(env, "checkpoints restored")
	report.RunFiles, err = integration.CopyRunFiles(ctx, store, w, backup, progress.update)
	progress.close()
	var head eventstore.Head
	if err == nil {
		head, err = sqlite.Restore(ctx, backup.EventsPath(), w.EventsPath())
	}
	switch {
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(env.stderr, "reprise: the restore was interrupted; repeat it")
		return errInterrupted
	case err != nil:
		return err
	}
	report.Position, report.HeadHash = head.Position, head.Hash
	return env.printBackup(format, report, fmt.Sprintf("see what is there with: %s runs list --data-dir %s", env.program, w.Dir))
}

// newDataDir locks a data directory that has no event log yet, creating it if
// need be. The returned function ends the lock.
func (env *environment) newDataDir(command string) (integration.Workspace, func() error, error) {
	w, err := env.workspace()
	if err != nil {
		return w, nil, err
	}
	release, err := env.lock(w, command)
	if err != nil {
		return w, nil, err
	}
	if _, err := os.Stat(w.EventsPath()); !errors.Is(err, fs.ErrNotExist) {
		return w, nil, errors.Join(invalid(fmt.Errorf("--data-dir %s: has an event log already; choose an empty folder with --data-dir DIR", w.Dir)), release())
	}
	return w, release, nil
}

func (env *environment) printBackup(format string, r backupReport, next string) error {
	return env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Position)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each as its event says", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		t.line("\n%s", next)
		return nil
	})
}
