package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"reprise/actor"
	"reprise/eventstore"
	"reprise/journal"
)

// MaxPendingActorEvents is the number of actor events that can wait to be
// appended. Further ones are lost, and counted by ActorEventsLost.
const MaxPendingActorEvents = 4096

// actorLog records what happens to the actors of a host, as events of the
// aggregate "actors/HOST". It never holds up an actor: observe only notes the
// event, and one goroutine appends all pending events at once.
type actorLog struct {
	log  *journal.ActorLog
	now  func() time.Time
	host string

	mu      sync.Mutex // guards what follows
	pending []noted
	lost    int
	closed  bool

	wake chan struct{} // has room for one token
	done chan struct{} // closed when everything is appended
	err  error         // of the first append that failed; set before done is closed
}

// noted is an event and when it happened.
type noted = journal.Timed[journal.ActorEvent]

// startActorLog returns the log of a host's actors. The caller must close it.
func startActorLog(store eventstore.Store, now func() time.Time, host string) *actorLog {
	l := &actorLog{
		log: journal.NewActorLog(store), now: now, host: host,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go l.work()
	return l
}

// observe is for actor.Config.OnEvent.
func (l *actorLog) observe(e actor.Event) {
	lost := 0
	event, at := journal.Lifecycle(e)
	if e, ok := e.(actor.EventsLost); ok {
		lost = e.Count
	} else if event == nil {
		return
	}
	l.mu.Lock()
	switch {
	case event == nil:
		l.lost += lost
	case len(l.pending) >= MaxPendingActorEvents || l.closed:
		l.lost++
	default:
		l.pending = append(l.pending, noted{Event: event, At: at})
	}
	l.mu.Unlock()
	l.signal()
}

func (l *actorLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // already awake
	}
}

// close waits until all observed events are appended or ctx is done. It returns
// the error of the first append that failed.
func (l *actorLog) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return fmt.Errorf("append the actors' events: %w", ctx.Err())
	}
}

func (l *actorLog) work() {
	defer close(l.done)
	actors := journal.Entity[struct{}]{Name: l.host}
	for range l.wake {
		for {
			batch, closed := l.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			var err error
			// Only close waits for this, and it gives up when its context is done.
			if actors, err = l.log.Observe(context.Background(), actors, batch...); err != nil {
				l.err = errors.Join(l.err, fmt.Errorf("append the actors' events: %w", err))
				return // a store that has failed once is not written to again
			}
		}
	}
}

// take returns the next events to append, and whether the log is closed: then an
// empty batch is the last one.
func (l *actorLog) take() ([]noted, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.pending), eventstore.MaxBatch-1)
	batch := l.pending[:n:n]
	if l.pending = l.pending[n:]; len(l.pending) == 0 {
		l.pending = nil
	}
	// The lost events came after all events that were pending at the time.
	if len(l.pending) == 0 && l.lost > 0 {
		batch = append(batch, noted{Event: journal.ActorEventsLost{Count: l.lost}, At: l.now()})
		l.lost = 0
	}
	return batch, l.closed
}
