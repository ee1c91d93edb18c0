package service

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"reprise/api"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

const (
	// keptUpdates bounds the updates that a feed keeps for followers to come.
	keptUpdates = 1024
	// maxPending bounds the updates that wait for a follower, for each of its runs. A
	// slower one misses the oldest.
	maxPending = 2 * keptUpdates
)

var _ integration.JobObserver = (*hosting)(nil)

// Stepped implements integration.Observer.
func (h *hosting) Stepped(run training.RunID, r loop.StepResult) {
	if f := h.service.feed(run); f != nil {
		loss := float64(r.Loss)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return // the run fails of it
		}
		f.publish(api.RunUpdate{RunID: run, Steps: &api.StepsTaken{
			Step: r.Step, Epoch: r.Epoch, Count: 1, Samples: r.Samples, Loss: loss, LearningRate: r.LearningRate, EpochDone: r.EpochDone,
		}})
	}
}

// Recorded implements integration.Observer.
func (h *hosting) Recorded(run training.RunID, e training.Event) {
	kind, payload, err := journal.Encode(e)
	if err != nil {
		return // cannot be: it was recorded, so it has a form
	}
	f := h.feedOf(run)
	if _, ok := e.(training.TrainingStarted); ok {
		if record, err := (journal.RunRecord{}).Apply(e, 1, h.service.config.Now()); err == nil {
			report := reportOf(subject{id: run, run: record}, h.service.workspace, true)
			f.publish(api.RunUpdate{RunID: run, Begin: &report})
		}
	}
	f.publish(api.RunUpdate{RunID: run, Event: &api.RunEvent{Type: kind, Payload: payload}})
}

// JobRecorded implements integration.JobObserver.
func (h *hosting) JobRecorded(run training.RunID, e queue.JobEvent) {
	switch e.(type) {
	case queue.JobSubmitted, queue.JobResumed: // by whomever; its feed may be about to end
		_ = h.track(run, nil, func() error { return nil })
	case queue.JobCancelled: // perhaps while it was paused, which was told as its end
		if f := h.service.feed(run); f != nil && f.atRest() {
			_ = h.track(run, nil, func() error { return nil })
		}
	case queue.JobPreparing, queue.JobPrepared, queue.JobPredecessorCompleted, queue.JobPlaced, queue.JobStarted, queue.JobCompleted,
		queue.JobDeferred, queue.JobStopRequested, queue.JobPaused, queue.JobPriorityChanged, queue.JobAnnotated, queue.JobDeleted, queue.JobFailed,
		queue.JobRejected: // they begin nothing
	}
	f := h.service.feed(run)
	payload, err := json.Marshal(e)
	if err != nil || f == nil || f.atRest() {
		return // a job that waits to be resumed
	}
	f.publish(api.RunUpdate{RunID: run, Job: &api.RunEvent{Type: e.EventType(), Payload: payload}})
}

// feedOf returns the feed of a run of this host. That of a new one begins here.
func (h *hosting) feedOf(run training.RunID) *feed {
	if f := h.service.feed(run); f != nil && !f.atRest() {
		return f
	}
	_ = h.track(run, nil, func() error { return nil })
	return h.service.feed(run)
}

// feed is what happens to a run that trains here. Its publisher never waits for a
// follower.
type feed struct {
	run     training.RunID
	hosting *hosting // guarded by hosts.mu; nil once it is gone
	number  int      // in the order in which the feeds began
	// launches are those whose run is not known to be at rest, and launched those that
	// have returned; guarded by hosts.mu. The feed ends when the last of launches does.
	launches, launched int

	mu        sync.Mutex      // guards what follows
	kept      []api.RunUpdate // without steps and downloads
	ended     bool
	followers []*follower
}

func newFeed(h *hosting, run training.RunID, begin *api.RunReport) *feed {
	f := &feed{hosting: h, run: run}
	if begin != nil {
		f.kept = []api.RunUpdate{{RunID: run, Begin: begin}}
	}
	return f
}

// publish passes an update to the followers, and keeps it for later ones. Nothing comes
// after the run's end: what is late is not told.
func (f *feed) publish(u api.RunUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	if passing := u.Steps != nil || u.Notice != nil && u.Notice.Download != nil; !passing {
		if len(f.kept) >= keptUpdates { // the oldest go, but for the beginning
			oldest := 0
			f.kept = slices.DeleteFunc(f.kept, func(u api.RunUpdate) bool {
				oldest++
				return u.Begin == nil && oldest < keptUpdates/4
			})
		}
		f.kept = append(f.kept, u)
	}
	f.ended = u.End != nil || u.Unfinished != nil
	for _, follower := range f.followers {
		follower.push(u)
	}
}

// atRest reports whether the run's end was published.
func (f *feed) atRest() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// attach gives a follower what was kept and what comes, once.
func (f *feed) attach(to *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.followers, to) {
		return
	}
	for _, u := range f.kept {
		to.push(u)
	}
	f.followers = append(f.followers, to)
}

func (f *feed) detach(from *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers = slices.DeleteFunc(f.followers, func(other *follower) bool { return other == from })
}

// follower is a call that follows runs. It may take as long as it likes: updates that it
// is too slow for become one or are dropped, but for the beginning and the end of a run.
type follower struct {
	wake  chan struct{} // has a value when there is something new
	bound int
	all   bool                    // runs are followed, also those that nobody named
	named map[training.RunID]bool // runs that are followed; guarded by hosts.mu

	mu      sync.Mutex // guards what follows
	pending []api.RunUpdate
	steps   map[training.RunID]int // the pending update that is the last of its run, if it has steps
	dropped int
}

func newFollower(bound int) *follower {
	return &follower{wake: make(chan struct{}, 1), bound: bound, named: map[training.RunID]bool{}, steps: map[training.RunID]int{}}
}

// push adds an update. Steps that wait become one with those that follow them.
func (f *follower) push(u api.RunUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.steps[u.RunID]; ok && u.Steps != nil {
		f.pending[at].Steps = merged(*f.pending[at].Steps, *u.Steps)
	} else {
		if len(f.pending) >= f.bound {
			f.drop()
		}
		f.pending = append(f.pending, u)
		delete(f.steps, u.RunID)
		if u.Steps != nil {
			f.steps[u.RunID] = len(f.pending) - 1
		}
	}
	f.rouse()
}

// rouse has next look again.
func (f *follower) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// drop drops the oldest quarter of what waits. mu is held.
func (f *follower) drop() {
	seen, before := 0, len(f.pending)
	f.pending = slices.DeleteFunc(f.pending, func(u api.RunUpdate) bool {
		if u.Begin != nil || u.End != nil || u.Unfinished != nil {
			return false
		}
		seen++
		return seen <= max(1, f.bound/4)
	})
	f.dropped += before - len(f.pending)
	clear(f.steps)
}

// merged returns the steps of two updates as one.
func merged(a, b api.StepsTaken) *api.StepsTaken {
	b.Loss = (a.Loss*float64(a.Count) + b.Loss*float64(b.Count)) / float64(a.Count+b.Count)
	b.Count += a.Count
	b.Samples += a.Samples
	b.EpochDone = a.EpochDone || b.EpochDone
	return &b
}

// next returns what waits, and waits for something if nothing does; nil once done says
// that nothing more is to come. Whatever changes what done says wakes the follower.
func (f *follower) next(ctx context.Context, done func() bool) ([]api.RunUpdate, error) {
	for {
		if list := f.take(); len(list) > 0 {
			return list, nil
		}
		if done() {
			return f.take(), nil // what came before done saw it
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *follower) take() []api.RunUpdate {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.pending
	if len(list) > 0 {
		list[0].Dropped, f.dropped = f.dropped, 0
	}
	f.pending = nil
	clear(f.steps)
	return list
}

// Follow implements api.Service. A run that is paused and then resumed is followed on while
// another one that was named is under way.
func (s *Service) Follow(ctx context.Context, q api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.RunUpdate) error) error {
		to := newFollower(maxPending * max(len(q.Runs), 1))
		to.all = q.Others
		defer s.attach(to)()
		var hostings []*hosting
		for _, name := range q.Runs {
			id, f, rested, err := s.feedNamed(ctx, name)
			switch {
			case err != nil:
				return err
			case to.named[id]:
				continue
			case f == nil:
				to.push(api.RunUpdate{RunID: id, End: &rested})
			default:
				f.attach(to)
				if h := s.hostingOf(f); h != nil {
					hostings = append(hostings, h)
				}
			}
			s.attachNamed(to, id)
		}
		done := func() bool { return s.atRest(to.named) }
		if q.Others && len(q.Runs) == 0 {
			done = s.idle
		}
		paused := map[training.RunID]bool{}
		for {
			updates, err := to.next(ctx, done)
			if err != nil {
				return err
			}
			if updates == nil {
				if updates = s.changedSince(ctx, paused); updates == nil {
					break
				}
			}
			for _, u := range updates {
				if delete(paused, u.RunID); to.named[u.RunID] && u.End != nil && u.End.Details.State == api.Paused {
					paused[u.RunID] = true
				}
				if err := send(u); err != nil {
					return err
				}
			}
		}
		return s.letGo(ctx, hostings)
	})
}

// attach gives a follower the updates of the runs that it names from now on or, if it wants
// all, of those that are not at rest in this process, now and later. detach ends that.
func (s *Service) attach(to *follower) (detach func()) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	s.hosts.watchers = append(s.hosts.watchers, to)
	for _, f := range slices.SortedFunc(maps.Values(s.hosts.feeds), func(a, b *feed) int { return a.number - b.number }) {
		if to.all && !f.atRest() {
			to.watch(f)
		}
	}
	return func() {
		s.hosts.mu.Lock()
		defer s.hosts.mu.Unlock()
		s.hosts.watchers = slices.DeleteFunc(s.hosts.watchers, func(other *follower) bool { return other == to })
		for _, f := range s.hosts.feeds {
			f.detach(to)
		}
	}
}

// attachNamed has a follower name a run: it gets the updates of the run's feed and of later
// ones, which a paused run has once it is resumed.
func (s *Service) attachNamed(to *follower, id training.RunID) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	to.named[id] = true
	if f := s.hosts.feeds[id]; f != nil {
		f.attach(to)
	}
}

// atRest reports whether none of the runs is under way in this process.
func (s *Service) atRest(runs map[training.RunID]bool) bool {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	for id := range runs {
		if f := s.hosts.feeds[id]; f != nil && !f.atRest() {
			return false
		}
	}
	return true
}

// changedSince returns the last updates of runs that were paused when theirs was sent and
// have ended since, as by being cancelled.
func (s *Service) changedSince(ctx context.Context, paused map[training.RunID]bool) (updates []api.RunUpdate) {
	for _, id := range slices.Sorted(maps.Keys(paused)) {
		found, err := s.find(ctx, string(id))
		if err != nil { // as where the data directory is gone: paused is the last that is known
			continue
		}
		report := reportOf(found, found.Workspace, false)
		found.close()
		ends := []training.State{api.Cancelled, api.Rejected, training.Failed, training.Completed}
		if slices.Contains(ends, report.Details.State) {
			updates = append(updates, api.RunUpdate{RunID: id, End: &report})
		}
	}
	return updates
}

// watch attaches the follower to a feed, which it makes room for.
func (f *follower) watch(of *feed) {
	f.mu.Lock()
	f.bound += maxPending
	f.mu.Unlock()
	of.attach(f)
}

// idle reports whether no run is left in this process, and none can join it before it has
// let go of the data directory.
func (s *Service) idle() bool {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	h := s.hosts.current
	if h == nil {
		return true
	}
	for _, f := range s.hosts.feeds {
		if f.hosting == h && !f.atRest() {
			return false
		}
	}
	return h.closing
}

// feedNamed returns the run that a request names, with its feed or, if it does not train
// here and is at rest, its report.
func (s *Service) feedNamed(ctx context.Context, name string) (training.RunID, *feed, api.RunReport, error) {
	if f := s.feed(training.RunID(name)); f != nil {
		return f.run, f, api.RunReport{}, nil
	}
	found, err := s.find(ctx, name)
	if err != nil {
		return "", nil, api.RunReport{}, err
	}
	defer found.close()
	// A run of this process has its feed before the log tells that it is under way.
	if f := s.feed(found.id); f != nil {
		return found.id, f, api.RunReport{}, nil
	}
	if found.run.Saga.UnderWay() {
		return found.id, nil, api.RunReport{}, elsewhere(found.id)
	}
	return found.id, nil, reportOf(found, found.Workspace, false), nil
}

// elsewhere says that a run which is recorded as under way does not train in this
// process.
func elsewhere(id training.RunID) error {
	return fault.New(fault.Conflict, "run %s does not train in this process: another one trains it, or died while it did", id)
}

// letGo waits until hostings that are ending have closed their hosts, and returns what
// went wrong.
func (s *Service) letGo(ctx context.Context, hostings []*hosting) error {
	for _, h := range slices.Compact(hostings) {
		s.hosts.mu.Lock()
		closing := h.closing
		s.hosts.mu.Unlock()
		if !closing {
			continue
		}
		select {
		case <-h.closed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if h.err != nil {
			return h.err
		}
	}
	return nil
}

// Interrupt implements api.Service.
func (s *Service) Interrupt(ctx context.Context, q api.InterruptRequest) (_ api.Interrupted, err error) {
	defer explain(ctx, &err)
	if err := checkCause(q.Cause, "interrupted"); err != nil {
		return api.Interrupted{}, err
	}
	answer := api.Interrupted{Runs: []training.RunID{}}
	feeds := make([]*feed, len(q.Runs))
	for i, name := range q.Runs {
		_, f, _, err := s.feedNamed(ctx, name)
		if err != nil {
			return answer, err
		}
		feeds[i] = f
	}
	for _, f := range feeds {
		if f == nil || f.atRest() {
			continue
		}
		h := s.hostingOf(f)
		if h == nil { // it came to rest just now
			continue
		}
		h.host.Interrupt(f.run, q.Cause)
		answer.Runs = append(answer.Runs, f.run)
	}
	return answer, nil
}
