package queue_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"reprise/queue"
)

// Ranked has every job, and those that wait in the order in which Plan considers them.
func TestRankedIsTheOrderOfPlan(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		ranked := queue.Ranked(s)
		if len(ranked) != len(s.Jobs) {
			t.Fatalf("%d of %d jobs are ranked", len(ranked), len(s.Jobs))
		}
		d := queue.Plan(s)
		order := make([]queue.JobID, 0, len(ranked))
		for _, id := range ranked {
			if slices.ContainsFunc(d.Pending, func(p queue.Pending) bool { return p.Job == id }) {
				order = append(order, id)
			}
		}
		for i, p := range d.Pending { // best rank first
			if order[i] != p.Job {
				t.Fatalf("Ranked has %s where Plan considers %s", order[i], p.Job)
			}
			compared++
		}
	})
	if compared == 0 {
		t.Error("no job was compared")
	}
}
