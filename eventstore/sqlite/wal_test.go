package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
	"reprise/internal/disk"
)

// killed returns the files of a store as they are when its process is killed,
// and what was appended, one event a commit.
func killed(t *testing.T, events int) (db, log []byte, all []eventstore.Event) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	for i := range events {
		if _, err := s.Append(t.Context(), write(fmt.Sprint("event-", i))); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Read(t.Context(), 0, events)
	if err != nil {
		t.Fatal(err)
	}
	return mustReadFile(t, path), mustReadFile(t, path+"-wal"), all
}

func mustReadFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// place writes the files of a store.
func place(t *testing.T, path string, db, log []byte) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for name, b := range map[string][]byte{path: db, path + "-wal": log} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// frames returns the offsets of a WAL's frames, behind which it may have grown
// ahead, and of the last commit's first.
func frames(log []byte) (offsets []int, lastCommit int) {
	size := frameHeaderSize + int(binary.BigEndian.Uint32(log[8:]))
	first := walHeaderSize
	for at := walHeaderSize; at+size <= len(log) && bytes.Equal(log[at+8:at+16], log[16:24]); at += size {
		offsets = append(offsets, at)
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			lastCommit, first = first, at+size
		}
	}
	return offsets, lastCommit
}

// TestAFlippedBitInTheWALIsFoundAndNamed flips bits in the header, in each frame
// and behind the frames of the log of a killed process. Only the last commit may
// go unnoticed, and then as a whole.
func TestAFlippedBitInTheWALIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	db, log, all := killed(t, 4)
	offsets, lastCommit := frames(log)
	var flips []int
	for at := range walHeaderSize {
		flips = append(flips, at)
	}
	pageSize := int(binary.BigEndian.Uint32(log[8:]))
	for _, at := range offsets {
		// The page's number, the commit's mark, a salt, the sum, the page.
		flips = append(flips, at+3, at+7, at+8, at+16, at+frameHeaderSize+pageSize/2)
	}
	end := offsets[len(offsets)-1] + frameHeaderSize + pageSize
	flips = append(flips, end, end+frameHeaderSize-1, len(log)-1)
	path := filepath.Join(t.TempDir(), "events.db")
	for _, at := range flips {
		damaged := bytes.Clone(log)
		damaged[at] ^= 0x10
		place(t, path, db, damaged)
		for name, openIt := range map[string]func() (*Store, error){
			"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(path) },
			"Open":         func() (*Store, error) { return Open(path, Config{}) },
		} {
			s, err := openIt()
			var corrupt *eventstore.CorruptionError
			switch {
			case err != nil && errors.As(err, &corrupt) && corrupt.Position != 0 && corrupt.Position <= all[3].Position:
				if got := mustReadFile(t, path+"-wal"); !bytes.Equal(got, damaged) {
					t.Fatalf("byte %d: %s changed the damaged log", at, name)
				}
			case err == nil && at >= lastCommit:
				want := all[:3]
				if at >= end {
					want = all
				}
				got, err := s.Read(t.Context(), 0, 10)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("byte %d, in the last commit or behind it: %d events, %v", at, len(got), err)
				}
			default:
				t.Errorf("byte %d of %d (frames at %v): %s = %v", at, len(log), offsets, name, err)
			}
			if s != nil {
				s.Close()
				place(t, path, db, damaged)
			}
		}
	}
}

// TestATornWALIsOpened cuts the log of a killed process at every frame and in
// the middle of each, as a crash may, and tears the last commit as a loss of
// power may: whole commits are there, and nothing is called corrupt.
func TestATornWALIsOpened(t *testing.T) {
	db, log, all := killed(t, 4)
	offsets, lastCommit := frames(log)
	size := offsets[1] - offsets[0]
	path := filepath.Join(t.TempDir(), "events.db")
	check := func(name string, torn []byte, least int) {
		t.Helper()
		place(t, path, db, torn)
		s, err := Open(path, Config{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer s.Close()
		got, err := s.Read(t.Context(), 0, 10)
		if err != nil || len(got) < least || (len(got) > 0 && !reflect.DeepEqual(got, all[:len(got)])) {
			t.Fatalf("%s: %d events, %v", name, len(got), err)
		}
		if _, err := s.Verify(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, n := range append([]int{0, 1, walHeaderSize - 1, walHeaderSize}, offsets...) {
		for _, cut := range []int{n, n + frameHeaderSize, n + size/2} {
			check(fmt.Sprint("cut to ", cut), log[:min(cut, len(log))], 0)
		}
	}
	for _, at := range offsets {
		if at < lastCommit {
			continue
		}
		lost := bytes.Clone(log)
		clear(lost[at : at+size])
		check(fmt.Sprint("a frame of the last commit lost at ", at), lost, 3)
	}
}

// TestFramesThatWereRolledBackAreNoDamage takes back a transaction too large for
// the page cache: its frames are in the log already and stay behind what follows.
func TestFramesThatWereRolledBackAreNoDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	conn, err := s.connectThrough(s.config.VFS, sqlite3.OPEN_READWRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		e := storetest.Event(fmt.Sprint("large-", i))
		e.Payload = bytes.Repeat([]byte("x"), eventstore.MaxPayload)
		sealed := eventstore.Seal(e, "b", eventstore.Version(i+1), eventstore.Position(i+2), eventstore.Hash{})
		if err := insertEvent(conn, &sealed); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.Append(t.Context(), write(fmt.Sprint("after-", i))); err != nil {
			t.Fatal(err)
		}
	}
	db, log := mustReadFile(t, path), mustReadFile(t, path+"-wal")
	if len(log) < 8<<20 {
		t.Fatalf("the log has %d bytes: nothing was written before it was rolled back", len(log))
	}
	again := filepath.Join(t.TempDir(), "events.db")
	place(t, again, db, log)
	copied := open(t, again)
	if head, err := copied.Verify(t.Context()); err != nil || head.Position != 4 {
		t.Errorf("%+v, %v", head, err)
	}
}

// TestReadersBesideABusyWriterSeeNoDamage opens the store again and again while
// its log is started over.
func TestReadersBesideABusyWriterSeeNoDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 160 {
			e := storetest.Event(fmt.Sprint(i))
			e.Payload = bytes.Repeat([]byte("y"), 100_000)
			if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	opened := 0
	for before := eventstore.Position(0); ; opened++ {
		r, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		head, err := r.Head(t.Context())
		if err != nil || head.Position < before {
			t.Fatalf("head %d after %d, %v", head.Position, before, err)
		}
		before = head.Position
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			wg.Wait()
			if opened < 5 {
				t.Errorf("opened only %d times", opened)
			}
			return
		default:
		}
	}
}

func TestAFileThatIsNotWholeIsRefused(t *testing.T) {
	db, log, _ := killed(t, 3)
	closed := filepath.Join(t.TempDir(), "closed.db")
	fill(t, closed, 40)
	whole := mustReadFile(t, closed)
	path := filepath.Join(t.TempDir(), "events.db")
	refuse := func(name, want string) {
		t.Helper()
		for kind, openIt := range map[string]func() (*Store, error){
			"Open":         func() (*Store, error) { return Open(path, Config{}) },
			"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(path) },
		} {
			s, err := openIt()
			if err == nil {
				_, err = s.Verify(t.Context())
				s.Close()
			}
			if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s = %v, want %q", name, kind, err, want)
			}
		}
	}
	place(t, path, nil, nil)
	refuse("an empty file", "the file is empty")
	place(t, path, nil, log)
	refuse("an empty file beside its log", "the file is empty")
	place(t, path, db, log)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refuse("a log without its file", "missing beside its write-ahead log")
	for _, n := range []int{1, 15, 16, 17, 99, 100, 511, 512, 4095, 4096, 4097, len(whole) / 2, len(whole) - 4096, len(whole) - 1} {
		place(t, path, whole[:n], nil)
		refuse(fmt.Sprintf("cut to %d of %d bytes", n, len(whole)), "")
	}
}

// TestAStoreComesIntoBeingAsAWhole finds what a crash left while one was made.
func TestAStoreComesIntoBeingAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	left := disk.TempName(path)
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.WriteFile(left+suffix, []byte(strings.Repeat("half of it ", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mine := []string{path + ".new", path + ".part", path + ".reprise-partial-mine", left + ".txt"}
	for _, name := range mine {
		if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, path, 1)
	want := append([]string{path}, mine...)
	slices.Sort(want)
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("there are %q, want %q, %v", names, want, err)
	}
}

// A reader that has a log's pages learns of every commit after them, even where the
// files' times do not tell.
func TestACommitAfterALogWasReadIsNoticed(t *testing.T) {
	_, log, _ := killed(t, 4)
	offsets, lastCommit := frames(log)
	earlier := bytes.Clone(log)
	clear(earlier[lastCommit:])
	torn := bytes.Clone(log)
	torn[offsets[len(offsets)-1]+frameHeaderSize] ^= 1
	restarted := bytes.Clone(log)
	restarted[20] ^= 1
	for _, c := range []struct {
		name        string
		before, now []byte
		want        bool
	}{
		{"nothing", log, log, false},
		{"a commit", earlier, log, true},
		{"half of a commit", earlier, torn, false},
		{"a log that is started over", log, restarted, true},
		{"a log that is emptied", log, nil, true},
		{"a first commit", nil, log, true},
		{"nothing in an empty log", nil, make([]byte, 100), false},
	} {
		w := wal{file: bytes.NewReader(c.before)}
		pages, err := w.committed()
		if err != nil {
			t.Fatal(err)
		}
		w.file = bytes.NewReader(c.now)
		if got, err := w.extended(pages); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}
