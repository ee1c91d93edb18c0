package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
	"reprise/internal/disk"
)

// recordingDisk is the operating system's, and notes what makes durable what.
type recordingDisk struct {
	disk.OS
	log *[]string
}

// note leaves out what is random in a temporary name.
func (d recordingDisk) note(op, path string) {
	name := filepath.Base(path)
	if before, _, temporary := strings.Cut(name, ".reprise-partial-"); temporary {
		name = "new " + before
	}
	*d.log = append(*d.log, op+" "+name)
}

func (d recordingDisk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := d.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return recordingFile{f, d}, nil
}

func (d recordingDisk) RenameNew(from, to string) error {
	d.note("rename", from)
	return d.OS.RenameNew(from, to)
}

func (d recordingDisk) SyncDir(name string) error {
	d.note("syncdir", name)
	return d.OS.SyncDir(name)
}

type recordingFile struct {
	disk.File
	disk recordingDisk
}

func (f recordingFile) Sync() error {
	f.disk.note("sync", f.Name())
	return f.File.Sync()
}

func TestEveryConnectionSyncsEveryCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	conn, err := s.connectThrough(s.config.VFS, sqlite3.OPEN_READWRITE)
	if err != nil {
		t.Fatal(err)
	}
	const full = 2 // https://sqlite.org/pragma.html#pragma_synchronous
	if got, err := conn.queryInt("PRAGMA synchronous"); err != nil || got != full {
		t.Errorf("synchronous is %d, %v", got, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatGetsItsNameIsSyncedBeforeAndTheNameAfter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var log []string
	files := recordingDisk{log: &log}
	if err := files.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(dir, "events.db"), Config{Disk: files})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"rename new events.db", "syncdir data"}; !slices.Equal(log, want) {
		t.Errorf("a new store: %q, want %q", log, want)
	}
	log = nil
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"sync new backup", "rename new backup", "syncdir data"}; !slices.Equal(log, want) {
		t.Errorf("a backup: %q, want %q", log, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatGetsLeftByAProcessIsSyncedByTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path)
	left := filepath.Join(t.TempDir(), "data", "events.db")
	if err := os.Mkdir(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} { // as after a kill
		content, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(left+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var log []string
	next, err := Open(left, Config{Disk: recordingDisk{log: &log}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"syncdir data", "sync events.db-wal"}; !slices.Equal(log, want) {
		t.Errorf("%q, want %q", log, want)
	}
	if err := errors.Join(next.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestTheWriteAheadLogIsMovedAsOftenAsConfigured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s, err := Open(path, Config{CheckpointPages: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // several pages each
		e := storetest.Event(fmt.Sprint(i))
		e.Payload = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", 8000))
		if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e}}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() > 40*(4096+24) {
		t.Errorf("the write-ahead log has %d bytes, %v", info.Size(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
