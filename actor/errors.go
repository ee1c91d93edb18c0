package actor

import (
	"fmt"
	"strings"
	"time"

	"reprise/fault"
)

var (
	// ErrStopped is returned for an actor, a supervisor or a system that has
	// ended for good.
	ErrStopped = fault.New(fault.Unavailable, "actor has stopped")
	// ErrMailboxFull is returned by Tell for a full mailbox whose policy is Fail.
	ErrMailboxFull = fault.New(fault.Exhausted, "mailbox is full")
	// ErrStashFull is returned by Stash if as many messages are stashed as the
	// mailbox has room for.
	ErrStashFull = fault.New(fault.Exhausted, "stash is full")
	// ErrZeroRef is returned when the zero Ref is used.
	ErrZeroRef = fault.New(fault.Internal, "the zero Ref refers to no actor")
	// ErrNoDeadline is returned by Ask for a context without a deadline.
	ErrNoDeadline = fault.New(fault.Internal, "Ask needs a context with a deadline")
	// ErrNameTaken is returned for a name that is in use.
	ErrNameTaken = fault.New(fault.Conflict, "name is taken")
	// ErrNotFound is returned for a name under which no actor is registered.
	ErrNotFound = fault.New(fault.NotFound, "no actor has that name")
	// ErrWrongMessageType is returned if a registered actor takes messages of
	// another type than requested.
	ErrWrongMessageType = fault.New(fault.Internal, "actor takes messages of another type")
	// ErrNoRoute is returned by a Router for a key without an actor.
	ErrNoRoute = fault.New(fault.NotFound, "no route for the key")
	// ErrExited is the failure of an incarnation that ended its goroutine, as
	// runtime.Goexit and testing's FailNow do.
	ErrExited = fault.New(fault.Internal, "actor ended its goroutine (runtime.Goexit)")
	// ErrNormalStop is the failure of a Permanent actor that stopped of its own
	// accord.
	ErrNormalStop = fault.New(fault.Internal, "permanent actor stopped of its own accord")
	// ErrSiblingFailed is the cause given to an incarnation that the strategy
	// restarts because another actor failed.
	ErrSiblingFailed = fault.New(fault.Internal, "restarted together with another actor")
)

func bad(field string, value any, problem, fix string) error {
	return &fault.FieldError{Field: field, Value: fmt.Sprint(value), Problem: problem, Fix: fix}
}

// PanicError is the failure of an incarnation that panicked.
type PanicError struct {
	// Value is what was given to panic.
	Value any
	// Stack is the stack of the goroutine at the panic.
	Stack []byte
}

// Error returns the value; the stack is in its field.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Kind returns Internal.
func (e *PanicError) Kind() fault.Kind { return fault.Internal }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// GaveUpError says that a supervisor ended because its children failed more
// often than its Intensity allows.
type GaveUpError struct {
	// Supervisor and Child are paths: the supervisor that gave up, and the child it
	// gave up on.
	Supervisor, Child string
	// Restarts within Period were allowed.
	Restarts int
	Period   time.Duration
	// Cause is the last failure.
	Cause error
}

// Error names supervisor, child, limit and the last cause.
func (e *GaveUpError) Error() string {
	return fmt.Sprintf("supervisor %s gave up on %s: more than %d restarts within %v; the last failure: %v",
		e.Supervisor, e.Child, e.Restarts, e.Period, e.Cause)
}

// Kind returns that of Cause.
func (e *GaveUpError) Kind() fault.Kind { return fault.KindOf(e.Cause) }

// Unwrap returns the last failure.
func (e *GaveUpError) Unwrap() error { return e.Cause }

// AbandonedError names the actors that did not stop in time. They may still be
// running: what they hold is not released.
type AbandonedError struct {
	Paths []string
}

// Error lists the paths.
func (e *AbandonedError) Error() string {
	const most = 5
	if n := len(e.Paths); n > most {
		return fmt.Sprintf("%d actors did not stop in time and were abandoned, among them %s", n, strings.Join(e.Paths[:most], ", "))
	}
	return "did not stop in time and was abandoned: " + strings.Join(e.Paths, ", ")
}

// Kind returns Unavailable.
func (e *AbandonedError) Kind() fault.Kind { return fault.Unavailable }
