package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
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
	"reprise/api/describe"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// scripted is a service that ends each run as it was told to, and notes what is asked
// of it.
type scripted struct {
	api.Service
	ends     map[training.RunID]training.State
	refuses  map[training.RunID]error // to start
	left     map[training.RunID]error // unfinished
	closed   error                    // after the last end
	onStart  func(training.RunID)
	onFollow func(training.RunID)
	mu       sync.Mutex
	asked    []string
	stopping chan struct{} // closed when runs were interrupted
}

func (s *scripted) note(what string, id training.RunID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what+" "+string(id))
}

func (s *scripted) Submit(ctx context.Context, q api.SubmitRequest) iter.Seq2[api.Submission, error] {
	return func(yield func(api.Submission, error) bool) {
		for i, file := range q.Files {
			id := training.RunID("run-" + strings.TrimSuffix(string(file.Name), ".yaml"))
			if err := ctx.Err(); err != nil {
				yield(api.Submission{}, api.ErrorOf(err))
				return
			}
			if err := s.refuses[id]; err != nil {
				yield(api.Submission{Index: i, Error: api.ErrorOf(err)}, nil)
				return
			}
			s.note("start", id)
			if s.onStart != nil {
				s.onStart(id)
			}
			if !yield(api.Submission{Index: i, RunID: id}, nil) {
				return
			}
		}
	}
}

func (s *scripted) Interrupt(_ context.Context, q api.InterruptRequest) (api.Interrupted, error) {
	for _, id := range q.Runs {
		s.note("interrupt", training.RunID(id))
	}
	if q.Cause != "interrupted by the user" {
		panic("interrupted by another cause: " + q.Cause)
	}
	close(s.stopping)
	return api.Interrupted{}, nil
}

func (s *scripted) Follow(ctx context.Context, q api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return func(yield func(api.RunUpdate, error) bool) {
		for _, name := range q.Runs {
			id := training.RunID(name)
			if s.onFollow != nil {
				s.onFollow(id)
			}
			end := api.RunReport{}
			end.Details.RunID, end.Details.State = id, s.ends[id]
			if end.Details.State == "" { // until it is interrupted
				<-s.stopping
				end.Details.State, end.CanResume = training.Interrupted, true
			}
			if end.Details.State == training.Failed {
				end.Details.Reason = "it diverged"
			}
			u := api.RunUpdate{RunID: id, End: &end}
			if err := s.left[id]; err != nil {
				u = api.RunUpdate{RunID: id, Unfinished: api.ErrorOf(err)}
			}
			if !yield(u, ctx.Err()) {
				return
			}
		}
		if s.closed != nil {
			yield(api.RunUpdate{}, api.ErrorOf(s.closed))
		}
	}
}

// several is what trainAll does with a service.
func several(t *testing.T, ctx context.Context, s *scripted, format string, files ...string) outcome {
	t.Helper()
	s.stopping = make(chan struct{})
	var stdout, stderr bytes.Buffer
	env := &environment{program: "reprise", stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
	var request api.SubmitRequest
	for _, file := range files {
		request.Files = append(request.Files, api.RequestFile{Name: api.Text(file)})
	}
	view := newSeveralView(env, files)
	attempts, err := submitAll(ctx, s.Submit(ctx, request), files, func() hostView { return view })
	if err == nil {
		closed := (&environment{}).attemptsToRest(ctx, s, view, attempts)
		view.close()
		env.reportAll(ctx, attempts, closed, format)
		err = env.stands()
	}
	if err = interrupted(ctx, err, nothingStarted); err != nil && !isSilent(err) {
		writeError(&stderr, err)
	}
	return outcome{exitCode(err), stdout.String(), stderr.String()}
}

func TestSeveralRunsAreReportedInTheOrderGivenWithTheWorstExitCode(t *testing.T) {
	const done, failed = training.Completed, training.Failed
	type ends = map[training.RunID]training.State
	for name, c := range map[string]struct {
		host   *scripted
		code   int
		lines  string // states, in the order of standard output
		stderr []string
	}{
		"all complete": {
			host: &scripted{ends: ends{"run-a": done, "run-b": done, "run-c": done}}, code: exitCompleted,
			lines: "run-a completed run-b completed run-c completed",
		},
		"one fails": {
			host: &scripted{ends: ends{"run-a": failed, "run-b": done, "run-c": done}}, code: exitFailed,
			lines: "run-a failed run-b completed run-c completed", stderr: []string{"a.yaml: run run-a failed: it diverged"},
		},
		"two fail": {
			host: &scripted{ends: ends{"run-a": done, "run-b": failed, "run-c": failed}}, code: exitFailed,
			lines:  "run-a completed run-b failed run-c failed",
			stderr: []string{"b.yaml: run run-b failed: it diverged", "c.yaml: run run-c failed: it diverged"},
		},
		"one stops before it began": {
			host: &scripted{ends: ends{"run-a": done, "run-b": training.Interrupted, "run-c": done}}, code: exitInterrupted,
			lines: "run-a completed run-b interrupted run-c completed", stderr: []string{"resume it with: reprise runs resume run-b"},
		},
		"one cannot be started": {
			host: &scripted{ends: ends{"run-a": done}, refuses: map[training.RunID]error{"run-b": syscall.ENOSPC}}, code: exitFailed,
			lines:  "run-a completed",
			stderr: []string{"b.yaml could not be started: no space left", "b.yaml: no space left", "not started: c.yaml"},
		},
		"one is left by its host": {
			host: &scripted{ends: ends{"run-a": done, "run-b": done, "run-c": done}, left: map[training.RunID]error{
				"run-b": &api.Error{Fault: fault.Unavailable, Code: api.RunUnfinished, Message: "run run-b: host was closed"},
			}}, code: exitFailed,
			lines: "run-a completed run-b interrupted run-c completed", stderr: []string{"b.yaml: run run-b: host was closed", "reprise runs resume run-b"},
		},
		"the host does not close": {
			host: &scripted{ends: ends{"run-a": done, "run-b": done, "run-c": done}, closed: errors.New("the log is full")}, code: exitFailed,
			lines: "run-a completed run-b completed run-c completed", stderr: []string{"the log is full"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.host
			o := several(t, t.Context(), h, formatJSON, "a.yaml", "b.yaml", "c.yaml")
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
				h := &scripted{ends: ends, onFollow: func(id training.RunID) {
					if id == "run-b" { // which never ends by itself
						cancel(signalError{os.Interrupt})
					}
				}}
				o := several(t, ctx, h, format, "a.yaml", "b.yaml", "c.yaml")
				want := exitInterrupted
				if ends["run-a"] == training.Failed {
					want = exitFailed
				}
				if o.code != want {
					t.Errorf("exit code %d, want %d", o.code, want)
				}
				for _, id := range []string{"run-b", "run-c"} {
					resume := regexp.MustCompile("reprise runs resume .*" + id)
					if n := len(resume.FindAllString(o.stdout+o.stderr, -1)); n != 1 {
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
	h := &scripted{onStart: func(training.RunID) { cancel(signalError{os.Interrupt}) }}
	o := several(t, ctx, h, formatJSON, "a.yaml", "b.yaml", "c.yaml")
	if o.code != exitInterrupted || statesOf(o.stdout) != "run-a interrupted" {
		t.Errorf("exit code %d, %s", o.code, o.stdout)
	}
	if !strings.Contains(o.stderr, "resume run-a") || !strings.Contains(o.stderr, "not started: b.yaml, c.yaml") {
		t.Error(o.stderr)
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
			p.stepped(now.Add(time.Second), api.StepsTaken{Step: 20, Epoch: 2, Loss: 0.5, Samples: 10})
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
		"██████░░░░░░  50%  ETA 1.0s  epoch 2/4  loss 0.5000  on cpu0\nand 184 more\n1 one\n",
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

// A run that was stopped is shown in the words of a listing, whatever its own events say
// of the stop, and in whichever order they come.
func TestAStoppedRunIsShownAsWhatItIs(t *testing.T) {
	interrupted := training.TrainingInterrupted{Cause: "it was stopped"}
	for name, c := range map[string]struct {
		happens func(v hostView)
		phase   phase
		line    string
	}{
		"cancelled while it trained": {func(v hostView) {
			v.news("a", describe.JobNews{Stopping: api.Cancelled})
			v.recorded("a", interrupted)
			v.news("a", describe.JobNews{State: api.Cancelled, Text: "cancelled by the user"})
		}, phaseCancelled, "cancelled by the user"},
		"cancelled while it waited": {func(v hostView) {
			v.news("a", describe.JobNews{State: api.Cancelled, Text: "cancelled by the user"})
			v.recorded("a", interrupted)
		}, phaseCancelled, "cancelled by the user"},
		"paused": {func(v hostView) {
			v.news("a", describe.JobNews{Stopping: api.Paused})
			v.recorded("a", interrupted)
			v.news("a", describe.JobNews{State: api.Paused, Text: "paused"})
			v.ended("a", api.Paused)
		}, phasePaused, "paused"},
		"to be paused, and not after all": {func(v hostView) {
			v.news("a", describe.JobNews{Stopping: api.Paused})
			v.news("a", describe.JobNews{State: api.Queued})
			v.recorded("a", interrupted)
		}, phaseInterrupted, "interrupted: it was stopped"},
		"rejected":          {func(v hostView) { v.news("a", describe.JobNews{State: api.Rejected, Text: "rejected: no"}) }, phaseRejected, "rejected: no"},
		"interrupted":       {func(v hostView) { v.recorded("a", interrupted) }, phaseInterrupted, "interrupted: it was stopped"},
		"cancelled unheard": {func(v hostView) { v.ended("a", api.Cancelled) }, phaseCancelled, ""},
		"paused and resumed": {func(v hostView) {
			v.ended("a", api.Paused)
			v.recorded("a", training.TrainingResumed{FromStep: 3})
		}, phaseWaiting, "resuming from step 3"},
	} {
		var stderr bytes.Buffer
		env := &environment{stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
		v := newSeveralView(env, []string{"a"})
		v.submitted(0, "a")
		v.recorded("a", training.TrainingStarted{})
		v.recorded("a", training.ResourceAllocated{Allocation: training.Allocation{Device: "cpu0"}})
		stderr.Reset()
		c.happens(v)
		if got := v.snapshots()[0].phase; got != c.phase {
			t.Errorf("%s: %s, want %s", name, got, c.phase)
		}
		want := ""
		if c.line != "" {
			want = "[1 a] " + c.line + "\n"
		}
		if got := stderr.String(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// The end of a message is where it says what to do.
func TestMessagesOfSeveralRunsAreWrapped(t *testing.T) {
	rows := &liveRows{}
	rows.message("interrupting\n6 runs of other processes are interrupted, too; resume them with: reprise runs resume --all --data-dir data")
	rows.message("1 a.yaml: cancelled: it was to run after job 20261130-042424-aaaa, which was cancelled; retry that one first, or submit this one without it")
	runs := make([]progress, 50)
	for _, height := range []int{12, 24} {
		lines := rowsModel{width: 80, height: height}.lines(runs, rows.lastNotes())
		text := ansiCodes.ReplaceAllString(strings.Join(lines, "\n"), "")
		for _, want := range []string{"\ninterrupting\n6 runs", "--data-dir data\n", "was\n  cancelled; retry that one first, or submit this one without it\n"} {
			if !strings.Contains(text+"\n", want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		if len(lines) >= height || strings.Contains(text, "…") || strings.Contains(text, `\n`) {
			t.Errorf("%d lines of %d:\n%s", len(lines), height, text)
		}
	}
	view := &runView{now: time.Now, out: &rowDisplay{func(string) {}, ""}}
	if view.message("one\ntwo"); !slices.Equal(view.progress.notes, []string{"one", "two"}) {
		t.Errorf("%q", view.progress.notes)
	}
}

func TestARowSaysWhatItsRunWaitsFor(t *testing.T) {
	p := progress{phase: phaseUnstarted}
	for _, c := range []struct {
		news describe.JobNews
		want string
	}{
		{describe.JobNews{After: []training.RunID{"20261130-042424-aaaa", "20261130-042424-bbbb"}}, "waiting for run 20261130-042424-aaaa and 1 other"},
		{describe.JobNews{Completed: "20261130-042424-aaaa"}, "waiting for run 20261130-042424-bbbb"},
		{describe.JobNews{Completed: "20261130-042424-bbbb"}, "waiting for a device"},
	} {
		p.news(c.news)
		p.recorded(time.Time{}, training.TrainingStarted{})
		if got := p.row(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if text := strings.Join((liveModel{width: 80}).lines(p), "\n"); !strings.Contains(text, "  "+c.want+"\n") {
			t.Errorf("%q is missing in\n%s", c.want, text)
		}
	}
	r := started(1)
	r.Details.Job = &api.Job{After: []queue.JobID{"20261130-042424-cccc"}}
	if p.begin(time.Time{}, r); p.row() != "waiting for run 20261130-042424-cccc" {
		t.Error(p.row())
	}
}

func TestLinesOfSeveralRunsSayWhichRunTheyAreAbout(t *testing.T) {
	var stderr bytes.Buffer
	env := &environment{stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
	v := newSeveralView(env, []string{"one/x\x1b.yaml", "-"})
	v.submitted(0, "a")
	v.submitted(1, "b")
	v.message("about all")
	v.recorded("b", training.ResourceAllocated{Allocation: training.Allocation{Device: "cpu0"}})
	v.recorded("a", training.TrainingFailed{Step: 7})
	v.recorded("a", training.RunFailed{})
	v.recorded("b", training.RunFailed{})
	v.recorded("c", training.RunFailed{}) // of no job
	v.stepped("c", api.StepsTaken{})
	v.close()
	want := "about all\n[2 -] training on cpu0\n[1 x\\x1b.yaml] failed after 7 completed steps\n[2 -] failed\n"
	if got := stderr.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOneCommandTakesALimitedNumberOfRequests(t *testing.T) {
	for n, want := range map[int]string{
		api.MaxRequests:     "no such file",
		api.MaxRequests + 1: "train: 1,001 request files are more than the 1,000 that one command takes; give fewer",
	} {
		o := inProcess(filepath.Join(t.TempDir(), "data"), append([]string{"train"}, slices.Repeat([]string{"nothing.yaml"}, n)...)...)
		if o.code != exitInvalid || !strings.Contains(o.stderr, want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%d requests: exit code %d, %s", n, o.code, o.stderr)
		}
	}
}
