// Package peer starts a peer in its best configuration and compares it with
// ours.
package peer

import (
	"fmt"
	"os"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/wire"
)

// Peer is a program to compare with, in all configurations worth trying.
type Peer struct {
	// Name is used in the line of a peer that did not start.
	Name           string
	Configurations []Configuration
	// Missing, if not nil, is why the peer could not be built.
	Missing error
}

// Configuration is one way to run a peer.
type Configuration struct {
	Label   string // such as "2 threads"
	Command []string
	Env     []string
}

// Contest is one work that ours and its peers do.
type Contest struct {
	Work string
	// Units of work in one Run, in Unit: samples, or billions of operations.
	Units float64
	Unit  string
	// Threads of ours.
	Threads int
	// Ours does the work in this process; nil, with Why, if it cannot yet.
	Ours duel.Side
	Why  error
	// Tolerance of each value of the result, given theirs.
	Tolerance func(theirs []float32) float64
	// File is what the peers load.
	File string
	// Folder is for results.
	Folder string
}

// Compare measures ours against one peer and returns its line. The peer's
// configurations compete first, in short rounds, and the fastest is used.
func (c *Contest) Compare(config duel.Config, p Peer) duel.Line {
	line := duel.Line{Work: c.Work, Peer: p.Name, Unit: c.Unit, Threads: c.Threads}
	if p.Missing != nil {
		line.Error = p.Missing.Error()
		return line
	}
	theirs, label, err := c.start(config, p)
	if err != nil {
		line.Error = err.Error()
		return line
	}
	defer theirs.Close()
	line.Peer = fmt.Sprintf("%s (%s)", theirs.Name, label)
	if err := c.measure(config, theirs, &line); err != nil {
		line.Error = err.Error()
	}
	return line
}

func (c *Contest) measure(config duel.Config, theirs *wire.Process, line *duel.Line) error {
	want, err := theirs.Check()
	if err != nil {
		return err
	}
	if c.Ours == nil {
		rates, err := duel.Compare(config, theirs)
		if err != nil {
			return err
		}
		line.Theirs = rates[0] * c.Units
		return c.Why
	}
	got, err := c.Ours.Check()
	if err != nil {
		return err
	}
	if err := duel.Agree(got, want, c.Tolerance(want)); err != nil {
		return err
	}
	rates, err := duel.Compare(config, c.Ours, theirs)
	if err != nil {
		return err
	}
	line.Ours, line.Theirs = rates[0]*c.Units, rates[1]*c.Units
	line.Ratio = line.Ours / line.Theirs
	return nil
}

// start returns the peer in its fastest configuration. It fails if any
// configuration does not start, since a peer at less than its best proves
// nothing.
func (c *Contest) start(config duel.Config, p Peer) (*wire.Process, string, error) {
	var processes []*wire.Process
	var sides []duel.Side
	best := -1
	defer func() {
		for i, process := range processes {
			if i != best {
				process.Close()
			}
		}
	}()
	for _, configuration := range p.Configurations {
		process, err := wire.Start(configuration.Command, configuration.Env, c.Folder, c.File)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", configuration.Label, err)
		}
		processes, sides = append(processes, process), append(sides, process)
	}
	if len(processes) == 1 {
		best = 0
		return processes[0], p.Configurations[0].Label, nil
	}
	rates, err := duel.Compare(duel.Config{Rounds: (config.Rounds + 1) / 2, Seconds: config.Seconds}, sides...)
	if err != nil {
		return nil, "", err
	}
	best = 0
	for i, rate := range rates {
		fmt.Fprintf(os.Stderr, "  %s %s (%s): %.4g %s\n", c.Work, p.Name, p.Configurations[i].Label, rate*c.Units, c.Unit)
		if rate > rates[best] {
			best = i
		}
	}
	return processes[best], p.Configurations[best].Label, nil
}
