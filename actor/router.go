package actor

import (
	"fmt"
	"slices"
	"sync"
)

// Router forwards messages by key. The zero value has no routes and is ready for
// use.
type Router[K comparable, M any] struct {
	mu    sync.RWMutex // guards what follows
	refs  map[K]Ref[M]
	order []K // in which the keys were added
}

// Delivery is the result of a broadcast for one key: the error of Tell, or
// ErrNoRoute.
type Delivery[K comparable] struct {
	Key K
	Err error
}

// Add routes the key to the actor. It fails with ErrNameTaken if the key has a
// route, and with ErrZeroRef.
func (r *Router[K, M]) Add(key K, to Ref[M]) error {
	if to.cell == nil {
		return fmt.Errorf("add route %v: %w", key, ErrZeroRef)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.refs[key]; taken {
		return fmt.Errorf("add route %v: %w", key, ErrNameTaken)
	}
	if r.refs == nil {
		r.refs = map[K]Ref[M]{}
	}
	r.refs[key] = to
	r.order = append(r.order, key)
	return nil
}

// Remove removes the route. It fails with ErrNoRoute.
func (r *Router[K, M]) Remove(key K) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.refs[key]; !ok {
		return fmt.Errorf("remove route %v: %w", key, ErrNoRoute)
	}
	delete(r.refs, key)
	i := slices.Index(r.order, key)
	r.order = slices.Delete(r.order, i, i+1)
	return nil
}

// Route tells the message to the key's actor. It fails with ErrNoRoute and with
// the errors of Tell.
func (r *Router[K, M]) Route(key K, message M) error { return r.RouteFrom(nil, key, message) }

// RouteFrom is to Route as Send is to Tell: the message continues the trace of the
// actor that sends it.
func (r *Router[K, M]) RouteFrom(from Sender, key K, message M) error {
	r.mu.RLock()
	to, ok := r.refs[key]
	r.mu.RUnlock()
	if !ok {
		return fmt.Errorf("route to %v: %w", key, ErrNoRoute)
	}
	return Send(from, to, message)
}

// Broadcast tells the message to the actors of the given keys or, if none are
// given, of all keys in the order they were added. It returns the result for each,
// in that order; a failure does not affect the others.
func (r *Router[K, M]) Broadcast(message M, keys ...K) []Delivery[K] {
	return r.BroadcastFrom(nil, message, keys...)
}

// BroadcastFrom is to Broadcast as Send is to Tell.
func (r *Router[K, M]) BroadcastFrom(from Sender, message M, keys ...K) []Delivery[K] {
	if len(keys) == 0 {
		r.mu.RLock()
		keys = slices.Clone(r.order)
		r.mu.RUnlock()
	}
	deliveries := make([]Delivery[K], len(keys))
	for i, key := range keys {
		deliveries[i] = Delivery[K]{key, r.RouteFrom(from, key, message)}
	}
	return deliveries
}
