package sqlite

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"reprise/eventstore"
)

// shortLog returns the files of a store as its killed process leaves them. If restarted,
// the write-ahead log was moved into the file and begun again, and so has frames from
// before that at its end.
func shortLog(t *testing.T, restarted bool) (db, log []byte, all []eventstore.Event) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	pages := 1000
	if restarted {
		pages = 24
	}
	s, err := Open(path, Config{CheckpointPages: pages})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 9 {
		w := write(fmt.Sprint("event-", i))
		w.Events[0].Payload = bytes.Repeat([]byte{byte('a' + i)}, []int{900, 3, 6000}[i%3])
		if _, err := s.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = s.Read(t.Context(), 0, 100); err != nil {
		t.Fatal(err)
	}
	db, log = mustReadFile(t, path), mustReadFile(t, path+"-wal")
	offsets, _ := frames(log)
	end := offsets[len(offsets)-1] + frameHeaderSize + 4096
	if follows := !bytes.Equal(log[end:][:frameHeaderSize], make([]byte, frameHeaderSize)); follows != restarted {
		t.Fatalf("frames of an earlier log at the end: %v, want %v", follows, restarted)
	}
	return db, log, all
}

// eachLog runs a test on a log that was begun once, and on one that was begun again.
func eachLog(t *testing.T, test func(t *testing.T, path string, db, log []byte, all []eventstore.Event)) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			db, log, all := shortLog(t, restarted)
			path := filepath.Join(t.TempDir(), "events.db")
			place(t, path, db, log)
			found, missing := checkSalvage(t, path, all, nil, false)
			if !found.Complete() || found.Closed || len(missing) > 0 {
				t.Fatalf("undamaged: %+v, missing %v", found, missing)
			}
			test(t, path, db, log, all)
		})
	}
}

// However few of its bytes are left, a write-ahead log never passes for a whole one
// unless it has all of its frames, and a byte more than could be the beginning of another.
func TestAWriteAheadLogThatWasCutIsNeverCalledWhole(t *testing.T) {
	eachLog(t, func(t *testing.T, path string, db, log []byte, all []eventstore.Event) {
		offsets, _ := frames(log)
		end := offsets[len(offsets)-1] + frameHeaderSize + 4096
		sizes := []int{0, 1, walHeaderSize - 1, end, end + 15, end + 16, end + 23, end + 24, end + 25, len(log) - 1}
		for _, at := range offsets {
			sizes = append(sizes, at, at+1, at+15, at+16, at+frameHeaderSize-1, at+frameHeaderSize, at+2000, at+frameHeaderSize+4095)
		}
		lost := 0
		for _, size := range sizes {
			place(t, path, db, log[:size])
			found, missing := checkSalvage(t, path, all, nil, false)
			lost += len(missing)
			if found.Complete() != (size >= end+16) {
				t.Errorf("cut to %d bytes, of which %d are frames: %+v, missing %v", size, end, found, missing)
			}
			if !found.Complete() && found.Doubt == "" {
				t.Errorf("cut to %d bytes: no doubt about the end", size)
			}
		}
		if lost == 0 {
			t.Error("no cut lost an event")
		}
	})
}

// A damaged bit, or a page of zeros, in any frame of the last commit is noticed wherever it
// costs an event, although the commit cannot be told from one that was never finished.
func TestDamageInTheLastCommitIsNeverCalledWhole(t *testing.T) {
	eachLog(t, func(t *testing.T, path string, db, log []byte, all []eventstore.Event) {
		offsets, last := frames(log)
		lost, named, whole := 0, 0, 0
		check := func(name string, damaged []byte) {
			place(t, path, db, damaged)
			found, missing := checkSalvage(t, path, all, nil, false)
			if found.Complete() {
				whole++
			}
			if len(missing) == 0 {
				return
			}
			lost++
			if len(found.Gaps) == 1 && found.Gaps[0].First == missing[0] && strings.Contains(found.Gaps[0].What, "version 9 of a: ") {
				named++
			} else if found.Doubt == "" {
				t.Errorf("%s: %v are missing, and are neither named nor in doubt: %+v", name, missing, found)
			}
		}
		for _, at := range offsets {
			if at < last {
				continue
			}
			for _, unit := range []int{frameHeaderSize, 4096 + frameHeaderSize} {
				zeroed := bytes.Clone(log)
				clear(zeroed[at:][:unit])
				check(fmt.Sprintf("%d zeros at %d", unit, at), zeroed)
			}
			for i := 0; i < frameHeaderSize+4096; i++ {
				if i >= frameHeaderSize+16 && (i%11 != 0 || testing.Short() && i%3 != 0) || i%121 != 0 && log[at+i] == log[at+i-1] {
					continue // a field of a row is longer, and of a run of the same byte fewer are enough
				}
				flipped := bytes.Clone(log)
				flipped[at+i] ^= 1 << (i % 8)
				check(fmt.Sprintf("bit %d of byte %d of the frame at %d", i%8, i, at), flipped)
			}
		}
		if lost == 0 || named == 0 || whole == 0 {
			t.Errorf("%d lost an event, %d of them named it, %d lost nothing: not all kinds were met", lost, named, whole)
		}
	})
}
