package integration

import (
	"context"
	"iter"
	"slices"
	"sync"

	"reprise/fault"
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

// MaxPendingUpdates is how many updates wait for a subscriber. When there are more, the
// oldest is dropped; Update.Dropped tells.
const MaxPendingUpdates = 1024

// ErrSubscriptionClosed is returned by Subscription.Next after Subscription.Close.
var ErrSubscriptionClosed = fault.New(fault.Conflict, "the subscription was closed")

// Update is news of a run, or of its job. One of Step, Event, Job and Rested is set.
type Update struct {
	Run training.RunID
	// Step is an optimiser step that was taken.
	Step *loop.StepResult
	// Event is an event that is durable.
	Event training.Event
	// Job is an event of the run's job that is durable.
	Job queue.JobEvent
	// Rested says that Host.Wait returns: the run has come to rest, or was left where
	// it was. There is no more news of it, unless it is resumed, as its job may be.
	Rested bool
	// Dropped is how many updates before this one the subscriber was too slow for. The
	// events among them are in the log, the steps in the run's series.
	Dropped uint64
}

// Subscription is news of a host's runs, in order for each run. A subscriber may take
// as long as it likes: training never waits for it. It is safe for concurrent use; each
// update goes to one caller.
type Subscription struct {
	hub  *hub
	runs []training.RunID // none for all

	mu      sync.Mutex // guards what follows
	pending []Update   // a ring
	first   int
	count   int
	dropped uint64
	err     error         // why no more come
	news    chan struct{} // has room for one token
}

// Subscribe returns the news of these runs from now on, or of all runs if none is
// named. The caller must close it. It ends with ErrHostClosed when the host is closed,
// after what was pending.
func (h *Host) Subscribe(runs ...training.RunID) *Subscription {
	return h.hub.subscribe(runs)
}

// Next waits for the next update. It fails when ctx is done, with ErrHostClosed, and
// with ErrSubscriptionClosed.
func (s *Subscription) Next(ctx context.Context) (Update, error) {
	for {
		if u, ok, err := s.take(); ok || err != nil {
			return u, err
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return Update{}, ctx.Err()
		}
	}
}

// All yields the updates until ctx is done or the subscription ends; the error is the
// last value.
func (s *Subscription) All(ctx context.Context) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		for {
			u, err := s.Next(ctx)
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the subscription. What is pending is dropped. It may be called again.
func (s *Subscription) Close() {
	s.hub.remove(s)
	s.mu.Lock()
	s.pending, s.count, s.err = nil, 0, ErrSubscriptionClosed
	s.mu.Unlock()
	s.wake()
}

func (s *Subscription) take() (u Update, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		if s.err != nil {
			s.wake() // another caller waits, too
		}
		return Update{}, false, s.err
	}
	u, s.pending[s.first] = s.pending[s.first], Update{}
	u.Dropped, s.dropped = s.dropped, 0
	s.first = (s.first + 1) % len(s.pending)
	if s.count--; s.count > 0 {
		s.wake()
	}
	return u, true, nil
}

func (s *Subscription) wake() {
	select {
	case s.news <- struct{}{}:
	default: // a token is there already
	}
}

// put adds an update, and never waits.
func (s *Subscription) put(u Update) {
	if len(s.runs) > 0 && !slices.Contains(s.runs, u.Run) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	switch n := len(s.pending); {
	case s.count < n:
	case n < MaxPendingUpdates: // most subscribers never need the whole ring
		larger := make([]Update, max(16, min(2*n, MaxPendingUpdates)))
		for i := range s.count {
			larger[i] = s.pending[(s.first+i)%n]
		}
		s.pending, s.first = larger, 0
	default:
		s.pending[s.first] = Update{}
		s.first = (s.first + 1) % n
		s.count--
		s.dropped++
	}
	s.pending[(s.first+s.count)%len(s.pending)] = u
	s.count++
	s.wake()
}

// end lets the subscriber take what is pending, and then tells it why no more comes.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.wake()
}

// hub tells a host's observer and its subscribers what the runs do.
type hub struct {
	observer Observer // nil for none

	mu     sync.RWMutex // guards what follows
	subs   []*Subscription
	closed bool
}

func (b *hub) subscribe(runs []training.RunID) *Subscription {
	s := &Subscription{hub: b, runs: slices.Clone(runs), news: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.end(ErrHostClosed)
		return s
	}
	b.subs = append(b.subs, s)
	return s
}

func (b *hub) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = slices.DeleteFunc(b.subs, func(o *Subscription) bool { return o == s })
}

// close ends all subscriptions.
func (b *hub) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, s := range b.subs {
		s.end(ErrHostClosed)
	}
	b.subs = nil
}

func (b *hub) publish(u Update) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.subs {
		s.put(u)
	}
}

// Stepped implements Observer.
func (b *hub) Stepped(run training.RunID, step loop.StepResult) {
	if b.observer != nil {
		b.observer.Stepped(run, step)
	}
	b.mu.RLock()
	heard := len(b.subs) > 0
	b.mu.RUnlock()
	if heard {
		kept := step // so that a step costs no memory where nobody listens
		b.publish(Update{Run: run, Step: &kept})
	}
}

// Recorded implements Observer.
func (b *hub) Recorded(run training.RunID, event training.Event) {
	if b.observer != nil {
		b.observer.Recorded(run, event)
	}
	b.publish(Update{Run: run, Event: event})
}

// jobHappened tells an event of a run's job that is durable.
func (b *hub) jobHappened(run training.RunID, event queue.JobEvent) {
	if o, ok := b.observer.(JobObserver); ok {
		o.JobRecorded(run, event)
	}
	b.publish(Update{Run: run, Job: event})
}

// rested says that a run's host is done with it.
func (b *hub) rested(run training.RunID) { b.publish(Update{Run: run, Rested: true}) }
