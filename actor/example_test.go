package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reprise/actor"
)

// greetMessage is what a greeter understands: every actor has its own message
// type.
type greetMessage interface{ greetMessage() }

type (
	greet struct {
		Name  string
		Reply actor.Reply[string]
	}
	forget struct{}
)

func (greet) greetMessage()  {}
func (forget) greetMessage() {}

// greeter counts the people it has met.
type greeter struct{ met int }

func (g *greeter) Receive(_ *actor.Context[greetMessage], message greetMessage) error {
	switch m := message.(type) {
	case greet:
		g.met++
		m.Reply.Send(fmt.Sprintf("hello %s, you are number %d", m.Name, g.met))
	case forget:
		return errors.New("who am I?") // fails the incarnation
	}
	return nil
}

func Example() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ref, err := actor.Spawn(system.Root(), actor.Spec[greetMessage]{
		Name: "greeter",
		New:  func() actor.Actor[greetMessage] { return &greeter{} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"Ada", "Joe", "Robin"} {
		answer, err := actor.Ask(ctx, ref, func(reply actor.Reply[string]) greetMessage { return greet{name, reply} })
		fmt.Println(answer, err)
		if name == "Joe" {
			_ = ref.Tell(forget{}) // the supervisor makes a new greeter
		}
	}
	fmt.Println(system.Shutdown(ctx))
	// Output:
	// hello Ada, you are number 1 <nil>
	// hello Joe, you are number 2 <nil>
	// hello Robin, you are number 1 <nil>
	// <nil>
}

// A supervisor that gives up is identified by its error; its siblings live on.
func ExampleSupervisor_Err() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := system.Root().Supervise(actor.SupervisorSpec{
		Name: "job", Restart: actor.Temporary, Intensity: actor.Intensity{Restarts: 2, Period: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ref, err := actor.Spawn(job, actor.Spec[greetMessage]{
		Name: "greeter", New: func() actor.Actor[greetMessage] { return &greeter{} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_ = ref.Tell(forget{})
	}
	<-job.Done()
	fmt.Println(job.Err())
	fmt.Println(ref.Tell(forget{}))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(system.Shutdown(ctx))
	// Output:
	// supervisor /job gave up on /job/greeter: more than 2 restarts within 1m0s; the last failure: who am I?
	// tell /job/greeter: actor has stopped
	// <nil>
}

// ticker does something repeatedly, until it is stopped.
type ticker struct {
	left  int
	ended chan struct{}
}

func (t *ticker) Started(ctx *actor.Context[struct{}]) error {
	ctx.After(time.Millisecond, struct{}{})
	return nil
}

func (t *ticker) Receive(ctx *actor.Context[struct{}], _ struct{}) error {
	if t.left--; t.left == 0 {
		ctx.Stop()
		return nil
	}
	ctx.After(time.Millisecond, struct{}{})
	return nil
}

func (t *ticker) Stopped(*actor.Context[struct{}], error) { close(t.ended) }

func ExampleContext_After() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan struct{})
	_, err = actor.Spawn(system.Root(), actor.Spec[struct{}]{
		Restart: actor.Transient,
		New:     func() actor.Actor[struct{}] { return &ticker{3, ended} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-ended
	fmt.Println("three ticks")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(system.Shutdown(ctx))
	// Output:
	// three ticks
	// <nil>
}
