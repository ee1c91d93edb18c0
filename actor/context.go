package actor

import (
	"context"
)

// Context gives an incarnation of an actor access to itself and to its system. It
// is valid during the calls of that incarnation. Self, Path and Name may be used
// elsewhere; the other methods must not, because they would act on whatever
// incarnation is current.
type Context[M any] cell[M]

// cellExtra holds what few incarnations need.
type cellExtra[M any] struct {
	first  Actor[M] // as New made it; nil where it is cell.actor
	timers *timerSet[M]
	// stash holds messages set aside; unstashed holds those to be handled before
	// the mailbox.
	stash, unstashed []stashedMessage[M]
	mark             *mark // of the message being handled; nil if it is not traced
}

// stashedMessage is a message in the stash, with its mark if it is traced.
type stashedMessage[M any] struct {
	message M
	mark    *mark
}

// more returns cellExtra.
func (c *cell[M]) more() *cellExtra[M] {
	if c.extras == nil {
		c.extras = &cellExtra[M]{}
	}
	return c.extras
}

func (c *Context[M]) cell() *cell[M] { return (*cell[M])(c) }

// Self returns the reference under which the actor is reached, in this and
// every other incarnation.
func (c *Context[M]) Self() Ref[M] { return Ref[M]{c.cell()} }

// Name returns the actor's name among its siblings.
func (c *Context[M]) Name() string { return c.label() }

// Path returns the names from the root down to the actor, as in "/runs/run".
func (c *Context[M]) Path() string { return c.path() }

// Stop ends the actor normally once the current call has returned without an error.
// A Permanent actor is restarted nevertheless.
func (c *Context[M]) Stop() { c.flags.Or(flagLeaving) }

// Context returns a context that is cancelled when the incarnation has ended,
// when it did not stop within its StopTimeout, and when the deadline of
// System.Shutdown has passed.
func (c *Context[M]) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	extra := c.queue.more()
	if extra.ctx == nil {
		extra.ctx, extra.cancel = context.WithCancel(c.parent.system.ctx)
		if extra.isCut || c.closed {
			extra.cancel()
		}
	}
	return extra.ctx
}

// cut cancels Context, now or when it is asked for.
func (c *cell[M]) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	extra := c.queue.more()
	extra.isCut = true
	if extra.cancel != nil {
		extra.cancel()
	}
}

// uncut makes room for the next incarnation's Context.
func (c *cell[M]) uncut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if extra := c.extra; extra != nil {
		if extra.cancel != nil {
			extra.cancel()
		}
		extra.ctx, extra.cancel, extra.isCut = nil, nil, false
	}
}

// Behaviour is a function that handles messages.
type Behaviour[M any] func(ctx *Context[M], message M) error

// Receive calls the function.
func (b Behaviour[M]) Receive(ctx *Context[M], message M) error { return b(ctx, message) }

// Become makes the behaviour receive the messages after this one, in this
// incarnation; nil returns to the actor that New made, whose Stopped runs in any
// case. A new incarnation starts with the actor that New makes.
func (c *Context[M]) Become(behaviour Behaviour[M]) {
	switch {
	case behaviour != nil:
		if c.cell().more().first == nil {
			c.extras.first = c.actor
		}
		c.actor = behaviour
	case c.extras != nil && c.extras.first != nil:
		c.actor, c.extras.first = c.extras.first, nil
	}
}

// Stash sets a message aside, usually the one being handled, until Unstash. The
// stash has room for as many messages as the mailbox, in addition to those waiting
// there; one more fails with ErrStashFull and remains the caller's to deal with.
// The first message that is stashed while a traced message is being handled is
// taken to be that message, and keeps its trace.
//
// When the incarnation ends, the stash goes back to the front of the mailbox: like
// the mailbox, it waits for the next incarnation or becomes dead letters.
func (c *Context[M]) Stash(message M) error {
	extras := c.cell().more()
	if len(extras.stash)+len(extras.unstashed) >= int(c.capacity) {
		return ErrStashFull
	}
	extras.stash = append(extras.stash, stashedMessage[M]{message, extras.mark.setAside()})
	return nil
}

// Unstash makes all stashed messages the next to be handled, before those in the
// mailbox, in the order in which they were stashed.
func (c *Context[M]) Unstash() {
	if c.extras == nil || len(c.extras.stash) == 0 {
		return
	}
	c.extras.unstashed = append(c.extras.unstashed, c.extras.stash...)
	c.extras.stash = nil
	c.flags.Or(flagUnstashing)
}

// nextUnstashed returns the next unstashed message; there must be one.
func (c *cell[M]) nextUnstashed() (next stashedMessage[M]) {
	left := c.extras.unstashed
	next, left[0] = left[0], next
	c.extras.unstashed = left[1:]
	if len(left) == 1 {
		c.extras.unstashed = nil
		c.flags.And(^uint32(flagUnstashing))
	}
	return next
}

// unstashed takes the messages that were due to be handled before the mailbox.
func (c *cell[M]) unstashed() []stashedMessage[M] {
	left := c.extras.unstashed
	c.extras.unstashed = nil
	c.flags.And(^uint32(flagUnstashing))
	return left
}

// stashed takes all messages that were set aside, in order.
func (c *cell[M]) stashed() []stashedMessage[M] {
	if c.extras == nil {
		return nil
	}
	all := append(c.unstashed(), c.extras.stash...)
	c.extras.stash = nil
	return all
}
