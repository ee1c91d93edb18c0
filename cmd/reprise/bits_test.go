package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kernels "reprise/kernel/cpu"

	"reprise/api"
)

// The weights do not depend on the number of threads, on the instruction set
// that kernels use, nor on the one that the compiler may use.
func TestEveryMachineGivesTheSameBits(t *testing.T) {
	v1 := build(t)
	type variant struct {
		name string
		b    binary
		args []string
	}
	variants := []variant{
		{"GOMAXPROCS=1", v1.with("GOMAXPROCS=1"), nil},
		{"GOMAXPROCS=2", v1.with("GOMAXPROCS=2"), nil},
		{"GOMAXPROCS=3", v1.with("GOMAXPROCS=3"), nil},
		{"GOMAXPROCS=8", v1.with("GOMAXPROCS=8"), nil},
		{"threads 5", v1, []string{"--threads", "5"}},
	}
	if !testing.Short() { // each of these builds the program from nothing
		v3, noasm := build(t, "GOAMD64=v3"), build(t, "GOFLAGS=-tags=noasm -buildvcs=false")
		variants = append(variants,
			variant{"GOAMD64=v3", v3, nil},
			variant{"GOAMD64=v3 without assembly", v3.with(), []string{"--cpu-features", "none"}},
			variant{"built without assembly", noasm, nil})
	}
	for _, level := range []string{"none", "avx2", "avx512"} {
		if _, err := kernels.ParseFeatures(level); err != nil {
			t.Logf("NOT RUN: --cpu-features %s: %v", level, err)
			continue
		}
		variants = append(variants, variant{"--cpu-features " + level, v1.with(), []string{"--cpu-features", level}})
	}
	for name, file := range map[string]string{
		"mlp": mlpJob(t, "batch_size: 20, learning_rate: 0.003, epochs: 3, seed: 11, shards: 3, schedule: {name: cosine, warmup_steps: 20}"),
		"cnn": cnnJob(t, "batch_size: 32, learning_rate: 0.003, epochs: 1, seed: 5, optimizer: {name: sgd, momentum: 0.9, nesterov: true}"),
	} {
		want := ""
		for _, v := range variants {
			r := parse[api.Result](v.b.with(), append([]string{"train", file}, v.args...)...)
			if want == "" {
				want = r.WeightsSHA256
			}
			if r.WeightsSHA256 != want || len(want) != 64 {
				t.Errorf("%s, %s: weights %s, want %s", name, v.name, r.WeightsSHA256, want)
			}
		}
		t.Logf("%s: %d variants gave %s", name, len(variants), want)
	}
}

// A byte flipped in a checkpoint is found and named, by verify and by resume,
// and never trained on.
func TestAFlippedByteInACheckpointIsFound(t *testing.T) {
	b := build(t)
	file := mlpJob(t, "batch_size: 16, learning_rate: 0.001, epochs: 3, seed: 1")
	done := parse[api.Result](b, "train", file)
	dirs, err := filepath.Glob(filepath.Join(b.dataDir, "runs", string(done.RunID), "checkpoints", "*"))
	if err != nil || len(dirs) != 3 {
		t.Fatalf("checkpoints %v, %v", dirs, err)
	}
	for _, name := range []string{"model.safetensors", "optimizer.safetensors", "manifest.json"} {
		path := filepath.Join(dirs[1], name)
		restore := flip(t, path, -3)
		o := b.run("runs", "verify", "latest")
		if o.code != 1 || !strings.Contains(o.stderr, filepath.Base(dirs[1])) || !strings.Contains(o.stderr, name) {
			t.Errorf("%s: exit code %d\n%s", name, o.code, o.stderr)
		}
		restore()
	}
	b.must("runs", "verify", "latest")
	b.must("runs", "verify", "latest", "--from", "90", "--to", "180")
	if o := b.run("runs", "verify", "latest", "--from", "91"); o.code != 2 || !strings.Contains(o.stderr, "--from: 91") {
		t.Errorf("--from 91: exit code %d\n%s", o.code, o.stderr)
	}
}

// A run whose last checkpoint is damaged does not resume from it; it can once the
// file is put back.
func TestResumeRefusesADamagedCheckpoint(t *testing.T) {
	b := build(t)
	c := b.command("train", mlpJob(t, "batch_size: 4, learning_rate: 0.001, epochs: 5000"))
	seen := newSignalWriter("epoch 3/")
	c.Stderr = seen
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	seen.wait(t, time.Minute)
	_ = c.Process.Kill()
	_ = c.Wait()
	dirs, err := filepath.Glob(filepath.Join(b.dataDir, "runs", "*", "checkpoints", "step-*"))
	if err != nil || len(dirs) < 2 {
		t.Fatalf("checkpoints %v, %v", dirs, err)
	}
	last := parse[[]api.Result](b, "runs", "list")[0]
	dir := filepath.Join(filepath.Dir(dirs[0]), fmt.Sprintf("step-%08d", last.Step))
	for _, name := range []string{"model.safetensors", "optimizer.safetensors", "manifest.json"} {
		restore := flip(t, filepath.Join(dir, name), -5)
		o := b.run("runs", "resume", "latest", "-o", "json")
		if o.code != 1 || !strings.Contains(o.stderr, name) || !strings.Contains(o.stderr, filepath.Base(dir)) {
			t.Errorf("%s: exit code %d\n%s", name, o.code, o.stderr)
		}
		if now := parse[[]api.Result](b, "runs", "list")[0]; now.State != "interrupted" || now.Step != last.Step {
			t.Errorf("%s: the run is %+v", name, now)
		}
		restore()
	}
	b.must("runs", "verify", "latest")
	b.must("train", mlpJob(t, "batch_size: 32, learning_rate: 0.001, epochs: 1"))
	checkNoLease(t, b) // the first command that writes ends that of the killed process
}

// A byte flipped in the event table is found and named by everything that reads
// the run, and a run that needs it is not resumed.
func TestAFlippedByteInTheEventLogIsFound(t *testing.T) {
	b := build(t)
	parse[api.Result](b, "train", mlpJob(t, "batch_size: 16, learning_rate: 0.001, epochs: 3, seed: 1"))
	path := filepath.Join(b.dataDir, "events.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	job := mlpJob(t, "batch_size: 16, learning_rate: 0.001, epochs: 1")
	recorded, err := filepath.Glob(filepath.Join(b.dataDir, "runs", "*"))
	if err != nil || len(recorded) != 1 {
		t.Fatalf("runs %v, %v", recorded, err)
	}
	named := 0
	for at := range raw {
		// Every copy of every payload that has one: SQLite leaves some behind in
		// pages that it has rewritten.
		if !strings.HasPrefix(string(raw[at:min(at+20, len(raw))]), `"train_loss":`) {
			continue
		}
		restore := flip(t, path, at+len(`"train_loss":0.`))
		o := b.run("runs", "verify", "latest")
		if o.code != 1 || !strings.Contains(o.stderr, "corrupt") {
			t.Errorf("byte %d: exit code %d\n%s", at, o.code, o.stderr)
		}
		if strings.Contains(o.stderr, "position") {
			named++
			// The list of runs is a projection, which does not read what it has seen.
			for _, args := range [][]string{{"runs", "show", "latest"}, {"projections", "rebuild"}, {"runs", "resume", "latest"}} {
				o := b.run(args...)
				if o.code != 1 || !strings.Contains(o.stderr, "corrupt") || !strings.Contains(o.stderr, "position") {
					t.Errorf("byte %d, reprise %s: exit code %d\n%s", at, strings.Join(args, " "), o.code, o.stderr)
				}
			}
			if o := b.run("train", job); o.code != 1 || !strings.Contains(o.stderr, "corrupt") {
				t.Errorf("byte %d, reprise train: exit code %d\n%s", at, o.code, o.stderr)
			}
			if o := b.run("events", "verify"); o.code != 1 {
				t.Errorf("byte %d, reprise events verify: exit code %d\n%s", at, o.code, o.stdout+o.stderr)
			}
		}
		restore()
		// The log is the one before that run, so its files go as well.
		now, _ := filepath.Glob(filepath.Join(b.dataDir, "runs", "*"))
		for _, dir := range now {
			if dir != recorded[0] {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if named < 4 { // three epochs and the end of the run
		t.Errorf("the damaged event was named %d times", named)
	}
	b.must("runs", "verify", "latest")
}

// flip changes the lowest bit of a byte of a file, counted from the end where
// at is negative, and returns what puts it back.
func flip(t *testing.T, path string, at int) func() {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(raw)
	}
	damaged := append([]byte(nil), raw...)
	damaged[at] ^= 1
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
