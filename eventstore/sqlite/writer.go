package sqlite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
)

// request is an append, or something else to be stored, that is sent to the writer.
type request struct {
	writes []eventstore.Write
	other  func(*writer) error // if there are no writes
	reply  chan response       // with room for one
}

type response struct {
	events []eventstore.Event
	err    error
}

// maxGroup is the number of requests committed together.
const maxGroup = 256

// writer owns the one connection that writes.
type writer struct {
	conn   *connection
	signal *eventstore.Signal
	head   eventstore.Head
	// versions are those of aggregates that were written to recently.
	versions map[eventstore.AggregateID]eventstore.Version
	group    []*request // of the last commit
	// failed is the first error of a commit; nothing is written after it.
	failed error
	// explained adds to an error its cause: the last error of the files since forget.
	explained func(error) error
	forget    func()
}

// newWriter takes over the connection; the caller closes it if this fails.
func newWriter(conn *connection, signal *eventstore.Signal) (*writer, error) {
	if err := upgrade(conn); err != nil {
		return nil, err
	}
	head, err := readHead(conn)
	if err != nil {
		return nil, err
	}
	// The default, 2 MB, would read most pages of the index of ids again and again.
	if err := conn.Exec("PRAGMA cache_size = -32768"); err != nil {
		return nil, err
	}
	return &writer{conn: conn, signal: signal, head: head, versions: map[eventstore.AggregateID]eventstore.Version{}}, nil
}

// readHead returns the recorded end of the log and checks it against the last
// event, so that a truncated log is noticed when it is opened.
func readHead(conn *connection) (eventstore.Head, error) {
	head, err := recordedHead(conn)
	if err != nil {
		return head, err
	}
	last, err := queryEvents(conn, nil, selectEvent+` ORDER BY position DESC LIMIT 1`)
	if err != nil {
		return head, err
	}
	var end eventstore.Head
	if len(last) == 1 {
		end = eventstore.Head{Position: last[0].Position, Hash: last[0].Hash}
	}
	return head, checkEnd(head, end)
}

// checkEnd fails unless the log ends where its head says.
func checkEnd(head, end eventstore.Head) error {
	switch {
	case end.Position < head.Position:
		return &eventstore.CorruptionError{Position: end.Position + 1, What: fmt.Sprintf("missing; the log should end at position %d", head.Position)}
	case end.Position > head.Position:
		return &eventstore.CorruptionError{Position: head.Position + 1, What: "it was not appended by the event store"}
	case end.Hash != head.Hash:
		return &eventstore.CorruptionError{Position: end.Position, What: fmt.Sprintf("its hash is %s, appended was %s", end.Hash, head.Hash)}
	}
	return nil
}

// serve commits the next group of the queue.
func (w *writer) serve(queue <-chan *request) {
	// Callers that were just answered may append again: a commit of one request costs as
	// much as one of many. A single caller would yield to nobody.
	if len(w.group) > 1 {
		runtime.Gosched()
	}
	w.group = w.group[:0]
	for len(w.group) < maxGroup && len(queue) > 0 { // nobody else receives
		w.group = append(w.group, <-queue)
	}
	w.commit(w.group)
	clear(w.group)
}

// abandon answers a group whose commit did not return.
func (w *writer) abandon() {
	w.failed = &eventstore.FailedError{Err: errors.New("a commit did not return")}
	for _, r := range w.group {
		select {
		case r.reply <- response{err: w.failed}:
		default: // it was answered
		}
	}
	clear(w.group)
	w.group = w.group[:0]
}

// close moves the WAL into the file and closes the connection. An error of the move
// loses nothing: the WAL is complete, and the next process that opens the store reads
// it. After a failed commit the files stay as they are.
func (w *writer) close() error {
	if w.failed == nil {
		return w.conn.Close()
	}
	_, err := w.conn.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true)
	_ = w.conn.finalise() // returns the same error again
	return errors.Join(err, w.conn.Close())
}

// commit carries out a group of requests in one transaction and then answers
// them.
func (w *writer) commit(group []*request) {
	responses := make([]response, len(group))
	head := w.head
	err := w.failed
	for again := err == nil; again; {
		var damaged *request
		damaged, err = w.transact(group, responses)
		if again = damaged != nil; again {
			damaged.reply <- response{err: err}
			group = slices.DeleteFunc(group, func(r *request) bool { return r == damaged })
			w.head, err = head, nil
			clear(w.versions)
		}
	}
	if errors.Is(err, eventstore.ErrLocked) { // before anything was written
		for _, r := range group {
			r.reply <- response{err: err}
		}
		return
	}
	if err != nil {
		w.head = head
		if w.failed == nil {
			w.failed = &eventstore.FailedError{Err: w.explained(err)}
		}
		for _, r := range group {
			r.reply <- response{err: w.failed}
		}
		return
	}
	if w.head != head {
		w.signal.Raise()
	}
	for i, r := range group {
		r.reply <- responses[i]
	}
}

// transact fills in the responses. An error without a request means that it is unknown
// whether the group is stored. With a request, it means that the request met damage,
// that nothing is stored, and that the others may continue without it. A request is
// refused before any of it is written, so that nothing has to be undone.
func (w *writer) transact(group []*request, responses []response) (damaged *request, err error) {
	w.forget()
	if err := w.conn.execute("BEGIN IMMEDIATE"); err != nil {
		if errors.Is(err, sqlite3.BUSY) {
			err = w.explained(err)
		}
		return nil, corruption(err)
	}
	before := w.head
	for i, r := range group {
		responses[i].events, responses[i].err = w.carryOut(r)
		if err := responses[i].err; err != nil && !isRefusal(err) {
			err = w.abort(err)
			// Anything but events is only a cache: damage to it does not affect the log.
			if r.other != nil && errors.Is(err, eventstore.ErrCorrupt) && w.conn.GetAutocommit() {
				return r, err
			}
			return nil, err
		}
	}
	if w.head != before {
		if err := w.conn.execute(`UPDATE head SET position = ?, hash = ?`, int64(w.head.Position), w.head.Hash[:]); err != nil {
			return nil, w.abort(err)
		}
	}
	if err := w.conn.execute("COMMIT"); err != nil {
		return nil, w.abort(err)
	}
	return nil, nil
}

func (w *writer) abort(cause error) error {
	if w.conn.GetAutocommit() {
		return corruption(cause)
	}
	return errors.Join(corruption(cause), w.conn.Exec("ROLLBACK"))
}

// isRefusal reports whether the error concerns this request alone.
func isRefusal(err error) bool {
	return errors.Is(err, eventstore.ErrConcurrencyConflict) || errors.Is(err, eventstore.ErrEventIDReused) || errors.Is(err, eventstore.ErrLimit)
}

func (w *writer) carryOut(r *request) ([]eventstore.Event, error) {
	if r.other != nil {
		return nil, r.other(w)
	}
	if stored, err := w.repeated(r.writes); stored != nil || err != nil {
		return stored, err
	}
	added, err := w.seal(r.writes)
	if err != nil {
		return nil, err
	}
	for i := range added {
		if err := insertEvent(w.conn, &added[i]); err != nil {
			return nil, err
		}
		w.versions[added[i].Aggregate] = added[i].Version
	}
	last := &added[len(added)-1]
	w.head = eventstore.Head{Position: last.Position, Hash: last.Hash}
	return added, nil
}

// seal returns the events as they will be stored, or an error that refuses them.
func (w *writer) seal(writes []eventstore.Write) ([]eventstore.Event, error) {
	n := 0
	for _, write := range writes {
		n += len(write.Events)
	}
	sealed := make([]eventstore.Event, 0, n)
	head := w.head
	for i, write := range writes {
		version, err := w.currentVersion(write.Aggregate)
		if err != nil {
			return nil, err
		}
		for _, earlier := range writes[:i] {
			if earlier.Aggregate == write.Aggregate {
				version += eventstore.Version(len(earlier.Events))
			}
		}
		if !write.Expected.Allows(version) {
			return nil, &eventstore.ConflictError{Aggregate: write.Aggregate, Want: write.Expected, Got: version}
		}
		for _, e := range write.Events {
			version++
			sealed = append(sealed, eventstore.Seal(e, write.Aggregate, version, head.Position+1, head.Hash))
			last := &sealed[len(sealed)-1]
			head = eventstore.Head{Position: last.Position, Hash: last.Hash}
		}
	}
	return sealed, nil
}

// maxVersions is the number of aggregates whose version is remembered.
const maxVersions = 10_000

func (w *writer) currentVersion(a eventstore.AggregateID) (eventstore.Version, error) {
	if version, ok := w.versions[a]; ok {
		return version, nil
	}
	version, err := w.conn.queryInt(currentVersion, string(a))
	if err != nil {
		return 0, err
	}
	if len(w.versions) >= maxVersions {
		clear(w.versions)
	}
	w.versions[a] = eventstore.Version(version)
	return eventstore.Version(version), nil
}

// repeated returns the stored events if all events of the writes are stored next to
// each other, nil if none is, and ErrEventIDReused otherwise.
func (w *writer) repeated(writes []eventstore.Write) ([]eventstore.Event, error) {
	var stored []eventstore.Event
	total := 0
	seen := map[eventstore.EventID]bool{}
	for _, write := range writes {
		for i := range write.Events {
			e := &write.Events[i]
			total++
			if seen[e.ID] {
				return nil, fmt.Errorf("event %s: %w", e.ID, eventstore.ErrEventIDReused)
			}
			seen[e.ID] = true
			known, err := w.findByID(e.ID)
			if err != nil {
				return nil, err
			}
			if known == nil {
				continue
			}
			adjacent := len(stored) == 0 || stored[len(stored)-1].Position+1 == known.Position
			if !known.Equal(*e) || known.Aggregate != write.Aggregate || !adjacent {
				return nil, fmt.Errorf("event %s: %w", e.ID, eventstore.ErrEventIDReused)
			}
			stored = append(stored, *known)
		}
	}
	if len(stored) != 0 && len(stored) != total {
		return nil, fmt.Errorf("event %s is stored, others of the same append are not: %w", stored[0].ID, eventstore.ErrEventIDReused)
	}
	return stored, nil
}

func (w *writer) findByID(id eventstore.EventID) (*eventstore.Event, error) {
	// The index alone answers this; usually there is none.
	position, found, err := w.conn.lookUp(`SELECT position FROM events WHERE id = ?`, string(id))
	if err != nil || !found {
		return nil, err
	}
	events, err := queryEvents(w.conn, nil, selectEvent+` WHERE position = ?`, position)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return &events[0], nil
}

func (w *writer) saveSnapshot(s eventstore.Snapshot) error {
	version, err := w.currentVersion(s.Aggregate)
	if err != nil {
		return err
	}
	if err := eventstore.CheckSnapshot(s, version); err != nil {
		return err
	}
	sum := snapshotSum(s)
	return w.conn.execute(`INSERT INTO snapshots VALUES (?,?,?,?,?) ON CONFLICT (aggregate) DO UPDATE
		SET version = excluded.version, schema = excluded.schema, payload = excluded.payload, sha256 = excluded.sha256
		WHERE (excluded.schema, excluded.version) >= (snapshots.schema, snapshots.version)`,
		string(s.Aggregate), int64(s.Version), int64(s.Schema), s.Payload, sum[:])
}

// snapshotSum covers all of a snapshot, so that a damaged one is not used.
func snapshotSum(s eventstore.Snapshot) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d\n%s", s.Aggregate, s.Version, s.Schema, s.Payload))
}
