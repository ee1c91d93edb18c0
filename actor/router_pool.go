package actor

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Routing says how a RouterPool chooses the routee of a message.
type Routing uint8

const (
	// RoundRobin takes the routees in turn.
	RoundRobin Routing = iota
	// ConsistentHash takes the routee that PoolSpec.Key determines. When a routee
	// joins or leaves, keys stay with their routees, except for the share that the
	// joining one takes over or the leaving one gives up: with n routees, one n-th.
	ConsistentHash
	// LeastLoaded takes the routee with the fewest messages in its mailbox; among
	// several, the next in turn.
	LeastLoaded
)

// String returns "round_robin", "consistent_hash" or "least_loaded".
func (r Routing) String() string {
	switch r {
	case RoundRobin:
		return "round_robin"
	case ConsistentHash:
		return "consistent_hash"
	case LeastLoaded:
		return "least_loaded"
	}
	return "unknown"
}

// MaxRoutees bounds the routees of a RouterPool: routing by hash or by load looks
// at each one.
const MaxRoutees = 1024

// PoolSpec describes a RouterPool. Size and Routee are required, and Key for
// ConsistentHash.
type PoolSpec[M any] struct {
	// Supervisor supervises the routees; its Name is the pool's.
	Supervisor SupervisorSpec
	// Size is the initial number of routees, 1 to MaxRoutees.
	Size int
	// Routee describes each routee. Its Name must be empty: routees are called 1,
	// 2, 3 and so on, and no number is used twice.
	Routee  Spec[M]
	Routing Routing
	// Key gives ConsistentHash a message's key. It runs on the goroutine that
	// routes.
	Key func(message M) string
}

// Validate returns a *fault.FieldError for a setting outside its limits.
func (s PoolSpec[M]) Validate() error {
	switch {
	case s.Size < 1 || s.Size > MaxRoutees:
		return bad("Size", s.Size, fmt.Sprintf("must be in [1, %d]", MaxRoutees), "choose another size")
	case s.Routee.Name != "":
		return bad("Routee.Name", s.Routee.Name, "cannot be chosen", "leave it out: routees are numbered")
	case s.Routing > LeastLoaded:
		return bad("Routing", uint8(s.Routing), "is not a known routing", "use RoundRobin, ConsistentHash or LeastLoaded")
	case s.Routing == ConsistentHash && s.Key == nil:
		return bad("Key", "nil", "is required for ConsistentHash", "give a function that returns a message's key")
	}
	if err := s.Supervisor.Validate(); err != nil {
		return err
	}
	return s.Routee.Validate()
}

// RouterPool is a number of equal actors, the routees, under a supervisor of
// their own, with messages routed among them.
//
// A routee that fails and is restarted keeps its place, its keys and its
// mailbox: what is routed to it meanwhile waits for the new incarnation. One that
// has ended for good leaves the pool when a message would have gone to it, and the
// message goes to another. Messages never move from one mailbox to another: those
// left in the mailbox of a routee that ends become dead letters, as with every
// actor.
type RouterPool[M any] struct {
	spec       PoolSpec[M]
	supervisor *Supervisor
	turn       atomic.Uint64

	mu      sync.RWMutex // guards what follows
	routees []routee[M]  // in the order of their numbers; replaced, never changed
	last    int          // the highest number given
}

type routee[M any] struct {
	name string
	seed uint64 // for ConsistentHash
	ref  Ref[M]
}

// SpawnPool starts a pool under the parent. It fails like Spawn.
func SpawnPool[M any](parent *Supervisor, spec PoolSpec[M]) (*RouterPool[M], error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	supervisor, err := parent.Supervise(spec.Supervisor)
	if err != nil {
		return nil, err
	}
	p := &RouterPool[M]{spec: spec, supervisor: supervisor}
	for range spec.Size {
		if _, err := p.Add(); err != nil {
			supervisor.End()
			return nil, err
		}
	}
	return p, nil
}

// Supervisor returns the supervisor of the routees; its Stop ends the pool.
func (p *RouterPool[M]) Supervisor() *Supervisor { return p.supervisor }

// Routees returns the names of the routees in the order in which they joined.
func (p *RouterPool[M]) Routees() []string {
	var names []string
	for _, r := range p.all() {
		names = append(names, r.name)
	}
	return names
}

// Add adds a routee and returns its name. It fails with a *fault.FieldError if there are
// MaxRoutees, and like Spawn.
func (p *RouterPool[M]) Add() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.routees) >= MaxRoutees {
		return "", bad("Size", len(p.routees)+1, fmt.Sprintf("must be at most %d", MaxRoutees), "start another pool")
	}
	spec := p.spec.Routee
	spec.Name, spec.singly = strconv.Itoa(p.last+1), p.spec.Routing == LeastLoaded
	ref, err := Spawn(p.supervisor, spec)
	if err != nil {
		return "", err
	}
	p.last++
	p.routees = append(slices.Clone(p.routees), routee[M]{spec.Name, hash(spec.Name), ref})
	return spec.Name, nil
}

// Remove takes a routee out of the pool: nothing is routed to it any more, and it
// is stopped after the message that it is handling. It fails with ErrNoRoute if
// there is no such routee.
func (p *RouterPool[M]) Remove(name string) error {
	for _, r := range p.all() {
		if r.name == name && p.forget(r) {
			system := p.supervisor.system
			system.lock()
			defer system.unlock()
			p.supervisor.dismiss(&r.ref.cell.node)
			return nil
		}
	}
	return fmt.Errorf("remove routee %q of %s: %w", name, p.supervisor.Path(), ErrNoRoute)
}

// Route tells the message to one routee. It fails with ErrNoRoute if none is left,
// and with the errors of Tell. After ErrMailboxFull no other routee is tried:
// ConsistentHash promises a particular one, and under LeastLoaded the others have
// no more room.
func (p *RouterPool[M]) Route(message M) error { return p.RouteFrom(nil, message) }

// RouteFrom is to Route as Send is to Tell: the message continues the trace of the
// actor that sends it.
func (p *RouterPool[M]) RouteFrom(from Sender, message M) error {
	for {
		routees := p.all()
		if len(routees) == 0 {
			return fmt.Errorf("route to pool %s: %w", p.supervisor.Path(), ErrNoRoute)
		}
		to := p.choose(routees, message)
		ended, err := to.ref.tellUnlessEnded(from, message)
		if !ended {
			return err
		}
		p.forget(to)
	}
}

// Broadcast tells the message to every routee and returns the result for each, in
// the order in which they joined: nil or the error of Tell. A routee that has ended
// gets ErrStopped and leaves the pool.
func (p *RouterPool[M]) Broadcast(message M) []Delivery[string] { return p.BroadcastFrom(nil, message) }

// BroadcastFrom is to Broadcast as Send is to Tell.
func (p *RouterPool[M]) BroadcastFrom(from Sender, message M) []Delivery[string] {
	routees := p.all()
	deliveries := make([]Delivery[string], len(routees))
	for i, r := range routees {
		ended, err := r.ref.tellUnlessEnded(from, message)
		if ended {
			p.forget(r)
			err = fmt.Errorf("tell %s: %w", r.ref.Path(), ErrStopped)
		}
		deliveries[i] = Delivery[string]{r.name, err}
	}
	return deliveries
}

func (p *RouterPool[M]) all() []routee[M] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.routees
}

// forget takes a routee out of the pool and reports whether it was still in it.
func (p *RouterPool[M]) forget(gone routee[M]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.routees, gone)
	if i < 0 {
		return false
	}
	p.routees = slices.Delete(slices.Clone(p.routees), i, i+1)
	return true
}

// choose returns the routee that the message goes to.
func (p *RouterPool[M]) choose(routees []routee[M], message M) routee[M] {
	switch p.spec.Routing {
	case ConsistentHash:
		return rendezvous(routees, hash(p.spec.Key(message)))
	case LeastLoaded:
		first := p.next(len(routees))
		best, least := first, routees[first].ref.cell.waiting()
		for i := 1; i < len(routees) && least > 0; i++ {
			at := (first + i) % len(routees)
			if depth := routees[at].ref.cell.waiting(); depth < least {
				best, least = at, depth
			}
		}
		return routees[best]
	default:
		return routees[p.next(len(routees))]
	}
}

func (p *RouterPool[M]) next(n int) int { return int((p.turn.Add(1) - 1) % uint64(n)) }

// rendezvous returns the routee with the highest weight for the key (Thaler and
// Ravishankar 1998). A weight depends on the key and one routee alone, so one
// that joins takes only keys it is highest for, and one that leaves frees only
// its own. A ring of hashed points would look at fewer routees, but needs many
// points for each to reach shares as even as these.
func rendezvous[M any](routees []routee[M], key uint64) routee[M] {
	best, highest := 0, uint64(0)
	for i, r := range routees {
		if weight := scramble(key ^ r.seed); i == 0 || weight > highest {
			best, highest = i, weight
		}
	}
	return routees[best]
}

// hash returns the same value for the same text in every process.
func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // it never fails
	return scramble(h.Sum64())
}

// scramble is the finaliser of MurmurHash3: each bit of x changes about half of the
// bits of the result.
func scramble(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
