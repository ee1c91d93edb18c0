// Command peers compares our training steps with those of PyTorch, GoMLX and
// Gorgonia, and prints one line of JSON per work and peer. See README.md for
// what the peers need.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/peer"
	"reprise/bench/internal/work"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	rounds := flag.Int("rounds", 15, "rounds of each side; the best counts")
	seconds := flag.Float64("seconds", 0.4, "length of a round")
	threads := flag.Int("threads", 2, "threads of our side")
	only := flag.String("work", "", "only works whose name contains this")
	against := flag.String("peer", "", "only peers whose name contains this, in lower case")
	out := flag.String("out", "", "file to which the lines are also written")
	source := flag.String("peers", "peers", "folder of the peers")
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
	all := allPeers{
		pytorch(*source, false),
		pytorch(*source, true),
		gomlx(*source, folder),
		gorgonia(*source, folder),
	}
	for _, w := range work.All() {
		if !strings.Contains(w.Name, *only) {
			continue
		}
		peers := all.of(w.Name, *against)
		if err := compare(w, peers, duel.Config{Rounds: *rounds, Seconds: *seconds}, *threads, folder, to); err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	return nil
}

// compare prints the lines of one work.
func compare(w work.Work, peers []peer.Peer, config duel.Config, threads int, folder string, to io.Writer) error {
	file, err := w.File()
	if err != nil {
		return err
	}
	contest := peer.Contest{
		Work:  w.Name,
		Units: float64(w.Batch * w.PerSample), Unit: w.Unit, Threads: threads,
		Tolerance: func([]float32) float64 { return 1e-3 },
		File:      filepath.Join(folder, w.Name), Folder: folder,
	}
	if err := file.Write(contest.File); err != nil {
		return err
	}
	side, err := w.NewSide(file, threads)
	if err != nil {
		return err
	}
	defer side.Close()
	contest.Ours = side
	for _, p := range peers {
		if err := contest.Compare(config, p).Write(to); err != nil {
			return err
		}
	}
	return nil
}

// entrant is a peer and the works it can do.
type entrant struct {
	works []string
	at    func(work string) peer.Peer
}

type allPeers []entrant

// of returns the peers for a work.
func (all allPeers) of(name, against string) []peer.Peer {
	var out []peer.Peer
	for _, e := range all {
		for _, w := range e.works {
			if p := e.at(name); w == name && strings.Contains(strings.ToLower(p.Name), against) {
				out = append(out, p)
			}
		}
	}
	return out
}
