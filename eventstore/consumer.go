package eventstore

import (
	"context"
	"fmt"
)

// Consumer is the durable position of a named reader of the log, together with
// state that the reader keeps: a projection that stores its read model as State
// never disagrees with its position.
type Consumer struct {
	Name string
	// Position is that of the last event handled; 0 is before the first.
	Position Position
	// Schema is the version of State's format.
	Schema int
	// State belongs to the consumer: at most MaxSnapshot bytes, or nil.
	State []byte
}

// ConsumerConfig configures Consume and CatchUp.
type ConsumerConfig struct {
	Name string
	// Schema is the version of the state's format. A stored consumer with another
	// schema is ignored: consuming starts at the first event, without state.
	Schema int
	// MaxBatch is the largest number of events handled at once. The default is 256,
	// which is also the maximum.
	MaxBatch int
}

// Handler handles a non-empty batch of the events that follow a consumer's
// position, in order, and returns the state to save with the new position. It
// must not modify or retain the state or the events' payloads.
type Handler func(ctx context.Context, state []byte, batch []Event) ([]byte, error)

// Consume passes every event after the named consumer's position to handle, first
// those stored, then new ones as they arrive, and saves position and state after
// each batch. It returns only with an error: that of ctx, of handle or of the
// store, or ErrConcurrencyConflict if somebody else consumes under the same name.
//
// Position and state change together or not at all, so the state has seen every
// event exactly once. Any other effect of handle happens at least once: after a
// crash between handle and saving, the events are delivered again, perhaps in
// different batches. Such effects must be idempotent; event ids and positions
// serve as keys.
func Consume(ctx context.Context, store Store, config ConsumerConfig, handle Handler) error {
	c, kept, err := startConsumer(ctx, store, config)
	if err != nil {
		return err
	}
	sub := store.Subscribe(c.Position)
	for {
		batch, err := sub.NextBatch(ctx, config.batch())
		if err != nil {
			return err
		}
		if c, err = c.advance(ctx, store, kept, batch, handle); err != nil {
			return err
		}
		kept = c.Position
	}
}

// CatchUp is like Consume, but stops at the end of the log as it was at the time
// of the call. It returns the consumer as saved.
func CatchUp(ctx context.Context, store Store, config ConsumerConfig, handle Handler) (Consumer, error) {
	c, kept, err := startConsumer(ctx, store, config)
	if err != nil {
		return Consumer{}, err
	}
	head, err := store.Head(ctx)
	if err != nil {
		return Consumer{}, err
	}
	for c.Position < head.Position {
		limit := min(Position(config.batch()), head.Position-c.Position)
		batch, err := store.Read(ctx, c.Position, int(limit))
		if err != nil {
			return Consumer{}, err
		}
		if c, err = c.advance(ctx, store, kept, batch, handle); err != nil {
			return Consumer{}, err
		}
		kept = c.Position
	}
	return c, nil
}

func (c ConsumerConfig) batch() int {
	if c.MaxBatch <= 0 {
		return subscriptionPage
	}
	return min(c.MaxBatch, subscriptionPage)
}

// startConsumer returns the consumer to continue from, and the position that the
// store has for it.
func startConsumer(ctx context.Context, store Store, config ConsumerConfig) (Consumer, Position, error) {
	c, err := store.Consumer(ctx, config.Name)
	if err != nil {
		return Consumer{}, 0, err
	}
	kept := c.Position
	if c.Schema != config.Schema {
		c = Consumer{Name: config.Name, Schema: config.Schema}
	}
	return c, kept, nil
}

func (c Consumer) advance(ctx context.Context, store Store, kept Position, batch []Event, handle Handler) (Consumer, error) {
	if len(batch) == 0 {
		return c, c.stuck()
	}
	last := batch[len(batch)-1].Position
	state, err := handle(ctx, c.State, batch)
	if err != nil {
		return c, fmt.Errorf("consumer %s at position %d: %w", c.Name, c.Position, err)
	}
	c.Position, c.State = last, state
	return c, store.SaveConsumer(ctx, c, kept)
}

func (c Consumer) stuck() error {
	return &CorruptionError{Position: c.Position + 1, What: "missing before the end of the log"}
}

// CheckConsumer fails if the consumer must not be saved. stored is the position
// that the store has for it, from the one that the caller expects, and head the
// end of the log. Every implementation calls it first.
func CheckConsumer(c Consumer, stored, from Position, head Head) error {
	if err := validateName("consumer", c.Name, false); err != nil {
		return err
	}
	switch {
	case len(c.State) > MaxSnapshot:
		return limit("state of consumer "+c.Name, fmt.Sprintf("%d bytes", len(c.State)), fmt.Sprintf("are more than %d", MaxSnapshot), "keep less in it")
	case c.Position > head.Position:
		return limit("position of consumer "+c.Name, fmt.Sprint(c.Position), fmt.Sprintf("must be at most %d, the end of the log", head.Position), "handle events before saving their position")
	case stored != from:
		return fmt.Errorf("consumer %s is at position %d, expected %d: %w", c.Name, stored, from, ErrConcurrencyConflict)
	}
	return nil
}
