package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"reprise/api"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
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

// Every script passes with the service in the process and over a socket: what a user
// sees is the same.
func TestScripts(t *testing.T) {
	for _, way := range []string{serviceDirect, serviceSocket} {
		t.Run(way, func(t *testing.T) { runScripts(t, way) })
	}
}

// shortOverSocket are the scripts that a short run has over a socket, too: one of each
// kind of operation.
func shortOverSocket() (files []string) {
	for _, name := range []string{"actors", "fork", "not-utf8", "refused", "several", "show", "train"} {
		files = append(files, filepath.Join("testdata", "script", name+".txtar"))
	}
	return files
}

func runScripts(t *testing.T, way string) {
	dir, files := filepath.Join("testdata", "script"), []string(nil)
	if testing.Short() && way == serviceSocket {
		dir, files = "", shortOverSocket()
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, Files: files,
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPRISE_SERVICE", way)
			env.Setenv("REPRISE_DATA_DIR", env.WorkDir+"/data")
			env.Setenv("REPRISE_CACHE_DIR", env.WorkDir+"/cache")
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOMODCACHE", env.WorkDir+"/modules")
			return nil
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
