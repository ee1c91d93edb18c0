package integration

import "reprise/actor"

// jobClock is the actor that wakes the book of jobs when something in it is due.
type jobClock struct {
	book  *jobBook
	timer *actor.Timer[jobClockMessage]
}

// jobClockMessage is what the clock understands.
type jobClockMessage interface{ jobClockMessage() }

// wakeJobs asks the clock to look now.
type wakeJobs struct{}

func (wakeJobs) jobClockMessage() {}

// Started looks at once: the timer of an earlier incarnation is gone.
func (c *jobClock) Started(ctx *actor.Context[jobClockMessage]) error {
	return c.Receive(ctx, wakeJobs{})
}

// Receive does what is due, and sets the timer for what is due next.
func (c *jobClock) Receive(ctx *actor.Context[jobClockMessage], _ jobClockMessage) error {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if in, ok := c.book.due(); ok {
		c.timer = ctx.After(in, wakeJobs{})
	}
	return nil
}
