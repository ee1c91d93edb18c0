package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/eventstore"
)

// smallLog makes a store of a few dozen pages and returns its files as a process that
// was killed leaves them, some events in the file and some in the log only.
func smallLog(t *testing.T, name string) (db, log []byte, all []eventstore.Event) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	s, err := Open(path, Config{CheckpointPages: 60})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		w := write(fmt.Sprint(name, i))
		w.Events[0].Payload = bytes.Repeat([]byte(fmt.Sprint(i%10, name)), []int{3, 200, 900, 2500}[i%4])
		if _, err := s.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = s.Read(t.Context(), 0, 100); err != nil {
		t.Fatal(err)
	}
	db, log = mustReadFile(t, path), mustReadFile(t, path+"-wal")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return db, log, all
}

// byForeign carries out what an SQLite without checksums of pages would, and closes
// the store as the last one.
func byForeign(t *testing.T, path, sql string) {
	t.Helper()
	vfs.Register("foreign", foreign{vfs.Find("").(vfs.VFSFilename)})
	defer vfs.Unregister("foreign")
	conn, err := sqlite3.OpenFlags(filename(path, "foreign"), sqlite3.OPEN_READWRITE)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Exec("PRAGMA checksum_verification = OFF; "+sql), conn.Close()); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// checkSalvage checks what is said of a wreck against the events that were appended:
// an event that lies in the files in one piece is saved, and nothing is called
// complete that is not. others may be there, too. Where the files may be those of an
// older store, it may be called complete if a reader finds it so.
func checkSalvage(t *testing.T, path string, all, others []eventstore.Event, mayBeOlder bool) (found eventstore.Salvaged, missing []eventstore.Position) {
	t.Helper()
	before := listed(t, filepath.Dir(path))
	w, err := OpenWreck(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	saved := map[eventstore.Hash]int{}
	chain := eventstore.NewChain()
	for e, err := range w.Events() {
		if err == nil {
			err = chain.AddChecked(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		saved[e.Hash]++
	}
	found = w.Salvaged()
	rest := 0
	for e, err := range w.Rest() {
		if err != nil || e.Check() != nil {
			t.Fatalf("rest: %v", err)
		}
		saved[e.Hash]++
		rest++
	}
	if chain.Head() != found.Head || rest != found.Rest {
		t.Errorf("%+v, want the log to end at %+v and %d events beside it", found, chain.Head(), rest)
	}
	files := append(readOrNothing(path), readOrNothing(path+"-wal")...)
	for _, e := range slices.Concat(all, others) {
		record := slices.Concat(e.Payload, e.PrevHash[:], e.Hash[:])
		if saved[e.Hash] > 1 || saved[e.Hash] == 0 && len(e.Payload) < 3000 && bytes.Contains(files, record) && intact(files, record, e) {
			t.Errorf("event %d, whole in the files, was saved %d times", e.Position, saved[e.Hash])
		}
	}
	for _, e := range all {
		if saved[e.Hash] == 0 {
			missing = append(missing, e.Position)
		}
	}
	if len(saved) > len(all)+len(others) {
		t.Errorf("%d events were saved of %d", len(saved), len(all)+len(others))
	}
	if found.Complete() && len(missing) > 0 && (!mayBeOlder || found.Head != verified(t, path)) {
		t.Errorf("said to be complete, with %v missing and the end at %d", missing, found.Head.Position)
	}
	if after := listed(t, filepath.Dir(path)); after != before {
		t.Errorf("the damaged store was changed:\n%s%s", before, after)
	}
	return found, missing
}

// verified is the end of a store as a reader verifies it.
func verified(t *testing.T, path string) eventstore.Head {
	t.Helper()
	s, err := OpenReadOnly(path)
	if err != nil {
		t.Error(err)
		return eventstore.Head{}
	}
	defer s.Close()
	head, err := s.Verify(t.Context())
	if err != nil {
		t.Error(err)
	}
	return head
}

func readOrNothing(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}

// intact reports whether a record is there with its beginning: its id, which comes
// somewhat before its payload.
func intact(files, record []byte, e eventstore.Event) bool {
	for at := 0; ; {
		i := bytes.Index(files[at:], record)
		if i < 0 {
			return false
		}
		at += i + 1
		if bytes.Contains(files[max(0, at-200):at], []byte(string(e.ID)+string(e.Aggregate))) {
			return true
		}
	}
}

// Each page of the file, and each frame of the log, is lost, one at a time.
func TestNoPageAloneLosesMoreThanItHolds(t *testing.T) {
	db, log, all := smallLog(t, "a")
	path := filepath.Join(t.TempDir(), "events.db")
	place(t, path, db, log)
	foreignLook(t, path)
	moved := mustReadFile(t, path)
	if len(moved) > 60*4096 {
		t.Fatalf("%d pages are no small log", len(moved)/4096)
	}
	lost := 0
	for page := 0; page < len(moved); page += 4096 {
		zeroed := bytes.Clone(moved)
		clear(zeroed[page:][:4096])
		place(t, path, zeroed, nil)
		_, missing := checkSalvage(t, path, all, nil, true)
		lost += len(missing)
	}
	if lost < len(all) {
		t.Errorf("only %d of %d events were lost, one page at a time", lost, len(all))
	}
	offsets, _ := frames(log)
	for _, at := range offsets {
		zeroed := bytes.Clone(log)
		clear(zeroed[at:][:frameHeaderSize+4096])
		place(t, path, db, zeroed)
		checkSalvage(t, path, all, nil, true)
	}
}

func TestSalvageOfEveryKindOfDamage(t *testing.T) {
	db, log, all := smallLog(t, "a")
	otherDB, otherLog, others := smallLog(t, "b")
	offsets, lastCommit := frames(log)
	cut := func(b []byte, n int) []byte { return b[:min(n, len(b))] }
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0x20
		return b
	}
	const (
		whole   = "whole"   // said to be complete
		unknown = "unknown" // every event is in the log, but more may have been
		less    = "less"    // an event is missing
		older   = "older"   // what is left may be an older store that is sound
	)
	type files struct{ db, log []byte }
	type damage struct {
		name   string
		files  files
		sql    string // of a foreign program
		others []eventstore.Event
		want   string
	}
	cases := []damage{
		{name: "nothing", files: files{db, log}, want: whole},
		{name: "a look by a foreign program", files: files{db, log}, sql: "SELECT 1 FROM events", want: whole},
		{name: "an index is dropped", files: files{db, log}, sql: "DROP VIEW event_log; PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'index'", want: whole},
		{name: "snapshots are dropped", files: files{db, log}, sql: "DROP TABLE snapshots", want: whole},
		{name: "consumers are dropped", files: files{db, log}, sql: "DROP TABLE consumers", want: whole},
		{name: "events are dropped", files: files{db, log}, sql: "DROP VIEW event_log; DROP TABLE events", want: older},
		{name: "the table of the end is dropped", files: files{db, log}, sql: "DROP TABLE head", want: older},
		{name: "the recorded end is deleted", files: files{db, log}, sql: "DELETE FROM head", want: unknown},
		{name: "the recorded end is another one", files: files{db, log}, sql: "UPDATE head SET position = 7", want: unknown},
		{name: "the recorded end is after the last event", files: files{db, log}, sql: "UPDATE head SET position = 31", want: less},
		{name: "an event is deleted", files: files{db, log}, sql: "PRAGMA secure_delete = ON; DELETE FROM events WHERE position = 11", want: less},
		{name: "the last event is deleted", files: files{db, log}, sql: "PRAGMA secure_delete = ON; DELETE FROM events WHERE position = 30", want: less},
		{name: "the last event is deleted and its bytes are not", files: files{db, log}, sql: "DELETE FROM events WHERE position = 30", want: whole},
		{name: "an event is changed", files: files{db, log}, sql: "UPDATE events SET payload = x'00' WHERE position = 12", want: less},
		{name: "the version is changed", files: files{db, log}, sql: "PRAGMA user_version = 99; PRAGMA application_id = 1", want: whole},
		{name: "rewritten", files: files{db, log}, sql: "VACUUM", want: whole},
		{name: "another journal", files: files{db, log}, sql: "PRAGMA journal_mode = DELETE", want: whole},
		{name: "pages of 512", files: files{db, log}, sql: "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM", want: whole},
		{name: "pages of 1024", files: files{db, log}, sql: "PRAGMA journal_mode = DELETE; PRAGMA page_size = 1024; VACUUM", want: whole},
		{name: "pages of 65536", files: files{db, log}, sql: "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM", want: whole},
		{name: "pages of 65536 and a log", files: files{db, log}, sql: "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM; PRAGMA journal_mode = WAL", want: whole},
		{name: "an empty file beside its log", files: files{nil, log}, want: less},
		{name: "an empty file", files: files{nil, nil}, want: less},
		{name: "no log", files: files{db, nil}, want: older},
		{name: "zeros", files: files{make([]byte, 8192), nil}, want: less},
		{name: "text", files: files{bytes.Repeat([]byte("no database "), 1000), []byte("no log")}, want: less},
		{name: "no header", files: files{append(make([]byte, 100), db[100:]...), log}, want: whole},
		{name: "another size of pages in the header", files: files{flip(db, 16), log}, want: whole},
		{name: "the page of the schema", files: files{append(make([]byte, 4096), db[4096:]...), log}, want: whole},
		{name: "a bit in the log's header", files: files{db, flip(log, 17)}, want: older},
		{name: "a bit in the size of a page", files: files{db, flip(log, 10)}, want: older},
		{name: "a bit in the first frame's header", files: files{db, flip(log, offsets[0]+3)}, want: older},
		{name: "a bit in the first frame's page", files: files{db, flip(log, offsets[0]+frameHeaderSize+2000)}, want: older},
		{name: "a bit in a commit", files: files{db, flip(log, lastCommit+frameHeaderSize+2000)}, want: older},
		{name: "a log of another store", files: files{db, otherLog}, others: others, want: older},
		{name: "a store of another log", files: files{otherDB, log}, others: others, want: older},
		{name: "a log twice", files: files{db, append(bytes.Clone(log), log[walHeaderSize:]...)}, want: older},
		{name: "a file twice", files: files{append(bytes.Clone(db), db...), log}, want: older},
	}
	for _, n := range []int{1, 31, walHeaderSize, walHeaderSize + 1, walHeaderSize + frameHeaderSize, offsets[1] - 1, offsets[2], len(log) / 3, lastCommit, lastCommit + 100, len(log) - 1} {
		cases = append(cases, damage{name: fmt.Sprintf("the log cut to %d bytes", n), files: files{db, cut(log, n)}, want: older})
	}
	for _, n := range []int{1, 99, 100, 4095, 4097, len(db) / 2, len(db) - 1} {
		cases = append(cases, damage{name: fmt.Sprintf("the file cut to %d bytes", n), files: files{cut(db, n), log}, want: older})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.db")
			place(t, path, c.files.db, c.files.log)
			if c.sql != "" {
				byForeign(t, path, c.sql)
			}
			found, missing := checkSalvage(t, path, all, c.others, c.want == older)
			all := found.Head.Position == eventstore.Position(len(all))
			switch {
			case c.want == whole && !found.Complete(),
				c.want == unknown && (found.Complete() || !all || len(missing) > 0),
				c.want == less && found.Complete():
				t.Errorf("want %s: %+v, missing %v", c.want, found, missing)
			}
		})
	}
}
