package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"go.uber.org/goleak"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/storetest"
)

// TestMain lets the test binary play the process that appends and is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("SQLITE_TEST_APPEND"); path != "" {
		appendUntilKilled(path)
	}
	if path := os.Getenv("SQLITE_TEST_READ"); path != "" {
		readAndTell(path)
	}
	goleak.VerifyTestMain(m)
}

func TestContract(t *testing.T) {
	t.Parallel()
	next := newStores(t)
	storetest.Run(t, func(testing.TB) eventstore.Store { return next() })
}

func TestTheStoreAgreesWithItsTwinInMemory(t *testing.T) {
	t.Parallel()
	storetest.Twin(t, newStores(t), func() eventstore.Store { return memory.New() }, func(s eventstore.Store) eventstore.Store {
		if err := s.Close(); err != nil {
			panic(err)
		}
		return mustOpen(s.(*Store).path)
	})
}

// newStores returns a function that returns a new, empty store. It panics where
// it fails, as it is called within properties.
func newStores(t *testing.T) func() eventstore.Store {
	dir := t.TempDir()
	template := filepath.Join(dir, "template.db") // making a store anew takes many syncs
	fill(t, template, 0)
	empty, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	var stores atomic.Int64
	return func() eventstore.Store {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", stores.Add(1)))
		if err := os.WriteFile(path, empty, 0o600); err != nil {
			panic(err)
		}
		return mustOpen(path)
	}
}

func mustOpen(path string) *Store {
	s, err := Open(path, Config{})
	if err != nil {
		panic(err)
	}
	return s
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func write(names ...string) eventstore.Write {
	w := eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion()}
	for _, n := range names {
		w.Events = append(w.Events, storetest.Event(n))
	}
	return w
}

func fill(t *testing.T, path string, n int) []eventstore.Event {
	t.Helper()
	s := open(t, path)
	for i := range n {
		if _, err := s.Append(t.Context(), write(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Read(t.Context(), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheLogIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	want := fill(t, path, 20)
	s := open(t, path)
	got, err := s.Read(t.Context(), 0, 100)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if _, err := s.Append(t.Context(), write("more")); err != nil {
		t.Error(err)
	}
}

// TestAStoreMayHaveAnyName uses what means something in a URI, by which the writer
// opens its file.
func TestAStoreMayHaveAnyName(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a b", "100%25", "what?vfs=none&mode=ro", "#1", "a:b", "file:a"} {
		fill(t, name, 3)
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
		r, err := OpenReadOnly(name)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := r.Verify(t.Context()); err != nil || head.Position != 3 {
			t.Errorf("%q ends at %d, %v", name, head.Position, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadingBesideAWriterAndAfterIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := range 3 {
		head, err := r.Verify(t.Context())
		if err != nil || head.Position != eventstore.Position(n+1) {
			t.Fatalf("the reader sees %d events, %v", head.Position, err)
		}
		if _, err := s.Append(t.Context(), write(fmt.Sprint("more", n))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Append(t.Context(), write("2")); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("appending to a reader: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if head, err := after.Head(t.Context()); err != nil || head.Position != 4 {
		t.Errorf("after the writer: %+v, %v", head, err)
	}
}

func TestForeignAndNewerFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 400)), 0o644); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	execSQL(t, foreign, "CREATE TABLE t(x)")
	newer := filepath.Join(dir, "newer.db")
	fill(t, newer, 1)
	execSQL(t, newer, "PRAGMA user_version = 9")
	for path, want := range map[string]string{text: "corrupt", foreign: "not an event store", newer: "newer version"} {
		for name, openIt := range map[string]func() (*Store, error){
			"Open":         func() (*Store, error) { return Open(path, Config{}) },
			"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(path) },
		} {
			if _, err := openIt(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %s: %v, want %q", name, filepath.Base(path), err, want)
			}
		}
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "missing.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestEveryChangedCellIsFoundAndNamed changes the log behind the store's back,
// as SQL that keeps SQLite's own structures sound.
func TestEveryChangedCellIsFoundAndNamed(t *testing.T) {
	for _, change := range []string{
		"UPDATE events SET payload = CAST(payload || 'x' AS BLOB) WHERE position = 3",
		"UPDATE events SET id = id || 'x' WHERE position = 3",
		"UPDATE events SET aggregate = 'b' WHERE position = 3",
		"UPDATE events SET version = 77 WHERE position = 3",
		"UPDATE events SET type = 'other' WHERE position = 3",
		"UPDATE events SET seconds = seconds + 1 WHERE position = 3",
		"UPDATE events SET nanoseconds = nanoseconds + 1 WHERE position = 3",
		"UPDATE events SET correlation = '' WHERE position = 3",
		"UPDATE events SET causation = 'x' WHERE position = 3",
		"UPDATE events SET hash = zeroblob(32) WHERE position = 3",
		"UPDATE events SET prev_hash = zeroblob(32) WHERE position = 3",
		"UPDATE events SET hash = x'00' WHERE position = 3",
		"DELETE FROM events WHERE position = 3",
		"UPDATE events SET position = 99 WHERE position = 3",
	} {
		path := filepath.Join(t.TempDir(), "events.db")
		fill(t, path, 5)
		execSQL(t, path, change)
		s, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Verify(t.Context())
		var corrupt *eventstore.CorruptionError
		if !errors.As(err, &corrupt) || corrupt.Position != 3 {
			t.Errorf("%s: Verify = %v, want position 3", change, err)
		}
		if _, err := s.Read(t.Context(), 0, 10); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: Read = %v", change, err)
		}
		if _, err := s.Replay(t.Context(), "a", 0); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: Replay = %v", change, err)
		}
		s.Close()
	}
}

func TestALogCutShortOrLengthenedIsNotOpened(t *testing.T) {
	for _, change := range []string{
		"DELETE FROM events WHERE position = 5",
		"DELETE FROM events",
		"UPDATE head SET position = 4",
		"DELETE FROM head",
		"INSERT INTO events SELECT 6, 'x', aggregate, 6, type, seconds, nanoseconds, '', '', payload, hash, hash FROM events WHERE position = 5",
	} {
		path := filepath.Join(t.TempDir(), "events.db")
		fill(t, path, 5)
		execSQL(t, path, change)
		if _, err := Open(path, Config{}); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: Open = %v", change, err)
		}
		r, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Verify(t.Context()); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: Verify = %v", change, err)
		}
		r.Close()
	}
}

// TestAFlippedByteAnywhereInTheFileIsNeverReadOver flips bytes of the file
// itself: whatever still can be read is what was written.
func TestAFlippedByteAnywhereInTheFileIsNeverReadOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	want := fill(t, path, 40)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	const flips = 60
	for range flips {
		at := random.IntN(len(whole))
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 1 << random.IntN(8)
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if readsBack(t, path, want) {
			continue
		}
		found++
	}
	// The file header holds bytes without meaning; everything else is covered
	// by the pages' checksums.
	if found < flips*9/10 {
		t.Errorf("only %d of %d flips were found", found, flips)
	}
}

// readsBack reports whether the log reads back whole; it fails the test where
// something else is read without an error.
func readsBack(t *testing.T, path string, want []eventstore.Event) bool {
	t.Helper()
	r, err := OpenReadOnly(path)
	if err != nil {
		return false
	}
	defer r.Close()
	got, err := r.Read(t.Context(), 0, 1000)
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatal("Read returned something else without an error")
	}
	replay, replayErr := r.Replay(t.Context(), "a", 0)
	if replayErr == nil && !reflect.DeepEqual(replay.Events, want) {
		t.Fatal("Replay returned something else without an error")
	}
	head, verifyErr := r.Verify(t.Context())
	if verifyErr == nil && head.Hash != want[len(want)-1].Hash {
		t.Fatal("Verify accepted another head")
	}
	if verifyErr == nil && (err != nil || replayErr != nil) {
		t.Fatalf("Verify found nothing, reading found %v", errors.Join(err, replayErr))
	}
	return verifyErr == nil
}

func TestADamagedSnapshotIsIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	fill(t, path, 5)
	s := open(t, path)
	if err := s.SaveSnapshot(t.Context(), eventstore.Snapshot{Aggregate: "a", Version: 4, Payload: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	execSQL(t, path, "UPDATE snapshots SET payload = x'00'")
	again := open(t, path)
	r, err := again.Replay(t.Context(), "a", 0)
	if err != nil || r.Snapshot != nil || len(r.Events) != 5 {
		t.Errorf("Replay = snapshot %v, %d events, %v", r.Snapshot, len(r.Events), err)
	}
}

func TestOneRefusedAppendOfAGroupDisturbsNoOther(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	var wg sync.WaitGroup
	var appended, refused atomic.Int64
	for i := range 64 {
		wg.Go(func() {
			w := write(fmt.Sprint(i))
			w.Aggregate = eventstore.AggregateID(fmt.Sprint(i / 2))
			w.Expected = eventstore.NoStream() // one of each pair is too late
			switch _, err := s.Append(t.Context(), w); {
			case err == nil:
				appended.Add(1)
			case errors.Is(err, eventstore.ErrConcurrencyConflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	head, err := s.Verify(t.Context())
	if appended.Load() != 32 || refused.Load() != 32 || head.Position != 32 || err != nil {
		t.Errorf("%d appended, %d refused, head %d, %v", appended.Load(), refused.Load(), head.Position, err)
	}
}

func execSQL(t *testing.T, path, sql string) {
	t.Helper()
	conn, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(sql); err != nil {
		t.Fatal(err)
	}
}

// appendUntilKilled appends from several goroutines and prints the name of each
// event once it is acknowledged.
func appendUntilKilled(path string) {
	s, err := Open(path, Config{})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	prefix := fmt.Sprint(os.Getpid())
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s/%d/%d", prefix, g, i)
				if _, err := s.Append(context.Background(), write(name)); err != nil {
					fmt.Println("append:", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println("ok", name)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestNothingAcknowledgedIsLostOrDoubledWhenTheProcessIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	acknowledged := map[eventstore.EventID]string{}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "SQLITE_TEST_APPEND="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := random.IntN(60); lines.Scan(); left-- {
			name, ok := strings.CutPrefix(lines.Text(), "ok ")
			if !ok {
				t.Fatal(lines.Text())
			}
			acknowledged[eventstore.DerivedEventID(name)] = name
			if left == 0 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // "signal: killed" is what was asked for
		checkSurvivors(t, path, acknowledged)
	}
}

func checkSurvivors(t *testing.T, path string, acknowledged map[eventstore.EventID]string) {
	t.Helper()
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := map[eventstore.EventID]bool{}
	all, err := r.Read(t.Context(), 0, eventstore.MaxReadPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if stored[e.ID] {
			t.Fatalf("event %s is there twice", e.ID)
		}
		stored[e.ID] = true
	}
	for id, name := range acknowledged {
		if !stored[id] {
			t.Fatalf("event %s was acknowledged and is gone", name)
		}
	}
}
