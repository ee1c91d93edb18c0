package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/service"
)

func newEventsSalvageCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "salvage NEW_FOLDER",
		Short: "Save every whole event of a damaged log to a new data directory",
		Long: `Salvage makes a new data directory from one whose event log is damaged, for example
by an ordinary sqlite3 shell or a failing disk, or because it was cut short. It
finds the events by their SHA-256, wherever events.db and events.db-wal still hold
them, and never changes the damaged directory. NEW_FOLDER must not exist yet, nor lie
in the data directory.

The new log is the longest one whose hash chain is whole from its first event on; it
passes "reprise events verify". Whole events that cannot be part of that chain are kept
beside it, in ` + service.RestFile + `. Checkpoints and step series that the new
log refers to are verified and copied. Files of runs that show that the log once had
more events are copied to ` + service.RestRuns + `. What is missing is named.

Exit code 0: nothing is missing up to the event that is named as the last. If the log
was closed, that is its recorded end; if its process was killed, it is the last whole
commit, and nothing shows that the write-ahead log was ever longer. Neither can tell an
older copy of the whole directory, a removed events.db-wal, or an end overwritten with
zeros: compare the log with a head kept elsewhere (reprise events verify --head). 1:
something is missing, or may be: also if events.db-wal is empty or ends with a frame, as
a cut file does, or its last commit is damaged or was never finished. The new folder
holds what is left. 1, and no new folder: the copy itself failed, for example on a full
disk or with too many open files.`,
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
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.LogCorrupt {
		return ""
	}
	return wayBackFrom(program, e.Path)
}

// wayBackFrom returns the command line that helps where the event log at a path is
// corrupt.
func wayBackFrom(program, path string) string {
	return fmt.Sprintf("%s events salvage NEW_FOLDER --data-dir %s", program, shellQuoted(filepath.Dir(path)))
}

func (env *environment) salvage(ctx context.Context, folder, format string) (err error) {
	if folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	var report api.SalvageReport
	err = env.inProcess(func(s *service.Service) error {
		progress := newCounter(env, "salvaging", "checkpoints")
		defer progress.close()
		report, err = s.Salvage(ctx, folder, progress.update)
		return err
	})
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return asGiven(err, fileArgument("folder", "", folder))
	}
	return env.printSalvage(format, report)
}

func (env *environment) printSalvage(format string, r api.SalvageReport) error {
	if err := env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Events)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each matches its event", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		if r.Complete {
			t.line("\n%s", claim(r))
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

// claim says that nothing is missing, as far as that is known.
func claim(r api.SalvageReport) string {
	if r.Closed {
		return fmt.Sprintf("nothing is missing up to event %s, the recorded end; there is no write-ahead log, as after\nthe log was closed", thousands(uint64(r.Events)))
	}
	return fmt.Sprintf("nothing is missing up to event %s, the last whole commit; the log was not closed", thousands(uint64(r.Events)))
}

// mostShown is how many missing things of a kind are printed.
const mostShown = 20

// printMissing says what could not be saved, and what is saved beside the log.
func printMissing(t *table, r api.SalvageReport) {
	switch certain := slices.ContainsFunc(r.Missing, func(m api.MissingEvents) bool { return !m.Uncertain }); {
	case certain:
		t.line("\nINCOMPLETE: the salvaged log stops before the first missing event")
	case len(r.Missing) > 0:
		t.line("\nPERHAPS INCOMPLETE: every event up to %s is saved, but the log may have been longer", thousands(uint64(r.Missing[0].First-1)))
	}
	for _, m := range shown(t, r.Missing) {
		if m.What == "" {
			m.What = "nothing is left"
		}
		t.line("  %s: %s", where(m), m.What)
	}
	if len(r.LostFiles) > 0 {
		t.line("\nINCOMPLETE: files of runs that could not be copied")
	}
	for _, f := range shown(t, r.LostFiles) {
		if f.Run == "" {
			t.line("  %s", f.What)
			continue
		}
		t.line("  run %s, %s", f.Run, f.What)
	}
	if len(r.UnknownFiles) > 0 {
		t.line("\nfiles of runs that no event of the salvaged log describes are in\n%s, as they were found:", r.UnknownFolder)
	}
	for _, name := range shown(t, r.UnknownFiles) {
		t.line("  %s", name)
	}
	if r.Rest > 0 {
		t.line("\n%s that cannot be part of the log: %s", plural(r.Rest, "whole event"), r.RestFile)
	}
	if r.Unacknowledged > 0 {
		t.line("  of these, %s at the end that may not have been acknowledged", plural(r.Unacknowledged, "event"))
	}
	if r.Other > 0 {
		t.line("  of these, %s whose position another event has: left by an append that was undone, or by another log", plural(r.Other, "event"))
	}
}

// where says which positions are missing.
func where(m api.MissingEvents) string {
	switch {
	case m.Last == 0:
		return fmt.Sprintf("from position %d on", m.First)
	case m.First == m.Last:
		return fmt.Sprintf("position %d", m.First)
	}
	return fmt.Sprintf("positions %d to %d", m.First, m.Last)
}

// shown returns the things that are printed, having said in advance how many are not.
func shown[T any](t *table, all []T) []T {
	if len(all) <= mostShown {
		return all
	}
	t.line("  %d in all, of which these are the first %d; -o json lists all", len(all), mostShown)
	return all[:mostShown]
}
