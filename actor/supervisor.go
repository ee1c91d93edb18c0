package actor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Strategy says which children a supervisor restarts when one has failed.
type Strategy uint8

const (
	// OneForOne restarts the failed child.
	OneForOne Strategy = iota
	// OneForAll stops the others and restarts all.
	OneForAll
	// RestForOne stops the children started after the failed one and restarts it
	// and them.
	RestForOne
)

// String returns "one_for_one", "one_for_all" or "rest_for_one".
func (s Strategy) String() string {
	switch s {
	case OneForOne:
		return "one_for_one"
	case OneForAll:
		return "one_for_all"
	case RestForOne:
		return "rest_for_one"
	}
	return "unknown"
}

// SupervisorSpec says how a supervisor treats its children. The zero value restarts
// each one that fails, at once, within DefaultIntensity.
type SupervisorSpec struct {
	// Name follows the rules of Spec.Name.
	Name     string
	Strategy Strategy
	// Intensity bounds the restarts; the zero value means DefaultIntensity.
	Intensity Intensity
	// Backoff delays them.
	Backoff Backoff
	// Restart says what the parent does when this supervisor has given up;
	// otherwise it ends only when told to. A Temporary one is forgotten; any other
	// counts as a failed child and is restarted with all its children.
	Restart Restart
}

// Validate returns a *fault.FieldError for a setting outside its limits.
func (s SupervisorSpec) Validate() error {
	if s.Strategy > RestForOne {
		return bad("Strategy", uint8(s.Strategy), "is not a known strategy", "use OneForOne, OneForAll or RestForOne")
	}
	if err := validateName(s.Name); err != nil {
		return err
	}
	if err := s.Restart.validate(); err != nil {
		return err
	}
	return errors.Join(s.Intensity.Validate(), s.Backoff.Validate())
}

// stage is what a supervisor is doing.
type stage uint8

const (
	stageUp       stage = iota
	stageStopping       // children one after the other, last first
	stagePausing        // before a restart of several children
	stageStarting       // children one after the other, first first
	stageDown           // all are stopped; the parent decides
	stageEnded
)

// Supervisor starts, restarts and stops its children: actors and other
// supervisors. It has no goroutine: its decisions are made by the goroutine that
// brings the news, under System.mu, without waiting.
type Supervisor struct {
	node
	system *System
	spec   SupervisorSpec
	jitter uint64 // makes its delays differ from another supervisor's

	// The following fields are guarded by System.mu.

	first, last *node
	names       map[string]*node
	lastID      uint64
	history     []time.Duration // of restarts within the intensity's period

	stage stage
	// cursor is the child that stageStopping or stageStarting has reached; from is
	// the id of the first child concerned.
	cursor *node
	from   uint64
	// cause is why children are being stopped; nil in an ordered stop.
	cause error
	// halted is set if stopping ends in stageDown and not in a restart; final is
	// set if the stopped children do not come back.
	halted, final bool
	pause         time.Duration
	pausing       alarm
	gaveUp        *GaveUpError
	left          []string // paths of abandoned actors

	done chan struct{}
	err  error // before done is closed
}

func newSupervisor(system *System, spec SupervisorSpec) *Supervisor {
	if spec.Intensity == (Intensity{}) {
		spec.Intensity = DefaultIntensity()
	}
	s := &Supervisor{system: system, spec: spec, names: map[string]*node{}, done: make(chan struct{})}
	s.job, s.restart = s, spec.Restart
	return s
}

// Supervise starts a supervisor under this one. It fails with a *fault.FieldError for an
// invalid spec, with ErrNameTaken, and with ErrStopped if the parent has ended or
// is ending.
func (s *Supervisor) Supervise(spec SupervisorSpec) (*Supervisor, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	below := newSupervisor(s.system, spec)
	if err := s.adopt(&below.node, spec.Name, spec.Restart, below); err != nil {
		return nil, err
	}
	return below, nil
}

// Path returns the names from the root down to the supervisor; "/" is the root.
func (s *Supervisor) Path() string { return s.path() }

// Done returns a channel that is closed once the supervisor and all below it
// have ended for good.
func (s *Supervisor) Done() <-chan struct{} { return s.done }

// Err returns why the supervisor has ended: a *GaveUpError if its intensity, or
// that of a supervisor above it, was exceeded; nil after an ordered stop and until
// it has ended.
func (s *Supervisor) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop stops the children in the reverse order of their start, each with its
// StopTimeout, and ends the supervisor for good; its parent forgets it. It returns
// when that is done, with an *AbandonedError if some did not stop in time, or when
// ctx is done; the stop then continues. An actor must not call it.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.End()
	select {
	case <-s.done:
		return s.abandonedError()
	case <-ctx.Done():
		return fmt.Errorf("stop supervisor %s: %w", s.path(), ctx.Err())
	}
}

// End is Stop without the wait; Done says when it is complete. An actor may call
// it, even one below the supervisor.
func (s *Supervisor) End() {
	s.system.lock()
	s.stop()
	s.system.unlock()
}

func (s *Supervisor) abandonedError() error {
	s.system.lock()
	defer s.system.unlock()
	if len(s.left) == 0 {
		return nil
	}
	return &AbandonedError{Paths: append([]string(nil), s.left...)}
}

// adopt adds a child and starts it, now or when its turn comes.
func (s *Supervisor) adopt(n *node, name string, restart Restart, c child) error {
	s.system.lock()
	defer s.system.unlock()
	if s.stage == stageEnded || s.final {
		return fmt.Errorf("spawn %q under %s: %w", name, s.path(), s.stopped())
	}
	if name != "" {
		if _, taken := s.names[name]; taken {
			return fmt.Errorf("spawn %q under %s: %w", name, s.path(), ErrNameTaken)
		}
		s.names[name] = n
		n.seldom().name = name
	}
	s.lastID++
	n.parent, n.id, n.restart, n.state = s, s.lastID, restart, down
	if n.prev = s.last; n.prev == nil {
		s.first = n
	} else {
		n.prev.next = n
	}
	s.last = n
	c.adopted()
	if s.stage == stageUp {
		s.start(n)
	}
	return nil
}

// stopped returns ErrStopped, wrapped with why the supervisor gave up, if it did.
func (s *Supervisor) stopped() error {
	if s.gaveUp == nil {
		return ErrStopped
	}
	return fmt.Errorf("%w: %w", ErrStopped, s.gaveUp)
}

// remove ends a child for good.
func (s *Supervisor) remove(n *node, cause error) {
	if n.state == abandoned {
		cause = s.leaveBehind(n)
	}
	if s.cursor == n {
		if s.stage == stageStopping {
			s.cursor = n.prev
		} else {
			s.cursor = n.next
		}
	}
	if n.prev == nil {
		s.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		s.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	if name := n.name(); name != "" {
		delete(s.names, name)
	}
	n.clearAlarm()
	n.state = ended
	n.child().finish(cause)
}

// leaveBehind keeps the path of an abandoned child for the callers that stop it or
// a supervisor above it.
func (s *Supervisor) leaveBehind(n *node) error {
	path := n.path()
	for above := s; above != nil; above = above.parent {
		if above.final {
			above.left = append(above.left, path)
		}
	}
	return &AbandonedError{Paths: []string{path}}
}

// start starts a child that is down.
func (s *Supervisor) start(n *node) {
	n.state = starting
	if !n.isNew() {
		rare := n.seldom()
		rare.restarts++
		rare.restarted = s.system.clock()
	}
	// Other children do not wait for a child that is up.
	n.child().launch(s.stage != stageUp)
}

// stopChild asks a child to stop and sets the alarm for one that does not.
func (s *Supervisor) stopChild(n *node) {
	n.state = stopping
	if patience := n.child().patience(); patience > 0 {
		alarm := &n.seldom().alarm
		alarm.set(s.system, patience, func() {
			n.child().cut()
			alarm.set(s.system, cutGrace, func() { s.abandonChild(n) })
		})
	}
	n.child().halt(s.cause, s.final)
}

// abandonChild stops waiting for a child that is stopping.
func (s *Supervisor) abandonChild(n *node) {
	n.clearAlarm()
	n.state = abandoned
	n.child().abandon()
	s.system.events.add(ActorAbandoned{Path: n.path(), At: s.system.now()})
	if s.forgets(n) {
		s.remove(n, nil)
	}
	s.step()
}

// childStarted records that a child is ready.
func (s *Supervisor) childStarted(n *node) {
	if n.state == starting {
		n.state = running
	}
	s.step()
}

// childExited records that a child's incarnation has ended. The cause is nil if it
// stopped normally.
func (s *Supervisor) childExited(n *node, cause error) {
	n.seldom().exited = true
	switch n.state {
	case stopping:
		n.clearAlarm()
		n.state = down
		if n.leave || s.stage == stageStopping && n.id >= s.from && s.forgets(n) {
			s.remove(n, cmp.Or(cause, s.cause))
		}
	case abandoned:
		n.state = down
		if n.relaunch && !s.holds(n) {
			s.start(n)
		}
		n.relaunch = false
	case starting, running:
		n.state = down
		s.childLost(n, cause)
	default: // it was abandoned for good, and nobody waits
	}
	s.step()
}

// holds reports whether the child is among those that must stay down for now.
func (s *Supervisor) holds(n *node) bool {
	return s.stage == stageDown || (s.stage == stageStopping || s.stage == stagePausing) && n.id >= s.from
}

// forgets reports whether a child that was stopped does not come back.
func (s *Supervisor) forgets(n *node) bool { return s.final || n.restart == Temporary }

// childLost decides what happens to a child that ended without being told to.
func (s *Supervisor) childLost(n *node, cause error) {
	if n.restart == Temporary || n.restart == Transient && cause == nil {
		if cause != nil {
			s.triggered(n, DecisionForget, cause, 0)
		}
		s.remove(n, cause)
		return
	}
	if s.holds(n) {
		return // its turn would have come
	}
	if cause == nil {
		cause = ErrNormalStop
	}
	if !s.admit() {
		s.giveUp(n, cause)
		return
	}
	delay := s.backoff(n)
	s.triggered(n, DecisionRestart, cause, delay)
	switch s.spec.Strategy {
	case OneForAll:
		s.restartGroup(n, 0, delay, cause)
	case RestForOne:
		s.restartGroup(n, n.id, delay, cause)
	default:
		if delay == 0 {
			s.start(n)
			return
		}
		n.seldom().alarm.set(s.system, delay, func() {
			if n.state == down && (s.stage == stageUp || s.stage == stageStarting) {
				s.start(n)
			}
		})
	}
}

// admit records a restart and reports whether the intensity allows it.
func (s *Supervisor) admit() bool {
	now := s.system.clock()
	s.history = slices.DeleteFunc(s.history, func(at time.Duration) bool { return now-at >= s.spec.Intensity.Period })
	s.history = append(s.history, now)
	return len(s.history) <= s.spec.Intensity.Restarts
}

// backoff returns how long to wait before the child is restarted.
func (s *Supervisor) backoff(n *node) time.Duration {
	rare := n.seldom()
	now := s.system.clock()
	if min(n.age(now), now-rare.restarted) > s.spec.Backoff.max() {
		rare.failures = 0
	}
	rare.failures++
	return s.spec.Backoff.delay(rare.failures, s.jitter^n.id)
}

// restartGroup stops the children from the id on and restarts them after the delay.
// It merges with a restart that is already under way.
func (s *Supervisor) restartGroup(n *node, from uint64, delay time.Duration, cause error) {
	s.cause = fmt.Errorf("%w: %s: %w", ErrSiblingFailed, n.path(), cause)
	// No child from s.from on can fail while it is held, so from is at or before
	// s.from.
	s.from, s.pause = from, max(delay, s.pause)
	s.stopChildren()
}

// giveUp stops all children and leaves the decision to the parent.
func (s *Supervisor) giveUp(n *node, cause error) {
	s.gaveUp = &GaveUpError{
		Supervisor: s.path(), Child: n.path(),
		Restarts: s.spec.Intensity.Restarts, Period: s.spec.Intensity.Period, Cause: cause,
	}
	s.triggered(n, DecisionGiveUp, cause, 0)
	s.halt(s.gaveUp, s.parent == nil || s.restart == Temporary)
}

func (s *Supervisor) triggered(n *node, decision Decision, cause error, delay time.Duration) {
	if s.system.events.wanted() {
		s.system.events.add(SupervisionTriggered{
			Supervisor: s.path(), Child: n.path(), Strategy: s.spec.Strategy, Decision: decision,
			Cause: cause, Restarts: len(s.history), Delay: delay, At: s.system.now(),
		})
	}
}

// stopChildren begins or continues to stop the children from s.from on.
func (s *Supervisor) stopChildren() {
	s.pausing.clear()
	if s.stage != stageStopping {
		s.stage, s.cursor = stageStopping, s.last
	}
	s.step()
}

// step proceeds with the children as far as it can without waiting. It may be
// called at any time.
func (s *Supervisor) step() {
	switch s.stage {
	case stageStopping:
		s.stepStop()
	case stageStarting:
		s.stepStart()
	default: // nothing is under way
	}
}

func (s *Supervisor) stepStop() {
	for n := s.cursor; n != nil && n.id >= s.from; n = s.cursor {
		switch n.state {
		case starting, running:
			s.stopChild(n)
			return
		case stopping:
			return
		default: // down, or as good as
		}
		n.clearAlarm()
		n.relaunch = false
		s.cursor = n.prev
	}
	s.cursor = nil
	if s.halted {
		s.stage = stageDown
		s.system.exited(&s.node, s.exitCause())
		return
	}
	s.stage = stagePausing
	if s.pause > 0 {
		s.pausing.set(s.system, s.pause, s.startChildren)
	} else {
		s.startChildren()
	}
}

// exitCause returns the cause for the parent; a nil *GaveUpError becomes a nil
// error.
func (s *Supervisor) exitCause() error {
	if s.gaveUp != nil {
		return s.gaveUp
	}
	return nil
}

// startChildren begins to start the children that are down.
func (s *Supervisor) startChildren() {
	s.stage, s.cause, s.pause = stageStarting, nil, 0
	s.cursor = s.last
	for s.cursor != nil && s.cursor.prev != nil && s.cursor.prev.id >= s.from {
		s.cursor = s.cursor.prev
	}
	s.step()
}

func (s *Supervisor) stepStart() {
	for n := s.cursor; n != nil; n = s.cursor {
		switch n.state {
		case down:
			if rare := n.rare.Load(); rare == nil || !rare.alarm.isSet() { // else its backoff ends in a start
				s.start(n)
				return
			}
		case starting:
			return
		case abandoned:
			n.relaunch = true
		default: // it is up, or on its way out
		}
		s.cursor = n.next
	}
	s.stage = stageUp
	if s.parent != nil {
		s.system.started(&s.node)
	}
}

// stop ends the supervisor for good, whatever it is doing.
func (s *Supervisor) stop() {
	s.leave = true
	switch s.state {
	case starting, running:
		s.state = stopping
		s.halt(nil, true)
	case stopping:
		s.halt(nil, true)
	case down:
		s.parent.remove(&s.node, nil)
		s.parent.step()
	default: // it has ended
	}
}

// dismiss ends one child for good, whatever it is doing.
func (s *Supervisor) dismiss(n *node) {
	n.leave = true
	switch n.state {
	case starting, running:
		s.stopChild(n)
	case down:
		s.remove(n, nil)
		s.step()
	default: // it is on its way out, or was abandoned, or has ended
	}
}

// hurry stops everything below at once instead of in order.
func (s *Supervisor) hurry() {
	for n := s.last; n != nil; n = n.prev {
		if n.state == starting || n.state == running {
			s.stopChild(n)
		}
		if below, ok := n.child().(*Supervisor); ok {
			below.hurry()
		}
	}
}

// abandonAll abandons what is still stopping below.
func (s *Supervisor) abandonAll() {
	var nodes []*node
	for n := s.last; n != nil; n = n.prev {
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if below, ok := n.child().(*Supervisor); ok {
			below.abandonAll()
		} else if n.state == stopping {
			s.abandonChild(n)
		}
	}
}

// The methods of child, called with System.mu held.

func (s *Supervisor) adopted() {
	s.appear(s.system)
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(s.path()))
	s.jitter = hash.Sum64()
}

func (s *Supervisor) launch(bool) {
	s.gaveUp, s.history, s.halted, s.from = nil, nil, false, 0
	s.startChildren()
}

func (s *Supervisor) halt(cause error, final bool) {
	s.halted, s.final, s.from = true, s.final || final, 0
	if s.cause = cause; s.gaveUp != nil {
		s.cause = s.gaveUp
	}
	s.stopChildren()
}

// run and hasWork are for an actor's node; a supervisor is never scheduled.
func (s *Supervisor) run() bool     { return false }
func (s *Supervisor) hasWork() bool { return false }

func (s *Supervisor) ready() bool             { return false } // it always announces it
func (s *Supervisor) patience() time.Duration { return 0 }     // its children's add up
func (s *Supervisor) cut()                    {}
func (s *Supervisor) abandon()                {}
func (s *Supervisor) waiting() int            { return 0 }
func (s *Supervisor) begun() uint64           { return 0 }

func (s *Supervisor) finish(cause error) {
	s.final = true
	for s.last != nil {
		s.remove(s.last, cause)
	}
	s.pausing.clear()
	s.stage = stageEnded
	var above *GaveUpError
	switch {
	case s.gaveUp != nil:
		s.err = s.gaveUp
	case errors.As(cause, &above):
		s.err = above
	}
	close(s.done)
}
