package actor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// model is the dumb twin of queue.
type model struct {
	waiting  []int // not begun
	batch    []int // the part of waiting that was taken
	capacity int
	overflow Overflow
	closed   bool
}

func (m *model) push(v int) (int, accepted) {
	switch {
	case m.closed:
		return 0, refusedClosed
	case len(m.waiting)+len(m.batch) < m.capacity:
		m.waiting = append(m.waiting, v)
		return 0, stored
	case m.overflow == DropOldest:
		oldest := m.waiting[0]
		m.waiting = append(m.waiting[1:], v)
		return oldest, storedForOther
	case m.overflow == DropNewest:
		return v, dropped
	}
	return 0, refusedFull
}

func TestQueueIsItsPlainTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Mailbox{
			Capacity: rapid.IntRange(1, 40).Draw(t, "capacity"),
			Overflow: Overflow(rapid.IntRange(0, 2).Draw(t, "overflow")),
		}
		var q queue[int]
		q.init(spec)
		m := model{capacity: spec.Capacity, overflow: spec.Overflow}
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					next++
					lost, result := q.push(next)
					wantLost, want := m.push(next)
					if result != want || lost != wantLost {
						t.Fatalf("push %d: %d %d, want %d %d", next, lost, result, wantLost, want)
					}
				}
			},
			"take, handle some, return the rest": func(t *rapid.T) {
				batch := make([]int, rapid.IntRange(1, 16).Draw(t, "batch"))
				n := q.take(batch)
				want := min(len(batch), len(m.waiting))
				if m.overflow == DropOldest {
					want = min(1, want)
				}
				if n != want || !slices.Equal(batch[:n], m.waiting[:n]) {
					t.Fatalf("took %v, want %d of %v", batch[:n], want, m.waiting)
				}
				m.batch, m.waiting = slices.Clone(m.waiting[:n]), m.waiting[n:]
				handled := n
				if m.overflow != DropOldest {
					handled = rapid.IntRange(0, n).Draw(t, "handled")
				}
				for range handled {
					q.begin()
				}
				m.batch = m.batch[handled:]
				if m.overflow == DropOldest {
					m.batch = nil
				}
				for range rapid.IntRange(0, 3).Draw(t, "pushed meanwhile") {
					next++
					lost, result := q.push(next)
					if wantLost, want := m.push(next); result != want || lost != wantLost {
						t.Fatalf("push %d between: %d %d, want %d %d", next, lost, result, wantLost, want)
					}
				}
				if q.putBack(batch[handled:n]) == m.closed {
					t.Fatal("putBack and closed disagree")
				}
				m.waiting, m.batch = append(m.batch, m.waiting...), nil
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
					return
				}
				left := q.close()
				if !slices.Equal(left, m.waiting) {
					t.Fatalf("close returned %v, want %v", left, m.waiting)
				}
				m.closed, m.waiting = true, nil
			},
			"": func(t *rapid.T) {
				if got := int(q.depth.Load()); got != len(m.waiting) || int(q.count) != got {
					t.Fatalf("depth %d, count %d, want %d", got, q.count, len(m.waiting))
				}
				if len(q.ring) > 2*max(firstRoom, keptRoom, spec.Capacity+batchSize) {
					t.Fatalf("a ring of %d for a capacity of %d", len(q.ring), spec.Capacity)
				}
			},
		})
	})
}

func TestRoomOfABurstIsGivenBack(t *testing.T) {
	var q queue[*int]
	q.init(Mailbox{Capacity: 10_000})
	for range 10_000 {
		q.push(new(int))
	}
	batch := make([]*int, batchSize)
	for q.take(batch) > 0 {
		for range batch {
			q.begin()
		}
	}
	if q.ring != nil {
		t.Errorf("a ring of %d is kept", len(q.ring))
	}
}

func TestHandledMessagesAreNotKeptInMemory(t *testing.T) {
	var q queue[*int]
	q.init(Mailbox{})
	for range 3 {
		q.push(new(int))
	}
	q.take(make([]*int, 3))
	for i, p := range q.ring {
		if p != nil {
			t.Errorf("slot %d still holds its message", i)
		}
	}
}

func TestWaitingSendersGetRoomInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue[int]
		q.init(Mailbox{Capacity: 1})
		q.push(0)
		results := make([]error, 4)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range results {
			ctx := ctx
			if i != 1 {
				ctx = t.Context()
			}
			go func() { results[i] = q.pushWait(ctx, i+1) }()
			synctest.Wait()
		}
		cancel() // the second one leaves
		synctest.Wait()
		if !errors.Is(results[1], context.Canceled) {
			t.Errorf("the one that was cancelled: %v", results[1])
		}
		var got []int
		batch := make([]int, 4)
		for range 3 {
			n := q.take(batch)
			got = append(got, batch[:n]...)
			for range n {
				q.begin()
			}
			synctest.Wait()
		}
		if want := []int{0, 1, 3}; !slices.Equal(got, want) {
			t.Errorf("took %v, want %v", got, want)
		}
		q.push(9) // no room: 4 is in
		last := make(chan error)
		go func() { last <- q.pushWait(t.Context(), 5) }()
		synctest.Wait()
		if left := q.close(); !slices.Equal(left, []int{4}) {
			t.Errorf("left %v, want [4]", left)
		}
		if err := <-last; !errors.Is(err, ErrStopped) {
			t.Errorf("the one who waited at the close: %v", err)
		}
		if q.waiting.Load() != 0 || len(q.waiters) != 0 {
			t.Errorf("%d waiting, %d waiters", q.waiting.Load(), len(q.waiters))
		}
	})
}

func TestRoomToldToASenderThatLeavesGoesToTheNext(t *testing.T) {
	var q queue[int]
	q.init(Mailbox{Capacity: 1})
	q.push(0)
	first, _ := q.pushOrWait(1)
	second, _ := q.pushOrWait(2)
	q.take(make([]int, 1))
	q.begin() // tells the first
	q.giveUp(first)
	select {
	case <-second:
	default:
		t.Error("the second was not told of the room")
	}
}
