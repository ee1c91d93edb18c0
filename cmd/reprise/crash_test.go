package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/journal"
	"reprise/training"
)

// kills returns how often TestKillAtRandomMoments kills; `make crash` sets it.
func kills(t *testing.T) int {
	v := os.Getenv("REPRISE_KILLS")
	switch {
	case v == "" && testing.Short():
		return 2
	case v == "":
		return 6
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("REPRISE_KILLS=%s is not a number of kills", v)
	}
	return n
}

// One run is killed with SIGKILL at random moments, each time followed by a
// resume, and compared with a run that was never killed: same weights, same
// metrics, every acknowledged epoch on record, no lease left.
func TestKillAtRandomMoments(t *testing.T) {
	t.Run("mlp", func(t *testing.T) {
		killAndResume(t, func(n int) string {
			return mlpJob(t, fmt.Sprintf("batch_size: 8, learning_rate: 0.002, epochs: %d, seed: 3, checkpoint_interval: 2", 12+20*n))
		})
	})
	t.Run("everything", func(t *testing.T) {
		killAndResume(t, func(n int) string { return everythingJob(t, 6+6*n) })
	})
}

// everythingJob has all whose state must survive: batch statistics, dropout,
// augmentation, accumulation, evaluations within epochs, a rate that depends on
// them and an early end that would come at some time.
func everythingJob(t *testing.T, epochs int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yaml")
	text := fmt.Sprintf(`
model_architecture:
  - {type: conv2d, channels: 8, kernel: 3, padding: same, bias: false}
  - {type: batch_norm}
  - {type: activation, kind: relu}
  - type: residual
    body: [{type: depthwise_conv2d, kernel: 3, padding: same}, {type: layer_norm}, {type: activation, kind: gelu}]
  - {type: global_avg_pool}
  - {type: dropout, rate: 0.1}
  - {type: linear, units: 10}
dataset_path: digits
config:
  batch_size: 32
  learning_rate: 0.01
  epochs: %d
  optimizer: {name: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.0001}
  schedule: {name: reduce_on_plateau, gamma: 0.7, patience: 3, threshold: 0.05}
  gradient_accumulation: 2
  clip_norm: 0.5
  label_smoothing: 0.1
  augmentation: {crop: 1}
  eval_interval: 9
  early_stopping: {patience: 40, min_delta: 0.05}
  checkpoint_interval: 2
  seed: 5
`, epochs)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// killAndResume compares a run that is killed again and again with one that is
// not.
func killAndResume(t *testing.T, job func(kills int) string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("REPRISE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("REPRISE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	n := kills(t)
	b := build(t)
	file := job(n)

	reference := b.with()
	began := time.Now()
	want := parse[api.Result](reference, "train", file)
	whole := time.Since(began)
	startup := timeOf(func() { reference.must("runs", "list") })
	// So that the kills together leave time for no more than the run.
	longest := 2*startup + whole/time.Duration(max(n, 6))

	b = b.with()
	acknowledged := map[uint64]bool{}
	landed := 0
	for landed < n {
		args := []string{"train", file}
		if hasRun(b) {
			args = []string{"runs", "resume", "latest"}
		}
		delay := time.Duration(random.Float64() * float64(longest))
		killed, seen := killAfter(b, delay, args...)
		for _, epoch := range seen {
			acknowledged[epoch] = true
		}
		if !killed {
			break
		}
		landed++
	}
	if landed < n*3/4 {
		t.Errorf("the run ended after %d of %d kills", landed, n)
	}
	if !hasRun(b) {
		b.must("train", file)
	} else if state := parse[[]api.Result](b, "runs", "list")[0].State; state != "completed" {
		b.must("runs", "resume", "latest")
	}
	t.Logf("%d kills within %v each, %d epochs acknowledged before them", landed, longest, len(acknowledged))
	compareWithReference(t, b, reference, want, acknowledged)
}

func compareWithReference(t *testing.T, b, reference binary, want api.Result, acknowledged map[uint64]bool) {
	t.Helper()
	runs := parse[[]api.Result](b, "runs", "list")
	if len(runs) != 1 {
		t.Fatalf("%d runs, want the one that was started", len(runs))
	}
	got := runs[0]
	got.RunID = want.RunID
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after the kills:\n%+v\nnever killed:\n%+v", got, want)
	}
	metrics := []string{"runs", "metrics", "latest"}
	if got, want := parse[series](b, metrics...), parse[series](reference, metrics...); !reflect.DeepEqual(got, want) {
		t.Errorf("%d epochs and %d steps of metrics differ from the %d and %d of the run that was never killed",
			len(got.Epochs), len(got.Steps), len(want.Epochs), len(want.Steps))
	}
	epochs, ids := map[uint64]int{}, map[string]bool{}
	versions := map[bool]uint64{} // of the run, and of its job
	for i, e := range parse[[]event](b, "runs", "events", "latest") {
		ofRun := strings.HasPrefix(e.Type, "training.")
		if versions[ofRun]++; e.Version != versions[ofRun] || ids[e.ID] {
			t.Errorf("event %d has version %d and id %s", i, e.Version, e.ID)
		}
		ids[e.ID] = true
		if e.Type == "training.epoch_completed.v1" {
			var payload training.EpochCompleted
			if err := json.Unmarshal(e.Payload, &payload); err != nil {
				t.Fatal(err)
			}
			epochs[payload.Epoch]++
		}
	}
	for epoch := range acknowledged {
		if epochs[epoch] != 1 {
			t.Errorf("epoch %d was acknowledged and is recorded %d times", epoch, epochs[epoch])
		}
	}
	b.must("runs", "verify", "latest")
	checkNoLease(t, b)
}

// checkNoLease reads the devices' ledgers from the event log.
func checkNoLease(t *testing.T, b binary) {
	t.Helper()
	store, err := sqlite.OpenReadOnly(datadir.Workspace{Dir: b.dataDir}.EventsPath())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	state, err := journal.StateAt(context.Background(), store, eventstore.End)
	if err != nil || len(state.Devices) == 0 {
		t.Fatalf("%d devices on record, %v", len(state.Devices), err)
	}
	for _, d := range state.Devices {
		if leases := d.Ledger.Leases(); len(leases) > 0 {
			t.Errorf("device %s is still held: %v", d.ID, leases)
		}
	}
}

func timeOf(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func hasRun(b binary) bool { return len(parse[[]api.Result](b, "runs", "list")) > 0 }

// killAfter runs a command and kills it after the delay. It reports whether the
// command was killed before its end, and the epochs that it had acknowledged.
func killAfter(b binary, delay time.Duration, args ...string) (killed bool, epochs []uint64) {
	b.t.Helper()
	c := b.command(args...)
	pipe, err := c.StderrPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	timer := time.AfterFunc(delay, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	var all strings.Builder
	lines := bufio.NewScanner(io.TeeReader(pipe, &all))
	epochLine := regexp.MustCompile(`^epoch (\d+)/\d+ .*val accuracy`)
	for lines.Scan() {
		if m := epochLine.FindStringSubmatch(lines.Text()); m != nil {
			epoch, _ := strconv.ParseUint(m[1], 10, 64)
			epochs = append(epochs, epoch)
		}
	}
	err = c.Wait()
	switch {
	case err == nil:
		return false, epochs
	case c.ProcessState.ExitCode() == -1: // ended by a signal
		return true, epochs
	}
	b.t.Fatalf("reprise %s: %v\n%s", strings.Join(args, " "), err, all.String())
	return false, nil
}

// While a run trains, a second process on the same data directory has the first do what
// writes, and harms nothing.
func TestTwoProcessesDoNotWriteInOneDataDirectory(t *testing.T) {
	b := build(t)
	c := b.command("train", mlpJob(t, "batch_size: 4, learning_rate: 0.001, epochs: 5000"))
	started := newSignalWriter("epoch 1/")
	c.Stderr = started
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	started.wait(t, time.Minute)
	first := string(parse[[]api.Result](b, "runs", "list")[0].RunID)
	b.must("projections", "rebuild") // by the process that trains
	// A run is submitted to the process that trains, and waits there.
	b.must("train", "--detach", mlpJob(t, "batch_size: 4, learning_rate: 0.001, epochs: 1"))
	if runs := parse[[]api.Result](b, "runs", "list"); len(runs) != 2 || runs[0].State != "running" || runs[1].State == "running" {
		t.Errorf("with a second run: %+v", runs)
	}
	b.must("runs", "cancel", "latest")
	// What is wrong with a command is said all the same, with the code for it.
	for _, test := range []struct {
		says string
		args []string
	}{
		{"config.batch_size", []string{"train", mlpJob(t, "batch_size: 0, learning_rate: 0.001, epochs: 1")}},
		{"config.batch_size", []string{"train", mlpJob(t, "batch_size: 5000, learning_rate: 0.001, epochs: 1")}},
		{"no-such-file.yaml", []string{"train", "no-such-file.yaml"}},
		{"no-such-run", []string{"runs", "resume", "no-such-run"}},
		{"no-such-run", []string{"runs", "fork", "no-such-run"}},
		{"config.epoch", []string{"runs", "fork", first, "--set", "config.epoch=3"}},
	} {
		o := b.run(test.args...)
		if o.code != 2 || !strings.Contains(o.stderr, test.says) || strings.Contains(o.stderr, "is in use") {
			t.Errorf("reprise %s: exit code %d\n%s", strings.Join(test.args, " "), o.code, o.stderr)
		}
	}
	if runs := parse[[]api.Result](b, "runs", "list"); len(runs) != 2 || runs[0].State != "running" || runs[1].State != "cancelled" {
		t.Errorf("seen from beside: %+v", runs)
	}
	// Ctrl-C: a checkpoint at the present step, exit code 130, resumable.
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = waitGone(ctx, c)
	if code := c.ProcessState.ExitCode(); code != 130 {
		t.Errorf("interrupted: exit code %d\n%s", code, started.text())
	}
	runs := parse[[]api.Result](b, "runs", "list")
	if runs[0].State != "interrupted" || runs[0].Step == 0 {
		t.Errorf("after Ctrl-C: %+v", runs)
	}
	checkNoLease(t, b)
	b.must("runs", "verify", first)
}

// signalWriter keeps what is written and tells when a text was among it.
type signalWriter struct {
	mu      sync.Mutex
	all     strings.Builder
	awaited string
	seen    chan struct{}
}

func newSignalWriter(text string) *signalWriter {
	return &signalWriter{awaited: text, seen: make(chan struct{})}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := strings.Contains(w.all.String(), w.awaited)
	w.all.Write(p)
	if !had && strings.Contains(w.all.String(), w.awaited) {
		close(w.seen)
	}
	return len(p), nil
}

func (w *signalWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

func (w *signalWriter) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-w.seen:
	case <-time.After(limit):
		t.Fatalf("%q was not printed within %v:\n%s", w.awaited, limit, w.text())
	}
}
