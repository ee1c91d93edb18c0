package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"reprise/bench/internal/actorwork"
	"reprise/bench/internal/duel"
)

// work is what a program does in one run, and the figures that result.
type work struct {
	name    string
	n       int
	figures []figure
}

// figure is one result of a work.
type figure struct {
	name, unit string
	lessIsMore bool
}

// better reports whether a is a better result than b.
func (f figure) better(a, b float64) bool { return a != b && a < b == f.lessIsMore }

// config is one way to run a program.
type config struct{ label, env string }

// side is a program in one configuration.
type side struct {
	program string
	config
}

// best is a side's best figures over its rounds, by the name of the figure.
type best struct {
	side    string
	figures map[string]float64
}

// compete lets the sides take turns, each run in its own process, and returns
// the best of each, in the order of the sides.
func (w work) compete(sides []side, rounds, n int) ([]best, error) {
	all := make([]best, len(sides))
	for range rounds {
		for i, s := range sides {
			result, err := s.run(w.name, n)
			if err != nil {
				return nil, err
			}
			all[i].side = result.Side
			if s.label != "" {
				all[i].side += " (" + s.label + ")"
			}
			all[i].add(w.figures, result.Figures)
		}
	}
	return all, nil
}

func (b *best) add(figures []figure, got map[string]float64) {
	if b.figures == nil {
		b.figures = got
		return
	}
	for _, f := range figures {
		if f.better(got[f.name], b.figures[f.name]) {
			b.figures[f.name] = got[f.name]
		}
	}
}

// lines compares ours, the first, with the best of the others in each figure.
func (w work) lines(all []best, threads int) []duel.Line {
	var lines []duel.Line
	for _, f := range w.figures {
		ours, peer := all[0], all[1]
		for _, other := range all[1:] {
			fmt.Fprintf(os.Stderr, "  %s %s: %.4g %s\n", f.name, other.side, other.figures[f.name], f.unit)
			if f.better(other.figures[f.name], peer.figures[f.name]) {
				peer = other
			}
		}
		line := duel.Line{
			Work: f.name, Ours: ours.figures[f.name], Peer: peer.side, Theirs: peer.figures[f.name],
			Unit: f.unit, Threads: threads,
		}
		if line.Ratio = line.Ours / line.Theirs; f.lessIsMore {
			line.Ratio = line.Theirs / line.Ours
		}
		lines = append(lines, line)
	}
	return lines
}

// run runs the program once.
func (s side) run(work string, n int) (actorwork.Result, error) {
	command := exec.Command(s.program, work, strconv.Itoa(n))
	command.Env = os.Environ()
	if s.env != "" {
		command.Env = append(command.Env, s.env)
	}
	var complaints bytes.Buffer
	command.Stderr = &complaints
	var result actorwork.Result
	output, err := command.Output()
	if err == nil {
		err = json.Unmarshal(output, &result)
	}
	if err != nil {
		return result, fmt.Errorf("%s %q %d: %w: %s", s.program, work, n, err, complaints.String())
	}
	return result, nil
}
