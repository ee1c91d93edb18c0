package journal

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"reprise/eventstore"
	"reprise/queue"
)

// QueueLog appends the decisions of one process to the log.
type QueueLog struct {
	Store   eventstore.Store
	Now     func() time.Time
	version eventstore.Version
	// replay has the decision recorded last; none if the next is to be recorded whole.
	replay QueueReplay
	// changes is how many decisions in a row were not recorded whole.
	changes int
}

// Open finds the end of what is recorded: an append of unknown outcome may have
// moved it. The next decision is recorded whole.
func (l *QueueLog) Open(ctx context.Context) error {
	version, err := lastVersion(ctx, l.Store, QueueAggregate, l.version)
	l.version, l.replay = version, QueueReplay{}
	return err
}

// lastVersion returns the version of an aggregate's last event, given that it has one
// of version from or from is 0. It reads few events, since versions have no holes.
func lastVersion(ctx context.Context, store eventstore.Store, a eventstore.AggregateID, from eventstore.Version) (eventstore.Version, error) {
	low, high := from, eventstore.Version(0) // low exists; high, once it is known, does not
	for step := eventstore.Version(1); high == 0 || high-low > 1; step *= 2 {
		probe := low + step
		if high > 0 {
			probe = low + (high-low)/2
		}
		page, err := store.ReadAggregate(ctx, a, probe-1, 1)
		switch {
		case err != nil:
			return from, fmt.Errorf("read %s: %w", a, err)
		case len(page) == 0:
			high = probe
		default:
			low = probe
		}
	}
	return low, nil
}

// keepWaits is how long after a decision the same one is recorded again, while runs
// wait: a process that dies loses no more of how long they have waited.
const keepWaits = 10 * time.Minute

// Record appends a decision unless it says the same as the one recorded last: it places
// nobody, and the same runs have to give way, or wait in the same order and for the same
// reasons. While runs wait, the same decision is recorded again once more of the running
// ones have an estimate, and after keepWaits. The log keeps what it is given: nobody may
// change it later.
func (l *QueueLog) Record(ctx context.Context, snapshot queue.Snapshot, decision queue.Decision) error {
	now := QueueDecided{Rules: queue.RulesVersion, Snapshot: ordered(snapshot), Decision: recordedDecision(decision)}
	if !l.news(&now) {
		return nil
	}
	event, err := l.event(&now)
	if err != nil {
		return err
	}
	log := Log[struct{}, QueueEvent]{Aggregate: queueAggregate, Store: l.Store, Now: l.Now}
	if _, err := log.Append(context.WithoutCancel(ctx), Entity[struct{}]{Version: l.version}, event); err != nil {
		return err
	}
	if l.changes++; event.EventType() == now.EventType() {
		l.changes = 0
	}
	l.version++
	l.replay.last = &now
	l.replay.hash = ""
	if change, ok := event.(QueueDecisionChanged); ok {
		l.replay.hash = change.SHA256
	}
	return nil
}

// news reports whether a decision is to be recorded.
func (l *QueueLog) news(now *QueueDecided) bool {
	d := &now.Decision
	if len(d.Placed)+len(d.Pending) == 0 {
		return false
	}
	if l.replay.last == nil || slices.ContainsFunc(d.Placed, func(p queue.Placement) bool { return len(p.Preempt) == 0 }) {
		return true
	}
	if len(d.Pending) > 0 && (estimates(&now.Snapshot) > estimates(&l.replay.last.Snapshot) || now.Snapshot.Now-l.replay.last.Snapshot.Now >= keepWaits) {
		return true
	}
	return !reflect.DeepEqual(*d, l.replay.last.Decision)
}

// estimates counts the running jobs that have one.
func estimates(s *queue.Snapshot) int {
	n := 0
	for i := range s.Jobs {
		if len(s.Jobs[i].On) > 0 && s.Jobs[i].Remaining > 0 {
			n++
		}
	}
	return n
}

// event returns the event that records the decision: the whole of it, or how it differs
// from the last one, where that is shorter and gives exactly this one.
func (l *QueueLog) event(now *QueueDecided) (QueueEvent, error) {
	if l.replay.last == nil || l.changes+1 >= wholeEvery {
		return *now, nil
	}
	_, whole, err := Encode(*now)
	if err != nil {
		return nil, err
	}
	hash, err := l.replay.sum()
	if err != nil {
		return nil, err
	}
	change := changeOf(l.replay.last, now)
	change.SHA256 = sum(hash, whole)
	_, payload, err := Encode(change)
	if err != nil || len(payload) >= len(whole) {
		return *now, err
	}
	var read QueueDecisionChanged
	if err := decodeStrictly(payload, &read); err != nil {
		return nil, err
	}
	if _, err := read.apply(l.replay.last, hash); err != nil {
		return *now, nil //nolint:nilerr // it differs in what a change cannot say
	}
	return change, nil
}
