package actor_test

import (
	"context"
	"fmt"
	"time"

	"reprise/actor"
)

// The functions below are the examples of docs/actors.md, which a test compares
// with them.

func ExampleSpawn() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		panic(err)
	}
	greeted := make(chan struct{})
	ref, err := actor.Spawn(system.Root(), actor.Spec[string]{
		Name: "greeter",
		New: func() actor.Actor[string] {
			return receive(func(_ *actor.Context[string], name string) error {
				fmt.Println("hello", name)
				close(greeted)
				return nil
			})
		},
	})
	if err != nil {
		panic(err)
	}
	if err := ref.Tell("Ada"); err != nil {
		panic(err)
	}
	<-greeted
	fmt.Println(system.Shutdown(context.Background()))
	// Output:
	// hello Ada
	// <nil>
}

func ExampleSpawnPool() {
	system, err := actor.NewSystem(actor.Config{Now: time.Now})
	if err != nil {
		panic(err)
	}
	pool, err := actor.SpawnPool(system.Root(), actor.PoolSpec[order]{
		Supervisor: actor.SupervisorSpec{Name: "clerks"},
		Size:       3,
		Routing:    actor.ConsistentHash,
		Key:        func(o order) string { return o.Customer },
		Routee:     actor.Spec[order]{New: func() actor.Actor[order] { return &clerk{} }},
	})
	if err != nil {
		panic(err)
	}
	for range 3 { // one clerk counts all of Ada's orders
		if err := pool.Route(order{Customer: "Ada"}); err != nil {
			panic(err)
		}
	}
	asked := make(chan int, 3)
	for _, d := range pool.Broadcast(order{Count: asked}) {
		fmt.Println("clerk", d.Key, d.Err)
	}
	fmt.Println(<-asked+<-asked+<-asked, "orders")
	fmt.Println(system.Shutdown(context.Background()))
	// Output:
	// clerk 1 <nil>
	// clerk 2 <nil>
	// clerk 3 <nil>
	// 3 orders
	// <nil>
}

func ExampleSend() {
	start := time.Unix(0, 0)
	var buffer actor.TraceBuffer
	system, err := actor.NewSystem(actor.Config{Now: func() time.Time { return start }, OnEvent: buffer.Observe})
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	kitchen, _ := actor.Spawn(system.Root(), actor.Spec[string]{Name: "kitchen", New: func() actor.Actor[string] {
		return receive(func(*actor.Context[string], string) error { close(done); return nil })
	}})
	waiter, _ := actor.Spawn(system.Root(), actor.Spec[string]{Name: "waiter", New: func() actor.Actor[string] {
		return receive(func(ctx *actor.Context[string], dish string) error { return actor.Send(ctx, kitchen, dish) })
	}})
	system.TraceNext("/waiter", 1)
	fmt.Println(waiter.Tell("soup"))
	<-done
	fmt.Println(system.Shutdown(context.Background()))
	trace, _ := buffer.Last("/waiter")
	fmt.Print(trace)
	// Output:
	// <nil>
	// <nil>
	// /waiter  string  at 0s, waited 0s, took 0s
	// └─ /kitchen  string  at 0s, waited 0s, took 0s
}

// receive is an actor without state.
type receive func(ctx *actor.Context[string], message string) error

func (r receive) Receive(ctx *actor.Context[string], m string) error { return r(ctx, m) }

// order is what a clerk counts, or asks for the count.
type order struct {
	Customer string
	Count    chan int
}

type clerk struct{ orders int }

func (c *clerk) Receive(_ *actor.Context[order], o order) error {
	if o.Count != nil {
		o.Count <- c.orders
		return nil
	}
	c.orders++
	return nil
}
