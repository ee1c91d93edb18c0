package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/storetest"
)

// TestClosingAnswersEveryAppend closes a store while others append to it: each is
// told that it is closed, or its event is there.
func TestClosingAnswersEveryAppend(t *testing.T) {
	for round := range 10 {
		path := filepath.Join(t.TempDir(), "events.db")
		s := open(t, path)
		var acknowledged atomic.Int64
		var wg sync.WaitGroup
		enough := make(chan struct{})
		stop := sync.OnceFunc(func() { close(enough) })
		for w := range 8 {
			wg.Go(func() {
				a := eventstore.AggregateID(fmt.Sprint("a", w))
				for i := 0; ; i++ {
					_, err := s.Append(t.Context(), eventstore.Write{
						Aggregate: a, Expected: eventstore.Exactly(eventstore.Version(i)),
						Events: []eventstore.NewEvent{storetest.Event(fmt.Sprint(w, "/", i))},
					})
					if errors.Is(err, eventstore.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						stop()
						return
					}
					if acknowledged.Add(1) >= int64(10*(round+1)) {
						stop()
					}
				}
			})
		}
		<-enough
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		again := open(t, path)
		if head, err := again.Verify(t.Context()); err != nil || int64(head.Position) != acknowledged.Load() {
			t.Fatalf("%d events were acknowledged; the log ends at %d, %v", acknowledged.Load(), head.Position, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAppendThatNobodyWaitsForIsCarriedOut cancels appends that are queued: the
// writer does not stop before it has come to them.
func TestAnAppendThatNobodyWaitsForIsCarriedOut(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"))
	w := <-s.idle // the writer is busy
	const n = 3 * maxGroup / 2
	for i := range n {
		r := &request{writes: []eventstore.Write{write(fmt.Sprint(i))}, reply: make(chan response, 1)}
		if err := s.enqueue(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	s.write() // does nothing
	if len(s.queue) != n {
		t.Fatalf("%d are queued while the writer is busy", len(s.queue))
	}
	s.idle <- w
	if _, err := s.Append(t.Context(), write("mine")); err != nil {
		t.Fatal(err)
	}
	if head, err := s.Head(t.Context()); err != nil || head.Position != n+1 {
		t.Errorf("the log ends at %d, %v", head.Position, err)
	}
}
