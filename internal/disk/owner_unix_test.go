//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root creates in the folder of another user belongs to that user, who would
// be locked out otherwise.
func TestWhatRootCreatesBelongsToTheFoldersOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can create files for others")
	}
	const user, group = 65534, 65533
	dir := t.TempDir()
	if err := os.Chown(dir, user, group); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil { // by root, before
		t.Fatal(err)
	}
	made, within := filepath.Join(dir, "made"), filepath.Join(dir, "made", "within")
	if err := MkdirAll(OS{}, made, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{there, within} {
		f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	like := filepath.Join(dir, "like")
	if err := errors.Join(CreateLike(like, dir), CreateLike(there, dir)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{made: user, within: user, like: user, there: 0} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("%s belongs to %d, want %d", name, got, want)
		}
	}
}
