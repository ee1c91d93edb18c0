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
	last    RecordedDecision
	// estimates is how many running runs had an estimate in the snapshot recorded last.
	estimates int
}

// Open finds the end of what is recorded: an append of unknown outcome may have
// moved it.
func (l *QueueLog) Open(ctx context.Context) error {
	version, err := lastVersion(ctx, l.Store, QueueAggregate, l.version)
	l.version = version
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

// Record appends a decision that places a run, and any other unless it is the one
// recorded last: who has to give way, who waits and why. While runs wait, the same decision is
// recorded again once more of the runs that they wait for have an estimate.
func (l *QueueLog) Record(ctx context.Context, snapshot queue.Snapshot, decision queue.Decision) error {
	d := recordedDecision(decision)
	estimates := 0
	for _, j := range snapshot.Jobs {
		if len(j.On) > 0 && j.Remaining > 0 {
			estimates++
		}
	}
	better := len(d.Pending) > 0 && estimates > l.estimates
	places := slices.ContainsFunc(d.Placed, func(p queue.Placement) bool { return len(p.Preempt) == 0 })
	if len(d.Placed)+len(d.Pending) == 0 || reflect.DeepEqual(d, l.last) && !places && !better {
		return nil
	}
	log := Log[struct{}, QueueEvent]{Aggregate: queueAggregate, Store: l.Store, Now: l.Now}
	_, err := log.Append(context.WithoutCancel(ctx), Entity[struct{}]{Version: l.version},
		QueueDecided{Rules: queue.RulesVersion, Snapshot: snapshot, Decision: d})
	if err != nil {
		return err
	}
	l.version, l.last, l.estimates = l.version+1, d, estimates
	return nil
}
