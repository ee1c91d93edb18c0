package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// chainDomain begins the bytes of every event's hash, so that they are mistaken
// for nothing else.
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
// significant first; texts and the payload with their length before them.
func (e Event) computeHash() Hash {
	h := sha256.New()
	_, _ = io.WriteString(h, chainDomain)
	h.Write(e.PrevHash[:])
	writeUint(h, uint64(e.Position))
	writeBytes(h, []byte(e.Aggregate))
	writeUint(h, uint64(e.Version))
	writeBytes(h, []byte(e.ID))
	writeBytes(h, []byte(e.Type))
	writeUint(h, uint64(e.Time.Unix()))
	writeUint(h, uint64(e.Time.Nanosecond()))
	writeBytes(h, []byte(e.Correlation))
	writeBytes(h, []byte(e.Causation))
	writeBytes(h, e.Payload)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

func writeUint(w io.Writer, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = w.Write(b[:]) // hashes do not fail
}

func writeBytes(w io.Writer, b []byte) {
	writeUint(w, uint64(len(b)))
	_, _ = w.Write(b)
}

// Check fails with *CorruptionError unless the event's hash is that of its
// content.
func (e Event) Check() error {
	if got := e.computeHash(); got != e.Hash {
		return e.corrupt(fmt.Sprintf("its content has the hash %s, recorded is %s", got, e.Hash))
	}
	return nil
}

func (e Event) corrupt(what string) *CorruptionError {
	return &CorruptionError{Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, What: what}
}

// Chain checks events in the order of the whole store, from the first.
type Chain struct {
	head     Head
	versions map[AggregateID]Version
}

// NewChain returns a chain before its first event.
func NewChain() *Chain { return &Chain{versions: map[AggregateID]Version{}} }

// Add fails with *CorruptionError unless e is the next event of the store: its
// content as hashed, linked to the event before it, without a hole in the
// positions or in its aggregate's versions.
func (c *Chain) Add(e Event) error {
	if want := c.head.Position + 1; e.Position != want {
		return &CorruptionError{Position: want, What: fmt.Sprintf("missing; the next event has position %d", e.Position)}
	}
	if err := e.Check(); err != nil {
		return err
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
