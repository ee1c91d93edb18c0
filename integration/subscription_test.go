package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore/memory"
	"reprise/fault"
	"reprise/training"
	"reprise/training/loop"
)

func TestASubscriberIsToldWhatAnObserverIs(t *testing.T) {
	w := newWorld(t)
	h, j, _ := w.host(nil)
	defer closeHost(t, h)
	all, events := h.Subscribe(), w.request(nil)
	defer all.Close()
	one, other := h.Subscribe(events[0].(training.TrainingStarted).RunID), h.Subscribe("another")
	defer one.Close()
	defer other.Close()
	id := w.start(h, events)
	rest(t, h, id)
	for name, s := range map[string]*Subscription{"of all runs": all, "of this run": one} {
		var steps []uint64
		var types []string
		for u, err := range s.All(t.Context()) {
			if err != nil || u.Run != id || u.Dropped != 0 {
				t.Fatalf("%s: %+v, %v", name, u, err)
			}
			if u.Step != nil {
				steps = append(steps, u.Step.Step)
			} else if u.Event != nil {
				types = append(types, u.Event.EventType())
			}
			if u.Rested {
				break
			}
		}
		var want []string
		for _, e := range j.events {
			want = append(want, e.EventType())
		}
		if !slices.Equal(steps, j.steps) || !slices.Equal(types, want) {
			t.Errorf("%s: steps %v, want %v; events %v, want %v", name, steps, j.steps, types, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if u, err := other.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a subscriber of another run was told %+v, %v", u, err)
	}
}

func TestASlowSubscriberLosesTheOldestAndIsToldHowMany(t *testing.T) {
	b := &hub{}
	slow, quick := b.subscribe(nil), b.subscribe(nil)
	const steps = MaxPendingUpdates + 100
	for i := range uint64(steps) {
		b.Stepped("r", loop.StepResult{Step: i + 1})
		if u, err := quick.Next(t.Context()); err != nil || u.Step.Step != i+1 || u.Dropped != 0 {
			t.Fatalf("a quick subscriber was told %+v, %v", u, err)
		}
	}
	b.close()
	for i := range uint64(MaxPendingUpdates) {
		u, err := slow.Next(t.Context())
		dropped := uint64(0)
		if i == 0 {
			dropped = 100
		}
		if err != nil || u.Step.Step != 100+i+1 || u.Dropped != dropped {
			t.Fatalf("update %d is step %d after %d dropped ones, %v", i, u.Step.Step, u.Dropped, err)
		}
	}
	for range 2 {
		if _, err := slow.Next(t.Context()); !errors.Is(err, ErrHostClosed) {
			t.Errorf("after the last update: %v", err)
		}
	}
	if _, err := b.subscribe(nil).Next(t.Context()); !errors.Is(err, ErrHostClosed) {
		t.Errorf("a subscriber of a closed host: %v", err)
	}
}

func TestAClosedSubscriptionWakesItsReadersAndCostsNothing(t *testing.T) {
	b := &hub{}
	s := b.subscribe(nil)
	woken := make(chan error)
	for range 3 {
		go func() { _, err := s.Next(context.Background()); woken <- err }()
	}
	s.Close()
	s.Close()
	for range 3 {
		if err := next(t, woken); !errors.Is(err, ErrSubscriptionClosed) {
			t.Errorf("%v", err)
		}
	}
	b.Recorded("r", training.RunFailed{})
	if len(b.subs) != 0 || s.count != 0 {
		t.Errorf("%d subscribers, %d updates", len(b.subs), s.count)
	}
}

// Nobody reads, and the run trains to its end nevertheless.
func TestASubscriberThatNeverReadsHoldsUpNoRun(t *testing.T) {
	w := newWorld(t)
	h, _, _ := w.host(func(c *HostConfig) { c.Observer = nil })
	defer closeHost(t, h)
	s := h.Subscribe()
	r := rest(t, h, w.start(h, w.request(func(hp *training.Hyperparameters) { hp.BatchSize, hp.Epochs = 4, 4 })))
	if r.Session.State != training.Completed {
		t.Fatalf("state %s: %s", r.Session.State, r.Reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count != MaxPendingUpdates || s.dropped == 0 {
		t.Errorf("%d updates are kept, %d were dropped", s.count, s.dropped)
	}
}

func TestAHostRefusesWhatItCannotWorkWith(t *testing.T) {
	_, _, err := NewHost(t.Context(), HostConfig{
		Devices: []device.Driver{nil}, Restarts: actor.Intensity{Restarts: -1, Period: time.Second},
	})
	for _, field := range []string{"Store", "Workspace.Dir", "Devices[0]", "OpenDataset", "Now", "NewID", "Restarts"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not reported by %v", field, err)
		}
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("kind %v", fault.KindOf(err))
	}
	whole := HostConfig{
		Store: memory.New(), Workspace: datadir.Workspace{Dir: "d"}, Now: time.Now, OpenDataset: newShelfOf(nil).open,
		NewID: func() string { return fmt.Sprint(1) },
	}
	if err := whole.Validate(); err != nil {
		t.Error(err)
	}
}
