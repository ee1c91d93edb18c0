package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Config configures a System. Only Now is required.
type Config struct {
	// Workers is how many goroutines run the actors that are not Blocking; 0 means
	// GOMAXPROCS, and the limit is MaxWorkers.
	Workers int
	// Now is the clock used for the intensity, for ages and for the times of
	// events. Delays and timeouts use the runtime's clock.
	Now func() time.Time
	// OnEvent, if not nil, is called with each event, one at a time and in order,
	// on the goroutine that caused the event or on one that is already delivering.
	// It may therefore learn of an end shortly after Supervisor.Done is closed. It
	// must not block. It may use the system, but not wait for it. A panic in it is
	// dropped.
	OnEvent func(Event)
	// Sample makes one in Sample messages begin a trace, which is reported to
	// OnEvent: 1 traces all, 0 none except those of TraceNext.
	Sample int
	// Driver, if not nil, runs the actors in place of Workers, and the delays and
	// timeouts in place of the runtime's clock: for simulations.
	Driver Driver
	// Root says how the root treats its children. Name and Restart must not be set:
	// the root has no parent.
	Root SupervisorSpec
}

// MaxWorkers bounds Config.Workers.
const MaxWorkers = 1024

// cutGrace is how long an actor may take to end once its context is cancelled.
const cutGrace = 250 * time.Millisecond

// Validate returns a *fault.FieldError for a setting outside its limits.
func (c Config) Validate() error {
	switch {
	case c.Workers < 0 || c.Workers > MaxWorkers:
		return bad("Workers", c.Workers, fmt.Sprintf("must be in [0, %d]", MaxWorkers), "use 0 for one per processor")
	case c.Sample < 0:
		return bad("Sample", c.Sample, "must not be negative", "use 0 to trace on demand only")
	case c.Now == nil:
		return bad("Now", "nil", "must be a clock", "pass time.Now")
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

	// mu guards the supervision tree. While it is held, the locks of mailboxes, run
	// queues, the registry and the event queue may be taken, but never the reverse.
	mu sync.Mutex
	// signals are news for supervisors, processed before mu is released, so that
	// none interrupts another's step.
	signals []signal
	homes   uint32
}

// signal says that a child is ready, or that it has ended and why.
type signal struct {
	node   *node
	exited bool
	cause  error
}

// NewSystem returns a system with its workers started and nothing under its root,
// or a *fault.FieldError. The caller must call Shutdown.
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

// Root returns the supervisor above all others. If it gives up, everything is
// stopped and the system only waits for Shutdown.
func (s *System) Root() *Supervisor { return s.root }

// Registry returns the system's registry of names.
func (s *System) Registry() *Registry { return s.registry }

// Stop begins to stop everything and returns at once; Root().Done() is closed when
// all actors have ended. The caller must still call Shutdown.
func (s *System) Stop() {
	s.lock()
	s.root.stop()
	s.unlock()
}

// Shutdown stops everything, the children of each supervisor in the reverse
// order of their start, and waits for the workers to end and the events to be
// delivered. When ctx is done it cancels every Context.Context, stops all actors at
// once, and shortly after abandons those that have not ended. The error is an
// *AbandonedError if there were any, joined with that of ctx; it is nil after an
// orderly shutdown. It may be called again and then waits for the same shutdown. An
// actor must not call it.
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
		late = errors.Join(late, fmt.Errorf("workers are still running: %w", ctx.Err()))
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

// await waits for done until ctx is done, and then for cutGrace.
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

// unlock processes the signals, releases the lock, and delivers the events.
func (s *System) unlock() {
	for i := 0; i < len(s.signals); i++ {
		next := s.signals[i]
		s.signals[i] = signal{}
		switch parent := next.node.parent; {
		case parent == nil: // nothing can restart the root
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

// exited tells the parent that a child's incarnation has ended.
func (s *System) exited(n *node, cause error) {
	s.signals = append(s.signals, signal{node: n, exited: true, cause: cause})
}

// clock returns the time since the system was made; mu need not be held.
func (s *System) clock() time.Duration { return s.now().Sub(s.epoch) }
