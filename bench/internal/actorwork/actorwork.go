// Package actorwork defines what bench-actors measures. Every side is a program
// that passes its Side to Main, which does one work, once, and prints the
// figures.
package actorwork

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Message is what actors are sent. All sides pass the same pointer, so that
// none of them has to allocate for it.
type Message struct{ Hops int }

// Side is an actor system. Its actors are supervised and recover from panics,
// which is the default on all sides.
type Side interface {
	// Name returns the library and its version.
	Name() string
	// Tell returns a work for a number of started actors: one goroutine tells
	// them n messages in turn and waits until all are handled.
	Tell(receivers int) func(n int)
	// PingPong returns a work for pairs of started actors: each pair passes a
	// message back and forth until all pairs together have handled n messages.
	PingPong(pairs int) func(n int)
	// Ask returns a work for one started actor: a question with a timeout of
	// AskTimeout and its answer.
	Ask() func()
	// Spawn starts n actors that look after one integer each, under one parent,
	// and returns when each of them has run its start.
	Spawn(n int)
	// Idle is Spawn, after which each actor handles a message.
	Idle(n int)
}

// AskTimeout bounds a question.
const AskTimeout = time.Minute

// Result is what a program prints: figures by the name of the work.
type Result struct {
	Side    string             `json:"side"`
	Figures map[string]float64 `json:"figures"`
}

// The works; asking has two figures.
const (
	Tell     = "tell"
	Tell1000 = "tell 1000"
	PingPong = "ping-pong"
	Spawn    = "spawn"
	Bytes    = "bytes per actor"
	Ask      = "ask"
	AskP50   = "ask p50"
	AskP99   = "ask p99"
)

// Main does the work that the arguments name, n times, and prints the Result.
func Main(side Side) {
	if err := run(side, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(side Side, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: WORK N, not %q", args)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("N must be a number above 0, not %q", args[1])
	}
	figures, err := measure(side, args[0], n)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(Result{Side: side.Name(), Figures: figures})
}

func measure(side Side, work string, n int) (map[string]float64, error) {
	switch work {
	case Tell:
		return map[string]float64{work: rate(side.Tell(1), n)}, nil
	case Tell1000:
		return map[string]float64{work: rate(side.Tell(1000), n)}, nil
	case PingPong:
		return map[string]float64{work: rate(side.PingPong(8), n)}, nil
	case Spawn:
		begin := time.Now()
		side.Spawn(n)
		return map[string]float64{work: float64(n) / time.Since(begin).Seconds()}, nil
	case Bytes:
		before := inUse()
		side.Idle(n)
		figure := float64(inUse()-before) / float64(n)
		runtime.KeepAlive(side)
		return map[string]float64{work: figure}, nil
	case Ask:
		p50, p99 := latency(side.Ask(), n)
		return map[string]float64{AskP50: p50, AskP99: p99}, nil
	}
	return nil, fmt.Errorf("%q is not one of the works", work)
}

// rate returns how many units per second the work does, once it is warm.
func rate(work func(n int), n int) float64 {
	work(max(1, n/10))
	runtime.GC()
	begin := time.Now()
	work(n)
	return float64(n) / time.Since(begin).Seconds()
}

// latency returns the median and the 99th percentile in microseconds.
func latency(work func(), n int) (p50, p99 float64) {
	took := make([]time.Duration, n)
	for range n / 10 {
		work()
	}
	runtime.GC()
	for i := range took {
		begin := time.Now()
		work()
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[n/2].Seconds() * 1e6, took[n*99/100].Seconds() * 1e6
}

// inUse returns the bytes of heap and stack spans in use after a collection,
// including unused space within them and the cost of goroutines.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
