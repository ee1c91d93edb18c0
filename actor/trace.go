package actor

import (
	"sync"
	"sync/atomic"
	"time"
)

// Trace is a message's place in a trace. Numbers are unique within one system.
type Trace struct {
	// Correlation is shared by all messages of the trace: the first one's number.
	Correlation uint64
	// Message is the message's number. Causation is the number of the message that
	// was being handled when it was sent; 0 for the first.
	Message, Causation uint64
}

// MaxTraceDepth bounds how far a trace extends from its first message: an actor
// that keeps telling itself would be traced for ever.
const MaxTraceDepth = 32

// Sender is an actor that sends a message: its Context, while it handles one.
type Sender interface {
	Path() string
	tracing() *mark
}

// Send is Tell for an actor: if the message that it is handling is traced, so is
// this one, as caused by it. It also serves to forward a message. A message that an
// actor sends with Tell can only begin a trace, by Config.Sample or TraceNext.
func Send[M any](from Sender, to Ref[M], message M) error {
	if from == nil || to.cell == nil || !from.tracing().continues() {
		return to.Tell(message)
	}
	return to.tellMarked(message, to.mark(from))
}

// TraceNext makes each of the next n messages told to the actor of that path begin
// a trace, not counting those that are already part of one. The trace is reported
// as events.
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

// first returns the mark of a message that begins a trace, or nil.
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

// caused returns the mark of a message that the actor of the path sends because
// of another.
func (t *tracer) caused(from string, by *mark) *mark {
	return &mark{
		Trace: Trace{Correlation: by.Correlation, Message: t.last.Add(1), Causation: by.Message},
		from:  from, depth: by.depth + 1,
	}
}

// mark goes with a traced message through the mailbox.
type mark struct {
	Trace
	from  string
	depth int
	sent  time.Time
	// at is the message's place in the mailbox, as marks counts.
	at int64
	// aside is set if the actor stashed the message while handling it.
	aside bool
}

// continues reports whether the messages that this one causes are traced too; its
// mark may be nil.
func (m *mark) continues() bool { return m != nil && m.depth < MaxTraceDepth }

// setAside returns the mark for a message that is stashed while this one is
// handled: its own the first time, since that is usually the message itself.
func (m *mark) setAside() *mark {
	if m == nil || m.aside {
		return nil
	}
	m.aside = true
	return m
}

// marks holds the marks of the traced messages in a mailbox, in order. Places are
// counted from when the first one was added: a mailbox without traced messages has
// no marks.
type marks struct {
	list []*mark
	next int64 // the place of the oldest message in the mailbox
}

// add marks a message that has ahead others before it.
func (m *marks) add(one *mark, ahead int) {
	one.at = m.next + int64(ahead)
	m.list = append(m.list, one)
}

// remove removes the oldest message and returns its mark, if it has one.
func (m *marks) remove() *mark {
	m.next++
	if len(m.list) > 0 && m.list[0].at < m.next {
		one := m.list[0]
		m.list = m.list[1:]
		return one
	}
	return nil
}

// putBack adds n messages before all others. The places in list are places among
// those n.
func (m *marks) putBack(n int, list []*mark) {
	m.next -= int64(n)
	for _, one := range list {
		one.at += m.next
	}
	m.list = append(list, m.list...)
}

// mark returns the mark of a message that is about to be sent, by an actor or by an
// unknown sender (nil); nil if it is not traced.
func (r Ref[M]) mark(from Sender) *mark {
	t := &r.cell.parent.system.tracer
	if from != nil {
		if cause := from.tracing(); cause.continues() {
			return t.caused(from.Path(), cause)
		}
	}
	if t.on.Load() {
		return t.first(r.cell.path)
	}
	return nil
}

// tellTraced is Tell while something is traced.
func (r Ref[M]) tellTraced(message M) error { return r.tellMarked(message, r.mark(nil)) }

// tellMarked is Tell with a mark, which may be nil.
func (r Ref[M]) tellMarked(message M, m *mark) error {
	lost, result := r.cell.give(message, m)
	if result == refusedClosed {
		return r.refused(message)
	}
	return r.pushed(lost, result)
}

// give is push with a mark, which may be nil.
func (c *cell[M]) give(message M, m *mark) (M, accepted) {
	if m == nil {
		return c.push(message)
	}
	return c.pushMarked(message, m, c.sending(message, m))
}

// sending returns a function that reports the message as sent; nil without a mark.
func (c *cell[M]) sending(message M, m *mark) func() {
	if m == nil {
		return nil
	}
	return func() {
		m.sent = c.system().now()
		c.system().events.add(MessageSent{From: m.from, To: c.path(), Message: message, Trace: m.Trace, At: m.sent})
	}
}

// receiveMarked is receive for a message that may have a mark.
func (c *cell[M]) receiveMarked(message M, m *mark) error {
	if m == nil {
		return c.receive(message)
	}
	return c.receiveTraced(message, m)
}

func (c *cell[M]) receiveTraced(message M, m *mark) (err error) {
	s := c.system()
	began := s.now()
	extras := c.more()
	extras.mark, m.aside = m, false
	err = ErrExited // unless it returns
	defer func() {
		extras.mark = nil
		if m.aside && err == nil {
			return // it is handled later
		}
		ended := s.now()
		s.events.add(MessageHandled{By: c.path(), Trace: m.Trace, Waited: began.Sub(m.sent), Took: ended.Sub(began), Err: err, At: ended})
		s.events.deliver()
	}()
	err = c.receive(message)
	return err
}

func (c *Context[M]) tracing() *mark {
	if c.extras == nil {
		return nil
	}
	return c.extras.mark
}

// questionTrace is what the answer to a traced question needs.
type questionTrace struct {
	system *System
	mark   *mark  // the question's
	path   string // of the actor that is to answer
}

// tellQuestion is Tell for a question, which may be a forwarded one. The question
// continues its trace or begins one, and the Reply knows the trace before anyone
// can answer.
func (r Ref[M]) tellQuestion(question M, trace *atomic.Pointer[questionTrace]) error {
	if r.cell == nil {
		return ErrZeroRef
	}
	before := trace.Load()
	var m *mark
	switch {
	case before == nil && !r.cell.parent.system.tracer.on.Load():
		return r.Tell(question) // the common case is short
	case before == nil:
		m = r.mark(nil)
	case before.mark.continues():
		m = before.system.tracer.caused(before.path, before.mark)
	}
	if m != nil {
		trace.Store(&questionTrace{r.cell.system(), m, r.cell.path()})
	}
	err := r.tellMarked(question, m)
	if err != nil {
		trace.Store(before)
	}
	return err
}

// answered reports the answer. The caller delivers the event.
func (q *questionTrace) answered(value any, err error) {
	trace := q.system.tracer.caused(q.path, q.mark).Trace
	q.system.events.add(MessageAnswered{By: q.path, Answer: value, Err: err, Trace: trace, At: q.system.now()})
}
