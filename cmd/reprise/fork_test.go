package main

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"reprise/api"
)

// A fork is killed with SIGKILL at random moments, each time followed by a
// resume, and compared with one that was never killed.
func TestAForkIsKilledAtRandomMoments(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	n := kills(t)
	file := mlpJob(t, "batch_size: 8, learning_rate: 0.002, epochs: 80, seed: 3, checkpoint_interval: 2")
	parentIn := func(b binary) []string {
		parent := parse[api.Result](b, "train", file)
		return []string{"runs", "fork", string(parent.RunID), "--from", "1440", "--set", "config.learning_rate=0.001"}
	}
	reference := build(t).with()
	start := parentIn(reference)
	began := time.Now()
	want := parse[api.Result](reference, start...)
	longest := 2 * time.Since(began) / time.Duration(max(n, 6))

	b := reference.with()
	start = parentIn(b)
	landed := 0
	for landed < n {
		args := start
		if len(parse[[]api.Result](b, "runs", "list")) > 1 {
			args = []string{"runs", "resume", "latest"}
		}
		if killed, _ := killAfter(b, time.Duration(random.Float64()*float64(longest)), args...); !killed {
			break
		}
		landed++
	}
	runs := parse[[]api.Result](b, "runs", "list")
	if len(runs) == 1 {
		b.must(start...)
	} else if runs[1].State != "completed" {
		b.must("runs", "resume", "latest")
	}
	if landed == 0 {
		t.Error("it was never killed")
	}
	t.Logf("%d kills within %v each", landed, longest)
	got := parse[[]api.Result](b, "runs", "list")[1]
	got.RunID = want.RunID
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after the kills:\n%+v\nnever killed:\n%+v", got, want)
	}
	metrics := []string{"runs", "metrics", "latest"}
	if got, want := parse[series](b, metrics...), parse[series](reference, metrics...); !reflect.DeepEqual(got, want) {
		t.Errorf("%d epochs and %d steps of metrics differ from the %d and %d of the fork that was never killed",
			len(got.Epochs), len(got.Steps), len(want.Epochs), len(want.Steps))
	}
	b.must("runs", "verify", "latest")
	checkNoLease(t, b)
}
