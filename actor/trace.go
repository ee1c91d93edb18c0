package actor

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Trace is a message's place in the way of a request. Numbers are those of one
// system.
type Trace struct {
	// Correlation is shared by all messages of the trace: the first one's number.
	Correlation uint64
	// Message is the message's number, Causation that of the message that was
	// being handled when it was sent; 0 for the first.
	Message, Causation uint64
}

// MaxTraceHops bounds how far a trace goes from its first message: an actor that
// keeps telling itself would be traced for ever.
const MaxTraceHops = 32

// Sender is an actor that sends a message: its Context.
type Sender interface {
	Path() string
	tracing() *mark
}

// Send is Tell for an actor that sends: where the message that it is handling is
// traced, so is this one, as caused by it. It serves to forward, too. What an
// actor tells without it begins no trace but by Config.Sample and TraceNext.
func Send[M any](from Sender, to Ref[M], message M) error {
	cause := from.tracing()
	if cause == nil || to.cell == nil || cause.hops >= MaxTraceHops {
		return to.Tell(message)
	}
	return to.tellMarked(message, to.cell.system.tracer.caused(from.Path(), cause))
}

// TraceNext has each of the next n messages told to the actor of that path begin
// a trace, those apart that are of one already. The events tell of it.
func (s *System) TraceNext(path string, n int) {
	if !s.events.wanted() || n <= 0 {
		return
	}
	t := &s.tracer
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wanted == nil {
		t.wanted = map[string]int{}
	}
	if _, known := t.wanted[path]; known || len(t.wanted) < maxWanted {
		t.wanted[path] = n
	}
	t.on.Store(true)
}

// maxWanted bounds the actors that TraceNext waits for.
const maxWanted = 64

// tracer decides which messages are traced.
type tracer struct {
	on     atomic.Bool // false: no message is looked at
	sample uint64      // 0 for none
	seen   atomic.Uint64
	last   atomic.Uint64 // the number of the last message

	mu     sync.Mutex // guards what follows
	wanted map[string]int
}

func (t *tracer) init(sample int) {
	t.sample = uint64(sample)
	t.on.Store(sample > 0)
}

// first returns the mark of a message that begins a trace; nil if it begins
// none.
func (t *tracer) first(to func() string) *mark {
	if t.sample == 0 || (t.seen.Add(1)-1)%t.sample != 0 {
		if !t.wants(to()) {
			return nil
		}
	}
	number := t.last.Add(1)
	return &mark{Trace: Trace{Correlation: number, Message: number}}
}

func (t *tracer) wants(path string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.wanted[path]
	if !ok {
		return false
	}
	if n--; n > 0 {
		t.wanted[path] = n
	} else if delete(t.wanted, path); len(t.wanted) == 0 {
		t.on.Store(t.sample > 0)
	}
	return true
}

func (t *tracer) caused(from string, by *mark) *mark {
	return &mark{
		Trace: Trace{Correlation: by.Correlation, Message: t.last.Add(1), Causation: by.Message},
		from:  from, hops: by.hops + 1,
	}
}

// mark goes with a traced message through the mailbox.
type mark struct {
	Trace
	from string
	hops int
	sent time.Time
	// at is the message's place in the mailbox, as marks counts.
	at int64
}

// marks are those of the messages in a mailbox that are traced, in order. It
// counts places from some message on: a mailbox has none of it as long as
// nothing is traced.
type marks struct {
	list []*mark
	next int64 // the place of the oldest message in the mailbox
}

// add marks a message that has `ahead` others before it.
func (m *marks) add(one *mark, ahead int) {
	one.at = m.next + int64(ahead)
	m.list = append(m.list, one)
}

// remove counts the oldest message out and returns its mark, if it has one.
func (m *marks) remove() *mark {
	m.next++
	if len(m.list) > 0 && m.list[0].at < m.next {
		one := m.list[0]
		m.list = m.list[1:]
		return one
	}
	return nil
}

// tellTraced is Tell where something is traced.
func (r Ref[M]) tellTraced(message M) error {
	return r.tellMarked(message, r.cell.system.tracer.first(r.cell.path))
}

// tellMarked is Tell with a mark, or without.
func (r Ref[M]) tellMarked(message M, m *mark) error {
	c := r.cell
	lost, result := c.pushMarked(message, m, func() {
		m.sent = c.system.now()
		c.system.events.add(MessageSent{From: m.from, To: c.path(), Message: message, Trace: m.Trace, At: m.sent})
	})
	if result == refusedClosed {
		return r.refused(message)
	}
	return r.pushed(message, lost, result)
}

// receiveTraced is receive for a message with a mark.
func (c *Context[M]) receiveTraced(message M, m *mark) error {
	s := c.cell.system
	began := s.now()
	c.mark = m
	err := c.receive(message)
	c.mark = nil
	ended := s.now()
	s.events.add(MessageHandled{By: c.cell.path(), Trace: m.Trace, Waited: began.Sub(m.sent), Took: ended.Sub(began), Err: err, At: ended})
	s.events.deliver()
	return err
}

func (c *Context[M]) tracing() *mark { return c.mark }

// Step is a message of a trace and what it led to.
type Step struct {
	Trace
	// From is the actor that sent it, "" for a caller that is none; To the one
	// that it was sent to.
	From, To string
	// Type is the message's.
	Type string
	Sent time.Time
	// Handled says that the actor has handled it, after it Waited in the mailbox,
	// and what that Took; Err is what it failed with.
	Handled      bool
	Waited, Took time.Duration
	Err          error
	Caused       []Step
}

// MaxTraceSteps is how many messages a TraceBuffer keeps; older ones make room.
const MaxTraceSteps = 4096

// TraceBuffer keeps the messages that were traced last. Its zero value is ready;
// it is safe for concurrent use.
type TraceBuffer struct {
	mu    sync.Mutex // guards what follows
	steps []Step     // in the order in which they were sent; Caused is empty
}

// Observe takes note of events: it is for Config.OnEvent.
func (b *TraceBuffer) Observe(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case MessageSent:
		if len(b.steps) == MaxTraceSteps {
			b.steps = append(b.steps[:0], b.steps[MaxTraceSteps/4:]...) // seldom, and a good part
		}
		b.steps = append(b.steps, Step{Trace: e.Trace, From: e.From, To: e.To, Type: fmt.Sprintf("%T", e.Message), Sent: e.At})
	case MessageHandled:
		for i := len(b.steps) - 1; i >= 0; i-- {
			if s := &b.steps[i]; s.Trace == e.Trace {
				s.Handled, s.Waited, s.Took, s.Err = true, e.Waited, e.Took, e.Err
				return
			}
		}
	default: // it is none of a trace
	}
}

// Last returns the newest trace that began with a message to the actor of that
// path, or with any for ""; false if there is none. A trace whose beginning had
// to make room is gone.
func (b *TraceBuffer) Last(path string) (Step, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.steps) - 1; i >= 0; i-- {
		if s := b.steps[i]; s.Causation == 0 && (path == "" || s.To == path) {
			return b.assemble(s, b.steps[i+1:]), true
		}
	}
	return Step{}, false
}

// assemble returns the step with all that it led to, which was sent after it.
func (b *TraceBuffer) assemble(s Step, after []Step) Step {
	for i, next := range after {
		if next.Correlation == s.Correlation && next.Causation == s.Message {
			s.Caused = append(s.Caused, b.assemble(next, after[i+1:]))
		}
	}
	return s
}

// String draws the request's way, a line for each message: when it was sent,
// counted from the first one, to whom, how long it waited and what it took.
func (s Step) String() string {
	var out strings.Builder
	s.draw(&out, s.Sent, "", "")
	return out.String()
}

func (s Step) draw(out *strings.Builder, start time.Time, first, rest string) {
	what := "not handled"
	switch {
	case s.Handled && s.Err != nil:
		what = fmt.Sprintf("waited %v, failed after %v: %v", s.Waited, s.Took, s.Err)
	case s.Handled:
		what = fmt.Sprintf("waited %v, took %v", s.Waited, s.Took)
	}
	fmt.Fprintf(out, "%s%s  %s  at %v, %s\n", first, s.To, s.Type, s.Sent.Sub(start), what)
	for i, next := range s.Caused {
		if i == len(s.Caused)-1 {
			next.draw(out, start, rest+"└─ ", rest+"   ")
		} else {
			next.draw(out, start, rest+"├─ ", rest+"│  ")
		}
	}
}
