package eventstore

import (
	"context"
	"fmt"
)

// Expected is the version that an aggregate must be at for a write to it.
type Expected struct {
	version Version
	any     bool
}

// Exactly expects the aggregate at version v; 0 expects that it has no events.
func Exactly(v Version) Expected { return Expected{version: v} }

// NoStream expects that the aggregate has no events.
func NoStream() Expected { return Exactly(0) }

// AnyVersion expects nothing.
func AnyVersion() Expected { return Expected{any: true} }

// Allows reports whether an aggregate at version v may be written to.
func (x Expected) Allows(v Version) bool { return x.any || x.version == v }

// String returns "version 3" or "any version".
func (x Expected) String() string {
	if x.any {
		return "any version"
	}
	return fmt.Sprintf("version %d", x.version)
}

// Write is what one Append does to one aggregate.
type Write struct {
	Aggregate AggregateID
	Expected  Expected
	Events    []NewEvent
}

// Snapshot is an aggregate's state at a version, kept to shorten replay. It is
// a cache: losing it, or not understanding its Schema, costs time only.
type Snapshot struct {
	Aggregate AggregateID
	Version   Version
	// Schema tells versions of the payload's form apart.
	Schema  int
	Payload []byte
}

// Replay is an aggregate's history from where it has to be read.
type Replay struct {
	// Snapshot, if not nil, is the state to start from.
	Snapshot *Snapshot
	// Events follow the snapshot, in order and without gaps.
	Events []Event
}

// Head is the end of the log; zero if it is empty.
type Head struct {
	Position Position
	Hash     Hash
}

// Store is an event log.
type Store interface {
	// Append appends all writes or none of them, and returns the stored events
	// in the order given once they would survive the loss of power. The
	// positions of one Append are adjacent.
	//
	// It fails with *ConflictError (ErrConcurrencyConflict) where an aggregate
	// is not at its expected version, with ErrEventIDReused and *LimitError. If
	// every event of the call is stored already, next to each other and with
	// equal content, it returns the stored events: a caller that does not know
	// whether its append succeeded simply repeats it.
	Append(ctx context.Context, writes ...Write) ([]Event, error)

	// Replay returns the aggregate's events from version from on. With from 0,
	// or where the aggregate's snapshot is at from or later, it starts at the
	// snapshot and returns the events behind it. An aggregate without events
	// gives an empty Replay.
	Replay(ctx context.Context, aggregate AggregateID, from Version) (Replay, error)

	// SaveSnapshot keeps the snapshot in place of an older one of the
	// aggregate; an older one than the kept is ignored.
	SaveSnapshot(ctx context.Context, s Snapshot) error

	// Read returns up to limit events behind the position, in order.
	Read(ctx context.Context, after Position, limit int) ([]Event, error)

	// Subscribe delivers every event behind the position, first those stored
	// and then those to come, in order, without gap or repeat. A slow
	// subscriber holds up nobody: it reads the log at its own pace.
	Subscribe(after Position) *Subscription

	// Head returns the end of the log.
	Head(ctx context.Context) (Head, error)

	// Verify reads the whole log and fails with *CorruptionError, naming the
	// first event that is not what was appended; it also finds events missing
	// at the end. It returns the verified head.
	Verify(ctx context.Context) (Head, error)

	// Close ends subscriptions and waits for appends under way.
	Close() error
}

// CheckWrites fails with *LimitError for writes that no store accepts: what
// every implementation does first.
func CheckWrites(writes []Write) error {
	events := 0
	for _, w := range writes {
		if err := validateName("aggregate", string(w.Aggregate), false); err != nil {
			return err
		}
		if len(w.Events) == 0 {
			return &LimitError{Field: "events for " + string(w.Aggregate), Got: "none", Limit: "at least one"}
		}
		for _, e := range w.Events {
			if err := e.validate(); err != nil {
				return err
			}
		}
		events += len(w.Events)
	}
	if events == 0 || events > MaxBatch {
		return &LimitError{Field: "events of one append", Got: fmt.Sprint(events), Limit: fmt.Sprintf("1 to %d", MaxBatch)}
	}
	return nil
}

// CheckSnapshot fails with *LimitError for a snapshot of no event: its version
// must be between 1 and that of the aggregate.
func CheckSnapshot(s Snapshot, current Version) error {
	if s.Version == 0 || s.Version > current {
		return &LimitError{Field: "snapshot version of " + string(s.Aggregate), Got: fmt.Sprint(s.Version), Limit: fmt.Sprintf("1 to %d", current)}
	}
	if len(s.Payload) > MaxSnapshot {
		return &LimitError{Field: "snapshot of " + string(s.Aggregate), Got: fmt.Sprintf("%d bytes", len(s.Payload)), Limit: fmt.Sprintf("at most %d", MaxSnapshot)}
	}
	return nil
}
