package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"reprise/api"
)

// Two hundred runs are submitted at once and killed with SIGKILL ten times on the way,
// each time followed by a resume of all that is left: every run ends with the bits that
// its request gives when it is alone, and no lease is left.
func TestTwoHundredRunsSurviveTenKills(t *testing.T) {
	if testing.Short() {
		t.Skip("two hundred runs")
	}
	const runs, kills, requests = 200, 10, 5
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("REPRISE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("REPRISE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := build(t)
	files, want := make([]string, requests), map[uint64]api.Result{} // by the seed of the request
	var alone time.Duration
	for i := range files {
		files[i] = mlpJob(t, fmt.Sprintf("batch_size: 16, learning_rate: 0.002, epochs: 4, seed: %d", i+1))
		began := time.Now()
		want[uint64(i+1)] = parse[api.Result](b.with(), "train", files[i])
		alone += time.Since(began)
	}
	args := []string{"train"}
	for i := range runs {
		args = append(args, files[i%requests])
	}

	b = b.with()
	longest := 2 * alone / requests * runs / kills
	landed := 0
	for landed < kills {
		command := args
		if hasRun(b) {
			command = []string{"runs", "resume", "--all"}
		}
		if killed, _ := killAfter(b, time.Duration(random.Float64()*float64(longest)), command...); !killed {
			break
		}
		landed++
	}
	if landed < kills*3/4 {
		t.Errorf("all runs ended after %d of %d kills within %v each", landed, kills, longest)
	}
	if !hasRun(b) {
		b.must(args...)
	} else if landed == kills {
		b.must("runs", "resume", "--all")
	}
	all := parse[[]api.Result](b, "runs", "list")
	if len(all) != runs {
		t.Fatalf("%d runs are listed, %d were submitted", len(all), runs)
	}
	ended := map[string]int{}
	for _, r := range all {
		if r.State != "completed" {
			t.Errorf("run %s is %s", r.RunID, r.State)
		}
		ended[r.WeightsSHA256]++
	}
	for seed, alone := range want {
		if n := ended[alone.WeightsSHA256]; n != runs/requests {
			t.Errorf("%d runs have the weights that seed %d gives alone, want %d; there are %v", n, seed, runs/requests, ended)
		}
	}
	checkNoLease(t, b)
	b.must("events", "verify")
	t.Logf("%d kills, within %v each", landed, longest)
}
