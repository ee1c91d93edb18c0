package memory

import (
	"cmp"
	"context"
	"slices"

	"reprise/eventstore"
)

// Consumer implements eventstore.Store.
func (s *Store) Consumer(ctx context.Context, name string) (eventstore.Consumer, error) {
	all, err := s.Consumers(ctx)
	if err != nil {
		return eventstore.Consumer{}, err
	}
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
	}
	return eventstore.Consumer{Name: name}, nil
}

// Consumers implements eventstore.Store.
func (s *Store) Consumers(ctx context.Context) ([]eventstore.Consumer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, eventstore.ErrClosed
	}
	var all []eventstore.Consumer
	for _, c := range s.consumers {
		c.State = slices.Clone(c.State)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b eventstore.Consumer) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// SaveConsumer implements eventstore.Store.
func (s *Store) SaveConsumer(ctx context.Context, c eventstore.Consumer, from eventstore.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	if err := eventstore.CheckConsumer(c, s.consumers[c.Name].Position, from, s.head()); err != nil {
		return err
	}
	c.State = append([]byte(nil), c.State...) // nil if empty, as every store returns it
	s.consumers[c.Name] = c
	return nil
}

// DeleteConsumer implements eventstore.Store.
func (s *Store) DeleteConsumer(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	delete(s.consumers, name)
	return nil
}
