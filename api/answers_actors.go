package api

import (
	"encoding/json"
	"time"

	"reprise/actor"
	"reprise/training"
)

// TracePeriod is how long a trace is followed.
const TracePeriod = time.Second

// ActorsRequest asks for the actors.
type ActorsRequest struct{}

// ActorSnapshot is the supervision tree of a process.
type ActorSnapshot struct {
	PID int       `json:"pid"`
	At  time.Time `json:"at"`
	// Actors are the root and all below it, parents first.
	Actors []Actor `json:"actors"`
	// DeadLetters counts the messages that nobody handled; Letters are the newest.
	DeadLetters uint64       `json:"dead_letters"`
	Letters     []DeadLetter `json:"newest_dead_letters,omitempty"`
}

// DeadLetter is a message that nobody handled.
type DeadLetter struct {
	To     string             `json:"to"`
	Type   string             `json:"type"`
	Reason actor.LetterReason `json:"reason"`
	At     time.Time          `json:"at"`
}

// Actor is a supervisor or an actor.
type Actor struct {
	Path     string      `json:"path"`
	Kind     string      `json:"kind"` // supervisor or actor
	State    actor.State `json:"state"`
	Depth    int         `json:"mailbox_depth"`
	Handled  uint64      `json:"handled"`
	Restarts int         `json:"restarts"`
	Age      float64     `json:"age_seconds"`
	// Rate is that of messages handled since an earlier snapshot, by whoever has one;
	// null without.
	Rate *float64 `json:"messages_per_second"`
}

// SetRates works out the rates from an earlier snapshot.
func (s *ActorSnapshot) SetRates(before ActorSnapshot) {
	seconds := s.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return
	}
	handled := map[string]uint64{}
	for _, a := range before.Actors {
		handled[a.Path] = a.Handled
	}
	for i := range s.Actors {
		a := &s.Actors[i]
		was, known := handled[a.Path]
		if a.Kind == "supervisor" || known && was > a.Handled {
			continue // it handles none, or is another actor of the same name
		}
		rate := float64(a.Handled-was) / seconds
		a.Rate = &rate
	}
}

// TraceRequest names the actor to trace: by its path or the end of one.
type TraceRequest struct {
	Actor string `json:"actor"`
}

// TraceStep is a message of a trace, and what it led to.
type TraceStep struct {
	Correlation uint64    `json:"correlation"`
	Message     uint64    `json:"message"`
	Causation   uint64    `json:"causation"`
	From        string    `json:"from,omitempty"`
	To          string    `json:"to"` // "" for the answer to a question
	Type        string    `json:"type"`
	Sent        time.Time `json:"sent"`
	// After is the time since the first message was sent; Waited and Took are
	// null for a message that was not handled yet, and for an answer.
	After  time.Duration  `json:"after_ns"`
	Waited *time.Duration `json:"waited_ns"`
	Took   *time.Duration `json:"took_ns"`
	Error  string         `json:"error,omitempty"`
	Caused []TraceStep    `json:"caused"`
}

// Message is what somebody outside the actor system says to an actor in it.
type Message struct {
	// From names the sender, for dead letters; it may be empty.
	From string `json:"from,omitempty"`
	// To is a name in the actor registry, such as run/ID.
	To   string `json:"to"`
	Type string `json:"type"`
	// Payload is a JSON object that Type gives its meaning; it may be left out where
	// nothing in it is required.
	Payload json.RawMessage `json:"payload,omitempty"`
}

// MessageAnswer is what an actor answers to a Message.
type MessageAnswer struct {
	// RunID is the run that was started, paused or resumed.
	RunID training.RunID `json:"run"`
}
