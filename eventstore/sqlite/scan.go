package sqlite

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
)

// The columns in the order of scanner.scan. In a range, the order of the rows gives
// their positions.
const (
	columns     = `id, aggregate, version, type, seconds, nanoseconds, correlation, causation, payload, prev_hash, hash`
	selectEvent = `SELECT ` + columns + `, position FROM events`
	selectRange = `SELECT ` + columns + ` FROM events WHERE position BETWEEN ? AND ? ORDER BY position`
)

func insertEvent(conn *connection, e *eventstore.Event) error {
	stmt, err := conn.statement(`INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	payload := e.Payload
	if payload == nil {
		payload = []byte{} // nil would be NULL
	}
	if err := errors.Join(
		stmt.BindInt64(1, int64(e.Position)),
		stmt.BindText(2, string(e.ID)),
		stmt.BindText(3, string(e.Aggregate)),
		stmt.BindInt64(4, int64(e.Version)),
		stmt.BindText(5, e.Type),
		stmt.BindInt64(6, e.Time.Unix()),
		stmt.BindInt(7, e.Time.Nanosecond()),
		stmt.BindText(8, string(e.Correlation)),
		stmt.BindText(9, string(e.Causation)),
		stmt.BindBlob(10, payload),
		stmt.BindBlob(11, e.PrevHash[:]),
		stmt.BindBlob(12, e.Hash[:]),
	); err != nil {
		return err
	}
	return stmt.Exec()
}

// queryEvents appends the events that the statement returns, having checked their
// hashes.
func queryEvents(conn *connection, events []eventstore.Event, sql string, values ...any) ([]eventstore.Event, error) {
	stmt, err := conn.statement(sql, values...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stmt.Reset() }()
	s := scanner{stmt: stmt}
	for stmt.Step() {
		events = slices.Grow(events, 1)[:len(events)+1]
		if err := s.scan(&events[len(events)-1]); err != nil {
			return nil, err
		}
	}
	return events, corruption(stmt.Err())
}

// queryRange fills in the events starting at a position and returns how many there are.
// If one is missing, the hash of the next one does not match its position.
func queryRange(conn *connection, first eventstore.Position, events []eventstore.Event) (n int, err error) {
	stmt, err := conn.statement(selectRange, int64(first), int64(first)+int64(len(events))-1)
	if err != nil {
		return 0, err
	}
	defer func() { _ = stmt.Reset() }()
	s := scanner{stmt: stmt, ranged: true}
	for ; stmt.Step(); n++ {
		events[n].Position = first + eventstore.Position(n)
		if err := s.scan(&events[n]); err != nil {
			return n, err
		}
	}
	return n, corruption(stmt.Err())
}

// scanner reads rows. Values that consecutive rows have in common, such as the
// aggregate, share one string, and ids as well as small payloads share memory: otherwise
// reading would spend most of its time on an allocation for every column.
type scanner struct {
	stmt   *sqlite3.Stmt
	ranged bool // the position is known, and not among the columns

	aggregate, eventType, correlation, causation string
	// ids is the memory for ids. It is replaced when it is full, so that what was
	// written to it never moves.
	ids strings.Builder
	// room is what is left of the memory for small payloads.
	room []byte
	size int // of the last such memory; it grows as more rows come
}

const (
	roomForIDs      = 4 << 10
	roomForPayloads = 16 << 10
	// smallPayload bounds how much memory a payload that is retained keeps alive.
	smallPayload = 1 << 10
)

// scan reads the row into e, except for a position that is known already, and checks
// its hash.
func (s *scanner) scan(e *eventstore.Event) error {
	if !s.ranged {
		e.Position = eventstore.Position(s.stmt.ColumnInt64(11))
	}
	e.ID = eventstore.EventID(s.id(s.raw(0)))
	e.Aggregate = eventstore.AggregateID(s.text(1, &s.aggregate))
	e.Version = eventstore.Version(s.stmt.ColumnInt64(2))
	e.Type = s.text(3, &s.eventType)
	nanoseconds := s.stmt.ColumnInt64(5)
	e.Time = time.Unix(s.stmt.ColumnInt64(4), nanoseconds).UTC()
	e.Correlation = eventstore.EventID(s.text(6, &s.correlation))
	e.Causation = eventstore.EventID(s.text(7, &s.causation))
	e.Payload = s.payload(s.raw(8))
	prev := copy(e.PrevHash[:], s.exactly(9, len(e.PrevHash)))
	hash := copy(e.Hash[:], s.exactly(10, len(e.Hash)))
	switch {
	case prev != len(e.PrevHash) || hash != len(e.Hash):
		return damaged(e, "its hash has the wrong length")
	case nanoseconds < 0 || nanoseconds > 999_999_999:
		// They would be carried over into seconds, and hash like others.
		return damaged(e, "its time is damaged")
	}
	return e.Check()
}

func damaged(e *eventstore.Event, what string) error {
	return &eventstore.CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: what}
}

// raw returns the column's bytes, which are valid until the next step. It looks up the
// column once, where Stmt.ColumnRawBlob does so for both pointer and length.
func (s *scanner) raw(column int) []byte { return s.stmt.ColumnValue(column).RawBlob() }

// exactly returns the blob if it has n bytes.
func (s *scanner) exactly(column, n int) []byte {
	if b := s.raw(column); len(b) == n {
		return b
	}
	return nil
}

// text returns the column's text; the same string as for the row before if it is equal.
func (s *scanner) text(column int, before *string) string {
	if raw := s.raw(column); string(raw) != *before {
		*before = string(raw)
	}
	return *before
}

func (s *scanner) id(raw []byte) string {
	if s.ids.Cap()-s.ids.Len() < len(raw) {
		size := min(2*max(s.ids.Cap(), len(raw)), roomForIDs)
		s.ids.Reset()
		s.ids.Grow(max(size, len(raw)))
	}
	start := s.ids.Len()
	s.ids.Write(raw)
	return s.ids.String()[start:]
}

func (s *scanner) payload(raw []byte) []byte {
	switch {
	case len(raw) == 0:
		return nil
	case len(raw) > smallPayload:
		return append([]byte(nil), raw...)
	case len(raw) > len(s.room):
		s.size = min(2*max(s.size, smallPayload/2), roomForPayloads)
		s.room = make([]byte, s.size)
	}
	n := copy(s.room, raw)
	payload := s.room[:n:n]
	s.room = s.room[n:]
	return payload
}
