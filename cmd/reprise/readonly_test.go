//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whoever may only read a data directory, a backup for one, reads all of it, and
// leaves it as it was. As root, which may write anywhere, the test reads as a user
// who owns nothing.
func TestADataDirectoryIsReadByWhoMayOnlyRead(t *testing.T) {
	root := t.TempDir()
	b := build(t)
	b.dataDir = filepath.Join(root, "data")
	b.must("train", "../../examples/digits.yaml", "-o", "json")
	program, out := filepath.Join(root, "reprise"), filepath.Join(root, "out")
	raw, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, raw, 0o755), os.Mkdir(out, 0o755), os.Chmod(out, 0o777), os.Chmod(root, 0o755),
		os.Chmod(filepath.Dir(root), 0o755)); err != nil {
		t.Fatal(err)
	}
	writable(t, b.dataDir, false)
	t.Cleanup(func() { writable(t, b.dataDir, true) })
	before := tree(t, b.dataDir)
	reader := func(args ...string) (stdout string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = []string{"HOME=" + out, "TMPDIR=" + out, "CI=true"}
		if os.Geteuid() == 0 {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		raw, err := c.Output()
		if err != nil {
			t.Errorf("reprise %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return string(raw)
	}
	for _, command := range append(readingCommands(out), "runs verify latest --to 225") {
		args := append(strings.Fields(command), "--data-dir", b.dataDir)
		if stdout := reader(args...); stdout == "" {
			t.Errorf("reprise %s printed nothing", command)
		}
	}
	reader("restore", b.dataDir, "--data-dir", filepath.Join(out, "restored"))
	for _, dir := range []string{"backup", "salvaged", "restored"} {
		got, want := reader("events", "verify", "--data-dir", filepath.Join(out, dir)), reader("events", "verify", "--data-dir", b.dataDir)
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", dir, got, want)
		}
	}
	if after := tree(t, b.dataDir); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}

// readingCommands are the commands that read a data directory, and one that may not
// exist yet. What they make, they make in the folder out.
func readingCommands(out string) []string {
	return []string{
		"runs list", "runs show latest", "runs events latest", "runs metrics latest", "state", "devices",
		"events verify", "events tail", "events export", "events head", "events replay latest", "projections list",
		"backup " + filepath.Join(out, "backup"), "events salvage " + filepath.Join(out, "salvaged"),
		"export latest --format safetensors --out " + filepath.Join(out, "model"),
	}
}

// What a killed process left is read by its owner, who may write it, and stays as it
// was, down to the index of the write-ahead log.
func TestReadingAfterAKillChangesNothing(t *testing.T) {
	b := killedTraining(t)
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(filepath.Join(b.dataDir, "events.db"+suffix)); err != nil {
			t.Fatalf("nothing was left to be changed: %v", err)
		}
	}
	before := tree(t, b.dataDir)
	out := t.TempDir()
	for _, command := range readingCommands(out) {
		b.must(strings.Fields(command)...)
		if after := tree(t, b.dataDir); after != before {
			t.Fatalf("reprise %s changed the directory\nbefore:\n%safter:\n%s", command, before, after)
		}
	}
	restored := b
	restored.dataDir = filepath.Join(out, "restored")
	restored.must("restore", b.dataDir)
	if after := tree(t, b.dataDir); after != before {
		t.Fatalf("a restore from the directory changed it\nbefore:\n%safter:\n%s", before, after)
	}
	if got, want := restored.must("events", "verify").stdout, b.must("events", "verify").stdout; got != want {
		t.Errorf("restored: %s, want %s", got, want)
	}
	b.must("runs", "show", "latest")
}

// killedTraining returns a binary with a data directory that a killed process left.
func killedTraining(t *testing.T) binary {
	t.Helper()
	b := build(t)
	b.dataDir = filepath.Join(t.TempDir(), "data")
	c := b.command("train", mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 10000, seed: 3, checkpoint_interval: 2"))
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "epoch 5/") {
		continue
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the training ended by itself: %v", err)
	}
	return b
}

// writable gives or takes the permission to write a folder and all that is in it.
func writable(t *testing.T, dir string, yes bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o444)
		if e.IsDir() {
			mode = 0o555
		}
		if yes {
			mode |= 0o200
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tree lists what a reader could have changed.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var raw []byte
		if info.Mode().IsRegular() {
			if raw, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&list, "%s %v %d %v %x\n", path, info.Mode(), info.Size(), info.ModTime(), sha256.Sum256(raw))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// A checkpoint folder of an older version that cannot be written, or read, stops no
// command; each names it, and sweeps nothing.
func TestAFolderThatCannotBeMarkedStopsNobody(t *testing.T) {
	root := t.TempDir()
	b := build(t)
	b.dataDir = filepath.Join(root, "data")
	job := mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 2, seed: 3")
	b.must("train", job)
	folders, err := filepath.Glob(filepath.Join(b.dataDir, "runs", "*", "checkpoints", "step-*"))
	if err != nil || len(folders) != 2 {
		t.Fatalf("%q, %v", folders, err)
	}
	for _, name := range []string{"committed.json", "pending.json"} {
		if err := os.Remove(filepath.Join(folders[1], name)); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(root, "reprise")
	raw, err := os.ReadFile(b.path)
	if err == nil {
		err = os.WriteFile(program, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // as a user who owns all but that folder
		for _, dir := range []string{root, filepath.Dir(root)} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := filepath.WalkDir(b.dataDir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != folders[1] && filepath.Dir(path) != folders[1] {
				err = os.Lchown(path, 65534, 65534)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(folders[1], 0o755) })
	for _, mode := range []fs.FileMode{0o555, 0o000} {
		if err := os.Chmod(folders[1], mode); err != nil {
			t.Fatal(err)
		}
		id := filepath.Base(filepath.Dir(filepath.Dir(folders[0])))
		first := strings.TrimLeft(strings.TrimPrefix(filepath.Base(folders[0]), "step-"), "0")
		for _, args := range [][]string{{"projections", "rebuild"}, {"runs", "fork", id, "--from", first}} {
			c := exec.CommandContext(t.Context(), program, append(args, "--data-dir", b.dataDir)...)
			c.Env = []string{"HOME=" + root, "TMPDIR=" + os.TempDir(), "CI=true"}
			if os.Geteuid() == 0 {
				c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			out, err := c.CombinedOutput()
			if n := strings.Count(string(out), "warning: "); err != nil || n != 1 || !strings.Contains(string(out), folders[1]) || !strings.Contains(string(out), "give this user permission") {
				t.Errorf("mode %v: reprise %s: %v, %d warnings\n%s", mode, strings.Join(args, " "), err, n, out)
			}
		}
	}
	if err := os.Chmod(folders[1], 0o755); err != nil {
		t.Fatal(err)
	}
	if o := b.must("projections", "rebuild"); strings.Contains(o.stderr, "warning") {
		t.Errorf("%s", o.stderr)
	}
	if _, err := os.Stat(filepath.Join(folders[1], "committed.json")); err != nil {
		t.Error(err)
	}
}
