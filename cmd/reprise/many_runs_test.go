package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"reprise/api"
)

// Two hundred runs are submitted at once, to one CPU, and killed with SIGKILL ten times on
// the way, each time followed by a resume of all that is left: every run ends with the bits
// that its request gives when it is alone, and no lease is left.
func TestTwoHundredRunsSurviveTenKills(t *testing.T) {
	if testing.Short() {
		t.Skip("two hundred runs")
	}
	const runs, epochs, kills, requests = 200, 4, 10, 5
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("REPRISE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("REPRISE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := build(t)
	files, want := make([]string, requests), map[uint64]api.Result{} // by the seed of the request
	for i := range files {
		files[i] = mlpJob(t, fmt.Sprintf("batch_size: 16, learning_rate: 0.002, epochs: %d, seed: %d", epochs, i+1))
		want[uint64(i+1)] = parse[api.Result](b.with(), "train", files[i])
	}
	command := []string{"train"}
	for i := range runs {
		command = append(command, files[i%requests])
	}

	b = b.with("GOMAXPROCS=1")
	for kill := range kills {
		submitted := kill > 0
		recorded, left := 0, 1+random.IntN(runs*epochs/(2*kills)) // half of the epochs at most
		killWhen(b, func(line string) bool {
			if strings.Contains(line, "] run ") {
				recorded++
			}
			submitted = submitted || recorded == runs
			if submitted && strings.Contains(line, "] epoch ") {
				left--
			}
			return left == 0
		}, command...)
		command = []string{"runs", "resume", "--all"}
	}
	b.must(command...)
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
}

// killWhen runs a command and kills it once it has written a line to its standard error for
// which now holds. It fails if the command ends before that.
func killWhen(b binary, now func(line string) bool, args ...string) {
	b.t.Helper()
	c := b.command(args...)
	pipe, err := c.StderrPipe()
	must1(b.t, err)
	must1(b.t, c.Start())
	var all strings.Builder
	killed := false
	for lines := bufio.NewScanner(io.TeeReader(pipe, &all)); lines.Scan(); {
		if !killed && now(lines.Text()) {
			must1(b.t, c.Process.Kill())
			killed = true
		}
	}
	if err := c.Wait(); !killed || c.ProcessState.ExitCode() != -1 {
		b.t.Fatalf("reprise %s was to be killed (reached: %t), and ended with %v\n%s", args[0], killed, err, all.String())
	}
}
