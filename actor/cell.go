package actor

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// cell is an actor's place in the system: what outlives its incarnations. The
// goroutine that runs the task owns the incarnation; the supervisor, under
// System.mu, asks for a start or a stop through orders.
type cell[M any] struct {
	node
	task
	queue[M]
	system      *System
	newActor    func() Actor[M]
	stopTimeout time.Duration

	// orders holds what the supervisor wants and the runner has not done yet.
	orders atomic.Uint32
	// stopCause is written before orderStop is set and read after it is seen.
	stopCause error
	// current is the incarnation; nil between two of them.
	current atomic.Pointer[Context[M]]
	// due counts the timer messages that the incarnation has to handle.
	due atomic.Int32
	// handled counts messages: those of a run when it is over, those of a
	// Blocking actor one by one, since its run may take hours.
	handled atomic.Uint64
	// crashed is set where the incarnation ended its goroutine; the runner's.
	crashed bool
}

const (
	orderStart = 1 << iota
	orderStop
)

const (
	// batchSize is how many messages a run takes from the mailbox at once,
	// runBudget how many it handles before other actors have their turn.
	batchSize = 16
	runBudget = 128
)

func newCell[M any](spec Spec[M]) *cell[M] {
	c := &cell[M]{newActor: spec.New, stopTimeout: spec.StopTimeout}
	if c.stopTimeout == 0 {
		c.stopTimeout = DefaultStopTimeout
	}
	c.init(spec.Mailbox)
	c.blocking = spec.Blocking
	c.job = c
	return c
}

// schedule sees to it that the actor runs soon.
func (c *cell[M]) schedule() { c.system.pool.schedule(&c.task) }

// The methods of child, called with System.mu held.

func (c *cell[M]) adopted() {
	c.system.homes++
	c.home = c.system.homes % uint32(len(c.system.pool.queues))
	if c.system.events.wanted() {
		c.system.events.add(ActorSpawned{Path: c.path(), At: c.system.now()})
	}
}

func (c *cell[M]) launch() {
	c.orders.Or(orderStart)
	c.schedule()
}

func (c *cell[M]) halt(cause error, _ bool) {
	c.stopCause = cause
	c.orders.Or(orderStop)
	c.schedule()
}

func (c *cell[M]) patience() time.Duration { return c.stopTimeout }

func (c *cell[M]) cut() {
	if inc := c.current.Load(); inc != nil {
		inc.cut()
	}
}

func (c *cell[M]) abandon() {
	c.cut()
	if w := c.on.Load(); w != nil {
		c.system.pool.lose(w)
	}
}

func (c *cell[M]) finish(cause error) {
	for _, message := range c.close() {
		c.deadLetter(message, LetterStopped)
	}
	c.system.registry.forget(&c.node)
	if c.system.events.wanted() {
		c.system.events.add(ActorTerminated{Path: c.path(), Cause: cause, At: c.system.now()})
	}
}

func (c *cell[M]) begun() uint64 { return c.handled.Load() }

func (c *cell[M]) waiting() int { return int(max(0, c.depth.Load())) }

// deadLetter reports a message that nobody will handle. The caller delivers
// the event.
func (c *cell[M]) deadLetter(message M, reason LetterReason) {
	if c.system.events.wanted() {
		c.system.events.add(DeadLetter{To: c.path(), Message: message, Reason: reason, At: c.system.now()})
	}
}

// hasWork implements job.
func (c *cell[M]) hasWork() bool {
	return c.orders.Load() != 0 || c.current.Load() != nil && (c.depth.Load() > 0 || c.due.Load() > 0)
}

// run implements job: it carries out orders and handles messages, until
// nothing is left to do or others should have their turn.
func (c *cell[M]) run() {
	var batch [batchSize]M
	next, taken := 0, 0 // batch[next:taken] is to be handled
	returned, handled := false, uint64(0)
	defer func() {
		c.handled.Add(handled)
		if next < taken {
			c.giveBack(batch[next:taken])
		}
		if !returned {
			// The goroutine is about to end. Another one goes on; whoever ran
			// this task has not touched it since, so it is still scheduled.
			c.crashed = true
			c.system.pool.push(&c.task)
		}
	}()
	if c.crashed {
		c.crashed = false
		c.end(ErrExited)
	}
	for budget := c.system.pool.budget(); budget > 0 && c.obey(); budget-- {
		inc := c.current.Load()
		message, ok := inc.nextDue()
		if !ok && next == taken {
			if next, taken = 0, c.take(batch[:min(budget, batchSize)]); taken == 0 {
				break
			}
		}
		if !ok {
			message = batch[next]
			next++
			c.begin()
		}
		if handled++; c.blocking {
			c.handled.Add(handled)
			handled = 0
		}
		var err error
		if mark := c.taken; mark != nil && !ok {
			c.taken = nil
			err = inc.receiveTraced(message, mark)
		} else {
			err = inc.receive(message)
		}
		if err != nil {
			c.deadLetter(message, LetterFailed)
			c.end(err)
		} else if inc.stopping {
			c.end(nil)
		}
	}
	returned = true
}

// giveBack returns messages that were taken but not handled to the mailbox.
func (c *cell[M]) giveBack(batch []M) {
	if c.putBack(batch) {
		return
	}
	for _, message := range batch {
		c.deadLetter(message, LetterStopped)
	}
	c.system.events.deliver()
}

// obey carries out the orders and reports whether there is an incarnation to
// handle messages.
func (c *cell[M]) obey() bool {
	for {
		switch orders := c.orders.Load(); {
		case orders&orderStop != 0:
			if c.current.Load() == nil { // it was never started
				c.report(nil)
			} else {
				c.end(c.stopCause)
			}
		case orders&orderStart != 0:
			c.orders.And(^uint32(orderStart))
			c.start()
		default:
			return c.current.Load() != nil
		}
	}
}

// start makes an incarnation.
func (c *cell[M]) start() {
	inc := &Context[M]{cell: c}
	c.current.Store(inc)
	switch err := inc.start(); {
	case err != nil:
		c.end(err)
	case inc.stopping:
		c.end(nil)
	default:
		c.system.lock()
		c.system.started(&c.node)
		c.system.unlock()
	}
}

// end ends the incarnation and tells the supervisor. With an incarnation that
// crashed in Stopped, it only does what was left to do.
func (c *cell[M]) end(cause error) {
	if inc := c.current.Load(); inc != nil {
		cause = inc.end(cause)
		inc.cut()
		c.current.Store(nil)
	}
	c.report(cause)
}

// report tells the supervisor that there is no incarnation any more, and why.
// What it wanted of the one that was is settled with that.
func (c *cell[M]) report(cause error) {
	c.system.lock()
	c.orders.Store(0)
	c.system.exited(&c.node, cause)
	c.system.unlock()
}

// start calls New and Started.
func (c *Context[M]) start() error {
	return guard(func() error {
		c.actor = c.cell.newActor()
		if c.actor == nil {
			return errors.New("no actor was returned by New")
		}
		if s, ok := c.actor.(Starter[M]); ok {
			return s.Started(c)
		}
		return nil
	})
}

func (c *Context[M]) receive(message M) (err error) {
	defer recovered(&err)
	return c.actor.Receive(c, message)
}

func (c *Context[M]) nextDue() (M, bool) {
	if c.cell.due.Load() == 0 {
		var none M
		return none, false
	}
	return c.timers.next()
}

// end calls Stopped, where that was not done yet, and returns what the
// incarnation ended of.
func (c *Context[M]) end(cause error) error {
	if c.timers != nil {
		c.timers.close()
	}
	if c.over {
		return cause
	}
	c.over = true
	s, ok := c.actor.(Stopper[M])
	if !ok {
		return cause
	}
	err := guard(func() error {
		s.Stopped(c, cause)
		return nil
	})
	if err == nil {
		return cause
	}
	err = fmt.Errorf("in Stopped: %w", err)
	if cause == nil {
		return err
	}
	return errors.Join(cause, err)
}

// guard returns what f returns, or its panic.
func guard(f func() error) (err error) {
	defer recovered(&err)
	return f()
}

// recovered turns a panic into a *PanicError; it is to be deferred.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}
