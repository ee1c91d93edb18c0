package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"reprise/api"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/service"
	"reprise/training"
)

// The scripts in testdata/script run this binary as a user would; see
// https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript.
func TestMain(m *testing.M) {
	testscript.Main(inFolder{m}, map[string]func(){
		"reprise": func() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr, os.Getenv)) },
	})
}

// inFolder runs tests with a folder for the binaries that they build.
type inFolder struct{ m *testing.M }

func (f inFolder) Run() int {
	dir, err := os.MkdirTemp("", "reprise-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	builds.dir = dir
	// The commands that the tests start would ignore what this process ignores, such
	// as SIGINT in the background of a script; what it receives, they do not.
	for _, kind := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(kind) {
			signal.Notify(make(chan os.Signal, 1), kind)
		}
	}
	return f.m.Run()
}

// scriptHeld is the way in which scripts run where another process holds the data directory.
const scriptHeld = "held"

// Every script passes with the service in the process and over a socket: what a user
// sees is the same. Those that submit runs also pass where another process holds the data
// directory.
func TestScripts(t *testing.T) {
	for _, way := range []string{serviceDirect, serviceSocket, scriptHeld} {
		t.Run(way, func(t *testing.T) { runScripts(t, way) })
	}
}

func scriptFiles(names ...string) (files []string) {
	for _, name := range names {
		files = append(files, filepath.Join("testdata", "script", name+".txtar"))
	}
	return files
}

func runScripts(t *testing.T, way string) {
	dir, files := filepath.Join("testdata", "script"), []string(nil)
	switch {
	case testing.Short() && way == serviceSocket:
		dir, files = "", scriptFiles("actors", "fork", "not-utf8", "refused", "several", "show", "train") // one of each kind of operation
	case way == scriptHeld:
		dir, files = "", scriptFiles("refused", "several", "stdin", "train")
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, Files: files,
		Setup: func(env *testscript.Env) error {
			if way != scriptHeld {
				env.Setenv("REPRISE_SERVICE", way)
			}
			env.Setenv("REPRISE_DATA_DIR", env.WorkDir+"/data")
			env.Setenv("REPRISE_CACHE_DIR", env.WorkDir+"/cache")
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOMODCACHE", env.WorkDir+"/modules")
			if way == scriptHeld {
				s, _, err := hold(env.WorkDir+"/data", env.Getenv)
				if err != nil {
					return err
				}
				env.Defer(func() { _ = s.Close() }) // its runs are left as they are
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != scriptHeld {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return way == scriptHeld, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitCodeIs,
			"position": positionOf,
			"damage":   damageFile,
			"cutoff":   cutOff,
			"upto":     logUpTo,
			"weights":  sameWeights,
			"image":    writeImages,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// writeImages writes gray PNG files of a size whose pixels are their numbers: image FOLDER
// WIDTH HEIGHT FIRST LAST writes FIRST.png to LAST.png.
func writeImages(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 5 {
		ts.Fatalf("usage: image FOLDER WIDTH HEIGHT FIRST LAST")
	}
	var numbers [4]int
	for i, text := range args[1:] {
		n, err := strconv.Atoi(text)
		ts.Check(err)
		numbers[i] = n
	}
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o700))
	for n := numbers[2]; n <= numbers[3]; n++ {
		m := image.NewGray(image.Rect(0, 0, numbers[0], numbers[1]))
		for i := range m.Pix {
			m.Pix[i] = byte(n + 7*i)
		}
		var content bytes.Buffer
		ts.Check(png.Encode(&content, m))
		ts.Check(os.WriteFile(filepath.Join(folder, strconv.Itoa(n)+".png"), content.Bytes(), 0o600))
	}
}

// hold holds a data directory for other processes, as a process that trains does, with a
// run that waits for one that is paused: it takes no device. Close lets go.
func hold(dir string, getenv func(string) string) (*service.Service, *environment, error) {
	env := &environment{program: "reprise", command: "reprise train held.yaml", dataDir: dir, getenv: getenv, now: time.Now, threads: 1, cpuFeatures: "auto", stderr: io.Discard}
	s, err := env.serviceFor(submitting)
	if err != nil {
		return nil, nil, err
	}
	ctx := api.WithNotices(context.Background(), func(api.Notice) {})
	submit := func(job string) (training.RunID, error) {
		return onlySubmission(s.Submit(ctx, api.SubmitRequest{Folder: api.Text(dir), Files: []api.RequestFile{{Name: "held.yaml", Content: api.Text(
			"model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: digits\nconfig: {batch_size: 512, learning_rate: 0.01, epochs: 1000000}\n" + job)}}}))
	}
	paused, err := submit("")
	if err == nil {
		_, err = submit(fmt.Sprintf("job: {after: [%s]}\n", paused))
	}
	if err == nil {
		_, err = s.Pause(ctx, api.PauseRequest{Target: api.Target{Runs: []string{string(paused)}}, Cause: "a test"})
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, env, nil
}

// exitCodeIs runs a command that has to end with the given exit code:
// exitcode 2 reprise train job.yaml.
func exitCodeIs(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// positionOf sets a variable to the position of the first event of a type: what
// happens to the actors is appended when there is time for it, so positions
// differ from run to run. position LEASED device.leased.
func positionOf(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: position VARIABLE TYPE")
	}
	ts.Check(ts.Exec("reprise", "events", "tail", "--after", "0", "--type", args[1], "-o", "json"))
	var first struct {
		Position uint64 `json:"position"`
	}
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))).Decode(&first))
	ts.Setenv(args[0], strconv.FormatUint(first.Position, 10))
}

// damageFile clears the head of every page of an event log but the first: damage
// FILE. What says where the events are is lost; the events are whole.
func damageFile(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: damage FILE")
	}
	const page, head = 4096, 8
	raw := []byte(ts.ReadFile(args[0]))
	for at := page; at < len(raw); at += page {
		if raw[at] != 0 { // the number of the next overflow page begins with 0
			clear(raw[at : at+head])
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}

// cutOff halves a file: cutoff FILE.
func cutOff(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 1 {
		ts.Fatalf("usage: cutoff FILE")
	}
	ts.Check(os.Truncate(ts.MkAbs(args[0]), int64(len(ts.ReadFile(args[0]))/2)))
}

// logUpTo makes an older log: upto FROM TYPE TO makes TO of the events of the log FROM
// up to the first one of that type.
func logUpTo(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 3 {
		ts.Fatalf("usage: upto FROM TYPE TO")
	}
	ctx := context.Background()
	from, err := sqlite.OpenReadOnly(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = from.Close() }() // it was only read
	to, err := sqlite.Open(ts.MkAbs(args[2]), sqlite.Config{})
	ts.Check(err)
	errEnough := errors.New("enough")
	_, err = eventstore.Walk(ctx, from, 0, eventstore.End, func(e eventstore.Event) error {
		_, err := to.Append(ctx, eventstore.Write{Aggregate: e.Aggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent}})
		if err == nil && string(e.Type) == args[1] {
			err = errEnough
		}
		return err
	})
	if !errors.Is(err, errEnough) {
		ts.Fatalf("%s has no %s: %v", args[0], args[1], err)
	}
	ts.Check(to.Close())
}

// sameWeights compares the weights of results, one on each line of FILE, with those of
// results that have a file each: weights FILE FILE...
func sameWeights(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: weights FILE FILE...")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	if len(lines) != len(args)-1 {
		ts.Fatalf("%s has %d results, not %d", args[0], len(lines), len(args)-1)
	}
	for i, line := range lines {
		var together, alone api.Result
		ts.Check(json.Unmarshal([]byte(line), &together))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[i+1])), &alone))
		if together.WeightsSHA256 == "" || together.WeightsSHA256 != alone.WeightsSHA256 {
			ts.Fatalf("result %d of %s has weights %q, alone %q", i+1, args[0], together.WeightsSHA256, alone.WeightsSHA256)
		}
	}
}
