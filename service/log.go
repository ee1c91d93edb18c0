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
	"reprise/queue"
)

// Log is an event log that is open for reading, compared with the files beside it.
type Log struct {
	eventstore.Store
	Workspace datadir.Workspace
	// Listing is the store for what is made from read models; nil if it cannot be read.
	Listing eventstore.Store
	// Compared is what datadir.CheckFiles returned.
	Compared error
	list     *journal.RunList // nil if it was not needed yet
}

// OpenLog opens the event log for reading, even while another process writes to it,
// and leaves it to the caller to say what the comparison with the files showed. A data
// directory that does not exist yet reads as an empty log.
func (s *Service) OpenLog(ctx context.Context) (*Log, error) {
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
		l.list, l.Compared = datadir.CheckFilesOf(ctx, l.Listing, w)
	}
	return l, nil
}

// read opens the event log for reading. It warns of one that is older than the files
// beside it.
func (s *Service) read(ctx context.Context) (*Log, error) {
	l, err := s.OpenLog(ctx)
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
	l, err := s.OpenLog(ctx)
	if err == nil && l.Compared != nil {
		return nil, errors.Join(l.Compared, l.Close())
	}
	return l, err
}

// Runs returns the list of all runs, which is read once.
func (l *Log) Runs(ctx context.Context) (*journal.RunList, error) {
	if l.list != nil {
		return l.list, nil
	}
	if l.Listing == nil {
		return nil, l.Compared
	}
	var err error
	l.list, err = journal.ReadRuns(ctx, l.Listing)
	return l.list, err
}

// close is for deferring: the log was only read.
func (l *Log) close() { _ = l.Close() }

// runLog is a run in an open log.
type runLog struct {
	*Log
	list *journal.RunList
	log  *journal.RunLog
	run  journal.RunRecord
	job  journal.JobRecord // Version is 0 for one that has none
}

// canResume reports whether the run has not ended for good.
func (r runLog) canResume() bool { return subject{run: r.run, job: r.job}.canResume() }

// readRun opens the event log for reading and finds the run that a request names. The
// log is the caller's to close.
func (s *Service) readRun(ctx context.Context, name string) (runLog, error) {
	l, err := s.read(ctx)
	if err != nil {
		return runLog{}, err
	}
	return s.runIn(ctx, l, name)
}

// readCurrentRun is readRun with readCurrent.
func (s *Service) readCurrentRun(ctx context.Context, name string) (runLog, error) {
	l, err := s.readCurrent(ctx)
	if err != nil {
		return runLog{}, err
	}
	return s.runIn(ctx, l, name)
}

// runIn finds a run in an open log, which it closes if it fails.
func (s *Service) runIn(ctx context.Context, l *Log, name string) (r runLog, err error) {
	r.Log = l
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.list, err = r.Runs(ctx); err != nil {
		return r, err
	}
	r.log = journal.NewRunLog(r.Listing, s.config.Now)
	id, err := l.resolve(ctx, name)
	if err != nil {
		return r, err
	}
	r.job, err = journal.NewJobLog(l.Listing, s.config.Now).Load(ctx, queue.JobID(id))
	if err != nil && !errors.Is(err, journal.ErrJobNotFound) {
		return r, err
	}
	r.run, err = r.log.Load(ctx, id)
	if r.job.Version > 0 && errors.Is(err, journal.ErrRunNotFound) {
		return r, subject{Log: l, id: id, job: r.job}.notBegun()
	}
	return r, err
}

// WriterAlive reports whether some process holds the data directory's lock: a run that
// is recorded as under way really is only then.
func WriterAlive(w datadir.Workspace) bool {
	held, _, err := flock.Probe(w.LockPath())
	return err == nil && held
}
