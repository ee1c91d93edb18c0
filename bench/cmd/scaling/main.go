// Command scaling prints the time of our training step against batch, width and
// context, one line of JSON per point.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/work"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

func run() error {
	rounds := flag.Int("rounds", 5, "rounds of each; the best counts")
	seconds := flag.Float64("seconds", 0.1, "length of a round, at least one step")
	only := flag.String("work", "", "only works whose name contains this")
	axis := flag.String("axis", "", "only this axis: batch, width or context")
	out := flag.String("out", "", "file to which the lines are also written")
	flag.Parse()

	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	for _, s := range work.Scaling() {
		if !strings.Contains(s.Work, *only) || *axis != "" && s.Axis != *axis {
			continue
		}
		fmt.Fprintf(os.Stderr, "  %s against %s\n", s.Work, s.Axis)
		if err := measure(s, duel.Config{Rounds: *rounds, Seconds: *seconds}, to); err != nil {
			return fmt.Errorf("%s against %s: %w", s.Work, s.Axis, err)
		}
	}
	return nil
}

// measure lets all points of a series take turns, so that other load on the
// machine does not cause a jump between two of them.
func measure(s work.Series, config duel.Config, to io.Writer) error {
	var sides []duel.Side
	var lines []duel.Scaling
	for _, threads := range []int{1, 2} {
		for _, p := range s.Points {
			side, err := p.New(threads)
			if err != nil {
				return err
			}
			defer side.Close()
			sides = append(sides, side)
			lines = append(lines, duel.Scaling{Work: s.Work, Axis: s.Axis, Value: p.Value, Threads: threads, Cost: 1e9 / p.Units, Unit: "ns/" + s.Unit})
		}
	}
	rates, err := duel.Compare(config, sides...)
	if err != nil {
		return err
	}
	for i, l := range lines {
		l.Seconds = 1 / rates[i]
		l.Cost *= l.Seconds
		if err := l.Write(to); err != nil {
			return err
		}
	}
	return nil
}
