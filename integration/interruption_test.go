package integration

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/kernel"
	"reprise/training"
)

// contested is a store in which another writer comes first, whenever a run is
// about to record an event of the given type, as often as is left.
type contested struct {
	eventstore.Store
	kind string
	left atomic.Int64
	// panics has the append panic instead.
	panics bool
}

func (s *contested) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	for _, w := range writes {
		for _, e := range w.Events {
			if e.Type == s.kind && s.left.Add(-1) >= 0 {
				if s.panics {
					panic("a defect in giving back")
				}
				return nil, fmt.Errorf("append %s: %w", e.Type, eventstore.ErrConcurrencyConflict)
			}
		}
	}
	return s.Store.Append(ctx, writes...)
}

// fileless is a device that has lost a file.
type fileless struct{ device.Driver }

func (*fileless) Prepare(*kernel.Program, kernel.Memory) (kernel.Executable, error) {
	return nil, &fs.PathError{Op: "open", Path: "/dev/accelerator", Err: fs.ErrNotExist}
}

// An interruption stays one, whatever else fails before the run is at rest: the
// next incarnation of its actor continues to give back, and trains no further.
func TestAnInterruptionOutlivesAFailureToGiveBack(t *testing.T) {
	long := func(h *training.Hyperparameters) { h.CheckpointInterval = 3 }
	want := reference(t, long)
	for _, c := range []struct {
		kind   string
		times  int64
		panics bool
		// obstacle has the run come upon a device that is missing a file; else its user
		// interrupts it.
		obstacle bool
	}{
		{kind: "training.device_released.v1", times: 1},
		{kind: "training.dataset_unloaded.v1", times: 1},
		{kind: "training.training_interrupted.v1", times: 1},
		{kind: "training.checkpoint_committed.v1", times: 1},
		{kind: "training.device_released.v1", times: 1, panics: true},
		{kind: "training.device_released.v1", times: 3, panics: true}, // the last launch releases it
		{kind: "training.device_released.v1", times: 1, obstacle: true},
		{kind: "training.training_interrupted.v1", times: 1, obstacle: true},
		{kind: "training.device_released.v1", times: 3, panics: true, obstacle: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			w := newWorld(t)
			store := &contested{Store: w.store, kind: c.kind, panics: c.panics}
			reached, asked := make(chan struct{}), make(chan struct{})
			h, j, _ := w.host(func(config *HostConfig) {
				config.Store = store
				config.Restarts = actor.Intensity{Restarts: 2, Period: time.Hour}
				if c.obstacle {
					config.Devices = []device.Driver{&fileless{w.driver}}
					return
				}
				config.Fault = func(_ training.RunID, step uint64) {
					if step == 30 {
						close(reached)
						<-asked // or the run could be over first
					}
				}
			})
			store.left.Store(c.times)
			id, err := h.Start(context.Background(), w.request(long))
			if err != nil {
				t.Fatal(err)
			}
			reason := "prepare the update: open /dev/accelerator: file does not exist; put it back"
			if !c.obstacle {
				reason = "Ctrl-C"
				<-reached
				h.Interrupt(id, reason)
				close(asked)
			}
			r := rest(t, h, id)
			if r.Session.State != training.Interrupted || r.Reason != reason || r.Interruptions != 1 || j.count("training.training_resumed.v1") != 0 {
				t.Errorf("state %s, reason %q, interrupted %d times, resumed %d times",
					r.Session.State, r.Reason, r.Interruptions, j.count("training.training_resumed.v1"))
			}
			if left := store.left.Load(); left > 0 {
				t.Errorf("%d failures did not happen", left)
			}
			w.checkReleased(r)
			closeHost(t, h)
			sameOutcome(t, w.resume(id, nil), want)
		})
	}
}
