//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A store that root writes to in the folder of another user stays that user's.
func TestWhatRootWritesStaysTheOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can write for others")
	}
	const user = 65534
	dir := t.TempDir()
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "events.db")
	for range 2 { // made, and opened again
		s := open(t, path)
		if _, err := s.Append(t.Context(), write(t.Name())); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Sys().(*syscall.Stat_t).Uid; got != user {
				t.Errorf("%s belongs to %d, want %d", path+suffix, got, user)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
