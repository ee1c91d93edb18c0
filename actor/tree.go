package actor

import "time"

// State is what a child is doing, as Tree shows it.
type State string

const (
	// StateStarting is a child whose Started has not returned, or that waits for
	// its turn to start.
	StateStarting State = "starting"
	// StateRunning is a child that is ready.
	StateRunning State = "running"
	// StateStopping is a child that was asked to stop.
	StateStopping State = "stopping"
	// StateWaiting is a child that is down and waits for its restart.
	StateWaiting State = "waiting to restart"
	// StateAbandoned is a child that did not stop in time and is no longer waited
	// for.
	StateAbandoned State = "abandoned"
	// StateEnded is a child that has ended for good.
	StateEnded State = "ended"
)

// Tree is a supervisor or an actor and everything below it, at one moment.
type Tree struct {
	Path string
	// Supervisor is false for an actor.
	Supervisor bool
	State      State
	// Depth is the number of messages in the mailbox.
	Depth int
	// Handled counts the messages since the spawn, including those of timers and
	// the one being handled. Messages that an actor takes at once (see
	// Mailbox.Capacity) are counted by neither Depth nor Handled until that turn
	// ends.
	Handled uint64
	// Restarts counts the restarts since the spawn.
	Restarts int
	// Age is the time since the supervisor was spawned, or the actor was first
	// started, with a resolution of 1/64 s.
	Age time.Duration
	// Children are in the order of their start.
	Children []Tree
}

// Tree returns everything in the system. Supervision is blocked while it runs.
func (s *System) Tree() Tree {
	s.lock()
	defer s.unlock()
	return s.root.tree(s.clock())
}

func (s *Supervisor) tree(now time.Duration) Tree {
	t := s.node.tree(now)
	t.Supervisor = true
	for n := s.first; n != nil; n = n.next {
		if below, ok := n.child().(*Supervisor); ok {
			t.Children = append(t.Children, below.tree(now))
		} else {
			t.Children = append(t.Children, n.tree(now))
		}
	}
	return t
}

func (n *node) tree(now time.Duration) Tree {
	return Tree{
		Path: n.path(), State: n.shown(), Depth: n.child().waiting(), Handled: n.child().begun(),
		Restarts: n.restarts(), Age: n.age(now),
	}
}

func (n *node) shown() State {
	switch n.state {
	case starting:
		if n.child().ready() {
			return StateRunning
		}
		return StateStarting
	case running:
		return StateRunning
	case stopping:
		return StateStopping
	case abandoned:
		return StateAbandoned
	case ended:
		return StateEnded
	default:
		if n.isNew() {
			return StateStarting
		}
		return StateWaiting
	}
}
