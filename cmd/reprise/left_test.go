//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/api"
	"reprise/training"
)

// Runs that wait when the process that trains ends, by a signal or by a kill, are
// interrupted, also under the next process, and `runs resume --all` has them all wait
// again: those whose data are gone say so, and wait with the others. A client whose run
// waited ends like one whose run trained.
func TestRunsThatWaitedAreInterruptedUnderTheNextProcess(t *testing.T) {
	b := build(t)
	folder := t.TempDir()
	table, file := filepath.Join(folder, "flats.csv"), filepath.Join(folder, "flats.yaml")
	must1(t, os.WriteFile(table, []byte("rooms,kind\n"+strings.Repeat("1,a\n2,b\n3,a\n4,b\n", 20)), 0o600))
	must1(t, os.WriteFile(file, []byte("model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: flats.csv\ndataset: {target: kind}\nconfig: {batch_size: 8, learning_rate: 0.01, epochs: 1}\n"), 0o600))
	holder := b.command("train", endless(t))
	out := launched(t, holder, "epoch 1/")
	b.must("train", "--detach", brief(t, 1))
	b.must("train", "--detach", file)
	b.must("train", "--detach", "--set", "job.after=[latest]", brief(t, 2))
	client := b.command("train", brief(t, 3))
	said := launched(t, client, followed)
	count := func(state training.State, want int) {
		t.Helper()
		n := 0
		runs := parse[[]api.Run](b, "runs", "list")
		for _, r := range runs {
			if r.State == state {
				n++
			}
		}
		if n != want {
			t.Errorf("%d runs are %s, want %d: %+v", n, state, want, runs)
		}
	}
	if code := end(t, holder, syscall.SIGINT); code != exitInterrupted {
		t.Errorf("exit code %d\n%s", code, out.text())
	}
	_ = client.Wait() // the exit code tells
	if code := client.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("the client whose run waited: exit code %d\n%s", code, said.text())
	}
	count(training.Interrupted, 5)
	if s := parse[api.SystemState](b, "state"); s.Note != "" || len(s.Queue) > 0 {
		t.Errorf("without a process: %q, queue %+v", s.Note, s.Queue)
	}
	must1(t, os.Remove(table))
	for left := 5; left <= 6; left++ {
		holder = b.command("train", endless(t))
		launched(t, holder, "epoch 1/")
		count(training.Interrupted, left)
		if s := parse[api.SystemState](b, "state"); len(s.Queue) > 0 {
			t.Errorf("under the next process: queue %+v", s.Queue)
		}
		b.must("runs", "resume", "--all", "--detach")
		count(training.Interrupted, 0)
		var reason string
		for until := time.Now().Add(endingLimit); time.Now().Before(until) && !strings.Contains(reason, "put it back"); {
			for _, r := range parse[[]api.Run](b, "runs", "list") {
				if r.Dataset == table {
					reason = r.Reason
				}
			}
		}
		if want := "the run's data are missing: there is no " + table + "; put it back, or say where the data are now when the run is resumed"; reason != want {
			t.Errorf("a run without its data waits because of %q, want %q", reason, want)
		}
		must1(t, holder.Process.Kill())
		_ = holder.Wait() // it was killed
	}
	count(training.Interrupted, 7)
	b.must("events", "verify")
}
