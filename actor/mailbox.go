package actor

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Mailbox bounds what waits for an actor, and says what becomes of a message
// that finds no room.
type Mailbox struct {
	// Capacity is the most messages that wait, the one being handled not
	// counted; 0 stands for DefaultCapacity, and at most MaxCapacity are
	// allowed. Room is taken up as it is needed.
	Capacity int
	// Overflow is the policy when full; Fail unless set.
	Overflow Overflow
}

const (
	// DefaultCapacity stands in for a Capacity of 0.
	DefaultCapacity = 1024
	// MaxCapacity bounds Mailbox.Capacity.
	MaxCapacity = 1 << 24
)

// Validate returns a *FieldError for a setting outside of its limits.
func (m Mailbox) Validate() error {
	if m.Capacity < 0 || m.Capacity > MaxCapacity {
		return bad("Mailbox.Capacity", m.Capacity, "must be in [0, 16777216]", "use 0 for the default")
	}
	if m.Overflow > DropNewest {
		return bad("Mailbox.Overflow", uint8(m.Overflow), "is no policy", "use Fail, DropOldest or DropNewest")
	}
	return nil
}

// Overflow says what Tell does with a message that finds the mailbox full.
type Overflow uint8

const (
	// Fail refuses the message with ErrMailboxFull.
	Fail Overflow = iota
	// DropOldest makes room: the message that has waited longest becomes a dead
	// letter.
	DropOldest
	// DropNewest makes the message itself a dead letter; Tell returns nil.
	DropNewest
)

// String returns "fail", "drop oldest" or "drop newest".
func (o Overflow) String() string {
	switch o {
	case Fail:
		return "fail"
	case DropOldest:
		return "drop oldest"
	case DropNewest:
		return "drop newest"
	}
	return "unknown"
}

// accepted says what became of a message given to a queue.
type accepted uint8

const (
	stored         accepted = iota
	storedForOther          // and the oldest was dropped
	dropped
	refusedFull
	refusedClosed
)

const (
	// firstRoom is the room a queue begins with, keptRoom the most that it keeps
	// once it is empty.
	firstRoom = 4
	keptRoom  = 256
)

// queue is the mailbox's content: any number of goroutines push, the one that
// runs the actor takes. A mutex over a ring that grows as needed, since an idle
// actor must cost little; the taker locks once for a batch.
type queue[M any] struct {
	mu       sync.Mutex
	ring     []M
	head     int32
	count    int32
	capacity int32
	overflow Overflow
	closed   bool
	// depth counts what has not begun to be handled: the ring, and what was
	// taken but not begun. It is what capacity bounds.
	depth atomic.Int32
	// waiting counts the senders that wait for room, those in waiters. It is
	// raised before depth is read, and read after depth is lowered, so that no
	// waiter misses room.
	waiting atomic.Int32
	waiters []chan struct{}
	// marks are those of traced messages; nil until there is one. taken is that of
	// the message that was taken last, the runner's.
	marks *marks
	taken *mark
	// gone is closed with the queue; nil until somebody asks.
	gone chan struct{}
}

func (q *queue[M]) init(m Mailbox) {
	q.capacity, q.overflow = int32(m.Capacity), m.Overflow
	if m.Capacity == 0 {
		q.capacity = DefaultCapacity
	}
}

// push adds the message or applies the policy; the message returned is the one
// that was dropped.
func (q *queue[M]) push(message M) (M, accepted) {
	return q.pushMarked(message, nil, nil)
}

// pushMarked is push for a message that may have a mark; sent is called before
// anybody can take it.
func (q *queue[M]) pushMarked(message M, m *mark, sent func()) (M, accepted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost, result := q.offer(message)
	if m != nil && result <= storedForOther {
		if q.marks == nil {
			q.marks = &marks{}
		}
		q.marks.add(m, int(q.count)-1)
		sent()
	}
	return lost, result
}

func (q *queue[M]) offer(message M) (M, accepted) {
	var none M
	if q.closed {
		return none, refusedClosed
	}
	if q.depth.Load() < q.capacity {
		q.append(message)
		return none, stored
	}
	switch q.overflow {
	case DropOldest:
		oldest := q.removeFirst()
		if q.marks != nil {
			q.marks.remove()
		}
		q.depth.Add(-1)
		q.append(message)
		return oldest, storedForOther
	case DropNewest:
		return message, dropped
	default:
		return none, refusedFull
	}
}

// pushWait adds the message once there is room, whatever the policy. It fails
// when ctx is done, and with ErrStopped.
func (q *queue[M]) pushWait(ctx context.Context, message M) error {
	for {
		room, err := q.pushOrWait(message)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			q.giveUp(room)
			return ctx.Err()
		}
	}
}

// pushOrWait adds the message or returns a channel that tells when to try again.
func (q *queue[M]) pushOrWait(message M) (chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrStopped
	}
	q.waiting.Add(1)
	if q.depth.Load() < q.capacity {
		q.waiting.Add(-1)
		q.append(message)
		return nil, nil
	}
	room := make(chan struct{}, 1)
	q.waiters = append(q.waiters, room)
	return room, nil
}

// giveUp takes back a wait; room that it was told of goes to the next.
func (q *queue[M]) giveUp(room chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiters, room); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
		q.waiting.Add(-1)
		return
	}
	q.wakeOne()
}

func (q *queue[M]) wakeOne() {
	if len(q.waiters) > 0 {
		q.waiters[0] <- struct{}{} // it has room for the one token it ever gets
		q.waiters = slices.Delete(q.waiters, 0, 1)
		q.waiting.Add(-1)
	}
}

// take moves the oldest messages into the batch and returns how many. begin
// must be called before each is handled; until then it counts as waiting.
func (q *queue[M]) take(batch []M) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.overflow == DropOldest || q.marks != nil {
		// What is taken can't be dropped any more, so it is one at a time and
		// counts as begun.
		batch = batch[:1]
	}
	n := min(len(batch), int(q.count))
	for i := range n {
		batch[i] = q.removeFirst()
		if q.marks != nil {
			q.taken = q.marks.remove() // there is one at a time
		}
	}
	if q.overflow == DropOldest && n > 0 {
		q.depth.Add(-1)
		q.wakeOne()
	}
	if q.marks != nil && len(q.marks.list) == 0 {
		q.marks = nil
	}
	if q.count == 0 && len(q.ring) > keptRoom {
		q.ring, q.head = nil, 0 // the burst is over
	}
	return n
}

// begin says that a message that was taken is now being handled.
func (q *queue[M]) begin() {
	if q.overflow == DropOldest {
		return
	}
	q.depth.Add(-1)
	if q.waiting.Load() > 0 {
		q.mu.Lock()
		q.wakeOne()
		q.mu.Unlock()
	}
}

// putBack returns what was taken and not begun to the front; false if the queue
// was closed meanwhile and the messages stay with the caller.
func (q *queue[M]) putBack(batch []M) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if q.marks != nil {
		q.marks.next -= int64(len(batch))
	}
	for i := len(batch) - 1; i >= 0; i-- {
		q.grow()
		if q.head--; q.head < 0 {
			q.head += int32(len(q.ring))
		}
		q.ring[q.head] = batch[i]
		q.count++
	}
	return true
}

// close refuses everything from now on and returns what was waiting, oldest
// first.
func (q *queue[M]) close() []M {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	left := make([]M, 0, q.count)
	for q.count > 0 {
		left = append(left, q.removeFirst())
	}
	q.ring, q.marks = nil, nil
	q.depth.Store(0)
	for len(q.waiters) > 0 {
		q.wakeOne()
	}
	if q.gone != nil {
		close(q.gone)
	}
	return left
}

// done returns a channel that is closed with the queue.
func (q *queue[M]) done() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone == nil {
		q.gone = make(chan struct{})
		if q.closed {
			close(q.gone)
		}
	}
	return q.gone
}

func (q *queue[M]) append(message M) {
	q.grow()
	at := q.head + q.count
	if at >= int32(len(q.ring)) {
		at -= int32(len(q.ring))
	}
	q.ring[at] = message
	q.count++
	q.depth.Add(1)
}

// grow makes room for one more message in the ring.
func (q *queue[M]) grow() {
	if int(q.count) < len(q.ring) {
		return
	}
	ring := make([]M, max(firstRoom, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// removeFirst returns the oldest message of a ring that is not empty.
func (q *queue[M]) removeFirst() M {
	var none M
	message := q.ring[q.head]
	q.ring[q.head] = none
	if q.head++; q.head == int32(len(q.ring)) {
		q.head = 0
	}
	q.count--
	return message
}
