package actor

import (
	"context"
	"slices"
	"sync"
)

// Mailbox bounds the messages that wait for an actor and says what happens to a
// message that finds no room.
type Mailbox struct {
	// Capacity is the maximum number of waiting messages, not counting the one
	// being handled; 0 means DefaultCapacity, and the limit is MaxCapacity. With a
	// Capacity of 1024 or more, an actor whose policy is not DropOldest takes up to
	// 129 messages at once, and those do not count either. Messages that are put
	// back, by a restart or because a timer's message goes first, may exceed the
	// capacity; the mailbox is then full for new messages. Messages that an actor
	// had taken when it was abandoned become dead letters when it returns, if it
	// ever does. Memory is allocated as needed and released when nothing waits,
	// except room for one message.
	Capacity int
	// Overflow is the policy when full; the default is Fail.
	Overflow Overflow
}

const (
	// DefaultCapacity is used for a Capacity of 0.
	DefaultCapacity = 1024
	// MaxCapacity bounds Mailbox.Capacity.
	MaxCapacity = 1 << 24
)

// Validate returns a *fault.FieldError for a setting outside its limits.
func (m Mailbox) Validate() error {
	if m.Capacity < 0 || m.Capacity > MaxCapacity {
		return bad("Mailbox.Capacity", m.Capacity, "must be in [0, 16777216]", "use 0 for the default")
	}
	if m.Overflow > DropNewest {
		return bad("Mailbox.Overflow", uint8(m.Overflow), "is not a known policy", "use Fail, DropOldest or DropNewest")
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

// accepted is the outcome of adding a message to a queue.
type accepted uint8

const (
	stored         accepted = iota
	storedForOther          // and the oldest was dropped
	dropped
	refusedFull
	refusedClosed
)

const (
	// chunkSize is how many messages a chunk has room for.
	chunkSize = 32
	// chunksAtOnce is how many chunks a runner takes at once: the more, the less it
	// contends with senders.
	chunksAtOnce = runBudget / chunkSize
	// exactBelow is the capacity below which messages are taken one by one, so that
	// no more than the capacity ever wait.
	exactBelow = 1024
)

// chunk is a part of a queue: items[head:tail].
type chunk[M any] struct {
	next *chunk[M]
	last *chunk[M] // of the list, where this one is its first; else nil
	head int32
	tail int32
	// items before head have been handled and are zero, unless the one being
	// handled is among them.
	items [chunkSize]M
}

func (c *chunk[M]) left() []M { return c.items[c.head:c.tail] }

// batch is a list of chunks that a runner has taken. Finished chunks stay at its
// front, for the queue to reuse.
type batch[M any] struct {
	first, at *chunk[M]
	handled   uint32 // messages of chunks that queue.handled does not count yet
}

// next returns the chunk that holds the next message, or nil.
func (b *batch[M]) next() *chunk[M] {
	for ; b.at != nil; b.at = b.at.next {
		if b.at.head < b.at.tail {
			return b.at
		}
	}
	return nil
}

// clear takes the remaining messages, in order.
func (b *batch[M]) clear() (left []M) {
	for c := b.next(); c != nil; c = b.next() {
		left = append(left, c.left()...)
		clear(c.left())
		c.head = c.tail
	}
	return left
}

// queue holds the mailbox's messages: any number of goroutines push, and the one
// that runs the actor takes. It is a list of chunks guarded by a mutex; the taker
// removes several chunks at a time and works on them without the lock. An idle
// actor must cost little, so the first waiting message is stored in the queue
// itself, and an actor that keeps up needs no chunk.
type queue[M any] struct {
	mu       sync.Mutex
	count    int32 // first and what the chunks hold
	capacity int32
	overflow Overflow
	closed   bool
	hasFirst bool
	// singly is set if messages are taken one by one.
	singly bool
	// handled counts the messages that are being or have been handled, since it was
	// last carried over to queueExtra.handled. Messages taken in chunks are not
	// counted until the runner returns them.
	handled uint32
	first   M // the oldest, where hasFirst is set
	// chunks is the list of the others. It may begin with an empty chunk, and
	// fewer than 2*chunksAtOnce empty ones follow its last.
	chunks *chunk[M]
	extra  *queueExtra[M] // nil until it is needed
}

// queueExtra holds what few queues need.
type queueExtra[M any] struct {
	waiters []chan struct{} // senders that wait for room
	gone    chan struct{}   // closed once told is true; nil until somebody asks
	cause   error           // why it was closed
	told    bool            // whether the watchers have been told that it was closed
	// watchers are the watches of this actor; watching are its watches of others.
	watchers, watching map[*Watching]struct{}
	notices            []notice[M] // of watches; they need no room
	// ctx is the incarnation's context; nil until it is asked for.
	ctx    context.Context
	cancel context.CancelFunc
	isCut  bool // it is to be cancelled
	// marks are those of traced messages; nil until there is one.
	marks   *marks
	handled uint64
}

func (q *queue[M]) init(m Mailbox) {
	q.capacity, q.overflow = int32(m.Capacity), m.Overflow
	if m.Capacity == 0 {
		q.capacity = DefaultCapacity
	}
	q.singly = q.overflow == DropOldest || q.capacity < exactBelow
}

// more returns queueExtra; q.mu is held.
func (q *queue[M]) more() *queueExtra[M] {
	if q.extra == nil {
		q.extra = &queueExtra[M]{told: q.closed} // without it, there was nobody to tell
	}
	return q.extra
}

// push adds the message or applies the policy; it returns the message that was
// dropped, if any.
func (q *queue[M]) push(message M) (M, accepted) {
	q.mu.Lock()
	if q.count < q.capacity && !q.closed {
		var none M
		q.append(message)
		q.mu.Unlock()
		return none, stored
	}
	defer q.mu.Unlock()
	return q.offer(message)
}

// pushMarked is push for a message with a mark; sent is called before the message
// can be taken.
func (q *queue[M]) pushMarked(message M, m *mark, sent func()) (M, accepted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost, result := q.offer(message)
	if result <= storedForOther {
		q.markNewest(m, sent)
	}
	return lost, result
}

func (q *queue[M]) offer(message M) (M, accepted) {
	var none M
	switch {
	case q.closed:
		return none, refusedClosed
	case q.count < q.capacity:
		q.append(message)
		return none, stored
	case q.overflow == DropOldest:
		oldest := q.pop()
		q.unmark()
		q.append(message)
		return oldest, storedForOther
	case q.overflow == DropNewest:
		return message, dropped
	}
	return none, refusedFull
}

// marks returns the marks of the mailbox, creating them if there are none.
func (q *queue[M]) marks() *marks {
	extra := q.more()
	if extra.marks == nil {
		extra.marks = &marks{}
	}
	return extra.marks
}

// markNewest marks the message that was added last and calls sent.
func (q *queue[M]) markNewest(m *mark, sent func()) {
	q.marks().add(m, int(q.count)-1)
	sent()
}

// marked reports whether any waiting message is traced.
func (q *queue[M]) marked() bool { return q.extra != nil && q.extra.marks != nil }

// unmark returns the mark of the message that was popped, if it has one.
func (q *queue[M]) unmark() *mark {
	if !q.marked() {
		return nil
	}
	m := q.extra.marks.remove()
	if len(q.extra.marks.list) == 0 {
		q.extra.marks = nil
	}
	return m
}

// pushWait adds the message once there is room, whatever the policy. It fails when
// ctx is done, and with ErrStopped. For the mark, which may be nil, and sent see
// pushMarked.
func (q *queue[M]) pushWait(ctx context.Context, message M, m *mark, sent func()) error {
	for {
		room, err := q.pushOrWait(message, m, sent)
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

// pushOrWait adds the message or returns a channel that signals when to try again.
func (q *queue[M]) pushOrWait(message M, m *mark, sent func()) (chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrStopped
	}
	if q.count < q.capacity {
		q.append(message)
		if m != nil {
			q.markNewest(m, sent)
		}
		return nil, nil
	}
	room := make(chan struct{}, 1)
	extra := q.more()
	extra.waiters = append(extra.waiters, room)
	return room, nil
}

// giveUp cancels a wait; if it was already told of room, the next one is told
// instead.
func (q *queue[M]) giveUp(room chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.extra.waiters, room); i >= 0 {
		q.extra.waiters = slices.Delete(q.extra.waiters, i, i+1)
		return
	}
	q.wake(1)
}

// wake tells the first n waiting senders that there is room.
func (q *queue[M]) wake(n int) {
	if q.extra == nil {
		return
	}
	n = min(n, len(q.extra.waiters))
	for _, waiter := range q.extra.waiters[:n] {
		waiter <- struct{}{} // never blocks: it has room for the one token it ever gets
	}
	q.extra.waiters = slices.Delete(q.extra.waiters, 0, n)
}

// take takes the oldest message with its mark. If more than one is wanted and may
// be taken, it also moves the chunks after it into the batch, which must be used
// up. It returns false if nothing is left.
func (q *queue[M]) take(b *batch[M], wanted int) (message M, m *mark, single, ok bool) {
	q.mu.Lock()
	q.accept(b)
	before := q.count
	switch {
	case before == 0:
		q.mu.Unlock()
		return message, nil, false, false
	case wanted == 1 || q.singly || q.marked():
		message, m, single = q.pop(), q.unmark(), true
	default:
		if q.hasFirst {
			message, single = q.pop(), true
		}
		if q.count > 0 {
			b.first = q.unlink(min((wanted+chunkSize-1)/chunkSize, chunksAtOnce))
			b.at = b.first
		}
	}
	if single {
		q.begin(1)
	}
	if q.extra != nil {
		q.wake(int(before - q.count))
	}
	q.mu.Unlock()
	return message, m, single, true
}

// putDown returns an empty batch to the queue at the end of a turn.
func (q *queue[M]) putDown(b *batch[M]) {
	if b.first == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accept(b)
}

// accept reuses an empty batch; q.mu is held.
func (q *queue[M]) accept(b *batch[M]) {
	if b.first == nil {
		return
	}
	q.begin(b.handled)
	if !q.closed {
		q.reuse(b.first)
	}
	*b = batch[M]{}
}

// reuse keeps empty chunks for later messages, unless there are enough.
func (q *queue[M]) reuse(list *chunk[M]) {
	for c := list; c != nil; c = c.next {
		c.head, c.tail, c.last = 0, 0, nil
	}
	if q.chunks == nil {
		q.chunks, list.last = list, list
		return
	}
	end := q.chunks.last
	for range chunksAtOnce {
		if end.next == nil {
			end.next = list
			return
		}
		end = end.next
	}
}

// rest releases the memory of an empty queue and reports whether it was empty.
func (q *queue[M]) rest() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count > 0 {
		return false
	}
	q.chunks = nil
	return true
}

// depth returns the number of waiting messages.
func (q *queue[M]) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.count)
}

// carryAt is the value at which handled is carried over, well before it overflows.
const carryAt = 1 << 31

// begin adds n to the messages that are being or have been handled; q.mu is held.
func (q *queue[M]) begin(n uint32) {
	if q.handled += n; q.handled >= carryAt {
		q.more().handled += uint64(q.handled)
		q.handled = 0
	}
}

// beginOne is begin for a message that does not come from the mailbox.
func (q *queue[M]) beginOne() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.begin(1)
}

// begun returns how many messages are being or have been handled, counted as in
// handled.
func (q *queue[M]) begun() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := uint64(q.handled)
	if q.extra != nil {
		n += q.extra.handled
	}
	return n
}

// putBack returns messages to the front, whether or not there is room. It returns
// false if the queue was closed meanwhile; the messages then stay with the caller.
// marked holds the marks of the traced ones, at their places among the messages.
func (q *queue[M]) putBack(messages []M, marked []*mark) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if len(messages) == 0 {
		return true
	}
	if len(marked) > 0 || q.marked() {
		q.marks().putBack(len(messages), marked)
	}
	if q.hasFirst {
		var none M
		messages = append(slices.Clip(messages), q.first)
		q.first, q.hasFirst = none, false
		q.count--
	}
	q.count += int32(len(messages))
	for len(messages) > 0 {
		n := (len(messages)-1)%chunkSize + 1 // the incomplete one is the first taken
		c := &chunk[M]{tail: int32(n)}
		rest := len(messages) - n
		copy(c.items[:], messages[rest:])
		messages = messages[:rest]
		if c.next, c.last = q.chunks, c; q.chunks != nil {
			c.last, q.chunks.last = q.chunks.last, nil
		}
		q.chunks = c
	}
	return true
}

// close makes the queue refuse everything from now on and returns the waiting
// messages, oldest first. It tells the watchers.
func (q *queue[M]) close(cause error) []M {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	left := make([]M, 0, q.count)
	for q.count > 0 {
		left = append(left, q.pop())
	}
	q.chunks = nil
	if cause != nil {
		q.more().cause = cause
	}
	if q.extra == nil {
		q.mu.Unlock()
		return left
	}
	q.extra.marks = nil
	q.wake(len(q.extra.waiters))
	for _, n := range q.extra.notices { // nobody will handle them
		n.of.state.Store(watchOver)
	}
	watchers, watching := q.extra.watchers, q.extra.watching
	q.extra.watchers, q.extra.watching, q.extra.notices = nil, nil, nil
	q.mu.Unlock()
	for w := range watching {
		w.Stop()
	}
	for w := range watchers {
		w.fire(cause)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if extra := q.extra; !extra.told {
		extra.told = true
		if extra.gone != nil {
			close(extra.gone)
		}
	}
	return left
}

// done returns a channel that is closed once the queue is closed and the watchers have been told.
func (q *queue[M]) done() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	extra := q.more()
	if extra.gone == nil {
		extra.gone = make(chan struct{})
		if extra.told {
			close(extra.gone)
		}
	}
	return extra.gone
}

func (q *queue[M]) append(message M) {
	q.count++
	if q.count == 1 {
		q.first, q.hasFirst = message, true
		return
	}
	last := q.last()
	last.items[last.tail] = message
	last.tail++
}

// last returns the chunk that has room for a message.
func (q *queue[M]) last() *chunk[M] {
	if q.chunks == nil {
		q.chunks = &chunk[M]{}
		q.chunks.last = q.chunks
	}
	last := q.chunks.last
	if last.tail == chunkSize {
		if last.next == nil {
			last.next = &chunk[M]{}
		}
		last = last.next
		q.chunks.last = last
	}
	return last
}

// pop returns the oldest message of a queue that is not empty.
func (q *queue[M]) pop() (message M) {
	var none M
	q.count--
	if q.hasFirst {
		message, q.first, q.hasFirst = q.first, none, false
		return message
	}
	c := q.chunks
	message, c.items[c.head] = c.items[c.head], none
	if c.head++; c.head == c.tail {
		q.reuse(q.unlink(1))
	}
	return message
}

// unlink takes up to n chunks off the front of the list, with their messages. The
// chunks after the last full one are empty and move up.
func (q *queue[M]) unlink(n int) *chunk[M] {
	first, last := q.chunks, q.chunks.last
	end := first
	q.count -= int32(len(end.left()))
	for ; n > 1 && end != last; n-- {
		end = end.next
		q.count -= int32(len(end.left()))
	}
	end.next, first.last, q.chunks = nil, nil, end.next
	if q.chunks != nil {
		if q.chunks.last = last; end == last {
			q.chunks.last = q.chunks
		}
	}
	return first
}
