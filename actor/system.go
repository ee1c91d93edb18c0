package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Config says how a System works. Only Now is needed.
type Config struct {
	// Workers is how many goroutines run the actors that are not Blocking; 0
	// stands for GOMAXPROCS and at most MaxWorkers are allowed.
	Workers int
	// Now is the clock, read for the intensity, for ages and for the times of
	// events. Delays and timeouts run on the runtime's clock.
	Now func() time.Time
	// OnEvent, if not nil, is told of events, one at a time and in order, by
	// whoever caused one or is at it already: so it may hear of an end just
	// after Supervisor.Done tells of it. It must not block. It may use the
	// system, but not wait for it. A panic in it is dropped.
	OnEvent func(Event)
	// Sample has one of so many messages begin a trace, which OnEvent is told of:
	// 1 is all, 0 none but those of TraceNext.
	Sample int
	// Driver, if not nil, runs the actors in place of Workers, and the delays and
	// timeouts in place of the runtime's clock: for simulations.
	Driver Driver
	// Root says how the root looks after its children. Name and Restart must be
	// left out: it has no parent.
	Root SupervisorSpec
}

// MaxWorkers bounds Config.Workers.
const MaxWorkers = 1024

// cutGrace is how long an actor has to end once its context is cancelled.
const cutGrace = 250 * time.Millisecond

// Validate returns a *FieldError for a setting outside of its limits.
func (c Config) Validate() error {
	switch {
	case c.Workers < 0 || c.Workers > MaxWorkers:
		return bad("Workers", c.Workers, fmt.Sprintf("must be in [0, %d]", MaxWorkers), "use 0 for one per processor")
	case c.Sample < 0:
		return bad("Sample", c.Sample, "must not be negative", "use 0 to trace on demand only")
	case c.Now == nil:
		return bad("Now", "nil", "is no clock", "pass time.Now")
	case c.Root.Name != "":
		return bad("Root.Name", c.Root.Name, "cannot be chosen", "leave it out")
	case c.Root.Restart != Permanent:
		return bad("Root.Restart", c.Root.Restart, "has no meaning without a parent", "leave it out")
	}
	return c.Root.Validate()
}

// System is a tree of supervisors and actors and the workers that run them.
type System struct {
	now      func() time.Time
	epoch    time.Time
	tracer   tracer
	pool     *pool
	events   eventQueue
	registry *Registry
	root     *Supervisor
	// ctx is cancelled at the end of Shutdown, or when its deadline has passed.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards the supervision tree. Held, it allows the locks of mailboxes,
	// run queues, the registry and the event queue; none of those allows it.
	mu sync.Mutex
	// signals are news for supervisors, taken up before mu is released: so one
	// never interrupts another's step.
	signals []signal
	homes   uint32
}

// signal says that a child is ready, or that it has ended and of what.
type signal struct {
	node   *node
	exited bool
	cause  error
}

// NewSystem returns a system with its workers started and nothing under its
// root, or a *FieldError. Shutdown must follow.
func NewSystem(config Config) (*System, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Workers == 0 {
		config.Workers = min(runtime.GOMAXPROCS(0), MaxWorkers)
	}
	s := &System{now: config.Now, epoch: config.Now(), registry: newRegistry()}
	s.registry.system = s
	if s.events.onEvent = config.OnEvent; config.OnEvent != nil {
		s.tracer.init(config.Sample)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.root = newSupervisor(s, config.Root)
	s.root.state = running
	s.root.appear(s)
	s.pool = newPool(config.Workers, config.Driver)
	return s, nil
}

// Root returns the supervisor above all others. Where it gives up, everything
// is stopped and the system only waits for Shutdown.
func (s *System) Root() *Supervisor { return s.root }

// Registry returns the names of the system's actors.
func (s *System) Registry() *Registry { return s.registry }

// Stop begins to stop everything and returns at once; Root().Done() tells when
// all actors have ended. Shutdown is to follow.
func (s *System) Stop() {
	s.lock()
	s.root.stop()
	s.unlock()
}

// Shutdown stops everything, the children of each supervisor in the reverse
// order of their start, and waits for the workers to end and the events to be
// delivered. When ctx is done it cancels every Context.Context, asks all actors at once, and shortly after
// abandons those that do not end. The error is an *AbandonedError if there were
// any, joined with that of ctx; nil if all went in order. It may be called again
// and then waits for the same. An actor must not call it.
func (s *System) Shutdown(ctx context.Context) error {
	s.Stop()
	var late error
	select {
	case <-s.root.done:
	case <-ctx.Done():
		late = fmt.Errorf("shut down the actors: %w", ctx.Err())
		s.force()
	}
	s.pool.close()
	if !await(ctx, s.pool.drained) {
		late = errors.Join(late, fmt.Errorf("workers are running still: %w", ctx.Err()))
	}
	if !await(ctx, s.events.delivered()) {
		late = errors.Join(late, fmt.Errorf("OnEvent has not returned: %w", ctx.Err()))
	}
	s.cancel()
	return errors.Join(late, s.root.abandonedError())
}

// force stops all actors at once and abandons those that do not end within
// cutGrace.
func (s *System) force() {
	s.cancel()
	s.lock()
	s.root.hurry()
	s.unlock()
	if !await(s.ctx, s.root.done) {
		s.lock()
		s.root.abandonAll()
		s.unlock()
		<-s.root.done
	}
}

// await waits for done until ctx is done, and cutGrace longer.
func await(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

func (s *System) lock() { s.mu.Lock() }

// unlock takes up the signals, releases the lock, and delivers the events.
func (s *System) unlock() {
	for i := 0; i < len(s.signals); i++ {
		next := s.signals[i]
		s.signals[i] = signal{}
		switch parent := next.node.parent; {
		case parent == nil: // the root has nobody who could restart it
			s.root.state = ended
			s.root.finish(next.cause)
		case next.exited:
			parent.childExited(next.node, next.cause)
		default:
			parent.childStarted(next.node)
		}
	}
	s.signals = s.signals[:0]
	s.mu.Unlock()
	s.events.deliver()
}

// started tells the parent that a child is ready.
func (s *System) started(n *node) { s.signals = append(s.signals, signal{node: n}) }

// exited tells the parent that a child has no incarnation any more.
func (s *System) exited(n *node, cause error) {
	s.signals = append(s.signals, signal{node: n, exited: true, cause: cause})
}

// clock returns the time since the system was made; mu need not be held.
func (s *System) clock() time.Duration { return s.now().Sub(s.epoch) }
