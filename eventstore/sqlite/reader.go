package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
)

// reader is a connection for reading, within one read transaction.
type reader struct{ conn *connection }

// errChanged says that a writer started while a connection was reading that assumed
// there was none: what it read must be discarded.
var errChanged = errors.New("the event log changed while it was read")

// maxReadAttempts bounds how often a read is repeated because a writer started.
const maxReadAttempts = 10

// withReader calls f within a read transaction, in which the log does not change. It
// calls f again, from the beginning, if a writer started meanwhile that the transaction
// did not expect. If the log is corrupt, the error names the first damaged event.
func (s *Store) withReader(ctx context.Context, f func(*reader) error) error {
	select {
	case s.tokens <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.tokens }()
	for attempt := 1; ; attempt++ {
		err := s.read(ctx, f)
		switch {
		case !errors.Is(err, errChanged):
			return err
		case attempt == maxReadAttempts:
			return fmt.Errorf("%s: %w, %d times in a row; try again", s.path, err, attempt)
		}
	}
}

// withSpareReader is like withReader if a reader is free; otherwise it does nothing. It
// fails with errChanged where withReader would call f again.
func (s *Store) withSpareReader(ctx context.Context, f func(*reader) error) error {
	select {
	case s.tokens <- struct{}{}:
		defer func() { <-s.tokens }()
		return s.read(ctx, f)
	default:
		return nil
	}
}

// read calls f within one read transaction; the caller holds a token.
func (s *Store) read(ctx context.Context, f func(*reader) error) error {
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return eventstore.ErrClosed
	}
	conn, err := s.idleReader(ctx)
	if err != nil {
		return s.explained(ctx, err)
	}
	err = inTransaction(ctx, conn, f)
	changed := conn.changed()
	if errors.Is(err, errChanged) { // from another reader that helped
		changed = errChanged
	}
	if changed != nil {
		return errors.Join(changed, conn.Close())
	}
	if err != nil && !errors.Is(err, eventstore.ErrLimit) {
		// A connection that met an error may be in any state.
		if ctx.Err() != nil { // SQLite reports an interrupt
			return errors.Join(ctx.Err(), conn.Close())
		}
		return errors.Join(s.named(ctx, s.explained(ctx, corruption(err))), conn.Close())
	}
	s.readers <- conn
	return err
}

// idleReader returns a connection that is not in use.
func (s *Store) idleReader(ctx context.Context) (*connection, error) {
	for {
		select {
		case conn := <-s.readers:
			if conn.changed() == nil {
				return conn, nil
			}
			if err := conn.Close(); err != nil {
				return nil, err
			}
		default:
			return s.connectReader(ctx)
		}
	}
}

// inParts calls f once for each part from 0 to n-1, with r and concurrently with as
// many other readers as are free. Those may see a longer log.
func (s *Store) inParts(ctx context.Context, r *reader, n int, f func(r *reader, part int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	work := func(r *reader) error {
		for part := next.Add(1) - 1; part < int64(n); part = next.Add(1) - 1 {
			if err := f(r, int(part)); err != nil {
				next.Store(int64(n)) // no reader starts another part
				return err
			}
		}
		return nil
	}
	helpers := max(0, min(n, maxReaders, runtime.GOMAXPROCS(0))-1)
	errs := make([]error, helpers)
	var wg sync.WaitGroup
	for i := range helpers {
		wg.Go(func() { errs[i] = s.withSpareReader(ctx, work) })
	}
	err := work(r)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

// connectReader opens a connection that changes nothing: it creates no file, and does
// not clean up the write-ahead log of a writer that was killed. It waits for a writer
// that is about to close.
func (s *Store) connectReader(ctx context.Context) (*connection, error) {
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		conn, err := s.tryReader()
		if !errors.Is(err, sqlite3.BUSY) || waited >= s.config.BusyTimeout {
			return conn, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Store) tryReader() (*connection, error) {
	through, name, unregister, err := registerReadVFS(s.config.VFS, s.disk)
	if err != nil {
		return nil, err
	}
	conn, err := s.connectThrough(name, sqlite3.OPEN_READONLY)
	if err != nil {
		unregister()
		return nil, err
	}
	conn.reading, conn.closed = through, unregister
	_, err = conn.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true)
	if err = errors.Join(err, conn.Exec("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -8192")); err != nil {
		return nil, errors.Join(corruption(err), conn.Close())
	}
	return conn, nil
}

// changed fails with errChanged if the files may have changed while the connection
// was reading them.
func (c *connection) changed() error {
	changed, err := c.reading.changed()
	if changed {
		err = errors.Join(err, errChanged)
	}
	return err
}

func inTransaction(ctx context.Context, conn *connection, f func(*reader) error) error {
	old := conn.SetInterrupt(ctx)
	defer conn.SetInterrupt(old)
	if err := conn.execute("BEGIN"); err != nil {
		return err
	}
	if err := f(&reader{conn}); err != nil {
		return err
	}
	return conn.execute("COMMIT")
}

// Read implements eventstore.Store.
func (s *Store) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	limit = max(0, min(limit, eventstore.MaxReadPage))
	var events []eventstore.Event
	err := s.withReader(ctx, func(r *reader) error {
		events = nil
		head, err := readHead(r.conn)
		if err != nil || after >= head.Position || limit == 0 {
			return err
		}
		n := int(min(head.Position-after, eventstore.Position(limit)))
		if events, err = s.positions(ctx, r, after, n); err != nil {
			return err
		}
		return checkLinks(after, events)
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// LastAt implements eventstore.Store. It reads the table backwards from its end, and of
// each row only its first page: an index would slow down every append.
func (s *Store) LastAt(ctx context.Context, t time.Time) (eventstore.Position, error) {
	var position int64
	err := s.withReader(ctx, func(r *reader) error {
		if _, err := readHead(r.conn); err != nil {
			return err
		}
		var err error
		position, _, err = r.conn.lookUp(`SELECT position FROM events WHERE (seconds, nanoseconds) <= (?, ?) ORDER BY position DESC LIMIT 1`,
			t.Unix(), int64(t.Nanosecond()))
		return err
	})
	if err != nil {
		return 0, err
	}
	return eventstore.Position(position), nil
}

// positionsPart is the number of events of the log that a reader reads at once.
const positionsPart = 500

// positions returns the n events after a position, all of which must be there.
func (s *Store) positions(ctx context.Context, r *reader, after eventstore.Position, n int) ([]eventstore.Event, error) {
	events := make([]eventstore.Event, n)
	err := s.inParts(ctx, r, (n+positionsPart-1)/positionsPart, func(r *reader, part int) error {
		from := part * positionsPart
		to := min(from+positionsPart, n)
		first := after + eventstore.Position(from) + 1
		got, err := queryRange(r.conn, first, events[from:to])
		if err == nil && got < to-from {
			err = &eventstore.CorruptionError{Position: first + eventstore.Position(got), What: "missing before the end of the log"}
		}
		return err
	})
	return events, err
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
		replay.Snapshot = nil
		first := max(from, 1)
		if snapshot != nil && snapshot.Version >= from {
			replay.Snapshot, first = snapshot, snapshot.Version+1
		}
		last, err := r.conn.queryInt(currentVersion, string(aggregate))
		if err != nil {
			return err
		}
		replay.Events, err = s.history(ctx, r, aggregate, first, eventstore.Version(max(0, last)))
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
		events = nil
		last, err := r.conn.queryInt(currentVersion, string(aggregate))
		if err != nil || eventstore.Version(max(0, last)) <= after {
			return err
		}
		page := eventstore.Version(max(0, min(limit, eventstore.MaxReadPage)))
		events, err = s.history(ctx, r, aggregate, after+1, min(eventstore.Version(last), after+page))
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

const (
	// currentVersion is 0 for an aggregate without events.
	currentVersion = `SELECT coalesce(max(version), 0) FROM events WHERE aggregate = ?`
	// historyPart is the number of an aggregate's events that a reader reads at once.
	historyPart = 512
)

// history returns an aggregate's events from one version to another, all of which
// must be there.
func (s *Store) history(ctx context.Context, r *reader, aggregate eventstore.AggregateID, first, last eventstore.Version) ([]eventstore.Event, error) {
	if last < first {
		return nil, nil
	}
	n := last - first + 1
	if head, err := recordedHead(r.conn); err != nil || n > eventstore.Version(head.Position) {
		return nil, errors.Join(err, &eventstore.CorruptionError{What: fmt.Sprintf("%s has version %d in a log of %d events", aggregate, last, head.Position)})
	}
	events := make([]eventstore.Event, n)
	parts := int((n + historyPart - 1) / historyPart)
	err := s.inParts(ctx, r, parts, func(r *reader, part int) error {
		from := part * historyPart
		to := min(from+historyPart, len(events))
		return r.versions(aggregate, first+eventstore.Version(from), events[from:to])
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// versions fills in the aggregate's events, starting at a version. If they are adjacent
// in the log, as they often are, they are read as a range, which takes a fifth less time
// than looking each up in the index.
func (r *reader) versions(aggregate eventstore.AggregateID, first eventstore.Version, events []eventstore.Event) error {
	start, adjacent, err := r.adjacent(aggregate, first, first+eventstore.Version(len(events))-1)
	if err != nil {
		return err
	}
	var n int
	if adjacent {
		n, err = queryRange(r.conn, start, events)
	} else {
		var got []eventstore.Event
		got, err = queryEvents(r.conn, events[:0], selectEvent+` WHERE aggregate = ? AND version >= ? ORDER BY version LIMIT ?`,
			string(aggregate), int64(first), len(events))
		n = len(got)
	}
	if err != nil {
		return err
	}
	for i := range events[:n] {
		e, want := &events[i], first+eventstore.Version(i)
		switch {
		case e.Aggregate != aggregate:
			return damaged(e, fmt.Sprintf("version %d of %s should be in its place", want, aggregate))
		case e.Version != want:
			return &eventstore.CorruptionError{Position: e.Position, Aggregate: aggregate, Version: want, What: fmt.Sprintf("missing; the next event has version %d", e.Version)}
		}
	}
	if n < len(events) {
		return &eventstore.CorruptionError{What: fmt.Sprintf("version %d of %s is missing", first+eventstore.Version(n), aggregate)}
	}
	return nil
}

// adjacent reports whether the versions are adjacent in the log, and the position of the
// first. It relies on later versions having later positions.
func (r *reader) adjacent(aggregate eventstore.AggregateID, first, last eventstore.Version) (start eventstore.Position, adjacent bool, err error) {
	const position = `SELECT position FROM events WHERE aggregate = ? AND version = ?`
	from, found, err := r.conn.lookUp(position, string(aggregate), int64(first))
	if err != nil || !found {
		return 0, false, err
	}
	to, found, err := r.conn.lookUp(position, string(aggregate), int64(last))
	return eventstore.Position(from), found && to-from == int64(last-first), err
}

// snapshot returns the aggregate's snapshot, or nil if there is none or it is damaged:
// it is a cache, and a damaged one is as good as none.
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

// verifyPage is the number of events that Verify reads before it follows their
// links.
const verifyPage = 16 * positionsPart

// Verify implements eventstore.Store. Its readers check the events' hashes at the
// same time; the links between them are followed in order.
func (s *Store) Verify(ctx context.Context) (eventstore.Head, error) {
	var chain *eventstore.Chain
	err := s.withReader(ctx, func(r *reader) error {
		chain = eventstore.NewChain()
		head, err := readHead(r.conn)
		if err != nil {
			return err
		}
		structure := s.integrity(ctx)
		err = s.follow(ctx, r, chain, head)
		return errors.Join(err, <-structure)
	})
	if err != nil {
		return eventstore.Head{}, err
	}
	return chain.Head(), nil
}

// follow adds the events up to the head to the chain.
func (s *Store) follow(ctx context.Context, r *reader, chain *eventstore.Chain, head eventstore.Head) error {
	for chain.Head().Position < head.Position {
		after := chain.Head().Position
		page, err := s.positions(ctx, r, after, int(min(head.Position-after, verifyPage)))
		if err != nil {
			return err
		}
		for i := range page {
			if err := chain.AddChecked(page[i]); err != nil {
				return err
			}
		}
	}
	return checkEnd(head, chain.Head())
}

// integrity makes SQLite check its own structures, including that every index agrees
// with its table, and sends the outcome. It runs concurrently, on a connection of its
// own, since it would have to wait for a reader.
func (s *Store) integrity(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		conn, err := s.connectReader(ctx)
		if err != nil {
			done <- err
			return
		}
		err = inTransaction(ctx, conn, func(r *reader) error { return integrity(r.conn) })
		if changed := conn.changed(); changed != nil {
			err = changed
		}
		done <- errors.Join(corruption(err), conn.Close())
	}()
	return done
}

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
