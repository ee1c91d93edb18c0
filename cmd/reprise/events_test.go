package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/datadir"
)

// A changed event is named by every way to look at the log, and by verify with
// exit code 1 and a verdict that programs can read.
func TestVerifyNamesTheFirstBadEvent(t *testing.T) {
	b := build(t).with()
	b.must("train", mlpJob(t, "batch_size: 64, learning_rate: 0.002, epochs: 3"))
	file := datadir.Workspace{Dir: b.dataDir}.EventsPath()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bad event
	for _, e := range parse[[]event](b, "runs", "events", "latest") {
		if e.Type == "training.epoch_completed.v1" {
			bad = e
		}
	}
	var payload bytes.Buffer // as it is stored
	if err := json.Compact(&payload, bad.Payload); err != nil {
		t.Fatal(err)
	}
	offset := bytes.Index(raw, payload.Bytes())
	if offset < 0 {
		t.Fatal("the event is not in the file")
	}
	raw[offset+len(`{"epoch":`)] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	o := b.run("events", "verify", "-o", "json")
	var verdict struct {
		Verified bool
		Problem  *struct {
			Position uint64
			What     string
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &verdict); err != nil || o.code != 1 || verdict.Verified || verdict.Problem == nil {
		t.Fatalf("exit code %d, %v\n%s%s", o.code, err, o.stdout, o.stderr)
	}
	if verdict.Problem.Position != bad.Position {
		t.Errorf("named is position %d, changed was %d: %s", verdict.Problem.Position, bad.Position, verdict.Problem.What)
	}
	if o := b.run("events", "verify"); o.code != 1 || !strings.Contains(o.stdout, "NOT VERIFIED: the first bad event is at position") {
		t.Errorf("exit code %d\n%s", o.code, o.stdout)
	}
	at := strconv.FormatUint(bad.Position, 10)
	for _, args := range [][]string{{"state", "--at", at}, {"runs", "show", "latest"}, {"runs", "verify", "latest"},
		{"events", "tail"}, {"events", "export"}} {
		if o := b.run(args...); o.code != 1 || !strings.Contains(o.stderr, "corrupt") {
			t.Errorf("reprise %v: exit code %d\n%s", args, o.code, o.stderr)
		}
	}
}

// A follower that is there before the log is prints every event once, in order,
// while another process writes them.
func TestTailFollowsAnotherProcess(t *testing.T) {
	for _, way := range []string{serviceDirect, serviceSocket} {
		t.Run(way, func(t *testing.T) { tailFollowsAnotherProcess(t, way) })
	}
}

func tailFollowsAnotherProcess(t *testing.T, way string) {
	b := build(t).with()
	if err := os.MkdirAll(b.dataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tail := b.command("events", "tail", "-f", "--after", "0", "--type", "training.", "-o", "json")
	tail.Env = append(tail.Environ(), "REPRISE_SERVICE="+way)
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
	for _, run := range parse[[]api.Result](b, "runs", "list") {
		for _, e := range parse[[]event](b, "runs", "events", string(run.RunID)) {
			if strings.HasPrefix(e.Type, "training.") {
				want = append(want, e)
			}
		}
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
