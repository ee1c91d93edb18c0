package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/internal/flock"
)

// restFile is the file of a salvaged data directory that holds the events that could
// not be part of its log.
const restFile = "salvaged-rest.jsonl"

// salvageReport is what `events salvage` prints.
type salvageReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Complete is true where nothing is missing.
	Complete bool                `json:"complete"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	// Missing are the positions without a whole event.
	Missing []missingEvents `json:"missing"`
	// Rest counts the whole events that are not in the log, but in RestFile.
	Rest           int    `json:"rest"`
	Unacknowledged int    `json:"unacknowledged"`
	RestFile       string `json:"rest_file,omitempty"`
	integration.RunFiles
	LostFiles []integration.LostFiles `json:"lost_files"`
}

type missingEvents struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last"`
	What  string              `json:"what,omitempty"`
}

func newEventsSalvageCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "salvage NEW_FOLDER",
		Short: "Save every whole event of a damaged log to a new data directory",
		Long: `Salvage makes a new data directory from one whose event log is damaged, for example
by an ordinary sqlite3 shell, by a failing disk, or because it was cut short. It
finds the events by their SHA-256, wherever events.db and events.db-wal still hold
them, and never changes the damaged directory.

The new log is the longest one whose hash chain is whole from its first event on; it
passes "reprise events verify". Whole events after a missing one cannot be part of a
chain: they are kept beside it, in ` + restFile + `. Checkpoints and step
series that the new log refers to are verified and copied. What is missing is named.

Exit code 0: nothing is missing. 1: the new folder holds what is left.`,
		Example: "  reprise events salvage ~/reprise-saved",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.salvage(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

// savesIntact introduces the command line of wayBack.
const savesIntact = "every event that is intact can be saved to a new folder:"

// wayBack returns the command line that helps after an error that says that an event
// log is corrupt; "" after any other.
func wayBack(program string, err error) string {
	var corrupt *eventstore.CorruptionError
	if !errors.As(err, &corrupt) || corrupt.Path == "" {
		return ""
	}
	return fmt.Sprintf("%s events salvage NEW_FOLDER --data-dir %s", program, shellQuoted(filepath.Dir(corrupt.Path)))
}

func (env *environment) salvage(ctx context.Context, folder, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	if !exists(w.EventsPath()) && !exists(w.EventsPath()+"-wal") {
		return invalid(fmt.Errorf("--data-dir %s: there is no events.db; name the damaged data directory", w.Dir))
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	if err := refuseExisting("folder", folder); err != nil {
		return err
	}
	if held, holder, err := flock.Probe(w.LockPath()); err == nil && held {
		return invalid(fmt.Errorf("--data-dir %s is in use: %w; end it first, or wait for it to end",
			w.Dir, &flock.LockedError{Path: w.LockPath(), Holder: holder}))
	}
	wreck, err := sqlite.OpenWreck(ctx, w.EventsPath())
	if err == nil {
		defer func() { _ = wreck.Close() }() // it was only read
		report := salvageReport{From: w.Dir, To: folder, Missing: []missingEvents{}, LostFiles: []integration.LostFiles{}}
		if err = env.salvageTo(ctx, wreck, &report); err == nil {
			return env.printSalvage(format, report)
		}
	}
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// salvageTo makes the new data directory under a temporary name, and renames it at
// the end.
func (env *environment) salvageTo(ctx context.Context, wreck *sqlite.Wreck, report *salvageReport) error {
	return env.publish(report.To, "reprise events salvage "+report.To, func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := env.salvageLog(ctx, wreck, integration.Workspace{Dir: dir}, report); err != nil {
			return err
		}
		found := wreck.Salvaged()
		for _, gap := range found.Gaps {
			report.Missing = append(report.Missing, missingEvents(gap))
		}
		report.Complete = len(report.Missing) == 0 && len(report.LostFiles) == 0
		report.Rest, report.Unacknowledged = found.Rest, found.Unacknowledged
		if found.Rest == 0 {
			return nil
		}
		report.RestFile = filepath.Join(report.To, restFile)
		return disk.WriteNew(disk.OS{}, filepath.Join(dir, restFile), func(to io.Writer) error {
			_, err := eventstore.ExportFragment(to, wreck.Rest())
			return err
		})
	})
}

// salvageLog makes the event log and copies what it refers to.
func (env *environment) salvageLog(ctx context.Context, wreck *sqlite.Wreck, to integration.Workspace, report *salvageReport) (err error) {
	store, err := sqlite.Open(to.EventsPath(), sqlite.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	head, err := eventstore.Refill(ctx, store, wreck.Events())
	if err != nil {
		return err
	}
	if _, err := store.Verify(ctx); err != nil {
		return err
	}
	if err := integration.CatchUpProjections(ctx, store); err != nil {
		return err
	}
	report.Events, report.HeadHash = head.Position, head.Hash
	progress := newCounter(env, "salvaging", "checkpoints")
	defer progress.close()
	files, lost, err := integration.SalvageRunFiles(ctx, store, to, integration.Workspace{Dir: report.From}, progress.update)
	report.RunFiles, report.LostFiles = files, append(report.LostFiles, lost...)
	return err
}

func (env *environment) printSalvage(format string, r salvageReport) error {
	if err := env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Events)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each matches its event", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		if r.Complete {
			t.line("\nnothing is missing: every event up to the recorded end is whole")
		}
		printMissing(t, r)
		t.line("\nlist its runs with:")
		t.command("  ", fmt.Sprintf("%s runs list --data-dir %s", env.program, shellQuoted(r.To)))
		return nil
	}); err != nil {
		return err
	}
	if !r.Complete {
		return errReported
	}
	return nil
}

// printMissing says what could not be saved, and what is saved beside the log.
func printMissing(t *table, r salvageReport) {
	const most = 20
	if len(r.Missing) > 0 {
		t.line("\nINCOMPLETE: the salvaged log stops before the first missing event")
	}
	for i, m := range r.Missing {
		if i == most {
			t.line("  and %d more; -o json lists all", len(r.Missing)-most)
			break
		}
		where := fmt.Sprintf("position %d", m.First)
		if m.First != m.Last {
			where = fmt.Sprintf("positions %d to %d", m.First, m.Last)
		}
		if m.What == "" {
			m.What = "nothing is left"
		}
		t.line("  %s: %s", where, m.What)
	}
	if len(r.LostFiles) > 0 {
		t.line("\nMISSING: files that events refer to")
	}
	for _, f := range r.LostFiles {
		t.line("  run %s, %s", f.Run, f.What)
	}
	switch after := r.Rest - r.Unacknowledged; {
	case after > 0:
		t.line("\nin %s: %s after the first missing one", r.RestFile, plural(after, "whole event"))
	case r.Rest > 0:
		t.line("\nin %s: %s from an append that was never acknowledged", r.RestFile, plural(r.Rest, "event"))
	}
}
