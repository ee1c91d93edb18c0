package api

import (
	"encoding/json"
	"time"

	"reprise/eventstore"
)

// EventsRequest asks for events of the log.
type EventsRequest struct {
	// Run is the run that the events are of.
	Run string `json:"run"`
}

// Event is an event of the log.
type Event struct {
	// Position is the event's place in the log, Version the one among the events of
	// its aggregate; both are counted from 1.
	Position    eventstore.Position    `json:"position"`
	Aggregate   eventstore.AggregateID `json:"aggregate"`
	Version     eventstore.Version     `json:"version"`
	ID          eventstore.EventID     `json:"id"`
	Type        string                 `json:"type"`
	Time        time.Time              `json:"time"`
	Correlation eventstore.EventID     `json:"correlation,omitempty"`
	Causation   eventstore.EventID     `json:"causation,omitempty"`
	// PrevHash is the hash of the event before, which Hash covers too.
	PrevHash eventstore.Hash `json:"prev_hash"`
	Hash     eventstore.Hash `json:"hash"`
	Payload  json.RawMessage `json:"payload"`
}

// EventOf returns the event as the log has it.
func EventOf(e eventstore.Event) Event {
	return Event{
		Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, ID: e.ID, Type: e.Type, Time: e.Time,
		Correlation: e.Correlation, Causation: e.Causation, PrevHash: e.PrevHash, Hash: e.Hash, Payload: e.Payload,
	}
}

// Stored returns the event as the log has it.
func (e Event) Stored() eventstore.Event {
	return eventstore.Event{
		NewEvent: eventstore.NewEvent{
			ID: e.ID, Type: e.Type, Time: e.Time, Correlation: e.Correlation, Causation: e.Causation, Payload: e.Payload,
		},
		Aggregate: e.Aggregate, Version: e.Version, Position: e.Position, PrevHash: e.PrevHash, Hash: e.Hash,
	}
}
