// Command hollywood is the side of github.com/anthdm/hollywood in bench-actors.
package main

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"

	"github.com/anthdm/hollywood/actor"

	"reprise/bench/internal/actorwork"
)

type message = *actorwork.Message

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	engine, err := actor.NewEngine(actor.NewEngineConfig())
	if err != nil {
		panic(err)
	}
	s := &side{engine: engine}
	if size := os.Getenv("INBOX"); size != "" {
		n, err := strconv.Atoi(size)
		if err != nil {
			panic(err)
		}
		s.options = []actor.OptFunc{actor.WithInboxSize(n)}
	}
	actorwork.Main(s)
}

type side struct {
	engine  *actor.Engine
	options []actor.OptFunc
}

func (s *side) Name() string { return "Hollywood 1.0.5" }

func (s *side) start(r actor.Receiver) *actor.PID {
	return s.engine.Spawn(func() actor.Receiver { return r }, "actor", s.options...)
}

type receiver struct {
	left int
	done *sync.WaitGroup
}

func (r *receiver) Receive(c *actor.Context) {
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
				s.engine.Send(pids[i], m)
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

func (p *player) Receive(c *actor.Context) {
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
			s.engine.Send(pid, &actorwork.Message{Hops: n / pairs})
		}
		done.Wait()
	}
}

type answerer struct{ m message }

func (a *answerer) Receive(c *actor.Context) {
	if _, ok := c.Message().(message); ok {
		c.Respond(a.m)
	}
}

func (s *side) Ask() func() {
	pid := s.start(&answerer{&actorwork.Message{}})
	m := &actorwork.Message{}
	return func() {
		if _, err := s.engine.Request(pid, m, actorwork.AskTimeout).Result(); err != nil {
			panic(err)
		}
	}
}

// counter is the actor of Spawn and Idle.
type counter struct {
	n    int
	done *sync.WaitGroup
}

func (c *counter) Receive(context *actor.Context) {
	switch context.Message().(type) {
	case actor.Started:
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
	produce := func() actor.Receiver { return &counter{done: done} }
	pids = make([]*actor.PID, n)
	for i := range pids {
		pids[i] = s.engine.Spawn(produce, "actor", s.options...)
	}
	done.Wait()
	return pids, done
}

func (s *side) Idle(n int) {
	pids, done := s.spawn(n)
	done.Add(n)
	m := &actorwork.Message{}
	for _, pid := range pids {
		s.engine.Send(pid, m)
	}
	done.Wait()
}
