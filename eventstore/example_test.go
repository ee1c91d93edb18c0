package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reprise/eventstore"
	"reprise/eventstore/memory"
)

// Two clerks have read the same account. The one that writes second is refused,
// reads again and decides again.
func ExampleStore_append() {
	ctx := context.Background()
	store := memory.New()
	defer func() { _ = store.Close() }()

	pay := func(clerk string, seen eventstore.Version) error {
		_, err := store.Append(ctx, eventstore.Write{Aggregate: "account/7", Expected: eventstore.Exactly(seen), Events: []eventstore.NewEvent{
			{ID: eventstore.EventID(clerk), Type: "account.paid.v1", Time: time.Unix(0, 0), Payload: []byte(`{"cents":500}`)},
		}})
		return err
	}
	fmt.Println("first:", pay("ann", 0))
	fmt.Println("second is refused:", errors.Is(pay("bob", 0), eventstore.ErrConcurrencyConflict))
	fmt.Println("and tries again:", pay("bob", 1))

	head, err := store.Verify(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("events in the verified chain:", head.Position)
	// Output:
	// first: <nil>
	// second is refused: true
	// and tries again: <nil>
	// events in the verified chain: 2
}

// A projection saves its position in the log together with its total, so that
// no event counts twice, whatever crashes in between.
func ExampleCatchUp() {
	ctx := context.Background()
	store := memory.New()
	defer func() { _ = store.Close() }()
	for i := range 3 {
		e := eventstore.NewEvent{ID: eventstore.EventID(fmt.Sprint(i)), Type: "door.opened.v1", Time: time.Unix(int64(i), 0)}
		if _, err := store.Append(ctx, eventstore.Write{Aggregate: "door/1", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e}}); err != nil {
			panic(err)
		}
	}

	count := func(_ context.Context, state []byte, batch []eventstore.Event) ([]byte, error) {
		seen := 0
		_, _ = fmt.Sscan(string(state), &seen)
		return fmt.Append(nil, seen+len(batch)), nil
	}
	for range 2 { // the second time there is nothing to do
		c, err := eventstore.CatchUp(ctx, store, eventstore.ConsumerConfig{Name: "doors", MaxBatch: 2}, count)
		if err != nil {
			panic(err)
		}
		fmt.Printf("at position %d: %s\n", c.Position, c.State)
	}
	// Output:
	// at position 3: 3
	// at position 3: 3
}
