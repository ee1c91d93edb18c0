package journal

import (
	"time"

	"reprise/actor"
	"reprise/eventstore"
)

// ActorsPrefix is the prefix of the aggregate ID of each host's actors.
const ActorsPrefix = "actors/"

// ActorEvent is an event of a host's actors that is recorded in the log: one of
// the types below.
type ActorEvent interface {
	Typed
	actorEvent()
}

type (
	// ActorSpawned says that an actor was started.
	ActorSpawned struct {
		Path string `json:"path"`
	}

	// ActorTerminated says that an actor has ended for good. Cause is empty
	// if it stopped normally.
	ActorTerminated struct {
		Path  string `json:"path"`
		Cause string `json:"cause,omitempty"`
	}

	// ActorAbandoned says that an actor did not stop in time and is no longer
	// waited for.
	ActorAbandoned struct {
		Path string `json:"path"`
	}

	// SupervisionTriggered says what a supervisor decided about a child that
	// failed.
	SupervisionTriggered struct {
		Supervisor string         `json:"supervisor"`
		Child      string         `json:"child"`
		Strategy   string         `json:"strategy"`
		Decision   actor.Decision `json:"decision"`
		Cause      string         `json:"cause"`
		// Restarts counts the restarts within the intensity's period.
		Restarts int           `json:"restarts"`
		Delay    time.Duration `json:"delay_ns"`
	}

	// ActorEventsLost says how many actor events were lost, because they came
	// faster than they could be recorded or could not be recorded at all.
	ActorEventsLost struct {
		Count int `json:"count"`
	}
)

func (ActorSpawned) actorEvent()         {}
func (ActorTerminated) actorEvent()      {}
func (ActorAbandoned) actorEvent()       {}
func (SupervisionTriggered) actorEvent() {}
func (ActorEventsLost) actorEvent()      {}

// EventType returns the type of the envelope.
func (ActorSpawned) EventType() string { return "actor.actor_spawned.v1" }

// EventType returns the type of the envelope.
func (ActorTerminated) EventType() string { return "actor.actor_terminated.v1" }

// EventType returns the type of the envelope.
func (ActorAbandoned) EventType() string { return "actor.actor_abandoned.v1" }

// EventType returns the type of the envelope.
func (SupervisionTriggered) EventType() string { return "actor.supervision_triggered.v1" }

// EventType returns the type of the envelope.
func (ActorEventsLost) EventType() string { return "actor.events_lost.v1" }

// actorEvents has one event of each type.
func actorEvents() []ActorEvent {
	return []ActorEvent{ActorSpawned{}, ActorTerminated{}, ActorAbandoned{}, SupervisionTriggered{}, ActorEventsLost{}}
}

// actorAggregate is the actors of a host. Their events leave no state behind.
var actorAggregate = Aggregate[struct{}, ActorEvent]{
	Prefix: ActorsPrefix, Kind: "actors of", Codec: codecOf(actorEvents()...),
	Fold: func(s struct{}, _ ActorEvent, _ eventstore.Version, _ time.Time) (struct{}, error) { return s, nil },
}

// ActorLog appends the events of a host's actors.
type ActorLog = Log[struct{}, ActorEvent]

// NewActorLog returns a log over the store.
func NewActorLog(store eventstore.Store) *ActorLog {
	return &ActorLog{Aggregate: actorAggregate, Store: store}
}

// maxCause bounds a cause in the log, in bytes: that of a panic can be long.
const maxCause = 1000

// Lifecycle returns the event to record for e and when it happened, or nil if e
// is not recorded.
func Lifecycle(e actor.Event) (ActorEvent, time.Time) {
	switch e := e.(type) {
	case actor.ActorSpawned:
		return ActorSpawned{Path: e.Path}, e.At
	case actor.ActorTerminated:
		return ActorTerminated{Path: e.Path, Cause: causeOf(e.Cause)}, e.At
	case actor.ActorAbandoned:
		return ActorAbandoned{Path: e.Path}, e.At
	case actor.SupervisionTriggered:
		return SupervisionTriggered{
			Supervisor: e.Supervisor, Child: e.Child, Strategy: e.Strategy.String(), Decision: e.Decision,
			Cause: causeOf(e.Cause), Restarts: e.Restarts, Delay: e.Delay,
		}, e.At
	}
	return nil, time.Time{}
}

// causeOf returns the text of a failure, without the stack of a panic.
func causeOf(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return text[:min(len(text), maxCause)]
}
