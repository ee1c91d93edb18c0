package actor

import (
	"slices"
	"sync"
	"time"
)

// Timer is a message to come. Its zero value has none.
type Timer[M any] struct {
	set     *timerSet[M]
	halt    func() bool // stops the clock
	message M
}

// Stop keeps the message from being delivered; false if it was handled, if it
// is being handled, or if the incarnation has ended.
func (t *Timer[M]) Stop() bool {
	if t.set == nil {
		return false
	}
	return t.set.remove(t)
}

// timerSet holds the timers of an incarnation, running ones and those whose
// messages are due. cell.due counts the latter.
type timerSet[M any] struct {
	cell *cell[M]

	mu     sync.Mutex // guards what follows
	live   map[*Timer[M]]struct{}
	due    []*Timer[M]
	closed bool
}

func (s *timerSet[M]) add(d time.Duration, message M) *Timer[M] {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Timer[M]{set: s, message: message}
	if s.closed {
		return t
	}
	s.live[t] = struct{}{}
	t.halt = s.cell.system.afterFunc(d, func() { s.fire(t) })
	return t
}

func (s *timerSet[M]) fire(t *Timer[M]) {
	s.mu.Lock()
	_, live := s.live[t]
	if live {
		s.due = append(s.due, t)
		s.cell.due.Add(1)
	}
	s.mu.Unlock()
	if live {
		s.cell.schedule()
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
		s.cell.due.Add(-1)
	}
	return true
}

// next returns the message that has been due for longest.
func (s *timerSet[M]) next() (M, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		var none M
		return none, false
	}
	t := s.due[0]
	s.due[0] = nil
	s.due = s.due[1:]
	s.cell.due.Add(-1)
	delete(s.live, t)
	return t.message, true
}

// close ends every timer.
func (s *timerSet[M]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for t := range s.live {
		t.halt()
	}
	s.cell.due.Add(-int32(len(s.due)))
	s.live, s.due = nil, nil
}
