package actor

import (
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
	taken  atomic.Bool
	answer chan answer[R] // with room for one
}

type answer[R any] struct {
	value R
	err   error
}

// Send answers with a value. It never waits; false says that there was an
// answer before, or that nobody asked (the zero Reply).
func (r Reply[R]) Send(value R) bool { return r.send(answer[R]{value: value}) }

// Fail answers with an error.
func (r Reply[R]) Fail(err error) bool { return r.send(answer[R]{err: err}) }

func (r Reply[R]) send(a answer[R]) bool {
	if r.to == nil || r.to.taken.Swap(true) {
		return false
	}
	r.to.answer <- a
	return true
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
	reply := &slot[R]{answer: make(chan answer[R], 1)}
	if err := to.Tell(build(Reply[R]{reply})); err != nil {
		return none, err
	}
	select {
	case a := <-reply.answer:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("ask %s: %w", to.Path(), ctx.Err())
	case <-to.cell.done():
	}
	select {
	case a := <-reply.answer: // its last word
		return a.value, a.err
	default:
		return none, fmt.Errorf("ask %s: %w", to.Path(), ErrStopped)
	}
}
