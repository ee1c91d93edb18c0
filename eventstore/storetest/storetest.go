// Package storetest is the contract of eventstore.Store as tests: every
// implementation passes Run.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/eventstore"
	"reprise/fault"
)

// Event returns an event that depends on the name alone.
func Event(name string) eventstore.NewEvent {
	return eventstore.NewEvent{
		ID: eventstore.DerivedEventID(name), Type: "test.happened.v1",
		Time:        time.Unix(1_700_000_000, 123_456_789).UTC(),
		Correlation: eventstore.DerivedEventID("story"),
		Payload:     []byte(fmt.Sprintf(`{"name":%q}`, name)),
	}
}

func events(names ...string) []eventstore.NewEvent {
	list := make([]eventstore.NewEvent, len(names))
	for i, n := range names {
		list[i] = Event(n)
	}
	return list
}

// Run runs the contract. open returns a new, empty store; Run closes it.
func Run(t *testing.T, open func(t testing.TB) eventstore.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, eventstore.Store)
	}{
		{"appended events are read back unchanged", comeBack},
		{"a wrong expected version is a conflict and changes nothing", conflict},
		{"a batch over several aggregates is all or nothing", allOrNothing},
		{"a repeated append returns the stored events", repetition},
		{"an event id for another event is refused", reusedID},
		{"replay starts at the snapshot", snapshots},
		{"history is read past snapshots", history},
		{"a walk visits the requested events, page by page", walk},
		{"the last event at a time is found, whatever the clock did", lastAt},
		{"consumers are saved, listed and deleted", consumers},
		{"a consumer's state has seen every event once", consuming},
		{"a consumer continues with new events", consumingLive},
		{"a slow subscriber delays nobody and misses nothing", slow},
		{"limits are refused and named", limits},
		{"a subscription has no gap and no repeat", subscription},
		{"concurrent appends to one aggregate: one wins each version", contention},
		{"memory is not shared with callers", ownMemory},
		{"a closed store returns ErrClosed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := open(t)
			defer func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}()
			c.test(t, store)
		})
	}
	t.Run("an export is imported unchanged, and nothing else is", func(t *testing.T) {
		store, other := open(t), open(t)
		defer func() {
			if err := errors.Join(store.Close(), other.Close()); err != nil {
				t.Error(err)
			}
		}()
		exports(t, store, other)
	})
	t.Run("any history agrees with the model", func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { machine(t, open) }) })
}

func comeBack(t *testing.T, s eventstore.Store) {
	first := mustAppend(t, s, "a", eventstore.NoStream(), "1", "2")
	second := mustAppend(t, s, "b", eventstore.NoStream(), "3")
	third := mustAppend(t, s, "a", eventstore.Exactly(2), "4")

	got, err := s.Read(t.Context(), 0, 100)
	want := append(append(first, second...), third...)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("Read = %+v, %v\nwant %+v", got, err, want)
	}
	for i, e := range got {
		if e.Position != eventstore.Position(i+1) {
			t.Errorf("event %d has position %d", i, e.Position)
		}
		if err := e.Check(); err != nil {
			t.Error(err)
		}
	}
	if got[0].PrevHash != (eventstore.Hash{}) || got[2].PrevHash != got[1].Hash {
		t.Error("the events are not linked")
	}
	if !got[0].Equal(Event("1")) {
		t.Errorf("event 1 came back as %+v", got[0].NewEvent)
	}
	page, err := s.Read(t.Context(), 1, 2)
	if err != nil || !reflect.DeepEqual(page, want[1:3]) {
		t.Errorf("a page = %+v, %v", page, err)
	}
	if none, err := s.Read(t.Context(), 4, 10); err != nil || len(none) != 0 {
		t.Errorf("after the end: %v, %v", none, err)
	}
	head, err := s.Verify(t.Context())
	if err != nil || head.Position != 4 || head.Hash != third[0].Hash {
		t.Errorf("Verify = %+v, %v", head, err)
	}
	if known, err := s.Head(t.Context()); err != nil || known != head {
		t.Errorf("Head = %+v, %v", known, err)
	}
}

func conflict(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "1")
	for _, want := range []eventstore.Expected{eventstore.NoStream(), eventstore.Exactly(2)} {
		_, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: want, Events: events("2")})
		var typed *eventstore.ConflictError
		if !errors.Is(err, eventstore.ErrConcurrencyConflict) || !errors.As(err, &typed) || typed.Got != 1 || typed.Aggregate != "a" {
			t.Errorf("expecting %v: %v", want, err)
		}
	}
	mustAppend(t, s, "a", eventstore.AnyVersion(), "2")
	checkLength(t, s, 2)
}

func allOrNothing(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "b", eventstore.NoStream(), "1")
	_, err := s.Append(t.Context(),
		eventstore.Write{Aggregate: "a", Expected: eventstore.NoStream(), Events: events("2", "3")},
		eventstore.Write{Aggregate: "b", Expected: eventstore.Exactly(7), Events: events("4")})
	if !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Fatalf("%v", err)
	}
	checkLength(t, s, 1)
	got, err := s.Append(t.Context(),
		eventstore.Write{Aggregate: "a", Expected: eventstore.NoStream(), Events: events("2", "3")},
		eventstore.Write{Aggregate: "b", Expected: eventstore.Exactly(1), Events: events("4")},
		eventstore.Write{Aggregate: "a", Expected: eventstore.Exactly(2), Events: events("5")})
	if err != nil || len(got) != 4 || got[3].Version != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	checkLength(t, s, 5)
}

func repetition(t *testing.T, s eventstore.Store) {
	first := mustAppend(t, s, "a", eventstore.NoStream(), "1", "2")
	mustAppend(t, s, "a", eventstore.Exactly(2), "3")
	again := mustAppend(t, s, "a", eventstore.NoStream(), "1", "2")
	if !reflect.DeepEqual(first, again) {
		t.Errorf("repeated: %+v, first: %+v", again, first)
	}
	checkLength(t, s, 3)
}

func reusedID(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "1", "2")
	other := Event("1")
	other.Payload = []byte(`{}`)
	for name, w := range map[string]eventstore.Write{
		"other content":       {Aggregate: "a", Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{other}},
		"another aggregate":   {Aggregate: "b", Expected: eventstore.AnyVersion(), Events: events("1")},
		"with new events":     {Aggregate: "a", Expected: eventstore.AnyVersion(), Events: events("1", "9")},
		"in another order":    {Aggregate: "a", Expected: eventstore.AnyVersion(), Events: events("2", "1")},
		"twice in one append": {Aggregate: "a", Expected: eventstore.AnyVersion(), Events: events("9", "9")},
	} {
		if _, err := s.Append(t.Context(), w); !errors.Is(err, eventstore.ErrEventIDReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkLength(t, s, 2)
}

func snapshots(t *testing.T, s eventstore.Store) {
	all := mustAppend(t, s, "a", eventstore.NoStream(), "1", "2", "3", "4")
	mustAppend(t, s, "b", eventstore.NoStream(), "5")
	replay := func(from eventstore.Version) eventstore.Replay {
		t.Helper()
		r, err := s.Replay(t.Context(), "a", from)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := replay(0); r.Snapshot != nil || !reflect.DeepEqual(r.Events, all) {
		t.Errorf("without a snapshot: %+v", r)
	}
	snapshot := eventstore.Snapshot{Aggregate: "a", Version: 2, Schema: 7, Payload: []byte("state")}
	if err := s.SaveSnapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for _, from := range []eventstore.Version{0, 1, 2} {
		if r := replay(from); r.Snapshot == nil || !reflect.DeepEqual(*r.Snapshot, snapshot) || !reflect.DeepEqual(r.Events, all[2:]) {
			t.Errorf("from %d: %+v", from, r)
		}
	}
	if r := replay(3); r.Snapshot != nil || !reflect.DeepEqual(r.Events, all[2:]) {
		t.Errorf("from after the snapshot: %+v", r)
	}
	older := eventstore.Snapshot{Aggregate: "a", Version: 1, Payload: []byte("old")}
	if err := s.SaveSnapshot(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	if r := replay(0); r.Snapshot == nil || r.Snapshot.Version != 2 {
		t.Errorf("an older snapshot replaced a newer one: %+v", r.Snapshot)
	}
	for _, v := range []eventstore.Version{0, 5} {
		err := s.SaveSnapshot(t.Context(), eventstore.Snapshot{Aggregate: "a", Version: v})
		if !errors.Is(err, eventstore.ErrLimit) {
			t.Errorf("a snapshot of version %d: %v", v, err)
		}
	}
	if r, err := s.Replay(t.Context(), "unknown", 0); err != nil || r.Snapshot != nil || len(r.Events) != 0 {
		t.Errorf("an unknown aggregate: %+v, %v", r, err)
	}
}

func limits(t *testing.T, s eventstore.Store) {
	long := Event("long")
	long.Payload = make([]byte, eventstore.MaxPayload+1)
	unnamed := Event("unnamed")
	unnamed.Type = ""
	many := make([]eventstore.NewEvent, eventstore.MaxBatch+1)
	for i := range many {
		many[i] = Event(fmt.Sprint(i))
	}
	for name, w := range map[string]eventstore.Write{
		"payload": {Aggregate: "a", Events: []eventstore.NewEvent{long}},
		"type":    {Aggregate: "a", Events: []eventstore.NewEvent{unnamed}},
		"batch":   {Aggregate: "a", Events: many},
		"nothing": {Aggregate: "a"},
		"no text": {Aggregate: "\xff", Events: events("1")},
		"no name": {Events: events("1")},
	} {
		var typed *fault.FieldError
		if _, err := s.Append(t.Context(), w); !errors.As(err, &typed) || typed.Field == "" || typed.Problem == "" || typed.Fix == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkLength(t, s, 0)
	most := Event("most")
	most.Payload = make([]byte, eventstore.MaxPayload)
	if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Events: []eventstore.NewEvent{most}}); err != nil {
		t.Errorf("the largest payload: %v", err)
	}
}

func subscription(t *testing.T, s eventstore.Store) {
	const before, total = 300, 600
	for i := range before {
		mustAppend(t, s, "a", eventstore.AnyVersion(), fmt.Sprint(i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := before; i < total; i++ {
			if _, err := s.Append(ctx, eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: events(fmt.Sprint(i))}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	sub := s.Subscribe(10)
	for want := eventstore.Position(11); want <= total; want++ {
		e, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Position != want {
			t.Fatalf("got position %d, want %d", e.Position, want)
		}
	}
	wg.Wait()
	short, stop := context.WithCancel(ctx)
	stop()
	if _, err := sub.Next(short); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	mustAppend(t, s, "a", eventstore.AnyVersion(), "last")
	if e, err := sub.Next(ctx); err != nil || e.Position != total+1 {
		t.Errorf("after a cancelled wait: %+v, %v", e, err)
	}
}

func contention(t *testing.T, s eventstore.Store) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				for {
					r, err := s.Replay(t.Context(), "a", 0)
					if err != nil {
						t.Error(err)
						return
					}
					_, err = s.Append(t.Context(), eventstore.Write{
						Aggregate: "a", Expected: eventstore.Exactly(eventstore.Version(len(r.Events))), Events: events(fmt.Sprintf("%d/%d", w, i)),
					})
					if err == nil {
						break
					}
					if !errors.Is(err, eventstore.ErrConcurrencyConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	checkLength(t, s, writers*each)
}

func closed(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "1")
	sub := s.Subscribe(1)
	heard := make(chan error, 1)
	go func() {
		_, err := sub.Next(context.WithoutCancel(t.Context()))
		heard <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("a subscriber got %v", err)
	}
	if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Events: events("2")}); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	for name, call := range map[string]func() error{
		"Read":         func() error { _, err := s.Read(t.Context(), 0, 1); return err },
		"LastAt":       func() error { _, err := s.LastAt(t.Context(), time.Unix(0, 0)); return err },
		"Replay":       func() error { _, err := s.Replay(t.Context(), "a", 0); return err },
		"Head":         func() error { _, err := s.Head(t.Context()); return err },
		"Verify":       func() error { _, err := s.Verify(t.Context()); return err },
		"SaveSnapshot": func() error { return s.SaveSnapshot(t.Context(), eventstore.Snapshot{Aggregate: "a", Version: 1}) },
		"Consumers":    func() error { _, err := s.Consumers(t.Context()); return err },
		"SaveConsumer": func() error { return s.SaveConsumer(t.Context(), eventstore.Consumer{Name: "c"}, 0) },
		"Next":         func() error { _, err := s.Subscribe(0).Next(t.Context()); return err },
	} {
		if err := call(); !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing it again: %v", err)
	}
}

// ownMemory modifies the values that it passed to the store and those that it got.
func ownMemory(t *testing.T, s eventstore.Store) {
	e := Event("1")
	e.Payload = []byte("payload")
	appended, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.NoStream(), Events: []eventstore.NewEvent{e}})
	if err != nil {
		t.Fatal(err)
	}
	state := []byte("state")
	if err := s.SaveSnapshot(t.Context(), eventstore.Snapshot{Aggregate: "a", Version: 1, Payload: state}); err != nil {
		t.Fatal(err)
	}
	read, err := s.Read(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{e.Payload, appended[0].Payload, read[0].Payload, state} {
		b[0] = 'X'
	}
	again, err := s.Read(t.Context(), 0, 1)
	if err != nil || len(again) != 1 || string(again[0].Payload) != "payload" {
		t.Errorf("%+v, %v", again, err)
	}
	if r, err := s.Replay(t.Context(), "a", 0); err != nil || r.Snapshot == nil || string(r.Snapshot.Payload) != "state" {
		t.Errorf("%+v, %v", r, err)
	}
	checkLength(t, s, 1)
}

// machine appends at random and compares the store with a model: a list of event
// names for each aggregate.
func machine(t *rapid.T, open func(testing.TB) eventstore.Store) {
	s := open(nopTB{})
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	model := map[eventstore.AggregateID][]string{}
	var order []string
	next, checked := 0, 0
	t.Repeat(map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			a := rapid.SampledFrom([]eventstore.AggregateID{"a", "b", "c"}).Draw(t, "aggregate")
			expected := eventstore.Version(rapid.IntRange(0, 6).Draw(t, "expected"))
			n := rapid.IntRange(1, 3).Draw(t, "events")
			var names []string
			for range n {
				names = append(names, fmt.Sprint(next))
				next++
			}
			_, err := s.Append(ctx, eventstore.Write{Aggregate: a, Expected: eventstore.Exactly(expected), Events: events(names...)})
			fits := int(expected) == len(model[a])
			if fits != (err == nil) || (!fits && !errors.Is(err, eventstore.ErrConcurrencyConflict)) {
				t.Fatalf("append to %s at %d expecting %d: %v", a, len(model[a]), expected, err)
			}
			if fits {
				model[a] = append(model[a], names...)
				order = append(order, names...)
			}
		},
		"": func(t *rapid.T) { // events appended since the last action
			checkOrder(t, s, order, checked)
			checked = len(order)
		},
	})
	checkOrder(t, s, order, 0)
	for a, names := range model {
		r, err := s.Replay(ctx, a, 0)
		if err != nil || len(r.Events) != len(names) {
			t.Fatalf("replay of %s: %d events, %v; want %d", a, len(r.Events), err, len(names))
		}
		for i, name := range names {
			if !r.Events[i].Equal(Event(name)) {
				t.Fatalf("version %d of %s is %+v, want %s", i+1, a, r.Events[i], name)
			}
		}
	}
	if head, err := s.Verify(ctx); err != nil || head.Position != eventstore.Position(len(order)) {
		t.Fatalf("Verify = %+v, %v; want %d events", head, err, len(order))
	}
}

// checkOrder compares the events after a position with their names.
func checkOrder(t *rapid.T, s eventstore.Store, order []string, after int) {
	all, err := s.Read(context.Background(), eventstore.Position(after), 1000)
	if err != nil || len(all) != len(order)-after {
		t.Fatalf("%d events after position %d, %v; want %d", len(all), after, err, len(order)-after)
	}
	for i, e := range all {
		if !e.Equal(Event(order[after+i])) {
			t.Fatalf("position %d holds %+v, want %s", after+i+1, e, order[after+i])
		}
	}
}

// nopTB lets open be called without a *testing.T; open must not fail.
type nopTB struct{ testing.TB }

func (nopTB) Helper()        {}
func (nopTB) Cleanup(func()) {}

func mustAppend(t *testing.T, s eventstore.Store, a eventstore.AggregateID, x eventstore.Expected, names ...string) []eventstore.Event {
	t.Helper()
	got, err := s.Append(t.Context(), eventstore.Write{Aggregate: a, Expected: x, Events: events(names...)})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checkLength(t *testing.T, s eventstore.Store, want int) {
	t.Helper()
	head, err := s.Verify(t.Context())
	if err != nil || head.Position != eventstore.Position(want) {
		t.Errorf("the log has %d events, %v; want %d", head.Position, err, want)
	}
}
