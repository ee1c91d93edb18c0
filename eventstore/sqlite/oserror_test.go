package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"reprise/eventstore"
)

// failing is a VFS whose files cannot be written, or synced, while there is an
// error to fail with.
type failing struct {
	vfs.VFSFilename
	with  atomic.Pointer[syscall.Errno]
	syncs bool
}

type failingFile struct {
	systemFile
	vfs  *failing
	path string
}

func (v *failing) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := v.VFSFilename.OpenFilename(name, flags)
	if err == nil && name != nil {
		f = &failingFile{f.(systemFile), v, name.String()}
	}
	return f, flags, err
}

func (f *failingFile) WriteAt(b []byte, at int64) (int, error) {
	if errno := f.vfs.with.Load(); errno != nil && !f.vfs.syncs {
		return 0, &fs.PathError{Op: "write", Path: f.path, Err: *errno}
	}
	return f.systemFile.WriteAt(b, at)
}

func (f *failingFile) Sync(flags vfs.SyncFlag) error {
	if errno := f.vfs.with.Load(); errno != nil && f.vfs.syncs {
		return *errno
	}
	return f.systemFile.Sync(flags)
}

// What the operating system refuses is named with its path, and errors.Is finds it,
// so that whoever appends can decide by it.
func TestAfterAFailedAppendTheCauseIsNamed(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EIO} {
		for _, syncs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, syncs %v", errno, syncs), func(t *testing.T) {
				v := &failing{VFSFilename: vfs.Find("").(vfs.VFSFilename), syncs: syncs}
				vfs.Register("failing", v)
				defer vfs.Unregister("failing")
				path := filepath.Join(t.TempDir(), "events.db")
				fill(t, path, 3)
				s, err := Open(path, Config{VFS: "failing"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Append(t.Context(), write("before")); err != nil {
					t.Fatal(err)
				}
				v.with.Store(&errno)
				_, err = s.Append(t.Context(), write("refused"))
				if !errors.Is(err, errno) || !strings.Contains(err.Error(), errno.Error()) || !strings.Contains(err.Error(), filepath.Dir(path)) {
					t.Errorf("Append = %v", err)
				}
				// It failed for good: what is on disk is unknown.
				v.with.Store(nil)
				if _, again := s.Append(t.Context(), write("later")); !errors.Is(again, errno) {
					t.Errorf("Append again = %v", again)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				s = open(t, path)
				if head, err := s.Verify(t.Context()); err != nil || head.Position < 4 {
					t.Errorf("opened again: %+v, %v", head, err)
				}
			})
		}
	}
}

func TestWhatCannotBeOpenedIsExplained(t *testing.T) {
	v := &failing{VFSFilename: vfs.Find("").(vfs.VFSFilename)}
	vfs.Register("failing", v)
	defer vfs.Unregister("failing")
	full := syscall.ENOSPC
	v.with.Store(&full)
	_, err := Open(filepath.Join(t.TempDir(), "events.db"), Config{VFS: "failing"})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Open = %v", err)
	}
	// The full disk of a copy, of which SQLite says no more than that.
	if err := explain("/copy/events.db", true, 0, sqlite3.FULL, nil); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/copy/events.db") {
		t.Error(err)
	}
}

// A lock of another program is waited for, then told of, and outlasted: nothing was
// written, and the next append is.
func TestALockOfAnotherProgramIsOutlasted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s, err := Open(path, Config{BusyTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Append(t.Context(), write("before")); err != nil {
		t.Fatal(err)
	}
	other, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Append(t.Context(), write("refused"))
	if !errors.Is(err, eventstore.ErrLocked) || !strings.Contains(err.Error(), path+" is locked") {
		t.Errorf("Append = %v", err)
	}
	if err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if stored, err := s.Append(t.Context(), write("refused")); err != nil || stored[0].Position != 2 {
		t.Errorf("Append after the lock = %+v, %v", stored, err)
	}
}
