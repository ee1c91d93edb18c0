//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"reprise/api"
	"reprise/internal/disk"
)

// twoRuns trains a run and a fork of it, and returns their ids.
func twoRuns(b binary) []string {
	b.t.Helper()
	b.must("train", mlpJob(b.t, "batch_size: 256, learning_rate: 0.002, epochs: 2, seed: 3"))
	step := parse[[]api.Result](b, "runs", "list")[0].Step
	b.must("runs", "fork", "latest", "--from", strconv.FormatUint(step/2, 10))
	var ids []string
	for _, r := range parse[[]api.Result](b, "runs", "list") {
		ids = append(ids, string(r.RunID))
	}
	return ids
}

// listing returns the paths of all files and folders below a folder, and their
// content.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[relative] = e.Type().String()
		if e.Type().IsRegular() {
			found[relative] = string(read(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestARestoreThatWasCutOffIsCompletedByRepeatingIt(t *testing.T) {
	b := build(t).with()
	ids := twoRuns(b)
	backup := filepath.Join(t.TempDir(), "backup")
	b.must("backup", backup)
	cutOff := func(t *testing.T) binary {
		r := b.with()
		r.t = t
		r.must("restore", backup)
		must1(t, os.Remove(filepath.Join(r.dataDir, "events.db")))
		return r
	}
	whole := b.with()
	whole.must("restore", backup)
	want := whole.must("events", "verify", "-o", "json").stdout

	for name, cut := range map[string]func(dir string) error{
		"before the log":         func(string) error { return nil },
		"between two runs":       func(dir string) error { return os.RemoveAll(filepath.Join(dir, "runs", ids[0])) },
		"with a folder of users": func(dir string) error { return os.Mkdir(filepath.Join(dir, "notes"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			r := cutOff(t)
			must1(t, cut(r.dataDir))
			if o := r.run("train", endless(t)); o.code == 0 || !strings.Contains(o.stderr, "repeat it") {
				t.Errorf("train: %+v", o)
			}
			r.must("restore", backup)
			if got := r.must("events", "verify", "-o", "json").stdout; got != want {
				t.Errorf("verify says %s, want %s", got, want)
			}
			for _, id := range ids {
				r.must("runs", "verify", id)
			}
		})
	}

	checkpoint := filepath.Join("runs", ids[0], "checkpoints")
	for name, c := range map[string]struct {
		change func(dir string) error
		says   string
	}{
		"another byte": {func(dir string) error {
			path := filepath.Join(dir, "runs", ids[0], "steps.series")
			raw := read(t, path)
			raw[len(raw)-1] ^= 1
			return os.WriteFile(path, raw, 0o600)
		}, "steps.series"},
		"a shorter file": {func(dir string) error {
			return os.Truncate(filepath.Join(dir, "runs", ids[0], "steps.series"), 8)
		}, "steps.series"},
		"another file": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, checkpoint, "thesis.txt"), []byte("mine"), 0o600)
		}, "thesis.txt"},
		"a file less": {func(dir string) error { return os.Remove(filepath.Join(dir, "runs", ids[0], "steps.series")) }, "steps.series"},
		"a pipe in place of a file": {func(dir string) error {
			path := filepath.Join(dir, "runs", ids[0], "steps.series")
			return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600))
		}, "steps.series"},
		"a link in place of a run": {func(dir string) error {
			path := filepath.Join(dir, "runs", ids[0])
			return errors.Join(os.RemoveAll(path), os.Symlink(filepath.Join(backup, "runs", ids[0]), path))
		}, ids[0]},
		"a run that the backup does not have": {func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "runs", "mine", "checkpoints"), 0o755)
		}, "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			r := cutOff(t)
			must1(t, c.change(r.dataDir))
			// A pipe cannot be read, and a link leads to what may be read.
			before := listing(t, filepath.Join(r.dataDir, "runs"))
			o := r.run("restore", backup)
			if o.code != exitInvalid || !strings.Contains(o.stderr, "would mix") || !strings.Contains(o.stderr, c.says) {
				t.Errorf("%+v", o)
			}
			after := listing(t, filepath.Join(r.dataDir, "runs"))
			for path, content := range before {
				if after[path] != content {
					t.Errorf("%s was changed", path)
				}
			}
			if len(after) != len(before) || disk.Exists(filepath.Join(r.dataDir, "events.db")) {
				t.Errorf("%d entries, there were %d", len(after), len(before))
			}
		})
	}
}

// photos is the folder of a user who likes such names.
const photos = ".reprise-partial-photos"

// untilPartial starts a command and waits until it has made an area in one of the
// folders; it kills it then, if it still lives.
func untilPartial(t *testing.T, c *exec.Cmd, folders ...string) (killed bool) {
	t.Helper()
	must1(t, c.Start())
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // it is killed
		close(ended)
	}()
	for {
		for _, folder := range folders {
			if slices.ContainsFunc(namesIn(folder), func(name string) bool { return strings.HasPrefix(name, ".reprise-partial-") && name != photos }) {
				_ = c.Process.Kill()
				<-ended
				return c.ProcessState.ExitCode() != 0
			}
		}
		select {
		case <-ended:
			return false
		default:
		}
	}
}

func namesIn(folder string) []string {
	entries, _ := os.ReadDir(folder) // it need not be there yet
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What a killed command leaves is gone after the same command, repeated, has
// succeeded, and nothing else is.
func TestWhatKilledCommandsLeaveIsSwept(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t).with()
	twoRuns(b)
	kept := t.TempDir()
	backup, export := filepath.Join(kept, "backup"), filepath.Join(kept, "log.jsonl")
	b.must("backup", backup)
	b.must("events", "export", export)
	for name, c := range map[string]struct {
		args func(to string) []string
		// made are the names that are there in the end.
		made []string
	}{
		"backup":  {func(to string) []string { return []string{"backup", filepath.Join(to, "copy")} }, []string{"copy"}},
		"export":  {func(to string) []string { return []string{"events", "export", filepath.Join(to, "copy.jsonl")} }, []string{"copy.jsonl"}},
		"salvage": {func(to string) []string { return []string{"events", "salvage", filepath.Join(to, "copy")} }, []string{"copy"}},
		"restore": {func(to string) []string { return []string{"restore", backup, "--data-dir", to} }, []string{"events.db", "lock", "runs"}},
		"import":  {func(to string) []string { return []string{"events", "import", export, "--data-dir", to} }, []string{"events.db", "lock"}},
	} {
		t.Run(name, func(t *testing.T) {
			killed := 0
			for range 8 {
				to := t.TempDir()
				must1(t, os.Mkdir(filepath.Join(to, photos), 0o755))
				if untilPartial(t, b.command(c.args(to)...), to, filepath.Join(to, "runs")) {
					killed++
				}
				if slices.Contains(namesIn(to), c.made[0]) {
					continue // it was faster than the kill
				}
				o := b.run(c.args(to)...)
				got, want := namesIn(to), append([]string{photos}, c.made...)
				if o.code != 0 || !slices.Equal(got, want) {
					t.Errorf("%+v\nthere are %q, want %q", o, got, want)
				}
				for _, left := range namesIn(filepath.Join(to, "runs")) {
					if strings.HasPrefix(left, ".") {
						t.Errorf("left is runs/%s", left)
					}
				}
			}
			if killed == 0 {
				t.Error("no command was killed at work")
			}
		})
	}
}
