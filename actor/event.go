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

	// ActorTerminated says that an actor has ended for good. The cause is nil
	// where it stopped normally.
	ActorTerminated struct {
		Path  string
		Cause error
		At    time.Time
	}

	// ActorAbandoned says that an actor did not stop in time and is no longer
	// waited for. It may be running still.
	ActorAbandoned struct {
		Path string
		At   time.Time
	}

	// SupervisionTriggered says what a supervisor decided about a child that
	// failed. Restarts counts those within the period of the intensity, this
	// one included; Delay is the backoff.
	SupervisionTriggered struct {
		Supervisor, Child string
		Strategy          Strategy
		Decision          Decision
		Cause             error
		Restarts          int
		Delay             time.Duration
		At                time.Time
	}

	// DeadLetter says that a message was not handled, or not to its end.
	DeadLetter struct {
		To      string
		Message any
		Reason  LetterReason
		At      time.Time
	}

	// MessageSent says that a message of a trace is in a mailbox, or one of a timer
	// is due. From is "" where it came from no actor, or from one that told it
	// without Send and its like.
	MessageSent struct {
		From, To string
		Message  any
		Trace    Trace
		At       time.Time
	}

	// MessageHandled says that a message of a trace was handled, after it Waited
	// in the mailbox and the stash, and what that Took; Err is what the actor
	// failed with. Of a call that only stashed the message it says nothing.
	MessageHandled struct {
		By           string
		Trace        Trace
		Waited, Took time.Duration
		Err          error
		At           time.Time
	}

	// MessageAnswered says that a question of a trace was answered, with the Answer
	// or the Err. By is the actor that was to do so: the one that Ask asked, or
	// that it was forwarded to. The Trace's message is the answer, its causation
	// the question.
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
	// DecisionRestart restarts the child, and others as the strategy has it.
	DecisionRestart Decision = "restart"
	// DecisionForget ends a Temporary child.
	DecisionForget Decision = "forget"
	// DecisionGiveUp stops all children and ends the supervisor.
	DecisionGiveUp Decision = "give up"
)

// LetterReason says why a message is a dead letter.
type LetterReason string

const (
	// LetterStopped is the reason where the actor has ended.
	LetterStopped LetterReason = "the actor has stopped"
	// LetterFailed is the reason where handling the message failed.
	LetterFailed LetterReason = "the actor failed while it handled the message"
	// LetterDroppedOldest is the reason where newer messages took its room.
	LetterDroppedOldest LetterReason = "the mailbox was full: the oldest message was dropped"
	// LetterDroppedNewest is the reason where older messages had the room.
	LetterDroppedNewest LetterReason = "the mailbox was full: the newest message was dropped"
)

// MaxPendingEvents is how many events wait for Config.OnEvent; beyond it they
// are lost, and EventsLost tells.
const MaxPendingEvents = 1 << 16

// eventQueue hands events to OnEvent, one at a time and in order. Whoever finds
// nobody at it does it, so it has no goroutine.
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

// wanted reports whether anybody listens; what is not is not worth making.
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

// deliver delivers what was added, unless another goroutine is at it, which
// then does. No lock may be held.
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

// delivery is over; q.mu is held.
func (q *eventQueue) delivery() {
	q.delivering = false
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// tellAll hands over the events, with q.mu released. Where OnEvent ends the
// goroutine, those that come after are lost.
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

// delivered delivers what was added and returns a channel that is closed when
// that is done, by whomever.
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

// tell calls OnEvent. Its panics are its own: there is nobody to hand them to.
func (q *eventQueue) tell(e Event) {
	defer func() { _ = recover() }()
	q.onEvent(e)
}
