package actor

import (
	"context"
	"errors"
	"fmt"
)

// Ref refers to an actor, whatever its incarnation, for as long as the system
// lives. It is comparable; the zero value refers to no actor.
type Ref[M any] struct {
	cell *cell[M]
}

// Tell puts the message into the actor's mailbox and never waits. It fails with
// ErrMailboxFull if the mailbox is full and that is its policy, and with ErrStopped
// if the actor has ended: the message is then a dead letter. A nil error does not
// mean that the message will be handled.
func (r Ref[M]) Tell(message M) error {
	c := r.cell
	if c == nil {
		return ErrZeroRef
	}
	if c.parent.system.tracer.on.Load() {
		return r.tellTraced(message)
	}
	lost, result := c.push(message)
	switch result {
	case stored: // the common case is short
		r.sent()
		return nil
	case refusedClosed:
		return r.refused(message)
	default:
		return r.pushed(lost, result)
	}
}

// tellUnlessEnded is Tell for a sender that has another actor for the message: if
// this one has ended, the message stays with the sender and does not become a dead
// letter.
func (r Ref[M]) tellUnlessEnded(from Sender, message M) (ended bool, err error) {
	lost, result := r.cell.give(message, r.mark(from))
	if result == refusedClosed {
		return true, nil
	}
	return false, r.pushed(lost, result)
}

// pushed completes Tell once the mailbox of a living actor has decided.
func (r Ref[M]) pushed(lost M, result accepted) error {
	c := r.cell
	switch result {
	case storedForOther:
		c.deadLetter(lost, LetterDroppedOldest)
	case dropped:
		c.deadLetter(lost, LetterDroppedNewest)
		c.system().events.deliver()
		return nil
	case refusedFull:
		return fmt.Errorf("tell %s: %w", c.path(), ErrMailboxFull)
	default: // it is in the mailbox
	}
	r.sent()
	return nil
}

// TellContext puts the message into the actor's mailbox as soon as there is
// room, whatever the mailbox's policy. It fails when ctx is done, and with
// ErrStopped like Tell. An actor must not call it.
func (r Ref[M]) TellContext(ctx context.Context, message M) error {
	c := r.cell
	if c == nil {
		return ErrZeroRef
	}
	m := r.mark(nil)
	switch err := c.pushWait(ctx, message, m, c.sending(message, m)); {
	case err == nil:
		r.sent()
		return nil
	case errors.Is(err, ErrStopped):
		return r.refused(message)
	default:
		return fmt.Errorf("tell %s: %w", c.path(), err)
	}
}

// sent makes the actor run.
func (r Ref[M]) sent() {
	s := r.cell.parent.system
	s.pool.schedule(&r.cell.task)
	s.events.deliver()
}

// refused reports a message to an actor that has ended.
func (r Ref[M]) refused(message M) error {
	r.cell.deadLetter(message, LetterStopped)
	r.cell.parent.system.events.deliver()
	return fmt.Errorf("tell %s: %w", r.cell.path(), ErrStopped)
}

// Done returns a channel that is closed when the actor has ended for good. An actor
// must not wait for it, but use Watch. It is nil for the zero Ref.
func (r Ref[M]) Done() <-chan struct{} {
	if r.cell == nil {
		return nil
	}
	return r.cell.done()
}

// Path returns the names from the root down to the actor; "" for the zero Ref.
func (r Ref[M]) Path() string {
	if r.cell == nil {
		return ""
	}
	return r.cell.path()
}

// String returns the path.
func (r Ref[M]) String() string { return r.Path() }
