// Package sqlite is the durable event store: one SQLite file in WAL mode with
// synchronous=FULL, so that an acknowledged append survives the loss of power.
//
// There is one writer. An append that finds it idle uses it at once; appends that
// arrive while it is busy are committed together, with one sync for all of them,
// and one that is refused does not affect the others. Any error of a commit is
// final: it is unknown what is on disk then, so the store refuses all further
// appends and has to be opened again.
//
// Every page carries a checksum and every event its hash in the chain: damage
// is reported as *eventstore.CorruptionError, which names the first event that is
// affected, and never skipped. The write-ahead log is checked before SQLite opens
// it, which would take damage for the end of the log. Damage within the very last
// commit of a write-ahead log that was not closed cannot be told from a crash: that
// commit is dropped.
//
// One process may have the store open for writing (the caller's lock ensures
// this); any number may read it at the same time.
package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
	"reprise/internal/disk"
)

// The marks that identify a file as an event store of this version.
const (
	applicationID = 0x52505253 // "RPRS"
	schemaVersion = 2
)

const schema = `
CREATE TABLE events (
	position    INTEGER PRIMARY KEY,
	id          TEXT    NOT NULL UNIQUE,
	aggregate   TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	type        TEXT    NOT NULL,
	seconds     INTEGER NOT NULL,
	nanoseconds INTEGER NOT NULL,
	correlation TEXT    NOT NULL,
	causation   TEXT    NOT NULL,
	payload     BLOB    NOT NULL,
	prev_hash   BLOB    NOT NULL,
	hash        BLOB    NOT NULL,
	UNIQUE (aggregate, version)
) STRICT;
CREATE TABLE head (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	position INTEGER NOT NULL,
	hash     BLOB    NOT NULL
) STRICT;
CREATE TABLE snapshots (
	aggregate TEXT    PRIMARY KEY,
	version   INTEGER NOT NULL,
	schema    INTEGER NOT NULL,
	payload   BLOB    NOT NULL,
	sha256    BLOB    NOT NULL
) STRICT;
` + schemaOfConsumers + `
CREATE VIEW event_log AS
	SELECT position, aggregate, version, type, datetime(seconds, 'unixepoch') AS time,
		CAST(payload AS TEXT) AS payload, lower(hex(hash)) AS hash
	FROM events;
INSERT INTO head VALUES (1, 0, zeroblob(32));
`

// schemaOfConsumers is what version 2 added to version 1.
const schemaOfConsumers = `CREATE TABLE consumers (
	name     TEXT    PRIMARY KEY,
	position INTEGER NOT NULL,
	schema   INTEGER NOT NULL,
	state    BLOB    NOT NULL,
	sha256   BLOB    NOT NULL
) STRICT;`

// Config are the options of a store; the zero value is the default.
type Config struct {
	// BusyTimeout is how long the store waits for the lock of another connection.
	// The default is 10 seconds.
	BusyTimeout time.Duration
	// CheckpointPages is the length of the write-ahead log, in pages, at which it is
	// moved into the file. The default is 4000: fewer, larger moves need fewer syncs.
	CheckpointPages int
	// Disk holds the files; nil stands for the operating system's. SQLite accesses the
	// same files through the registered VFS with the name VFS; "" is its default. Tests
	// set both.
	Disk disk.FS
	VFS  string
	// Unsynced acknowledges appends before they are synced: they survive the end of
	// the process but not the loss of power, after which the store may be refused as
	// damaged. It is for logs that can be recreated.
	Unsynced bool
}

const (
	defaultBusyTimeout     = 10 * time.Second
	defaultCheckpointPages = 4000
	maxReaders             = 4
	// maxQueued appends wait for the writer; more callers wait to queue.
	maxQueued = 1024
)

// Store is an event store in a file. It is safe for concurrent use.
type Store struct {
	path   string
	config Config
	disk   disk.FS
	signal eventstore.Signal

	readers chan *connection // the idle ones; tokens bound the number of all
	tokens  chan struct{}

	queue   chan *request  // nil if the store is open for reading only
	idle    chan *writer   // holds the writer while nobody writes
	writing sync.WaitGroup // goroutines that write what callers left in queue
	mu      sync.RWMutex   // held for reading while a request is sent to queue
	closed  bool
}

var _ eventstore.Store = (*Store)(nil)

// Open opens the store at path for writing, creating it if there is none. It
// fails with *eventstore.CorruptionError if the file is empty or not a database,
// if its write-ahead log is damaged, or if the log does not end with the event that
// was appended last.
func Open(path string, config Config) (*Store, error) {
	s := newStore(path, config)
	w, err := s.openWriter()
	if err != nil {
		return nil, fmt.Errorf("open event store %s: %w", path, s.named(context.Background(), explain(path, true, s.config.BusyTimeout, err, nil)))
	}
	s.queue = make(chan *request, maxQueued)
	s.idle = make(chan *writer, 1)
	s.idle <- w
	return s, nil
}

// openWriter returns the writer of the store, creating the store if necessary.
func (s *Store) openWriter() (*writer, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	conn, through, err := s.connectWriter(sqlite3.OPEN_READWRITE, false)
	if err != nil {
		return nil, err
	}
	explained := func(err error) error { return s.explainWrite(err, through) }
	w, err := newWriter(conn, &s.signal)
	if err != nil {
		return nil, errors.Join(explained(corruption(err)), conn.Close())
	}
	w.explained, w.forget = explained, func() { _ = through.last.take() }
	return w, nil
}

// connectWriter opens a connection for writing, through a VFS that records the causes
// of errors. With plain, the write-ahead log is written as SQLite writes it.
func (s *Store) connectWriter(flags sqlite3.OpenFlag, plain bool) (*connection, *logVFS, error) {
	through, name, unregister, err := registerLogVFS(s.config.VFS)
	if err != nil {
		return nil, nil, err
	}
	through.plain = plain
	conn, err := s.connectThrough(name, flags)
	if err != nil {
		unregister()
		return nil, nil, s.explainWrite(err, through)
	}
	conn.closed = unregister
	return conn, through, nil
}

// explainWrite adds the cause to an error of a connection for writing.
func (s *Store) explainWrite(err error, through *logVFS) error {
	return s.located(explain(s.path, true, s.config.BusyTimeout, err, through.last.take()))
}

// OpenReadOnly opens an existing store for reading, even while another process
// writes to it. Appending fails with eventstore.ErrReadOnly. It fails as Open does,
// and with fs.ErrNotExist if there is no file.
func OpenReadOnly(path string) (*Store, error) { return OpenReadOnlyOn(path, Config{}) }

// OpenReadOnlyOn is OpenReadOnly with a configuration.
func OpenReadOnlyOn(path string, config Config) (*Store, error) {
	s := newStore(path, config)
	found, err := s.inspect()
	switch {
	case err != nil:
	case !found:
		err = fs.ErrNotExist
	default:
		err = s.withReader(context.Background(), func(r *reader) error {
			_, err := checkMarks(r.conn)
			return err
		})
	}
	if err = s.located(s.explained(context.Background(), err)); err != nil {
		return nil, errors.Join(fmt.Errorf("open event store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func newStore(path string, config Config) *Store {
	if config.BusyTimeout == 0 {
		config.BusyTimeout = defaultBusyTimeout
	}
	if config.CheckpointPages == 0 {
		config.CheckpointPages = defaultCheckpointPages
	}
	return &Store{
		path: path, config: config, disk: disk.Or(config.Disk),
		readers: make(chan *connection, maxReaders), tokens: make(chan struct{}, maxReaders),
	}
}

// openFlags is sqlite3.OpenFlags, but returns an error if address space cannot be
// reserved, for example because of a limit (ulimit -v), where that one panics.
func openFlags(name string, flags sqlite3.OpenFlag) (conn *sqlite3.Conn, err error) {
	defer func() {
		cause := recover()
		if errno, ok := cause.(syscall.Errno); ok {
			err = fmt.Errorf("reserve memory for the event store: %w", errno)
		} else if cause != nil {
			panic(cause)
		}
	}()
	return sqlite3.OpenFlags(name, flags)
}

// connectThrough opens a connection through a VFS, with the settings that
// durability and the detection of damage rest on.
func (s *Store) connectThrough(vfs string, flags sqlite3.OpenFlag) (*connection, error) {
	opened, err := openFlags(filename(s.path, vfs), flags)
	if err != nil {
		return nil, corruption(err)
	}
	conn := &connection{Conn: opened, prepared: map[string]*sqlite3.Stmt{}}
	synchronous := "FULL"
	if s.config.Unsynced {
		synchronous = "NORMAL"
	}
	if err := errors.Join(
		conn.BusyTimeout(s.config.BusyTimeout),
		conn.WALAutoCheckpoint(s.config.CheckpointPages),
		conn.Exec("PRAGMA synchronous = "+synchronous+"; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON"),
	); err != nil {
		return nil, errors.Join(corruption(err), conn.Close())
	}
	return conn, nil
}

// filename returns the name that makes SQLite open the path through a VFS. It is always
// a URI: SQLite would take a path that begins with "file:" for one.
func filename(path, vfs string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: path}
	if vfs != "" {
		u.RawQuery = url.Values{"vfs": {vfs}}.Encode()
	}
	return u.String()
}

// checkMarks returns the version of the file's schema. It fails unless the file
// is an event store that this version reads.
func checkMarks(conn *connection) (int64, error) {
	id, err := conn.queryInt("PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	version, err := conn.queryInt("PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	switch {
	case id != applicationID:
		return 0, fmt.Errorf("the file is not an event store of reprise (application id %#x instead of %#x)", id, applicationID)
	case version > schemaVersion:
		return 0, fmt.Errorf("the file was written by a newer version of reprise (schema %d, this one knows %d): upgrade reprise", version, schemaVersion)
	case version < 1:
		return 0, &eventstore.CorruptionError{What: fmt.Sprintf("its schema version is %d", version)}
	}
	return version, nil
}

// upgrade converts a file of an older version to this one.
func upgrade(conn *connection) error {
	version, err := checkMarks(conn)
	if err != nil || version == schemaVersion {
		return err
	}
	return conn.Exec(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT", schemaOfConsumers, schemaVersion))
}

// Append implements eventstore.Store. If ctx ends while the append waits for its
// turn, its outcome is unknown; repeating it with the same event ids is safe.
func (s *Store) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	if err := eventstore.CheckWrites(writes); err != nil {
		return nil, err
	}
	return s.send(ctx, &request{writes: copied(writes), reply: make(chan response, 1)})
}

// copied returns a deep copy of the writes: a caller whose ctx ends continues while the
// writer still uses them.
func copied(writes []eventstore.Write) []eventstore.Write {
	writes = slices.Clone(writes)
	for i := range writes {
		writes[i].Events = slices.Clone(writes[i].Events)
		for j := range writes[i].Events {
			e := &writes[i].Events[j]
			e.Payload = append([]byte(nil), e.Payload...) // nil if empty, as it will be read
		}
	}
	return writes
}

// SaveSnapshot implements eventstore.Store.
func (s *Store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	snapshot.Payload = bytes.Clone(snapshot.Payload)
	return s.store(ctx, func(w *writer) error { return w.saveSnapshot(snapshot) })
}

// store makes the writer call f within one of its transactions.
func (s *Store) store(ctx context.Context, f func(*writer) error) error {
	_, err := s.send(ctx, &request{other: f, reply: make(chan response, 1)})
	return err
}

func (s *Store) send(ctx context.Context, r *request) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.enqueue(ctx, r); err != nil {
		return nil, err
	}
	s.write()
	select {
	case got := <-r.reply: // also if ctx ended while it was written here
		return got.events, got.err
	default:
	}
	select {
	case got := <-r.reply:
		return got.events, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Store) enqueue(ctx context.Context, r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return eventstore.ErrClosed
	case s.queue == nil:
		return eventstore.ErrReadOnly
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write makes the writer commit what is queued, unless it is in use: its user checks
// the queue once more when done. The first group is committed on this goroutine, so
// that a single append needs no other; the caller does not wait for requests that
// were queued meanwhile.
func (s *Store) write() {
	for len(s.queue) > 0 {
		var w *writer
		select {
		case w = <-s.idle:
		default:
			return
		}
		s.serve(w)
		if len(s.queue) > 0 {
			s.writing.Go(func() {
				for len(s.queue) > 0 {
					s.serve(w)
				}
				s.idle <- w
				s.write()
			})
			return
		}
		s.idle <- w
	}
}

// serve makes the writer commit the next group. If that does not return, because of a
// panic or runtime.Goexit, the store has failed, and waiting callers are told.
func (s *Store) serve(w *writer) {
	returned := false
	defer func() {
		if !returned {
			w.abandon()
			s.idle <- w
			s.write()
		}
	}()
	w.serve(s.queue)
	returned = true
}

// Subscribe implements eventstore.Store. A store that is open for reading only is not
// notified of appends by other processes; its subscription sees them when it next reads.
func (s *Store) Subscribe(after eventstore.Position) *eventstore.Subscription {
	return eventstore.NewSubscription(s.Read, &s.signal, after)
}

// Close implements eventstore.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.signal.Close()
	// With every token taken, no read is in progress. The tokens are returned so that
	// later calls learn that the store is closed.
	for range maxReaders {
		s.tokens <- struct{}{}
	}
	close(s.readers)
	var err error
	for conn := range s.readers {
		err = errors.Join(err, conn.Close())
	}
	for range maxReaders {
		<-s.tokens
	}
	if s.queue != nil {
		err = errors.Join(err, s.closeWriter())
	}
	return err
}

// closeWriter makes the writer serve the remaining requests, and closes it. No more
// requests are queued.
func (s *Store) closeWriter() error {
	w := <-s.idle
	for len(s.queue) > 0 {
		w.serve(s.queue)
	}
	s.writing.Wait() // they find nothing to do
	return w.close()
}

// corruption converts SQLite's errors for a damaged file to
// *eventstore.CorruptionError and returns other errors unchanged.
func corruption(err error) error {
	if err == nil {
		return nil
	}
	var known *eventstore.CorruptionError
	if errors.As(err, &known) {
		return err
	}
	for _, code := range []error{sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.IOERR_DATA, sqlite3.IOERR_SHORT_READ} {
		if errors.Is(err, code) {
			what := err.Error()
			if errors.Is(err, sqlite3.IOERR_DATA) { // "disk I/O error", says SQLite
				what = "a page of the file does not match its checksum"
			}
			return &eventstore.CorruptionError{What: what}
		}
	}
	return err
}
