package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore/memory"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

func TestAHostRefusesWhatItCannotWorkWith(t *testing.T) {
	_, _, err := NewHost(t.Context(), HostConfig{
		Devices: []device.Driver{nil}, Restarts: actor.Intensity{Restarts: -1, Period: time.Second},
		Queue: &queue.Policy{Order: "fair", HalfLife: -1}, Limits: &queue.Limits{WaitingPerOwner: -1},
	})
	for _, field := range []string{"Store", "Workspace.Dir", "Devices[0]", "OpenDataset", "Now", "NewID", "Restarts", "Queue.order", "Queue.half_life", "Limits.waiting_per_owner"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not reported by %v", field, err)
		}
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("kind %v", fault.KindOf(err))
	}
	policy, limits := queue.DefaultPolicy(), queue.DefaultLimits()
	whole := HostConfig{
		Queue: &policy, Limits: &limits,
		Store: memory.New(), Workspace: datadir.Workspace{Dir: "d"}, Now: time.Now, OpenDataset: newShelfOf(nil).open,
		NewID: func() string { return fmt.Sprint(1) },
	}
	if err := whole.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAHostNeedsNoObserver(t *testing.T) {
	w := newWorld(t)
	h, _, _ := w.host(func(c *HostConfig) { c.Observer = nil })
	defer closeHost(t, h)
	if r := rest(t, h, w.start(h, w.request(nil))); r.Session.State != training.Completed {
		t.Fatalf("state %s: %s", r.Session.State, r.Reason)
	}
}
