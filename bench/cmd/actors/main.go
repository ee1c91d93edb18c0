// Command actors compares our actor system with Hollywood and Proto.Actor, and
// prints one line of JSON per work: ours against the better of the two.
// README.md describes the method.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"reprise/bench/internal/actorwork"
	"reprise/bench/internal/duel"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "actors:", err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 10, "rounds of each side; the best counts")
	scale := flag.Float64("scale", 1, "multiplies the amount of work of a round")
	only := flag.String("work", "", "only works whose name contains this")
	out := flag.String("out", "", "file to which the lines are also written")
	tuned := flag.Bool("tuned", false, "the peers also compete in configurations other than their default")
	source := flag.String("peers", "peers", "folder of the sides' programs")
	flag.Parse()

	folder, err := os.MkdirTemp("", "reprise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	sides, err := buildAll(*source, folder, *tuned)
	if err != nil {
		return err
	}
	for _, w := range works {
		if !strings.Contains(w.name, *only) {
			continue
		}
		best, err := w.compete(sides, max(1, *rounds), max(1, int(float64(w.n)**scale)))
		if err != nil {
			return err
		}
		for _, line := range w.lines(best, runtime.GOMAXPROCS(0)) {
			if err := line.Write(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// buildAll builds ours, which comes first, and the peers, in each configuration
// worth trying if tuned is set.
func buildAll(source, folder string, tuned bool) ([]side, error) {
	var sides []side
	for _, program := range []struct {
		folder  string
		configs []config
	}{
		{"reprise", []config{{}}},
		// With its default of 1024 places, 100,000 actors take minutes and
		// gigabytes; 64 places are as fast for messages.
		{"hollywood", []config{{label: "inbox of 64", env: "INBOX=64"}, {label: "inbox of 1024", env: "INBOX=1024"}}},
		{"protoactor", []config{{}, {label: "lock-free mailbox", env: "MAILBOX=lockfree"}}},
	} {
		to, err := filepath.Abs(filepath.Join(folder, program.folder))
		if err != nil {
			return nil, err
		}
		build := exec.Command("go", "build", "-o", to, ".")
		build.Dir = filepath.Join(source, program.folder)
		if output, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", program.folder, err, strings.TrimSpace(string(output)))
		}
		if !tuned {
			program.configs = program.configs[:1]
		}
		for _, c := range program.configs {
			sides = append(sides, side{program: to, config: c})
		}
	}
	return sides, nil
}

// works lists what is measured, and the amount per round.
var works = []work{
	{name: actorwork.Tell, n: 5_000_000, figures: []figure{{actorwork.Tell, "messages/s", false}}},
	{name: actorwork.Tell1000, n: 5_000_000, figures: []figure{{actorwork.Tell1000, "messages/s", false}}},
	{name: actorwork.PingPong, n: 2_000_000, figures: []figure{{actorwork.PingPong, "messages/s", false}}},
	{name: actorwork.Spawn, n: 200_000, figures: []figure{{actorwork.Spawn, "actors/s", false}}},
	{name: actorwork.Bytes, n: 100_000, figures: []figure{{actorwork.Bytes, "bytes", true}}},
	{name: actorwork.Ask, n: 100_000, figures: []figure{{actorwork.AskP50, "µs", true}, {actorwork.AskP99, "µs", true}}},
}
