package eventstore

import (
	"context"
	"fmt"
)

// Consumer is the durable place of a named reader of the log, and what the
// reader keeps beside it: a projection that stores its read model as State
// never disagrees with its place.
type Consumer struct {
	Name string
	// Position is that of the last event that was handled; 0 is before the first.
	Position Position
	// Schema tells versions of State's form apart.
	Schema int
	// State is the consumer's own, at most MaxSnapshot bytes; it may be nil.
	State []byte
}

// ConsumerConfig says who consumes.
type ConsumerConfig struct {
	Name string
	// Schema is the version of the state's form. A stored consumer of another
	// schema is ignored: consuming starts at the first event, without state.
	Schema int
	// MaxBatch is the largest number of events handled at once; 0 stands for 256,
	// which is also the most.
	MaxBatch int
}

// Handler handles the events that follow a consumer's place, in order and at
// least one, and returns the state to keep with the new place. It owns neither
// the state nor the events' payloads.
type Handler func(ctx context.Context, state []byte, batch []Event) ([]byte, error)

// Consume hands every event behind the named consumer's place to handle, first
// those stored, then those to come, and saves place and state after each batch.
// It returns only with an error: that of ctx, of handle, of the store, or
// ErrConcurrencyConflict where somebody else consumes under the same name.
//
// Place and state change together or not at all, so the state has seen every
// event exactly once. Whatever else handle does happens at least once: a crash
// between handle and saving brings the batch again, perhaps cut differently.
// What it does outside must be idempotent; event ids and positions serve as keys.
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

// CatchUp is Consume up to the end of the log as it is at the call. It returns
// the consumer as it is saved then.
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

// startConsumer returns the consumer to go on from and the position that the
// store keeps of it.
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

// CheckConsumer fails for a consumer that no store keeps: stored is the position
// that is kept, from the expected one, and head the end of the log.
func CheckConsumer(c Consumer, stored, from Position, head Head) error {
	if err := validateName("consumer", c.Name, false); err != nil {
		return err
	}
	switch {
	case len(c.State) > MaxSnapshot:
		return &LimitError{Field: "state of consumer " + c.Name, Got: fmt.Sprintf("%d bytes", len(c.State)), Limit: fmt.Sprintf("at most %d", MaxSnapshot)}
	case c.Position > head.Position:
		return &LimitError{Field: "position of consumer " + c.Name, Got: fmt.Sprint(c.Position), Limit: fmt.Sprintf("at most %d, the end of the log", head.Position)}
	case stored != from:
		return fmt.Errorf("consumer %s is at position %d, expected %d: %w", c.Name, stored, from, ErrConcurrencyConflict)
	}
	return nil
}
