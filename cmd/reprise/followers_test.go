//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/api"
	"reprise/fault"
	"reprise/server"
	"reprise/training"
)

// followed is what a follower says first.
const followed = "; Ctrl-C ends this display only"

// long is a request that trains for a while, and ends.
func long(t *testing.T) string {
	return mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 40, seed: 5, checkpoint_interval: 2")
}

// brief is a request that ends soon.
func brief(t *testing.T, seed int) string {
	return mlpJob(t, fmt.Sprintf("batch_size: 32, learning_rate: 0.002, epochs: 2, seed: %d", seed))
}

// runsOf returns the runs of a request file, which is known by its name.
func runsOf(b binary, file string) (ids []string) {
	for _, r := range parse[[]api.Run](b, "runs", "list") {
		if r.Job != nil && r.Job.Name == file {
			ids = append(ids, string(r.RunID))
		}
	}
	return ids
}

// Ctrl-C ends a follower, and nothing else: its run stays where it is, and the command
// that it names ends that.
func TestASignalEndsAFollowerAndNotItsRun(t *testing.T) {
	b := build(t)
	defer startTraining(t, b)()
	file := endless(t)
	c := b.command("train", file)
	out := launched(t, c, followed)
	if code := end(t, c, syscall.SIGINT); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, out.text())
	}
	ids := runsOf(b, file)
	if len(ids) != 1 || !strings.Contains(out.text(), "runs cancel "+ids[0]) {
		t.Fatalf("runs %v\n%s", ids, out.text())
	}
	states := func() (of []string) {
		for _, r := range parse[[]api.Run](b, "runs", "list") {
			of = append(of, string(r.State))
		}
		slices.Sort(of)
		return of
	}
	if got := states(); !slices.Equal(got, []string{"queued", "running"}) {
		t.Errorf("after the signal: %v", got)
	}
	b.must("runs", "cancel", ids[0])
	if got := states(); !slices.Equal(got, []string{"cancelled", "running"}) {
		t.Errorf("after the command: %v", got)
	}
}

// A process whose own run has ended trains those of others to the end, and says so.
func TestAProcessWhoseOwnRunHasEndedTrainsThoseOfOthers(t *testing.T) {
	b := build(t)
	own, other := endless(t), endless(t)
	c := b.command("train", own)
	begun := newSignalWriter("epoch 1/")
	out := newSignalWriter("was submitted or resumed by other processes; this one trains it to the end; Ctrl-C interrupts it")
	c.Stderr = io.MultiWriter(begun, out)
	must1(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() })
	begun.wait(t, endingLimit)
	b.must("train", other, "--detach")
	b.must("runs", "cancel", runsOf(b, own)[0])
	out.wait(t, endingLimit)
	b.must("runs", "cancel", runsOf(b, other)[0])
	ctx, cancel := context.WithTimeout(t.Context(), endingLimit)
	defer cancel()
	_ = waitGone(ctx, c) // the exit code tells
	if code := c.ProcessState.ExitCode(); code != exitFailed || strings.Contains(out.text(), runsOf(b, other)[0]+" was cancelled") {
		t.Errorf("exit code %d\n%s", code, out.text())
	}
}

// When the process that trains is killed, each of those that follow runs there names its
// own, and what resumes them; resumed, they end with the bits that they have alone.
func TestFollowersOfAKilledProcessNameTheirOwnRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t)
	requests := []string{long(t), brief(t, 1), brief(t, 2), brief(t, 3)}
	want := map[string]string{} // the weights, by file
	for _, file := range requests {
		want[file] = parse[api.Result](b.with(), "train", file).WeightsSHA256
	}
	b = b.with()
	holder := b.command("train", requests[0])
	launched(t, holder, "epoch 1/")
	followers := [][]string{{requests[1]}, {requests[2], requests[3]}}
	commands, outputs := make([]*exec.Cmd, len(followers)), make([]*signalWriter, len(followers))
	for i, files := range followers {
		commands[i] = b.command(append([]string{"train", "-o", "json"}, files...)...)
		outputs[i] = launched(t, commands[i], followed)
	}
	must1(t, holder.Process.Kill())
	_ = holder.Wait() // it was killed
	ctx, cancel := context.WithTimeout(t.Context(), endingLimit)
	defer cancel()
	for i, files := range followers {
		_ = waitGone(ctx, commands[i]) // the exit code tells
		said := outputs[i].text()
		if code := commands[i].ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said, fmt.Sprintf("process %d", holder.Process.Pid)) {
			t.Errorf("exit code %d\n%s", code, said)
		}
		lines := ""
		for _, file := range files {
			lines += fmt.Sprintf(`{"run_id":"%s","state":"interrupted",`, runsOf(b, file)[0]) + "…\n"
		}
		got := ""
		for line := range strings.Lines(said) {
			if before, _, ok := strings.Cut(line, `"epoch":`); ok && strings.HasPrefix(line, "{") {
				got += before + "…\n"
			}
		}
		if got != lines {
			t.Errorf("the lines of %v:\n%swant\n%s", files, got, lines)
		}
		for _, file := range requests {
			for _, id := range runsOf(b, file) {
				if strings.Contains(said, id) != slices.Contains(files, file) {
					t.Errorf("run %s of %s, told to who follows %v:\n%s", id, file, files, said)
				}
			}
		}
	}
	b.must("runs", "resume", "--all")
	for _, file := range requests {
		ids := runsOf(b, file)
		if len(ids) != 1 {
			t.Fatalf("%s has the runs %v", file, ids)
		}
		if r := parse[api.Result](b, "runs", "show", ids[0]); r.State != training.Completed || r.WeightsSHA256 != want[file] {
			t.Errorf("%s is %s with %s, alone %s", file, r.State, r.WeightsSHA256, want[file])
		}
	}
	checkNoLease(t, b)
	b.must("events", "verify")
}

// dying is a service that records runs and breaks off before it answers.
type dying struct {
	api.Service
	between func() // is called once the runs are recorded
	records int    // the requests of several that it records; -1 for all
}

// cutOff ends the connection, as the end of the process does.
func (s dying) cutOff() {
	s.between()
	panic(http.ErrAbortHandler)
}

func (s dying) Submit(ctx context.Context, r api.SubmitRequest) iter.Seq2[api.Submission, error] {
	return func(func(api.Submission, error) bool) {
		if s.records >= 0 && len(r.Files) > s.records {
			r.Files, r.RunIDs = r.Files[:s.records], r.RunIDs[:s.records]
		}
		if len(r.Files) > 0 {
			for range s.Service.Submit(ctx, r) { // nobody is told
			}
		}
		s.cutOff()
	}
}

func (s dying) Fork(ctx context.Context, r api.ForkRequest) (api.Forked, error) {
	_, _ = s.Service.Fork(ctx, r) // nobody is told
	s.cutOff()
	return api.Forked{}, nil
}

func (s dying) Retry(ctx context.Context, r api.RetryRequest) (api.Commanded, error) {
	_, _ = s.Service.Retry(ctx, r) // nobody is told
	s.cutOff()
	return api.Commanded{}, nil
}

// A process that dies between recording runs and answering has its caller told of its own
// runs, and of none that others submitted at the same time.
func TestACommandThatGetsNoAnswerNamesItsOwnRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t)
	b.must("train", brief(t, 1))
	env := &environment{program: "reprise", command: "reprise train job.yaml", dataDir: b.dataDir, getenv: os.Getenv, now: time.Now, threads: 1, cpuFeatures: "auto"}
	w, err := env.workspace()
	must1(t, err)
	s, err := env.serviceOver(w, nil, false)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	ctx := api.WithNotices(t.Context(), func(api.Notice) {})
	submit := func(file string, set ...string) string {
		t.Helper()
		request, err := env.submission(ctx, []string{file}, set)
		must1(t, err)
		id, err := onlySubmission(s.Submit(ctx, request))
		must1(t, err)
		return string(id)
	}
	cancel := func(id string) {
		t.Helper()
		_, err := s.Cancel(ctx, api.CancelRequest{Target: api.Target{Runs: []string{id}}, Cause: "a test"})
		must1(t, err)
	}
	first := string(parse[[]api.Run](b, "runs", "list")[0].RunID)
	submit(endless(t)) // it keeps the data directory held
	cancelled := submit(endless(t), "job.group=again")
	cancel(cancelled)
	retry := func() string {
		answer, err := s.Retry(ctx, api.RetryRequest{Target: api.Target{Runs: []string{cancelled}}})
		must1(t, err)
		return string(answer.Runs[0].RunID)
	}
	file, short, shorter := endless(t), brief(t, 2), brief(t, 3)
	for name, c := range map[string]struct {
		args    []string
		records int
		want    int
		other   func() string // a run that is recorded for another process at the same time
		missing []string
	}{
		"one":         {args: []string{"train", file}, records: -1, want: 1},
		"several":     {args: []string{"train", file, file, file}, records: -1, want: 3},
		"some":        {args: []string{"train", file, short, shorter}, records: 1, want: 1, missing: []string{short, shorter}},
		"detach":      {args: []string{"train", "--detach", file}, records: -1, want: 1},
		"nothing":     {args: []string{"train", file}},
		"fork":        {args: []string{"runs", "fork", first, "--set", "config.epochs=1000000"}, want: 1},
		"retry":       {args: []string{"runs", "retry", cancelled}, want: 1, other: retry},
		"retry group": {args: []string{"runs", "retry", "--group", "again"}, want: 1, other: retry},
	} {
		t.Run(name, func(t *testing.T) {
			known := map[training.RunID]bool{}
			list, err := s.Runs(ctx, api.RunsRequest{})
			must1(t, err)
			for _, r := range list.Runs {
				known[r.RunID] = true
			}
			if c.other == nil {
				c.other = func() string { return submit(file) }
			}
			var other string
			endpoint, err := serveControl(ctx, w, server.Handler(dying{s, func() { other = c.other() }, c.records}))
			must1(t, err)
			o := b.run(c.args...)
			must1(t, endpoint.close())
			for _, want := range append(c.missing, fmt.Sprintf("process %d (reprise train job.yaml)", os.Getpid()), "still holds", "cut off the connection") {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("not said: %s", want)
				}
			}
			if o.code != exitFailed || strings.Contains(o.stderr, "ended") { // it lives
				t.Fatalf("%+v", o)
			}
			list, err = s.Runs(ctx, api.RunsRequest{})
			must1(t, err)
			said := regexp.MustCompile(`\(retry of [^)]*\)`).ReplaceAllString(o.stderr, "")
			own := 0
			for _, r := range list.Runs {
				id := string(r.RunID)
				if known[r.RunID] || id == other {
					if strings.Contains(said, id) {
						t.Errorf("run %s is named, which another process submitted:\n%s", id, o.stderr)
					}
					continue
				}
				if own++; !strings.Contains(said, id) {
					t.Errorf("run %s is not named:\n%s", id, o.stderr)
				}
				cancel(id)
			}
			if own != c.want || (own == 0) != strings.Contains(o.stderr, "run the command again") {
				t.Errorf("%d runs were recorded for it, want %d:\n%s", own, c.want, o.stderr)
			}
		})
	}
}

// A process that ends may cut off a command that asks it for a run. Once it has let go of
// the data directory without recording the run, the command trains it.
func TestARunThatAnEndingProcessDidNotRecordIsTrainedAnyway(t *testing.T) {
	b := build(t)
	env := &environment{program: "reprise", command: "reprise train job.yaml", dataDir: b.dataDir, getenv: os.Getenv, now: time.Now, threads: 1, cpuFeatures: "auto"}
	w, err := env.workspace()
	must1(t, err)
	s, err := env.serviceOver(w, nil, false)
	must1(t, err)
	ctx := api.WithNotices(t.Context(), func(api.Notice) {})
	request, err := env.submission(ctx, []string{endless(t)}, nil)
	must1(t, err)
	_, err = onlySubmission(s.Submit(ctx, request)) // it keeps the data directory held
	must1(t, err)
	closed := make(chan error, 1)
	endpoint, err := serveControl(ctx, w, server.Handler(dying{s, func() { go func() { closed <- s.Close() }() }, 0}))
	must1(t, err)
	r := parse[api.Result](b, "train", brief(t, 1))
	must1(t, errors.Join(<-closed, endpoint.close()))
	if r.State != training.Completed {
		t.Errorf("it is %s", r.State)
	}
	if runs := parse[[]api.Result](b, "runs", "list"); len(runs) != 2 {
		t.Errorf("%d runs are recorded", len(runs))
	}
}

// Of two commands that begin at the same moment, where nothing is there yet, one trains and
// the other one submits its run to it, or trains after it.
func TestTwoCommandsThatBeginAtOnceBothTrain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	const rounds = 20
	b := build(t)
	files := []string{brief(t, 1), brief(t, 2)}
	want := make([]string, len(files))
	for i, file := range files {
		want[i] = parse[api.Result](b.with(), "train", file).WeightsSHA256
	}
	for round := range rounds {
		b := b.with()
		b.dataDir = filepath.Join(b.dataDir, "data") // it does not exist
		commands, outputs := make([]*exec.Cmd, len(files)), make([]bytes.Buffer, len(files))
		for i, file := range files {
			commands[i] = b.command("train", file)
			commands[i].Stdout, commands[i].Stderr = &outputs[i], &outputs[i]
		}
		for _, c := range commands {
			must1(t, c.Start())
		}
		for i, c := range commands {
			var exit *exec.ExitError
			if err := c.Wait(); errors.As(err, &exit) || err != nil {
				t.Errorf("round %d, command %d: %v\n%s", round, i, err, outputs[i].String())
			}
		}
		runs := parse[[]api.Result](b, "runs", "list")
		if len(runs) != len(files) {
			t.Errorf("round %d: %d runs", round, len(runs))
		}
		for i, file := range files {
			for _, id := range runsOf(b, file) {
				if r := parse[api.Result](b, "runs", "show", id); r.State != training.Completed || r.WeightsSHA256 != want[i] {
					t.Errorf("round %d: %s is %s with %s, alone %s", round, file, r.State, r.WeightsSHA256, want[i])
				}
			}
		}
		checkNoLease(t, b)
	}
}

// speechless is a service that breaks off instead of telling followers how runs ended.
type speechless struct {
	api.Service
	begin func() error                               // is called first
	stop  func(ctx context.Context, id string) error // is called once a run has begun; nil lets it complete
	once  bool                                       // breaks off then, whatever becomes of the run
	says  error                                      // is the answer; nil breaks off
}

func (s speechless) Follow(ctx context.Context, r api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return func(yield func(api.RunUpdate, error) bool) {
		if err := s.begin(); err != nil {
			panic(err)
		}
		for u, err := range s.Service.Follow(ctx, r) {
			if err == nil && u.Begin != nil && s.stop != nil {
				err = s.stop(ctx, string(u.RunID))
			}
			if s.once && u.Begin != nil {
				break
			}
			if err != nil {
				panic(err)
			}
		}
		if s.says == nil {
			panic(http.ErrAbortHandler) // as the end of the process does
		}
		yield(api.RunUpdate{}, s.says)
	}
}

// A follower that is not told how its runs ended, as one that was stopped while they did,
// reads that from the log: it prints what it would have, with the same exit code.
func TestAFollowerThatIsNotToldTheEndReadsItFromTheLog(t *testing.T) {
	b := build(t)
	b.must("train", brief(t, 1))
	env := &environment{program: "reprise", command: "reprise train job.yaml", dataDir: b.dataDir, getenv: os.Getenv, now: time.Now, threads: 1, cpuFeatures: "auto"}
	w, err := env.workspace()
	must1(t, err)
	s, err := env.serviceOver(w, nil, false)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	target := func(id string) api.Target { return api.Target{Runs: []string{id}} }
	cancel := func(ctx context.Context, id string) error {
		_, err := s.Cancel(ctx, api.CancelRequest{Target: target(id), Cause: "a test"})
		return err
	}
	pause := func(ctx context.Context, id string) error {
		_, err := s.Pause(ctx, api.PauseRequest{Target: target(id), Cause: "a test"})
		return err
	}
	ctx := api.WithNotices(t.Context(), func(api.Notice) {})
	ending := &api.Error{Fault: fault.Unavailable, Code: api.ProcessEnding, Message: "the process is ending; try again"}
	for name, c := range map[string]struct {
		files []string
		stop  func(context.Context, string) error
		code  int
		text  string
		says  error
	}{
		"completed":         {files: []string{brief(t, 2)}, code: exitCompleted, text: `"state":"completed"`},
		"several completed": {files: []string{brief(t, 2), brief(t, 3)}, code: exitCompleted, text: `"state":"completed"`},
		"ending":            {files: []string{brief(t, 2)}, code: exitCompleted, text: `"state":"completed"`, says: ending},
		"cancelled":         {files: []string{endless(t)}, stop: cancel, code: exitFailed, text: "was cancelled: a test"},
		"paused":            {files: []string{endless(t)}, stop: pause, code: exitInterrupted, text: "was paused"},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := env.submission(ctx, []string{endless(t)}, nil) // it keeps the data directory held until others do
			must1(t, err)
			held, err := onlySubmission(s.Submit(ctx, request))
			must1(t, err)
			endpoint, err := serveControl(ctx, w, server.Handler(speechless{Service: s, begin: func() error { return cancel(ctx, string(held)) }, stop: c.stop, says: c.says}))
			must1(t, err)
			o := b.run(append([]string{"train", "-o", "json"}, c.files...)...)
			must1(t, endpoint.close())
			if o.code != c.code || strings.Contains(o.stderr, "has ended") || !strings.Contains(o.stdout+o.stderr, c.text) ||
				strings.Count(o.stdout, `"run_id"`) < len(c.files) {
				t.Errorf("%+v", o)
			}
			for _, file := range c.files {
				if ids := runsOf(b, file); len(ids) != 1 {
					t.Errorf("%s was submitted as %v", file, ids)
				}
			}
		})
	}
}

// A connection that is cut off does not say that the process has ended: one that lives is
// not said to have.
func TestAProcessThatLivesIsNotSaidToHaveEnded(t *testing.T) {
	b := build(t)
	s, env, err := hold(b.dataDir, os.Getenv)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	w, err := env.workspace()
	must1(t, err)
	must1(t, removeControl(filepath.Join(w.Dir, controlName)))
	endpoint, err := serveControl(t.Context(), w, server.Handler(speechless{Service: s, begin: func() error { return nil }, once: true}))
	must1(t, err)
	defer func() { must1(t, endpoint.close()) }()
	file := endless(t)
	o := b.run("train", file)
	ids := runsOf(b, file)
	if len(ids) != 1 || o.code != exitFailed || strings.Contains(o.stderr, "has ended") ||
		!strings.Contains(o.stderr, "which still holds --data-dir") || !strings.Contains(o.stderr, "follow it again with: ") || !strings.Contains(o.stderr, "runs resume "+ids[0]) {
		t.Errorf("%v: %+v", ids, o)
	}
}
