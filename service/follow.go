package service

import (
	"context"
	"iter"
	"math"
	"slices"
	"sync"

	"reprise/api"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
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

var _ integration.Observer = (*hosting)(nil)

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
	f := h.service.feed(run)
	if f == nil {
		return
	}
	if kind, payload, err := journal.Encode(e); err == nil { // it was recorded: it has a form
		f.publish(api.RunUpdate{RunID: run, Event: &api.RunEvent{Type: kind, Payload: payload}})
	}
}

// feed is what happens to a run that trains here. Its publisher never waits for a
// follower.
type feed struct {
	hosting *hosting

	mu        sync.Mutex
	kept      []api.RunUpdate // without steps; the first is the run's beginning
	ended     bool
	followers []*follower
}

func newFeed(h *hosting, begin api.RunReport) *feed {
	return &feed{hosting: h, kept: []api.RunUpdate{{RunID: begin.Details.RunID, Begin: &begin}}}
}

// publish passes an update to the followers, and keeps it for later ones.
func (f *feed) publish(u api.RunUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.Steps == nil {
		if len(f.kept) >= keptUpdates { // the oldest go, but for the beginning
			f.kept = slices.Delete(f.kept, 1, keptUpdates/4)
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
			id := training.RunID(name)
			f := s.feed(id)
			if f == nil {
				report, err := s.atRest(ctx, name)
				if err != nil {
					return err
				}
				if id = report.Details.RunID; !left[id] {
					to.push(api.RunUpdate{RunID: id, End: &report})
				}
			} else if !left[id] {
				f.attach(to)
				defer f.detach(to)
				hostings = append(hostings, f.hosting)
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

// atRest describes a run that does not train here and is at rest.
func (s *Service) atRest(ctx context.Context, name string) (api.RunReport, error) {
	r, err := s.readRun(ctx, name)
	if err != nil {
		return api.RunReport{}, err
	}
	defer r.close()
	if r.run.Saga.UnderWay() {
		return api.RunReport{}, elsewhere(r.run.ID)
	}
	return reportOf(r.run, r.Workspace), nil
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
	defer explain(&err)
	if q.Cause == "" {
		return api.Interrupted{}, &fault.FieldError{Field: "cause", Problem: "is missing", Fix: "say why the runs are interrupted", Example: "interrupted by the user"}
	}
	answer := api.Interrupted{Runs: []training.RunID{}}
	feeds := make([]*feed, len(q.Runs))
	for i, name := range q.Runs {
		if feeds[i] = s.feed(training.RunID(name)); feeds[i] != nil {
			continue
		}
		r, err := s.readRun(ctx, name)
		if err != nil {
			return answer, err
		}
		r.close()
		if feeds[i] = s.feed(r.run.ID); feeds[i] == nil && r.run.Saga.UnderWay() {
			return answer, elsewhere(r.run.ID)
		}
	}
	for _, f := range feeds {
		if f == nil || f.atRest() {
			continue
		}
		id := f.kept[0].RunID
		f.hosting.host.Interrupt(id, q.Cause)
		answer.Runs = append(answer.Runs, id)
	}
	return answer, nil
}
