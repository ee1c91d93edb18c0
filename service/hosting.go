package service

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/eventstore"
	"reprise/integration"
	"reprise/journal"
	"reprise/training"
)

// hosts is the hosting of this process: at most one at a time.
type hosts struct {
	turn chan struct{} // has a value while one is being opened or closed

	mu      sync.Mutex // guards what follows
	current *hosting   // nil for none
	ended   error      // what went wrong in letting go of the data directory
	feeds   map[training.RunID]*feed
	rested  []training.RunID // the feeds of runs at rest, the first to rest first
}

// hosting is what this process holds while runs train in it: the data directory, and
// the host of the runs.
type hosting struct {
	service *Service
	host    *integration.Host
	log     *journal.RunLog
	opened  *datadir.OpenWorkspace
	unserve func() error // nil if it is not served

	users    int  // submissions in progress and runs that are not at rest; guarded by hosts.mu
	closing  bool // likewise
	shutDown sync.Once
	// closed is closed when the host is, with what went wrong in err; ended when all is
	// let go.
	closed chan struct{}
	err    error
	ended  chan struct{}
}

// hold returns the hosting of this process, which it opens if there is none. release
// must follow.
func (s *Service) hold(ctx context.Context) (*hosting, error) {
	for {
		select {
		case s.hosts.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		h, ending, err := s.holdInTurn(ctx)
		<-s.hosts.turn
		if ending == nil {
			return h, err
		}
		select {
		case <-ending:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// holdInTurn is hold for whoever has the turn. It returns what to wait for where the
// data directory is just being let go.
func (s *Service) holdInTurn(ctx context.Context) (_ *hosting, ending <-chan struct{}, err error) {
	s.hosts.mu.Lock()
	h := s.hosts.current
	if h != nil && h.closing {
		s.hosts.mu.Unlock()
		return nil, h.ended, nil
	}
	if h != nil {
		h.users++
		s.hosts.mu.Unlock()
		return h, nil, nil
	}
	s.hosts.mu.Unlock()
	if h, err = s.openHosting(ctx); err != nil {
		return nil, nil, err
	}
	h.users = 1
	s.hosts.mu.Lock()
	s.hosts.current = h
	s.hosts.mu.Unlock()
	if h.unserve, err = s.config.Serve(ctx, s); err != nil { // training does not need it
		api.Notify(ctx, api.Notice{Event: err.Error()})
	}
	return h, nil, nil
}

// openHosting takes the data directory, settles what dead processes left in it, and
// starts a host.
func (s *Service) openHosting(ctx context.Context) (*hosting, error) {
	devices, err := s.devices()
	if err != nil {
		return nil, err
	}
	opened, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	h := &hosting{
		service: s, opened: opened, log: journal.NewRunLog(opened.Store, s.config.Now),
		closed: make(chan struct{}), ended: make(chan struct{}),
	}
	host, recovery, err := integration.NewHost(ctx, integration.HostConfig{
		Store: opened.Store, Workspace: s.workspace, Devices: devices, Observer: h, Now: s.config.Now, NewID: s.newID, LogActors: true,
		OpenDataset: func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
			return s.shelf.recorded(ctx, s, d)
		},
	})
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	h.host = host
	tellRecovered(ctx, recovery)
	return h, nil
}

// tellRecovered says which runs an earlier process left unfinished.
func tellRecovered(ctx context.Context, r integration.Recovery) {
	for _, id := range r.Interrupted {
		api.Notify(ctx, api.Notice{Event: fmt.Sprintf("run %s was interrupted when its process died; it can be resumed", id)})
	}
	for _, id := range r.Failed {
		api.Notify(ctx, api.Notice{Event: fmt.Sprintf("run %s had failed when its process died; what it held is now released", id)})
	}
}

// release ends a use of a hosting. The last one lets go of the data directory.
func (s *Service) release(h *hosting) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	if h.users--; h.users == 0 {
		h.closing = true
		go h.end()
	}
}

// end closes the host, which no run uses any more, and lets go of the data directory.
func (h *hosting) end() {
	s := h.service
	h.shut()
	var err error
	if h.unserve != nil {
		err = h.unserve()
	}
	err = errors.Join(err, h.opened.Close())
	s.shelf.clear()
	s.hosts.mu.Lock()
	s.hosts.current, s.hosts.ended = nil, errors.Join(s.hosts.ended, err)
	s.hosts.mu.Unlock()
	close(h.ended)
}

// shut closes the host, which interrupts the runs that are under way.
func (h *hosting) shut() {
	h.shutDown.Do(func() {
		h.err = h.host.Close()
		close(h.closed)
	})
}

// close interrupts what is under way and waits until the data directory was let go. It
// returns what went wrong in letting go of it, which no call was told.
func (h *hosts) close() error {
	h.mu.Lock()
	current := h.current
	h.mu.Unlock()
	if current != nil {
		current.shut()
		<-current.ended
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.ended
	h.ended = nil
	return err
}

// start starts a run of a job. It returns once the run is durable.
func (h *hosting) start(ctx context.Context, j job) (training.RunID, error) {
	record, err := recordOf(j.events)
	if err != nil {
		return "", err
	}
	return record.ID, h.launch(record, func() error {
		_, err := h.host.Start(ctx, j.events)
		return err
	})
}

// recordOf returns the record of a run that begins with the events.
func recordOf(events []training.Event) (r journal.RunRecord, err error) {
	for i, e := range events {
		if r, err = r.Apply(e, eventstore.Version(i+1), r.UpdatedAt); err != nil {
			return r, err
		}
	}
	return r, nil
}

// launch has the host start or resume a run, whose updates go to a feed from then on,
// until it is at rest.
func (h *hosting) launch(record journal.RunRecord, launch func() error) error {
	s, id := h.service, record.ID
	f := newFeed(h, reportOf(record, s.workspace))
	s.hosts.mu.Lock()
	if before := s.hosts.feeds[id]; before != nil && !before.atRest() {
		s.hosts.mu.Unlock()
		return launch() // which says that it is under way
	}
	before := s.hosts.feeds[id]
	s.hosts.feeds[id] = f
	h.users++
	s.hosts.mu.Unlock()
	if err := launch(); err != nil {
		s.hosts.mu.Lock()
		if s.hosts.feeds[id] = before; before == nil {
			delete(s.hosts.feeds, id)
		}
		s.hosts.mu.Unlock()
		s.release(h)
		return err
	}
	go func() {
		record, err := h.host.Wait(context.Background(), id)
		end := api.RunUpdate{RunID: id}
		if explain(&err); err != nil {
			end.Unfinished = api.ErrorOf(err)
		} else {
			report := reportOf(record, s.workspace)
			end.End = &report
		}
		s.release(h) // first: followers then know whether the data directory is let go
		f.publish(end)
		s.forgetFeeds(id)
	}()
	return nil
}

// keptFeeds is the number of runs at rest that can still be followed from their start.
const keptFeeds = api.MaxRequests

// forgetFeeds notes that a run is at rest, and forgets the feeds of the oldest ones.
func (s *Service) forgetFeeds(id training.RunID) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	s.hosts.rested = append(s.hosts.rested, id)
	for len(s.hosts.rested) > keptFeeds {
		oldest := s.hosts.rested[0]
		s.hosts.rested = s.hosts.rested[1:]
		if f := s.hosts.feeds[oldest]; f != nil && f.atRest() {
			delete(s.hosts.feeds, oldest)
		}
	}
}

// feed returns the feed of a run that trains or trained here; nil if there is none.
func (s *Service) feed(id training.RunID) *feed {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	return s.hosts.feeds[id]
}
