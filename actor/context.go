package actor

import (
	"context"
	"sync"
	"time"
)

// Context is what an incarnation of an actor knows of itself. It is for the
// calls of that incarnation: Self, Path, Name and Context may be used from
// elsewhere, Stop and After may not.
type Context[M any] struct {
	cell  *cell[M]
	actor Actor[M]
	// stopping is set by Stop, over before Stopped is called.
	stopping, over bool
	timers         *timerSet[M] // nil until After is called
	mark           *mark        // of the message being handled; nil if it is not traced

	mu     sync.Mutex // guards what follows
	ctx    context.Context
	cancel context.CancelFunc
	isCut  bool
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(c.cell.system.ctx)
		if c.isCut {
			c.cancel()
		}
	}
	return c.ctx
}

// cut cancels Context, now or when it is asked for.
func (c *Context[M]) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	if c.cancel != nil {
		c.cancel()
	}
}

// After sends the message to the actor once d has passed on the runtime's
// clock. It is handled before what waits in the mailbox, needs no room there,
// and is never seen by another incarnation.
func (c *Context[M]) After(d time.Duration, message M) *Timer[M] {
	if c.timers == nil {
		c.timers = &timerSet[M]{cell: c.cell, live: map[*Timer[M]]struct{}{}, closed: c.over}
	}
	return c.timers.add(d, message)
}
