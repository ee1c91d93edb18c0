package main

import (
	"bufio"
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"reprise/api"
)

// deviceEvents follows the events of the devices, and returns a function that waits for one
// that says all of the words.
func deviceEvents(t *testing.T, b binary) (wait func(words ...string)) {
	t.Helper()
	c := b.command("events", "tail", "--follow", "-n", "1000", "--type", "device.", "-o", "json")
	pipe, err := c.StdoutPipe()
	must1(t, err)
	must1(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	lines := bufio.NewScanner(pipe)
	return func(words ...string) {
		t.Helper()
	next:
		for lines.Scan() {
			for _, w := range words {
				if !strings.Contains(lines.Text(), w) {
					continue next
				}
			}
			return
		}
		t.Fatalf("the log has no %q: %v", words, lines.Err())
	}
}

// The lease that a verification has of a training in another process ends with either
// process, also when it is killed, and nothing else of the other one does.
func TestALeaseEndsWithTheProcessOnEitherSide(t *testing.T) {
	b := build(t)
	b.must("train", mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 100, checkpoint_interval: 100"))
	done := string(parse[[]api.Run](b, "runs", "list")[0].RunID)
	stop := startTraining(t, b)
	wait := deviceEvents(t, b)

	killed := b.command("runs", "verify", done)
	must1(t, killed.Start())
	wait("device.leased.", "verification/"+done)
	must1(t, killed.Process.Kill())
	_ = killed.Wait() // it was killed
	wait("device.released.", "verification/"+done)
	for _, d := range parse[[]api.Device](b, "devices") {
		if len(d.Leases) != 1 || !strings.HasPrefix(d.Leases[0].Holder, "run/") {
			t.Errorf("once the verification was killed: %v", d.Leases)
		}
	}
	stop()

	trainer := b.command("train", mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 1000000, checkpoint_interval: 1000000"))
	must1(t, trainer.Start())
	wait("device.leased.", "run/")
	verifier := b.command("runs", "verify", done)
	var said bytes.Buffer
	verifier.Stdout, verifier.Stderr = &said, &said
	must1(t, verifier.Start())
	wait("device.leased.", "verification/"+done)
	must1(t, trainer.Process.Kill())
	_ = trainer.Wait() // it was killed
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := waitGone(ctx, verifier); err != nil || !strings.Contains(said.String(), "same bits") || strings.Contains(said.String(), "warning") {
		t.Errorf("a verification whose host was killed: %v\n%s", err, said.String())
	}
	b.must("train", mlpJob(t, "batch_size: 480, learning_rate: 0.002, epochs: 1"))
	wait("device.released.", "verification/"+done, "its process ended")
	for _, d := range parse[api.StateReport](b, "state").State.Devices {
		if len(d.Leases) > 0 {
			t.Errorf("left %v", d.Leases)
		}
	}
	b.must("events", "verify")
}
