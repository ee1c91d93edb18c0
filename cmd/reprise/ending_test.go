//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/training"
)

const endingLimit = time.Minute

// endless is a request that nobody waits for.
func endless(t *testing.T) string {
	return mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 1000000, seed: 3, checkpoint_interval: 1000000")
}

// launched starts a command and waits until it has printed a text.
func launched(t *testing.T, c *exec.Cmd, text string) *signalWriter {
	t.Helper()
	out := newSignalWriter(text)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	out.wait(t, endingLimit)
	return out
}

// end signals the command and returns its exit code.
func end(t *testing.T, c *exec.Cmd, signal syscall.Signal) int {
	t.Helper()
	if err := c.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), endingLimit)
	defer cancel()
	_ = waitGone(ctx, c) // the exit code tells
	return c.ProcessState.ExitCode()
}

func TestASignalWritesACheckpoint(t *testing.T) {
	b := build(t)
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			b := b.with()
			c := b.command("train", endless(t))
			out := launched(t, c, "epoch 2/")
			if code := end(t, c, signal); code != exitInterrupted {
				t.Errorf("exit code %d\n%s", code, out.text())
			}
			runs := parse[[]runRow](b, "runs", "list")
			if len(runs) != 1 || runs[0].State != training.Interrupted || runs[0].Step == 0 {
				t.Errorf("%+v", runs)
			}
		})
	}
}

func TestAHangupThatIsIgnoredEndsNothing(t *testing.T) {
	b := build(t).with()
	c := b.command()
	c.Path, c.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP; exec "$0" train "$1"`, b.path, endless(t)}
	launched(t, c, "epoch 2/")
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	// The signal was delivered when a later one is.
	if code := end(t, c, syscall.SIGTERM); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if runs := parse[[]runRow](b, "runs", "list"); len(runs) != 1 || runs[0].Step == 0 {
		t.Errorf("%+v", runs)
	}
}

func TestALimitedFileSizeInterruptsARunThatIsResumedWithoutIt(t *testing.T) {
	b := build(t)
	job := mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 200, seed: 3, checkpoint_interval: 100")
	want := parse[result](b.with(), "train", job)
	b = b.with()
	limited := b.command()
	limited.Path, limited.Args = "/bin/sh", []string{"sh", "-c", `ulimit -f 500; exec "$0" train "$1"`, b.path, job}
	out, err := limited.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "file too large; allow larger files (ulimit -f), then resume it with: ") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := parse[result](b, "runs", "resume", "latest"); got.State != training.Completed || got.WeightsSHA256 != want.WeightsSHA256 {
		t.Errorf("resumed to %+v, undisturbed %+v", got, want)
	}
}

func TestALimitedAddressSpaceIsAnErrorThatSaysSo(t *testing.T) {
	b := build(t).with()
	b.must("train", mlpJob(t, "batch_size: 256, learning_rate: 0.002, epochs: 1, seed: 3"))
	for _, kilobytes := range []int{1_400_000, 1_650_000, 2_000_000} {
		c := b.command()
		c.Path, c.Args = "/bin/sh", []string{"sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0" runs list`, kilobytes), b.path}
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "ulimit -v") || strings.Contains(string(out), "goroutine") {
			t.Errorf("%d kB: %v\n%s", kilobytes, err, out)
		}
	}
}

func TestWhatOnlyFollowsFromASignalIsAnInterruption(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	follows := fmt.Errorf("read run r: %w", context.Canceled)
	for _, c := range []struct {
		ctx  context.Context
		err  error
		code int
		text string
	}{
		{ended, nil, exitCompleted, ""},
		{ended, follows, exitInterrupted, "interrupted; nothing was started"},
		{ended, interruptedError{fmt.Errorf("said: %w", context.Canceled)}, exitInterrupted, "said: context canceled"},
		{ended, errors.New("diverged"), exitFailed, "diverged"},
		{context.Background(), follows, exitFailed, "read run r: context canceled"},
	} {
		err := interrupted(c.ctx, c.err, nothingStarted)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if code := exitCode(err); code != c.code || text != c.text {
			t.Errorf("%v: exit code %d, %q, want %d, %q", c.err, code, text, c.code, c.text)
		}
	}
}

func TestAnErrorOfTheSystemSaysWhatToDoOnce(t *testing.T) {
	full := fmt.Errorf("record: %w", syscall.ENOSPC)
	if got := advised(full).Error(); got != "record: no space left on device; free some space" || advised(advised(full)).Error() != got {
		t.Errorf("%q, %q", got, advised(advised(full)))
	}
	missing := fmt.Errorf("JOB: %w", syscall.ENOENT)
	for _, err := range []error{errors.New("other"), missing} {
		if got := advised(err); !errors.Is(got, err) || got.Error() != err.Error() {
			t.Errorf("%v", got)
		}
	}
}

// Another file or folder does not help against what all of them would meet.
func TestAPathThatCannotBeUsedSaysWhatWouldHelp(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{syscall.ENOENT, exitInvalid, "name another"},
		{syscall.EACCES, exitInvalid, "name another"},
		{syscall.EROFS, exitInvalid, "name another"},
		{syscall.EISDIR, exitInvalid, "name another"},
		{syscall.EMFILE, exitFailed, "raise the limit of open files (ulimit -n)"},
		{syscall.ENOSPC, exitFailed, "free some space"},
		{syscall.EIO, exitFailed, "the disk itself failed: check it, and copy what it still holds to another"},
	} {
		err := advised(unusable(fmt.Errorf("--head f: %w", c.err), "name another"))
		if want := "--head f: " + c.err.Error() + "; " + c.want; exitCode(err) != c.code || err.Error() != want {
			t.Errorf("exit code %d, %q, want %d, %q", exitCode(err), err, c.code, want)
		}
	}
}
