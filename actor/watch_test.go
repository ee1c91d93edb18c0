package actor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/actor"
)

// party is an actor that watches and is watched, under a supervisor of its own.
type party struct {
	ref       actor.Ref[do]
	home      *actor.Supervisor
	temporary bool

	incarnations int
	// What it has done, or what was done to it, that may end it.
	left, failed, told bool
	failures           int

	terminated int   // how often the events reported its end
	cause      error // as the events gave it
}

// restarts is how many failures of a permanent party are forgiven.
const restarts = 3

// over reports whether the party must have ended, once nothing is left to do.
func (p *party) over() bool {
	if p.temporary && (p.left || p.failed) {
		return true
	}
	return p.told || p.failures > restarts
}

// mayEndOf reports whether the party's history explains the cause.
func (p *party) mayEndOf(cause error) bool {
	var gaveUp *actor.GaveUpError
	var abandoned *actor.AbandonedError
	switch {
	case cause == nil:
		return p.told || p.temporary && p.left
	case errors.As(cause, &gaveUp):
		return !p.temporary && p.failures == restarts+1
	case errors.As(cause, &abandoned): // another one that hangs lets its time pass as well
		return p.told
	default:
		return errors.Is(cause, errBoom) && p.temporary && p.failed
	}
}

func (p *party) leave(ctx *actor.Context[do]) error {
	p.left = true
	p.failures++ // to a permanent one that is a failure
	ctx.Stop()
	return nil
}

func (p *party) fail(*actor.Context[do]) error {
	p.failed = true
	p.failures++
	return errBoom
}

// watching is a watch, and what its watcher was told.
type watching struct {
	watch           *actor.Watching
	watcher, target *party
	stopped         bool // Stop has said that nothing will be told
	heard           []error
}

// watchModel is a number of parties, and what is known about their watches.
type watchModel struct {
	driver  *stepper
	system  *actor.System
	parties []*party
	watches []*watching
}

func newWatchModel(t *testing.T, seed uint64) *watchModel {
	m := &watchModel{driver: newStepper(seed)}
	m.system = steppedSystem(t, m.driver, actor.Config{OnEvent: func(e actor.Event) {
		end, ok := e.(actor.ActorTerminated)
		if !ok {
			return
		}
		for _, p := range m.parties {
			if p.ref.Path() == end.Path {
				p.terminated++
				p.cause = end.Cause
			}
		}
	}})
	return m
}

func (m *watchModel) spawn(t *testing.T, temporary bool) {
	p := &party{temporary: temporary}
	p.home = supervise(t, m.system.Root(), actor.SupervisorSpec{
		Name: fmt.Sprint(len(m.parties)), Restart: actor.Temporary,
		Intensity: actor.Intensity{Restarts: restarts, Period: 1000 * time.Hour},
	})
	spec := actor.Spec[do]{Name: "party", New: func() actor.Actor[do] { p.incarnations++; return &script{} }}
	if temporary {
		spec.Restart = actor.Temporary
	}
	p.ref = spawn(t, p.home, spec)
	m.parties = append(m.parties, p)
}

// hang keeps the party busy until its time to stop has passed.
func (m *watchModel) hang(p *party) do {
	return func(*actor.Context[do]) error {
		p.told = true
		p.home.End()
		m.driver.pass(actor.DefaultStopTimeout)
		m.driver.pass(actor.CutGrace)
		return nil
	}
}

// check verifies what must always hold.
func (m *watchModel) check(rt *rapid.T) {
	for i, w := range m.watches {
		switch {
		case len(w.heard) > 1:
			rt.Fatalf("watch %d heard %v", i, w.heard)
		case len(w.heard) == 0:
		case w.stopped:
			rt.Fatalf("watch %d heard %v and was stopped", i, w.heard)
		case w.target.terminated == 0 || w.heard[0] != w.target.cause: //nolint:errorlint // the very same
			rt.Fatalf("watch %d heard %v; %s ended %d times, of %v", i, w.heard, w.target.ref, w.target.terminated, w.target.cause)
		}
	}
	for _, p := range m.parties {
		if p.terminated > 1 || p.terminated == 1 && !p.mayEndOf(p.cause) {
			rt.Fatalf("%s ended of %v: %+v", p.ref, p.cause, p)
		}
	}
}

// checkSettled verifies what must hold when nothing is left to do.
func (m *watchModel) checkSettled(rt *rapid.T) {
	of, by := map[*party]int{}, map[*party]int{}
	for i, w := range m.watches {
		ended, gone := w.target.terminated > 0, w.watcher.terminated > 0
		if ended && !gone && !w.stopped && len(w.heard) != 1 {
			rt.Fatalf("watch %d of %s for %s heard nothing", i, w.target.ref, w.watcher.ref)
		}
		if !ended && !gone && !w.stopped {
			of[w.target]++
			by[w.watcher]++
		}
	}
	for _, p := range m.parties {
		if p.over() != (p.terminated > 0) {
			rt.Fatalf("%s ended %d times: %+v", p.ref, p.terminated, p)
		}
		if gotOf, gotBy := p.ref.Watches(); gotOf != of[p] || gotBy != by[p] {
			rt.Fatalf("%s is held in %d watches and holds %d, want %d and %d", p.ref, gotOf, gotBy, of[p], by[p])
		}
	}
}

// Parties watch each other, stop watching, leave, fail, restart, hang and are
// abandoned, in every order that a driver may choose. A party that watches to
// the end is told of it and its cause once, in whatever incarnation.
func TestAWatcherIsToldOfAnEndAndItsCauseOnce(t *testing.T) {
	var heard, stopped, late, abandoned, gaveUp, reborn int
	rapid.Check(t, func(rt *rapid.T) {
		m := newWatchModel(t, rapid.Uint64().Draw(rt, "seed"))
		for _, temporary := range rapid.SliceOfN(rapid.Bool(), 2, 5).Draw(rt, "temporary") {
			m.spawn(t, temporary)
		}
		pick := func(what string) *party { return m.parties[rapid.IntRange(0, len(m.parties)-1).Draw(rt, what)] }
		tell := func(p *party, what do) {
			if err := p.ref.Tell(what); (err != nil) != (p.terminated > 0) {
				rt.Fatalf("tell %s, which has ended %d times: %v", p.ref, p.terminated, err)
			}
		}
		watch := func(rt *rapid.T) {
			w := &watching{watcher: pick("watcher"), target: pick("target")}
			fails := rapid.IntRange(0, 3).Draw(rt, "fails") == 0
			born := w.watcher.incarnations
			watch, err := actor.Watch(w.watcher.ref, w.target.ref, func(cause error) do {
				return func(ctx *actor.Context[do]) error {
					w.heard = append(w.heard, cause)
					if heard++; w.watcher.incarnations > born && born > 0 {
						reborn++
					}
					if fails {
						return w.watcher.fail(ctx)
					}
					return nil
				}
			})
			if gone := w.watcher.terminated > 0; gone != errors.Is(err, actor.ErrStopped) || !gone && err != nil {
				rt.Fatalf("watch for %s, which has ended %d times: %v", w.watcher.ref, w.watcher.terminated, err)
			}
			if err == nil {
				w.watch = watch
				m.watches = append(m.watches, w)
			}
		}
		actions := map[string]func(*rapid.T){
			"":        m.check,
			"step":    func(*rapid.T) { m.driver.step() },
			"step on": func(*rapid.T) { m.driver.step(); m.driver.step(); m.driver.step() },
			"settle":  func(rt *rapid.T) { m.driver.settle(); m.check(rt); m.checkSettled(rt) },
			"watch":   watch, "watch too": watch, "watch as well": watch, // what ends is watched
			"stop to": func(rt *rapid.T) {
				if len(m.watches) == 0 {
					rt.Skip("there is none")
				}
				w := m.watches[rapid.IntRange(0, len(m.watches)-1).Draw(rt, "watch")]
				want := !w.stopped && len(w.heard) == 0 && w.watcher.terminated == 0
				if got := w.watch.Stop(); got != want {
					rt.Fatalf("stop: %t, want %t: %+v", got, want, w)
				}
				if w.stopped = w.stopped || want; want {
					if stopped++; w.target.terminated > 0 {
						late++
					}
				}
			},
			"spawn": func(rt *rapid.T) { m.spawn(t, rapid.Bool().Draw(rt, "temporary")) },
			"leave": func(*rapid.T) { p := pick("leaves"); tell(p, p.leave) },
			"fail":  func(*rapid.T) { p := pick("fails"); tell(p, p.fail) },
			"hang":  func(*rapid.T) { p := pick("hangs"); tell(p, m.hang(p)) },
			"end":   func(*rapid.T) { p := pick("ends"); p.told = true; p.home.End() },
		}
		for range 5 {
			rt.Repeat(actions)
		}
		m.driver.settle()
		m.check(rt)
		m.checkSettled(rt)
		for _, p := range m.parties {
			var given *actor.GaveUpError
			var left *actor.AbandonedError
			if errors.As(p.cause, &given) {
				gaveUp++
			}
			if errors.As(p.cause, &left) {
				abandoned++
			}
		}
	})
	t.Logf("%d ends were heard of, %d of them in a later incarnation; %d watches stopped, %d of them with news on the way; %d parties abandoned, %d given up",
		heard, reborn, stopped, late, abandoned, gaveUp)
	if testing.Short() {
		return // too few histories to meet every case
	}
	if !t.Failed() && (heard == 0 || reborn == 0 || stopped == 0 || late == 0 || abandoned == 0 || gaveUp == 0) {
		t.Error("some of these cases never happened")
	}
}
