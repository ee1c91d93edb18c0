// Command events compares the event store with PostgreSQL and embedded NATS
// JetStream: appends, replay and recovery, with one line of JSON per work and
// peer. PostgreSQL is Debian's postgresql; the command starts its own server in
// a temporary folder, with default settings.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/events"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

// side is a log, or the reason why it is missing.
type side struct {
	name string
	log  events.Log
	err  error
}

// work is done by all sides in turn. Its rate is in units per second.
type work struct {
	name  string
	units int
	unit  string
	do    func(ctx context.Context, log events.Log, round int) error
	peers int // how many of the peers can do it
	// samples of a turn are timed one by one, and the best counts.
	samples int
}

type bench struct {
	rounds    int
	only      string
	to        io.Writer
	folder    string
	million   int // events of the recovery
	aggregate int // events of the replay
}

func run(ctx context.Context) (err error) {
	var b bench
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each side; the best counts")
	flag.StringVar(&b.only, "work", "", "only works whose name contains this")
	flag.IntVar(&b.million, "events", 1_000_000, "number of events in the recovered log, a multiple of 1000")
	flag.IntVar(&b.aggregate, "replay", 10_000, "number of events in the replayed aggregate")
	out := flag.String("out", "", "file to which the lines are also written")
	within := flag.String("folder", "", "where the logs are stored; the system's temporary folder if empty")
	flag.Parse()
	if b.folder, err = os.MkdirTemp(*within, "reprise-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(b.folder, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	b.to = to
	return errors.Join(b.durable(ctx), b.unsynced(ctx))
}

// open opens ours and then the peers.
func (b *bench) open(ctx context.Context, name string, durable bool) ([]side, error) {
	folder := func(peer string) string { return filepath.Join(b.folder, name+"-"+peer) }
	ours, err := events.OpenReprise(folder("reprise")+".db", durable)
	if err != nil {
		return nil, err
	}
	sides := []side{{name: "reprise", log: ours}, {name: "PostgreSQL"}, {name: "JetStream"}}
	if err := os.Mkdir(folder("pg"), 0o700); err != nil {
		return nil, err
	}
	if p, err := events.StartPostgres(ctx, folder("pg"), durable); err != nil {
		sides[1].err = err
	} else {
		sides[1].log = p
	}
	if j, err := events.StartJetStream(ctx, folder("nats"), durable); err != nil {
		sides[2].err = err
	} else {
		sides[2].log = j
	}
	return sides, nil
}

func closeAll(sides []side) error {
	var err error
	for _, s := range sides {
		if s.log != nil {
			err = errors.Join(err, s.log.Close())
		}
	}
	return err
}

// appends has each writer append n events to its own new aggregate.
func appends(kind string, writers, n int) work {
	noun := "1 writer"
	if writers > 1 {
		noun = fmt.Sprintf("%d writers", writers)
	}
	return work{
		name: fmt.Sprintf("%s append, %s", kind, noun), units: writers * n, unit: "events/s", peers: 2, samples: 1,
		do: func(ctx context.Context, log events.Log, round int) error {
			return log.Append(ctx, events.Names(fmt.Sprintf("append-%d-%d", writers, round), writers), n)
		},
	}
}

func (b *bench) durable(ctx context.Context) (err error) {
	sides, err := b.open(ctx, "durable", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	works := []work{appends("durable", 1, 400), appends("durable", 8, 250), appends("durable", 64, 150)}
	for _, w := range works {
		if err := b.compare(ctx, sides, w); err != nil {
			return err
		}
	}
	return errors.Join(b.replays(ctx, sides), b.recovery(ctx, sides))
}

func (b *bench) unsynced(ctx context.Context) (err error) {
	works := []work{appends("not durable", 1, 2000), appends("not durable", 64, 200)}
	if !b.wants(works...) {
		return nil
	}
	sides, err := b.open(ctx, "unsynced", false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(sides)) }()
	for _, w := range works {
		if err := b.compare(ctx, sides, w); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) replays(ctx context.Context, sides []side) error {
	replay := func(name, aggregate string, useSnapshot bool, peers int) work {
		want := events.Want(b.aggregate)
		return work{name: fmt.Sprintf("replay of %d events, %s", b.aggregate, name), units: 1, unit: "replays/s", peers: peers, samples: 20,
			do: func(ctx context.Context, log events.Log, _ int) error {
				got, err := log.Replay(ctx, aggregate, useSnapshot)
				if err == nil && got != want {
					err = fmt.Errorf("state %+v, want %+v", got, want)
				}
				return err
			}}
	}
	plain := replay("no snapshot", "replayed", false, 2)
	snapshot := replay("snapshot 100 events before the end", "remembered", true, 1)
	if b.wants(plain) {
		if err := fill(ctx, sides[:3], []string{"replayed"}, b.aggregate, 0); err != nil {
			return err
		}
		if err := b.compare(ctx, sides, plain); err != nil {
			return err
		}
	}
	if !b.wants(snapshot) {
		return nil
	}
	if err := fill(ctx, sides[:2], []string{"remembered"}, b.aggregate, b.aggregate-100); err != nil {
		return err
	}
	return b.compare(ctx, sides, snapshot)
}

// recovery opens a log of a thousand aggregates of equal length and restores
// the state of all of them, from snapshots that are ten events old.
func (b *bench) recovery(ctx context.Context, sides []side) error {
	const aggregates = 1000
	each := b.million / aggregates
	names, want := events.Names("recovered", aggregates), events.Want(each)
	works := []work{
		{name: fmt.Sprintf("recovery of %d events in %d aggregates with snapshots", b.million, aggregates), units: 1, unit: "recoveries/s", peers: 1, samples: 1,
			do: func(ctx context.Context, log events.Log, _ int) error {
				if err := log.Reopen(ctx); err != nil {
					return err
				}
				return events.Recovery(ctx, log, names, runtime.GOMAXPROCS(0), want)
			}},
		{name: fmt.Sprintf("recovery of %d events in %d aggregates, every event read", b.million, aggregates), units: 1, unit: "recoveries/s", peers: 1, samples: 1,
			do: func(ctx context.Context, log events.Log, _ int) error {
				if err := log.Reopen(ctx); err != nil {
					return err
				}
				n, err := log.ReadAll(ctx)
				if err == nil && n < b.million {
					err = fmt.Errorf("read %d events", n)
				}
				return err
			}},
	}
	if !b.wants(works...) {
		return nil
	}
	if err := fill(ctx, sides[:2], names, each, each-10); err != nil {
		return err
	}
	for _, w := range works {
		if err := b.compare(ctx, sides, w); err != nil {
			return err
		}
	}
	return nil
}

func fill(ctx context.Context, sides []side, names []string, n, snapshot int) error {
	for _, s := range sides {
		if s.log == nil {
			continue
		}
		if err := s.log.Fill(ctx, names, n, snapshot); err != nil {
			return fmt.Errorf("fill %s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) wants(works ...work) bool {
	for _, w := range works {
		if strings.Contains(w.name, b.only) {
			return true
		}
	}
	return false
}

// patience is how long a side may take for a work before it gets no more
// rounds.
const patience = 15 * time.Second

// compare lets the sides take turns and prints one line per peer.
func (b *bench) compare(ctx context.Context, sides []side, w work) error {
	if !b.wants(w) {
		return nil
	}
	sides = sides[:1+w.peers]
	rates, errs := make([]float64, len(sides)), make([]error, len(sides))
	spent := make([]time.Duration, len(sides))
	for round := range b.rounds {
		for i, s := range sides {
			errs[i] = cmp.Or(errs[i], s.err)
			for sample := range w.samples {
				if errs[i] != nil || spent[i] > patience {
					break
				}
				began := time.Now()
				errs[i] = w.do(ctx, s.log, round*w.samples+sample)
				took := time.Since(began)
				spent[i] += took
				rates[i] = max(rates[i], float64(w.units)/took.Seconds())
			}
		}
	}
	if errs[0] != nil {
		return fmt.Errorf("%s: %w", w.name, errs[0])
	}
	for i, s := range sides[1:] {
		line := duel.Line{Work: w.name, Ours: rates[0], Peer: s.name, Unit: w.unit, Threads: runtime.GOMAXPROCS(0)}
		if err := errs[i+1]; err != nil {
			line.Error = err.Error()
		} else {
			line.Theirs, line.Ratio = rates[i+1], rates[0]/rates[i+1]
		}
		if err := line.Write(b.to); err != nil {
			return err
		}
	}
	return nil
}
