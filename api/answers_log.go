package api

import (
	"encoding/json"
	"time"

	"reprise/eventstore"
	"reprise/training"
)

// What answers say about the log is in its own words.
type (
	// Position is the place of an event in the log, counted from 1.
	Position = eventstore.Position
	// AggregateID names what an event is about, such as run/RUN.
	AggregateID = eventstore.AggregateID
	// Attestation is the head of a log, perhaps signed.
	Attestation = eventstore.Attestation
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

// TailRequest asks for the newest events of the log.
type TailRequest struct {
	// Run limits the events to those of a run; "" does not.
	Run string `json:"run,omitempty"`
	// Aggregate and Type are what the events' aggregate and type begin with.
	Aggregate eventstore.AggregateID `json:"aggregate,omitempty"`
	Type      string                 `json:"type,omitempty"`
	// Newest is how many of the events that are there already are given. After asks
	// instead for all of them after a position; 0 is before the first.
	Newest uint                 `json:"newest,omitempty"`
	After  *eventstore.Position `json:"after,omitempty"`
	// Follow asks for new events, too, and waits for a log that is not there yet.
	Follow bool `json:"follow,omitempty"`
}

// ReplayRequest asks for the states that a run went through.
type ReplayRequest struct {
	Run string `json:"run"`
}

// ReplayStep is an event of a run and the state that it leads to.
type ReplayStep struct {
	Event Event         `json:"event"`
	State ReplayedState `json:"state"`
}

// ReplayedState is the state of a run after an event.
type ReplayedState struct {
	State training.State        `json:"state"`
	Saga  training.TrainingSaga `json:"saga"`
	// Waits are the commands that the saga has now, in words.
	Waits       []string `json:"waits_for"`
	Epochs      int      `json:"epochs_recorded"`
	Checkpoints int      `json:"checkpoints"`
	Reason      string   `json:"reason,omitempty"`
}

// VerifyLogRequest asks whether the log is whole.
type VerifyLogRequest struct {
	// Head is a head that was kept elsewhere, as its file has it, to compare the log
	// with; "" for none.
	Head string `json:"head,omitempty"`
	// PublicKey is the Ed25519 key, in PEM, that the head was signed with. A signed
	// head needs it, and no other can have one.
	PublicKey string `json:"public_key,omitempty"`
}

// LogVerification is what the verification of a log found.
type LogVerification struct {
	Verdict LogVerdict `json:"verdict"`
	// CorruptLog is the path of the event log, if its file is damaged.
	CorruptLog string `json:"corrupt_log,omitempty"`
}

// LogVerdict says whether the log is whole.
type LogVerdict struct {
	Verified bool                `json:"verified"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	Runs     int                 `json:"runs"`
	Devices  int                 `json:"devices"`
	// Head is the one that the log was compared with, if any.
	Head *eventstore.Attestation `json:"head,omitempty"`
	// Problem is the first thing that is wrong; nil if nothing is.
	Problem *LogProblem `json:"problem"`
}

// LogProblem names the first bad event; its position is 0 where the damage is not in
// one event.
type LogProblem struct {
	Position  eventstore.Position    `json:"position"`
	Aggregate eventstore.AggregateID `json:"aggregate,omitempty"`
	Version   eventstore.Version     `json:"version,omitempty"`
	Type      string                 `json:"type,omitempty"`
	What      string                 `json:"what"`
	// Derived is set where the events are intact, and a read model or a snapshot that
	// was derived from them is wrong.
	Derived bool `json:"derived,omitempty"`
}

// HeadRequest asks where the log ends.
type HeadRequest struct {
	// Current has a log refused that is older than the files beside it: its end, once
	// signed, would count as the true one.
	Current bool `json:"current,omitempty"`
}

// LogHead says where the log ends.
type LogHead struct {
	// Attestation is not signed: private keys stay with their owners.
	Attestation eventstore.Attestation `json:"attestation"`
}

// ExportRequest asks for the whole log.
type ExportRequest struct{}

// ExportPart is a part of an export, in order; the last one has the end of the log.
type ExportPart struct {
	Data []byte      `json:"data,omitempty"`
	End  *LogSummary `json:"end,omitempty"`
}

// LogSummary says how much is in a log.
type LogSummary struct {
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
}

// LogCopy says what was exported or imported.
type LogCopy struct {
	File string `json:"file"`
	LogSummary
}
