package service

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/internal/disk"
	"reprise/journal"
)

// exportPart is the size of the parts of an export, in bytes.
const exportPart = 1 << 18

// Export implements api.Service.
func (s *Service) Export(ctx context.Context, _ api.ExportRequest) iter.Seq2[api.ExportPart, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.ExportPart) error) error {
		log, err := s.read(ctx)
		if err != nil {
			return err
		}
		defer log.close()
		out := bufio.NewWriterSize(partWriter(func(data []byte) error { return send(api.ExportPart{Data: data}) }), exportPart)
		head, err := eventstore.Export(ctx, log.Store, out)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return err
		}
		return send(api.ExportPart{End: &api.LogSummary{Events: head.Position, HeadHash: head.Hash}})
	})
}

// Import verifies an export and makes it the event log of the data directory, which has
// none yet and, where it does not exist, is made. parents says that the folders above it
// are made, too.
func (s *Service) Import(ctx context.Context, from io.ReadSeeker, parents bool) (_ api.LogSummary, err error) {
	defer explain(ctx, &err)
	release, err := s.newDir(parents)
	if err != nil {
		return api.LogSummary{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	head, err := s.importLog(ctx, from)
	return api.LogSummary{Events: head.Position, HeadHash: head.Hash}, err
}

// importLog makes the event log under a temporary name, and renames it once it is whole
// and known not to be older than the files in the data directory.
func (s *Service) importLog(ctx context.Context, from io.ReadSeeker) (head eventstore.Head, err error) {
	area, err := datadir.Stage(s.workspace.Dir, s.holder())
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, area.Close()) }()
	if err := disk.Or(nil).Mkdir(area.Path(), 0o755); err != nil {
		return head, err
	}
	part := datadir.Workspace{Dir: area.Path()}.EventsPath()
	store, err := s.config.OpenForWriting(part)
	if err != nil {
		return head, err
	}
	if _, err = eventstore.Import(ctx, store, from); err == nil {
		err = journal.CatchUpProjections(ctx, store)
	}
	if err == nil {
		err = datadir.CheckFiles(ctx, store, s.workspace)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return head, err
	}
	return s.config.Copies.Restore(ctx, part, s.workspace.EventsPath())
}
