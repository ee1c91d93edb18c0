//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/service"
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
		for _, folder := range []string{"runs", service.RestRuns} {
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

// What a killed process leaves is whole, and is called so up to its last commit. A copy
// of it that was cut short is not.
func TestSalvageTellsAKilledLogFromOneThatWasCut(t *testing.T) {
	b := killedTraining(t)
	log := filepath.Join(b.dataDir, "events.db-wal")
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const frame = 24 + 4096
	end := 32 // of the last commit
	for at := 32; at+frame <= len(content) && string(content[at+8:at+16]) == string(content[16:24]); at += frame {
		if string(content[at+4:at+8]) != "\x00\x00\x00\x00" {
			end = at + frame
		}
	}
	if next := content[end:]; len(next) < 16 || string(next[8:16]) == string(content[16:24]) {
		content = append(content[:end], make([]byte, frame)...) // it was killed within a write
	}
	for size, code := range map[int]int{len(content): 0, end + 16: 0, end: 1, end - 1: 1, end - frame: 1, end / 2: 1, 32: 1, 0: 1} {
		if err := os.WriteFile(log, content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		o := b.run("events", "salvage", filepath.Join(t.TempDir(), "saved"))
		if o.code != code || strings.Contains(o.stdout, "INCOMPLETE") != (code == 1) || strings.Contains(o.stdout, "nothing is missing up to event ") != (code == 0) {
			t.Errorf("%d of %d bytes: exit code %d\n%s%s", size, len(content), o.code, o.stdout, o.stderr)
		}
	}
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
	if salvage.code != 1 || resume.code != 1 || salvage.stderr != resume.stderr || !strings.Contains(salvage.stderr, fmt.Sprintf("is in use by process %d (a test), since ", os.Getpid())) || disk.Exists(saved) {
		t.Errorf("exit code %d\n%swant as\n%s", salvage.code, salvage.stderr, resume.stderr)
	}
}
