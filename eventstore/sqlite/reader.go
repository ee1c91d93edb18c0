package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
)

// selectEvent reads the columns in the order of scanEvents.
const selectEvent = `SELECT position, id, aggregate, version, type, seconds, nanoseconds,
	correlation, causation, payload, prev_hash, hash FROM events`

func insertEvent(conn *connection, e eventstore.Event) error {
	return conn.execute(`INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		int64(e.Position), string(e.ID), string(e.Aggregate), int64(e.Version), e.Type,
		e.Time.Unix(), int64(e.Time.Nanosecond()), string(e.Correlation), string(e.Causation),
		e.Payload, e.PrevHash[:], e.Hash[:])
}

// scanEvents reads all rows of a statement and checks each event's hash.
func scanEvents(stmt *sqlite3.Stmt) ([]eventstore.Event, error) {
	var events []eventstore.Event
	for stmt.Step() {
		e, err := scanEvent(stmt)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, corruption(stmt.Err())
}

func scanEvent(stmt *sqlite3.Stmt) (eventstore.Event, error) {
	e := eventstore.Event{
		NewEvent: eventstore.NewEvent{
			ID:          eventstore.EventID(stmt.ColumnText(1)),
			Type:        stmt.ColumnText(4),
			Time:        time.Unix(stmt.ColumnInt64(5), stmt.ColumnInt64(6)).UTC(),
			Correlation: eventstore.EventID(stmt.ColumnText(7)),
			Causation:   eventstore.EventID(stmt.ColumnText(8)),
			Payload:     stmt.ColumnBlob(9, nil),
		},
		Position:  eventstore.Position(stmt.ColumnInt64(0)),
		Aggregate: eventstore.AggregateID(stmt.ColumnText(2)),
		Version:   eventstore.Version(stmt.ColumnInt64(3)),
	}
	prev, hash := stmt.ColumnRawBlob(10), stmt.ColumnRawBlob(11)
	if len(prev) != len(e.PrevHash) || len(hash) != len(e.Hash) {
		return e, &eventstore.CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: "its hash has the wrong length"}
	}
	copy(e.PrevHash[:], prev)
	copy(e.Hash[:], hash)
	// Nanoseconds beyond a second would be carried over and hash like others.
	if n := stmt.ColumnInt64(6); n < 0 || n > 999_999_999 {
		return e, &eventstore.CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: "its time is damaged"}
	}
	return e, e.Check()
}

func queryEvents(conn *connection, sql string, values ...any) ([]eventstore.Event, error) {
	stmt, err := conn.statement(sql, values...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stmt.Reset() }()
	return scanEvents(stmt)
}

// reader is a connection for reading, within one read transaction.
type reader struct{ conn *connection }

// withReader calls f within a read transaction, in which the log stands still.
// Where it is corrupt, the error names the first event that is.
func (s *Store) withReader(ctx context.Context, f func(*reader) error) error {
	select {
	case s.tokens <- struct{}{}:
		defer func() { <-s.tokens }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return eventstore.ErrClosed
	}
	var conn *connection
	select {
	case conn = <-s.readers:
	default:
		var err error
		if conn, err = s.connectReader(); err != nil {
			return err
		}
	}
	err := inTransaction(ctx, conn, f)
	if err != nil && !errors.Is(err, eventstore.ErrLimit) {
		// A connection that met an error may be in any state.
		if ctx.Err() != nil { // SQLite calls it interrupted
			return errors.Join(ctx.Err(), conn.Close())
		}
		return errors.Join(s.named(ctx, corruption(err)), conn.Close())
	}
	s.readers <- conn
	return err
}

// connectReader opens a connection that changes nothing, not even by tidying up
// the WAL of a writer that was killed.
func (s *Store) connectReader() (*connection, error) {
	conn, err := s.connect(sqlite3.OPEN_READWRITE)
	if err != nil {
		// A read-only directory or file.
		if conn, err = s.connect(sqlite3.OPEN_READONLY); err != nil {
			return nil, err
		}
	}
	_, err = conn.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true)
	if err = errors.Join(err, conn.Exec("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0")); err != nil {
		return nil, errors.Join(corruption(err), conn.Close())
	}
	return conn, nil
}

func inTransaction(ctx context.Context, conn *connection, f func(*reader) error) error {
	old := conn.SetInterrupt(ctx)
	defer conn.SetInterrupt(old)
	if err := conn.Exec("BEGIN"); err != nil {
		return err
	}
	if err := f(&reader{conn}); err != nil {
		return err
	}
	return conn.Exec("COMMIT")
}

// Read implements eventstore.Store.
func (s *Store) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	limit = max(0, min(limit, eventstore.MaxReadPage))
	var events []eventstore.Event
	err := s.withReader(ctx, func(r *reader) error {
		var err error
		events, err = queryEvents(r.conn, selectEvent+` WHERE position > ? ORDER BY position LIMIT ?`, int64(min(after, 1<<62)), int64(limit))
		if err != nil {
			return err
		}
		if err := checkLinks(after, events); err != nil || len(events) == limit {
			return err
		}
		return checkLast(r.conn, after, events)
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// checkLinks fails where adjacent events are not linked or one is missing.
func checkLinks(after eventstore.Position, events []eventstore.Event) error {
	for i, e := range events {
		want := after + eventstore.Position(i) + 1
		if e.Position != want {
			return &eventstore.CorruptionError{Position: want, What: fmt.Sprintf("missing; the next event has position %d", e.Position)}
		}
		if i > 0 && e.PrevHash != events[i-1].Hash {
			return &eventstore.CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: "it does not follow the event before it"}
		}
	}
	return nil
}

// checkLast fails where events, read from behind after on, stop short of the
// recorded end of the log.
func checkLast(conn *connection, after eventstore.Position, events []eventstore.Event) error {
	head, err := recordedHead(conn)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		if after < head.Position {
			return &eventstore.CorruptionError{Position: after + 1, What: fmt.Sprintf("missing; the log should end at position %d", head.Position)}
		}
		return nil
	}
	last := events[len(events)-1]
	return checkEnd(head, eventstore.Head{Position: last.Position, Hash: last.Hash})
}

// Replay implements eventstore.Store.
func (s *Store) Replay(ctx context.Context, aggregate eventstore.AggregateID, from eventstore.Version) (eventstore.Replay, error) {
	var replay eventstore.Replay
	err := s.withReader(ctx, func(r *reader) error {
		if _, err := readHead(r.conn); err != nil {
			return err
		}
		snapshot, err := r.snapshot(aggregate)
		if err != nil {
			return err
		}
		first := max(from, 1)
		if snapshot != nil && snapshot.Version >= from {
			replay.Snapshot, first = snapshot, snapshot.Version+1
		}
		replay.Events, err = r.history(aggregate, first, unlimited)
		return err
	})
	if err != nil {
		return eventstore.Replay{}, err
	}
	return replay, nil
}

// ReadAggregate implements eventstore.Store.
func (s *Store) ReadAggregate(ctx context.Context, aggregate eventstore.AggregateID, after eventstore.Version, limit int) ([]eventstore.Event, error) {
	var events []eventstore.Event
	err := s.withReader(ctx, func(r *reader) error {
		var err error
		events, err = r.history(aggregate, min(after, 1<<62)+1, int64(max(0, min(limit, eventstore.MaxReadPage))))
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// unlimited is a limit of rows that is none.
const unlimited = -1

// history returns an aggregate's events from a version on, without gaps.
func (r *reader) history(aggregate eventstore.AggregateID, first eventstore.Version, limit int64) ([]eventstore.Event, error) {
	events, err := queryEvents(r.conn, selectEvent+` WHERE aggregate = ? AND version >= ? ORDER BY version LIMIT ?`,
		string(aggregate), int64(min(first, 1<<62)), limit)
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		if want := first + eventstore.Version(i); e.Version != want {
			return nil, &eventstore.CorruptionError{Position: e.Position, Aggregate: aggregate, Version: want, What: fmt.Sprintf("missing; the next event has version %d", e.Version)}
		}
	}
	return events, nil
}

// snapshot returns the aggregate's snapshot, or nil where there is none that is
// whole: it is a cache, and a damaged one is as good as none.
func (r *reader) snapshot(aggregate eventstore.AggregateID) (*eventstore.Snapshot, error) {
	stmt, err := r.conn.statement(`SELECT version, schema, payload, sha256 FROM snapshots WHERE aggregate = ?`, string(aggregate))
	if err != nil {
		return nil, err
	}
	defer func() { _ = stmt.Reset() }()
	if !stmt.Step() {
		return nil, stmt.Err()
	}
	s := eventstore.Snapshot{
		Aggregate: aggregate, Version: eventstore.Version(stmt.ColumnInt64(0)),
		Schema: stmt.ColumnInt(1), Payload: stmt.ColumnBlob(2, nil),
	}
	if sum := snapshotSum(s); string(sum[:]) != string(stmt.ColumnRawBlob(3)) {
		return nil, stmt.Err()
	}
	return &s, stmt.Err()
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Head, error) {
	var head eventstore.Head
	err := s.withReader(ctx, func(r *reader) error {
		var err error
		head, err = readHead(r.conn)
		return err
	})
	return head, err
}

// verifyPage is the number of events that Verify reads at a time.
const verifyPage = 1000

// Verify implements eventstore.Store.
func (s *Store) Verify(ctx context.Context) (eventstore.Head, error) {
	chain := eventstore.NewChain()
	err := s.withReader(ctx, func(r *reader) error {
		for {
			after := chain.Head().Position
			events, err := queryEvents(r.conn, selectEvent+` WHERE position > ? ORDER BY position LIMIT ?`, int64(after), verifyPage)
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := chain.Add(e); err != nil {
					return err
				}
			}
			if len(events) < verifyPage {
				break
			}
		}
		head, err := readHead(r.conn)
		if err != nil {
			return err
		}
		return errors.Join(checkEnd(head, chain.Head()), integrity(r.conn))
	})
	if err != nil {
		return eventstore.Head{}, err
	}
	return chain.Head(), nil
}

// integrity lets SQLite check its own structures: that every index agrees with
// its table.
func integrity(conn *connection) error {
	stmt, err := conn.statement("PRAGMA integrity_check(1)")
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Reset() }()
	if stmt.Step() {
		if what := stmt.ColumnText(0); what != "ok" {
			return &eventstore.CorruptionError{What: what}
		}
	}
	return corruption(stmt.Err())
}
