package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/fault"
	"reprise/journal"
	"reprise/training"
)

// watched records what was read of every aggregate after each append, while the
// log had no later events.
type watched struct {
	*memory.Store
	mu   sync.Mutex
	then map[eventstore.Position][]byte
}

func (w *watched) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, err := w.Store.Append(ctx, writes...)
	if err != nil {
		return nil, err
	}
	last := events[len(events)-1].Position
	state, err := liveState(w.Store)
	if err != nil {
		return nil, err
	}
	w.then[last], err = json.Marshal(state)
	return events, err
}

// liveState loads each aggregate of the log separately, as its users do:
// independently of the timeline.
func liveState(store eventstore.Store) (journal.SystemState, error) {
	ctx := context.Background()
	var state journal.SystemState
	events, err := store.Read(ctx, 0, eventstore.MaxReadPage)
	if err != nil {
		return state, err
	}
	for _, e := range events {
		state.Position, state.Time = e.Position, e.Time
		if e.Version > 1 {
			continue
		}
		if id, ok := strings.CutPrefix(string(e.Aggregate), journal.RunPrefix); ok {
			r, err := journal.NewRunLog(store, time.Now).Load(ctx, training.RunID(id))
			if err != nil {
				return state, err
			}
			state.Runs = append(state.Runs, r)
		}
		if id, ok := strings.CutPrefix(string(e.Aggregate), journal.DevicePrefix); ok {
			d, err := journal.NewDeviceLog(store, time.Now).Load(ctx, device.ID(id))
			if err != nil {
				return state, err
			}
			state.Devices = append(state.Devices, d)
		}
	}
	return state, nil
}

// busyLog is a log in which one run was interrupted and resumed, one found no
// data, and one is a fork.
func busyLog(t *testing.T, store eventstore.Store) *world {
	t.Helper()
	w := newWorld(t)
	w.store = store
	parent := w.interruptedOnce(8, everything)
	w.train(w.request(nil), func(c *HostConfig) { c.OpenDataset = noData })
	w.train(w.fork(parent, parent.Checkpoints[0], nil), nil)
	return w
}

func noData(context.Context, training.Dataset) (*dataset.Dataset, error) {
	return nil, errors.New("digits: the disk was pulled out")
}

func TestTheStateAtAnyPositionIsWhatWasSeenThen(t *testing.T) {
	store := &watched{Store: memory.New(), then: map[eventstore.Position][]byte{}}
	w := busyLog(t, store)
	head, err := w.store.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(store.then) < 40 {
		t.Fatalf("only %d positions to compare", len(store.then))
	}
	for at, want := range store.then {
		state, err := journal.StateAt(context.Background(), w.store, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("at position %d of %d:\n%s\nwhen it was the end of the log:\n%s", at, head.Position, got, want)
		}
	}
}

func TestARunAtAPositionHasTheRecordItHadThen(t *testing.T) {
	w := busyLog(t, memory.New())
	ctx := context.Background()
	log := journal.NewRunLog(w.store, time.Now)
	end, err := journal.StateAt(ctx, w.store, eventstore.End)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for at := eventstore.Position(1); ; at++ {
		state, err := journal.StateAt(ctx, w.store, at)
		if err != nil {
			t.Fatal(err)
		}
		if state.Position < at {
			break
		}
		for _, r := range end.Runs {
			got, err := log.At(ctx, r.ID, at)
			i := slices.IndexFunc(state.Runs, func(s journal.RunRecord) bool { return s.ID == r.ID })
			if i < 0 {
				var before *fault.FieldError
				if !errors.As(err, &before) {
					t.Errorf("run %s before its start: %v", r.ID, err)
				}
				continue
			}
			if err != nil || !sameJSON(t, got, state.Runs[i]) {
				t.Errorf("run %s at %d: %+v, %v", r.ID, at, got, err)
			}
			compared++
		}
	}
	if compared < 60 {
		t.Errorf("only %d comparisons", compared)
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func TestARunThatWaitsIsInTheQueue(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(nil), nil)
	ctx := context.Background()
	for at, want := range map[eventstore.Position]int{0: 0, 3: 1, 1000: 0} {
		state, err := journal.StateAt(ctx, w.store, at)
		if err != nil {
			t.Fatal(err)
		}
		queue := state.Queue()
		if len(queue) != want || (want == 1 && queue[0].ID != r.ID) {
			t.Errorf("at %d the queue has %d runs, want %d", at, len(queue), want)
		}
	}
}
