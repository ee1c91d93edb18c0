package actor

import (
	"strconv"
	"time"
)

// child is what a supervisor looks after: an actor or another supervisor. The
// methods are called with System.mu held and return at once.
type child interface {
	// adopted is called once, when the child has its place in the tree.
	adopted()
	// launch starts an incarnation: a signal to the parent tells when it is ready, or
	// why it is not.
	launch()
	// halt stops the incarnation, for good where final is set; a signal
	// tells when it has ended.
	halt(cause error, final bool)
	// patience is how long to wait for that; 0 is for ever.
	patience() time.Duration
	// cut cancels the incarnation's context.
	cut()
	// abandon is called where an incarnation did not end in time.
	abandon()
	// finish ends the child for good.
	finish(cause error)
	// waiting is the number of messages in the mailbox.
	waiting() int
	// begun is how many messages were handled so far, as Tree.Handled has it.
	begun() uint64
}

// nodeState is what a supervisor knows of a child.
type nodeState uint8

const (
	starting  nodeState = iota // asked to start
	running                    // ready
	stopping                   // asked to stop
	down                       // no incarnation: not started yet, or to be restarted
	abandoned                  // did not stop in time; the incarnation may live on
	ended                      // for good
)

// node is a child in the supervision tree. All of it but parent, name and id is
// guarded by System.mu.
type node struct {
	child      child
	parent     *Supervisor // nil at the root
	prev, next *node
	name       string
	id         uint64 // unique among siblings, ascending in the order of start

	restart Restart
	state   nodeState
	// leave is set where the child is not to come back once it has stopped.
	leave bool
	// relaunch is set where an abandoned child is to be started as soon as its
	// old incarnation has ended: there are never two at a time.
	relaunch bool
	alarm    alarm // ends a backoff, or the patience with a stop

	born, launched time.Duration // on System.clock
	launches       uint32
	failures       uint32 // in a row, for the backoff
}

// label returns the name, or what stands for it.
func (n *node) label() string {
	if n.name == "" {
		return "#" + strconv.FormatUint(n.id, 10)
	}
	return n.name
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
func (n *node) restarts() int { return int(max(n.launches, 1)) - 1 }

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
