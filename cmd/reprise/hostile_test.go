//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reprise/api"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/disk"
)

// guarded runs a command that must end by itself; the deadline only keeps a test
// that fails from waiting for ever.
func (b binary) guarded(args ...string) outcome {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	c := b.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	must1(b.t, c.Start())
	_ = waitGone(ctx, c) // the exit code tells
	if ctx.Err() != nil {
		b.t.Errorf("reprise %s: did not end", strings.Join(args, " "))
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// logEvents returns all events of a log.
func logEvents(t *testing.T, path string) []eventstore.Event {
	t.Helper()
	store, err := sqlite.OpenReadOnly(path)
	must1(t, err)
	var events []eventstore.Event
	_, err = eventstore.Walk(t.Context(), store, 0, eventstore.End, func(e eventstore.Event) error {
		events = append(events, e)
		return nil
	})
	must1(t, err)
	must1(t, store.Close())
	return events
}

// forgeLog makes a log of the events, chained by the published rule.
func forgeLog(t *testing.T, path string, events []eventstore.Event) {
	t.Helper()
	store, err := sqlite.Open(path, sqlite.Config{})
	must1(t, err)
	for _, e := range events {
		_, err := store.Append(t.Context(), eventstore.Write{
			Aggregate: e.Aggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent},
		})
		must1(t, err)
	}
	must1(t, store.Close())
}

// A log may come from anywhere. The name of a run or of a checkpoint in it never
// leads a command out of the folders that it works in.
func TestNamesInAForgedLogLeadNowhere(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t).with()
	b.must("train", mlpJob(t, "batch_size: 256, learning_rate: 0.002, epochs: 1, seed: 3"))
	run := parse[[]api.Result](b, "runs", "list")[0].RunID
	events := logEvents(t, filepath.Join(b.dataDir, "events.db"))
	checkpoint := namesIn(filepath.Join(b.dataDir, "runs", string(run), "checkpoints"))[0]
	for i, name := range []string{
		"../../pwned", "..", ".", "a/b", `a\b`, "/tmp/pwned-by-a-test", "a\x00b", "a\nb", "", "con", ".hidden", strings.Repeat("a", 65),
	} {
		if testing.Short() && i%3 != 0 {
			continue
		}
		for what, old := range map[string]string{"run": string(run), "checkpoint": checkpoint} {
			t.Run(what+" "+name, func(t *testing.T) {
				quoted, err := json.Marshal(name)
				must1(t, err)
				was, err := json.Marshal(old)
				must1(t, err)
				forged := make([]eventstore.Event, len(events))
				for i, e := range events {
					e.Payload = bytes.ReplaceAll(e.Payload, was, quoted)
					if what == "run" {
						e.Aggregate = eventstore.AggregateID(strings.ReplaceAll(string(e.Aggregate), old, name))
					}
					forged[i] = e
				}
				outside := t.TempDir()
				dir := filepath.Join(outside, "a", "b", "data")
				must1(t, os.MkdirAll(dir, 0o755))
				must1(t, os.CopyFS(filepath.Join(dir, "runs"), os.DirFS(filepath.Join(b.dataDir, "runs"))))
				forgeLog(t, filepath.Join(dir, "events.db"), forged)
				f := b
				f.t, f.dataDir = t, dir
				to := func(name string) string { return filepath.Join(outside, "a", "b", "to-"+name) }

				export := f.guarded("events", "export", to("log.jsonl"))
				for _, args := range [][]string{
					{"runs", "list"}, {"runs", "show", strings.ReplaceAll(name, "\x00", "")}, {"runs", "show", "latest"}, {"runs", "verify", "latest"},
					{"runs", "resume", "latest"}, {"runs", "fork", "latest"}, {"events", "verify"}, {"backup", to("backup")},
					{"restore", dir, "--data-dir", to("restored")}, {"events", "salvage", to("salvaged")},
				} {
					o := f.guarded(args...)
					if strings.Contains(o.stderr, "goroutine ") || strings.ContainsAny(o.stdout+o.stderr, "\x00") {
						t.Errorf("reprise %s: %+v", strings.Join(args, " "), o)
					}
					switch args[0] + " " + args[len(args)-1] {
					case "events verify", "restore " + to("restored"), "backup " + to("backup"):
						if o.code == exitCompleted {
							t.Errorf("reprise %s: took it\n%+v", strings.Join(args, " "), o)
						}
					}
				}
				if export.code == exitCompleted {
					f.guarded("events", "import", to("log.jsonl"), "--data-dir", to("imported"))
				}
				for _, folder := range []string{outside, filepath.Join(outside, "a"), filepath.Join(outside, "a", "b")} {
					for _, there := range namesIn(folder) {
						if there != "a" && there != "b" && there != "data" && !strings.HasPrefix(there, "to-") {
							t.Errorf("there is %s", filepath.Join(folder, there))
						}
					}
				}
				for _, made := range []string{"data", "to-backup", "to-restored", "to-salvaged", "to-imported"} {
					for _, there := range namesIn(filepath.Join(outside, "a", "b", made, "runs")) {
						if there != string(run) {
							t.Errorf("in %s there is runs/%q", made, there)
						}
					}
				}
				if disk.Exists("/tmp/pwned-by-a-test") {
					t.Fatal("an absolute path was made")
				}
			})
		}
	}
}

// Whoever opens a pipe waits until somebody writes, unless it is refused.
func TestAPipeInPlaceOfAFileHangsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	b := build(t).with()
	table := filepath.Join(t.TempDir(), "table.csv")
	var rows strings.Builder
	rows.WriteString("a,label\n")
	for i := range 40 {
		rows.WriteString(strings.Repeat("1", i%5+1) + "," + []string{"yes", "no"}[i%2] + "\n")
	}
	must1(t, os.WriteFile(table, []byte(rows.String()), 0o600))
	job := filepath.Join(t.TempDir(), "job.yaml")
	must1(t, os.WriteFile(job, []byte("model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: "+table+
		"\ndataset: {target: label}\nconfig: {batch_size: 8, learning_rate: 0.002, epochs: 2}\n"), 0o600))
	b.must("train", job)
	run := string(parse[[]api.Result](b, "runs", "list")[0].RunID)
	export := filepath.Join(t.TempDir(), "log.jsonl")
	b.must("events", "export", export)
	checkpoints := filepath.Join("runs", run, "checkpoints")
	all := namesIn(filepath.Join(b.dataDir, checkpoints))
	last := filepath.Join(checkpoints, all[len(all)-1])
	pipe := func(t *testing.T, path string) {
		t.Helper()
		_ = os.Remove(path) // it need not be there
		must1(t, unix.Mkfifo(path, 0o600))
	}

	everything := func(to string) [][]string {
		return [][]string{
			{"runs", "list"}, {"runs", "show", "latest"}, {"runs", "metrics", "latest"}, {"runs", "verify", "latest"}, {"runs", "events", "latest"},
			{"events", "verify"}, {"events", "export"}, {"state"}, {"projections", "list"}, {"projections", "rebuild"}, {"actors"},
			{"generate", "latest"}, {"runs", "fork", "latest", "--set", "config.epochs=3"}, {"runs", "resume", "latest"}, {"train", job},
			{"backup", filepath.Join(to, "backup")}, {"events", "salvage", filepath.Join(to, "salvaged")},
		}
	}
	for i, file := range []string{
		"events.db", "events.db-wal", "events.db-shm", "events.db-journal", "lock", "control", "runs",
		filepath.Join("runs", run), filepath.Join("runs", run, "steps.series"), checkpoints, last,
		filepath.Join(last, "model.safetensors"), filepath.Join(last, "optimizer.safetensors"),
		filepath.Join(last, "manifest.json"), filepath.Join(last, "committed.json"),
	} {
		t.Run(strings.ReplaceAll(file, run, "RUN"), func(t *testing.T) {
			dir := t.TempDir()
			must1(t, os.CopyFS(dir, os.DirFS(b.dataDir)))
			must1(t, os.RemoveAll(filepath.Join(dir, file)))
			pipe(t, filepath.Join(dir, file))
			p := b
			p.t, p.dataDir = t, dir
			for k, args := range append(everything(t.TempDir()), []string{"restore", dir, "--data-dir", t.TempDir()}) {
				if testing.Short() && (i+k)%3 != 0 {
					continue
				}
				o := p.guarded(args...)
				if strings.Contains(o.stderr, "goroutine ") {
					t.Errorf("reprise %s: %+v", strings.Join(args, " "), o)
				}
				// Only a person can move the pipe away: the run is left, and the command ends.
				if filepath.Base(file) == "steps.series" && args[0] == "runs" && (args[1] == "fork" || args[1] == "resume") &&
					(o.code == exitCompleted || !strings.Contains(o.stderr, "steps.series: is not a regular file")) {
					t.Errorf("reprise %s: %+v", strings.Join(args, " "), o)
				}
			}
		})
	}

	key := filepath.Join(t.TempDir(), "pipe")
	pipe(t, key)
	for _, args := range [][]string{
		{"train", key}, {"validate", key}, {"events", "import", key, "--data-dir", t.TempDir()}, {"events", "head", "--sign", key},
		{"events", "verify", "--head", key}, {"events", "verify", "--head", key, "--key", key}, {"datasets", "inspect", key},
	} {
		p := b
		p.t = t
		o := p.guarded(args...)
		if o.code != exitInvalid || !strings.Contains(o.stderr, "is not a") {
			t.Errorf("reprise %s: %+v", strings.Join(args, " "), o)
		}
	}
	// The data of a run, and the data directory itself.
	pipe(t, table)
	for _, args := range [][]string{{"train", job}, {"validate", job}, {"runs", "verify", "latest"}, {"runs", "fork", "latest", "--set", "config.epochs=3"}} {
		if o := b.guarded(args...); o.code == exitCompleted || !strings.Contains(o.stderr+o.stdout, "table.csv") {
			t.Errorf("reprise %s: %+v", strings.Join(args, " "), o)
		}
	}
	if o := b.guarded("runs", "list", "--data-dir", key); o.code == exitCompleted {
		t.Errorf("%+v", o)
	}
}
