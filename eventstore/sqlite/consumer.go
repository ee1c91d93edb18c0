package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
)

const selectConsumer = `SELECT name, position, schema, state, sha256 FROM consumers`

// Consumer implements eventstore.Store.
func (s *Store) Consumer(ctx context.Context, name string) (eventstore.Consumer, error) {
	found, err := s.consumers(ctx, selectConsumer+` WHERE name = ?`, name)
	if err != nil || len(found) == 0 {
		return eventstore.Consumer{Name: name}, err
	}
	return found[0], nil
}

// Consumers implements eventstore.Store.
func (s *Store) Consumers(ctx context.Context) ([]eventstore.Consumer, error) {
	return s.consumers(ctx, selectConsumer+` ORDER BY name`)
}

func (s *Store) consumers(ctx context.Context, sql string, values ...any) ([]eventstore.Consumer, error) {
	var found []eventstore.Consumer
	err := s.withReader(ctx, func(r *reader) error {
		found = nil
		// A file of version 1 that has not been opened for writing since has no such table.
		if version, err := checkMarks(r.conn); err != nil || version < 2 {
			return err
		}
		stmt, err := r.conn.statement(sql, values...)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Reset() }()
		for stmt.Step() {
			c, err := scanConsumer(stmt)
			if err != nil {
				return err
			}
			found = append(found, c)
		}
		return stmt.Err()
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// scanConsumer fails if the row is damaged: from a wrong position, events would be
// skipped.
func scanConsumer(stmt *sqlite3.Stmt) (eventstore.Consumer, error) {
	c := eventstore.Consumer{
		Name: stmt.ColumnText(0), Position: eventstore.Position(stmt.ColumnInt64(1)),
		Schema: stmt.ColumnInt(2), State: stmt.ColumnBlob(3, nil),
	}
	if sum := consumerSum(c); string(sum[:]) != string(stmt.ColumnRawBlob(4)) {
		return c, &eventstore.CorruptionError{What: fmt.Sprintf("the consumer %q is damaged: delete it, to let it start over", c.Name)}
	}
	return c, nil
}

// SaveConsumer implements eventstore.Store.
func (s *Store) SaveConsumer(ctx context.Context, c eventstore.Consumer, from eventstore.Position) error {
	c.State = append([]byte(nil), c.State...)
	return s.store(ctx, func(w *writer) error { return w.saveConsumer(c, from) })
}

func (w *writer) saveConsumer(c eventstore.Consumer, from eventstore.Position) error {
	stored, err := w.conn.queryInt(`SELECT coalesce(max(position), 0) FROM consumers WHERE name = ?`, c.Name)
	if err != nil {
		return err
	}
	if err := eventstore.CheckConsumer(c, eventstore.Position(stored), from, w.head); err != nil {
		return err
	}
	sum := consumerSum(c)
	return w.conn.execute(`INSERT INTO consumers VALUES (?,?,?,?,?) ON CONFLICT (name) DO UPDATE
		SET position = excluded.position, schema = excluded.schema, state = excluded.state, sha256 = excluded.sha256`,
		c.Name, int64(c.Position), int64(c.Schema), c.State, sum[:])
}

// DeleteConsumer implements eventstore.Store.
func (s *Store) DeleteConsumer(ctx context.Context, name string) error {
	return s.store(ctx, func(w *writer) error { return w.conn.execute(`DELETE FROM consumers WHERE name = ?`, name) })
}

// consumerSum covers all of a consumer.
func consumerSum(c eventstore.Consumer) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q\n%d\n%d\n%s", c.Name, c.Position, c.Schema, c.State))
}
