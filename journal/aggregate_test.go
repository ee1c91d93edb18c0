package journal

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/training"
)

// added is the event of the counters that the tests declare.
type added struct {
	N int `json:"n"`
}

func (added) EventType() string { return "example.added.v1" }

var errNegative = errors.New("a counter cannot fall below 0")

// counters declares a kind of aggregate: this is all that a new kind needs.
func counters() Aggregate[int, added] {
	return Aggregate[int, added]{
		Prefix: "counter/", Kind: "counter", Codec: codecOf(added{}), SnapshotSchema: 1,
		Fold: func(sum int, e added, _ eventstore.Version, _ time.Time) (int, error) {
			if sum+e.N < 0 {
				return sum, errNegative
			}
			return sum + e.N, nil
		},
	}
}

// ticking returns a log of counters whose clock moves with every reading.
func ticking() *Log[int, added] {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &Log[int, added]{Aggregate: counters(), Store: memory.New(), Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}
}

func TestEventsDecidedTogetherHaveOneTimeAndEachCausesTheNext(t *testing.T) {
	l := ticking()
	x, err := l.Load(t.Context(), "a")
	if err != nil || x != (Entity[int]{Name: "a"}) {
		t.Fatalf("before its first event it is %+v, %v", x, err)
	}
	if x, err = l.Append(t.Context(), x, added{1}, added{2}, added{3}); err != nil || x.State != 6 || x.Version != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
	events, err := l.Store.Read(t.Context(), 0, 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if !e.Time.Equal(events[0].Time) {
			t.Errorf("event %d has the time %v, the first %v", i, e.Time, events[0].Time)
		}
		if i == 0 && e.Causation != "" || i > 0 && e.Causation != events[i-1].ID {
			t.Errorf("event %d has the cause %q", i, e.Causation)
		}
		if want := eventstore.DerivedEventID("counter/a"); e.Correlation != want {
			t.Errorf("event %d has the correlation %q, want %q", i, e.Correlation, want)
		}
		if want := eventstore.DerivedEventID("counter/a", fmt.Sprint(i+1), e.Type); e.ID != want {
			t.Errorf("event %d has the id %q, want %q", i, e.ID, want)
		}
	}
	if newest := events[2]; x.Position != newest.Position || x.Hash != newest.Hash {
		t.Errorf("the entity is at %d, its newest event at %d", x.Position, newest.Position)
	}
	again, err := l.Load(t.Context(), "a")
	if err != nil || again != x {
		t.Errorf("loaded as %+v, %v; appended as %+v", again, err, x)
	}
}

func TestEventsObservedKeepTheirTimesAndHaveNoCause(t *testing.T) {
	l := ticking()
	at := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	x, err := l.Observe(t.Context(), Entity[int]{Name: "a"}, Timed[added]{added{1}, at}, Timed[added]{added{2}, at.Add(time.Minute)})
	if err != nil || x.State != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
	events, err := l.Store.Read(t.Context(), 0, 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if e.Causation != "" || !e.Time.Equal(at.Add(time.Duration(i)*time.Minute)) {
			t.Errorf("event %d has the cause %q and the time %v", i, e.Causation, e.Time)
		}
	}
}

func TestABatchIsRecordedAsAWholeOrNotAtAll(t *testing.T) {
	l := ticking()
	first, err := l.Append(t.Context(), Entity[int]{Name: "a"}, added{1})
	if err != nil {
		t.Fatal(err)
	}
	if x, err := l.Append(t.Context(), first, added{1}, added{-9}); !errors.Is(err, errNegative) || x != first {
		t.Errorf("an event that cannot follow: %+v, %v", x, err)
	}
	if _, err := l.Append(t.Context(), first, added{5}); err != nil {
		t.Fatal(err)
	}
	if x, err := l.Append(t.Context(), first, added{7}); !errors.Is(err, eventstore.ErrConcurrencyConflict) || x != first {
		t.Errorf("a second writer: %+v, %v", x, err)
	}
	if x, err := l.Append(t.Context(), first); err != nil || x != first {
		t.Errorf("no events: %+v, %v", x, err)
	}
	if x, err := l.Load(t.Context(), "a"); err != nil || x.State != 6 || x.Version != 2 {
		t.Errorf("in the end it is %+v, %v", x, err)
	}
}

func TestASnapshotIsSavedOnceItIsWorthItsSpace(t *testing.T) {
	l := ticking()
	x := Entity[int]{Name: "a"}
	var err error
	for range eventsPerSnapshot {
		if x, err = l.Append(t.Context(), x, added{1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, folded, err := l.load(t.Context(), "a"); err != nil || folded != eventsPerSnapshot {
		t.Fatalf("%d events were folded, %v", folded, err)
	}
	if opened, err := l.Open(t.Context(), "a"); err != nil || opened != x {
		t.Fatalf("opened as %+v, %v", opened, err)
	}
	got, folded, err := l.load(t.Context(), "a")
	if err != nil || folded != 0 || got.State != x.State || got.Version != x.Version {
		t.Errorf("from its snapshot it is %+v after %d events, %v", got, folded, err)
	}
	plain := *l
	plain.SnapshotSchema = 0
	if _, folded, err := plain.load(t.Context(), "a"); err != nil || folded != eventsPerSnapshot {
		t.Errorf("a kind without snapshots folded %d events, %v", folded, err)
	}
}

// Devices and runs are recorded by the same rules.
func TestEventsOfADeviceHaveCauses(t *testing.T) {
	store := memory.New()
	log := NewDeviceLog(store, time.Now)
	cpu, err := device.New(device.Description{ID: "cpu0", Name: "x", Kind: device.CPU, Slots: 2, Units: 1,
		Health: device.Healthy, Memory: device.MemoryInfo{Total: 1 << 20, Available: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	r := DeviceRecord{ID: "cpu0"}
	next := func(events []device.Event, err error) {
		t.Helper()
		if err == nil {
			r, err = log.Append(t.Context(), r, events...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	next(r.Ledger.Register(cpu))
	for _, holder := range []string{"run/a", "run/b"} {
		next(r.Ledger.Acquire(holder, device.LeaseID(holder), device.Workload{Name: "m", Memory: device.MemoryRequirement{Size: 1}}))
	}
	next(r.Ledger.ReleaseAll("its process ended"), nil)
	events, err := store.Read(t.Context(), 0, 10)
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if e := events[4]; e.Causation != events[3].ID || !e.Time.Equal(events[3].Time) {
		t.Errorf("the second release has the cause %q and the time %v; the first is %s at %v", e.Causation, e.Time, events[3].ID, events[3].Time)
	}
	if r, err := log.Append(t.Context(), r, device.Released{Lease: device.Lease{ID: "none"}}); err == nil || r.Version != 5 {
		t.Errorf("the release of a lease that there is not was recorded: %+v", r)
	}
}

func TestEveryAggregateHasItsOwnNamesAndEvents(t *testing.T) {
	types := map[string]string{}
	for _, r := range registry {
		for _, kind := range r.eventTypes() {
			if other, known := types[kind]; known {
				t.Errorf("%s is an event of %q and of %q", kind, other, r.prefix())
			}
			types[kind] = r.prefix()
		}
		if found, name := registeredFor(eventstore.AggregateID(r.prefix() + "x")); name == "x" && found.prefix() != r.prefix() {
			t.Errorf("%sx is taken for one of %q", r.prefix(), found.prefix())
		}
	}
	for name, want := range map[eventstore.AggregateID]string{
		"run/a": RunPrefix, "device/a": DevicePrefix, "actors/a": ActorsPrefix, "queue": "queue",
		"queue/a": "", "queuea": "", "job": "", "": "", "runs/a": "",
	} {
		got := ""
		if r, _ := registeredFor(name); r != nil {
			got = r.prefix()
		}
		if got != want {
			t.Errorf("%q is one of %q, want %q", name, got, want)
		}
	}
}

func TestEventOfRefusesWhatIsInNoAggregateOfOurs(t *testing.T) {
	e := eventstore.Event{Aggregate: "something/x", NewEvent: eventstore.NewEvent{
		Type: training.TrainingResumed{}.EventType(), Payload: []byte(`{"from_step":1}`),
	}}
	if event, err := EventOf(e); !errors.Is(err, ErrUnknownEvent) {
		t.Errorf("read as %+v, %v", event, err)
	}
	e.Aggregate = "run/x"
	if event, err := EventOf(e); err != nil || event != (training.TrainingResumed{FromStep: 1}) {
		t.Errorf("read as %+v, %v", event, err)
	}
}
