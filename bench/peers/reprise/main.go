// Command reprise is our side of bench-actors.
package main

import (
	"context"
	"sync"
	"time"

	"reprise/actor"
	"reprise/bench/internal/actorwork"
)

type message = *actorwork.Message

func main() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		panic(err)
	}
	actorwork.Main(&side{system: system})
}

type side struct{ system *actor.System }

func (s *side) Name() string { return "Reprise" }

// mailbox is bounded, as ours always are; a sender waits while it is full.
var mailbox = actor.Mailbox{Capacity: 1 << 16}

func spawn[M any](s *side, a actor.Actor[M]) actor.Ref[M] {
	ref, err := actor.Spawn(s.system.Root(), actor.Spec[M]{New: func() actor.Actor[M] { return a }, Mailbox: mailbox})
	if err != nil {
		panic(err)
	}
	return ref
}

func tell(to actor.Ref[message], m message) {
	if to.Tell(m) != nil {
		if err := to.TellContext(context.Background(), m); err != nil {
			panic(err)
		}
	}
}

type receiver struct {
	left int
	done *sync.WaitGroup
}

func (r *receiver) Receive(*actor.Context[message], message) error {
	if r.left--; r.left == 0 {
		r.done.Done()
	}
	return nil
}

func (s *side) Tell(receivers int) func(n int) {
	var done sync.WaitGroup
	actors, refs := make([]*receiver, receivers), make([]actor.Ref[message], receivers)
	for i := range refs {
		actors[i] = &receiver{done: &done}
		refs[i] = spawn[message](s, actors[i])
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
				tell(refs[i], m)
				n--
			}
		}
		done.Wait()
	}
}

type player struct {
	other actor.Ref[message]
	done  *sync.WaitGroup
}

func (p *player) Receive(_ *actor.Context[message], m message) error {
	if m.Hops--; m.Hops <= 0 {
		p.done.Done()
		return nil
	}
	return p.other.Tell(m)
}

func (s *side) PingPong(pairs int) func(n int) {
	var done sync.WaitGroup
	refs := make([]actor.Ref[message], pairs)
	for i := range refs {
		ping, pong := &player{done: &done}, &player{done: &done}
		refs[i] = spawn[message](s, ping)
		pong.other, ping.other = refs[i], spawn[message](s, pong)
	}
	return func(n int) {
		done.Add(pairs)
		for _, ref := range refs {
			tell(ref, &actorwork.Message{Hops: n / pairs})
		}
		done.Wait()
	}
}

type question struct{ reply actor.Reply[message] }

type answerer struct{ m message }

func (a *answerer) Receive(_ *actor.Context[question], q question) error {
	q.reply.Send(a.m)
	return nil
}

func (s *side) Ask() func() {
	ref := spawn[question](s, &answerer{&actorwork.Message{}})
	build := func(r actor.Reply[message]) question { return question{r} }
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), actorwork.AskTimeout)
		defer cancel()
		if _, err := actor.Ask(ctx, ref, build); err != nil {
			panic(err)
		}
	}
}

// counter is the actor of Spawn and Idle.
type counter struct {
	n    int
	done *sync.WaitGroup
}

func (c *counter) Started(*actor.Context[message]) error {
	c.done.Done()
	return nil
}

func (c *counter) Receive(*actor.Context[message], message) error {
	c.n++
	c.done.Done()
	return nil
}

func (s *side) Spawn(n int) { s.spawn(n) }

func (s *side) spawn(n int) (refs []actor.Ref[message], done *sync.WaitGroup) {
	done = &sync.WaitGroup{}
	done.Add(n)
	spec := actor.Spec[message]{New: func() actor.Actor[message] { return &counter{done: done} }}
	refs = make([]actor.Ref[message], n)
	for i := range refs {
		ref, err := actor.Spawn(s.system.Root(), spec)
		if err != nil {
			panic(err)
		}
		refs[i] = ref
	}
	done.Wait()
	return refs, done
}

func (s *side) Idle(n int) {
	refs, done := s.spawn(n)
	done.Add(n)
	m := &actorwork.Message{}
	for _, ref := range refs {
		tell(ref, m)
	}
	done.Wait()
}
