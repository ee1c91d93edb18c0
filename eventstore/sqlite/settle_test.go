package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/eventstore"
	"reprise/internal/disk/disktest"
)

// openOn opens a store on a disk.
func openOn(t *testing.T, d *disktest.Disk) (*Store, error) {
	t.Helper()
	name, unregister := d.Register()
	t.Cleanup(unregister)
	return Open(filepath.Join(d.Root(), "events.db"), Config{Disk: d, VFS: name})
}

func after(t *testing.T, d *disktest.Disk, end disktest.Survival) *disktest.Disk {
	t.Helper()
	left, err := d.After(end, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// lastOp is the index of the last operation of a name on a path.
func lastOp(d *disktest.Disk, name, path string) int {
	log := d.Log()
	for i := range slices.Backward(log) {
		if log[i].Name == name && strings.HasPrefix(log[i].Path, path) {
			return i
		}
	}
	return -1
}

// TestWhatAnEarlierProcessCouldNotSyncIsWrittenAgain fails the sync of an append,
// which leaves it in the system's memory only, kills the process, appends behind
// it and cuts the power.
func TestWhatAnEarlierProcessCouldNotSyncIsWrittenAgain(t *testing.T) {
	appendTwo := func(d *disktest.Disk) error {
		s, err := openOn(t, d)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if _, err := s.Append(t.Context(), write("1")); err != nil {
			t.Fatal(err)
		}
		_, err = s.Append(t.Context(), write("2"))
		return err
	}
	d := disktest.New(t.TempDir())
	dry, err := openOn(t, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "2"} {
		if _, err := dry.Append(t.Context(), write(name)); err != nil {
			t.Fatal(err)
		}
	}
	at := lastOp(d, "sync", "events.db-wal")
	if err := dry.Close(); err != nil {
		t.Fatal(err)
	}
	d = disktest.New(t.TempDir())
	d.Inject(at, disktest.Fail)
	if err := appendTwo(d); err == nil || !d.Struck() {
		t.Fatalf("the sync of the second append failed, and it says %v", err)
	}
	d = after(t, d, disktest.Killed())
	s, err := openOn(t, d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	acked, err := s.Append(t.Context(), write("3"))
	if err != nil {
		t.Fatal(err)
	}
	left, err := openOn(t, after(t, d, disktest.Strict()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = left.Close() }()
	if head, err := left.Verify(t.Context()); err != nil || head != (eventstore.Head{Position: acked[0].Position, Hash: acked[0].Hash}) {
		t.Errorf("acknowledged up to %d; the log ends at %d, %v", acked[0].Position, head.Position, err)
	}
}

// TestWhatAnEarlierProcessNamedIsMadeDurable kills a process when it has given a
// new store its name, opens the store and cuts the power.
func TestWhatAnEarlierProcessNamedIsMadeDurable(t *testing.T) {
	dry := disktest.New(t.TempDir())
	s, err := openOn(t, dry)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d := disktest.New(t.TempDir())
	d.Inject(lastOp(dry, "rename", "events.db.reprise-partial-"), disktest.Cut)
	if _, err := openOn(t, d); err == nil {
		t.Fatal("opened by a dead process")
	}
	d = after(t, d, disktest.Killed())
	opened, err := openOn(t, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	left := after(t, d, disktest.Strict())
	if _, err := left.Stat(filepath.Join(left.Root(), "events.db")); err != nil {
		t.Errorf("a store that was opened is gone: %v", err)
	}
}
