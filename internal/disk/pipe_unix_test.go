//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Without O_NONBLOCK this test would wait for somebody to write.
func TestAPipeIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipe can be made here: ", err)
	}
	for _, files := range []FS{OS{}, Within{Dir: dir}} {
		if _, err := Open(files, pipe); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%T, to read: %v", files, err)
		}
		if _, err := OpenRegular(files, pipe, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%T, to write: %v", files, err)
		}
	}
}

// Opening a pipe as a folder would wait as well.
func TestAPipeIsNoFolderAndIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipe can be made here: ", err)
	}
	for _, files := range []FS{OS{}, Within{Dir: dir}, Within{Dir: pipe}} {
		if _, err := files.ReadDir(pipe); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%T: ReadDir: %v", files, err)
		}
		_ = files.SyncDir(pipe) // whatever it says, it returns
	}
}
