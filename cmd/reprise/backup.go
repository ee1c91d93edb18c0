package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
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
	datadir.RunFiles
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
	if !disk.Exists(w.EventsPath()) {
		return invalid(fmt.Errorf("--data-dir %s: has no event log; there is nothing to back up", w.Dir))
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	if err := checkNew("folder", folder); err != nil {
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
	if err := datadir.CheckFiles(ctx, store, w); err != nil {
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
		if err := disk.Or(nil).Mkdir(dir, 0o755); err != nil {
			return err
		}
		part := datadir.Workspace{Dir: dir}
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
		report.RunFiles, err = datadir.CopyRunFiles(ctx, copied, part, datadir.Workspace{Dir: report.From}, progress.update)
		progress.close()
		return errors.Join(err, copied.Close())
	})
}

// checkNew fails where a command cannot make a file or folder at a path because there
// is something, or because the folder that it would lie in does not exist.
func checkNew(kind, path string) error {
	if disk.Exists(path) {
		return invalid(fmt.Errorf("%s: already exists; name a %s that does not exist yet", path, kind))
	}
	return checkParent(path, path)
}

// checkParent fails where the folder in which a path lies does not exist: the path is
// misspelled, or a disk is not mounted. named is what the command line calls the path.
func checkParent(named, path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return invalid(fmt.Errorf("%s: there is no folder %s; correct the path, mount its disk, or make the folder first", named, parent))
	}
	return nil
}

// publish has create make a file or folder under a temporary name beside its own, and
// then renames it, durably. It replaces nothing, and leaves nothing if create fails.
func (env *environment) publish(name, command string, create func(part string) error) (err error) {
	area, err := env.stage(filepath.Dir(name), command)
	if err != nil {
		return unusable(fmt.Errorf("%s: %w", name, err), "choose a folder that you can write to")
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

// newDataDir locks a data directory that has no event log yet, creating it if
// necessary. The returned function releases the lock.
func (env *environment) newDataDir(command string) (datadir.Workspace, func() error, error) {
	w, err := env.workspace()
	if err != nil {
		return w, nil, err
	}
	if named := env.dataDir != "" || env.getenv("REPRISE_DATA_DIR") != ""; named && !disk.Exists(w.Dir) {
		if err := checkParent("--data-dir "+w.Dir, w.Dir); err != nil {
			return w, nil, err
		}
	}
	release, err := w.Lock(env.holder(command))
	if err != nil {
		return w, nil, lockError(w, err)
	}
	if _, err := os.Lstat(w.EventsPath()); !errors.Is(err, fs.ErrNotExist) {
		return w, nil, errors.Join(release(),
			invalid(fmt.Errorf("--data-dir %s: already has an event log; choose an empty folder with --data-dir FOLDER", w.Dir)))
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
