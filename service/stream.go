package service

import (
	"context"
	"iter"
	"time"
)

// streamOf returns a stream of what do sends, and at last its error. Breaking the stream
// off ends the context of do and makes send fail; the error of do is dropped then. do
// sends from its own goroutine.
func streamOf[Item any](
	ctx context.Context, do func(ctx context.Context, send func(Item) error) error,
) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		broken := false
		send := func(item Item) error {
			if broken || !yield(item, nil) {
				broken = true
				cancel()
				return context.Canceled
			}
			return nil
		}
		err := do(ctx, send)
		explain(ctx, &err)
		if err != nil && !broken {
			var none Item
			yield(none, err)
		}
	}
}

// progressInterval is how often progress is told at most: more often than a display
// draws it, and seldom enough to cost nothing.
const progressInterval = 50 * time.Millisecond

// pace says when to tell progress again. The zero value of last is never.
type pace struct {
	now  func() time.Time
	last time.Time
}

func (p *pace) due() bool {
	now := p.now()
	if !p.last.IsZero() && now.Sub(p.last) < progressInterval {
		return false
	}
	p.last = now
	return true
}
