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
	"reprise/internal/staging"
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
		Short: "Copy the data directory to a new folder, even while a run trains in it",
		Long: `Backup copies the event log as it is at one moment, and every checkpoint and step
series that it refers to, to a new folder. Training may continue meanwhile. Each event
and each file is verified as it is copied, so that damage is found now rather than
when the backup is needed. The folder gets its name once everything is synced to disk;
until then it is FOLDER/../.reprise-partial-ID. What a crash leaves of that, the next
backup removes. FOLDER must not exist yet, nor be in the data directory.

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
	if err := w.CheckLogExists(false); err != nil {
		return err
	}
	if !exists(w.EventsPath()) {
		return invalid(fmt.Errorf("--data-dir %s: has no event log; there is nothing to back up", w.Dir))
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	if err := refuseExisting("folder", folder); err != nil {
		return err
	}
	if err := outside(w, folder); err != nil {
		return err
	}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	if err := integration.CheckFiles(ctx, store, w); err != nil {
		return err
	}
	report := backupReport{From: w.Dir, To: folder}
	if err := env.makeBackup(ctx, store, &report); err != nil {
		if errors.Is(err, context.Canceled) {
			return interruptedError{errors.New("the backup was interrupted; nothing was kept of it")}
		}
		return err
	}
	return env.printBackup(format, report, "restore it with",
		fmt.Sprintf("%s restore %s --data-dir NEW_FOLDER", env.program, shellQuoted(folder)))
}

// makeBackup makes a backup under a temporary name, and renames it at the end.
func (env *environment) makeBackup(ctx context.Context, store *sqlite.Store, report *backupReport) error {
	return env.publish(report.To, "reprise backup "+report.To, func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		part := integration.Workspace{Dir: dir}
		head, err := store.Backup(ctx, part.EventsPath())
		if err != nil {
			return err
		}
		report.Position, report.HeadHash = head.Position, head.Hash
		// The copy says what belongs to it: the log may have grown since.
		copied, err := sqlite.OpenReadOnly(part.EventsPath())
		if err != nil {
			return err
		}
		progress := newCounter(env, "backing up", "checkpoints")
		report.RunFiles, err = integration.CopyRunFiles(ctx, copied, part, integration.Workspace{Dir: report.From}, progress.update)
		progress.close()
		return errors.Join(err, copied.Close())
	})
}

// refuseExisting fails where there is something at the path at which a command is
// to make a file or folder.
func refuseExisting(kind, path string) error {
	if exists(path) {
		return invalid(fmt.Errorf("%s: already exists; name a %s that does not exist yet", path, kind))
	}
	return nil
}

// publish has create make a file or folder under a temporary name beside its own, and
// then renames it, durably. It replaces nothing, and leaves nothing if create fails.
func (env *environment) publish(name, command string, create func(part string) error) (err error) {
	area, err := env.stage(filepath.Dir(name), command)
	if err != nil {
		return invalid(fmt.Errorf("%s: %w; choose a folder that you can write to", name, err))
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := create(area.Path()); err != nil {
		return err
	}
	err = area.Publish(name)
	if errors.Is(err, fs.ErrExist) {
		return invalid(fmt.Errorf("%s: exists by now; name one that does not exist yet", name))
	}
	return err
}

// stage makes an area for what is to be published in a folder, and the folder if it
// does not exist.
func (env *environment) stage(parent, command string) (*staging.Area, error) {
	if err := disk.MkdirAll(disk.OS{}, parent, 0o755); err != nil {
		return nil, err
	}
	return staging.New(parent, env.holder(command))
}

func newRestoreCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a data directory from a backup",
		Long: `Restore copies a backup into the data directory, which must not have an event log
or files of runs yet, and verifies every event and every file as it is copied. The
log comes last, so that a restore that is cut off never leaves a data directory that
looks complete: move its runs folder away and run it again.

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
	backup := integration.Workspace{Dir: folder}
	if !exists(backup.EventsPath()) {
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
			_, _ = fmt.Fprintln(env.stderr, "reprise: the restore was interrupted; run it again")
			return errInterrupted
		}
		return err
	}
	return env.printBackup(format, report, "list its runs with",
		fmt.Sprintf("%s runs list --data-dir %s", env.program, shellQuoted(w.Dir)))
}

// restoreInto copies the runs' files to an area of their own, and gives them their
// names once all of them are there and verified. The log comes last.
func (env *environment) restoreInto(ctx context.Context, w, backup integration.Workspace, report *backupReport) (err error) {
	if n := w.CountRuns(); n > 0 {
		return invalid(fmt.Errorf("--data-dir %s: has the files of %s in runs, which a restore would mix with others; "+
			"choose an empty folder with --data-dir DIR, or move runs away", w.Dir, plural(n, "run")))
	}
	store, err := sqlite.OpenReadOnly(backup.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	// runs may be a link to another disk.
	area, err := env.stage(w.RunsDir(), "reprise restore "+backup.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := os.Mkdir(area.Path(), 0o755); err != nil {
		return err
	}
	part := integration.Workspace{Dir: area.Path()}
	progress := newCounter(env, "restoring", "checkpoints")
	report.RunFiles, err = integration.CopyRunFiles(ctx, store, part, backup, progress.update)
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

// publishRuns moves the folders of runs to where they belong. undo moves them
// back.
func publishRuns(part, w integration.Workspace) (undo func() error, err error) {
	var moved []string
	undo = func() error {
		var errs []error
		for _, name := range moved {
			errs = append(errs, disk.RenameNew(disk.OS{}, filepath.Join(w.RunsDir(), name), filepath.Join(part.RunsDir(), name)))
		}
		return errors.Join(errs...)
	}
	entries, err := os.ReadDir(part.RunsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return undo, nil // a backup without runs
	}
	for _, e := range entries {
		if err := disk.Publish(disk.OS{}, filepath.Join(part.RunsDir(), e.Name()), filepath.Join(w.RunsDir(), e.Name())); err != nil {
			return undo, err
		}
		moved = append(moved, e.Name())
	}
	return undo, err
}

// newDataDir locks a data directory that has no event log yet, creating it if
// necessary. The returned function releases the lock.
func (env *environment) newDataDir(command string) (integration.Workspace, func() error, error) {
	w, err := env.workspace()
	if err != nil {
		return w, nil, err
	}
	release, err := w.Lock(env.holder(command))
	if err != nil {
		return w, nil, lockError(w, err)
	}
	if _, err := os.Lstat(w.EventsPath()); !errors.Is(err, fs.ErrNotExist) {
		return w, nil, errors.Join(release(),
			invalid(fmt.Errorf("--data-dir %s: already has an event log; choose an empty folder with --data-dir DIR", w.Dir)))
	}
	if err := w.CheckLogExists(true); err != nil {
		return w, nil, errors.Join(err, release())
	}
	return w, release, nil
}

func (env *environment) printBackup(format string, r backupReport, next, command string) error {
	return env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Position)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each matches its event", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		t.line("\n%s:", next)
		t.command("  ", command)
		return nil
	})
}
