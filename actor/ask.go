package actor

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
)

// Reply is where the answer to a question goes. It travels in the message; the zero
// value accepts answers and drops them.
type Reply[R any] struct {
	to *slot[R]
}

// slot holds the first answer and ignores any other.
type slot[R any] struct {
	taken    atomic.Bool
	answered atomic.Bool // value and err are set
	value    R
	err      error
	// news holds a token once there is an answer or another responder.
	news chan struct{}
	// by is the actor that answers in place of the one that was asked; nil until
	// the question is forwarded.
	by atomic.Pointer[responder]
	// trace is the question's trace; nil if it is not traced.
	trace atomic.Pointer[questionTrace]
}

// tell wakes the caller of Ask.
func (s *slot[R]) tell() {
	select {
	case s.news <- struct{}{}:
	default: // a token is there already
	}
}

// responder is an actor that has a question to answer.
type responder struct {
	path string
	done <-chan struct{}
}

// Send answers with a value. It never waits. It returns false if the question was
// answered before, or if nobody asked (the zero Reply).
func (r Reply[R]) Send(value R) bool { return r.send(value, nil) }

// Fail answers with an error.
func (r Reply[R]) Fail(err error) bool {
	var none R
	return r.send(none, err)
}

func (r Reply[R]) send(value R, err error) bool {
	if r.to == nil || r.to.taken.Swap(true) {
		return false
	}
	trace := r.to.trace.Load()
	if trace != nil {
		trace.answered(value, err)
	}
	r.to.value, r.to.err = value, err
	r.to.answered.Store(true)
	r.to.tell()
	if trace != nil {
		trace.system.events.deliver()
	}
	return true
}

// Forward tells the message to another actor, which answers in place of the one
// that was asked. The message should carry the same Reply: the caller of Ask gets
// the answer through it, by the same deadline, or ErrStopped if the new actor ends
// without answering. Forward fails with the errors of Tell; the question then
// remains the forwarder's to answer. A traced question stays in its trace.
func Forward[Q, R any](to Ref[Q], message Q, reply Reply[R]) error {
	if reply.to == nil {
		return to.Tell(message)
	}
	if err := to.tellQuestion(message, &reply.to.trace); err != nil {
		return err
	}
	reply.to.by.Store(&responder{to.Path(), to.cell.done()})
	reply.to.tell()
	return nil
}

// Ask tells an actor a message that carries a Reply and waits for the answer. It
// fails with ErrNoDeadline if ctx has no deadline, with the errors of Tell, when
// ctx is done, with ErrStopped if the actor ends without answering, and with the
// error of Reply.Fail. If the actor fails and the question is lost, Ask ends at the
// deadline.
//
// Two actors that asked each other would wait for each other, so an actor must not
// call Ask: it tells, and is told.
func Ask[Q, R any](ctx context.Context, to Ref[Q], build func(reply Reply[R]) Q) (R, error) {
	var none R
	if _, ok := ctx.Deadline(); !ok {
		return none, ErrNoDeadline
	}
	reply := &slot[R]{news: make(chan struct{}, 1)}
	if err := to.tellQuestion(build(Reply[R]{reply}), &reply.trace); err != nil {
		return none, err
	}
	path, done := "", to.cell.done()
	for !reply.answered.Load() {
		if by := reply.by.Load(); by != nil {
			path, done = by.path, by.done
		}
		select {
		case <-reply.news:
		case <-ctx.Done():
			return none, fmt.Errorf("ask %s: %w", cmp.Or(path, to.Path()), ctx.Err())
		case <-done:
			// Its last act may have been to answer, or to forward.
			by := reply.by.Load()
			if !reply.answered.Load() && (by == nil || by.done == done) {
				return none, fmt.Errorf("ask %s: %w", cmp.Or(path, to.Path()), ErrStopped)
			}
		}
	}
	return reply.value, reply.err
}
