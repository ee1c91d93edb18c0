//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/api"
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
	const hup, interrupt, term, pipe = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE
	b := build(t)
	for _, signals := range [][]syscall.Signal{
		{hup}, {term}, {interrupt},
		{hup, hup, hup}, {pipe, hup}, // dropped connections
		{term, term}, {interrupt, interrupt}, {hup, term}, // one request, delivered twice
	} {
		t.Run(fmt.Sprint(signals), func(t *testing.T) {
			b := b.with()
			c := b.command("train", endless(t))
			out := launched(t, c, "epoch 2/")
			for _, s := range signals[:len(signals)-1] {
				if err := c.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			if code := end(t, c, signals[len(signals)-1]); code != exitInterrupted {
				t.Errorf("exit code %d\n%s", code, out.text())
			}
			runs := parse[[]api.Run](b, "runs", "list")
			if len(runs) != 1 || runs[0].State != training.Interrupted || runs[0].Step == 0 {
				t.Errorf("%+v", runs)
			}
			if strings.Contains(out.text(), "interrupted: interrupted") {
				t.Error(out.text())
			}
		})
	}
}

// A signal interrupts the run that trains and those that wait; each resumes to the bits
// that it would have had.
func TestASignalInterruptsSeveralRuns(t *testing.T) {
	b := build(t)
	short := mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 2, seed: 3")
	want := parse[api.Result](b.with(), "train", short)
	b = b.with()
	c := b.command("train", endless(t), short, short)
	out := launched(t, c, "[1 job.yaml] epoch 2/")
	if code := end(t, c, syscall.SIGINT); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, out.text())
	}
	runs := parse[[]api.Run](b, "runs", "list")
	if len(runs) != 3 || runs[0].Step == 0 {
		t.Fatalf("%+v\n%s", runs, out.text())
	}
	for i, r := range runs {
		if r.State != training.Interrupted || len(regexp.MustCompile("runs resume .*"+string(r.RunID)).FindAllString(out.text(), -1)) != 1 {
			t.Errorf("%+v\n%s", r, out.text())
		}
		if i == 0 {
			continue
		}
		if got := parse[api.Result](b, "runs", "resume", string(r.RunID)); got.State != training.Completed || got.WeightsSHA256 != want.WeightsSHA256 {
			t.Errorf("resumed to %+v, undisturbed %+v", got, want)
		}
	}
}

// Where nobody reads the output any more, the run is told by the error of a write.
func TestAPipeThatNobodyReadsWritesACheckpoint(t *testing.T) {
	b := build(t).with()
	c := b.command("train", endless(t))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = write, write
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	lines := bufio.NewScanner(read)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "epoch 2/") {
	}
	_ = read.Close()
	ctx, cancel := context.WithTimeout(context.Background(), endingLimit)
	defer cancel()
	_ = waitGone(ctx, c)
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("%v", c.ProcessState)
	}
	runs := parse[[]api.Run](b, "runs", "list")
	if len(runs) != 1 || runs[0].State != training.Interrupted || runs[0].Step == 0 {
		t.Errorf("%+v", runs)
	}
}

// A client of the control socket that leaves before it was answered, as `reprise
// actors --watch` does on Ctrl-C, does not end the run.
func TestAClientThatLeavesEndsNoRun(t *testing.T) {
	b := build(t).with()
	c := b.command("train", endless(t))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = write
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	defer func() { _ = read.Close() }()
	lines := bufio.NewScanner(read)
	until := func(prefix string) bool {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return true
			}
		}
		return false
	}
	if !until("epoch 2/") {
		t.Fatal("it does not train")
	}
	for range 200 {
		client, err := net.Dial("unix", filepath.Join(b.dataDir, controlName, socketName))
		if err != nil {
			t.Fatal(err)
		}
		_, errWrite := client.Write([]byte(strings.Repeat("GET /v1/actors HTTP/1.1\r\nHost: x\r\n\r\n", 20)))
		if err := errors.Join(errWrite, client.Close()); err != nil {
			t.Fatal(err)
		}
	}
	last := parse[[]api.Run](b, "runs", "list")[0]
	if !until(fmt.Sprintf("epoch %d/", last.Epoch+5)) || last.State != training.Running {
		t.Errorf("it no longer trains: %+v", last)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until("nothing begins with this")
	ctx, cancel := context.WithTimeout(context.Background(), endingLimit)
	defer cancel()
	_ = waitGone(ctx, c)
	if now := parse[[]api.Run](b, "runs", "list")[0]; !strings.Contains(now.Reason, "SIGTERM") {
		t.Errorf("%+v", now)
	}
}

// Nothing interrupts the reading of a pipe that nobody writes to: the command ends
// nevertheless.
func TestASignalEndsACommandThatWaitsForItsInput(t *testing.T) {
	b := build(t)
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		for _, args := range [][]string{{"train", "-"}, {"validate", "-"}, {"events", "import", "-"}} {
			t.Run(fmt.Sprint(args, signal), func(t *testing.T) {
				c := b.with().command(args...)
				read, write, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = write.Close() }()
				c.Stdin = read
				endsWaiting(t, c, write, signal)
			})
		}
		t.Run(fmt.Sprint("<(COMMAND)", signal), func(t *testing.T) {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = write.Close() }()
			c := b.with().command("validate", "/dev/fd/3")
			c.ExtraFiles = []*os.File{read}
			endsWaiting(t, c, write, signal)
		})
	}
}

// endsWaiting starts a command that reads from a pipe, and signals it when it does.
func endsWaiting(t *testing.T, c *exec.Cmd, write *os.File, signal syscall.Signal) {
	t.Helper()
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	// More than a pipe holds: the command reads when this was written.
	if err := write.SetWriteDeadline(time.Now().Add(endingLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := write.WriteString("# " + strings.Repeat("-", 100_000)); err != nil {
		t.Fatal(err)
	}
	if code := end(t, c, signal); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}

// A process that does not come to its end is ended by the next signal that is
// meant: the clock of this one takes an hour between any two.
func TestAnotherSignalEndsTheProcessAtOnce(t *testing.T) {
	if os.Getenv("REPRISE_TEST_HANGS") != "" {
		now := time.Now()
		ctx, _, _ := endOnSignals(func() time.Time {
			now = now.Add(time.Hour)
			return now
		})
		fmt.Println("started")
		<-ctx.Done()
		fmt.Println("ending")
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), "REPRISE_TEST_HANGS=1")
	started, ending := newSignalWriter("started"), newSignalWriter("ending")
	c.Stdout = io.MultiWriter(started, ending)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	started.wait(t, endingLimit)
	for range 2 {
		if err := c.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	ending.wait(t, endingLimit)
	if code := end(t, c, syscall.SIGTERM); code != exitInterrupted {
		t.Errorf("%v\n%s", c.ProcessState, ending.text())
	}
}

// nohup ignores SIGHUP, and a shell SIGINT for what a script starts in the background.
func TestASignalThatIsIgnoredEndsNothing(t *testing.T) {
	b := build(t)
	for shell, c := range map[string]struct {
		ignored syscall.Signal
		line    string
	}{
		"trap HUP":   {syscall.SIGHUP, `trap "" HUP; exec "$0" train "$1"`},
		"trap INT":   {syscall.SIGINT, `trap "" INT; exec "$0" train "$1"`},
		"background": {syscall.SIGINT, `"$0" train "$1" & echo "pid $!"; wait $!`},
	} {
		t.Run(shell, func(t *testing.T) {
			b := b.with()
			started := b.command()
			started.Path, started.Args = "/bin/sh", []string{"sh", "-c", c.line, b.path, endless(t)}
			out := launched(t, started, "epoch 2/")
			process := started.Process
			if _, after, found := strings.Cut(out.text(), "pid "); found {
				var pid int
				if _, err := fmt.Sscan(after, &pid); err != nil {
					t.Fatal(err)
				}
				var err error
				if process, err = os.FindProcess(pid); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = process.Kill() })
			}
			if err := process.Signal(c.ignored); err != nil {
				t.Fatal(err)
			}
			// The signal was delivered when a later one is.
			if err := process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), endingLimit)
			defer cancel()
			_ = waitGone(ctx, started) // the exit code tells
			if code := started.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(out.text(), "asked to terminate (SIGTERM)") {
				t.Errorf("exit code %d\n%s", code, out.text())
			}
			runs := parse[[]api.Run](b, "runs", "list")
			if len(runs) != 1 || runs[0].Step == 0 || !strings.Contains(runs[0].Reason, "SIGTERM") {
				t.Errorf("%+v", runs)
			}
		})
	}
}

func TestAFailedRunGivesItsReasonOnceOnEachStream(t *testing.T) {
	b := build(t).with()
	o := b.run("train", mlpJob(t, "batch_size: 32, optimizer: sgd, learning_rate: 1.0e+30, epochs: 3, seed: 3"))
	for stream, text := range map[string]string{"stdout": o.stdout, "stderr": o.stderr} {
		if n := strings.Count(text, "lower the learning rate"); n != 1 {
			t.Errorf("%s gives the reason %d times:\n%s", stream, n, text)
		}
	}
	if o.code != exitFailed {
		t.Errorf("exit code %d", o.code)
	}
}

func TestALimitedFileSizeInterruptsARunThatIsResumedWithoutIt(t *testing.T) {
	b := build(t)
	job := mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 200, seed: 3, checkpoint_interval: 100")
	want := parse[api.Result](b.with(), "train", job)
	b = b.with()
	limited := b.command()
	limited.Path, limited.Args = "/bin/sh", []string{"sh", "-c", `ulimit -f 500; exec "$0" train "$1"`, b.path, job}
	out, err := limited.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed ||
		!strings.Contains(string(out), "file too large; allow larger files (ulimit -f); afterwards, resume it with: ") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := parse[api.Result](b, "runs", "resume", "latest"); got.State != training.Completed || got.WeightsSHA256 != want.WeightsSHA256 {
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
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "ulimit -v") ||
			strings.Contains(string(out), "goroutine") {
			t.Errorf("%d kB: %v\n%s", kilobytes, err, out)
		}
	}
}

// A remedy comes before the resume that needs it.
func TestARunThatWasLeftSaysHowToResumeIt(t *testing.T) {
	env := &environment{program: "reprise"}
	for _, c := range []struct {
		left api.Error
		want string
	}{
		{api.Error{Code: api.RunUnfinished, Message: "run r: no space left on device", Remedy: "free some space"},
			"run r: no space left on device; free some space; afterwards, resume it with: reprise runs resume r"},
		{api.Error{Code: api.RunUnfinished, Message: "run r: the host ended"}, "run r: the host ended; resume it with: reprise runs resume r"},
		{api.Error{Code: api.DirGone, Message: "run r: it is gone", Remedy: "put the folder back"}, "run r: it is gone; put the folder back"},
	} {
		if got := env.unfinished(t.Context(), "r", &c.left); got.Error() != c.want || isInterruption(got) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := env.unfinished(ended, "r", &api.Error{Message: "left"}); !isInterruption(got) {
		t.Errorf("%v is not an interruption, which its user asked for", got)
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

// Nothing that a trainer appends to a directory without a name would ever be read, and
// nothing is made under the name that it had.
func TestATrainerWhoseDataDirectoryIsGoneStops(t *testing.T) {
	b := build(t)
	for name, take := range map[string]func(dir string) error{
		"renamed": func(dir string) error { return os.Rename(dir, dir+".moved") },
		"renamed, with another in its place": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "events.db"), nil, 0o600))
		},
		"removed": os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			b := b.with()
			b.dataDir = filepath.Join(t.TempDir(), "data")
			c := b.command("train", endless(t))
			out := launched(t, c, "epoch 2/")
			if err := take(b.dataDir); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), endingLimit)
			defer cancel()
			_ = waitGone(ctx, c) // the exit code tells
			if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(out.text(), "the data directory was removed or replaced while this process was using it") {
				t.Errorf("exit code %d\n%s", code, out.text())
			}
			if strings.Contains(out.text(), "resume") || !strings.Contains(out.text(), "; put the folder back, or restore a backup\n") {
				t.Errorf("what cannot work is advised:\n%s", out.text())
			}
			switch left, err := os.ReadDir(b.dataDir); {
			case strings.Contains(name, "another"):
				if err != nil || len(left) != 1 {
					t.Errorf("in the other directory there are %v, %v", left, err)
				}
			case !errors.Is(err, fs.ErrNotExist):
				t.Errorf("it was made again, with %v, %v", left, err)
			}
			if name == "removed" {
				return
			}
			b.dataDir += ".moved"
			b.must("events", "verify")
			if runs := parse[[]api.Run](b, "runs", "list"); len(runs) != 1 {
				t.Errorf("%+v", runs)
			}
		})
	}
}
