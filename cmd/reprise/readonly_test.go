//go:build unix

package main

import (
	"bytes"
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
	if err := errors.Join(os.WriteFile(program, raw, 0o755), os.Mkdir(out, 0o755), os.Chmod(out, 0o777), os.Chmod(root, 0o755), os.Chmod(filepath.Dir(root), 0o755)); err != nil {
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
	for _, command := range []string{
		"runs list", "runs show latest", "runs events latest", "runs metrics latest", "runs verify latest --to 225", "state",
		"events verify", "events tail", "events export", "projections list", "backup " + filepath.Join(out, "backup"),
		"events salvage " + filepath.Join(out, "salvaged"),
	} {
		args := append(strings.Fields(command), "--data-dir", b.dataDir)
		if stdout := reader(args...); stdout == "" {
			t.Errorf("reprise %s printed nothing", command)
		}
	}
	reader("restore", b.dataDir, "--data-dir", filepath.Join(out, "restored"))
	for _, dir := range []string{"backup", "salvaged", "restored"} {
		if got, want := reader("events", "verify", "--data-dir", filepath.Join(out, dir)), reader("events", "verify", "--data-dir", b.dataDir); got != want {
			t.Errorf("%s:\n%s, want\n%s", dir, got, want)
		}
	}
	if after := tree(t, b.dataDir); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
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
		if err == nil {
			fmt.Fprintln(&list, path, info.Mode(), info.Size(), info.ModTime())
		}
		return err
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
