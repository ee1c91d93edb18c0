package actor

import (
	"context"
	"errors"
	"fmt"
)

// Ref reaches an actor, in whatever incarnation, for as long as the system
// lives. It is comparable; the zero value reaches nobody.
type Ref[M any] struct {
	cell *cell[M]
}

// Tell puts the message into the actor's mailbox and never waits. It fails with
// ErrMailboxFull where that is the mailbox's policy, and with ErrStopped where
// the actor has ended: the message then is a dead letter. No error does not mean
// that the message is handled.
func (r Ref[M]) Tell(message M) error {
	c := r.cell
	if c == nil {
		return ErrZeroRef
	}
	if c.system.tracer.on.Load() {
		return r.tellTraced(message)
	}
	lost, result := c.push(message)
	if result == refusedClosed {
		return r.refused(message)
	}
	return r.pushed(message, lost, result)
}

// tellUnlessEnded is Tell for a sender that has another actor for the message:
// where this one has ended, the message stays with the sender and is no dead
// letter.
func (r Ref[M]) tellUnlessEnded(message M) (ended bool, err error) {
	lost, result := r.cell.push(message)
	if result == refusedClosed {
		return true, nil
	}
	return false, r.pushed(message, lost, result)
}

// pushed does what is left of Tell once the mailbox of a living actor has
// decided.
func (r Ref[M]) pushed(message, lost M, result accepted) error {
	c := r.cell
	switch result {
	case storedForOther:
		c.deadLetter(lost, LetterDroppedOldest)
	case dropped:
		c.deadLetter(lost, LetterDroppedNewest)
		c.system.events.deliver()
		return nil
	case refusedFull:
		return fmt.Errorf("tell %s: %w", c.path(), ErrMailboxFull)
	default: // it is in the mailbox
	}
	r.sent(message)
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
	switch err := c.pushWait(ctx, message); {
	case err == nil:
		r.sent(message)
		return nil
	case errors.Is(err, ErrStopped):
		return r.refused(message)
	default:
		return fmt.Errorf("tell %s: %w", c.path(), err)
	}
}

// sent has the actor run.
func (r Ref[M]) sent(message M) {
	c := r.cell
	c.schedule()
	c.system.events.deliver()
}

// refused reports a message to an actor that has ended.
func (r Ref[M]) refused(message M) error {
	r.cell.deadLetter(message, LetterStopped)
	r.cell.system.events.deliver()
	return fmt.Errorf("tell %s: %w", r.cell.path(), ErrStopped)
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
