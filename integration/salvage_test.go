package integration

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/internal/disk"
)

// However much of the end of a log is lost, every checkpoint that was committed is in
// what salvage copies, whether the log still has its event or not.
func TestNoCommittedCheckpointIsLostWithTheEndOfTheLog(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	counts := commits(t, w.store)
	for n, known := range counts {
		log := prefix(t, w.store, eventstore.Position(n))
		saved := datadir.Workspace{Dir: t.TempDir()}
		beside := filepath.Join(saved.Dir, "beside")
		copied, lost, err := datadir.SalvageRunFiles(t.Context(), log, saved, w.workspace, func(uint64, uint64) {})
		if err != nil || len(lost) > 0 || copied.Checkpoints != known {
			t.Fatalf("%d events: %+v, lost %v, %v", n, copied, lost, err)
		}
		unknown, lost, err := datadir.SalvageUnknownFiles(t.Context(), log, beside, w.workspace)
		if err != nil || len(lost) > 0 || (len(unknown) > 0) != (datadir.CheckFiles(t.Context(), log, w.workspace) != nil) {
			t.Errorf("%d events: copied %q, lost %v, %v", n, unknown, lost, err)
		}
		if len(unknown) == 0 {
			if _, err := os.Stat(beside); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%d events: a folder without anything in it: %v", n, err)
			}
		}
		for i, cp := range r.Checkpoints {
			want := filepath.Join(w.workspace.CheckpointsDir(r.ID), cp.Dir)
			if i < known { // the copy is marked, and needs no note
				sameFiles(t, want, filepath.Join(saved.CheckpointsDir(r.ID), cp.Dir), "pending.json")
			} else {
				sameFiles(t, want, filepath.Join(beside, string(r.ID), "checkpoints", cp.Dir))
			}
		}
	}
}

// sameFiles compares the files of two folders, except for marks, which are made
// again, and others that are named.
func sameFiles(t *testing.T, want, got string, except ...string) {
	t.Helper()
	entries, err := os.ReadDir(want)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if e.Name() == "committed.json" || slices.Contains(except, e.Name()) {
			continue
		}
		a, errA := os.ReadFile(filepath.Join(want, e.Name()))
		b, errB := os.ReadFile(filepath.Join(got, e.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is not in %s: %v, %v", e.Name(), got, errA, errB)
		}
	}
}

// What is not a file of a run's is named and left: a link may lead anywhere, and a
// pipe has no end.
func TestOnlyFilesAreCopiedFromAFolderThatNoEventDescribes(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	secret := filepath.Join(t.TempDir(), "secret")
	deep := filepath.Join(w.workspace.RunDir(r.ID), "a", "b", "c")
	if err := errors.Join(
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.Symlink(secret, filepath.Join(w.workspace.CheckpointsDir(r.ID), "link")),
		os.MkdirAll(deep, 0o755), os.WriteFile(filepath.Join(deep, "file"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "beside")
	unknown, lost, err := datadir.SalvageUnknownFiles(t.Context(), prefix(t, w.store, 0), to, w.workspace)
	if err != nil || len(unknown) != 1 || unknown[0] != string(r.ID) {
		t.Errorf("copied %q, %v", unknown, err)
	}
	if len(lost) != 2 || !strings.Contains(lost[0].What, "too deep") || !strings.Contains(lost[1].What, "link: was not copied") {
		t.Errorf("lost %v", lost)
	}
	for _, cp := range r.Checkpoints {
		sameFiles(t, filepath.Join(w.workspace.CheckpointsDir(r.ID), cp.Dir), filepath.Join(to, string(r.ID), "checkpoints", cp.Dir))
	}
}

// failingDisk fails to open any file.
type failingDisk struct {
	disk.FS
	errno syscall.Errno
}

func (d failingDisk) OpenFile(name string, _ int, _ fs.FileMode) (disk.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: d.errno}
}

// Only what the damaged directory itself does not give is lost. An error of the new
// folder, or one that says nothing about a file, ends the salvage.
func TestOnlyErrorsOfTheSourceCountAsLostFiles(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	for _, c := range []struct {
		errno  syscall.Errno
		source bool
		lost   bool
	}{
		{syscall.EIO, true, true},
		{syscall.EACCES, true, true},
		{syscall.ENAMETOOLONG, true, true},
		{syscall.EMFILE, true, false},
		{syscall.ENFILE, true, false},
		{syscall.ENOMEM, true, false},
		{syscall.ESTALE, true, false},
		{syscall.EIO, false, false},
		{syscall.EACCES, false, false},
		{syscall.ENAMETOOLONG, false, false},
		{syscall.EMFILE, false, false},
		{syscall.ENOSPC, false, false},
	} {
		from, to := w.workspace, datadir.Workspace{Dir: t.TempDir()}
		failing := failingDisk{disk.OS{}, c.errno}
		if c.source {
			from.Disk = failing
		} else {
			to.Disk = failing
		}
		_, lost, err := datadir.SalvageRunFiles(t.Context(), w.store, to, from, func(uint64, uint64) {})
		if c.lost != (err == nil) || c.lost != (len(lost) == len(r.Checkpoints)+1) || err != nil && !errors.Is(err, c.errno) {
			t.Errorf("%v, of the source %v: lost %v, %v", c.errno, c.source, lost, err)
		}
		if !c.source {
			continue
		}
		unknown, lost, err := datadir.SalvageUnknownFiles(t.Context(), prefix(t, w.store, 0), filepath.Join(to.Dir, "beside"), from)
		if c.lost != (err == nil) || c.lost != (len(lost) > 0) || len(unknown) > 0 || err != nil && !errors.Is(err, c.errno) {
			t.Errorf("%v, without events: copied %v, lost %v, %v", c.errno, unknown, lost, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{filepath.Join(file, "beside"), filepath.Join(t.TempDir(), strings.Repeat("n", 300))} {
		if _, lost, err := datadir.SalvageUnknownFiles(t.Context(), prefix(t, w.store, 0), to, w.workspace); err == nil || len(lost) > 0 {
			t.Errorf("to %s: lost %v, %v", to, lost, err)
		}
	}
}

// The name of a file may be as long as names can be.
func TestAFileWithALongNameIsCopied(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	long := filepath.Join("checkpoints", strings.Repeat("n", 255))
	if err := os.WriteFile(filepath.Join(w.workspace.RunDir(r.ID), long), []byte("long"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "beside")
	_, lost, err := datadir.SalvageUnknownFiles(t.Context(), prefix(t, w.store, 0), to, w.workspace)
	if raw, readErr := os.ReadFile(filepath.Join(to, string(r.ID), long)); err != nil || len(lost) > 0 || string(raw) != "long" {
		t.Errorf("%q, %v; lost %v, %v", raw, readErr, lost, err)
	}
}
