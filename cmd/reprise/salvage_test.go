//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/internal/flock"
)

// The write-ahead log of a killed process is deleted: what is left of the event log is
// sound, and the files of the run show that it is not all.
func TestSalvageFindsThatTheEndOfTheLogIsGone(t *testing.T) {
	b := killedTraining(t)
	if err := errors.Join(os.Remove(filepath.Join(b.dataDir, "events.db-wal")), os.Remove(filepath.Join(b.dataDir, "events.db-shm"))); err != nil {
		t.Fatal(err)
	}
	before := tree(t, b.dataDir)
	saved := filepath.Join(t.TempDir(), "saved")
	o := b.run("events", "salvage", saved)
	if o.code != 1 || !strings.Contains(o.stdout, "INCOMPLETE: the salvaged log stops before the first missing event") || strings.Contains(o.stdout, "nothing is missing") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if after := tree(t, b.dataDir); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
	runs := filepath.Join(b.dataDir, "runs")
	files, err := filepath.Glob(filepath.Join(runs, "*", "checkpoints", "step-*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no checkpoints: %v", err)
	}
	for _, file := range files {
		relative, err := filepath.Rel(runs, file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// Either the log has its event, or it is beside the log.
		var got []byte
		for _, folder := range []string{"runs", restRuns} {
			if raw, err := os.ReadFile(filepath.Join(saved, folder, relative)); err == nil {
				got = raw
			}
		}
		if string(got) != string(want) && filepath.Base(file) != "committed.json" {
			t.Errorf("%s was not saved", relative)
		}
	}
	b.dataDir = saved
	b.must("events", "verify")
	b.must("runs", "list")
}

func TestSalvageRefusesADirectoryThatIsInUse(t *testing.T) {
	b := killedTraining(t)
	lock, err := flock.Acquire(filepath.Join(b.dataDir, "lock"), flock.Info{PID: os.Getpid(), Command: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	saved := filepath.Join(t.TempDir(), "saved")
	salvage, resume := b.run("events", "salvage", saved), b.run("runs", "resume", "latest")
	if salvage.code != 1 || resume.code != 1 || salvage.stderr != resume.stderr || !strings.Contains(salvage.stderr, fmt.Sprintf("is in use by process %d (a test), since ", os.Getpid())) || exists(saved) {
		t.Errorf("exit code %d\n%swant as\n%s", salvage.code, salvage.stderr, resume.stderr)
	}
}
