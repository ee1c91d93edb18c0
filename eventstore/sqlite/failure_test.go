package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/eventstore"
)

// If a page that holds a consumer's state is damaged, the error names the consumer, and
// the log can still be read and written.
func TestADamagedConsumerDoesNotStopTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	c := eventstore.Consumer{Name: "c", Position: 1, State: bytes.Repeat([]byte("Z"), 100_000)}
	if err := s.SaveConsumer(t.Context(), c, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := mustReadFile(t, path)
	db[bytes.Index(db, bytes.Repeat([]byte("Z"), 3000))+20_000] ^= 1
	place(t, path, db, nil)
	s = open(t, path)
	if _, err := s.Consumer(t.Context(), "c"); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if err := s.DeleteConsumer(t.Context(), "c"); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("delete: %v", err)
	}
	// Together with appends, which must not be lost with it.
	w := <-s.idle
	results := make(chan error, 4)
	for i := range 2 {
		go func() { _, err := s.Append(t.Context(), write(fmt.Sprint("beside ", i))); results <- err }()
		go func() {
			err := s.DeleteConsumer(t.Context(), "c")
			if errors.Is(err, eventstore.ErrCorrupt) {
				err = nil
			}
			results <- err
		}()
	}
	for len(s.queue) < 4 {
		runtime.Gosched()
	}
	s.idle <- w
	s.write()
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if head, err := s.Head(t.Context()); err != nil || head.Position != 3 {
		t.Errorf("the log ends at %d, %v", head.Position, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A commit that does not return must not leave anybody waiting.
func TestACommitThatDoesNotReturnEndsTheStore(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("in a commit") }, "end of the goroutine": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "events.db"))
			ended := make(chan any)
			go func() {
				defer func() { ended <- recover() }()
				_ = s.store(t.Context(), func(*writer) error { end(); return nil })
			}()
			<-ended
			if _, err := s.Append(t.Context(), write("1")); err == nil {
				t.Error("an append was accepted")
			}
			_ = s.Close()
		})
	}
}

// full is a file that cannot grow beyond a size.
type full struct {
	vfs.File
	size, most int64
	synced     bool
}

func (f *full) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > f.most {
		return 0, errors.New("the disk is full")
	}
	f.size = max(f.size, at+int64(len(b)))
	f.synced = false
	return len(b), nil
}

func (f *full) Size() (int64, error)    { return f.size, nil }
func (f *full) Sync(vfs.SyncFlag) error { f.synced = true; return nil }

// Where the log cannot grow ahead, it does not: what was to be written is.
func TestAFullDiskDoesNotRefuseWhatIsWritten(t *testing.T) {
	file := &full{most: 100}
	log := &logFile{File: file}
	if _, err := log.WriteAt(make([]byte, 80), 0); err != nil {
		t.Fatal(err)
	}
	if err := log.Sync(0); err != nil || !file.synced || file.size != 80 {
		t.Errorf("%v, %+v", err, file)
	}
	_, err := log.WriteAt(make([]byte, 80), 80)
	if err = errors.Join(err, log.Sync(0)); err == nil {
		t.Error("what does not fit was accepted")
	}
}

// The power goes as the log is begun: zeros survive, and the header does not.
func TestALogOfZerosIsNoDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := mustReadFile(t, path)
	for _, n := range []int{walHeaderSize, walHeaderSize + frameHeaderSize + 4096, walHeaderSize + minGrowth} {
		place(t, path, db, make([]byte, n))
		r, err := OpenReadOnly(path)
		if err != nil {
			t.Fatalf("%d zeros: %v", n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		s, err := Open(path, Config{})
		if err != nil {
			t.Fatalf("%d zeros: %v", n, err)
		}
		if head, err := s.Verify(t.Context()); err != nil || head.Position != 1 {
			t.Errorf("%d zeros: the log ends at %d, %v", n, head.Position, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// SQLite's memory has room for the largest states, again and again.
func TestTheLargestStatesFit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	if _, err := s.Append(t.Context(), write("1")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		state := bytes.Repeat([]byte{byte(i)}, eventstore.MaxSnapshot)
		for _, name := range []string{"a", "b"} {
			if err := s.SaveConsumer(t.Context(), eventstore.Consumer{Name: name, Position: 1, State: state}, eventstore.Position(min(i, 1))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SaveSnapshot(t.Context(), eventstore.Snapshot{Aggregate: "a", Version: 1, Schema: 1, Payload: state}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
