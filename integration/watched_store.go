package integration

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"reprise/eventstore"
)

// watchedStore remembers the first append that the store could not carry out, and says
// when it takes no others.
type watchedStore struct {
	eventstore.Store
	failed atomic.Pointer[error]
	broken chan struct{} // closed once the store takes no more appends
	once   sync.Once     // closes it
}

func watchStore(store eventstore.Store) *watchedStore {
	return &watchedStore{Store: store, broken: make(chan struct{})}
}

// Append appends to the store.
func (s *watchedStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	events, err := s.Store.Append(ctx, writes...)
	if err != nil && !isRefusal(err) {
		s.failed.CompareAndSwap(nil, &err)
		if errors.As(err, new(*eventstore.FailedError)) {
			s.once.Do(func() { close(s.broken) })
		}
	}
	return events, err
}

// isRefusal reports whether the store refused an append that it could have carried
// out otherwise.
func isRefusal(err error) bool {
	for _, refusal := range []error{eventstore.ErrConcurrencyConflict, eventstore.ErrEventIDReused, eventstore.ErrLimit, context.Canceled} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// failure returns the first failure; nil if there was none.
func (s *watchedStore) failure() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}
