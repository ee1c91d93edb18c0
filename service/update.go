package service

import (
	"context"
	"iter"
	"time"

	"reprise/api"
)

// updates returns a stream of how far work is and, at its end, its result. Breaking it
// off ends the context of work, which calls progress from its own goroutine.
func updates[Result any](
	ctx context.Context, now func() time.Time, work func(ctx context.Context, progress func(done, of uint64)) (Result, error),
) iter.Seq2[api.Update[Result], error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Update[Result]) error) error {
		told := pace{now: now}
		result, err := work(ctx, func(done, of uint64) {
			if told.due() {
				_ = send(api.Update[Result]{Done: done, Of: of}) // which ends ctx if it fails
			}
		})
		if err != nil {
			return err
		}
		return send(api.Update[Result]{Result: &result})
	})
}
