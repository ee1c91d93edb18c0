package integration

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reprise/dataset"
)

var (
	histories = flag.Uint64("histories", 0, "simulate this many `histories` instead of the usual number")
	firstSeed = flag.Uint64("seed", 0, "the `seed` of the first simulated history")
)

// simulatedData has only a few samples: a history is about what happens around them.
func simulatedData(t testing.TB) *dataset.Dataset {
	t.Helper()
	file := filepath.Join(t.TempDir(), "data.csv")
	var rows strings.Builder
	rows.WriteString("x,y,class\n")
	for i := range 8 {
		fmt.Fprintf(&rows, "%d,%d,%c\n", i, i*i%5, 'a'+rune(i%2))
	}
	if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(context.Background(), dataset.Source{Path: file, Target: "class", ValidationFraction: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if n := data.Len(dataset.Train); n != 6 {
		t.Fatalf("%d training samples", n)
	}
	return data
}

// simulate plays a history and fails with its transcript if something was
// violated.
func simulate(t testing.TB, seed uint64, data *dataset.Dataset) map[string]int {
	t.Helper()
	h := newHistory(seed, data, false)
	if h.play() {
		return h.counts
	}
	again := newHistory(seed, data, true)
	again.play()
	lines := again.lines
	const most = 150
	if len(lines) > most {
		lines = append([]string{fmt.Sprintf("(%d lines before)", len(lines)-most)}, lines[len(lines)-most:]...)
	}
	t.Errorf("seed %d: %s\n%s\nrepeat it with: go test ./integration -run TestSimulatedHistories -histories 1 -seed %d",
		seed, h.violation, strings.Join(lines, "\n"), seed)
	return h.counts
}

// TestSimulatedHistories plays histories of the whole control side, seed after
// seed: saga, scheduler, supervisors, event log and checkpoints, with a
// simulated clock and a disk and devices that fail. See docs/simulation.md.
func TestSimulatedHistories(t *testing.T) {
	n := *histories
	switch {
	case n > 0:
	case testing.Short(), raceEnabled:
		n = 500
	default:
		n = 10_000
	}
	// Histories are many and short-lived, and so is what they allocate.
	defer debug.SetGCPercent(debug.SetGCPercent(1000))
	data := simulatedData(t)
	var mu sync.Mutex
	counts := map[string]int{}
	var next atomic.Uint64
	var group sync.WaitGroup
	start := time.Now()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			mine := map[string]int{}
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				for what, n := range mine {
					counts[what] += n
				}
			}()
			for i := next.Add(1) - 1; i < n && !t.Failed(); i = next.Add(1) - 1 {
				for what, n := range simulate(t, *firstSeed+i, data) {
					mine[what] += n
				}
				if done := i + 1; n > 20_000 && done%20_000 == 0 {
					rate := float64(done) / time.Since(start).Seconds()
					fmt.Fprintf(os.Stderr, "%d of %d histories, seeds %d to %d: %.0f a second, %v left\n",
						done, n, *firstSeed, *firstSeed+i, rate, time.Duration(float64(n-done)/rate*float64(time.Second)).Round(time.Second))
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	var table strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&table, "\n%10d %s", counts[what], what)
	}
	t.Logf("%d histories, seeds %d to %d, in %v%s", n, *firstSeed, *firstSeed+n-1, time.Since(start).Round(time.Millisecond), &table)
	if n < 500 {
		return
	}
	for what, per1000 := range coverageFloor() {
		if least := per1000 * int(n) / 1000; counts[what] < least {
			t.Errorf("%s: %d in %d histories, want at least %d", what, counts[what], n, least)
		}
	}
}

// coverageFloor is the least that a thousand histories must contain: a simulation in
// which nothing happens proves nothing.
func coverageFloor() map[string]int {
	return map[string]int{
		"actors restarted":           1000,
		"append conflicts":           200,
		"append failures":            400,
		"appends of unknown outcome": 200,
		"appends to a full disk":     400,
		"changes of health":          5,
		"checkpoints":                1000,
		"checkpoints failed":         60,
		"compensation steps":         500,
		"crashes":                    200,
		"data sets lost":             150,
		"device deaths":              50,
		"device errors":              100,
		"disk errors":                200,
		"epochs reproduced":          150,
		"evaluations within epochs":  500,
		"forks":                      50,
		"forks completed":            30,
		"hosts closed":               800,
		"hosts closed in mid-flight": 50,
		"hosts given up on":          50,
		"interruptions":              800,
		"jobs cancelled":             20,
		"jobs completed":             100,
		"jobs deferred":              50,
		"jobs paused":                15,
		"jobs resumed":               10,
		"jobs that came after":       20,
		"interruptions by the user":  200,
		"leases recovered":           150,
		"operations on a full disk":  100,
		"out of memory":              25,
		"panics":                     100,
		"power losses":               100,
		"processes":                  1200,
		"read failures":              100,
		"recoveries":                 200,
		"runs completed":             500,
		"runs failed":                250,
		"runs given up on":           60,
		"runs left to recovery":      800,
		"runs resumed":               500,
		"runs started":               1000,
		"runs stopped early":         50,
		"runs that gave way":         10,
		"runs that had to wait":      50,
		"slow steps":                 300,
		"stale leases refused":       200,
	}
}

func TestTheSameSeedGivesTheSameHistory(t *testing.T) {
	data := simulatedData(t)
	for seed := range uint64(100) {
		first, second := newHistory(seed, data, true), newHistory(seed, data, true)
		first.play()
		second.play()
		if !slices.Equal(first.lines, second.lines) {
			for i := range min(len(first.lines), len(second.lines)) {
				if first.lines[i] != second.lines[i] {
					t.Fatalf("seed %d, line %d: %q, then %q", seed, i, first.lines[i], second.lines[i])
				}
			}
			t.Fatalf("seed %d: %d lines, then %d", seed, len(first.lines), len(second.lines))
		}
	}
}

// TestHistoriesThatOnceFailed plays the seeds that once found something: the
// seed is the first word of a line, and the rest says what it found.
func TestHistoriesThatOnceFailed(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("testdata", "simulation", "seeds.txt"))
	if err != nil {
		t.Fatal(err)
	}
	data := simulatedData(t)
	for line := range strings.Lines(string(table)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		word, _, _ := strings.Cut(line, " ")
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		simulate(t, seed, data)
	}
}
