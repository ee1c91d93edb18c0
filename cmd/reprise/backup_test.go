package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"reprise/api"
)

// A backup that is made while a run trains holds a moment of it; from there the
// run resumes to the bits of one that was never disturbed.
func TestABackupOfARunningRunGoesOnToTheSameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	epochs := 150
	if testing.Short() {
		epochs = 50
	}
	file := mlpJob(t, fmt.Sprintf("batch_size: 8, learning_rate: 0.002, epochs: %d, seed: 3, checkpoint_interval: 2", epochs))
	reference := build(t).with()
	want := parse[api.Result](reference, "train", file)

	b := reference.with()
	c := b.command("train", file)
	started := newSignalWriter("epoch 5/")
	c.Stderr = started
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	started.wait(t, time.Minute)
	copied := filepath.Join(t.TempDir(), "copy")
	b.must("backup", copied)

	restored := reference.with()
	restored.dataDir = filepath.Join(t.TempDir(), "again")
	restored.must("restore", copied)
	restored.must("events", "verify")
	runs := parse[[]api.Result](restored, "runs", "list")
	if len(runs) != 1 || runs[0].Step == 0 || runs[0].State != "interrupted" {
		t.Fatalf("restored: %+v", runs)
	}
	got := parse[api.Result](restored, "runs", "resume", "latest")
	if got.WeightsSHA256 != want.WeightsSHA256 || got.Step != want.Step {
		t.Errorf("from the backup:\n%+v\nundisturbed:\n%+v", got, want)
	}
	restored.must("runs", "verify", "latest")
}
