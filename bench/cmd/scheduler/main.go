// Command scheduler replays traces of jobs on a simulated cluster under several
// policies of the queue, a line of JSON for each.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"reprise/bench/internal/cluster"
	"reprise/bench/internal/duel"
	"reprise/queue"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scheduler:", err)
		os.Exit(1)
	}
}

func run() error {
	trace := flag.String("trace", "", "CSV file with job_id, user, num_gpu, submit_time and duration, in minutes; a generated trace if empty")
	jobs := flag.Int("jobs", 30_756, "jobs of the generated trace")
	seed := flag.Uint64("seed", 1, "seed of the generated trace")
	workers := flag.Int("workers", 138, "workers of the cluster, eight devices each")
	checkpoint := flag.Duration("checkpoint", time.Minute, "how long a job that gives way still holds its devices")
	restart := flag.Duration("restart", 2*time.Minute, "how long it holds the next ones before it makes progress")
	only := flag.String("policy", "", "only policies whose name contains this")
	front := flag.Bool("front", false, "the default policy for a range of patience, too")
	figure := flag.String("figure", "", "SVG file for mean completion against the longest wait")
	recorded := flag.String("recorded", "", "file of lines to draw the figure from, in place of replays")
	out := flag.String("out", "", "file that the lines are also written to")
	flag.Parse()

	if *recorded != "" {
		lines, err := cluster.ReadLines(*recorded)
		if err != nil {
			return err
		}
		return draw(*figure, lines)
	}
	named, list, err := read(*trace, *jobs, *seed)
	if err != nil {
		return err
	}
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	var lines []cluster.Line
	for _, p := range policies(*front) {
		if !strings.Contains(p.name, *only) {
			continue
		}
		r, err := cluster.Replay(list, cluster.Config{
			Workers: *workers, DevicesPerWorker: 8, Policy: p.Policy, Estimates: p.known,
			Checkpoint: *checkpoint, Restart: *restart, Tick: 5 * time.Minute,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		l := r.Line()
		l.Trace, l.Policy, l.Known, l.Devices, l.Patience = named, p.name, p.known, *workers*8, p.Patience.Minutes()
		if err := l.Write(to); err != nil {
			return err
		}
		lines = append(lines, l)
	}
	return draw(*figure, lines)
}

// draw writes the figure of the lines, if a file is named.
func draw(path string, lines []cluster.Line) error {
	if path == "" {
		return nil
	}
	svg, err := cluster.Front(lines).SVG()
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}

// read returns the trace and its name.
func read(path string, jobs int, seed uint64) (string, []cluster.Job, error) {
	if path == "" {
		return fmt.Sprintf("generated, seed %d", seed), cluster.Generate(jobs, seed), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	list, err := cluster.Read(io.Reader(file))
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	return strings.TrimSuffix(file.Name()[strings.LastIndex(file.Name(), "/")+1:], ".csv"), list, nil
}

// policy is one to replay.
type policy struct {
	queue.Policy
	name  string
	known bool // how long jobs take
}

func policies(front bool) []policy {
	all := []policy{
		{queue.DefaultPolicy(), "default", false},
		{queue.Policy{Order: queue.OrderSubmission, Backfill: queue.BackfillNone}, "FIFO", false},
		{queue.Policy{Order: queue.OrderSubmission}, "FIFO with skipping", false},
		{queue.Policy{Order: queue.OrderSubmission, Backfill: queue.BackfillEasy}, "EASY backfill", true},
		{queue.Policy{Order: queue.OrderShare}, "fair share", false},
		{queue.Policy{Order: queue.OrderRemaining}, "shortest job first", true},
	}
	if !front {
		return all
	}
	var curve []policy
	for _, minutes := range []time.Duration{750, 1000, 1250, 1500, 1750, 2000, 2500, 3000, 4000, 6000} {
		p := policy{queue.DefaultPolicy(), "default", false}
		p.Patience = minutes * time.Minute
		p.Ageing = max(p.Ageing, 2*p.Patience) // as by default: nobody waits that long
		curve = append(curve, p)
	}
	return append(curve, all[1:]...)
}
