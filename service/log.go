package service

import (
	"context"
	"errors"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/journal"
)

// Log is an event log that is open for reading, compared with the files beside it.
type Log struct {
	eventstore.Store
	Workspace datadir.Workspace
	// Listing is the store for what is made from read models; nil if it cannot be read.
	Listing eventstore.Store
	// Compared is what datadir.CheckFiles returned.
	Compared error
	runs     *journal.RunList // nil if it was not needed yet
	jobs     *journal.JobList // likewise
}

// openLog opens the event log for reading, even while another process writes to it,
// and leaves it to the caller to say what the comparison with the files showed. A data
// directory that does not exist yet reads as an empty log.
func (s *Service) openLog(ctx context.Context) (*Log, error) {
	if s.config.Dir == "" {
		return nil, s.config.NoDir
	}
	w := s.workspace
	if !disk.Exists(w.EventsPath()) {
		if err := w.CheckLogExists(false); err != nil {
			return nil, err
		}
		store := s.config.EmptyLog()
		return &Log{Store: store, Workspace: w, Listing: store}, nil
	}
	store, err := s.config.OpenReadOnly(w.EventsPath())
	if err != nil {
		return nil, err
	}
	l := &Log{Store: store, Workspace: w}
	if l.Listing, l.Compared = journal.Listing(ctx, store); l.Compared == nil {
		l.runs, l.Compared = datadir.CheckFilesOf(ctx, l.Listing, w)
	}
	return l, nil
}

// read opens the event log for reading. It warns of one that is older than the files
// beside it.
func (s *Service) read(ctx context.Context) (*Log, error) {
	l, err := s.openLog(ctx)
	var older *datadir.OlderLogError
	if err == nil && errors.As(l.Compared, &older) {
		api.Notify(ctx, api.Notice{Warning: older.Error()})
	}
	return l, err
}

// readCurrent opens the event log for reading, for what one that is older than the files
// beside it would mislead: it refuses such a log, and one that cannot be compared with
// them.
func (s *Service) readCurrent(ctx context.Context) (*Log, error) {
	l, err := s.openLog(ctx)
	if err == nil && l.Compared != nil {
		return nil, errors.Join(l.Compared, l.Close())
	}
	return l, err
}

// listing returns the store for what is made from read models.
func (l *Log) listing() (eventstore.Store, error) {
	if l.Listing == nil {
		return nil, l.Compared
	}
	return l.Listing, nil
}

// Runs returns the list of all runs, which is read once.
func (l *Log) Runs(ctx context.Context) (*journal.RunList, error) {
	if l.runs != nil {
		return l.runs, nil
	}
	listing, err := l.listing()
	if err != nil {
		return nil, err
	}
	l.runs, err = journal.ReadRuns(ctx, listing)
	return l.runs, err
}

// Jobs returns the list of all jobs, which is read once.
func (l *Log) Jobs(ctx context.Context) (*journal.JobList, error) {
	if l.jobs != nil {
		return l.jobs, nil
	}
	listing, err := l.listing()
	if err != nil {
		return nil, err
	}
	l.jobs, err = journal.ReadJobs(ctx, listing)
	return l.jobs, err
}

// close is for deferring: the log was only read.
func (l *Log) close() { _ = l.Close() }

// WriterAlive reports whether some process holds the data directory's lock: a run that
// is recorded as under way really is only then.
func WriterAlive(w datadir.Workspace) bool {
	held, _, err := flock.Probe(w.LockPath())
	return err == nil && held
}
