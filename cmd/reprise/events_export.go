package main

import (
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

// logCopy is what `events export` and `events import` print.
type logCopy struct {
	File     string              `json:"file"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
}

func (env *environment) printLogCopy(format, verb, file string, head eventstore.Head) error {
	return env.listing(format, logCopy{file, head.Position, head.Hash}, func(t *table) error {
		t.line("%s %s events; head hash %s", verb, thousands(uint64(head.Position)), head.Hash)
		return nil
	})
}

func newEventsExportCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the whole event log as lines of JSON, hashes included",
		Long: `Export writes every event of the log, as it is at one moment, to FILE or, without
one, to standard output: a header, a line of JSON for each event, and the head,
without which an export counts as cut off. docs/event-format.md describes the
format. "reprise events import" reads it into another data directory. Checkpoints
are not part of it; "reprise backup" copies them.`,
		Example: "  reprise events export log.jsonl\n  reprise events export | gzip > log.jsonl.gz",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				if c.Flags().Changed("output") {
					return usageError(c, "--output needs FILE: without one, the events go to standard output as lines of JSON")
				}
				_, err := env.export(c.Context(), env.stdout)
				return err
			}
			return env.exportTo(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) export(ctx context.Context, to io.Writer) (eventstore.Head, error) {
	store, err := env.openReader(ctx)
	if err != nil {
		return eventstore.Head{}, err
	}
	defer func() { _ = store.Close() }() // it was only read
	head, err := eventstore.Export(ctx, store, to)
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return head, err
}

// exportTo writes the log to a new file, whole or not at all.
func (env *environment) exportTo(ctx context.Context, file, format string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	w, err := env.workspace()
	if err != nil {
		return err
	}
	if err := checkNew("file", file); err != nil {
		return err
	}
	if err := outside(w, path); err != nil {
		return err
	}
	head, err := env.makeExport(ctx, path)
	if err != nil {
		return err
	}
	return env.printLogCopy(format, "exported", file, head)
}

func (env *environment) makeExport(ctx context.Context, path string) (head eventstore.Head, err error) {
	err = env.createFile(path, "reprise events export "+path, func(w io.Writer) error {
		head, err = env.export(ctx, w)
		return err
	})
	return head, err
}

// createFile makes a file that does not exist yet, durably, whole or not at all.
func (env *environment) createFile(path, command string, write func(io.Writer) error) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return unusable(fmt.Errorf("%s: %w", path, err), "name a file in a folder that exists")
	}
	return env.publish(path, command, func(part string) error { return disk.WriteNew(disk.OS{}, part, write) })
}

func newEventsImportCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make an event log from an export (- for standard input)",
		Long: `Import verifies an export, including its whole hash chain, and makes it the event log
of a data directory that has none yet. An export that was changed or cut off is
refused, and the first bad event is named. The events keep their hashes. Checkpoints are
not part of an export: until they are copied into runs/, "reprise runs verify" reports
them as missing.`,
		Example: "  reprise events import log.jsonl --data-dir ~/reprise-again",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.importLog(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) importLog(ctx context.Context, file, format string) (err error) {
	in, err := env.openExport(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	w, release, err := env.newDataDir("reprise events import " + file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	head, err := env.importInto(ctx, w, in)
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	return env.printLogCopy(format, "imported", file, head)
}

// importInto makes the event log under a temporary name, and renames it once it is
// whole and known not to be older than the files in the data directory.
func (env *environment) importInto(ctx context.Context, w datadir.Workspace, in io.ReadSeeker) (head eventstore.Head, err error) {
	area, err := env.stage(w.Dir, "reprise events import")
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := disk.Or(nil).Mkdir(area.Path(), 0o755); err != nil {
		return head, err
	}
	part := datadir.Workspace{Dir: area.Path()}.EventsPath()
	store, err := sqlite.Open(part, sqlite.Config{})
	if err != nil {
		return head, err
	}
	if head, err = eventstore.Import(ctx, store, in); err == nil {
		err = journal.CatchUpProjections(ctx, store)
	}
	if err == nil {
		err = datadir.CheckFiles(ctx, store, w)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return head, err
	}
	return sqlite.Restore(ctx, part, w.EventsPath())
}

// openExport opens the file of an export. Standard input is kept in a temporary
// file, since an export is read twice.
func (env *environment) openExport(ctx context.Context, file string) (io.ReadSeekCloser, error) {
	if file != "-" {
		f, err := disk.Open(disk.OS{}, file)
		if errors.Is(err, disk.ErrNotRegular) {
			return nil, unusable(err, "an export is read twice: give the path of a file, or - and pipe it in")
		}
		if err != nil {
			return nil, unusable(err, "give the path of a file that `reprise events export` wrote")
		}
		return f, nil
	}
	f, err := os.CreateTemp("", "reprise-import-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // it lives on until it is closed; where it cannot be removed yet, it stays
	if _, err := unlessEnded(ctx, func() (int64, error) { return io.Copy(f, env.stdin) }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
