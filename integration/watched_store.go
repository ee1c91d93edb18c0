package integration

import (
	"context"
	"errors"
	"sync/atomic"

	"reprise/eventstore"
)

// watchedStore remembers the first append that the store could not carry out.
type watchedStore struct {
	eventstore.Store
	failed atomic.Pointer[error]
}

// Append appends to the store.
func (s *watchedStore) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	events, err := s.Store.Append(ctx, writes...)
	if err != nil && !isRefusal(err) {
		s.failed.CompareAndSwap(nil, &err)
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
