package eventstore

import (
	"context"
	"sync"
)

// Signal wakes subscribers when a store has new events. Stores embed one; the
// zero value is ready for use.
type Signal struct {
	mu     sync.Mutex
	next   chan struct{}
	closed bool
}

// wait returns a channel that is closed at the next Raise or at Close, and
// whether the store is closed.
func (s *Signal) wait() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next, s.closed
}

// Raise wakes all waiters.
func (s *Signal) Raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// Close wakes all waiters for the last time.
func (s *Signal) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Raise()
}

// subscriptionPage is the number of events a subscription reads ahead.
const subscriptionPage = 256

// Subscription delivers the events of a store in order. It must be used by one
// goroutine at a time. It holds no resources and needs no Close.
type Subscription struct {
	read   func(ctx context.Context, after Position, limit int) ([]Event, error)
	signal *Signal
	after  Position
	page   []Event
}

// NewSubscription returns a subscription that reads through read and is woken
// by signal: the one implementation for every store.
func NewSubscription(read func(context.Context, Position, int) ([]Event, error), signal *Signal, after Position) *Subscription {
	return &Subscription{read: read, signal: signal, after: after}
}

// Next returns the next event, waiting for it if necessary. It fails when ctx
// is done, with ErrClosed once the store is closed and what was read ahead is
// delivered, and with the store's errors. It may be called again after an
// error.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	batch, err := s.NextBatch(ctx, 1)
	if err != nil {
		return Event{}, err
	}
	return batch[0], nil
}

// NextBatch returns the next events, at least one and at most limit, waiting
// only for the first of them. It fails as Next does.
func (s *Subscription) NextBatch(ctx context.Context, limit int) ([]Event, error) {
	for len(s.page) == 0 {
		// Get the channel before reading, so that no event is missed in between.
		wake, closed := s.signal.wait()
		if closed {
			return nil, ErrClosed
		}
		page, err := s.read(ctx, s.after, subscriptionPage)
		if err != nil {
			return nil, err
		}
		if s.page = page; len(page) > 0 {
			break
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n := max(1, min(limit, len(s.page)))
	batch := s.page[:n:n]
	s.page = s.page[n:]
	s.after = batch[n-1].Position
	return batch, nil
}
