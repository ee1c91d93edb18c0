package service

import (
	"context"
	"errors"
	"iter"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
)

// Backup implements api.Service.
func (s *Service) Backup(ctx context.Context, q api.BackupRequest) iter.Seq2[api.Update[api.BackupReport], error] {
	return updates(ctx, s.config.Now, func(ctx context.Context, progress func(done, of uint64)) (api.BackupReport, error) {
		report := api.BackupReport{From: s.workspace.Dir, To: q.Folder}
		if err := s.checkBackup(ctx, q.Folder); err != nil {
			return report, err
		}
		err := datadir.Publish("folder", q.Folder, s.holder(), func(part string) error {
			return s.backup(ctx, datadir.Workspace{Dir: part}, &report, progress)
		})
		return report, err
	})
}

// checkBackup fails where there is nothing to copy, or no place for the copy.
func (s *Service) checkBackup(ctx context.Context, folder string) error {
	if err := s.needDir(); err != nil {
		return err
	}
	w := s.workspace
	if err := w.CheckLogExists(false); err != nil {
		return err
	}
	if !disk.Exists(w.EventsPath()) {
		return &fault.FieldError{Field: fieldDir, Problem: "has no event log", Fix: "there is nothing to back up"}
	}
	if err := s.checkNewFolder(folder); err != nil {
		return err
	}
	log, err := s.readCurrent(ctx)
	if err != nil {
		return err
	}
	return log.Close()
}

// backup makes a backup at to, which does not exist yet.
func (s *Service) backup(ctx context.Context, to datadir.Workspace, report *api.BackupReport, progress func(done, of uint64)) error {
	if err := disk.Or(nil).Mkdir(to.Dir, 0o755); err != nil {
		return err
	}
	live, err := s.config.OpenReadOnly(s.workspace.EventsPath())
	if err != nil {
		return err
	}
	copyLog := func() (eventstore.Store, error) {
		head, err := s.config.Copies.Backup(ctx, s.workspace.EventsPath(), to.EventsPath())
		if err != nil {
			return nil, err
		}
		report.Position, report.HeadHash = head.Position, head.Hash
		return s.config.OpenReadOnly(to.EventsPath())
	}
	files, err := datadir.Backup(ctx, live, to, s.workspace, copyLog, progress)
	report.RunFiles = api.RunFiles(files)
	return errors.Join(err, live.Close())
}

// Restore copies a backup into the data directory, which has neither an event log nor
// files of other runs yet and, where it does not exist, is made. parents says that the
// folders above it are made, too. The log comes last: what was cut off is completed by
// the same call.
func (s *Service) Restore(ctx context.Context, folder string, parents bool, progress func(done, of uint64)) (_ api.BackupReport, err error) {
	defer explain(ctx, &err)
	report := api.BackupReport{From: folder, To: s.workspace.Dir}
	from := datadir.Workspace{Dir: folder}
	if !disk.Exists(from.EventsPath()) {
		return report, &fault.FieldError{Field: "folder", Value: folder, Problem: "is not a backup: it has no events.db",
			Fix: "name the folder that a backup made", Code: string(api.NotBackup)}
	}
	release, err := s.newDir(parents)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return report, s.restore(ctx, from, &report, progress)
}

// restore copies the runs' files to an area of their own, and gives them their names
// once all of them are there and verified. The log comes last.
func (s *Service) restore(ctx context.Context, from datadir.Workspace, report *api.BackupReport, progress func(done, of uint64)) (err error) {
	w := s.workspace
	log, err := s.config.OpenReadOnly(from.EventsPath())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read
	if err := w.CheckNoOtherRuns(ctx, log); err != nil {
		return err
	}
	// runs may be a link to another disk.
	area, err := datadir.Stage(w.RunsDir(), s.holder())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := disk.Or(nil).Mkdir(area.Path(), 0o755); err != nil {
		return err
	}
	part := datadir.Workspace{Dir: area.Path()}
	files, err := datadir.CopyRunFiles(ctx, log, part, from, progress)
	report.RunFiles = api.RunFiles(files)
	if err != nil {
		return err
	}
	undo, err := w.PublishRuns(part)
	if err != nil {
		return errors.Join(err, undo())
	}
	head, err := s.config.Copies.Restore(ctx, from.EventsPath(), w.EventsPath())
	if err != nil {
		return errors.Join(err, undo())
	}
	report.Position, report.HeadHash = head.Position, head.Hash
	return nil
}
