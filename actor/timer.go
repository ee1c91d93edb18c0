package actor

import (
	"slices"
	"sync"
	"time"
)

// Timer is a message that will be delivered later. Its zero value delivers none.
type Timer[M any] struct {
	set     *timerSet[M]
	halt    func() bool // stops the clock
	message M
	// cause is the mark of the message that was being handled when the timer was
	// set; mark is its own, once it is due. They are nil if not traced.
	cause, mark *mark
}

// Stop prevents the delivery of the message. It returns false if the message was
// handled or is being handled, or if the incarnation has ended.
func (t *Timer[M]) Stop() bool {
	if t.set == nil {
		return false
	}
	return t.set.remove(t)
}

// timerSet holds the timers of an incarnation: those that run and those whose
// messages are due. flagDue is set while there are any of the latter.
type timerSet[M any] struct {
	cell *cell[M]

	mu     sync.Mutex // guards what follows
	live   map[*Timer[M]]struct{}
	due    []*Timer[M]
	closed bool
}

func (s *timerSet[M]) add(d time.Duration, message M, cause *mark) *Timer[M] {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Timer[M]{set: s, message: message, cause: cause}
	if s.closed {
		return t
	}
	s.live[t] = struct{}{}
	t.halt = s.cell.system().afterFunc(d, func() { s.fire(t) })
	return t
}

func (s *timerSet[M]) fire(t *Timer[M]) {
	s.mu.Lock()
	_, live := s.live[t]
	if live {
		s.due = append(s.due, t)
		if t.cause.continues() {
			t.mark = s.cell.system().tracer.caused(s.cell.path(), t.cause)
			s.cell.sending(t.message, t.mark)()
		}
		s.cell.flags.Or(flagDue)
	}
	s.mu.Unlock()
	if live {
		s.cell.schedule()
		s.cell.system().events.deliver()
	}
}

func (s *timerSet[M]) remove(t *Timer[M]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, live := s.live[t]; !live {
		return false
	}
	delete(s.live, t)
	t.halt()
	if i := slices.Index(s.due, t); i >= 0 {
		s.due = slices.Delete(s.due, i, i+1)
		s.settle()
	}
	return true
}

// next returns the message that has been due for longest, with its mark if it is
// traced.
func (s *timerSet[M]) next() (message M, m *mark, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return message, nil, false
	}
	t := s.due[0]
	s.due[0] = nil
	s.due = s.due[1:]
	s.settle()
	delete(s.live, t)
	return t.message, t.mark, true
}

// close ends every timer.
func (s *timerSet[M]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for t := range s.live {
		t.halt()
	}
	s.live, s.due = nil, nil
	s.settle()
}

// settle clears the flag if nothing is due any more.
func (s *timerSet[M]) settle() {
	if len(s.due) == 0 {
		s.cell.flags.And(^uint32(flagDue))
	}
}

// After sends the message to the actor once d has passed on the runtime's
// clock. It is handled before what waits in the mailbox, needs no room there, and
// is never seen by another incarnation. It continues the trace of the message being
// handled.
func (c *Context[M]) After(d time.Duration, message M) *Timer[M] {
	extras := c.cell().more()
	if extras.timers == nil {
		extras.timers = &timerSet[M]{cell: c.cell(), live: map[*Timer[M]]struct{}{}, closed: c.cell().has(flagOver)}
	}
	return extras.timers.add(d, message, extras.mark)
}
