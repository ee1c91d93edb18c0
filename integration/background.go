package integration

import (
	"context"
	"sync"
	"time"

	"reprise/actor"
)

// openGrace is how long a closing host waits for calls of OpenDataset, whose contexts
// are done. One that does not return in time is left behind: it only reads.
const openGrace = 2 * time.Second

// background runs work outside the actors, and knows when none is left.
type background struct {
	driver actor.Driver // in place of goroutines, for simulations; nil for goroutines

	mu    sync.Mutex // guards what follows
	count int
	idle  chan struct{} // closed when count is 0; nil until somebody waits
}

// run begins the work and returns at once.
func (b *background) run(work func()) {
	b.mu.Lock()
	b.count++
	b.mu.Unlock()
	tracked := func() {
		defer b.ended()
		work()
	}
	if b.driver != nil {
		b.driver.Run(tracked)
	} else {
		go tracked()
	}
}

func (b *background) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count--; b.count == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// done returns a channel that is closed when all work has ended.
func (b *background) done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	return b.idle
}

// awaitOpenings waits for the calls of OpenDataset once the cache has ended.
func (h *Host) awaitOpenings() {
	ctx, cancel := context.WithTimeout(context.Background(), openGrace)
	defer cancel()
	h.parts.await(ctx, h.openings.done())
}
