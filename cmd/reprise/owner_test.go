//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
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

// homeOfNobody returns the program with its data directory in the home of another user, and
// what makes commands of that user there.
func homeOfNobody(t *testing.T) (b binary, home string, commandOf func(args ...string) *exec.Cmd) {
	t.Helper()
	const user = 65534
	home, err := os.MkdirTemp("", "r") // t.TempDir keeps others out
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	b = build(t)
	program, err := os.ReadFile(b.path)
	must1(t, err)
	b.path, b.dataDir = filepath.Join(home, "reprise"), filepath.Join(home, "data")
	b.env = append(b.env, "HOME="+home)
	must1(t, errors.Join(os.WriteFile(b.path, program, 0o755), os.Mkdir(b.dataDir, 0o755), os.Chmod(home, 0o755),
		os.Chown(home, user, user), os.Chown(b.dataDir, user, user)))
	return b, home, func(args ...string) *exec.Cmd {
		c := b.command(args...)
		c.Dir = home
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		return c
	}
}

// What root submits to the process of another user is root's, and what that user submits
// is theirs.
func TestAJobBelongsToTheUserWhoseCommandSubmitsIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	b, home, commandOf := homeOfNobody(t)
	jobs := map[string]string{"long.yaml": endlessConfig, "short.yaml": "batch_size: 32, learning_rate: 0.002, epochs: 1, checkpoint_interval: 1"}
	for name, config := range jobs {
		text, err := os.ReadFile(mlpJob(t, config))
		jobs[name] = filepath.Join(home, name)
		must1(t, errors.Join(err, os.WriteFile(jobs[name], text, 0o644)))
	}
	owner := func(of string) string {
		var shown struct{ Job struct{ Owner string } }
		must1(t, json.Unmarshal([]byte(b.must("runs", "show", of, "-o", "json").stdout), &shown))
		return shown.Job.Owner
	}
	names := map[int]string{}
	for _, uid := range []int{0, 65534} {
		u, err := user.LookupId(strconv.Itoa(uid))
		names[uid] = ownerName(u, err, uid)
	}
	if names[0] == names[65534] {
		t.Fatalf("both users are %q", names[0])
	}
	stop := startCommand(t, commandOf("train", jobs["long.yaml"]))
	defer stop()
	if got := owner("latest"); got != names[65534] {
		t.Errorf("the job of the process's own user is that of %q, want %q", got, names[65534])
	}
	b.must("train", "--detach", jobs["short.yaml"])
	if got := owner("latest"); got != names[0] {
		t.Errorf("root's job is that of %q, want %q", got, names[0])
	}
	if text, err := commandOf("train", "--detach", jobs["short.yaml"]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if got := owner("latest"); got != names[65534] {
		t.Errorf("the job that the user submitted is that of %q, want %q", got, names[65534])
	}
}

// Whoever connects to a process acts as its user, so a process of root answers root only,
// even in the directory of another user, who may still use it when that process has ended.
func TestAProcessOfRootDoesNothingForTheOwnerOfTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	b, home, commandOf := homeOfNobody(t)
	short, err := os.ReadFile(mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 1, checkpoint_interval: 1"))
	job := filepath.Join(home, "job.yaml")
	must1(t, errors.Join(err, os.WriteFile(job, short, 0o644)))
	asOwner := func(args ...string) outcome {
		c := commandOf(args...)
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		_ = c.Run() // the code tells
		return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
	stop := startTraining(t, b)
	defer stop()
	if o := asOwner("runs", "list"); o.code != 0 {
		t.Errorf("the owner cannot read the log: %+v", o)
	}
	for _, args := range [][]string{{"actors"}, {"train", job}, {"train", job, "--detach"}, {"runs", "cancel", "latest"}} {
		o := asOwner(args...)
		if o.code != exitFailed || !strings.Contains(o.stderr, "takes requests of its own user only: permission denied; run this as that user") ||
			strings.Contains(o.stderr, "wait for it") || strings.Contains(o.stderr, "http://") || strings.Count(o.stderr, ";") != 1 {
			t.Errorf("%s by the owner: %+v", args, o)
		}
	}
	b.must("actors") // root's own
	control := filepath.Join(b.dataDir, controlName)
	folder, err := filepath.EvalSymlinks(control)
	must1(t, err)
	if info, err := os.Stat(folder); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(folder, socketName)); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	stop()
	if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it left its folder: %v", err)
	}

	// What a killed process of root has left does not keep the owner from anything.
	left, err := os.MkdirTemp("", controlPrefix)
	must1(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(left) })
	must1(t, errors.Join(os.WriteFile(filepath.Join(left, socketName), nil, 0o600), os.Symlink(left, control)))
	if o := asOwner("train", job); o.code != 0 || strings.Contains(o.stderr, "cannot inspect") {
		t.Errorf("after a killed process of root: %+v", o)
	}
	if _, err := os.Lstat(control); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link to it is left: %v", err)
	}
}

// The link may be made by whoever may write to the data directory.
func TestALinkToAnothersFolderIsDroppedAndNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can create files for others")
	}
	w := held(t, t.TempDir())
	link := filepath.Join(w.Dir, controlName)
	for name, makeFolder := range map[string]func() string{
		"elsewhere": func() string {
			folder := filepath.Join(t.TempDir(), controlPrefix+"123")
			must1(t, os.Mkdir(folder, 0o700))
			return folder
		},
		"of another user": func() string {
			folder, err := os.MkdirTemp("", controlPrefix)
			must1(t, errors.Join(err, os.Chown(folder, 65534, 65534)))
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			return folder
		},
	} {
		folder := makeFolder()
		must1(t, os.Symlink(folder, link))
		if err := removeControl(link); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(folder); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the link is left: %v", name, err)
		}
	}
}
