package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"reprise/actor"
	"reprise/fault"
)

// job is what the routees of these tests handle: it says what to do.
type job struct {
	key  string
	what func(ctx *actor.Context[job]) error
}

// routed is a pool whose routees report their names.
func routed(t testing.TB, s *actor.System, spec actor.PoolSpec[job]) *actor.RouterPool[job] {
	t.Helper()
	spec.Supervisor.Name = "pool"
	spec.Key = func(j job) string { return j.key }
	spec.Routee.New = func() actor.Actor[job] { return worker{} }
	p, err := actor.SpawnPool(s.Root(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type worker struct{}

func (worker) Receive(ctx *actor.Context[job], j job) error { return j.run(ctx) }

func (j job) run(ctx *actor.Context[job]) error {
	if j.what == nil {
		return nil
	}
	return j.what(ctx)
}

// handler returns the name of the routee that handles a job with the key.
func handler(t testing.TB, p *actor.RouterPool[job], key string) string {
	t.Helper()
	name := make(chan string, 1)
	if err := p.Route(job{key, func(ctx *actor.Context[job]) error {
		name <- ctx.Name()
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	return wait(t, name, "the job")
}

func TestRoundRobinTakesRouteesInTurn(t *testing.T) {
	p := routed(t, newSystem(t, actor.Config{}), actor.PoolSpec[job]{Size: 3})
	var got []string
	for range 7 {
		got = append(got, handler(t, p, ""))
	}
	equal(t, got, []string{"1", "2", "3", "1", "2", "3", "1"})
}

func TestAKeyMovesOnlyToARouteeThatJoinsOrFromOneThatLeaves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const keys = 2000
		s := newSystem(t, actor.Config{})
		size := rapid.IntRange(1, 12).Draw(rt, "routees")
		salt := rapid.StringN(0, 8, -1).Draw(rt, "salt")
		p := routed(t, s, actor.PoolSpec[job]{Size: size, Routing: actor.ConsistentHash})
		place := func() []string {
			names := make([]string, keys)
			for i := range names {
				names[i] = p.Choose(job{key: fmt.Sprint(salt, i)})
			}
			return names
		}
		// n draws with probability 1/n' each, and five deviations: a fair hash
		// fails once in millions.
		near := func(moved, n int) {
			share := 1 / float64(n)
			if d := math.Abs(float64(moved) - keys*share); d > 5*math.Sqrt(keys*share*(1-share))+1 {
				rt.Errorf("%d of %d keys moved, of %d routees, want about %.0f", moved, keys, n, keys*share)
			}
		}
		before := place()
		joined, err := p.Add()
		if err != nil {
			rt.Fatal(err)
		}
		after, moved := place(), 0
		for i := range after {
			if after[i] != before[i] {
				moved++
				if after[i] != joined {
					rt.Fatalf("a key moved from %s to %s when %s joined", before[i], after[i], joined)
				}
			}
		}
		near(moved, size+1)
		left := rapid.SampledFrom(p.Routees()).Draw(rt, "leaves")
		if err := p.Remove(left); err != nil {
			rt.Fatal(err)
		}
		moved = 0
		for i, name := range place() {
			if name != after[i] {
				moved++
				if after[i] != left {
					rt.Fatalf("a key moved from %s to %s when %s left", after[i], name, left)
				}
			}
		}
		near(moved, size+1)
		if err := shutdown(t, s); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestEqualKeysGoToOneRoutee(t *testing.T) {
	p := routed(t, newSystem(t, actor.Config{}), actor.PoolSpec[job]{Size: 5, Routing: actor.ConsistentHash})
	for i := range 20 {
		key := fmt.Sprint(i)
		if a, b := handler(t, p, key), handler(t, p, key); a != b {
			t.Errorf("key %s went to %s and then to %s", key, a, b)
		}
	}
}

func TestLeastLoadedTakesTheShortestMailbox(t *testing.T) {
	s := newSystem(t, actor.Config{})
	p := routed(t, s, actor.PoolSpec[job]{Size: 3, Routing: actor.LeastLoaded, Routee: actor.Spec[job]{Blocking: true}})
	hold, held := make(chan struct{}), make(chan struct{}, 3)
	block := job{what: func(*actor.Context[job]) error {
		held <- struct{}{}
		<-hold
		return nil
	}}
	for _, d := range p.Broadcast(block) {
		if d.Err != nil {
			t.Fatal(d)
		}
	}
	for range 3 {
		wait(t, held, "a routee that is busy")
	}
	for range 7 {
		if err := p.Route(job{}); err != nil {
			t.Fatal(err)
		}
	}
	depths := depthsBelow(s.Tree(), "/pool")
	slices.Sort(depths)
	if !slices.Equal(depths, []int{2, 2, 3}) {
		t.Errorf("depths %v, want 7 spread evenly", depths)
	}
	close(hold)
}

// Messages that other actors would take at once still count as load.
func TestLeastLoadedCountsEveryWaitingMessage(t *testing.T) {
	s := newSystem(t, actor.Config{Workers: 2})
	p := routed(t, s, actor.PoolSpec[job]{Size: 2, Routing: actor.LeastLoaded})
	held, hold := make(chan struct{}), make(chan struct{})
	block := job{what: func(*actor.Context[job]) error {
		held <- struct{}{}
		<-hold
		return nil
	}}
	const waiting = 50
	p.Broadcast(block)
	wait(t, held, "a routee that is busy")
	wait(t, held, "the other one")
	p.Broadcast(block)
	for range waiting {
		p.Broadcast(job{})
	}
	hold <- struct{}{}
	hold <- struct{}{}
	wait(t, held, "a routee that is busy again")
	wait(t, held, "the other one again")
	if depths := depthsBelow(s.Tree(), "/pool"); !slices.Equal(depths, []int{waiting, waiting}) {
		t.Errorf("depths %v, want %d each", depths, waiting)
	}
	close(hold)
}

func depthsBelow(tree actor.Tree, path string) (depths []int) {
	for _, c := range tree.Children {
		if tree.Path == path {
			depths = append(depths, c.Depth)
		}
		depths = append(depths, depthsBelow(c, path)...)
	}
	return depths
}

func TestARouteeThatIsRestartedKeepsItsKeysAndItsMailbox(t *testing.T) {
	for _, routing := range []actor.Routing{actor.RoundRobin, actor.ConsistentHash, actor.LeastLoaded} {
		t.Run(routing.String(), func(t *testing.T) {
			p := routed(t, newSystem(t, actor.Config{}), actor.PoolSpec[job]{Size: 1, Routing: routing})
			first := handler(t, p, "k")
			if err := p.Route(job{"k", func(*actor.Context[job]) error { return errBoom }}); err != nil {
				t.Fatal(err)
			}
			if again := handler(t, p, "k"); again != first {
				t.Errorf("%s took over from %s", again, first)
			}
		})
	}
}

func TestMessagesForARouteeThatHasEndedGoToAnother(t *testing.T) {
	for _, routing := range []actor.Routing{actor.RoundRobin, actor.ConsistentHash, actor.LeastLoaded} {
		t.Run(routing.String(), func(t *testing.T) {
			ended := newRecorder()
			s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
				switch e := e.(type) {
				case actor.ActorTerminated:
					ended.log("%s ended", e.Path)
				case actor.DeadLetter:
					ended.log("dead letter for %s", e.To)
				}
			}})
			p := routed(t, s, actor.PoolSpec[job]{Size: 2, Routing: routing, Routee: actor.Spec[job]{Restart: actor.Transient}})
			leaver := make(chan string, 1)
			if err := p.Route(job{"k", func(ctx *actor.Context[job]) error {
				leaver <- ctx.Name()
				ctx.Stop()
				return nil
			}}); err != nil {
				t.Fatal(err)
			}
			gone := wait(t, leaver, "the routee that leaves")
			ended.wait(t, 1)
			for range 4 {
				if who := handler(t, p, "k"); who == gone {
					t.Fatalf("%s, which has ended, was given a job", who)
				}
			}
			for _, line := range ended.all()[1:] {
				t.Error(line)
			}
			if d := p.Broadcast(job{}); len(d) > 2 || d[len(d)-1].Err != nil && d[0].Err != nil {
				t.Errorf("broadcast gave %v", d)
			}
			if d := p.Broadcast(job{}); len(d) != 1 || d[0].Err != nil {
				t.Errorf("the next broadcast gave %v", d)
			}
		})
	}
}

func TestABroadcastReportsTheResultForEach(t *testing.T) {
	ended := newRecorder()
	s := newSystem(t, actor.Config{OnEvent: func(e actor.Event) {
		if e, ok := e.(actor.ActorTerminated); ok {
			ended.log("%s", e.Path)
		}
	}})
	p := routed(t, s, actor.PoolSpec[job]{Size: 3, Routee: actor.Spec[job]{
		Restart: actor.Temporary, Blocking: true, Mailbox: actor.Mailbox{Capacity: 1},
	}})
	hold, held := make(chan struct{}), make(chan struct{})
	defer close(hold)
	// The first routee ends, the second is busy and its mailbox full.
	if err := p.Route(job{what: func(*actor.Context[job]) error { return errBoom }}); err != nil {
		t.Fatal(err)
	}
	ended.wait(t, 1)
	if err := p.Route(job{what: func(*actor.Context[job]) error {
		close(held)
		<-hold
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	wait(t, held, "the busy routee")
	first := p.Broadcast(job{})
	if len(first) != 3 || !errors.Is(first[0].Err, actor.ErrStopped) || first[1].Err != nil || first[2].Err != nil {
		t.Errorf("broadcast gave %v", first)
	}
	second := p.Broadcast(job{})
	if len(second) != 2 || second[0].Key != "2" || !errors.Is(second[0].Err, actor.ErrMailboxFull) {
		t.Errorf("the next broadcast gave %v", second)
	}
}

func TestAPoolWithoutRouteesRefuses(t *testing.T) {
	p := routed(t, newSystem(t, actor.Config{}), actor.PoolSpec[job]{Size: 1})
	if err := p.Remove("1"); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove("1"); !errors.Is(err, actor.ErrNoRoute) {
		t.Errorf("removed twice: %v", err)
	}
	if err := p.Route(job{}); !errors.Is(err, actor.ErrNoRoute) {
		t.Errorf("routed to nobody: %v", err)
	}
	if name, err := p.Add(); err != nil || name != "2" {
		t.Errorf("Add gave %q, %v", name, err)
	}
	if who := handler(t, p, ""); who != "2" {
		t.Errorf("%s answered", who)
	}
	if err := p.Supervisor().Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Add(); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("added to a pool that was stopped: %v", err)
	}
}

func TestInvalidPoolSettingsAreRefused(t *testing.T) {
	s := newSystem(t, actor.Config{})
	routee := actor.Spec[job]{New: func() actor.Actor[job] { return worker{} }}
	named := routee
	named.Name = "me"
	for field, spec := range map[string]actor.PoolSpec[job]{
		"Size":        {Routee: routee},
		"Routee.Name": {Size: 1, Routee: named},
		"Routing":     {Size: 1, Routee: routee, Routing: 9},
		"Key":         {Size: 1, Routee: routee, Routing: actor.ConsistentHash},
		"New":         {Size: 1},
	} {
		_, err := actor.SpawnPool(s.Root(), spec)
		var refused *fault.FieldError
		if !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
