package actor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"unsafe"

	"pgregory.net/rapid"
)

// model is the dumb twin of queue.
type model struct {
	waiting  []int
	capacity int
	overflow Overflow
	closed   bool
}

func (m *model) push(v int) (int, accepted) {
	switch {
	case m.closed:
		return 0, refusedClosed
	case len(m.waiting) < m.capacity:
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

func TestQueueEqualsItsPlainTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Mailbox{
			Capacity: rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(exactBelow-1, exactBelow+20)).Draw(t, "capacity"),
			Overflow: Overflow(rapid.IntRange(0, 2).Draw(t, "overflow")),
		}
		atOnce := 1
		if spec.Overflow != DropOldest && spec.Capacity >= exactBelow {
			atOnce = 1 + chunksAtOnce*chunkSize
		}
		var q queue[int]
		q.init(spec)
		m := model{capacity: spec.Capacity, overflow: spec.Overflow}
		next := 0
		push := func(t *rapid.T, n int) {
			for range n {
				next++
				lost, result := q.push(next)
				wantLost, want := m.push(next)
				if result != want || lost != wantLost {
					t.Fatalf("push %d: %d %d, want %d %d", next, lost, result, wantLost, want)
				}
			}
		}
		var b batch[int]
		t.Repeat(map[string]func(*rapid.T){
			"push":      func(t *rapid.T) { push(t, rapid.IntRange(1, 20).Draw(t, "n")) },
			"push many": func(t *rapid.T) { push(t, rapid.IntRange(100, 300).Draw(t, "n")) },
			"take, handle some, return the rest": func(t *rapid.T) {
				before := q.begun()
				wanted := rapid.IntRange(1, runBudget).Draw(t, "wanted")
				message, _, single, ok := q.take(&b, wanted)
				if ok != (len(m.waiting) > 0) {
					t.Fatalf("took %v with %v waiting", ok, m.waiting)
				}
				if !ok {
					return
				}
				var got []int
				if single {
					got = append(got, message)
				}
				for c := b.first; c != nil; c = c.next {
					got = append(got, c.left()...)
				}
				if len(got) == 0 || len(got) > min(atOnce, wanted+chunkSize) || !slices.Equal(got, m.waiting[:min(len(got), len(m.waiting))]) {
					t.Fatalf("took %v of %v, at most %d", got, m.waiting, atOnce)
				}
				m.waiting = m.waiting[len(got):]
				push(t, rapid.IntRange(0, 3).Draw(t, "pushed meanwhile"))
				alone := 0
				if single {
					alone = 1 // it has been handled
				}
				handled := rapid.IntRange(alone, len(got)).Draw(t, "handled")
				handle(&b, handled-alone)
				b.handled = uint32(handled - alone)
				left := b.clear()
				if !slices.Equal(left, got[handled:]) {
					t.Fatalf("%v is left of %v after %d", left, got, handled)
				}
				if b.next() != nil {
					t.Fatal("a batch that was cleared has messages")
				}
				q.putDown(&b)
				if n := q.begun() - before; n != uint64(handled) {
					t.Fatalf("%d messages count as handled, not %d", n, handled)
				}
				if q.putBack(left, nil) == m.closed && len(left) > 0 {
					t.Fatal("putBack and closed disagree")
				}
				m.waiting = append(slices.Clone(got[handled:]), m.waiting...)
			},
			"set aside and put back": func(t *rapid.T) {
				aside := make([]int, rapid.IntRange(0, 40).Draw(t, "n"))
				for i := range aside {
					next++
					aside[i] = next
				}
				if q.putBack(slices.Clone(aside), nil) == m.closed {
					t.Fatal("putBack and closed disagree")
				}
				if !m.closed {
					m.waiting = append(aside, m.waiting...)
				}
			},
			"rest": func(t *rapid.T) {
				if q.rest() != (len(m.waiting) == 0) {
					t.Fatalf("rest with %v waiting", m.waiting)
				}
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
					return
				}
				left := q.close(nil)
				if !slices.Equal(left, m.waiting) {
					t.Fatalf("close returned %v, want %v", left, m.waiting)
				}
				m.closed, m.waiting = true, nil
			},
			"": func(t *rapid.T) {
				if got := q.depth(); got != len(m.waiting) {
					t.Fatalf("depth %d, want %d", got, len(m.waiting))
				}
				chunks := 0
				for c := q.chunks; c != nil; c = c.next {
					if chunks++; c.last != nil && c != q.chunks {
						t.Fatal("a chunk other than the first keeps another alive")
					}
				}
				// Chunks that were put back may be incomplete.
				if most := 2*len(m.waiting) + 1 + 2*chunksAtOnce; chunks > most {
					t.Fatalf("%d chunks for %d messages", chunks, len(m.waiting))
				}
			},
		})
	})
}

// all returns the remaining messages, in order.
func (b *batch[M]) all() (left []M) {
	for c := b.at; c != nil; c = c.next {
		left = append(left, c.left()...)
	}
	return left
}

// handle handles n messages, as a runner does.
func handle[M any](b *batch[M], n int) {
	var none M
	for range n {
		c := b.next()
		c.items[c.head] = none
		c.head++
	}
}

// drain takes and handles the waiting messages, as a runner does.
func drain[M any](q *queue[M]) (handled int) {
	var b batch[M]
	for {
		_, _, single, ok := q.take(&b, runBudget)
		if !ok {
			return handled
		}
		if single {
			handled++
		}
		n := len(b.all())
		handle(&b, n)
		handled += n
	}
}

func TestTheMemoryOfABurstIsReleased(t *testing.T) {
	for _, capacity := range []int{exactBelow - 1, 10_000} {
		var q queue[*int]
		q.init(Mailbox{Capacity: capacity})
		for range capacity {
			q.push(new(int))
		}
		if n := drain(&q); n != capacity {
			t.Fatalf("handled %d of %d", n, capacity)
		}
		if !q.rest() || q.chunks != nil || q.first != nil {
			t.Errorf("capacity %d: something is kept", capacity)
		}
	}
}

func TestAQueueThatNeverBuildsUpNeedsNoMemory(t *testing.T) {
	var q queue[int]
	q.init(Mailbox{})
	if allocations := testing.AllocsPerRun(100, func() {
		q.push(1)
		q.take(&batch[int]{}, runBudget)
	}); allocations != 0 {
		t.Errorf("%v allocations for a message", allocations)
	}
	if q.chunks != nil {
		t.Error("there is a chunk")
	}
}

func TestHandledMessagesAreNotKeptInMemory(t *testing.T) {
	for _, capacity := range []int{100, 1000} {
		var q queue[*int]
		q.init(Mailbox{Capacity: capacity})
		for range 50 {
			q.push(new(int))
		}
		drain(&q)
		if q.first != nil {
			t.Error("the first place still holds its message")
		}
		for c := q.chunks; c != nil; c = c.next {
			for i, p := range c.items {
				if p != nil {
					t.Errorf("capacity %d: place %d still holds its message", capacity, i)
				}
			}
		}
	}
}

func TestWaitingSendersGetRoomInOrderOfArrival(t *testing.T) {
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
			go func() { results[i] = q.pushWait(ctx, i+1, nil, nil) }()
			synctest.Wait()
		}
		cancel() // the second one leaves
		synctest.Wait()
		if !errors.Is(results[1], context.Canceled) {
			t.Errorf("the one that was cancelled: %v", results[1])
		}
		var got []int
		for range 3 {
			message, _, _, _ := q.take(&batch[int]{}, runBudget)
			got = append(got, message)
			synctest.Wait()
		}
		if want := []int{0, 1, 3}; !slices.Equal(got, want) {
			t.Errorf("took %v, want %v", got, want)
		}
		q.push(9) // no room: 4 is in
		last := make(chan error)
		go func() { last <- q.pushWait(t.Context(), 5, nil, nil) }()
		synctest.Wait()
		if left := q.close(nil); !slices.Equal(left, []int{4}) {
			t.Errorf("left %v, want [4]", left)
		}
		if err := <-last; !errors.Is(err, ErrStopped) {
			t.Errorf("the sender that waited at the close: %v", err)
		}
		if len(q.extra.waiters) != 0 {
			t.Errorf("%d waiters", len(q.extra.waiters))
		}
	})
}

func TestRoomOfferedToASenderThatGaveUpGoesToTheNext(t *testing.T) {
	var q queue[int]
	q.init(Mailbox{Capacity: 1})
	q.push(0)
	first, _ := q.pushOrWait(1, nil, nil)
	second, _ := q.pushOrWait(2, nil, nil)
	q.take(&batch[int]{}, runBudget) // tells the first
	q.giveUp(first)
	select {
	case <-second:
	default:
		t.Error("the second was not told of the room")
	}
}

func TestAnIdleActorIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(cell[*int]{}); size > 160 {
		t.Errorf("an actor takes %d bytes, more than 160", size)
	}
}
