package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"reprise/api"
	"reprise/datadir"
	"reprise/integration"
	"reprise/journal"
	"reprise/training"
	"reprise/training/loop"
)

// scriptedHost ends each run as it was told to, and notes what is asked of it.
type scriptedHost struct {
	ends     map[training.RunID]training.State
	refuses  map[training.RunID]error // by Start
	left     map[training.RunID]error // by Wait
	onStart  func(training.RunID)
	onWait   func(training.RunID)
	mu       sync.Mutex
	asked    []string
	stopped  map[training.RunID]bool
	stopping chan struct{} // closed when as many runs were interrupted as were started
	started  int
}

func (h *scriptedHost) note(what string, id training.RunID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, what+" "+string(id))
}

func (h *scriptedHost) Start(ctx context.Context, events []training.Event) (training.RunID, error) {
	id := events[0].(training.TrainingStarted).RunID
	if err := errors.Join(ctx.Err(), h.refuses[id]); err != nil {
		return "", err
	}
	h.note("start", id)
	h.started++
	if h.onStart != nil {
		h.onStart(id)
	}
	return id, nil
}

func (h *scriptedHost) Interrupt(id training.RunID, cause string) {
	h.note("interrupt", id)
	if cause != "interrupted by the user" {
		panic("interrupted by another cause: " + cause)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped[id] = true
	if len(h.stopped) == h.started {
		close(h.stopping)
	}
}

func (h *scriptedHost) Wait(ctx context.Context, id training.RunID) (journal.RunRecord, error) {
	if h.onWait != nil {
		h.onWait(id)
	}
	r := journal.RunRecord{TrainingRun: training.TrainingRun{ID: id}}
	state := h.ends[id]
	if state == "" { // until it is interrupted
		<-h.stopping
		state = training.Interrupted
	}
	r.Session.State = state
	if state == training.Failed {
		r.Reason = "it diverged"
	}
	return r, errors.Join(ctx.Err(), h.left[id])
}

// several is what trainAll does between the check and the end.
func several(t *testing.T, ctx context.Context, h *scriptedHost, closed error, format string, files ...string) outcome {
	t.Helper()
	h.stopped, h.stopping = map[training.RunID]bool{}, make(chan struct{})
	var stdout, stderr bytes.Buffer
	env := &environment{program: "reprise", stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
	var jobs []job
	for _, file := range files {
		id := training.RunID("run-" + strings.TrimSuffix(file, ".yaml"))
		jobs = append(jobs, job{file: file, run: id, events: []training.Event{training.TrainingStarted{RunID: id}}})
	}
	view := newSeveralView(env, jobs)
	attempts := runAllToRest(ctx, h, view, jobs)
	view.close()
	err := interrupted(ctx, env.reportAll(ctx, attempts, closed, datadir.Workspace{Dir: "/data"}, format), nothingStarted)
	if err != nil && !isSilent(err) {
		writeError(&stderr, err)
	}
	return outcome{exitCode(err), stdout.String(), stderr.String()}
}

func TestSeveralRunsAreReportedInTheOrderGivenWithTheWorstExitCode(t *testing.T) {
	const done, failed = training.Completed, training.Failed
	type ends = map[training.RunID]training.State
	for name, c := range map[string]struct {
		host   *scriptedHost
		closed error
		code   int
		lines  string // states, in the order of standard output
		stderr []string
	}{
		"all complete": {
			host: &scriptedHost{ends: ends{"run-a": done, "run-b": done, "run-c": done}}, code: exitCompleted,
			lines: "run-a completed run-b completed run-c completed",
		},
		"one fails": {
			host: &scriptedHost{ends: ends{"run-a": failed, "run-b": done, "run-c": done}}, code: exitFailed,
			lines: "run-a failed run-b completed run-c completed", stderr: []string{"a.yaml: run run-a failed: it diverged"},
		},
		"two fail": {
			host: &scriptedHost{ends: ends{"run-a": done, "run-b": failed, "run-c": failed}}, code: exitFailed,
			lines:  "run-a completed run-b failed run-c failed",
			stderr: []string{"b.yaml: run run-b failed: it diverged", "c.yaml: run run-c failed: it diverged"},
		},
		"one stops by itself": {
			host: &scriptedHost{ends: ends{"run-a": done, "run-b": training.Interrupted, "run-c": done}}, code: exitFailed,
			lines: "run-a completed run-b interrupted run-c completed", stderr: []string{"resume it with: reprise runs resume run-b"},
		},
		"one cannot be started": {
			host: &scriptedHost{ends: ends{"run-a": done}, refuses: map[training.RunID]error{"run-b": syscall.ENOSPC}}, code: exitFailed,
			lines:  "run-a completed",
			stderr: []string{"b.yaml could not be started: no space left", "b.yaml: no space left", "not started: c.yaml"},
		},
		"one is left by its host": {
			host: &scriptedHost{ends: ends{"run-a": done, "run-b": done, "run-c": done}, left: map[training.RunID]error{
				"run-b": &integration.UnfinishedError{Run: "run-b", Cause: integration.ErrHostClosed},
			}}, code: exitFailed,
			lines: "run-a completed run-c completed", stderr: []string{"b.yaml: run run-b: host was closed", "reprise runs resume run-b"},
		},
		"the host does not close": {
			host: &scriptedHost{ends: ends{"run-a": done, "run-b": done, "run-c": done}}, closed: errors.New("the log is full"), code: exitFailed,
			lines: "run-a completed run-b completed run-c completed", stderr: []string{"the log is full"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.host
			o := several(t, t.Context(), h, c.closed, formatJSON, "a.yaml", "b.yaml", "c.yaml")
			if got := statesOf(o.stdout); o.code != c.code || got != c.lines {
				t.Errorf("exit code %d, %q, want %d, %q\n%s", o.code, got, c.code, c.lines, o.stderr)
			}
			for _, want := range c.stderr {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("%q is missing in\n%s", want, o.stderr)
				}
			}
			if first := strings.Index(strings.Join(h.asked, " "), "start run-a"); first != 0 {
				t.Errorf("asked %q", h.asked)
			}
		})
	}
}

// statesOf returns "run-a completed run-b failed" of lines of JSON.
func statesOf(lines string) string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^\{"run_id":"([^"]+)","state":"([^"]+)",.*\}$`).FindAllStringSubmatch(lines, -1) {
		list = append(list, m[1], m[2])
	}
	if n := strings.Count(lines, "\n"); 2*n != len(list) {
		return fmt.Sprintf("%d lines: %s", n, lines)
	}
	return strings.Join(list, " ")
}

func TestASignalInterruptsEveryRunAndTellsHowToResumeEach(t *testing.T) {
	for _, format := range []string{"text", formatJSON} {
		for name, ends := range map[string]map[training.RunID]training.State{
			"one has completed": {"run-a": training.Completed},
			"one has failed":    {"run-a": training.Failed},
		} {
			t.Run(format+", "+name, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				h := &scriptedHost{ends: ends, onWait: func(id training.RunID) {
					if id == "run-b" { // which never ends by itself
						cancel(signalError{os.Interrupt})
					}
				}}
				o := several(t, ctx, h, nil, format, "a.yaml", "b.yaml", "c.yaml")
				want := exitInterrupted
				if ends["run-a"] == training.Failed {
					want = exitFailed
				}
				if o.code != want {
					t.Errorf("exit code %d, want %d", o.code, want)
				}
				for _, id := range []string{"run-b", "run-c"} {
					if n := strings.Count(o.stdout+o.stderr, "reprise runs resume "+id); n != 1 {
						t.Errorf("says %d times how to resume %s\n%s%s", n, id, o.stdout, o.stderr)
					}
					if !slices.Contains(h.asked, "interrupt "+id) {
						t.Errorf("%s was not interrupted: %q", id, h.asked)
					}
				}
				if strings.Contains(o.stderr, "nothing was started") || strings.Contains(o.stdout+o.stderr, "resume run-a") {
					t.Errorf("%s%s", o.stdout, o.stderr)
				}
			})
		}
	}
}

func TestASignalWhileRunsAreStartedStartsNoMore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	h := &scriptedHost{onStart: func(training.RunID) { cancel(signalError{os.Interrupt}) }}
	o := several(t, ctx, h, nil, formatJSON, "a.yaml", "b.yaml", "c.yaml")
	if o.code != exitInterrupted || statesOf(o.stdout) != "run-a interrupted" {
		t.Errorf("exit code %d, %s", o.code, o.stdout)
	}
	if !strings.Contains(o.stderr, "resume run-a") || !strings.Contains(o.stderr, "not started: b.yaml, c.yaml") {
		t.Error(o.stderr)
	}
}

func TestAMistakeInSeveralRequestsIsSaidOnce(t *testing.T) {
	files := []string{"a.yaml", "b.yaml", "b.yaml", "-"}
	everywhere := errors.New("--set config.epochs=0: 0 must be at least 1")
	own := &api.RequestError{File: "b.yaml", Line: 3, Column: 1, Field: "config", Problem: "is missing", Fix: "add it"}
	some := errors.New("--set model.hidden=[0]: is too small")
	err := joinMistakes(files, []error{
		invalid(everywhere), invalid(errors.Join(own, everywhere, some)), invalid(errors.Join(own, everywhere, some)), invalid(errors.Join(everywhere, some)),
	})
	want := everywhere.Error() + "\n" + own.Error() + "\nb.yaml and -: " + some.Error()
	if err.Error() != want || exitCode(err) != exitInvalid {
		t.Errorf("exit code %d\n%v\nwant\n%s", exitCode(err), err, want)
	}
	if err := joinMistakes(files, make([]error, 4)); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if err := joinMistakes([]string{"a.yaml"}, []error{syscall.ENOSPC}); exitCode(err) != exitFailed || err.Error() != "no space left on device" {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
}

func TestRunsOfOneCommandHaveDifferentIDs(t *testing.T) {
	drawn := []training.RunID{"a", "a", "b", "a", "b", "c"}
	draw := withoutRepeats(func() training.RunID {
		id := drawn[0]
		drawn = drawn[1:]
		return id
	})
	if got := []training.RunID{draw(), draw(), draw()}; !slices.Equal(got, []training.RunID{"a", "b", "c"}) {
		t.Errorf("drew %q", got)
	}
}

func TestRequestsThatAreCheckedTogetherReadTheirDataOnce(t *testing.T) {
	env := &environment{stderr: &bytes.Buffer{}, stdin: strings.NewReader(""), now: time.Now, getenv: func(string) string { return "" }}
	folder := t.TempDir()
	table := filepath.Join(folder, "table.csv")
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows := "x,kind\n"
	for i := range 40 {
		rows += fmt.Sprintf("%d,%c\n", i, 'a'+i%2)
	}
	write(table, rows)
	config := "config: {batch_size: 4, learning_rate: 0.002, epochs: 1}\n"
	first, second := filepath.Join(folder, "first.yaml"), filepath.Join(folder, "second.yaml")
	write(first, "model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: table.csv\ndataset: {target: kind}\n"+config)
	write(second, "model_architecture: mlp\nmodel: {hidden: [8]}\ndataset_path: table.csv\ndataset: {target: kind}\n"+config)
	t.Chdir(folder)
	s := &shelf{env: env}
	jobs, err := env.prepareAll(t.Context(), []string{first, second, first}, nil, s)
	if err != nil || len(jobs) != 3 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	for i, j := range jobs {
		if j.data != nil || j.file == "" || j.run == "" || j.run != j.events[0].(training.TrainingStarted).RunID {
			t.Errorf("job %d is %+v", i, j)
		}
	}
	if err := os.Remove(table); err != nil { // what was read is enough
		t.Fatal(err)
	}
	held := s.data
	for _, j := range jobs {
		if data, err := s.recorded(t.Context(), j.session.Dataset); data != held || err != nil {
			t.Errorf("other data: %v", err)
		}
	}
	other := jobs[0].session.Dataset
	other.Fingerprint = "another"
	if _, err := s.recorded(t.Context(), other); err == nil || s.data != held {
		t.Errorf("data that is gone was read: %v", err)
	}
}

func TestRowsOfSeveralRunsFitTheTerminal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	runs := make([]progress, 200)
	for i := range runs {
		p := &runs[i]
		p.label, p.phase = fmt.Sprintf("%d a-rather-long-name-of-a-request.yaml", i+1), phaseUnstarted
		if i == 150 {
			continue
		}
		p.recorded(now, training.TrainingStarted{})
		p.begin(now, started(4))
		switch {
		case i < 100:
			p.recorded(now, training.TrainingCompleted{})
		case i == 199:
			p.recorded(now, training.ResourceAllocated{Allocation: training.Allocation{Device: "cpu0"}})
			p.stepped(now.Add(time.Second), loop.StepResult{Step: 20, Epoch: 2, Loss: 0.5, Samples: 10})
		}
	}
	notes := []string{"1 one", "2 two", "3 three", "4 four", "5 five"}
	for _, height := range []int{1, 9, 24, 300} {
		for width := 1; width < 120; width++ {
			lines := rowsModel{width: width, height: height}.lines(runs, notes)
			if height > 9 && len(lines) >= height {
				t.Fatalf("%d lines in a terminal of %d", len(lines), height)
			}
			for _, l := range lines {
				if lipgloss.Width(l) > width {
					t.Fatalf("%d columns in %d: %q", lipgloss.Width(l), width, l)
				}
			}
		}
	}
	text := ansiCodes.ReplaceAllString(strings.Join(rowsModel{width: 100, height: 24}.lines(runs, notes), "\n"), "")
	for _, want := range []string{
		"200 runs: 1 running, 98 waiting, 100 completed, 1 not started\n101 a-rather", "waiting for a device\n",
		"██████░░░░░░  50%  epoch 2/4  loss 0.5000  ETA 1.0s  on cpu0\nand 184 more\n1 one\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "completed ") {
		t.Errorf("a run that has ended takes the place of one that waits:\n%s", text)
	}
}

// What a run that gives way does next is to wait.
func TestPhasesOfARun(t *testing.T) {
	p := progress{phase: phaseUnstarted}
	for _, c := range []struct {
		event training.Event
		want  phase
	}{
		{training.TrainingStarted{}, phaseWaiting},
		{training.ResourceAllocated{}, phaseRunning},
		{training.EpochCompleted{}, phaseRunning},
		{training.TrainingInterrupted{}, phaseInterrupted},
		{training.DeviceReleased{}, phaseInterrupted},
		{training.TrainingResumed{}, phaseWaiting},
		{training.ResourceAllocated{}, phaseRunning},
		{training.TrainingCompleted{}, phaseCompleted},
		{training.DeviceReleased{}, phaseCompleted},
	} {
		if p.recorded(time.Time{}, c.event); p.phase != c.want {
			t.Errorf("after %T: %s, want %s", c.event, p.phase, c.want)
		}
	}
}

func TestLinesOfSeveralRunsSayWhichRunTheyAreAbout(t *testing.T) {
	var stderr bytes.Buffer
	env := &environment{stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
	v := newSeveralView(env, []job{{file: "one/x\x1b.yaml", run: "a"}, {file: "-", run: "b"}})
	v.message("about all")
	v.Recorded("b", training.ResourceAllocated{Allocation: training.Allocation{Device: "cpu0"}})
	v.Recorded("a", training.TrainingFailed{Step: 7})
	v.Recorded("a", training.RunFailed{})
	v.Recorded("b", training.RunFailed{})
	v.Recorded("c", training.RunFailed{}) // of no job
	v.Stepped("c", loop.StepResult{})
	v.close()
	want := "about all\n[2 -] training on cpu0\n[1 x\\x1b.yaml] failed after 7 completed steps\n[2 -] failed\n"
	if got := stderr.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOneCommandTakesALimitedNumberOfRequests(t *testing.T) {
	for n, want := range map[int]string{
		maxJobs:     "no such file",
		maxJobs + 1: "train: 1,001 request files are more than the 1,000 that one command takes; give fewer",
	} {
		o := inProcess(filepath.Join(t.TempDir(), "data"), append([]string{"train"}, slices.Repeat([]string{"nothing.yaml"}, n)...)...)
		if o.code != exitInvalid || !strings.Contains(o.stderr, want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%d requests: exit code %d, %s", n, o.code, o.stderr)
		}
	}
}
