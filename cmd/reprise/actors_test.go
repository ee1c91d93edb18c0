package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/internal/flock"
	"reprise/server"
)

func TestActorsShowsTheTreeOfAProcessThatTrains(t *testing.T) {
	b := build(t)
	if o := b.run("actors"); o.code != 1 || !strings.Contains(o.stderr, "; start one with `reprise train JOB`") {
		t.Errorf("without a process: %+v", o)
	}
	c := b.command("train", mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 1000000, checkpoint_interval: 1000000"))
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "epoch 1/") {
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(io.Discard, pipe)
	}()
	l := parse[api.ActorSnapshot](b, "actors")
	seen := map[string]api.Actor{}
	for _, r := range l.Actors {
		if strings.HasPrefix(r.Path, "/run-") {
			_, rest, _ := strings.Cut(r.Path[1:], "/")
			r.Path = "/RUN/" + rest
		}
		seen[r.Path] = r
	}
	run := seen["/RUN/run"]
	if l.PID != c.Process.Pid || len(l.Actors) != 6 || run.Handled == 0 || run.Rate == nil || *run.Rate <= 0 ||
		run.Restarts != 0 || run.Age <= 0 {
		t.Errorf("%+v", l)
	}
	table := b.must("actors").stdout
	for _, want := range []string{"├─ devices ", "└─ run-", "   └─ run ", "├─ jobs ", "4 actors in process "} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	trace := parse[api.TraceStep](b, "actors", "--trace", "run")
	if len(trace.Caused) != 1 || trace.Type != "integration.trainStep" || trace.Waited == nil || trace.Took == nil ||
		trace.Caused[0].Correlation != trace.Message || trace.Caused[0].Causation != trace.Message || trace.Caused[0].From != trace.To {
		t.Errorf("a step and the next one: %+v", trace)
	}
	for args, want := range map[string]string{"--trace nobody": "--trace: nobody is not an actor of the process; list", "--trace run --watch": "cannot be given together"} {
		if o := b.run(append([]string{"actors"}, strings.Fields(args)...)...); o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %+v", args, o)
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-copied
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = waitGone(ctx, c) // interrupted
	if _, err := os.Lstat(filepath.Join(b.dataDir, controlName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left its socket: %v", err)
	}
	told := b.must("events", "tail", "--type", "actor.", "-n", "100").stdout
	if !strings.Contains(told, "actor spawned: /devices") || !strings.Contains(told, "actor terminated: /run-") {
		t.Errorf("the log tells of the actors:\n%s", told)
	}
}

// lookedInto is the service of a process with an id.
type lookedInto struct {
	api.Service
	pid int
}

func (l lookedInto) Actors(context.Context, api.ActorsRequest) (api.ActorSnapshot, error) {
	return api.ActorSnapshot{PID: l.pid}, nil
}

// pidOf asks the process that holds a data directory for its id.
func pidOf(w datadir.Workspace) (int, error) {
	l, err := askHolder(context.Background(), w, api.Service.Actors, api.ActorsRequest{})
	return l.PID, err
}

func TestAProcessThatEndsCutsOffWhoeverItWaitsForInVain(t *testing.T) {
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := held(t, dir)
	asked := make(chan struct{})
	c, err := serveControl(t.Context(), w, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
		close(asked)
		<-r.Context().Done()
	}))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		_, err := pidOf(w)
		answered <- err
	}()
	<-asked
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if err := <-answered; !errors.Is(err, errNoProcess) {
		t.Errorf("the one who asked was told %v", err)
	}
}

// What a process does for others does not keep it from ending.
func TestAProcessThatEndsDoesNotWaitForACallThatIgnoresIt(t *testing.T) {
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := held(t, dir)
	asked, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	c, err := serveControl(t.Context(), w, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-never
	}))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = pidOf(w) }() // it is cut off
	<-asked
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if c.server.begin() {
		t.Error("it takes a call after its end")
	}
}

// held returns a data directory that this process holds, below the folder.
func held(t *testing.T, dir string) datadir.Workspace {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := datadir.Workspace{Dir: dir}
	lock, err := flock.Acquire(w.LockPath(), flock.Info{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	return w
}

func TestTheControlEndpointIsPrivateAndLeavesNothing(t *testing.T) {
	short, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	for name, dir := range map[string]string{"short path": short, "long path": filepath.Join(t.TempDir(), strings.Repeat("long", 30))} {
		t.Run(name, func(t *testing.T) {
			w := held(t, dir)
			t.Setenv("TMPDIR", short)
			c, err := serveControl(t.Context(), w, server.Handler(lookedInto{pid: 7}))
			if err != nil {
				t.Fatal(err)
			}
			if pid, err := pidOf(w); err != nil || pid != 7 {
				t.Errorf("%d, %v", pid, err)
			}
			folder, err := os.Stat(filepath.Join(dir, controlName))
			if err != nil || folder.Mode().Perm() != 0o700 {
				t.Errorf("folder: %v, %v", folder.Mode(), err)
			}
			socket, err := os.Stat(filepath.Join(dir, controlName, socketName))
			if err != nil || socket.Mode().Perm() != 0o600 {
				t.Errorf("socket: %v, %v", socket.Mode(), err)
			}
			if err := c.close(); err != nil {
				t.Error(err)
			}
			for _, left := range []string{c.folder, filepath.Join(dir, controlName)} {
				if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", left, err)
				}
			}
			if _, err := pidOf(w); !errors.Is(err, errNoProcess) {
				t.Errorf("after its end: %v", err)
			}
		})
	}
}

func TestTheSocketOfADeadProcessIsReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := held(t, dir)
	if err := os.Mkdir(filepath.Join(dir, controlName), 0o700); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, controlName, socketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pidOf(w); !errors.Is(err, errNoProcess) {
		t.Errorf("a dead socket answered: %v", err)
	}
	c, err := serveControl(t.Context(), w, server.Handler(lookedInto{pid: 8}))
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := pidOf(w); err != nil || pid != 8 {
		t.Errorf("%d, %v", pid, err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	// What is not of its making stays.
	if err := os.MkdirAll(filepath.Join(dir, controlName, "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := serveControl(t.Context(), w, nil); err == nil {
		t.Error("a folder with somebody's files was taken")
	}
	if _, err := os.Stat(filepath.Join(dir, controlName, "mine")); err != nil {
		t.Error(err)
	}
}

func TestRatesAreOfTheTimeBetweenTwoSnapshots(t *testing.T) {
	at := time.Unix(0, 0)
	before := api.ActorSnapshot{At: at, Actors: []api.Actor{{Path: "/", Kind: "supervisor"},
		{Path: "/a", Kind: "actor", Handled: 10}, {Path: "/b", Kind: "actor", Handled: 9}}}
	now := api.ActorSnapshot{At: at.Add(2 * time.Second), Actors: []api.Actor{
		{Path: "/", Kind: "supervisor"}, {Path: "/a", Kind: "actor", Handled: 15},
		{Path: "/b", Kind: "actor", Handled: 3}, {Path: "/c", Kind: "actor", Handled: 4},
	}}
	now.SetRates(before)
	raw, err := json.Marshal([]*float64{now.Actors[0].Rate, now.Actors[1].Rate, now.Actors[2].Rate, now.Actors[3].Rate})
	if err != nil {
		t.Fatal(err)
	}
	// A supervisor handles none, and /b is another actor than before.
	if string(raw) != "[null,2.5,null,2]" {
		t.Errorf("rates %s", raw)
	}
}

func TestTheTreeIsDrawn(t *testing.T) {
	var rows []api.Actor
	for _, path := range []string{"/", "/a", "/s", "/s/t", "/s/t/u", "/s/v", "/z", "/z/y"} {
		rows = append(rows, api.Actor{Path: path})
	}
	var got []string
	for _, r := range drawTree(rows) {
		got = append(got, r.branch)
	}
	want := []string{"/", "├─ a", "├─ s", "│  ├─ t", "│  │  └─ u", "│  └─ v", "└─ z", "   └─ y"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestATraceEndsWithItsAnswer(t *testing.T) {
	waited, took := time.Millisecond, time.Second
	trace := api.TraceStep{To: "/asked", Type: "main.question", Waited: &waited, Took: &took, Caused: []api.TraceStep{
		{From: "/asked", Type: "int", After: time.Second, Error: "none left"},
	}}
	var out strings.Builder
	drawn := newTable(&out)
	writeTrace(drawn, trace, "", "")
	if err := drawn.flush(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"question /asked +0s 1ms 1s", "└ int answer +1s - - none left"} {
		if lines := strings.Split(out.String(), "\n"); strings.Join(strings.Fields(lines[i]), " ") != want {
			t.Errorf("%q, want %q", lines[i], want)
		}
	}
}

func TestDeadLettersAreShown(t *testing.T) {
	l := api.ActorSnapshot{Actors: []api.Actor{{Path: "/", Kind: "supervisor"}}, DeadLetters: 4, Letters: []api.DeadLetter{
		{To: "run/r", Type: "dance", Reason: "type: it is unknown"}, {To: "\x1b[2J", Type: "pause", Reason: "to: it is unknown"},
	}}
	var out strings.Builder
	drawn := newTable(&out)
	if err := errors.Join(writeActors(drawn, l, len(l.Actors)), drawn.flush()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4 dead letters:", "(2 before these)", "dance to run/r: type:", `pause to \x1b[2J: to:`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestATreeIsCutToTheRoomThatThereIs(t *testing.T) {
	l := api.ActorSnapshot{Actors: []api.Actor{{Path: "/", Kind: "supervisor"}}}
	for i := range 40 {
		l.Actors = append(l.Actors, api.Actor{Path: fmt.Sprintf("/a%02d", i), Kind: "actor"})
	}
	for room, want := range map[int]string{41: "", 40: "... and 2 more", 20: "... and 22 more", -3: "... and 37 more"} {
		var out strings.Builder
		drawn := newTable(&out)
		if err := errors.Join(writeActors(drawn, l, room), drawn.flush()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(out.String(), "\n") + 1 // the cursor's
		if most := max(room, fewestActors) + besideActors; lines > most || want != "" && !strings.Contains(out.String(), want) ||
			want == "" && strings.Contains(out.String(), "more") || !strings.Contains(out.String(), "40 actors") {
			t.Errorf("room for %d: %d lines\n%s", room, lines, out.String())
		}
	}
}
