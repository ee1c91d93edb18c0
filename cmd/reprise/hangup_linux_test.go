package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reprise/api"
	"reprise/training"
)

// openTerminal returns both ends of a new terminal: the one that a connection
// holds, and the one that programs see.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	var number int
	control, err := master.SyscallConn() // Fd would have Close wait for the reader
	if err != nil {
		t.Fatal(err)
	}
	prepare := func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if failed := control.Control(prepare); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// A connection that drops takes the terminal with it and hangs up on the run: the
// kernel does, and an interactive shell once more for each of its jobs. Neither
// that nor a terminal that cannot be written keeps the checkpoint from being
// written.
func TestADroppedConnectionLeavesACheckpoint(t *testing.T) {
	b := build(t)
	shells := map[string][]string{
		"a script":             {"sh", "-c", "trap 'true' EXIT; $RUN; true"},
		"an interactive shell": {"sh", "-i"},
	}
	if bash, err := exec.LookPath("bash"); err == nil { // the one that passes a hangup on
		shells["an interactive bash"] = []string{bash, "--norc", "--noprofile", "-i"}
	}
	for name, shell := range shells {
		for _, live := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, live %v", name, live), func(t *testing.T) {
				b := b.with()
				hangUp(t, b, shell, live)
				runs := parse[[]api.Run](b, "runs", "list")
				if len(runs) != 1 || runs[0].State != training.Interrupted || runs[0].Step == 0 {
					t.Fatalf("%+v", runs)
				}
				var checkpoints, causes []string
				for _, e := range parse[[]event](b, "runs", "events", "latest") {
					switch e.Type {
					case "training.checkpoint_committed.v1":
						checkpoints = append(checkpoints, string(e.Payload))
					case "training.training_interrupted.v1":
						causes = append(causes, string(e.Payload))
					}
				}
				if len(checkpoints) != 1 || len(causes) != 1 || !strings.Contains(causes[0], "(SIGHUP)") {
					t.Errorf("checkpoints %v, interruptions %v", checkpoints, causes)
				}
				resumed := b.command("runs", "resume", "latest")
				launched(t, resumed, "resuming from step "+thousands(runs[0].Step))
				if code := end(t, resumed, syscall.SIGTERM); code != exitInterrupted {
					t.Errorf("resumed: exit code %d", code)
				}
			})
		}
	}
}

// hangUp trains on a terminal under a shell until there is something to keep, and
// closes the terminal. It returns when the shell and the run have ended.
func hangUp(t *testing.T, b binary, shell []string, live bool) {
	t.Helper()
	master, slave := openTerminal(t)
	alive, held, err := os.Pipe() // held by all that the shell starts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alive.Close() }()
	line := b.path + " train " + endless(t)
	c := b.command()
	c.Path, c.Args = shell[0], shell
	if c.Path, err = exec.LookPath(shell[0]); err != nil {
		t.Fatal(err)
	}
	c.Env = append(c.Env, "RUN="+line, "TERM=xterm", "CI=", "ENV=", "HISTFILE=")
	shown := "epoch 2/"
	if live {
		shown = "learning rate" // after the first step
	} else {
		c.Env = append(c.Env, "CI=true")
	}
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.ExtraFiles = []*os.File{held}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	_, _ = slave.Close(), held.Close()
	screen := newSignalWriter(shown)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(screen, master)
	}()
	if shell[len(shell)-1] == "-i" {
		if _, err := io.WriteString(master, "trap 'true' EXIT; "+line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	screen.wait(t, endingLimit)
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	<-copied
	if err := alive.SetReadDeadline(time.Now().Add(endingLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := alive.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the run did not end: %v\n%s", err, screen.text())
	}
	_ = c.Wait() // how the shell ends is its own business
}
