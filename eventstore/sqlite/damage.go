package sqlite

import (
	"context"
	"errors"

	"reprise/eventstore"
)

// named adds the first damaged event to an error that says that the log is corrupt.
// SQLite knows only pages; a page holds many events, and an event may span many pages.
// So the log is read once more, event by event, ignoring the checksums of pages. The
// result is only used for the message and never returned to a caller.
func (s *Store) named(ctx context.Context, err error) error {
	var known *eventstore.CorruptionError
	if !errors.As(err, &known) {
		return err
	}
	return s.located(s.firstNamed(ctx, known, err))
}

// located adds the path of the log to an error that says that the log is corrupt.
func (s *Store) located(err error) error {
	var known *eventstore.CorruptionError
	if errors.As(err, &known) {
		known.Path = s.path
	}
	return err
}

// firstNamed is named for the *eventstore.CorruptionError in err.
func (s *Store) firstNamed(ctx context.Context, known *eventstore.CorruptionError, err error) error {
	conn, openErr := s.connectReader(ctx)
	if openErr != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var first *eventstore.CorruptionError
	whole := false
	_ = inTransaction(ctx, conn, func(r *reader) error {
		if err := conn.Exec("PRAGMA checksum_verification = OFF"); err != nil {
			return err
		}
		first, whole = r.firstDamaged(ctx)
		return nil
	})
	switch {
	case first == nil && whole && known.Position == 0:
		return &eventstore.CorruptionError{What: known.What + "; every event is whole, the damage is in the space around them"}
	case first == nil:
		return err
	}
	if known.Position == 0 && known.What != first.What {
		first.What += " (" + known.What + ")"
	}
	return first
}

// firstDamaged follows the chain and returns what is wrong with the first event that is
// not what was appended, or that all events are whole.
func (r *reader) firstDamaged(ctx context.Context) (first *eventstore.CorruptionError, whole bool) {
	chain := eventstore.NewChain()
	head, headErr := recordedHead(r.conn)
	for ctx.Err() == nil {
		next := chain.Head().Position + 1
		events, err := queryEvents(r.conn, nil, selectEvent+` WHERE position = ?`, int64(next))
		if err == nil && len(events) == 1 {
			err = chain.AddChecked(events[0])
			if err == nil {
				continue
			}
		}
		var damaged *eventstore.CorruptionError
		switch {
		case errors.As(err, &damaged) && damaged.Position != 0:
			return damaged, false
		case damaged != nil:
			return &eventstore.CorruptionError{Position: next, What: "it cannot be read: " + damaged.What}, false
		case err == nil && headErr == nil && errors.As(checkEnd(head, chain.Head()), &damaged):
			return damaged, false
		}
		return nil, err == nil && headErr == nil
	}
	return nil, false
}

// lastReadable returns the last position that SQLite can read, for an error message; 0
// if it can read none.
func (s *Store) lastReadable() eventstore.Position {
	conn, err := s.connectReader(context.Background())
	if err != nil {
		return 0
	}
	defer func() { _ = conn.Close() }()
	last, err := conn.queryInt("SELECT coalesce(max(position), 0) FROM events")
	if err != nil {
		return 0
	}
	return eventstore.Position(max(0, last))
}

// recordedHead returns the recorded end of the log.
func recordedHead(conn *connection) (eventstore.Head, error) {
	var head eventstore.Head
	stmt, err := conn.statement(`SELECT position, hash FROM head`)
	if err != nil {
		return head, err
	}
	defer func() { _ = stmt.Reset() }()
	if !stmt.Step() {
		return head, corruption(errors.Join(stmt.Err(), &eventstore.CorruptionError{What: "the record of its end is missing"}))
	}
	head.Position = eventstore.Position(stmt.ColumnInt64(0))
	if hash := stmt.ColumnRawBlob(1); copy(head.Hash[:], hash) != len(head.Hash) || len(hash) != len(head.Hash) {
		return head, corruption(errors.Join(stmt.Err(), &eventstore.CorruptionError{What: "the record of its end is damaged"}))
	}
	return head, corruption(stmt.Err())
}
