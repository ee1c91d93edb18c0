package actor

import (
	"context"
)

// Context is what an incarnation of an actor knows of itself, and what it may
// ask for. It is for the calls of that incarnation: Self, Path, Name and Context
// may be used from elsewhere, the others may not.
type Context[M any] struct {
	cell  *cell[M]
	actor Actor[M] // or what it has become
	// stopping is set by Stop, over before Stopped is called, unstashing while
	// extras.unstashed has messages.
	stopping, over, unstashing bool
	isCut                      bool              // guarded by cell.mu
	extras                     *contextExtras[M] // nil until it is needed
}

// contextExtras is what few incarnations have.
type contextExtras[M any] struct {
	first  Actor[M] // as New made it; nil where it is Context.actor
	timers *timerSet[M]
	// stash is set aside; unstashed is to be handled before the mailbox.
	stash, unstashed []M
}

// seldom returns contextExtras.
func (c *Context[M]) seldom() *contextExtras[M] {
	if c.extras == nil {
		c.extras = &contextExtras[M]{}
	}
	return c.extras
}

// Self returns the reference under which the actor is reached, in this and
// every other incarnation.
func (c *Context[M]) Self() Ref[M] { return Ref[M]{c.cell} }

// Name returns the actor's name among its siblings.
func (c *Context[M]) Name() string { return c.cell.label() }

// Path returns the names from the root down to the actor, as in "/runs/run".
func (c *Context[M]) Path() string { return c.cell.path() }

// Stop ends the actor normally once the present call has returned without an
// error. A Permanent actor is restarted even so.
func (c *Context[M]) Stop() { c.stopping = true }

// Context returns a context that is cancelled when the incarnation has ended,
// when it did not stop within its StopTimeout, and when the deadline of
// System.Shutdown has passed.
func (c *Context[M]) Context() context.Context {
	c.cell.mu.Lock()
	defer c.cell.mu.Unlock()
	if c.isCut {
		ctx, cancel := context.WithCancel(c.cell.system().ctx)
		cancel()
		return ctx
	}
	extra := c.cell.queue.extras()
	if extra.ctx == nil {
		extra.ctx, extra.cancel = context.WithCancel(c.cell.system().ctx)
	}
	return extra.ctx
}

// cut cancels Context, now or when it is asked for.
func (c *Context[M]) cut() {
	c.cell.mu.Lock()
	defer c.cell.mu.Unlock()
	if c.isCut {
		return
	}
	c.isCut = true
	if extra := c.cell.extra; extra != nil && extra.cancel != nil {
		extra.cancel()
		extra.ctx, extra.cancel = nil, nil
	}
}

// Behaviour is a way to receive messages.
type Behaviour[M any] func(ctx *Context[M], message M) error

// Receive calls the function.
func (b Behaviour[M]) Receive(ctx *Context[M], message M) error { return b(ctx, message) }

// Become has the behaviour receive the messages that come after this one, in
// this incarnation; nil leads back to the actor that New made, whose Stopped
// runs in any case. A new incarnation begins with New's again.
func (c *Context[M]) Become(behaviour Behaviour[M]) {
	switch {
	case behaviour != nil:
		if c.seldom().first == nil {
			c.extras.first = c.actor
		}
		c.actor = behaviour
	case c.extras != nil && c.extras.first != nil:
		c.actor, c.extras.first = c.extras.first, nil
	}
}

// Stash sets a message aside, usually the one being handled, until Unstash. As
// many fit as in the mailbox, beside those that wait there; it fails with
// ErrStashFull for one more, which is then the caller's to deal with.
//
// What is stashed when the incarnation ends goes back to the front of the
// mailbox: it waits for the next incarnation, as the mailbox does, or becomes
// dead letters with it.
func (c *Context[M]) Stash(message M) error {
	extras := c.seldom()
	if len(extras.stash)+len(extras.unstashed) >= int(c.cell.capacity) {
		return ErrStashFull
	}
	extras.stash = append(extras.stash, message)
	return nil
}

// Unstash has all stashed messages handled next, before those that wait in the
// mailbox, in the order in which they were stashed.
func (c *Context[M]) Unstash() {
	if c.extras == nil || len(c.extras.stash) == 0 {
		return
	}
	c.extras.unstashed = append(c.extras.unstashed, c.extras.stash...)
	c.extras.stash = nil
	c.unstashing = true
}

// nextUnstashed returns the next message of those that were unstashed; there is
// one.
func (c *Context[M]) nextUnstashed() (message M) {
	left := c.extras.unstashed
	message, left[0] = left[0], message
	c.extras.unstashed = left[1:]
	if c.unstashing = len(left) > 1; !c.unstashing {
		c.extras.unstashed = nil
	}
	return message
}

// unstashed takes the messages that were to be handled before the mailbox.
func (c *Context[M]) unstashed() []M {
	left := c.extras.unstashed
	c.extras.unstashed, c.unstashing = nil, false
	return left
}

// stashed takes all messages that were set aside, in their order.
func (c *Context[M]) stashed() []M {
	if c.extras == nil {
		return nil
	}
	all := append(c.unstashed(), c.extras.stash...)
	c.extras.stash = nil
	return all
}
