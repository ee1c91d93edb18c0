//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"reprise/api"
	"reprise/internal/flock"
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
	for _, command := range []string{"cancel a", "pause --all", "priority latest"} {
		lock, err := flock.Acquire(w.LockPath(), flock.Info{PID: os.Getpid(), Command: "reprise runs " + command, StartedAt: now})
		must1(t, err)
		called := func(context.Context, api.Service) error { return errors.New("it was called") }
		refused := env.refuseDetach()
		again, err := env.withHolder(t.Context(), now, detaching, refused, called)
		var e *api.Error
		if again || !errors.As(err, &e) || e.Code != api.DirInUse || !strings.Contains(err.Error(), "reprise runs "+command) {
			t.Errorf("%s: %v, %v", command, again, err)
		}
		must1(t, lock.Release())
		if again, _ := env.withHolder(t.Context(), now.Add(time.Second), detaching, refused, called); !again {
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
