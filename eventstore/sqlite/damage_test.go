package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
)

// TestAFlippedByteOfAnEventIsNamedByEveryRead flips a byte of one event in the
// file itself, behind SQLite's back. Pages may hold stale copies of an event: a
// flip in one of those is found as well, and said to have hit no event.
func TestAFlippedByteOfAnEventIsNamedByEveryRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	all := fill(t, path, 30)
	whole := mustReadFile(t, path)
	for _, e := range []eventstore.Event{all[0], all[13], all[29]} {
		hashes := append(bytes.Clone(e.PrevHash[:]), e.Hash[:]...) // the next event has its hash too
		for what, part := range map[string][]byte{"payload": e.Payload, "hashes": hashes} {
			named := 0
			for at := range whole {
				if !bytes.HasPrefix(whole[at:], part) {
					continue
				}
				damaged := bytes.Clone(whole)
				damaged[at+len(part)-2] ^= 1
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				want := e.Position
				if hitsNoEvent(t, path) {
					want = 0
				} else {
					named++
				}
				expectNamed(t, path, fmt.Sprintf("%s of event %d, byte %d", what, e.Position, at), want)
			}
			if named != 1 {
				t.Errorf("%s of event %d: %d copies are named, want the one that is read", what, e.Position, named)
			}
		}
	}
}

// hitsNoEvent reports whether the file's events are whole, as read past the
// checksums of its pages.
func hitsNoEvent(t *testing.T, path string) bool {
	t.Helper()
	_, err := newStore(path, Config{}).inspect()
	if err != nil {
		t.Fatal(err)
	}
	found := newStore(path, Config{}).named(t.Context(), &eventstore.CorruptionError{What: "asked"})
	return strings.Contains(found.Error(), "every event is whole")
}

// expectNamed fails unless every way to read for a resume names the event.
func expectNamed(t *testing.T, path, what string, want eventstore.Position) {
	t.Helper()
	check := func(how string, err error) {
		t.Helper()
		var corrupt *eventstore.CorruptionError
		if !errors.As(err, &corrupt) || corrupt.Position != want {
			t.Errorf("%s: %s = %v, want position %d", what, how, err, want)
		}
	}
	r, err := OpenReadOnly(path)
	if err != nil {
		check("OpenReadOnly", err)
		return
	}
	defer r.Close()
	_, err = r.Read(t.Context(), 0, 100)
	check("Read", err)
	_, err = r.Replay(t.Context(), "a", 0)
	check("Replay", err)
	_, err = r.Verify(t.Context())
	check("Verify", err)
	sub := r.Subscribe(0)
	_, err = sub.Next(t.Context())
	check("Subscribe", err)
}

// TestEveryReadNamesWhatSQLChanged does so for changes that leave pages sound.
func TestEveryReadNamesWhatSQLChanged(t *testing.T) {
	for _, change := range []string{
		"UPDATE events SET payload = x'00' WHERE position = 3",
		"UPDATE events SET aggregate = 'b' WHERE position = 3",
		"UPDATE events SET version = 77 WHERE position = 3",
		"DELETE FROM events WHERE position = 3",
		"UPDATE events SET position = 99 WHERE position = 3",
		"DELETE FROM events WHERE position >= 3",
	} {
		path := filepath.Join(t.TempDir(), "events.db")
		fill(t, path, 5)
		execSQL(t, path, change)
		expectNamed(t, path, change, 3)
	}
}

func TestAHeadOfAnotherLengthIsCorruption(t *testing.T) {
	for _, change := range []string{"x'00'", "zeroblob(33)", "zeroblob(0)"} {
		path := filepath.Join(t.TempDir(), "events.db")
		fill(t, path, 2)
		execSQL(t, path, "UPDATE head SET hash = "+change)
		if _, err := Open(path, Config{}); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

func TestACancelledReadSaysSoAndTheStoreGoesOn(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * maxReaders {
		if _, err := s.Verify(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("Verify = %v", err)
		}
		if _, err := s.Replay(ctx, "a", 0); !errors.Is(err, context.Canceled) {
			t.Fatalf("Replay = %v", err)
		}
	}
	if head, err := s.Verify(t.Context()); err != nil || head.Position != 1 {
		t.Errorf("afterwards: %+v, %v", head, err)
	}
}

func TestWhatAppendReturnsIsWhatIsRead(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	e := storetest.Event("1")
	e.Time = time.Unix(1, 2).In(time.FixedZone("elsewhere", 3600))
	e.Payload = []byte{}
	got, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.NoStream(), Events: []eventstore.NewEvent{e}})
	if err != nil {
		t.Fatal(err)
	}
	if read, err := s.Read(t.Context(), 0, 1); err != nil || !reflect.DeepEqual(read, got) {
		t.Errorf("%+v, %v\nappended %+v", read, err, got)
	}
}

// TestACallerThatGaveUpMayReuseItsMemory looks at what the writer is handed.
func TestACallerThatGaveUpMayReuseItsMemory(t *testing.T) {
	handedIn := []eventstore.Write{write("1", "2")}
	want := bytes.Clone(handedIn[0].Events[1].Payload)
	kept := copied(handedIn)
	handedIn[0].Events[1].Payload[0] = 'X'
	handedIn[0].Events[0].ID = "reused"
	handedIn[0].Aggregate = "reused"
	if kept[0].Aggregate != "a" || kept[0].Events[0].ID == "reused" || !bytes.Equal(kept[0].Events[1].Payload, want) {
		t.Errorf("the writer sees %+v", kept)
	}
}

// TestClosingLeavesOneFile fails where a connection stays open: SQLite then
// keeps its log.
func TestClosingLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replay(t.Context(), "a", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(path + "*"); err != nil || !reflect.DeepEqual(names, []string{path}) {
		t.Errorf("%q, %v", names, err)
	}
}
