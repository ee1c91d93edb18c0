package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
)

// examplesOf returns the command lines that a command's help gives as examples.
func examplesOf(c *cobra.Command) []string {
	var list []string
	text := strings.ReplaceAll(c.Example, "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// Every example in a command's help does what it says, in a shell, beside a run
// that trains where it asks for one.
func TestExamplesInHelpWork(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the examples need bash")
	}
	b := build(t).with()
	bin := t.TempDir()
	if err := os.Symlink(b.path, filepath.Join(bin, "reprise")); err != nil {
		t.Fatal(err)
	}
	trained, text, prices, live := b.with(), b.with(), b.with(), b.with()
	// With a checkpoint at step 675.
	trained.must("train", mlpJob(t, "batch_size: 32, learning_rate: 0.002, epochs: 40, checkpoint_interval: 5"))
	text.must("train", textJob(t, "Qu. 31. The Rays of Light are made of small Parts. "))
	stop := startTraining(t, live)
	defer stop()
	// What an example names that this machine or this hour does not have.
	here := strings.NewReplacer("/mnt/disk/reprise-monday", filepath.Join(t.TempDir(), "reprise-monday"),
		"2026-11-24T15:04:05Z", time.Now().UTC().Format(time.RFC3339Nano), "--at 15m", "--at 0s", " | jq ", " | cat # ")

	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"poem.txt": strings.Repeat("Tyger Tyger, burning bright, in the forests of the night. ", 60), "flats.csv": flats(), "new.csv": flats(), "sold.csv": flats(),
		"new.jsonl": jsonLines(t, flats()),
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	prices.must("train", tableJob(t, flats()))
	prices.must("export", "latest", "--format", "bundle", "--out", filepath.Join(work, "flats.tar"))
	private, public := newKeys(t)
	for from, to := range map[string]string{private: "KEY", public: "PUB"} {
		if err := os.Rename(from, filepath.Join(work, to)); err != nil {
			t.Fatal(err)
		}
	}
	ran := 0
	everyCommand(func(c *cobra.Command) {
		for _, example := range examplesOf(c) {
			in, endless := trained, strings.Contains(example, " -f") || strings.Contains(example, "--watch")
			switch {
			case c.Name() == "actors" || endless:
				in = live
			case c.Name() == "generate":
				in = text
			case c.Name() == "predict", c.Name() == "evaluate":
				in = prices
			case slices.Contains([]string{"cancel", "pause", "priority", "resume", "retry"}, c.Name()):
				in = b.with()
				defer queueRuns(t, in, c.Name())()
			case slices.Contains([]string{"compare", "delete"}, c.Name()):
				in = b.with()
				job := mlpJob(t, "batch_size: 256, learning_rate: 0.002, epochs: 1")
				first := parse[api.Result](in, "train", job, "--name", "baseline", "--set", "job.group=sweep", "-o", "json")
				in.must("train", job, "--tag", "scratch", "--set", "config.epochs=2", "--set", "job.group=sweep")
				example = strings.ReplaceAll(example, "20261130-101500-3f2a", string(first.RunID))
			}
			line := here.Replace(example)
			ran++
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			cmd := exec.CommandContext(ctx, shell, "-o", "pipefail", "-c", line)
			cmd.Dir, cmd.Stdin = work, strings.NewReader("y\n") // for what asks
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+t.TempDir(), "REPRISE_DATA_DIR="+in.dataDir, "CI=true")
			var err error
			var out []byte
			if endless {
				out, err = firstLineOf(cmd)
			} else {
				out, err = cmd.CombinedOutput()
			}
			cancel()
			if err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	})
	if ran < 15 {
		t.Errorf("only %d examples were found", ran)
	}
}

// queueRuns has a process train and another two runs of the group sweep wait for it. For
// a command that starts runs, the process has ended and left the group for it.
func queueRuns(t *testing.T, b binary, command string) (stop func()) {
	t.Helper()
	stop = startTraining(t, b)
	job := mlpJob(t, "batch_size: 256, learning_rate: 0.002, epochs: 1")
	b.must("train", job, job, "--set", "job.group=sweep", "--detach")
	switch command {
	case "resume":
		b.must("runs", "pause", "--group", "sweep")
		b.must("runs", "cancel", string(parse[[]api.Run](b, "runs", "list", "-o", "json")[0].RunID))
		stop()
	case "retry":
		b.must("runs", "cancel", "--all")
		stop()
	default:
		return stop
	}
	return func() {}
}

// textJob writes a request for a language model of the sentence, which no prompt
// of its characters can surprise.
func textJob(t *testing.T, sentence string) string {
	t.Helper()
	folder := t.TempDir()
	request := "model_architecture: gpt\nmodel: {layers: 1, heads: 2, width: 8}\ndataset_path: text.txt\n" +
		"dataset: {tokenizer: characters, context: 16}\nconfig: {batch_size: 32, learning_rate: 0.002, epochs: 1}\n"
	for name, content := range map[string]string{"text.txt": strings.Repeat(sentence, 100), "job.yaml": request} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "job.yaml")
}

// tableJob writes a request for the prices of a table.
func tableJob(t *testing.T, table string) string {
	t.Helper()
	folder := t.TempDir()
	request := "model_architecture: mlp\nmodel: {hidden: [8]}\ndataset_path: flats.csv\ndataset: {target: price, task: regression}\n" +
		"config: {batch_size: 32, learning_rate: 0.01, epochs: 2}\n"
	for name, content := range map[string]string{"flats.csv": table, "job.yaml": request} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "job.yaml")
}

// jsonLines returns a table of numbers as JSON Lines.
func jsonLines(t *testing.T, table string) string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, row := range rows[1:] {
		var cells []string
		for i, cell := range row {
			cells = append(cells, fmt.Sprintf("%q:%s", rows[0][i], cell))
		}
		fmt.Fprintf(&lines, "{%s}\n", strings.Join(cells, ","))
	}
	return lines.String()
}

// startTraining starts a run that does not end, and returns once its first epoch
// is complete. stop interrupts it and waits.
func startTraining(t *testing.T, b binary) (stop func()) {
	t.Helper()
	return startCommand(t, b.command("train", mlpJob(t, endlessConfig)))
}

// endlessConfig is that of a request that trains until it is stopped.
const endlessConfig = "batch_size: 8, learning_rate: 0.002, epochs: 1000000, checkpoint_interval: 1000000"

// startCommand is startTraining for a command that trains such a request.
func startCommand(t *testing.T, c *exec.Cmd) (stop func()) {
	t.Helper()
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(pipe); lines.Scan() && !strings.HasPrefix(lines.Text(), "epoch 1/"); {
	}
	copied, said := make(chan struct{}), &endWriter{}
	go func() {
		defer close(copied)
		_, _ = io.Copy(said, pipe)
	}()
	return func() {
		if t.Failed() { // a test beside it may have failed because of it
			t.Logf("the trainer said at last: %s", said.end())
		}
		_ = c.Process.Signal(os.Interrupt)
		<-copied
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = waitGone(ctx, c) // interrupted
	}
}

// endWriter keeps the end of what is written to it.
type endWriter struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (w *endWriter) Write(p []byte) (int, error) {
	const most = 2000
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...)
	w.kept = append([]byte(nil), w.kept[max(0, len(w.kept)-most):]...)
	return len(p), nil
}

func (w *endWriter) end() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.kept)
}

// firstLineOf runs a command that ends with Ctrl-C only, until it has printed a
// line. One that prints none in time says what its goroutines do.
func firstLineOf(c *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	c.Stderr, c.WaitDelay = &stderr, 10*time.Second
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGQUIT) }
	pipe, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(pipe)
	lines.Scan()
	first := lines.Bytes()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		return first, err
	}
	for lines.Scan() { // until it has closed its output
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || len(first) == 0 {
		return first, fmt.Errorf("after %q: %w\n%s", first, err, stderr.String())
	}
	return first, nil
}

// flats returns a table of prices to predict.
func flats() string {
	var b strings.Builder
	b.WriteString("rooms,area,price\n")
	for i := range 60 {
		fmt.Fprintf(&b, "%d,%d,%d.5\n", 1+i%5, 30+7*i%90, 90_000+i*1511)
	}
	return b.String()
}
