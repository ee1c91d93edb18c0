//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/fault"
	"reprise/internal/flock"
	"reprise/queue"
	"reprise/server"
	"reprise/training"
)

func TestDetachIsRefusedWhereNobodyTrains(t *testing.T) {
	b := build(t)
	b.dataDir = filepath.Join(t.TempDir(), "data")
	job := mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 1")
	o := b.guarded("train", job, "--set", "config.seed=7", "--detach")
	if o.code != 1 || !strings.Contains(o.stderr, "nothing was submitted") || !strings.Contains(o.stderr, "train "+job+" --set 'config.seed=7'") {
		t.Errorf("%+v", o)
	}
	if _, err := os.Stat(b.dataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it made its data directory: %v", err)
	}
}

// A process that only records something is waited for, and never called.
func TestAHolderThatOnlyRecordsIsWaitedForAndNotCalled(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	env := &environment{program: "reprise", dataDir: t.TempDir(), getenv: func(string) string { return "" }, now: func() time.Time { return now }}
	w, err := env.workspace()
	must1(t, err)
	for _, command := range []string{"annotate a --tag b", "cancel a", "delete a", "pause --all", "priority latest"} {
		holder := flock.Info{PID: os.Getpid(), Command: "reprise runs " + command, StartedAt: now}
		lock, err := flock.Acquire(w.LockPath(), holder)
		must1(t, err)
		called := func(context.Context, api.Service) error { return errors.New("it was called") }
		refused := env.refuseDetach()
		again, err := env.withHolder(t.Context(), &patience{holder: holder, until: now}, detaching, refused, called)
		var e *api.Error
		if again || !errors.As(err, &e) || e.Code != api.DirInUse || !strings.Contains(err.Error(), "reprise runs "+command) {
			t.Errorf("%s: %v, %v", command, again, err)
		}
		must1(t, lock.Release())
		if again, _ := env.withHolder(t.Context(), &patience{holder: holder, until: now}, detaching, refused, called); !again {
			t.Errorf("%s: not tried again once it has let go", command)
		}
		if err := env.refuseDetach(); !errors.Is(err, errNoProcess) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// Whoever waits to be the trainer is no trainer yet: a command that only records is not
// served, so that nobody can submit to it.
func TestACommandThatOnlyRecordsIsNotServed(t *testing.T) {
	b := build(t)
	stop := startTraining(t, b)
	stop()
	env := &environment{program: "reprise", command: "reprise runs priority latest", dataDir: b.dataDir, getenv: os.Getenv, now: time.Now, threads: 1, cpuFeatures: "auto"}
	for wanted, want := range map[access]bool{recording: false, submitting: true} {
		s, err := env.serviceFor(wanted)
		must1(t, err)
		var served bool
		ctx := api.WithNotices(t.Context(), func(api.Notice) {})
		for _, err := range s.Resume(ctx, api.ResumeRequest{Target: api.Target{Runs: []string{"latest"}}}) {
			must1(t, err)
			_, err = os.Stat(filepath.Join(b.dataDir, controlName))
			served = err == nil
		}
		must1(t, s.Close())
		if served != want {
			t.Errorf("access %d: served %v, want %v", wanted, served, want)
		}
	}
}

// What a command has recorded is said by the file that it was given, and so is what it has
// not: whether the process that it asked has died, or lives and cut off the connection.
func TestWhatWasRecordedBeforeACutIsSaidFileByFile(t *testing.T) {
	env := &environment{program: "reprise"}
	list := make([]api.Run, 3)
	list[0].RunID = "a"
	list[1].RunID, list[1].Job = "x", &api.Job{RetryOf: "w"}
	list[2].RunID, list[2].Job = "other", &api.Job{RetryOf: "v"}
	three := &asked{runs: []askedRun{{"a", "a.yaml"}, {"b", "b.yaml"}, {"c", "-"}}}
	for _, c := range []struct {
		own  *asked
		gone bool
		want string
	}{
		{three, true, "; it has recorded run a (a.yaml), and not: b.yaml, -; ask for what is missing again; resume it with:\n  reprise runs resume a"},
		{three, false, "; it has recorded run a (a.yaml), and not: b.yaml, -; ask for what is missing again; follow it with:\n  reprise runs resume a"},
		{&asked{runs: []askedRun{{"a", "a.yaml"}}}, true, "; it has recorded run a; resume it with:\n  reprise runs resume a"},
		{&asked{runs: []askedRun{{"b", "b.yaml"}}}, false,
			"; it has recorded no run yet; before you run the command again, see whether it has with: reprise runs list"},
		{&asked{runs: []askedRun{{"x", ""}, {"y", ""}}, retried: []training.RunID{"v", "w"}}, true,
			"; it has recorded run x (retry of w), and not: a retry of v; ask for what is missing again; resume it with:\n  reprise runs resume x"},
		{&asked{}, true, "; run the command again"},
	} {
		if got := env.describeAsked(c.own, list, c.gone); got != c.want {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
}

// ticking is a clock that takes a second between any two looks.
type ticking struct{ at time.Time }

func (c *ticking) now() time.Time {
	c.at = c.at.Add(time.Second)
	return c.at
}

// A submission is checked for as long as it takes. If the process that checks it then ends,
// the command waits until that lets go of the data directory, from then on.
func TestACommandWaitsForAProcessThatEndsFromTheEndOfItsCall(t *testing.T) {
	clock := &ticking{time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	env := &environment{program: "reprise", command: "reprise train a.yaml", dataDir: t.TempDir(), getenv: func(string) string { return "" }, now: clock.now, threads: 1, cpuFeatures: "auto"}
	w, err := env.workspace()
	must1(t, err)
	s, err := env.serviceOver(w, nil, false)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	for _, letsGo := range []bool{true, false} {
		lock, err := flock.Acquire(w.LockPath(), flock.Info{PID: os.Getpid(), Command: env.command, StartedAt: clock.at})
		must1(t, err)
		endpoint, err := serveControl(t.Context(), w, server.Handler(s))
		must1(t, err)
		var waited patience
		calls := 0
		again, err := env.withHolder(t.Context(), &waited, submitting, env.heldByOther(submitting), func(context.Context, api.Service) error {
			if calls++; calls == 1 {
				clock.at = clock.at.Add(time.Hour)
			} else if letsGo {
				must1(t, lock.Release())
			}
			return &api.Error{Fault: fault.Unavailable, Code: api.ProcessEnding, Message: "the process is ending; try again"}
		})
		if again != letsGo || !hasCode(err, api.DirInUse) || calls < 2 || calls > 20 {
			t.Errorf("lets go %v: again %v after %d calls: %v", letsGo, again, calls, err)
		}
		must1(t, errors.Join(endpoint.close(), lock.Release()))
	}
}

// A process that cuts off every call is said to, and not to be in use only.
func TestAProcessThatCutsOffEveryCallIsSaidTo(t *testing.T) {
	s, env, err := hold(t.TempDir(), os.Getenv)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	clock := &ticking{time.Now()}
	env.now = clock.now
	calls := 0
	err = env.withServiceFor(t.Context(), recording, func(context.Context, api.Service) error {
		calls++
		return &api.Error{Fault: fault.Unavailable, Code: api.Unreachable, Message: "its socket: EOF"}
	})
	if calls < 2 || err == nil || !strings.Contains(err.Error(), "which still holds --data-dir") || !strings.Contains(err.Error(), "cut off the connection before it had answered: its socket: EOF") {
		t.Errorf("after %d calls: %v", calls, err)
	}
}

// Where another process trains, a command asks it at once: what it does before that is
// done once, and not in its own process first.
func TestACommandAsksTheProcessThatTrainsFirst(t *testing.T) {
	s, env, err := hold(t.TempDir(), os.Getenv)
	must1(t, err)
	defer func() { must1(t, s.Close()) }()
	for _, wanted := range []access{submitting, recording, detaching} {
		calls := 0
		must1(t, env.withServiceFor(t.Context(), wanted, func(_ context.Context, s api.Service) error {
			if _, guest := s.(guestService); !guest {
				t.Errorf("access %d: the service is %T", wanted, s)
			}
			calls++
			return nil
		}))
		if calls != 1 {
			t.Errorf("access %d: %d calls", wanted, calls)
		}
	}
}

// What was said is not said again where a command has to begin again.
func TestNoticesAreNotRepeated(t *testing.T) {
	var stderr bytes.Buffer
	shown := notices{env: &environment{stderr: &stderr}}
	for range 2 {
		shown.begin()
		for range 2 { // of two requests
			shown.show(api.Notice{Note: "the classes are alike"})
		}
		shown.show(api.Notice{Warning: "the log is old"})
	}
	want := strings.Repeat("reprise: note: the classes are alike\n", 2) + "reprise: warning: the log is old\n"
	if stderr.String() != want {
		t.Errorf("%q, want %q", stderr.String(), want)
	}
}

// retrying is a service that has runs, and notes what it is asked to retry.
type retrying struct {
	api.Service
	runs []api.Run
	got  *api.RetryRequest
}

func (s retrying) Runs(context.Context, api.RunsRequest) (api.RunList, error) {
	return api.RunList{Runs: s.runs}, nil
}

func (s retrying) Run(context.Context, api.RunRequest) (r api.RunReport, _ error) {
	r.Details.RunID = s.runs[len(s.runs)-1].RunID
	return r, nil
}

func (s retrying) Retry(_ context.Context, r api.RetryRequest) (api.Commanded, error) {
	*s.got = r
	return api.Commanded{}, nil
}

// A command knows which runs it has asked to be retried, however they were named, and draws
// ids only for those that can be meant.
func TestARetryIsKnownByTheIDsOfItsRuns(t *testing.T) {
	list := make([]api.Run, 4)
	for i, id := range []training.RunID{"2026-a", "2026-ab", "2027-b", "2027-c"} {
		list[i].RunID, list[i].Job = id, &api.Job{State: queue.StateCancelled, Group: "other"}
	}
	list[0].Name, list[1].Name = "2027", "baseline"
	list[1].Job.Group, list[2].Job.Group = "sweep", "sweep"
	list[1].Tags = []string{"paper"}
	list[3].Job.State = queue.StateRunning
	for _, c := range []struct {
		target api.Target
		want   []training.RunID
		ids    int
	}{
		{api.Target{Runs: []string{"baseline"}}, []training.RunID{"2026-ab"}, 1},
		{api.Target{Runs: []string{"2026-a"}}, []training.RunID{"2026-a"}, 1}, // the beginning of two, and the whole of one
		{api.Target{Runs: []string{"2027"}}, []training.RunID{"2026-a"}, 1},   // a name comes before the beginning of an id
		{api.Target{Runs: []string{"2027-b", "latest", " baseline ", "2026-ab"}}, []training.RunID{"2027-b", "2027-c", "2026-ab"}, 4},
		{api.Target{Runs: []string{"2025-deleted"}}, []training.RunID{"2025-deleted"}, 1},
		{api.Target{Group: "sweep"}, nil, 2},
		{api.Target{Tags: []string{"paper"}}, nil, 1},
		{api.Target{All: true}, nil, 3},
	} {
		own, got, drawn := &asked{}, api.RetryRequest{}, 0
		g := guestService{Service: retrying{runs: list, got: &got}, asked: own, newRunID: func() training.RunID {
			drawn++
			return training.RunID(strconv.Itoa(drawn))
		}}
		_, err := g.Retry(t.Context(), api.RetryRequest{Target: c.target})
		must1(t, err)
		if !slices.Equal(own.retried, c.want) || len(got.RunIDs) != c.ids {
			t.Errorf("%+v: retries %q with %d ids, want %q with %d", c.target, own.retried, len(got.RunIDs), c.want, c.ids)
		}
	}
}

// Whoever waits until a holder lets go has to know every command that only records.
func TestEveryCommandThatOnlyRecordsIsKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must1(t, err)
	calls, records := map[string][]string{}, map[string]bool{} // by function
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		must1(t, err)
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				name := ""
				switch called := call.Fun.(type) {
				case *ast.Ident:
					name = called.Name
				case *ast.SelectorExpr:
					name = called.Sel.Name
				}
				calls[f.Name.Name] = append(calls[f.Name.Name], name)
				for _, argument := range call.Args {
					if access, ok := argument.(*ast.Ident); ok && access.Name == "recording" && name == "withServiceFor" {
						records[f.Name.Name] = true
					}
				}
				return true
			})
		}
	}
	var reaches func(name string, seen map[string]bool) bool
	reaches = func(name string, seen map[string]bool) bool {
		if seen[name] {
			return false
		}
		seen[name] = true
		return records[name] || slices.ContainsFunc(calls[name], func(called string) bool {
			another := strings.HasPrefix(called, "new") && strings.HasSuffix(called, "Command")
			return !another && reaches(called, seen)
		})
	}
	found := 0
	everyCommand(func(c *cobra.Command) {
		if c.RunE == nil || c.HasSubCommands() {
			return
		}
		name := runtime.FuncForPC(reflect.ValueOf(c.RunE).Pointer()).Name() // reprise/cmd/reprise.newX.func1, or (*environment).x.func1
		_, name, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
		name, _, _ = strings.Cut(strings.TrimPrefix(name, "(*environment)."), ".")
		want := reaches(name, map[string]bool{})
		if want {
			found++
		}
		if got := onlyRecords(c.CommandPath() + " latest"); got != want {
			t.Errorf("%s (%s): only records %v, want %v", c.CommandPath(), name, got, want)
		}
	})
	if found == 0 {
		t.Error("no command was found: the test looks for the wrong names")
	}
}

// Whatever is called with the service may be called again, and would find standard input or
// a pipe empty then.
func TestNothingIsReadWhereACommandMayBeginAgain(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must1(t, err)
	checked := 0
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		must1(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || strings.HasSuffix(file, "_test.go") {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"withServiceFor", "withTraining", "trainOne", "trainRuns"}, called.Sel.Name) {
				return true
			}
			for _, argument := range call.Args {
				checked++
				ast.Inspect(argument, func(n ast.Node) bool {
					if name, ok := n.(*ast.Ident); ok && slices.Contains([]string{"stdin", "submission", "readRequest", "readInput", "openInput", "unlessEnded"}, name.Name) {
						t.Errorf("%s: what is given to %s reads with %s", file, called.Sel.Name, name.Name)
					}
					return true
				})
			}
			return true
		})
	}
	if checked == 0 {
		t.Error("nothing was checked: the test looks for the wrong names")
	}
}

// A stopped process does not keep others waiting for ever.
func TestAHolderThatIsStoppedIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t)
	defer startTraining(t, b)()
	w, err := (&environment{dataDir: b.dataDir}).workspace()
	must1(t, err)
	_, holder, err := flock.Probe(w.LockPath())
	must1(t, err)
	must1(t, syscall.Kill(holder.PID, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(holder.PID, syscall.SIGCONT) }()
	o := b.guarded("runs", "cancel", "latest")
	if o.code != 1 || !strings.Contains(o.stderr, "did not answer within 10s") || !strings.Contains(o.stderr, "kill -CONT") {
		t.Errorf("%+v", o)
	}
}
