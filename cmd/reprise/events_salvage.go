package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/journal"
)

// What a salvaged data directory holds beside its log and the files that the log
// refers to.
const (
	// restFile holds the events that could not be part of the log.
	restFile = "salvaged-rest.jsonl"
	// restRuns holds the files of runs that no event of the log describes.
	restRuns = "salvaged-rest-runs"
)

// salvageReport is what `events salvage` prints.
type salvageReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Complete is true where nothing shows that anything is missing.
	Complete bool `json:"complete"`
	// Closed is false where the damaged directory has a write-ahead log, since the
	// process that wrote it was killed.
	Closed   bool                `json:"closed"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	// Missing are the positions without a whole event.
	Missing []missingEvents `json:"missing"`
	// Rest counts the whole events that are not in the log, but in RestFile.
	Rest int `json:"rest"`
	// Unacknowledged counts those of the rest that nothing shows to have been
	// committed; Other counts those that do not belong to the chain of the log.
	Unacknowledged int    `json:"unacknowledged"`
	Other          int    `json:"other"`
	RestFile       string `json:"rest_file,omitempty"`
	datadir.RunFiles
	LostFiles []datadir.LostFiles `json:"lost_files"`
	// UnknownFiles are the files and folders of runs, below UnknownFolder, that the
	// log does not know and once did.
	UnknownFiles  []string `json:"unknown_files"`
	UnknownFolder string   `json:"unknown_folder,omitempty"`
}

// missingEvents are the events from one position to another. Last is 0 where it is
// not known how many they are.
type missingEvents struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last,omitempty"`
	What  string              `json:"what,omitempty"`
	// Uncertain is true where it is not known whether there were any.
	Uncertain bool `json:"uncertain,omitempty"`
}

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
beside it, in ` + restFile + `. Checkpoints and step series that the new
log refers to are verified and copied. Files of runs that show that the log once had
more events are copied to ` + restRuns + `. What is missing is named.

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
	var corrupt *eventstore.CorruptionError
	var e *api.Error
	path := ""
	switch {
	case errors.As(err, &corrupt):
		path = corrupt.Path
	case errors.As(err, &e) && e.Code == api.LogCorrupt:
		path = e.Path
	}
	if path == "" {
		return ""
	}
	return fmt.Sprintf("%s events salvage NEW_FOLDER --data-dir %s", program, shellQuoted(filepath.Dir(path)))
}

func (env *environment) salvage(ctx context.Context, folder, format string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	if !disk.Exists(w.EventsPath()) && !disk.Exists(w.EventsPath()+"-wal") {
		return invalid(fmt.Errorf("--data-dir %s: there is no events.db; name the damaged data directory", w.Dir))
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
	if held, holder, err := flock.Probe(w.LockPath()); err == nil && held {
		return inUse(w, &flock.LockedError{Path: w.LockPath(), Holder: holder})
	}
	wreck, err := sqlite.OpenWreck(ctx, w.EventsPath())
	if err == nil {
		defer func() { _ = wreck.Close() }() // it was only read
		report := salvageReport{From: w.Dir, To: folder, Missing: []missingEvents{}, LostFiles: []datadir.LostFiles{}, UnknownFiles: []string{}}
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
		if err := disk.Or(nil).Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := env.salvageLog(ctx, wreck, datadir.Workspace{Dir: dir}, report); err != nil {
			return err
		}
		found := wreck.Salvaged()
		report.Complete = found.Complete() && len(report.Missing) == 0 && len(report.LostFiles) == 0
		report.Closed = found.Closed
		report.Rest, report.Unacknowledged, report.Other = found.Rest, found.Unacknowledged, found.Other
		if report.Events == 0 && report.Rest == 0 && !report.Complete && len(report.UnknownFiles) == 0 {
			return fmt.Errorf("%s: there is nothing to save: neither events.db nor events.db-wal holds an event that is whole", report.From)
		}
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
func (env *environment) salvageLog(ctx context.Context, wreck *sqlite.Wreck, to datadir.Workspace, report *salvageReport) (err error) {
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
	if err := journal.CatchUpProjections(ctx, store); err != nil {
		return err
	}
	report.Events, report.HeadHash = head.Position, head.Hash
	found := wreck.Salvaged()
	for _, gap := range found.Gaps {
		report.Missing = append(report.Missing, missingEvents{First: gap.First, Last: gap.Last, What: gap.What})
	}
	if found.Doubt != "" {
		report.Missing = append(report.Missing, missingEvents{First: found.Last() + 1,
			What: found.Doubt + ", so there may have been more events", Uncertain: true})
	}
	return env.salvageFiles(ctx, store, to, report)
}

// salvageFiles copies the files of runs that the new log refers to, and those that
// show that the damaged one had more events.
func (env *environment) salvageFiles(ctx context.Context, store eventstore.Store, to datadir.Workspace, report *salvageReport) error {
	from := datadir.Workspace{Dir: report.From}
	progress := newCounter(env, "salvaging", "checkpoints")
	defer progress.close()
	files, lost, err := datadir.SalvageRunFiles(ctx, store, to, from, progress.update)
	report.RunFiles, report.LostFiles = files, append(report.LostFiles, lost...)
	if err != nil {
		return err
	}
	var older *datadir.OlderLogError
	switch err := datadir.CheckFiles(ctx, store, from); {
	case errors.As(err, &older):
		for _, problem := range older.Problems {
			report.Missing = append(report.Missing, missingEvents{First: report.Events + 1, What: problem})
		}
	case ctx.Err() != nil:
		return ctx.Err()
	case datadir.Passing(err):
		return err
	case err != nil: // of folders that cannot be read
		report.LostFiles = append(report.LostFiles, datadir.LostFiles{What: "cannot be compared with the log: " + err.Error()})
		return nil
	}
	unknown, lost, err := datadir.SalvageUnknownFiles(ctx, store, filepath.Join(to.Dir, restRuns), from)
	report.UnknownFiles, report.LostFiles = append(report.UnknownFiles, unknown...), append(report.LostFiles, lost...)
	if len(report.UnknownFiles) > 0 {
		report.UnknownFolder = filepath.Join(report.To, restRuns)
	}
	return err
}

func (env *environment) printSalvage(format string, r salvageReport) error {
	if err := env.listing(format, r, func(t *table) error {
		t.row("from", r.From)
		t.row("to", r.To)
		t.row("events", fmt.Sprintf("%s, head hash %s", thousands(uint64(r.Events)), r.HeadHash))
		t.row("files", fmt.Sprintf("%s, %s, each matches its event", plural(r.Runs, "run"), plural(r.Checkpoints, "checkpoint")))
		if r.Complete {
			t.line("\n%s", r.claim())
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
func (r salvageReport) claim() string {
	if r.Closed {
		return fmt.Sprintf("nothing is missing up to event %s, the recorded end; there is no write-ahead log, as after\nthe log was closed", thousands(uint64(r.Events)))
	}
	return fmt.Sprintf("nothing is missing up to event %s, the last whole commit; the log was not closed", thousands(uint64(r.Events)))
}

// mostShown is how many missing things of a kind are printed.
const mostShown = 20

// printMissing says what could not be saved, and what is saved beside the log.
func printMissing(t *table, r salvageReport) {
	switch certain := slices.ContainsFunc(r.Missing, func(m missingEvents) bool { return !m.Uncertain }); {
	case certain:
		t.line("\nINCOMPLETE: the salvaged log stops before the first missing event")
	case len(r.Missing) > 0:
		t.line("\nPERHAPS INCOMPLETE: every event up to %s is saved, but the log may have been longer", thousands(uint64(r.Missing[0].First-1)))
	}
	for _, m := range shown(t, r.Missing) {
		if m.What == "" {
			m.What = "nothing is left"
		}
		t.line("  %s: %s", m.where(), m.What)
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
func (m missingEvents) where() string {
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
