package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A follower that is there before the log is prints every event once, in order,
// while another process writes them.
func TestTailFollowsAnotherProcess(t *testing.T) {
	b := build(t).with()
	if err := os.MkdirAll(b.dataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tail := b.command("events", "tail", "-f", "--after", "0", "--type", "training.", "-o", "json")
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { _ = tail.Process.Kill() })()
	file := mlpJob(t, "batch_size: 64, learning_rate: 0.002, epochs: 3")
	b.must("train", file)
	b.must("train", file)
	var followed []event
	for lines, ended := bufio.NewScanner(out), 0; ended < 2 && lines.Scan(); {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		followed = append(followed, e)
		if e.Type == "training.dataset_unloaded.v1" {
			ended++
		}
	}
	if err := tail.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := tail.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("Ctrl-C: %v, want exit code %d", err, exitInterrupted)
	}
	var want []event
	for _, run := range parse[[]result](b, "runs", "list") {
		want = append(want, parse[[]event](b, "runs", "events", string(run.RunID))...)
	}
	if len(followed) != len(want) {
		t.Fatalf("%d events, want %d", len(followed), len(want))
	}
	for i := range want {
		if followed[i].ID != want[i].ID {
			t.Errorf("event %d is %s of type %s, want %s of type %s", i, followed[i].ID, followed[i].Type, want[i].ID, want[i].Type)
		}
	}
}
