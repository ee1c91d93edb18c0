package actor

import (
	"sync"
	"sync/atomic"
	"time"
)

// Event is something that happened in the system: ActorSpawned,
// ActorTerminated, ActorAbandoned, SupervisionTriggered, DeadLetter,
// MessageSent, MessageHandled, MessageAnswered or EventsLost.
type Event interface{ actorEvent() }

//nolint:revive // ActorSpawned and its like are what the domain calls them.
type (
	// ActorSpawned says that there is a new actor.
	ActorSpawned struct {
		Path string
		At   time.Time
	}

	// ActorTerminated says that an actor has ended for good. The cause is nil if it
	// stopped normally.
	ActorTerminated struct {
		Path  string
		Cause error
		At    time.Time
	}

	// ActorAbandoned says that an actor did not stop in time and is no longer
	// waited for. It may still be running.
	ActorAbandoned struct {
		Path string
		At   time.Time
	}

	// SupervisionTriggered says what a supervisor decided about a child that
	// failed. Restarts counts the restarts within the period of the intensity,
	// including this one; Delay is the backoff.
	SupervisionTriggered struct {
		Supervisor, Child string
		Strategy          Strategy
		Decision          Decision
		Cause             error
		Restarts          int
		Delay             time.Duration
		At                time.Time
	}

	// DeadLetter says that a message was not handled, or not completely.
	DeadLetter struct {
		To      string
		Message any
		Reason  LetterReason
		At      time.Time
	}

	// MessageSent says that a traced message is in a mailbox, or that a traced
	// timer's message is due. From is "" if no actor sent it, or if the actor used
	// Tell rather than Send or one of its kind.
	MessageSent struct {
		From, To string
		Message  any
		Trace    Trace
		At       time.Time
	}

	// MessageHandled says that a traced message was handled: Waited is its time in
	// the mailbox and the stash, Took the time to handle it, and Err the failure of
	// the actor, if any. A call that only stashed the message is not reported.
	MessageHandled struct {
		By           string
		Trace        Trace
		Waited, Took time.Duration
		Err          error
		At           time.Time
	}

	// MessageAnswered says that a traced question was answered, with the Answer or
	// the Err. By is the actor responsible: the one that Ask asked, or the one the
	// question was forwarded to. In the Trace, the message is the answer and the
	// causation is the question.
	MessageAnswered struct {
		By     string
		Answer any
		Err    error
		Trace  Trace
		At     time.Time
	}

	// EventsLost says that Config.OnEvent was too slow and Count events were
	// not kept for it.
	EventsLost struct{ Count int }
)

func (ActorSpawned) actorEvent()         {}
func (ActorTerminated) actorEvent()      {}
func (ActorAbandoned) actorEvent()       {}
func (SupervisionTriggered) actorEvent() {}
func (DeadLetter) actorEvent()           {}
func (MessageSent) actorEvent()          {}
func (MessageHandled) actorEvent()       {}
func (MessageAnswered) actorEvent()      {}
func (EventsLost) actorEvent()           {}

// Decision is what a supervisor does about a failure.
type Decision string

const (
	// DecisionRestart restarts the child, and others according to the strategy.
	DecisionRestart Decision = "restart"
	// DecisionForget ends a Temporary child.
	DecisionForget Decision = "forget"
	// DecisionGiveUp stops all children and ends the supervisor.
	DecisionGiveUp Decision = "give up"
)

// LetterReason says why a message is a dead letter.
type LetterReason string

const (
	// LetterStopped is the reason if the actor has ended.
	LetterStopped LetterReason = "the actor has stopped"
	// LetterFailed is the reason if handling the message failed.
	LetterFailed LetterReason = "the actor failed while handling the message"
	// LetterDroppedOldest is the reason if the message made room for a newer one.
	LetterDroppedOldest LetterReason = "the mailbox was full: the oldest message was dropped"
	// LetterDroppedNewest is the reason if older messages filled the mailbox.
	LetterDroppedNewest LetterReason = "the mailbox was full: the newest message was dropped"
)

// MaxPendingEvents is how many events may wait for Config.OnEvent; events beyond
// that are lost, and reported by EventsLost.
const MaxPendingEvents = 1 << 16

// eventQueue hands events to OnEvent, one at a time and in order. It has no
// goroutine: a caller of deliver that finds no delivery under way delivers.
type eventQueue struct {
	onEvent func(Event)
	// any is set while there are events to deliver.
	any atomic.Bool

	mu         sync.Mutex // guards what follows
	pending    []Event
	lost       int
	delivering bool
	idle       chan struct{} // closed when nobody delivers; nil until asked for
}

// wanted reports whether anyone listens; otherwise events need not be made.
func (q *eventQueue) wanted() bool { return q.onEvent != nil }

// add keeps the event for deliver. It may be called with locks held.
func (q *eventQueue) add(e Event) {
	if q.onEvent == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) >= MaxPendingEvents {
		q.lost++
	} else {
		q.pending = append(q.pending, e)
	}
	q.any.Store(true)
}

// deliver delivers the events that were added, unless another goroutine is
// delivering, which then does so. No lock may be held.
func (q *eventQueue) deliver() {
	if q.any.Load() {
		q.deliverAll()
	}
}

func (q *eventQueue) deliverAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.delivering {
		return
	}
	q.delivering = true
	defer q.delivery()
	for len(q.pending) > 0 || q.lost > 0 {
		batch := q.pending
		if q.pending = nil; q.lost > 0 {
			batch = append(batch, EventsLost{Count: q.lost})
			q.lost = 0
		}
		q.tellAll(batch)
	}
	q.any.Store(false)
}

// delivery has ended; q.mu is held.
func (q *eventQueue) delivery() {
	q.delivering = false
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// tellAll hands over the events, with q.mu released. If OnEvent ends the goroutine,
// the remaining events are lost.
func (q *eventQueue) tellAll(batch []Event) {
	q.mu.Unlock()
	told := 0
	defer func() {
		q.mu.Lock()
		q.lost += max(0, len(batch)-told)
	}()
	for _, e := range batch {
		told++
		q.tell(e)
	}
}

// delivered delivers the events that were added and returns a channel that is
// closed when that is done, by any goroutine.
func (q *eventQueue) delivered() <-chan struct{} {
	q.deliver()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	if !q.delivering {
		close(q.idle)
		q.idle = nil
	}
	return idle
}

// tell calls OnEvent. Panics in it are dropped: there is nobody to report them to.
func (q *eventQueue) tell(e Event) {
	defer func() { _ = recover() }()
	q.onEvent(e)
}
