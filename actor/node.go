package actor

import (
	"strconv"
	"sync/atomic"
	"time"
)

// child is what a supervisor supervises: an actor or another supervisor. The
// methods are called with System.mu held and return at once.
type child interface {
	job
	// adopted is called once, when the child has its place in the tree.
	adopted()
	// launch starts an incarnation. The parent is signalled if it fails to start
	// and, if announce is set, when it is ready.
	launch(announce bool)
	// ready reports whether it is.
	ready() bool
	// halt stops the incarnation, for good if final is set; a signal says when it
	// has ended.
	halt(cause error, final bool)
	// patience is how long to wait for that; 0 means for ever.
	patience() time.Duration
	// cut cancels the incarnation's context.
	cut()
	// abandon is called if an incarnation did not end in time.
	abandon()
	// finish ends the child for good.
	finish(cause error)
	// waiting is the number of messages in the mailbox.
	waiting() int
	// begun is how many messages were handled so far, counted as in Tree.Handled.
	begun() uint64
}

// nodeState is what a supervisor knows about a child.
type nodeState uint8

const (
	starting  nodeState = iota // asked to start
	running                    // ready
	stopping                   // asked to stop
	down                       // no incarnation: not started yet, or to be restarted
	abandoned                  // did not stop in time; the incarnation may live on
	ended                      // for good
)

// node is a child in the supervision tree. Everything but parent, id and the name
// is guarded by System.mu. There may be millions of nodes, so fields that few of
// them need are in nodeRare.
type node struct {
	task
	parent     *Supervisor // nil at the root
	prev, next *node
	id         uint64 // unique among siblings, ascending in the order of start
	rare       atomic.Pointer[nodeRare]

	born    atomic.Uint32 // on System.clock, in bornUnits, and 1; 0 before the first start
	restart Restart
	state   nodeState
	// leave is set if the child must not come back once it has stopped.
	leave bool
	// relaunch is set if an abandoned child must be started as soon as its old
	// incarnation has ended: there are never two at a time.
	relaunch bool
}

// nodeRare holds what few nodes need: those with a name or a StopTimeout, and those
// that failed or are being stopped.
type nodeRare struct {
	name        string // never changes
	stopTimeout time.Duration
	// stopCause is written before flagStop is set and read after it is seen.
	stopCause error
	alarm     alarm         // ends a backoff, or the wait for a stop
	restarted time.Duration // on System.clock, the last time
	restarts  int
	failures  uint32 // in a row, for the backoff
	exited    bool   // there has been an incarnation
}

// bornUnit lets node.born cover two years in four bytes.
const bornUnit = time.Second / 64

// appear notes that the child is started, for the first time or again.
func (n *node) appear(s *System) {
	if n.born.Load() == 0 {
		n.born.Store(uint32(s.clock()/bornUnit) + 1)
	}
}

// age returns the time since the first start; 0 if there was none.
func (n *node) age(now time.Duration) time.Duration {
	born := n.born.Load()
	if born == 0 {
		return 0
	}
	return now - time.Duration(born-1)*bornUnit
}

// seldom returns nodeRare; System.mu is held, or the node is new.
func (n *node) seldom() *nodeRare {
	rare := n.rare.Load()
	if rare == nil {
		rare = &nodeRare{}
		n.rare.Store(rare)
	}
	return rare
}

// child returns the child that the node belongs to.
func (n *node) child() child { return n.job.(child) }

func (n *node) name() string {
	if rare := n.rare.Load(); rare != nil {
		return rare.name
	}
	return ""
}

func (n *node) clearAlarm() {
	if rare := n.rare.Load(); rare != nil {
		rare.alarm.clear()
	}
}

// label returns the name, or what stands for it.
func (n *node) label() string {
	if name := n.name(); name != "" {
		return name
	}
	return "#" + strconv.FormatUint(n.id, 10)
}

func (n *node) path() string {
	switch {
	case n.parent == nil:
		return "/"
	case n.parent.parent == nil:
		return "/" + n.label()
	}
	return n.parent.path() + "/" + n.label()
}

// restarts returns how often the child was started again.
func (n *node) restarts() int {
	if rare := n.rare.Load(); rare != nil {
		return rare.restarts
	}
	return 0
}

// isNew reports whether no incarnation has ended yet.
func (n *node) isNew() bool {
	rare := n.rare.Load()
	return rare == nil || !rare.exited
}

// alarm is a timer whose action runs under System.mu, and never after clear.
type alarm struct {
	stop  func() bool // nil where it is not set
	count uint32
}

func (a *alarm) set(s *System, d time.Duration, action func()) {
	a.clear()
	count := a.count
	a.stop = s.afterFunc(d, func() {
		s.lock()
		defer s.unlock()
		if a.count == count {
			a.stop = nil
			action()
		}
	})
}

func (a *alarm) isSet() bool { return a.stop != nil }

func (a *alarm) clear() {
	a.count++
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}
