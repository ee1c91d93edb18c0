package service

import (
	"context"
	"encoding/json"
	"iter"
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
	// maxPending bounds the updates that wait for a follower, for each of its runs. One
	// that falls further behind is cut off.
	maxPending = 4096
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
	_, submitted := e.(queue.JobSubmitted)
	f := h.service.feed(run)
	if submitted {
		f = h.feedOf(run)
	}
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
	hosting *hosting // guarded by hosts.mu; nil once it is gone

	mu        sync.Mutex
	run       training.RunID
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

// publish passes an update to the followers, and keeps it for later ones.
func (f *feed) publish(u api.RunUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// attach gives a follower what was kept and what comes.
func (f *feed) attach(to *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// follower is a call that follows runs.
type follower struct {
	wake  chan struct{} // has a value when there is something new
	bound int

	mu      sync.Mutex
	pending []api.RunUpdate
	behind  bool
}

// push adds an update. Steps that wait become one with those that follow them.
func (f *follower) push(u api.RunUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.pending); u.Steps != nil && n > 0 && f.pending[n-1].RunID == u.RunID && f.pending[n-1].Steps != nil {
		together := u
		together.Steps = merged(*f.pending[n-1].Steps, *u.Steps)
		f.pending[n-1] = together
	} else if f.pending = append(f.pending, u); n >= f.bound {
		f.behind = true
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// merged returns the steps of two updates as one.
func merged(a, b api.StepsTaken) *api.StepsTaken {
	b.Loss = (a.Loss*float64(a.Count) + b.Loss*float64(b.Count)) / float64(a.Count+b.Count)
	b.Count += a.Count
	b.Samples += a.Samples
	b.EpochDone = a.EpochDone || b.EpochDone
	return &b
}

// next returns what waits, and waits for something if nothing does.
func (f *follower) next(ctx context.Context) ([]api.RunUpdate, error) {
	for {
		f.mu.Lock()
		list, behind := f.pending, f.behind
		f.pending = nil
		f.mu.Unlock()
		switch {
		case behind:
			return nil, fault.New(fault.Exhausted, "the follower is too slow: %d updates wait for it; follow the run again, or read its events from the log", f.bound)
		case len(list) > 0:
			return list, nil
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Follow implements api.Service.
func (s *Service) Follow(ctx context.Context, q api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.RunUpdate) error) error {
		to := &follower{wake: make(chan struct{}, 1), bound: maxPending * max(len(q.Runs), 1)}
		var hostings []*hosting
		left := map[training.RunID]bool{}
		for _, name := range q.Runs {
			id, f, err := s.feedNamed(ctx, name)
			if err != nil {
				return err
			}
			if f == nil {
				report, err := s.atRest(ctx, id)
				if err != nil {
					return err
				}
				if !left[id] {
					to.push(api.RunUpdate{RunID: id, End: &report})
				}
			} else if !left[id] {
				f.attach(to)
				defer f.detach(to)
				if h := s.hostingOf(f); h != nil {
					hostings = append(hostings, h)
				}
			}
			left[id] = true
		}
		for len(left) > 0 {
			updates, err := to.next(ctx)
			if err != nil {
				return err
			}
			for _, u := range updates {
				if u.End != nil || u.Unfinished != nil {
					delete(left, u.RunID)
				}
				if err := send(u); err != nil {
					return err
				}
			}
		}
		return s.letGo(ctx, hostings)
	})
}

// feedNamed returns the run that a request names, with its feed; nil if it does not train
// here.
func (s *Service) feedNamed(ctx context.Context, name string) (training.RunID, *feed, error) {
	if f := s.feed(training.RunID(name)); f != nil {
		return f.run, f, nil
	}
	found, err := s.find(ctx, name)
	if err != nil {
		return "", nil, err
	}
	found.close()
	return found.id, s.feed(found.id), nil
}

// atRest describes a run that does not train here and is at rest.
func (s *Service) atRest(ctx context.Context, id training.RunID) (api.RunReport, error) {
	f, err := s.find(ctx, string(id))
	if err != nil {
		return api.RunReport{}, err
	}
	defer f.close()
	if f.run.Saga.UnderWay() {
		return api.RunReport{}, elsewhere(f.id)
	}
	return reportOf(f, f.Workspace, false), nil
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
	if q.Cause == "" {
		return api.Interrupted{}, &fault.FieldError{Field: "cause", Problem: "is missing", Fix: "say why the runs are interrupted", Example: "interrupted by the user"}
	}
	answer := api.Interrupted{Runs: []training.RunID{}}
	feeds := make([]*feed, len(q.Runs))
	for i, name := range q.Runs {
		id, f, err := s.feedNamed(ctx, name)
		if err != nil {
			return answer, err
		}
		if feeds[i] = f; f != nil {
			continue
		}
		r, err := s.find(ctx, string(id))
		if err != nil {
			return answer, err
		}
		r.close()
		if r.run.Saga.UnderWay() {
			return answer, elsewhere(id)
		}
	}
	for _, f := range feeds {
		if f == nil || f.atRest() {
			continue
		}
		h := s.hostingOf(f)
		if h == nil { // it came to rest just now
			continue
		}
		id := f.run
		h.host.Interrupt(id, q.Cause)
		answer.Runs = append(answer.Runs, id)
	}
	return answer, nil
}
