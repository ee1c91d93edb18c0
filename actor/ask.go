package actor

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
)

// Reply is where the answer to a question goes. It travels in the message; the
// zero value takes answers and drops them.
type Reply[R any] struct {
	to *slot[R]
}

// slot takes the first answer and no other.
type slot[R any] struct {
	taken    atomic.Bool
	answered atomic.Bool // value and err are there
	value    R
	err      error
	// news has a token where there is an answer, or another responder.
	news chan struct{}
	// by is who answers in the place of who was asked; nil as long as that is
	// the same.
	by atomic.Pointer[responder]
	// trace is of the question; nil if it is not traced.
	trace atomic.Pointer[questionTrace]
}

// tell has whoever asked look.
func (s *slot[R]) tell() {
	select {
	case s.news <- struct{}{}:
	default: // it will
	}
}

// responder is an actor that has a question to answer.
type responder struct {
	path string
	done <-chan struct{}
}

// Send answers with a value. It never waits; false says that there was an
// answer before, or that nobody asked (the zero Reply).
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

// Forward tells the message to another actor, which is to answer in the place of
// the one that was asked: whoever asked gets its answer through the same Reply,
// which the message should carry, by the same deadline, and ErrStopped where this
// actor ends without an answer. It fails with the errors of Tell; the question
// then is still the caller's. The trace of a question goes on with it.
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

// Ask tells an actor a message that carries a Reply and waits for the answer.
// It fails with ErrNoDeadline for a ctx without a deadline, with the errors of
// Tell, when ctx is done, with ErrStopped where the actor ends without having
// answered, and with the error of Reply.Fail. A question that was lost because
// the actor failed ends with the deadline.
//
// Two actors that ask each other wait for each other: an actor must not call
// it, but tell, and be told.
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
			// The last that it did may have been to answer, or to forward.
			by := reply.by.Load()
			if !reply.answered.Load() && (by == nil || by.done == done) {
				return none, fmt.Errorf("ask %s: %w", cmp.Or(path, to.Path()), ErrStopped)
			}
		}
	}
	return reply.value, reply.err
}
