package sqlite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
	"pgregory.net/rapid"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
	"reprise/internal/disk/disktest"
)

func TestACommitIsOneWriteAndOneSync(t *testing.T) {
	d := disktest.New(t.TempDir())
	s, err := openOn(t, d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var got []string
	for i := range 3 { // the first makes the log grow
		before := len(d.Log())
		if _, err := s.Append(t.Context(), write(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, op := range d.Log()[before:] {
			if op.Path == "events.db-wal" {
				got = append(got, op.Name)
			}
		}
	}
	if want := []string{"write", "sync"}; !slices.Equal(got, want) {
		t.Errorf("the third append does %q with the write-ahead log, want %q", got, want)
	}
}

func TestAnAcknowledgedAppendSurvivesTheLossOfPower(t *testing.T) {
	d := disktest.New(t.TempDir())
	s, err := openOn(t, d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i := range 50 { // the log grows several times
		e := storetest.Event(fmt.Sprint(i))
		e.Payload = bytes.Repeat([]byte("x"), 10_000)
		if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e}}); err != nil {
			t.Fatal(err)
		}
		if i%7 != 0 {
			continue
		}
		left, err := openOn(t, after(t, d, disktest.Strict()))
		if err != nil {
			t.Fatal(err)
		}
		if head, err := left.Verify(t.Context()); err != nil || head.Position != eventstore.Position(i+1) {
			t.Errorf("%d are acknowledged; the log ends at %d, %v", i+1, head.Position, err)
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAcknowledgedAppendSurvivesTheProcess looks at the files while nothing is
// synced. The second append is larger than the page cache: SQLite writes frames
// of it over again, and their headers at last.
func TestAnAcknowledgedAppendSurvivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s, err := Open(path, Config{Unsynced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	large := write()
	for i := range 40 {
		e := storetest.Event(fmt.Sprint("large-", i))
		e.Payload = bytes.Repeat([]byte("x"), eventstore.MaxPayload)
		large.Events = append(large.Events, e)
	}
	want := eventstore.Position(0)
	for _, w := range []eventstore.Write{write("first"), large, write("last")} {
		if _, err := s.Append(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		want += eventstore.Position(len(w.Events))
		again := filepath.Join(t.TempDir(), "events.db")
		place(t, again, mustReadFile(t, path), mustReadFile(t, path+"-wal"))
		left := open(t, again)
		if head, err := left.Verify(t.Context()); err != nil || head.Position != want {
			t.Errorf("%d are acknowledged; the log ends at %d, %v", want, head.Position, err)
		}
	}
}

// contentFile is a file in memory.
type contentFile struct {
	vfs.File
	content []byte
	syncs   int
}

func (f *contentFile) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(f.content) {
		f.content = append(f.content, make([]byte, end-len(f.content))...)
	}
	return copy(f.content[at:], b), nil
}

func (f *contentFile) ReadAt(b []byte, at int64) (int, error) { return copy(b, f.content[at:]), nil }
func (f *contentFile) Size() (int64, error)                   { return int64(len(f.content)), nil }
func (f *contentFile) Close() error                           { return nil }

func (f *contentFile) Truncate(size int64) error {
	f.content = f.content[:size]
	return nil
}

func (f *contentFile) Sync(vfs.SyncFlag) error {
	f.syncs++
	return nil
}

// TestALogFileAgreesWithOneThatIsWrittenAtOnce gives what SQLite writes to a
// logFile and to a file.
func TestALogFileAgreesWithOneThatIsWrittenAtOnce(t *testing.T) {
	const page = 64
	rapid.Check(t, func(t *rapid.T) {
		below, twin := &contentFile{}, &contentFile{}
		f := &logFile{File: below}
		at := int64(walHeaderSize) // where the next frame belongs
		give := func(b []byte, at int64) {
			for _, file := range []vfs.File{f, twin} {
				if n, err := file.WriteAt(b, at); n != len(b) || err != nil {
					t.Fatal(n, err)
				}
			}
		}
		// agree fails unless what is below is the twin's content and zeros behind it.
		agree := func() {
			n := len(twin.content)
			if len(below.content) < n || !bytes.Equal(below.content[:n], twin.content) || len(bytes.Trim(below.content[n:], "\x00")) > 0 {
				t.Fatalf("%x, want %x", below.content, twin.content)
			}
		}
		header := func(commit bool) []byte {
			h := rapid.SliceOfN(rapid.Byte(), frameHeaderSize, frameHeaderSize).Draw(t, "header")
			binary.BigEndian.PutUint32(h[4:], 0)
			if commit {
				h[7] = 1
			}
			return h
		}
		content := func() []byte { return rapid.SliceOfN(rapid.ByteMin(1), page, page).Draw(t, "page") }
		earlier := func() int64 {
			n := (at - walHeaderSize) / (frameHeaderSize + page)
			return walHeaderSize + (frameHeaderSize+page)*rapid.Int64Range(0, max(0, n-1)).Draw(t, "frame")
		}
		give(make([]byte, walHeaderSize), 0)
		t.Repeat(map[string]func(*rapid.T){
			"frame": func(*rapid.T) {
				commit := rapid.Bool().Draw(t, "commit")
				give(header(commit), at)
				give(content(), at+frameHeaderSize)
				at += frameHeaderSize + page
				if commit {
					agree()
				}
			},
			"header again": func(*rapid.T) {
				if at == walHeaderSize {
					return
				}
				give(header(rapid.Bool().Draw(t, "commit")), earlier())
				agree()
			},
			"page again": func(*rapid.T) {
				if at == walHeaderSize {
					return
				}
				give(content(), earlier()+frameHeaderSize)
				agree()
			},
			"start over": func(*rapid.T) {
				at = walHeaderSize
				give(rapid.SliceOfN(rapid.Byte(), walHeaderSize, walHeaderSize).Draw(t, "start"), 0)
			},
			"sync": func(*rapid.T) {
				before := below.syncs
				if err := f.Sync(0); err != nil || below.syncs != before+1 {
					t.Fatal(err)
				}
				agree()
			},
			"truncate": func(*rapid.T) {
				at = walHeaderSize
				for _, file := range []vfs.File{f, twin} {
					if err := file.Truncate(at); err != nil {
						t.Fatal(err)
					}
				}
				agree()
			},
			"": func(*rapid.T) {
				if f.end > int64(len(below.content)) {
					t.Fatalf("it ends at %d, with %d bytes below", f.end, len(below.content))
				}
			},
		})
		for _, read := range []func() error{
			func() error { _, err := f.ReadAt(nil, 0); return err },
			func() error { _, err := f.Size(); return err },
			f.Close,
		} {
			give(header(false), at)
			at += frameHeaderSize
			if err := read(); err != nil {
				t.Fatal(err)
			}
			agree()
		}
	})
}
