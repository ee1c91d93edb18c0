package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"reprise/eventstore"
	"reprise/internal/disk"
)

func TestABackupBesideAWriterIsOneMomentOfTheLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "events.db"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	appended := make(chan struct{}, 1)
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := s.Append(t.Context(), write(fmt.Sprint(i, "/1"), fmt.Sprint(i, "/2"))); err != nil {
				t.Error(err)
				return
			}
			select {
			case appended <- struct{}{}:
			default:
			}
		}
	})
	for n := range 5 {
		<-appended
		path := filepath.Join(dir, fmt.Sprint("backup-", n))
		before, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		head, err := s.Backup(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if head.Position < before.Position || head.Position%2 != 0 {
			t.Errorf("backup at %d, begun at %d: an append was cut in two or lost", head.Position, before.Position)
		}
		copied := open(t, path)
		if again, err := copied.Verify(t.Context()); err != nil || again != head {
			t.Errorf("%+v, %v; Backup said %+v", again, err, head)
		}
		same, err := s.Read(t.Context(), head.Position-1, 1)
		if err != nil || same[0].Hash != head.Hash {
			t.Errorf("the store has another event at %d: %v", head.Position, err)
		}
	}
	stop()
	wg.Wait()
}

// The pages of a log's newest events are in the write-ahead log, where they have no
// checksums yet, and a copy that doesn't fit SQLite's cache is written before its first page.
func TestABackupOfALargeLogInUseIsWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "events.db"))
	big := strings.Repeat("x", 32<<10)
	for i := range 200 {
		if _, err := s.Append(t.Context(), write(fmt.Sprint(i, big))); err != nil {
			t.Fatal(err)
		}
	}
	want, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "backup")
	if head, err := Backup(t.Context(), filepath.Join(dir, "events.db"), path); err != nil || head != want {
		t.Fatalf("%+v, %v; want %+v", head, err, want)
	}
	if head, err := open(t, path).Verify(t.Context()); err != nil || head != want {
		t.Errorf("%+v, %v; want %+v", head, err, want)
	}
}

func TestARestoredStoreGoesOnWhereTheBackupWasTaken(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "events.db"))
	if _, err := s.Append(t.Context(), write("1", "2", "3")); err != nil {
		t.Fatal(err)
	}
	snapshot := eventstore.Snapshot{Aggregate: "a", Version: 2, Schema: 1, Payload: []byte("state")}
	consumer := eventstore.Consumer{Name: "c", Position: 2, State: []byte("seen two")}
	if err := errors.Join(s.SaveSnapshot(t.Context(), snapshot), s.SaveConsumer(t.Context(), consumer, 0)); err != nil {
		t.Fatal(err)
	}
	backup, again := filepath.Join(dir, "backup"), filepath.Join(dir, "again.db")
	want, err := s.Backup(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	if head, err := Restore(t.Context(), backup, again); err != nil || head != want {
		t.Fatalf("%+v, %v; want %+v", head, err, want)
	}
	restored := open(t, again)
	if r, err := restored.Replay(t.Context(), "a", 0); err != nil || r.Snapshot == nil || len(r.Events) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if c, err := restored.Consumer(t.Context(), "c"); err != nil || !reflect.DeepEqual(c, consumer) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := restored.Append(t.Context(), write("4")); err != nil {
		t.Error(err)
	}
}

func TestBackupAndRestoreOverwriteNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "events.db"))
	backup := filepath.Join(dir, "backup")
	if _, err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"taken", "only-a-log-wal"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, map[string]string{"taken": "taken", "only-a-log-wal": "only-a-log"}[name])
		if _, err := s.Backup(t.Context(), target); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Backup over %s: %v", name, err)
		}
		if _, err := Restore(t.Context(), backup, target); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Restore over %s: %v", name, err)
		}
		if got := mustReadFile(t, path); string(got) != "mine" {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestADamagedBackupIsNotRestored flips a byte on every page.
func TestADamagedBackupIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	fill(t, path, 60)
	whole := mustReadFile(t, path)
	bad, target := filepath.Join(dir, "bad"), filepath.Join(dir, "restored")
	for at := 2048; at < len(whole); at += 4096 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		place(t, bad, damaged, nil)
		if _, err := Restore(t.Context(), bad, target); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("a byte flipped at %d: %v", at, err)
		}
		if err := absent(disk.OS{}, target); err != nil {
			t.Errorf("left behind: %v", err)
		}
	}
	if _, err := Restore(t.Context(), filepath.Join(dir, "missing"), target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no backup at all: %v", err)
	}
}

func TestACancelledBackupLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "events.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Backup(ctx, filepath.Join(dir, "backup")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	checkFiles(t, dir, "events.db", "events.db-shm", "events.db-wal")
}

func checkFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

// version1 makes a file as version 1 of the schema left it.
func version1(t *testing.T, path string) {
	t.Helper()
	fill(t, path, 3)
	conn, err := newStore(path, Config{}).connectThrough("", 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Exec("DROP TABLE consumers; PRAGMA user_version = 1"), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfVersion1IsReadAsItIsAndUpgradedForWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	version1(t, path)
	before := mustReadFile(t, path)
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := r.Consumers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, mustReadFile(t, path)) {
		t.Error("reading changed the file")
	}
	s := open(t, path)
	consumer := eventstore.Consumer{Name: "c", Position: 3}
	if err := s.SaveConsumer(t.Context(), consumer, 0); err != nil {
		t.Fatal(err)
	}
	if head, err := s.Verify(t.Context()); err != nil || head.Position != 3 {
		t.Errorf("%+v, %v", head, err)
	}
}

func TestADamagedConsumerIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	fill(t, path, 3)
	s := open(t, path)
	if err := s.SaveConsumer(t.Context(), eventstore.Consumer{Name: "c", Position: 2}, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.store(t.Context(), func(w *writer) error { return w.conn.Exec("UPDATE consumers SET position = 3") }); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Consumer(t.Context(), "c"); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("%+v, %v", c, err)
	}
	if err := s.DeleteConsumer(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Consumer(t.Context(), "c"); err != nil || c.Position != 0 {
		t.Errorf("deleted: %+v, %v", c, err)
	}
}
