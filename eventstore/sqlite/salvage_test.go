package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/eventstore"
	"reprise/eventstore/memory"
)

// wreck makes a store with events of every size, consumers that came and went among
// them, and returns it as a process that was killed leaves it.
func wreck(t *testing.T) (path string, all []eventstore.Event) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "made.db")
	s, err := Open(made, Config{CheckpointPages: 200})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		w := write(fmt.Sprint(i))
		w.Events[0].Payload = bytes.Repeat([]byte{byte('a' + i%26)}, []int{10, 700, 4200, 30_000}[i%4])
		if _, err := s.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if i%40 == 20 { // pages become free, and are used again
			c := eventstore.Consumer{Name: "c", State: bytes.Repeat([]byte("z"), 50_000)}
			if err := errors.Join(s.SaveConsumer(t.Context(), c, 0), s.DeleteConsumer(t.Context(), "c")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if all, err = s.Read(t.Context(), 0, 1000); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "events.db")
	place(t, path, mustReadFile(t, made), mustReadFile(t, made+"-wal"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, all
}

// salvaged reads a wreck and checks that it gives no event that was not appended,
// that the prefix is a log that verifies, and that what is missing is named.
func salvaged(t *testing.T, path string, all []eventstore.Event) (found eventstore.Salvaged, missing int) {
	t.Helper()
	before := listed(t, filepath.Dir(path))
	w, err := OpenWreck(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	found = w.Salvaged()
	head, err := eventstore.Refill(t.Context(), memory.New(), w.Events())
	if err != nil || head != found.Head {
		t.Fatalf("%+v, %v, want %+v", head, err, found.Head)
	}
	have := map[eventstore.Position]bool{}
	for p := range head.Position {
		have[p+1] = true
	}
	if head.Position > 0 && head.Hash != all[head.Position-1].Hash {
		t.Errorf("the log ends at %d with another hash", head.Position)
	}
	for e, err := range w.Rest() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Hash != all[e.Position-1].Hash || have[e.Position] {
			t.Errorf("event %d of the rest is not what was appended, or there twice", e.Position)
		}
		have[e.Position] = true
	}
	named := map[eventstore.Position]bool{}
	for _, g := range found.Gaps {
		for at := g.First; at <= g.Last; at++ {
			named[at] = true
		}
	}
	for _, e := range all {
		if !have[e.Position] {
			missing++
		}
		if have[e.Position] == named[e.Position] {
			t.Errorf("event %d: saved %v, said to be missing %v", e.Position, have[e.Position], named[e.Position])
		}
	}
	if after := listed(t, filepath.Dir(path)); after != before {
		t.Errorf("the damaged store was changed:\n%s%s", before, after)
	}
	return found, missing
}

func TestAWholeLogIsSalvagedWhole(t *testing.T) {
	path, all := wreck(t)
	found, missing := salvaged(t, path, all)
	if missing != 0 || found.Recorded != found.Head || found.Rest != 0 {
		t.Errorf("%+v, %d missing", found, missing)
	}
	w, err := OpenWreck(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	if _, err := eventstore.Refill(t.Context(), s, w.Events()); err != nil {
		t.Fatal(err)
	}
	if head, err := s.Verify(t.Context()); err != nil || head != found.Head {
		t.Errorf("%+v, %v; want %+v", head, err, found.Head)
	}
	if _, err := eventstore.Refill(t.Context(), s, w.Events()); !errors.Is(err, eventstore.ErrNotEmpty) {
		t.Errorf("again: %v", err)
	}
}

// foreign is a VFS as an SQLite without checksums of pages has: where ours would
// compute one, there is whatever the page held.
type foreign struct{ vfs.VFSFilename }

type foreignFile struct{ systemFile }

func (v foreign) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := v.VFSFilename.OpenFilename(name, flags)
	if err == nil && flags&vfs.OPEN_MAIN_DB != 0 {
		f = foreignFile{f.(systemFile)}
	}
	return f, flags, err
}

func (f foreignFile) WriteAt(b []byte, at int64) (int, error) {
	b = bytes.Clone(b)
	clear(b[len(b)-checksumSize:])
	return f.systemFile.WriteAt(b, at)
}

// foreignLook looks into a store, as `sqlite3 events.db "SELECT ..."` does, and
// closes it as the last one: the write-ahead log is moved in, without checksums.
func foreignLook(t *testing.T, path string) {
	t.Helper()
	vfs.Register("foreign", foreign{vfs.Find("").(vfs.VFSFilename)})
	defer vfs.Unregister("foreign")
	conn, err := sqlite3.OpenFlags(filename(path, "foreign"), sqlite3.OPEN_READWRITE)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Exec("SELECT count(*) FROM events"), conn.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the write-ahead log was not moved in: %v", err)
	}
}

func TestALookByAForeignSQLiteLosesNothing(t *testing.T) {
	path, all := wreck(t)
	foreignLook(t, path)
	if _, err := Open(path, Config{}); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Fatalf("Open = %v: nothing was damaged", err)
	}
	if found, missing := salvaged(t, path, all); missing != 0 || found.Rest != 0 {
		t.Errorf("%+v, %d missing", found, missing)
	}
}

// The shell itself, where there is one.
func TestALookByTheShellLosesNothing(t *testing.T) {
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 here; TestALookByAForeignSQLiteLosesNothing does the same without it")
	}
	path, all := wreck(t)
	if out, err := exec.CommandContext(t.Context(), shell, path, "SELECT count(*) FROM events").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, missing := salvaged(t, path, all); missing != 0 {
		t.Errorf("%d missing", missing)
	}
}

// A byte belongs to one row at most: a flip of any loses at most that event.
func TestAFlippedByteLosesAtMostItsEvent(t *testing.T) {
	path, all := wreck(t)
	foreignLook(t, path)
	db := mustReadFile(t, path)
	random := rand.New(rand.NewPCG(1, 2))
	lost := 0
	for page := 0; page < len(db); page += 5 * 4096 {
		flipped := bytes.Clone(db)
		flipped[page+random.IntN(4096)] ^= byte(1 + random.IntN(255))
		place(t, path, flipped, nil)
		_, missing := salvaged(t, path, all)
		if missing > 1 {
			t.Errorf("a byte of page %d: %d events are missing", page/4096+1, missing)
		}
		lost += missing
	}
	if lost == 0 {
		t.Error("no flip hit an event")
	}
}

// Whatever says where rows are may be damaged: the heads of all pages, with the
// tables of their cells, and the header of the file.
func TestNoEventNeedsTheTreesAroundIt(t *testing.T) {
	path, all := wreck(t)
	foreignLook(t, path)
	db := mustReadFile(t, path)
	clear(db[:100])
	for page := 0; page < len(db); page += 4096 {
		if kind := db[page]; kind == 2 || kind == 5 || kind == 10 || kind == 13 { // pages of trees
			clear(db[page : page+8])
		}
	}
	place(t, path, db, nil)
	if _, missing := salvaged(t, path, all); missing != 0 {
		t.Errorf("%d missing", missing)
	}
}

func TestZeroedPagesLoseOnlyWhatWasOnThem(t *testing.T) {
	path, all := wreck(t)
	foreignLook(t, path)
	db := mustReadFile(t, path)
	for page := 0; page < len(db); page += 5 * 4096 {
		zeroed := bytes.Clone(db)
		clear(zeroed[page : page+4096])
		place(t, path, zeroed, nil)
		if _, missing := salvaged(t, path, all); missing > 20 {
			t.Errorf("page %d: %d missing", page/4096+1, missing)
		}
	}
}

func TestATruncatedFileGivesItsBeginning(t *testing.T) {
	path, all := wreck(t)
	foreignLook(t, path)
	db := mustReadFile(t, path)
	for _, size := range []int{0, 1, 4096, 5000, len(db) / 3, len(db) / 2, len(db) - 1} {
		place(t, path, db[:size], nil)
		found, missing := salvaged(t, path, all[:max(int(recordedEnd(t, path)), 0)])
		if size > len(db)/4 && (found.Head.Position == 0 || missing == 0 && size < len(db)/2) {
			t.Errorf("%d of %d bytes: %+v, %d missing", size, len(db), found, missing)
		}
	}
}

// recordedEnd is the last position that a wreck tells of.
func recordedEnd(t *testing.T, path string) eventstore.Position {
	t.Helper()
	w, err := OpenWreck(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.Salvaged().Recorded.Position
}

// A write-ahead log with a flipped byte still gives what comes after it.
func TestADamagedWriteAheadLogGivesWhatIsWhole(t *testing.T) {
	path, all := wreck(t)
	db, log := mustReadFile(t, path), mustReadFile(t, path+"-wal")
	for _, at := range []int{3, walHeaderSize + 2, walHeaderSize + frameHeaderSize + 3000, len(log) / 2} {
		flipped := bytes.Clone(log)
		flipped[at] ^= 0x40
		place(t, path, db, flipped)
		if _, missing := salvaged(t, path, all); missing > 1 {
			t.Errorf("byte %d: %d missing", at, missing)
		}
	}
	// The log alone has what was not moved in before, and all pages that were
	// written since.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if w, err := OpenWreck(t.Context(), path); err != nil || len(w.whole) == 0 {
		t.Errorf("%v", err)
	} else if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A damaged hash is told by the event after it, and a damaged hash of the event
// before it by that event.
func TestDamagedHashesAreToldByTheChain(t *testing.T) {
	for _, change := range []string{
		"UPDATE events SET hash = zeroblob(32) WHERE position = 60",
		"UPDATE events SET prev_hash = zeroblob(32) WHERE position = 60",
		"UPDATE events SET hash = zeroblob(32) WHERE position = 120",
	} {
		path, all := wreck(t)
		foreignLook(t, path)
		conn, err := sqlite3.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Exec("PRAGMA checksum_verification = OFF; "+change), conn.Close()); err != nil {
			t.Fatal(err)
		}
		if _, missing := salvaged(t, path, all); missing != 0 {
			t.Errorf("%s: %d missing", change, missing)
		}
	}
}

// An end of the log that was recorded and damaged cuts nothing off, and does not
// make up positions without end.
func TestADamagedEndCutsNothingOff(t *testing.T) {
	for _, end := range []string{"50", "4611686018427387904"} {
		path, all := wreck(t)
		foreignLook(t, path)
		conn, err := sqlite3.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Exec("PRAGMA checksum_verification = OFF; UPDATE head SET position = "+end), conn.Close()); err != nil {
			t.Fatal(err)
		}
		w, err := OpenWreck(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Salvaged().Head.Position; got != eventstore.Position(len(all)) {
			t.Errorf("end %s: salvaged %d events", end, got)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The last append cannot be told from one that was torn as the process died: it is
// kept, and is a part of the log where it is known to be all of an append.
func TestTheLastAppendIsKeptWhereItsFramesAreDamaged(t *testing.T) {
	path, all := wreck(t)
	db, whole := mustReadFile(t, path), mustReadFile(t, path+"-wal")
	offsets, lastCommit := frames(whole)
	last := eventstore.Position(len(all))
	// The end is recorded on the same page in each commit.
	var headFrame int
	for _, at := range offsets {
		heads(whole[at+frameHeaderSize:][:4096], 4088, func(h eventstore.Head, live bool) {
			if live && h.Position == last && at >= lastCommit {
				headFrame = at
			}
		})
	}
	if headFrame == 0 {
		t.Fatal("the last commit does not record the end of the log")
	}
	for _, c := range []struct {
		name           string
		damage         func(log []byte)
		inLog          bool
		complete       bool
		unacknowledged int
	}{
		{"a bit in free space", func(log []byte) { log[offsets[len(offsets)-1]+frameHeaderSize+4090] ^= 1 }, true, true, 0},
		{"the recorded end", func(log []byte) { clear(log[headFrame+frameHeaderSize:][:4096]) }, true, false, 0},
		{"the end of the commit", func(log []byte) { clear(log[offsets[len(offsets)-1]+4:][:4]) }, true, true, 0},
		{"the end of the commit and of the log", func(log []byte) {
			clear(log[headFrame+frameHeaderSize:][:4096])
			clear(log[offsets[len(offsets)-1]+4:][:4])
		}, false, false, 1},
	} {
		log := bytes.Clone(whole)
		c.damage(log)
		place(t, path, db, log)
		want := last
		if !c.inLog {
			want--
		}
		found, missing := salvaged(t, path, all)
		if found.Head.Position != want || found.Complete() != c.complete || found.Unacknowledged != c.unacknowledged || found.Rest != c.unacknowledged || missing != 0 {
			t.Errorf("%s: %+v, %d missing", c.name, found, missing)
		}
	}
}

func TestSalvageRefusesWhatIsNotThere(t *testing.T) {
	if _, err := OpenWreck(t.Context(), filepath.Join(t.TempDir(), "events.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	path, _ := wreck(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenWreck(ctx, path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A fragment is refused as an export.
func TestTheRestIsNoExport(t *testing.T) {
	path, all := wreck(t)
	w, err := OpenWreck(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	if n, err := eventstore.ExportFragment(&b, w.Events()); err != nil || n != len(all) {
		t.Fatalf("%d events, %v", n, err)
	}
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	if _, err := eventstore.Import(t.Context(), s, io.ReadSeeker(bytes.NewReader(b.Bytes()))); err == nil {
		t.Error("it was imported")
	}
}

// Whatever the bytes are, they are read without a panic, and give no event whose
// hash is wrong.
func FuzzCells(f *testing.F) {
	page := make([]byte, 4096)
	f.Add(page)
	f.Add(bytes.Repeat([]byte{0x4c, 0, 13}, 2000)[:4096])
	f.Fuzz(func(t *testing.T, page []byte) {
		usable := len(page) - checksumSize
		if usable < 0 {
			return
		}
		heads(page, usable, func(eventstore.Head, bool) {})
		cells(page, usable, func(c cell) {
			if c.local != c.total {
				return
			}
			if e, err := c.event(page[c.at:][:c.local]); err == nil && e.Check() != nil {
				t.Error("an event with a wrong hash")
			}
		})
	})
}
