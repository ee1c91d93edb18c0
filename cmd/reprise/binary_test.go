package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reprise/internal/stepseries"
	"reprise/training"
)

// binary is a build of this command and a data directory of its own for it.
type binary struct {
	t       *testing.T
	path    string
	dataDir string
	env     []string
}

// builds has the binaries that were built, by the additions to the environment.
var builds = struct {
	sync.Mutex
	dir   string // made by TestMain
	paths map[string]string
}{paths: map[string]string{}}

// build returns the real binary, built with additions to the environment such
// as GOAMD64=v3.
func build(t *testing.T, env ...string) binary {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	key := strings.Join(env, " ")
	path, ok := builds.paths[key]
	if !ok {
		path = filepath.Join(builds.dir, fmt.Sprintf("reprise-%d", len(builds.paths)))
		c := exec.Command("go", "build", "-o", path, ".")
		c.Env = append(os.Environ(), env...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		builds.paths[key] = path
	}
	return binary{t: t, path: path, dataDir: t.TempDir()}
}

// with returns the binary with another data directory and more environment.
func (b binary) with(env ...string) binary {
	b.dataDir = b.t.TempDir()
	b.env = append(append([]string(nil), b.env...), env...)
	return b
}

func (b binary) command(args ...string) *exec.Cmd {
	c := exec.Command(b.path, args...)
	c.Env = append(append(os.Environ(), "REPRISE_DATA_DIR="+b.dataDir, "CI=true"), b.env...)
	return c
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

func (b binary) run(args ...string) outcome {
	b.t.Helper()
	c := b.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("reprise %s: %v", strings.Join(args, " "), err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs a command that has to succeed.
func (b binary) must(args ...string) outcome {
	b.t.Helper()
	o := b.run(args...)
	if o.code != 0 {
		b.t.Fatalf("reprise %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o
}

// parse decodes what a command that has to succeed prints as JSON.
func parse[T any](b binary, args ...string) T {
	b.t.Helper()
	var v T
	o := b.must(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		b.t.Fatalf("reprise %s: %v\n%s", strings.Join(args, " "), err, o.stdout)
	}
	return v
}

// series is what `runs metrics -o json` prints.
type series struct {
	Epochs training.MetricsHistory `json:"epochs"`
	Steps  []stepseries.Record     `json:"steps"`
}

// event is what the tests read of `runs events -o json`.
type event struct {
	Position uint64          `json:"position"`
	ID       string          `json:"id"`
	Version  uint64          `json:"version"`
	Type     string          `json:"type"`
	Payload  json.RawMessage `json:"payload"`
}

// mlpJob writes a request for a perceptron on the embedded digits.
func mlpJob(t *testing.T, config string) string {
	return writeJob(t, "mlp", "{hidden: [64, 32], activation: relu}", config)
}

// cnnJob writes a request for a small convolutional network.
func cnnJob(t *testing.T, config string) string {
	return writeJob(t, "cnn", "{channels: [4, 8], hidden: [16], activation: gelu}", config)
}

func writeJob(t *testing.T, architecture, model, config string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.yaml")
	content := fmt.Sprintf("model_architecture: %s\nmodel: %s\ndataset_path: digits\nconfig: {%s}\n", architecture, model, config)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// waitGone ends a started command at the end of the test, whatever happened.
func waitGone(ctx context.Context, c *exec.Cmd) error {
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = c.Process.Kill()
		return <-done
	}
}

// must1 fails the test on an error.
func must1(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
