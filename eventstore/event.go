package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"
)

// EventID identifies an event forever: a UUID in its text form. Appending an
// event again with the same id is recognised as a repetition.
type EventID string

// AggregateID identifies what an event happened to, such as "run/20261124-...".
type AggregateID string

// Version counts the events of one aggregate, from 1; 0 is before the first.
type Version uint64

// Position counts the events of the whole store, from 1 and without gaps; 0 is
// before the first.
type Position uint64

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// String returns the hash in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler: hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It fails for a text that is not
// the hex of a whole hash.
func (h *Hash) UnmarshalText(text []byte) error { return parseHash(h, string(text)) }

// Limits of what a store accepts.
const (
	MaxPayload     = 1 << 20 // bytes
	MaxName        = 256     // bytes of an id, aggregate or type
	MaxBatch       = 1000    // events of one Append
	MaxReadPage    = 10_000  // events of one Read
	MaxSnapshot    = 16 << 20
	maxTimeSeconds = 1 << 40
)

// NewEvent is an event to be appended.
type NewEvent struct {
	ID   EventID `json:"id"`
	Type string  `json:"type"` // past tense, versioned: "training.training_started.v1"
	// Time is when it happened, by the clock of whatever it happened to. It is
	// stored in UTC, to the nanosecond.
	Time time.Time `json:"time"`
	// Correlation is shared by all events that belong together; Causation is the
	// event that led to this one. Both may be empty.
	Correlation EventID `json:"correlation,omitempty"`
	Causation   EventID `json:"causation,omitempty"`
	// Payload is JSON; the store does not look into it.
	Payload []byte `json:"-"`
}

// Event is an event of the log.
type Event struct {
	NewEvent
	Aggregate AggregateID
	Version   Version
	Position  Position
	// PrevHash is the hash of the event before it in the store, zero at
	// position 1; Hash is that of this event, which covers PrevHash.
	PrevHash Hash
	Hash     Hash
}

// DerivedEventID returns the id that the parts determine: a UUID of version 8
// made from their SHA-256. A caller that repeats an append after a crash
// derives the same id, so that the repetition is recognised.
func DerivedEventID(parts ...string) EventID {
	var room [256]byte // on the stack; most names fit
	b := room[:0]
	for _, p := range parts {
		b = appendText(b, p)
	}
	sum := sha256.Sum256(b)
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	text := hex.AppendEncode(room[:0], u[:4])
	for _, group := range [][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		text = hex.AppendEncode(append(text, '-'), group)
	}
	return EventID(text)
}

// validate fails with *fault.FieldError for an event that no store accepts.
func (e NewEvent) validate() error {
	for _, f := range []struct {
		field, value string
		optional     bool
	}{
		{"id", string(e.ID), false},
		{"type", e.Type, false},
		{"correlation", string(e.Correlation), true},
		{"causation", string(e.Causation), true},
	} {
		if err := validateName(f.field, f.value, f.optional); err != nil {
			return err
		}
	}
	if len(e.Payload) > MaxPayload {
		return limit("payload of "+e.Type, fmt.Sprintf("%d bytes", len(e.Payload)), fmt.Sprintf("are more than %d", MaxPayload), "keep large data in files")
	}
	if s := e.Time.Unix(); s < -maxTimeSeconds || s > maxTimeSeconds {
		return limit("time", e.Time.String(), "must be within 30,000 years of 1970", "use the present time")
	}
	return nil
}

func validateName(field, value string, optional bool) error {
	if len(value) > MaxName {
		return limit(field, fmt.Sprintf("%d bytes", len(value)), fmt.Sprintf("are more than %d", MaxName), "use a shorter name")
	}
	if !utf8.ValidString(value) {
		return limit(field, fmt.Sprintf("%q", value), "must be UTF-8", "encode it")
	}
	if value == "" && !optional {
		return limit(field, `""`, "is not a name", "use one character or more")
	}
	return nil
}

// Equal reports whether two events to be appended agree in everything that is
// stored.
func (e NewEvent) Equal(o NewEvent) bool {
	return e.ID == o.ID && e.Type == o.Type && e.Time.Equal(o.Time) &&
		e.Correlation == o.Correlation && e.Causation == o.Causation && string(e.Payload) == string(o.Payload)
}
