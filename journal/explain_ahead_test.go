package journal

import (
	"slices"
	"testing"

	"reprise/device"
	"reprise/queue"
	"reprise/training"
)

// A run that got its device by the same decision holds it for those that wait since.
func TestAnExplanationNamesWhoGotTheDeviceByTheSameDecision(t *testing.T) {
	on := []device.ID{"cpu0"}
	d := QueueDecided{
		Snapshot: queue.Snapshot{Jobs: []queue.Entry{{ID: "a"}, {ID: "b"}, {ID: "c"}}},
		Decision: RecordedDecision{
			Placed:  []queue.Placement{{Job: "a", On: on}},
			Pending: []RecordedPending{{Job: "c", Position: 2}, {Job: "b", Position: 1}},
		},
	}
	x := explainDecision(d, "c")
	if len(x.Holders) != 1 || x.Holders[0].RunID != "a" || !slices.Equal(x.Holders[0].On, on) || !slices.Equal(x.Ahead, []training.RunID{"b"}) {
		t.Errorf("held by %+v, after %v", x.Holders, x.Ahead)
	}
	if first := explainDecision(d, "a"); len(first.Holders) != 0 || len(first.Ahead) != 0 {
		t.Errorf("of the run that was placed: %+v", first)
	}
}
