package actor

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// cell is an actor's place in the system; it outlives the actor's incarnations. The
// goroutine that runs the task owns the incarnation; the supervisor, under
// System.mu, asks for a start or a stop through the task's flags. There may be
// millions of cells, so fields that few of them need are in nodeRare, queueExtra
// and cellExtra.
type cell[M any] struct {
	// The fields that a sender touches are adjacent: the queue, and the beginning
	// of node.
	queue[M]
	node
	newActor func() Actor[M]

	// The following fields belong to the incarnation and its runner. There is never
	// more than one of either.

	actor  Actor[M]      // or what it has become
	extras *cellExtra[M] // nil until it is needed
}

// The flags of a cell's task, in addition to flagScheduled.
const (
	flagStart    = 1 << (iota + 1) // the supervisor wants an incarnation
	flagStop                       // the supervisor wants none
	flagAnnounce                   // the supervisor waits for the incarnation to be ready
	flagReady                      // it is
	flagDue                        // timers' messages are due
	flagNotice                     // there is news of watches
	// What follows is the runner's.
	flagAlive      // there is an incarnation
	flagLeaving    // it has called Context.Stop
	flagOver       // its Stopped has been reached
	flagUnstashing // extras.unstashed has messages

	flagsOrder  = uint32(flagStart | flagStop)
	flagsBefore = uint32(flagDue | flagNotice | flagUnstashing) // go before the mailbox
	// flagsBreak keep a runner from handling the next message of a batch.
	flagsBreak = flagsOrder | flagsBefore | flagLeaving
	// flagsIncarnation are cleared when an incarnation ends.
	flagsIncarnation = uint32(flagStart | flagStop | flagAnnounce | flagReady | flagAlive | flagLeaving | flagOver | flagUnstashing)
)

// context returns the cell as its actor sees it.
func (c *cell[M]) context() *Context[M] { return (*Context[M])(c) }

func (c *cell[M]) has(flag uint32) bool { return c.flags.Load()&flag != 0 }

// runBudget is roughly how many messages a run handles before other actors have
// their turn.
const runBudget = 128

func newCell[M any](spec Spec[M]) *cell[M] {
	c := &cell[M]{newActor: spec.New}
	if spec.StopTimeout != 0 {
		c.node.seldom().stopTimeout = spec.StopTimeout
	}
	c.init(spec.Mailbox)
	c.blocking = spec.Blocking
	c.singly = c.singly || spec.singly || spec.Blocking // whose turn may take hours
	c.job = c
	return c
}

func (c *cell[M]) system() *System { return c.parent.system }

// schedule makes the actor run soon.
func (c *cell[M]) schedule() { c.system().pool.schedule(&c.task) }

// order tells the runner what the supervisor wants.
func (c *cell[M]) order(flags uint32) {
	if c.flags.Or(flags|flagScheduled)&flagScheduled == 0 {
		c.system().pool.push(&c.task)
	}
}

// The methods of child, called with System.mu held.

func (c *cell[M]) adopted() {
	s := c.system()
	s.homes++
	c.home = uint16(s.homes % uint32(len(s.pool.queues)))
	if s.events.wanted() {
		s.events.add(ActorSpawned{Path: c.path(), At: s.now()})
	}
}

func (c *cell[M]) launch(announce bool) {
	if announce {
		c.order(flagStart | flagAnnounce)
	} else {
		c.order(flagStart)
	}
}

func (c *cell[M]) ready() bool { return c.has(flagReady) }

func (c *cell[M]) halt(cause error, _ bool) {
	if cause != nil || c.node.rare.Load() != nil {
		c.node.seldom().stopCause = cause
	}
	c.order(flagStop)
}

func (c *cell[M]) patience() time.Duration {
	if rare := c.node.rare.Load(); rare != nil && rare.stopTimeout != 0 {
		return rare.stopTimeout
	}
	return DefaultStopTimeout
}

func (c *cell[M]) abandon() {
	c.cut()
	c.system().pool.lose(&c.task)
}

func (c *cell[M]) finish(cause error) {
	for _, message := range c.close(cause) {
		c.deadLetter(message, LetterStopped)
	}
	s := c.system()
	s.registry.forget(&c.node)
	if s.events.wanted() {
		s.events.add(ActorTerminated{Path: c.path(), Cause: cause, At: s.now()})
	}
}

func (c *cell[M]) waiting() int { return c.depth() }

// deadLetter reports a message that nobody will handle. The caller delivers
// the event.
func (c *cell[M]) deadLetter(message M, reason LetterReason) {
	if s := c.system(); s.events.wanted() {
		s.events.add(DeadLetter{To: c.path(), Message: message, Reason: reason, At: s.now()})
	}
}

// hasWork implements job. If there is none, it releases memory.
func (c *cell[M]) hasWork() bool {
	flags := c.flags.Load()
	if flags&flagsOrder != 0 {
		return true
	}
	return flags&flagAlive != 0 && (flags&flagsBefore != 0 || !c.rest())
}

// run implements job: it carries out orders and handles messages until nothing is
// left to do or other actors should have their turn.
func (c *cell[M]) run() (more bool) {
	var b batch[M]
	returned := false
	defer func() {
		if !returned {
			c.giveBackRest(&b)
			c.putDown(&b)
			// The goroutine is about to end. Another one continues; nothing has
			// touched the task since, so it is still scheduled.
			c.crashed = true
			c.system().pool.push(&c.task)
		}
	}()
	if c.crashed {
		c.crashed = false
		c.end(&b, ErrExited)
	}
	budget := c.system().pool.budget()
	for budget > 0 && c.obey(&b) {
		if c.before(&b) {
			budget--
			continue
		}
		part := b.next()
		if part == nil {
			message, mark, single, ok := c.take(&b, budget)
			if !ok {
				returned = true
				return false
			}
			if single {
				budget--
				c.settle(&b, message, c.receiveMarked(message, mark))
				continue
			}
			part = b.at
		}
		first := part.head
		message, err := c.receiveSeveral(part)
		b.handled += uint32(part.head - first)
		budget -= int(part.head - first)
		c.settle(&b, message, err)
	}
	c.giveBackRest(&b)
	c.putDown(&b)
	returned = true
	return c.hasWork()
}

// settle deals with the outcome of a message.
func (c *cell[M]) settle(b *batch[M], message M, err error) {
	if err != nil {
		c.deadLetter(message, LetterFailed)
		c.end(b, err)
	} else if c.has(flagLeaving) {
		c.end(b, nil)
	}
}

// giveBackRest returns what is left of the batch to the front of the mailbox.
func (c *cell[M]) giveBackRest(b *batch[M]) {
	c.giveBack(b.clear(), nil) // a batch has no traced ones
}

// giveBackAside returns the messages that were set aside to the front of the
// mailbox.
func (c *cell[M]) giveBackAside(list []stashedMessage[M]) {
	messages, marked := make([]M, len(list)), []*mark(nil)
	for i, one := range list {
		messages[i] = one.message
		if one.mark != nil {
			one.mark.at = int64(i)
			marked = append(marked, one.mark)
		}
	}
	c.giveBack(messages, marked)
}

// giveBack returns messages to the front of the mailbox; for marked see putBack.
func (c *cell[M]) giveBack(messages []M, marked []*mark) {
	if len(messages) == 0 || c.putBack(messages, marked) {
		return
	}
	for _, message := range messages {
		c.deadLetter(message, LetterStopped)
	}
	c.system().events.deliver()
}

// obey carries out the orders and reports whether there is an incarnation to
// handle messages.
func (c *cell[M]) obey(b *batch[M]) bool {
	for {
		switch flags := c.flags.Load(); {
		case flags&flagStop != 0:
			if flags&flagAlive == 0 { // it was never started
				c.report(nil)
				continue
			}
			var cause error
			if rare := c.node.rare.Load(); rare != nil {
				cause = rare.stopCause
			}
			c.end(b, cause)
		case flags&flagStart != 0:
			c.flags.And(^uint32(flagStart))
			c.start()
		default:
			return flags&flagAlive != 0
		}
	}
}

// start makes an incarnation.
func (c *cell[M]) start() {
	c.flags.Or(flagAlive)
	c.appear(c.system()) // not in Spawn, where reading the clock would take a tenth of the time
	switch err := c.create(); {
	case err != nil:
		c.end(&batch[M]{}, err)
	case c.has(flagLeaving):
		c.end(&batch[M]{}, nil)
	case c.flags.Or(flagReady)&flagAnnounce != 0:
		c.flags.And(^uint32(flagAnnounce))
		s := c.system()
		s.lock()
		s.started(&c.node)
		s.unlock()
	}
}

// end ends the incarnation and tells the supervisor. If the incarnation crashed in
// Stopped, end does only what remains to be done. The rest of the batch goes back
// to the mailbox.
func (c *cell[M]) end(b *batch[M], cause error) {
	if c.has(flagAlive) {
		cause = c.conclude(cause)
		c.uncut()
		c.giveBackRest(b)
		c.giveBackAside(c.stashed())
		c.actor, c.extras = nil, nil
	}
	c.report(cause)
}

// report tells the supervisor that the incarnation has ended, and why. That also
// settles any orders it had given to that incarnation.
func (c *cell[M]) report(cause error) {
	s := c.system()
	s.lock()
	c.flags.And(^flagsIncarnation)
	s.exited(&c.node, cause)
	s.unlock()
}

// create calls New and Started.
func (c *cell[M]) create() error {
	return guard(func() error {
		c.actor = c.newActor()
		if c.actor == nil {
			return errors.New("the actor's New returned nil")
		}
		if s, ok := c.actor.(Starter[M]); ok {
			return s.Started(c.context())
		}
		return nil
	})
}

func (c *cell[M]) receive(message M) (err error) {
	returned := false
	defer c.received(&message, &returned, &err)
	err = c.actor.Receive(c.context(), message)
	returned = true
	return err
}

// receiveSeveral handles the messages of a batch's chunk until something takes
// precedence over them. With an error it returns the message whose handling failed.
func (c *cell[M]) receiveSeveral(part *chunk[M]) (message M, err error) {
	var none M
	returned := false
	defer c.received(&message, &returned, &err)
	for part.head < part.tail {
		message = part.items[part.head]
		part.items[part.head] = none
		part.head++
		if err = c.actor.Receive(c.context(), message); err != nil || c.has(flagsBreak) {
			break
		}
	}
	returned = true
	return message, err
}

// received turns a panic into a *PanicError, and the message that was being handled
// when the actor ended its goroutine into a dead letter. It must be deferred.
func (c *cell[M]) received(message *M, returned *bool, err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	} else if !*returned {
		c.deadLetter(*message, LetterFailed)
	}
}

// before handles a message that takes precedence over the mailbox and reports
// whether there was one.
func (c *cell[M]) before(b *batch[M]) bool {
	flags := c.flags.Load()
	if flags&flagsBefore == 0 {
		return false
	}
	if flags&flagDue != 0 {
		if message, mark, ok := c.extras.timers.next(); ok {
			c.beginOne()
			c.settle(b, message, c.receiveMarked(message, mark))
			return true
		}
	}
	if flags&flagNotice != 0 {
		if n, ok := c.nextNotice(); ok {
			c.beginOne()
			message, err := c.receiveNotice(n)
			c.settle(b, message, err)
			return true
		}
	}
	if flags&flagUnstashing == 0 {
		return false
	}
	next := c.nextUnstashed()
	c.beginOne()
	c.settle(b, next.message, c.receiveMarked(next.message, next.mark))
	return true
}

func (c *cell[M]) receiveNotice(n notice[M]) (message M, err error) {
	if err := guard(func() error { message = n.build(n.cause); return nil }); err != nil {
		return message, err
	}
	return message, c.receive(message)
}

// conclude calls Stopped, unless that was done already, and returns why the
// incarnation ended.
func (c *cell[M]) conclude(cause error) error {
	if c.extras != nil && c.extras.timers != nil {
		c.extras.timers.close()
	}
	if c.flags.Or(flagOver)&flagOver != 0 {
		return cause
	}
	first := c.actor
	if c.extras != nil && c.extras.first != nil {
		first = c.extras.first
	}
	s, ok := first.(Stopper[M])
	if !ok {
		return cause
	}
	err := guard(func() error {
		s.Stopped(c.context(), cause)
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

// recovered turns a panic into a *PanicError. It must be deferred.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}
