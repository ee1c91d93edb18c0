package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"reprise/eventstore"
)

// consumers saves, lists, sets back and deletes.
func consumers(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "1", "2", "3")
	if c, err := s.Consumer(t.Context(), "new"); err != nil || !reflect.DeepEqual(c, eventstore.Consumer{Name: "new"}) {
		t.Errorf("a consumer that was never saved: %+v, %v", c, err)
	}
	save := func(c eventstore.Consumer, from eventstore.Position) {
		t.Helper()
		if err := s.SaveConsumer(t.Context(), c, from); err != nil {
			t.Fatal(err)
		}
	}
	second := eventstore.Consumer{Name: "b", Position: 3, Schema: 4, State: []byte("all")}
	first := eventstore.Consumer{Name: "a", Position: 1}
	save(second, 0)
	save(first, 0)
	if all, err := s.Consumers(t.Context()); err != nil || !reflect.DeepEqual(all, []eventstore.Consumer{first, second}) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.SaveConsumer(t.Context(), eventstore.Consumer{Name: "a", Position: 3}, 2); !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Errorf("from a position that it is not at: %v", err)
	}
	for _, c := range []eventstore.Consumer{{Name: "a", Position: 4}, {Position: 2}} {
		if err := s.SaveConsumer(t.Context(), c, 1); !errors.Is(err, eventstore.ErrLimit) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if c, err := s.Consumer(t.Context(), "a"); err != nil || !reflect.DeepEqual(c, first) {
		t.Errorf("refused saves changed it: %+v, %v", c, err)
	}
	second.Position, second.State = 1, nil
	save(second, 3)
	for range 2 {
		if err := s.DeleteConsumer(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Consumers(t.Context()); err != nil || !reflect.DeepEqual(all, []eventstore.Consumer{second}) {
		t.Errorf("%+v, %v", all, err)
	}
	checkLength(t, s, 3)
}

// consuming interrupts a consumer at every stage and checks which events its state
// has seen.
func consuming(t *testing.T, s eventstore.Store) {
	const total = 40
	for i := range total {
		mustAppend(t, s, "a", eventstore.AnyVersion(), fmt.Sprint(i))
	}
	config := eventstore.ConsumerConfig{Name: "list", Schema: 1, MaxBatch: 7}
	list := func(_ context.Context, state []byte, batch []eventstore.Event) ([]byte, error) {
		for _, e := range batch {
			state = fmt.Appendf(state, "%d ", e.Position)
		}
		return state, nil
	}
	broken := errors.New("broken")
	calls := 0
	failing := func(ctx context.Context, state []byte, batch []eventstore.Event) ([]byte, error) {
		if calls++; calls%3 == 0 {
			return nil, broken
		}
		return list(ctx, state, batch)
	}
	var c eventstore.Consumer
	for failures := 0; ; failures++ {
		var err error
		if c, err = eventstore.CatchUp(t.Context(), s, config, failing); err == nil {
			if failures == 0 {
				t.Fatal("nothing failed")
			}
			break
		}
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	want := ""
	for i := range total {
		want += fmt.Sprintf("%d ", i+1)
	}
	stored, err := s.Consumer(t.Context(), "list")
	if err != nil || string(c.State) != want || !reflect.DeepEqual(stored, c) {
		t.Errorf("state %q, stored %+v, %v; want %q", c.State, stored, err, want)
	}
	config.Schema = 2
	if c, err = eventstore.CatchUp(t.Context(), s, config, list); err != nil || string(c.State) != want || c.Schema != 2 {
		t.Errorf("with a newer schema: %q, %v", c.State, err)
	}
}

// consumingLive continues from stored events to new ones, and loses to a second
// consumer with the same name.
func consumingLive(t *testing.T, s eventstore.Store) {
	const before, total = 20, 60
	for i := range before {
		mustAppend(t, s, "a", eventstore.AnyVersion(), fmt.Sprint(i))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen []eventstore.Position
	heard := make(chan eventstore.Position, total)
	done := make(chan error, 1)
	go func() {
		done <- eventstore.Consume(ctx, s, eventstore.ConsumerConfig{Name: "live"}, func(_ context.Context, _ []byte, batch []eventstore.Event) ([]byte, error) {
			for _, e := range batch {
				seen = append(seen, e.Position)
				heard <- e.Position
			}
			return nil, nil
		})
	}()
	for i := before; i < total; i++ {
		mustAppend(t, s, "a", eventstore.AnyVersion(), fmt.Sprint(i))
	}
	for <-heard != total {
	}
	// The next save is refused once somebody else has moved the position.
	for {
		c, err := s.Consumer(t.Context(), "live")
		if err != nil {
			t.Fatal(err)
		}
		if c.Position == total {
			break
		}
	}
	if err := s.SaveConsumer(t.Context(), eventstore.Consumer{Name: "live", Position: 1}, total); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "a", eventstore.AnyVersion(), "last")
	if err := <-done; !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		t.Errorf("a second consumer with the same name: %v", err)
	}
	for i, p := range seen {
		if p != eventstore.Position(i+1) {
			t.Fatalf("received %v", seen)
		}
	}
}

// slow appends many events while a subscriber is idle.
func slow(t *testing.T, s eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "first")
	sub := s.Subscribe(0)
	if _, err := sub.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: events(fmt.Sprint(w, "/", i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait() // nobody waited for the subscriber
	next := eventstore.Position(2)
	for next <= writers*each+1 {
		batch, err := sub.NextBatch(t.Context(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) > 256 {
			t.Fatalf("%d events were read ahead", len(batch))
		}
		for _, e := range batch {
			if e.Position != next {
				t.Fatalf("position %d, want %d", e.Position, next)
			}
			next++
		}
	}
}

// history reads an aggregate page by page, regardless of snapshots.
func history(t *testing.T, s eventstore.Store) {
	all := mustAppend(t, s, "a", eventstore.NoStream(), "1", "2", "3", "4", "5")
	mustAppend(t, s, "b", eventstore.NoStream(), "6")
	snapshot := eventstore.Snapshot{Aggregate: "a", Version: 3, Schema: 2, Payload: []byte("three")}
	if err := s.SaveSnapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for _, page := range []struct {
		after eventstore.Version
		limit int
		want  []eventstore.Event
	}{{0, 100, all}, {0, 2, all[:2]}, {2, 2, all[2:4]}, {4, 9, all[4:]}, {5, 9, nil}, {0, 0, nil}, {0, -1, nil}} {
		got, err := s.ReadAggregate(t.Context(), "a", page.after, page.limit)
		if err != nil || len(got) != len(page.want) || len(got) > 0 && !reflect.DeepEqual(got, page.want) {
			t.Errorf("%d events after %d: %+v, %v", page.limit, page.after, got, err)
		}
	}
	if r, err := eventstore.ReplaySchema(t.Context(), s, "a", 2); err != nil || r.Snapshot == nil || !reflect.DeepEqual(r.Events, all[3:]) {
		t.Errorf("with the snapshot's schema: %+v, %v", r, err)
	}
	for _, other := range []int{1, 3} {
		if r, err := eventstore.ReplaySchema(t.Context(), s, "a", other); err != nil || r.Snapshot != nil || !reflect.DeepEqual(r.Events, all) {
			t.Errorf("with schema %d: %+v, %v", other, r, err)
		}
	}
	// A snapshot with a newer schema replaces one of a later version.
	for _, next := range []eventstore.Snapshot{{Aggregate: "a", Version: 1, Schema: 3}, {Aggregate: "a", Version: 5, Schema: 2}} {
		if err := s.SaveSnapshot(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Replay(t.Context(), "a", 0); err != nil || r.Snapshot == nil || r.Snapshot.Schema != 3 {
		t.Errorf("%+v, %v", r.Snapshot, err)
	}
}

// exports copies the log to another store and back, and tries to smuggle in
// changes.
func exports(t *testing.T, s, other eventstore.Store) {
	mustAppend(t, s, "a", eventstore.NoStream(), "1", "2")
	odd := Event("3")
	odd.Payload = []byte{0xff, 0, '\n'}
	plain := eventstore.NewEvent{ID: "4", Type: "<plain>", Time: odd.Time}
	if _, err := s.Append(t.Context(), eventstore.Write{Aggregate: "b", Events: []eventstore.NewEvent{odd, plain}}); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	want, err := eventstore.Export(t.Context(), s, &text)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text.String(), "\n")
	for name, changed := range map[string]string{
		"cut off":             strings.Join(lines[:4], ""),
		"the end is missing":  strings.Join(lines[:5], ""),
		"an event is missing": strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""),
		"a payload changed":   strings.Replace(text.String(), `\"name\":\"2\"`, `\"name\":\"9\"`, 1),
		"no header":           strings.Join(lines[1:], ""),
		"a newer version":     strings.Replace(text.String(), `"version":1`, `"version":2`, 1),
		"an unknown key":      strings.Replace(text.String(), `{"position":1,`, `{"what":1,"position":1,`, 1),
		"more after the end":  text.String() + lines[1],
		"empty":               "",
	} {
		if _, err := eventstore.Import(t.Context(), other, strings.NewReader(changed)); err == nil {
			t.Errorf("%s: imported", name)
		}
	}
	checkLength(t, other, 0)
	if head, err := eventstore.Import(t.Context(), other, bytes.NewReader(text.Bytes())); err != nil || head != want {
		t.Fatalf("Import = %+v, %v; want %+v", head, err, want)
	}
	var again bytes.Buffer
	if _, err := eventstore.Export(t.Context(), other, &again); err != nil || again.String() != text.String() {
		t.Errorf("the export of the import differs, %v:\n%s\n%s", err, again.String(), text.String())
	}
	if _, err := eventstore.Import(t.Context(), other, bytes.NewReader(text.Bytes())); !errors.Is(err, eventstore.ErrNotEmpty) {
		t.Errorf("into a store that has events: %v", err)
	}
}
