package eventstore

import (
	"context"
	"fmt"
	"time"
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
// a cache: losing it, or not understanding its Schema, costs only time.
type Snapshot struct {
	Aggregate AggregateID
	Version   Version
	// Schema is the version of the payload's format.
	Schema  int
	Payload []byte
}

// Replay is the part of an aggregate's history that has to be read.
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
	// It fails with *ConflictError (ErrConcurrencyConflict) if an aggregate is not
	// at its expected version, with ErrEventIDReused, and with *fault.FieldError. If
	// every event of the call is stored already, next to each other and with equal
	// content, it returns the stored events: a caller that does not know whether
	// its append succeeded simply repeats it.
	Append(ctx context.Context, writes ...Write) ([]Event, error)

	// Replay returns the aggregate's events from version from on. If from is 0, or
	// the aggregate's snapshot is at from or later, it starts at the snapshot and
	// returns the events after it. For an aggregate without events the Replay is
	// empty.
	Replay(ctx context.Context, aggregate AggregateID, from Version) (Replay, error)

	// ReadAggregate returns up to limit of the aggregate's events after the
	// version, in order: its history, regardless of snapshots.
	ReadAggregate(ctx context.Context, aggregate AggregateID, after Version, limit int) ([]Event, error)

	// SaveSnapshot keeps the snapshot in place of an older one of the aggregate:
	// one of a lower schema, or of the same schema and no higher version. An older
	// snapshot than the one that is kept is ignored.
	SaveSnapshot(ctx context.Context, s Snapshot) error

	// Read returns up to limit events after the position, in order.
	Read(ctx context.Context, after Position, limit int) ([]Event, error)

	// LastAt returns the position of the last event whose time is at or before t;
	// 0 if there is none. Times come from the clock of whatever the events
	// happened to, so an earlier event may have a later time. It takes time
	// proportional to the number of events after that position.
	LastAt(ctx context.Context, t time.Time) (Position, error)

	// Subscribe delivers every event after the position, first those stored and
	// then new ones, in order, without gaps or repeats. A slow subscriber holds up
	// nobody: it reads the log at its own pace.
	Subscribe(after Position) *Subscription

	// Consumer returns the consumer with that name. One that was never saved is at
	// position 0 and has no state.
	Consumer(ctx context.Context, name string) (Consumer, error)

	// Consumers returns all consumers that were saved, by name.
	Consumers(ctx context.Context) ([]Consumer, error)

	// SaveConsumer saves the consumer's position and state, durably and together,
	// if the saved position is from (0 for a new consumer). It fails with
	// ErrConcurrencyConflict otherwise, and with *fault.FieldError for a position after
	// the end of the log. A position may also be set back.
	SaveConsumer(ctx context.Context, c Consumer, from Position) error

	// DeleteConsumer forgets the consumer, so that it starts at the first event.
	// It is not an error if there is none.
	DeleteConsumer(ctx context.Context, name string) error

	// Head returns the end of the log.
	Head(ctx context.Context) (Head, error)

	// Verify reads the whole log and fails with *CorruptionError, naming the first
	// event that differs from what was appended. It also finds that events are
	// missing at the end. It returns the verified head.
	Verify(ctx context.Context) (Head, error)

	// Close ends subscriptions and waits for appends in progress.
	Close() error
}

// ReplaySchema is store.Replay from the snapshot for a reader that understands
// snapshots of one schema. With one of another schema it returns the whole
// history instead.
func ReplaySchema(ctx context.Context, store Store, aggregate AggregateID, schema int) (Replay, error) {
	replay, err := store.Replay(ctx, aggregate, 0)
	if err != nil || replay.Snapshot == nil || replay.Snapshot.Schema == schema {
		return replay, err
	}
	before := replay.Snapshot.Version
	whole := make([]Event, 0, before+Version(len(replay.Events)))
	for Version(len(whole)) < before {
		page, err := store.ReadAggregate(ctx, aggregate, Version(len(whole)), int(min(before-Version(len(whole)), MaxReadPage)))
		if err != nil {
			return Replay{}, err
		}
		if len(page) == 0 {
			return Replay{}, &CorruptionError{What: fmt.Sprintf("%s has a snapshot of version %d, but ends at %d", aggregate, before, len(whole))}
		}
		whole = append(whole, page...)
	}
	return Replay{Events: append(whole, replay.Events...)}, nil
}

// Replaces reports whether s should be kept instead of old.
func (s Snapshot) Replaces(old Snapshot) bool {
	return s.Schema > old.Schema || s.Schema == old.Schema && s.Version >= old.Version
}

// CheckWrites fails with *fault.FieldError for writes that no store accepts. Every
// implementation calls it first.
func CheckWrites(writes []Write) error {
	events := 0
	for _, w := range writes {
		if err := validateName("aggregate", string(w.Aggregate), false); err != nil {
			return err
		}
		if len(w.Events) == 0 {
			return limit("events for "+string(w.Aggregate), "", "are no events", "leave the aggregate out")
		}
		for _, e := range w.Events {
			if err := e.validate(); err != nil {
				return err
			}
		}
		events += len(w.Events)
	}
	if events == 0 || events > MaxBatch {
		return limit("events of one append", fmt.Sprint(events), fmt.Sprintf("must be 1 to %d", MaxBatch), "append more events in several steps")
	}
	return nil
}

// CheckSnapshot fails with *fault.FieldError unless the snapshot's version is between
// 1 and the aggregate's, and its payload is within the limit.
func CheckSnapshot(s Snapshot, current Version) error {
	if s.Version == 0 || s.Version > current {
		return limit("snapshot version of "+string(s.Aggregate), fmt.Sprint(s.Version), fmt.Sprintf("must be 1 to %d", current), "take the snapshot of a version that was appended")
	}
	if len(s.Payload) > MaxSnapshot {
		return limit("snapshot of "+string(s.Aggregate), fmt.Sprintf("%d bytes", len(s.Payload)), fmt.Sprintf("are more than %d", MaxSnapshot), "do without the snapshot")
	}
	return nil
}
