package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"reprise/api"
	"reprise/queue"
	"reprise/training"
)

func TestWhatASignalDoesToACommand(t *testing.T) {
	const hup, interrupt, term, pipe = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE
	type received struct {
		signal os.Signal
		at     time.Duration
	}
	for name, c := range map[string]struct {
		signals []received
		aborts  int // which of them, counted from 0, ends the process at once; -1 for none
	}{
		"a hangup by the kernel and by the shell":   {[]received{{hup, 0}, {hup, time.Millisecond}}, -1},
		"hangups however late":                      {[]received{{hup, 0}, {hup, time.Minute}, {hup, time.Hour}}, -1},
		"a dead pipe after Ctrl-C":                  {[]received{{interrupt, 0}, {pipe, time.Minute}, {hup, time.Hour}}, -1},
		"Ctrl-C by the terminal and by a wrapper":   {[]received{{interrupt, 0}, {interrupt, 0}, {interrupt, echoWindow - 1}}, -1},
		"a supervisor that signals child and group": {[]received{{term, 0}, {term, time.Millisecond}}, -1},
		"a session that is closed":                  {[]received{{term, 0}, {hup, 0}, {hup, time.Minute}}, -1},
		"Ctrl-C again":                              {[]received{{interrupt, 0}, {interrupt, echoWindow}}, 1},
		"Ctrl-C, and then a supervisor":             {[]received{{interrupt, 0}, {interrupt, 1}, {term, 2 * time.Second}}, 2},
		"a supervisor after the connection":         {[]received{{hup, 0}, {hup, 1}, {term, time.Minute}}, 2},
		"Ctrl-C after the reader is gone":           {[]received{{pipe, 0}, {pipe, time.Minute}, {interrupt, time.Hour}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			now := start
			var begun []os.Signal
			aborted := 0
			e := ending{
				now:   func() time.Time { return now },
				begin: func(s os.Signal) { begun = append(begun, s) },
				abort: func() { aborted++ },
				heard: func() bool { return false },
			}
			for i, s := range c.signals {
				now = start.Add(s.at)
				e.receive(s.signal)
				if (aborted > 0) != (i == c.aborts) {
					t.Fatalf("after signal %d, %v: aborted %d times", i, s.signal, aborted)
				}
			}
			if len(begun) != 1 || begun[0] != c.signals[0].signal {
				t.Errorf("the orderly end began by %v", begun)
			}
		})
	}
}

// Writing to a socket whose other side is gone gives a SIGPIPE, too.
func TestABrokenSocketEndsNothing(t *testing.T) {
	heard, begun := true, 0
	e := ending{now: time.Now, begin: func(os.Signal) { begun++ }, abort: t.FailNow, heard: func() bool { return heard }}
	e.receive(syscall.SIGPIPE)
	if begun != 0 {
		t.Error("the command ends although its output is heard")
	}
	heard = false
	e.receive(syscall.SIGPIPE)
	if begun != 1 {
		t.Error("the command continues although nobody hears its output")
	}
}

func TestTheSignalThatEndedARunIsItsCause(t *testing.T) {
	for signal, want := range map[os.Signal]string{
		os.Interrupt:    "interrupted by the user",
		syscall.SIGTERM: "asked to terminate (SIGTERM)",
		syscall.SIGHUP:  "the terminal or connection was closed (SIGHUP)",
		syscall.SIGPIPE: "nobody reads the output any more (SIGPIPE)",
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(signalError{signal})
		if got := context.Cause(ctx); got.Error() != want || !errors.Is(got, context.Canceled) {
			t.Errorf("%v: %v", signal, got)
		}
	}
}

func TestReadingDoesNotHoldUpTheEnd(t *testing.T) {
	in, out := io.Pipe() // nobody writes to it
	defer func() { _ = out.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	began := make(chan struct{})
	go func() {
		<-began
		cancel()
	}()
	got, err := unlessEnded(ctx, func() (int, error) {
		close(began)
		return in.Read(make([]byte, 1))
	})
	if got != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := unlessEnded(context.Background(), func() (int, error) { return 7, io.EOF }); got != 7 || !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", got, err)
	}
}

func TestATerminalThatWentWithTheSignalIsNoFailure(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	gone := fmt.Errorf("print: %w", &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EIO})
	disk := &fs.PathError{Op: "write", Path: "events.db", Err: syscall.EIO}
	for _, c := range []struct {
		ctx  context.Context
		err  error
		code int
	}{
		{ended, gone, exitInterrupted},
		{ended, &fs.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, exitInterrupted},
		{ended, disk, exitFailed},
		{context.Background(), gone, exitFailed},
	} {
		if code := exitCode(interrupted(c.ctx, c.err, "")); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, code, c.code)
		}
	}
}

// Whether somebody asked a run to stop is told by what its job has recorded, in whatever
// words another version says it; only a run without a job is told by its words.
func TestWhoeverFollowsARunTellsByItsJobWhyItWasInterrupted(t *testing.T) {
	env := &environment{program: "reprise"}
	of := func(code queue.Code) *api.Job { return &api.Job{Cause: &queue.Cause{Code: code}} }
	for _, c := range []struct {
		job    *api.Job
		reason string
		step   uint64
		code   int
		want   string
	}{
		{of(queue.CauseProcessEnded), "interrupted by the user", 3, exitInterrupted, "run r was interrupted by the user; resume it with: "},
		{of(queue.CauseProcessEnded), "SIGTERM; good bye", 3, exitInterrupted, "run r was interrupted: SIGTERM; good bye; resume it with: "},
		{of(queue.CauseProcessEnded), "SIGTERM", 0, exitInterrupted, "run r was interrupted before it began; resume it with: "},
		{of("unavailable"), "asked to terminate (SIGTERM)", 3, exitFailed, "run r was interrupted: asked to terminate (SIGTERM); afterwards, resume it with: "},
		{of("unavailable"), "the disk is full; make room", 3, exitFailed, "run r was interrupted: the disk is full; make room; afterwards, resume it with: "},
		{nil, "asked to terminate (SIGTERM)", 3, exitInterrupted, "run r was interrupted: asked to terminate (SIGTERM); resume it with: "},
		{nil, "the disk is full; make room", 3, exitFailed, "run r was interrupted: the disk is full; make room; afterwards, resume it with: "},
	} {
		var r api.Run
		r.RunID, r.State, r.Step, r.Reason, r.Job = "r", training.Interrupted, c.step, c.reason, c.job
		err := env.endError(t.Context(), r, "text")
		if got := err.Error(); exitCode(err) != c.code || got != c.want+"reprise runs resume r" {
			t.Errorf("exit code %d: %s\nwant %d: %s", exitCode(err), got, c.code, c.want)
		}
	}
}
