package eventstore

import (
	"context"
	"math"
)

// End is a position after every event.
const End = Position(math.MaxUint64)

// walkPage is the number of events that Walk reads at a time.
const walkPage = 1000

// Walk calls visit for every event after one position, up to another or to the
// end of the log as it is when the walk gets there, in order. It returns the
// position of the last event that visit accepted, and visit's error unwrapped.
func Walk(ctx context.Context, store Store, after, last Position, visit func(Event) error) (Position, error) {
	for after < last {
		limit := int(min(last-after, walkPage))
		page, err := store.Read(ctx, after, limit)
		if err != nil {
			return after, err
		}
		for _, e := range page {
			if err := visit(e); err != nil {
				return after, err
			}
			after = e.Position
		}
		if len(page) < limit {
			break
		}
	}
	return after, nil
}
