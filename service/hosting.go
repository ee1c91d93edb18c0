package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// hosts is the hosting of this process: at most one at a time.
type hosts struct {
	turn   chan struct{} // has a value while one is being opened or closed
	derive chan struct{} // has a value while withStore calls what it was given

	mu      sync.Mutex // guards what follows
	current *hosting   // nil for none
	ending  bool       // nothing more is placed: see StopPlacing
	ended   error      // what went wrong in letting go of the data directory
	feeds   map[training.RunID]*feed
	// numbered counts the feeds that there have been.
	numbered int
	rested   []training.RunID // the feeds of runs at rest, the first to rest first
	// joined is closed, and replaced, when a feed is new.
	joined chan struct{}
	// watchers are the followers, which a new feed may be of interest to.
	watchers []*follower

	// atRest, if it is set, is called when a run was found at rest, before its end is
	// told. Tests set it.
	atRest func(training.RunID)
}

// hosting is what this process holds while runs train in it: the data directory, and
// the host of the runs.
type hosting struct {
	service *Service
	host    *integration.Host
	log     *journal.RunLog
	jobs    *journal.JobLog
	opened  *datadir.OpenWorkspace
	unserve func() error // nil if it is not served
	// unshelf and undevices end its use of the shelf and of the devices.
	unshelf, undevices func()

	users    int  // submissions in progress and runs that are not at rest; guarded by hosts.mu
	closing  bool // likewise
	shutDown sync.Once
	// closed is closed when the host is, with what went wrong in err; ended when all is
	// let go.
	closed chan struct{}
	err    error
	ended  chan struct{}
}

// guestKey is the key of a context that AsGuest returns.
type guestKey struct{}

// AsGuest returns a context for calls of other processes. They use the data directory
// only while this process holds it anyway: once it is about to let go of it, they fail
// with the code ProcessEnding, so that the other process can take it.
func AsGuest(ctx context.Context) context.Context { return context.WithValue(ctx, guestKey{}, true) }

func isGuest(ctx context.Context) bool { return ctx.Value(guestKey{}) != nil }

// errEnding is the error of guests, and of everybody once the service is closing.
func errEnding() error {
	return &api.Error{Fault: fault.Unavailable, Code: api.ProcessEnding, Message: "the process that held the data directory is ending; try again"}
}

// hold returns the hosting of this process, which it opens if there is none. release
// must follow.
func (s *Service) hold(ctx context.Context) (h *hosting, err error) {
	err = s.inTurn(ctx, func() (ending <-chan struct{}, err error) {
		h, ending, err = s.holdInTurn(ctx)
		return ending, err
	})
	return h, err
}

// withStore calls do with the event log, for writing to what is made from it: that of the
// hosting of this process, if there is one. Nobody else calls do at the same time.
func (s *Service) withStore(ctx context.Context, do func(eventstore.Store) error) error {
	select {
	case s.hosts.derive <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.hosts.derive }()
	var h *hosting
	err := s.inTurn(ctx, func() (ending <-chan struct{}, err error) {
		if h, ending, err = s.join(ctx); h != nil || ending != nil || err != nil {
			return ending, err
		}
		opened, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(do(opened.Store), opened.Close())
	})
	if err != nil || h == nil {
		return err
	}
	defer s.release(h)
	return do(h.host.Store())
}

// inTurn calls do while nobody else opens or closes the data directory, and again after
// the data directory was let go if do returns what tells of that.
func (s *Service) inTurn(ctx context.Context, do func() (ending <-chan struct{}, err error)) error {
	for {
		select {
		case s.hosts.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		ending, err := do()
		<-s.hosts.turn
		if ending == nil {
			return err
		}
		select {
		case <-ending:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// join returns the hosting of this process, nil if there is none, for whoever has the
// turn; release must follow. It returns what to wait for where the data directory is just
// being let go.
func (s *Service) join(ctx context.Context) (_ *hosting, ending <-chan struct{}, err error) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	h := s.hosts.current
	switch {
	case isDone(s.closing), isGuest(ctx) && (h == nil || h.closing):
		return nil, nil, errEnding()
	case h == nil:
		return nil, nil, nil
	case h.closing:
		return nil, h.ended, nil
	}
	h.users++
	return h, nil, nil
}

// holdInTurn is hold for whoever has the turn. It returns what join does.
func (s *Service) holdInTurn(ctx context.Context) (_ *hosting, ending <-chan struct{}, err error) {
	h, ending, err := s.join(ctx)
	if h != nil || ending != nil || err != nil {
		return h, ending, err
	}
	if h, err = s.openHosting(ctx); err != nil {
		return nil, nil, err
	}
	h.users = 1
	s.hosts.mu.Lock()
	if s.hosts.current = h; s.hosts.ending {
		h.host.StopPlacing()
	}
	s.hosts.mu.Unlock()
	go h.endIfBroken()
	if h.unserve, err = s.config.Serve(ctx, s); err != nil { // training does not need it
		api.Notify(ctx, api.Notice{Event: err.Error()})
	}
	return h, nil, nil
}

// openHosting takes the data directory, settles what dead processes left in it, and
// starts a host.
func (s *Service) openHosting(ctx context.Context) (*hosting, error) {
	devices, undevices, err := s.devices()
	if err != nil {
		return nil, err
	}
	opened, err := s.open(ctx)
	if err != nil {
		undevices()
		return nil, err
	}
	h := &hosting{
		service: s, opened: opened, undevices: undevices, log: journal.NewRunLog(opened.Store, s.config.Now), jobs: journal.NewJobLog(opened.Store, s.config.Now),
		closed: make(chan struct{}), ended: make(chan struct{}),
	}
	host, recovery, err := integration.NewHost(ctx, integration.HostConfig{
		Store: opened.Store, Workspace: s.workspace, Devices: devices, Observer: h, Now: s.config.Now, NewID: s.newID, LogActors: true,
		Queue: s.config.Queue, Limits: s.config.Limits,
		Prepare: h.prepare, NewJobID: func() queue.JobID { return queue.JobID(s.newRunID()) },
		OpenDataset: func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
			return s.shelf.recorded(ctx, s, d)
		},
	})
	if err != nil {
		undevices()
		return nil, errors.Join(err, opened.Close())
	}
	h.host, h.unshelf = host, s.shelf.use()
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
	s.hosts.release(h)
}

// release is Service.release for callers that hold mu.
func (h *hosts) release(of *hosting) {
	if of.users--; of.users == 0 {
		of.closing = true
		for _, w := range h.watchers {
			w.rouse()
		}
		go of.end()
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
	h.unshelf()
	h.undevices()
	s.hosts.mu.Lock()
	s.hosts.current, s.hosts.ended = nil, errors.Join(s.hosts.ended, err)
	for _, f := range s.hosts.feeds {
		if f.hosting == h { // all of them are at rest; it would stay in memory with them
			f.hosting = nil
		}
	}
	s.hosts.mu.Unlock()
	close(h.ended)
}

// endIfBroken lets go of the data directory, whoever uses it, once nothing more can be
// recorded: the store must be opened again.
func (h *hosting) endIfBroken() {
	select {
	case <-h.host.Broken():
		h.service.hosts.mu.Lock()
		h.closing = true
		h.service.hosts.mu.Unlock()
		h.shut() // the runs come to rest, and the last user lets go
	case <-h.closed:
	}
}

// StopPlacing has no further run take a device, since this process is about to end: not
// even one that is submitted later. Close interrupts those that wait.
func (s *Service) StopPlacing() {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	s.hosts.ending = true
	if h := s.hosts.current; h != nil {
		h.host.StopPlacing()
	}
}

// shut closes the host, which interrupts the runs that are under way.
func (h *hosting) shut() {
	h.shutDown.Do(func() {
		h.err = h.host.Close()
		close(h.closed)
	})
}

// Finish waits until this process has let go of the data directory, which others may have
// it hold. As soon as there are runs that are not at rest, it calls tell with them: once,
// and once more each time that the data directory was let go and taken again. Runs that
// join them are not told; Follow shows them, too. Finish fails when ctx is done while a run
// is not at rest.
func (s *Service) Finish(ctx context.Context, tell func([]training.RunID)) error {
	if isDone(ctx) { // whoever ended ctx has been told
		return nil
	}
	var told *hosting
	for {
		current, runs, more := s.hosts.underWay()
		if current == nil {
			return nil
		}
		if len(runs) > 0 && told != current {
			told = current
			tell(runs)
		}
		select {
		case <-more:
		case <-current.ended:
		case <-ctx.Done():
			if _, runs, _ := s.hosts.underWay(); len(runs) > 0 {
				return ctx.Err()
			}
			return nil
		}
	}
}

// underWay returns the hosting of this process, nil for none, with its runs that are not at
// rest, and what is closed when there is another run.
func (h *hosts) underWay() (current *hosting, runs []training.RunID, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, f := range h.feeds {
		if f.hosting == h.current && !f.atRest() {
			runs = append(runs, id)
		}
	}
	slices.Sort(runs)
	return h.current, runs, h.joined
}

// close interrupts what is under way and waits until the data directory was let go. It
// returns what went wrong in letting go of it, which no call was told.
func (h *hosts) close() error {
	h.turn <- struct{}{} // its holder may be opening the data directory; nobody opens it later
	h.mu.Lock()
	current := h.current
	h.mu.Unlock()
	<-h.turn
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

// submit submits a job. It returns once the job is durable.
func (h *hosting) submit(ctx context.Context, j job) (training.RunID, error) {
	if j.named {
		if err := h.isFree(ctx, training.RunID(j.submit.Job)); err != nil {
			return "", err
		}
	}
	if j.events != nil {
		// Before the run is on record: from then on it needs nothing else.
		if err := h.service.keepInitial(ctx, training.RunID(j.submit.Job), j.initial, j.session); err != nil {
			return "", err
		}
		id, err := h.host.SubmitPrepared(ctx, j.submit, j.events)
		return training.RunID(id), err
	}
	ids, err := h.host.Submit(ctx, j.submit)
	if err != nil {
		return "", err
	}
	return training.RunID(ids[0]), nil
}

// isFree fails where a run has an id that a caller has chosen for another one, whether it
// has a job or not.
func (h *hosting) isFree(ctx context.Context, id training.RunID) error {
	_, err := h.log.Load(ctx, id)
	if errors.Is(err, journal.ErrRunNotFound) {
		_, err = h.jobs.Load(ctx, queue.JobID(id))
	}
	switch {
	case err == nil:
		return fault.New(fault.Conflict, "there is a run %s already", id)
	case !errors.Is(err, journal.ErrJobNotFound):
		return err
	}
	return nil
}

// track has the updates of a run go to a feed, from before launch is called until the run
// is at rest; begin is the run as recorded, nil for one that was not started yet. A run
// that is tracked already keeps its feed, and is then at rest once it is after this launch.
func (h *hosting) track(id training.RunID, begin *api.RunReport, launch func() error) error {
	s := h.service
	s.hosts.mu.Lock()
	before := s.hosts.feeds[id]
	f := before
	if before == nil || before.atRest() {
		f = newFeed(h, id, begin)
		s.hosts.numbered++
		f.number = s.hosts.numbered
		s.hosts.feeds[id] = f
		close(s.hosts.joined)
		s.hosts.joined = make(chan struct{})
		for _, w := range s.hosts.watchers {
			if w.all || w.named[id] {
				w.watch(f)
			}
		}
	}
	f.launches++
	h.users++
	s.hosts.mu.Unlock()
	err := launch()
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	f.launched++
	if err != nil && f != before && f.launches == 1 { // nothing began
		f.launches = 0
		if s.hosts.feeds[id] = before; before == nil {
			delete(s.hosts.feeds, id)
		}
		for _, w := range s.hosts.watchers {
			w.rouse()
		}
		s.hosts.release(h)
		return err
	}
	go h.await(f, f.launched)
	return err
}

// await ends a launch, of which launched are known to have returned, once the run is at
// rest. The last one publishes the end of the run. What was found at rest may have been
// launched again meanwhile: then it is waited for again.
func (h *hosting) await(f *feed, launched int) {
	s := h.service
	var end api.RunUpdate
	for {
		end = h.rest(f.run)
		if s.hosts.atRest != nil {
			s.hosts.atRest(f.run)
		}
		s.hosts.mu.Lock()
		if f.launched == launched {
			break
		}
		launched = f.launched
		s.hosts.mu.Unlock()
	}
	defer s.hosts.mu.Unlock()
	s.hosts.release(h) // first: followers then know whether the data directory is let go
	if f.launches--; f.launches == 0 {
		f.publish(end)
		s.hosts.forgetFeeds(f.run)
	}
}

// rest waits until a run is at rest, and returns its last update.
func (h *hosting) rest(id training.RunID) api.RunUpdate {
	ctx := context.Background()
	unfinished := func(err error) api.RunUpdate {
		explain(ctx, &err)
		return api.RunUpdate{RunID: id, Unfinished: api.ErrorOf(err)}
	}
	_, left := h.host.WaitJob(ctx, queue.JobID(id)) // which the run may not have
	record, err := h.host.Wait(ctx, id)
	if errors.Is(err, journal.ErrRunNotFound) { // its actor was not started
		if left != nil && !errors.Is(left, integration.ErrJobLeft) && !errors.Is(left, integration.ErrHostClosed) {
			return unfinished(left)
		}
		if record, err = h.log.Load(ctx, id); errors.Is(err, journal.ErrRunNotFound) {
			err = nil
		}
	}
	if err != nil {
		return unfinished(err)
	}
	job, err := h.jobs.Load(ctx, queue.JobID(id))
	if err != nil && !errors.Is(err, journal.ErrJobNotFound) {
		return unfinished(err)
	}
	report := reportOf(subject{id: id, run: record, job: job}, h.service.workspace, false)
	return api.RunUpdate{RunID: id, End: &report}
}

// resume has the host continue a run.
func (h *hosting) resume(ctx context.Context, f subject) error {
	var begin *api.RunReport
	if f.started() {
		report := reportOf(f, h.service.workspace, true)
		begin = &report
	}
	return h.track(f.id, begin, func() error { return h.host.Resume(ctx, f.id) })
}

// prepare is Service.prepareJob, with what there is to say in the feed of the run.
func (h *hosting) prepare(ctx context.Context, id queue.JobID, q queue.Submission) ([]training.Event, error) {
	fitted := false
	if q.RetryOf != "" { // of a run that began, or of a job that was never checked either
		record, err := h.log.Load(ctx, training.RunID(q.RetryOf))
		if err != nil && !errors.Is(err, journal.ErrRunNotFound) {
			return nil, fault.As(fault.Unavailable, err)
		}
		fitted = record.ID != ""
	}
	return h.service.prepareJob(api.WithNotices(ctx, func(n api.Notice) {
		if f := h.service.feed(training.RunID(id)); f != nil {
			f.publish(api.RunUpdate{RunID: training.RunID(id), Notice: &n})
		}
	}), id, q, fitted)
}

// keptFeeds is the number of runs at rest that can still be followed from their start.
const keptFeeds = api.MaxRequests

// forgetFeeds notes that a run is at rest, and forgets the feeds of the oldest ones.
// mu is held.
func (h *hosts) forgetFeeds(id training.RunID) {
	h.rested = append(h.rested, id)
	for len(h.rested) > keptFeeds {
		oldest := h.rested[0]
		h.rested = h.rested[1:]
		if f := h.feeds[oldest]; f != nil && f.atRest() {
			delete(h.feeds, oldest)
		}
	}
}

// hostingOf returns the hosting of a feed, nil once that is gone.
func (s *Service) hostingOf(f *feed) *hosting {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	return f.hosting
}

// feed returns the feed of a run that trains or trained here; nil if there is none.
func (s *Service) feed(id training.RunID) *feed {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	return s.hosts.feeds[id]
}

func isDone(ctx context.Context) bool { return ctx.Err() != nil }
