package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/eventstore"
)

// Twin runs random operations on a durable store and on its twin in memory, and
// fails if their results differ: in events, in the kind of error, in snapshots, in
// consumers or in what a subscriber receives. open and memory return a new, empty
// store; reopen closes a store and opens it again. A failure prints the seed.
func Twin(t *testing.T, open, memory func() eventstore.Store, reopen func(eventstore.Store) eventstore.Store) {
	rapid.Check(t, func(t *rapid.T) {
		m := &twins{store: open(), memory: memory(), reopen: reopen}
		defer func() { _ = m.store.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":         m.append,
			"repeat":         m.repeat,
			"snapshot":       m.snapshot,
			"replay":         m.replay,
			"read":           m.read,
			"save consumer":  m.saveConsumer,
			"forget":         m.forget,
			"listen":         m.listen,
			"close and open": m.closeAndOpen,
		})
		m.compareAll(t)
	})
}

// twins holds both stores, and the position of the one subscriber.
type twins struct {
	store  eventstore.Store
	memory eventstore.Store
	reopen func(eventstore.Store) eventstore.Store

	appended [][]eventstore.Write
	names    int
	received eventstore.Position
	sub      *eventstore.Subscription
}

// same calls f for both stores and compares the results.
func same[T any](t *rapid.T, m *twins, what string, f func(eventstore.Store) (T, error)) {
	t.Helper()
	got, gotErr := f(m.store)
	want, wantErr := f(m.memory)
	if !errors.Is(kind(gotErr), kind(wantErr)) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v, %v\nwant %+v, %v", what, got, gotErr, want, wantErr)
	}
}

// kind returns the sentinel that an error wraps.
func kind(err error) error {
	for _, k := range []error{eventstore.ErrConcurrencyConflict, eventstore.ErrEventIDReused, eventstore.ErrLimit, eventstore.ErrCorrupt, eventstore.ErrClosed} {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}

func aggregate(t *rapid.T) eventstore.AggregateID {
	return rapid.SampledFrom([]eventstore.AggregateID{"a", "b", "c"}).Draw(t, "aggregate")
}

func expected(t *rapid.T) eventstore.Expected {
	if rapid.Bool().Draw(t, "any") {
		return eventstore.AnyVersion()
	}
	return eventstore.Exactly(eventstore.Version(rapid.IntRange(0, 5).Draw(t, "expected")))
}

func (m *twins) append(t *rapid.T) {
	var writes []eventstore.Write
	for range rapid.IntRange(1, 3).Draw(t, "writes") {
		w := eventstore.Write{Aggregate: aggregate(t), Expected: expected(t)}
		for range rapid.IntRange(1, 3).Draw(t, "events") {
			// Sometimes a name that was used before.
			name := m.names
			if m.names > 0 && rapid.IntRange(0, 19).Draw(t, "old name") == 0 {
				name = rapid.IntRange(0, m.names-1).Draw(t, "name")
			} else {
				m.names++
			}
			w.Events = append(w.Events, event(t, name))
		}
		writes = append(writes, w)
	}
	m.appended = append(m.appended, writes)
	same(t, m, "append", func(s eventstore.Store) ([]eventstore.Event, error) { return s.Append(context.Background(), writes...) })
}

func event(t *rapid.T, name int) eventstore.NewEvent {
	e := Event(fmt.Sprint(name))
	e.Time = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
	e.Payload = rapid.SliceOfN(rapid.Byte(), -1, 40).Draw(t, "payload")
	return e
}

func (m *twins) repeat(t *rapid.T) {
	if len(m.appended) == 0 {
		t.Skip("nothing was appended")
	}
	writes := rapid.SampledFrom(m.appended).Draw(t, "again")
	same(t, m, "repeat", func(s eventstore.Store) ([]eventstore.Event, error) { return s.Append(context.Background(), writes...) })
}

func (m *twins) snapshot(t *rapid.T) {
	snapshot := eventstore.Snapshot{
		Aggregate: aggregate(t), Version: eventstore.Version(rapid.IntRange(0, 6).Draw(t, "version")),
		Schema: rapid.IntRange(0, 3).Draw(t, "schema"), Payload: []byte(rapid.String().Draw(t, "state")),
	}
	same(t, m, "snapshot", func(s eventstore.Store) (struct{}, error) {
		return struct{}{}, s.SaveSnapshot(context.Background(), snapshot)
	})
}

func (m *twins) replay(t *rapid.T) {
	a, version := aggregate(t), eventstore.Version(rapid.IntRange(0, 8).Draw(t, "from"))
	schema := rapid.IntRange(0, 3).Draw(t, "schema")
	same(t, m, "replay", func(s eventstore.Store) (eventstore.Replay, error) { return s.Replay(context.Background(), a, version) })
	same(t, m, "replay of a schema", func(s eventstore.Store) (eventstore.Replay, error) {
		return eventstore.ReplaySchema(context.Background(), s, a, schema)
	})
	same(t, m, "history", func(s eventstore.Store) ([]eventstore.Event, error) {
		return s.ReadAggregate(context.Background(), a, version, schema)
	})
}

func (m *twins) read(t *rapid.T) {
	after, limit := eventstore.Position(rapid.IntRange(0, 60).Draw(t, "after")), rapid.IntRange(-1, 20).Draw(t, "limit")
	same(t, m, "read", func(s eventstore.Store) ([]eventstore.Event, error) {
		return s.Read(context.Background(), after, limit)
	})
}

func consumerName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"x", "y"}).Draw(t, "consumer")
}

func (m *twins) saveConsumer(t *rapid.T) {
	c := eventstore.Consumer{
		Name: consumerName(t), Position: eventstore.Position(rapid.IntRange(0, 12).Draw(t, "position")),
		Schema: rapid.IntRange(0, 2).Draw(t, "schema"), State: []byte(rapid.String().Draw(t, "state")),
	}
	kept, err := m.memory.Consumer(context.Background(), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	from := kept.Position
	if rapid.IntRange(0, 4).Draw(t, "wrong") == 0 {
		from++
	}
	same(t, m, "save consumer", func(s eventstore.Store) (struct{}, error) {
		return struct{}{}, s.SaveConsumer(context.Background(), c, from)
	})
}

func (m *twins) forget(t *rapid.T) {
	name := consumerName(t)
	same(t, m, "forget", func(s eventstore.Store) (struct{}, error) {
		return struct{}{}, s.DeleteConsumer(context.Background(), name)
	})
}

// listen lets the subscriber receive some of the events that it has not received yet.
func (m *twins) listen(t *rapid.T) {
	head, err := m.memory.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if m.sub == nil {
		m.sub = m.store.Subscribe(m.received)
	}
	for range rapid.IntRange(0, int(head.Position-m.received)).Draw(t, "events") {
		e, err := m.sub.Next(context.Background())
		want, readErr := m.memory.Read(context.Background(), m.received, 1)
		if err != nil || readErr != nil || !reflect.DeepEqual(e, want[0]) {
			t.Fatalf("after %d the subscriber received %+v, %v; want %+v, %v", m.received, e, err, want, readErr)
		}
		m.received = e.Position
	}
}

func (m *twins) closeAndOpen(*rapid.T) {
	m.store, m.sub = m.reopen(m.store), nil
}

func (m *twins) compareAll(t *rapid.T) {
	ctx := context.Background()
	same(t, m, "verify", func(s eventstore.Store) (eventstore.Head, error) { return s.Verify(ctx) })
	same(t, m, "head", func(s eventstore.Store) (eventstore.Head, error) { return s.Head(ctx) })
	same(t, m, "consumers", func(s eventstore.Store) ([]eventstore.Consumer, error) { return s.Consumers(ctx) })
	same(t, m, "export", func(s eventstore.Store) (string, error) {
		var text bytes.Buffer
		_, err := eventstore.Export(ctx, s, &text)
		return text.String(), err
	})
}

// Fuzz imports arbitrary bytes: no input may cause a panic, and a log that was
// imported must export to the same events. open returns a new, empty store.
func Fuzz(f *testing.F, open func() eventstore.Store) {
	source := open()
	if _, err := source.Append(f.Context(), eventstore.Write{Aggregate: "a", Events: events("1", "2")}); err != nil {
		f.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := eventstore.Export(f.Context(), source, &text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte(`{"format":"reprise.events","version":1}` + "\n" + `{"head":{"position":0,"hash":""}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := open()
		head, err := eventstore.Import(t.Context(), s, bytes.NewReader(in))
		if err != nil {
			checkLength(t, s, 0)
			return
		}
		var out bytes.Buffer
		again := open()
		if _, err := eventstore.Export(t.Context(), s, &out); err != nil {
			t.Fatal(err)
		}
		if twice, err := eventstore.Import(t.Context(), again, bytes.NewReader(out.Bytes())); err != nil || twice != head {
			t.Errorf("%+v, %v; want %+v", twice, err, head)
		}
	})
}
