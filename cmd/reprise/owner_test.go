//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whatever root makes in the folder of another user belongs to that user, who could
// not resume the run otherwise.
func TestWhatRootMakesForAnotherUserBelongsToThem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can create files for others")
	}
	const user = 65534
	b := build(t)
	home := filepath.Join(t.TempDir(), "home")
	must1(t, os.Mkdir(home, 0o755))
	must1(t, os.Chown(home, user, user))
	in := func(name string) string { return filepath.Join(home, name) }
	private, _ := newKeys(t)

	b.dataDir = in("data")
	b.must("train", mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 4, checkpoint_interval: 2"))
	b.must("runs", "fork", "latest", "--set", "config.epochs=6")
	b.must("backup", in("backup"))
	b.must("events", "export", in("events.jsonl"))
	b.must("events", "head", "--sign", private, in("head"))
	b.must("events", "salvage", in("salvaged"))
	for _, made := range [][]string{{"restored", "restore", in("backup")}, {"imported", "events", "import", in("events.jsonl")}} {
		to := b
		to.dataDir = in(made[0])
		to.must(made[1:]...)
	}
	stop := startTraining(t, b) // with its control socket
	entries := 0
	err := filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		entries++
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != user {
			t.Errorf("%s belongs to %d", path, uid)
		}
		return nil
	})
	stop()
	if err != nil || entries < 60 {
		t.Errorf("%d entries, %v", entries, err)
	}
}
