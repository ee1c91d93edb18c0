package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// chainDomain is the prefix of the bytes that are hashed, so that they cannot be
// mistaken for anything else.
const chainDomain = "reprise.event.v1\n"

// Seal returns the event with its place in the log and its hash: the SHA-256 of
// the encoding that docs/event-format.md specifies, which includes prev.
func Seal(e NewEvent, aggregate AggregateID, version Version, position Position, prev Hash) Event {
	sealed := Event{NewEvent: e, Aggregate: aggregate, Version: version, Position: position, PrevHash: prev}
	sealed.Time = e.Time.UTC()
	sealed.Hash = sealed.computeHash()
	return sealed
}

// computeHash hashes every field but Hash itself: integers as 8 bytes, most
// significant first; strings and the payload preceded by their length.
func (e *Event) computeHash() Hash {
	var room [640]byte // on the stack; most events fit
	b := append(room[:0], chainDomain...)
	b = append(b, e.PrevHash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Position))
	b = appendText(b, e.Aggregate)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Version))
	b = appendText(b, e.ID)
	b = appendText(b, e.Type)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.Nanosecond()))
	b = appendText(b, e.Correlation)
	b = appendText(b, e.Causation)
	b = appendText(b, e.Payload)
	return sha256.Sum256(b)
}

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
	return append(b, text...)
}

// Check fails with *CorruptionError unless the event's hash is that of its
// content.
func (e *Event) Check() error {
	if got := e.computeHash(); got != e.Hash {
		return e.corrupt(fmt.Sprintf("its content has the hash %s, and %s is recorded", got, e.Hash))
	}
	return nil
}

func (e Event) corrupt(what string) *CorruptionError {
	return &CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: what}
}

// Chain checks the events of a store in order, starting with the first.
type Chain struct {
	head     Head
	versions map[AggregateID]Version
}

// NewChain returns an empty chain.
func NewChain() *Chain { return &Chain{versions: map[AggregateID]Version{}} }

// Add fails with *CorruptionError unless e is the next event of the store: its
// content matches its hash, it is linked to the event before it, and there is no
// gap in the positions or in its aggregate's versions.
func (c *Chain) Add(e Event) error {
	if e.Position != c.head.Position+1 {
		return c.AddChecked(e) // returns the error
	}
	if err := e.Check(); err != nil {
		return err
	}
	return c.AddChecked(e)
}

// AddChecked is Add for an event that has passed Check, as events read from a store
// have.
func (c *Chain) AddChecked(e Event) error {
	if want := c.head.Position + 1; e.Position != want {
		return &CorruptionError{Position: want, What: fmt.Sprintf("missing; the next event has position %d", e.Position)}
	}
	if e.PrevHash != c.head.Hash {
		return e.corrupt(fmt.Sprintf("it follows an event with the hash %s, the one before it has %s", e.PrevHash, c.head.Hash))
	}
	if want := c.versions[e.Aggregate] + 1; e.Version != want {
		return e.corrupt(fmt.Sprintf("it has version %d of its aggregate, the next is %d", e.Version, want))
	}
	c.versions[e.Aggregate] = e.Version
	c.head = Head{Position: e.Position, Hash: e.Hash}
	return nil
}

// Head returns the last event added.
func (c *Chain) Head() Head { return c.head }
