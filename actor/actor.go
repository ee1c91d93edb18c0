package actor

import (
	"strings"
	"time"
)

// Actor is a behaviour with the state it works on. Its methods are called by one
// goroutine at a time.
type Actor[M any] interface {
	// Receive handles a message. An error or a panic fails the incarnation: the
	// message is lost, and the supervisor decides what comes next. It should
	// return soon unless Spec.Blocking is set.
	Receive(ctx *Context[M], message M) error
}

// Starter is implemented by actors that have something to do before their first
// message.
type Starter[M any] interface {
	// Started runs first in every incarnation; an error or a panic fails it.
	Started(ctx *Context[M]) error
}

// Stopper is implemented by actors that have something to release.
type Stopper[M any] interface {
	// Stopped runs last in every incarnation that New made, exactly once, even if
	// Started failed or Receive panicked. The cause is nil for a normal stop.
	// Otherwise it is the actor's own failure, ErrSiblingFailed if a sibling
	// failed, or a *GaveUpError if the supervisor gave up.
	Stopped(ctx *Context[M], cause error)
}

// Spec describes an actor and how it is supervised. Only New is required.
type Spec[M any] struct {
	// Name is unique among the children of a supervisor. It has 1 to MaxName bytes,
	// contains no slash and no control characters, and does not begin with "#". An
	// actor without a name is called "#" followed by a number.
	Name string
	// New makes the actor of every incarnation. It runs where the actor runs.
	New func() Actor[M]
	// Mailbox bounds the messages that wait for the actor.
	Mailbox Mailbox
	// Restart says what happens when the actor ends; the default is Permanent.
	Restart Restart
	// StopTimeout is how long a stop waits for the message being handled and
	// for Stopped before it cancels Context.Context and, shortly after, abandons
	// the actor; 0 means DefaultStopTimeout.
	StopTimeout time.Duration
	// Blocking says that a call may compute or wait for a long time: the actor then
	// runs on a goroutine of its own while it has messages.
	Blocking bool
	// singly makes the runner take messages one by one, so that every waiting
	// message is counted.
	singly bool
}

const (
	// DefaultStopTimeout is used for a StopTimeout of 0.
	DefaultStopTimeout = 5 * time.Second
	// MaxName is the maximum length of a name in bytes.
	MaxName = 255
)

// Restart says what happens to a child that has ended.
type Restart uint8

const (
	// Permanent children are always restarted.
	Permanent Restart = iota
	// Transient children are restarted if they failed, but not if they stopped
	// normally.
	Transient
	// Temporary children are never restarted.
	Temporary
)

// String returns "permanent", "transient" or "temporary".
func (r Restart) String() string {
	switch r {
	case Permanent:
		return "permanent"
	case Transient:
		return "transient"
	case Temporary:
		return "temporary"
	}
	return "unknown"
}

func (r Restart) validate() error {
	if r > Temporary {
		return bad("Restart", uint8(r), "is not a known restart policy", "use Permanent, Transient or Temporary")
	}
	return nil
}

// Validate returns a *fault.FieldError for a setting outside its limits.
func (s Spec[M]) Validate() error {
	if s.New == nil {
		return bad("New", "nil", "cannot make an actor", "give a function that returns a new actor")
	}
	if s.StopTimeout < 0 {
		return bad("StopTimeout", s.StopTimeout, "must not be negative", "use 0 for the default")
	}
	if err := validateName(s.Name); err != nil {
		return err
	}
	if err := s.Restart.validate(); err != nil {
		return err
	}
	return s.Mailbox.Validate()
}

func validateName(name string) error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' }
	if len(name) > MaxName || strings.HasPrefix(name, "#") || strings.ContainsFunc(name, control) {
		return bad("Name", name, "is not a valid name", "use at most 255 bytes without slashes or control characters, not beginning with #")
	}
	return nil
}

// Spawn starts an actor under the parent and returns at once: New and Started run
// on a worker, before the first message. It fails with a *fault.FieldError for an invalid
// spec, with ErrNameTaken, and with ErrStopped if the parent has ended or is
// ending.
func Spawn[M any](parent *Supervisor, spec Spec[M]) (Ref[M], error) {
	if err := spec.Validate(); err != nil {
		return Ref[M]{}, err
	}
	c := newCell(spec)
	if err := parent.adopt(&c.node, spec.Name, spec.Restart, c); err != nil {
		return Ref[M]{}, err
	}
	return Ref[M]{c}, nil
}
