// Command protoactor is the side of github.com/asynkron/protoactor-go in
// bench-actors.
package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"reprise/bench/internal/actorwork"
)

type message = *actorwork.Message

func main() {
	quiet := func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
	s := &side{root: actor.NewActorSystem(actor.WithLoggerFactory(quiet)).Root}
	if os.Getenv("MAILBOX") == "lockfree" {
		s.options = []actor.PropsOption{actor.WithMailbox(actor.UnboundedLockfree())}
	}
	actorwork.Main(s)
}

type side struct {
	root    *actor.RootContext
	options []actor.PropsOption
}

func (s *side) Name() string { return "Proto.Actor 2024-08-22" }

func (s *side) start(a actor.Actor) *actor.PID {
	return s.root.Spawn(actor.PropsFromProducer(func() actor.Actor { return a }, s.options...))
}

type receiver struct {
	left int
	done *sync.WaitGroup
}

func (r *receiver) Receive(c actor.Context) {
	if _, ok := c.Message().(message); !ok {
		return
	}
	if r.left--; r.left == 0 {
		r.done.Done()
	}
}

func (s *side) Tell(receivers int) func(n int) {
	var done sync.WaitGroup
	actors, pids := make([]*receiver, receivers), make([]*actor.PID, receivers)
	for i := range pids {
		actors[i] = &receiver{done: &done}
		pids[i] = s.start(actors[i])
	}
	m := &actorwork.Message{}
	return func(n int) {
		for i, a := range actors {
			if a.left = (n + receivers - 1 - i) / receivers; a.left > 0 {
				done.Add(1)
			}
		}
		for n > 0 {
			for i := 0; i < receivers && n > 0; i++ {
				s.root.Send(pids[i], m)
				n--
			}
		}
		done.Wait()
	}
}

type player struct {
	other *actor.PID
	done  *sync.WaitGroup
}

func (p *player) Receive(c actor.Context) {
	m, ok := c.Message().(message)
	if !ok {
		return
	}
	if m.Hops--; m.Hops <= 0 {
		p.done.Done()
		return
	}
	c.Send(p.other, m)
}

func (s *side) PingPong(pairs int) func(n int) {
	var done sync.WaitGroup
	pids := make([]*actor.PID, pairs)
	for i := range pids {
		ping, pong := &player{done: &done}, &player{done: &done}
		pids[i] = s.start(ping)
		pong.other, ping.other = pids[i], s.start(pong)
	}
	return func(n int) {
		done.Add(pairs)
		for _, pid := range pids {
			s.root.Send(pid, &actorwork.Message{Hops: n / pairs})
		}
		done.Wait()
	}
}

type answerer struct{ m message }

func (a *answerer) Receive(c actor.Context) {
	if _, ok := c.Message().(message); ok {
		c.Respond(a.m)
	}
}

func (s *side) Ask() func() {
	pid := s.start(&answerer{&actorwork.Message{}})
	m := &actorwork.Message{}
	return func() {
		if _, err := s.root.RequestFuture(pid, m, actorwork.AskTimeout).Result(); err != nil {
			panic(err)
		}
	}
}

// counter is the actor of Spawn and Idle.
type counter struct {
	n    int
	done *sync.WaitGroup
}

func (c *counter) Receive(context actor.Context) {
	switch context.Message().(type) {
	case *actor.Started:
		c.done.Done()
	case message:
		c.n++
		c.done.Done()
	}
}

func (s *side) Spawn(n int) { s.spawn(n) }

func (s *side) spawn(n int) (pids []*actor.PID, done *sync.WaitGroup) {
	done = &sync.WaitGroup{}
	done.Add(n)
	props := actor.PropsFromProducer(func() actor.Actor { return &counter{done: done} }, s.options...)
	pids = make([]*actor.PID, n)
	for i := range pids {
		pids[i] = s.root.Spawn(props)
	}
	done.Wait()
	return pids, done
}

func (s *side) Idle(n int) {
	pids, done := s.spawn(n)
	done.Add(n)
	m := &actorwork.Message{}
	for _, pid := range pids {
		s.root.Send(pid, m)
	}
	done.Wait()
}
