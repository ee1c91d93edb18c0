package journal_test

import (
	"context"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/queue"
)

func TestTheVersionOfAnAggregateIsFoundFromAnywhere(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	log := journal.QueueLog{Store: store, Now: time.Now}
	for n := range eventstore.Version(40) {
		for from := range n + 1 {
			if got, err := journal.LastVersion(ctx, store, journal.QueueAggregate, from); err != nil || got != n {
				t.Fatalf("from %d of %d: %d, %v", from, n, got, err)
			}
		}
		// Two decisions in turn: one that is the same as the last is not recorded.
		decision := queue.Decision{Pending: []queue.Pending{{Job: "a", Position: 1 + int(n%2)}}}
		if err := log.Record(ctx, queue.Snapshot{}, decision); err != nil {
			t.Fatal(err)
		}
	}
}
