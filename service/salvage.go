package service

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/journal"
)

// What a salvaged data directory holds beside its log and the files that the log
// refers to.
const (
	// RestFile holds the events that could not be part of the log.
	RestFile = "salvaged-rest.jsonl"
	// RestRuns holds the files of runs that no event of the log describes.
	RestRuns = "salvaged-rest-runs"
)

// Salvage makes a new data directory of everything that is whole in this one, whose
// event log is damaged. It changes nothing here. What is missing is in the report: an
// error means that there is no new folder.
func (s *Service) Salvage(ctx context.Context, folder string, progress func(done, of uint64)) (_ api.SalvageReport, err error) {
	defer explain(ctx, &err)
	if err := s.needDir(); err != nil {
		return api.SalvageReport{}, err
	}
	w := s.workspace
	report := api.SalvageReport{From: w.Dir, To: folder, Missing: []api.MissingEvents{}, LostFiles: []api.LostFiles{}, UnknownFiles: []string{}}
	if !disk.Exists(w.EventsPath()) && !disk.Exists(w.EventsPath()+"-wal") {
		return report, &fault.FieldError{Field: fieldDir, Problem: "there is no events.db", Fix: "name the damaged data directory"}
	}
	if err := s.checkNewFolder(folder); err != nil {
		return report, err
	}
	if held, holder, err := flock.Probe(w.LockPath()); err == nil && held {
		return report, s.lockError(&datadir.LockError{Dir: w.Dir, Err: &flock.LockedError{Path: w.LockPath(), Holder: holder}})
	}
	wreck, err := s.config.Copies.OpenWreck(ctx, w.EventsPath())
	if err != nil {
		return report, err
	}
	defer func() { _ = wreck.Close() }() // it was only read
	err = datadir.Publish("folder", folder, s.holder(), func(part string) error {
		return s.salvage(ctx, wreck, datadir.Workspace{Dir: part}, &report, progress)
	})
	return report, err
}

// checkNewFolder fails where a folder cannot be made at a path, or lies in the data
// directory.
func (s *Service) checkNewFolder(path string) error {
	if !filepath.IsAbs(path) {
		return &fault.FieldError{Field: "folder", Value: path, Problem: "is not an absolute path", Fix: "begin it at the root, such as /mnt/disk/backup"}
	}
	if err := datadir.CheckNew("folder", "folder", path); err != nil {
		return err
	}
	return s.workspace.CheckOutside("folder", path)
}

// salvage makes the new data directory at to, which does not exist yet.
func (s *Service) salvage(ctx context.Context, wreck Wreck, to datadir.Workspace, report *api.SalvageReport, progress func(done, of uint64)) error {
	if err := disk.Or(nil).Mkdir(to.Dir, 0o755); err != nil {
		return err
	}
	if err := s.salvageLog(ctx, wreck, to, report, progress); err != nil {
		return err
	}
	found := wreck.Salvaged()
	report.Complete = found.Complete() && len(report.Missing) == 0 && len(report.LostFiles) == 0
	report.Closed = found.Closed
	report.Rest, report.Unacknowledged, report.Other = found.Rest, found.Unacknowledged, found.Other
	if report.Events == 0 && report.Rest == 0 && !report.Complete && len(report.UnknownFiles) == 0 {
		return fault.New(fault.Corrupt, "%s: there is nothing to save: neither events.db nor events.db-wal holds an event that is whole", report.From)
	}
	if found.Rest == 0 {
		return nil
	}
	report.RestFile = filepath.Join(report.To, RestFile)
	return disk.WriteNew(disk.OS{}, filepath.Join(to.Dir, RestFile), func(out io.Writer) error {
		_, err := eventstore.ExportFragment(out, wreck.Rest())
		return err
	})
}

// salvageLog makes the event log and copies what it refers to.
func (s *Service) salvageLog(
	ctx context.Context, wreck Wreck, to datadir.Workspace, report *api.SalvageReport, progress func(done, of uint64),
) (err error) {
	store, err := s.config.OpenForWriting(to.EventsPath())
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
		report.Missing = append(report.Missing, api.MissingEvents{First: gap.First, Last: gap.Last, What: gap.What})
	}
	if found.Doubt != "" {
		report.Missing = append(report.Missing, api.MissingEvents{First: found.Last() + 1,
			What: found.Doubt + ", so there may have been more events", Uncertain: true})
	}
	return s.salvageFiles(ctx, store, to, report, progress)
}

// salvageFiles copies the files of runs that the new log refers to, and those that
// show that the damaged one had more events.
func (s *Service) salvageFiles(
	ctx context.Context, log eventstore.Store, to datadir.Workspace, report *api.SalvageReport, progress func(done, of uint64),
) error {
	from := s.workspace
	lose := func(lost []datadir.LostFiles) {
		for _, l := range lost {
			report.LostFiles = append(report.LostFiles, api.LostFiles(l))
		}
	}
	files, lost, err := datadir.SalvageRunFiles(ctx, log, to, from, progress)
	report.RunFiles = api.RunFiles(files)
	lose(lost)
	if err != nil {
		return err
	}
	var older *datadir.OlderLogError
	compared := datadir.CheckFiles(ctx, log, from)
	switch {
	case errors.As(compared, &older):
		for _, problem := range older.Problems {
			report.Missing = append(report.Missing, api.MissingEvents{First: report.Events + 1, What: problem})
		}
	case ctx.Err() != nil:
		return ctx.Err()
	case datadir.Passing(compared):
		return compared
	case compared != nil: // of folders that cannot be read
		lose([]datadir.LostFiles{{What: "cannot be compared with the log: " + compared.Error()}})
		return nil //nolint:nilerr // it is in the report
	}
	unknown, lost, err := datadir.SalvageUnknownFiles(ctx, log, filepath.Join(to.Dir, RestRuns), from)
	report.UnknownFiles = append(report.UnknownFiles, unknown...)
	lose(lost)
	if len(report.UnknownFiles) > 0 {
		report.UnknownFolder = filepath.Join(report.To, RestRuns)
	}
	return err
}
