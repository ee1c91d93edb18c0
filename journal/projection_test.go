package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/journal/journaltest"
)

// lottery draws from a test's own randomness.
type lottery struct {
	*journaltest.Lottery
	t *rapid.T
}

// drawing makes a *rapid.T a journaltest.Source.
type drawing struct{ *rapid.T }

// Draw implements journaltest.Source.
func (d drawing) Draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.T, what) }

func newLottery(t *rapid.T) *lottery {
	return &lottery{Lottery: journaltest.NewLottery(drawing{t}, memory.New()), t: t}
}

// checkOverview compares the overview at a few positions, including the end and
// one beyond it.
func (l *lottery) checkOverview(t *rapid.T) {
	head, err := l.Store.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []eventstore.Position{0, head.Position, head.Position + 1, eventstore.Position(rapid.Uint64Range(0, uint64(head.Position)).Draw(t, "at"))} {
		sameAsReplay(t, l.Store, at)
	}
}

// sameAsReplay fails unless the overview at a position is what the complete
// records say.
func sameAsReplay(t rapid.TB, store eventstore.Store, at eventstore.Position) {
	t.Helper()
	if err := journaltest.CompareOverview(context.Background(), store, at); err != nil {
		t.Fatal(err)
	}
}

func marshal(t rapid.TB, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// After every event of any log, a listing says what the complete records say;
// and a projection that was stored and read back at any times is, byte by byte,
// the one that is folded from the beginning.
func TestAProjectionIsAtEveryPositionWhatTheRecordsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLottery(t)
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			l.Step()
		}
		events, err := l.Store.Read(context.Background(), 0, eventstore.MaxReadPage)
		if err != nil {
			t.Fatal(err)
		}
		timeline := journal.NewTimeline()
		stored := map[string]journal.ReadModel{}
		for _, p := range journal.Projections() {
			stored[p.Name] = p.New()
		}
		for _, e := range events {
			if err := timeline.Apply(e); err != nil {
				t.Fatal(err)
			}
			readBack := rapid.IntRange(0, 5).Draw(t, "read back") == 0
			for _, p := range journal.Projections() {
				if err := stored[p.Name].Apply(e); err != nil {
					t.Fatal(err)
				}
				if readBack {
					model := p.New()
					for _, part := range stored[p.Name].Split() {
						if err := model.Join(marshal(t, part)); err != nil {
							t.Fatal(err)
						}
					}
					stored[p.Name] = model
				}
			}
			var want []journal.RunSummary
			for _, r := range timeline.State().Runs {
				want = append(want, r.Summary())
			}
			if got := stored["runs"].(*journal.RunList).Runs; !bytes.Equal(marshal(t, got), marshal(t, want)) {
				t.Fatalf("after %s at %d the list is\n%s\nthe records say\n%s", e.Type, e.Position, marshal(t, got), marshal(t, want))
			}
			if got := stored["devices"].(*journal.DeviceList).Devices; !bytes.Equal(marshal(t, got), marshal(t, timeline.State().Devices)) {
				t.Fatalf("after %s at %d the devices are\n%s\nthe records say\n%s", e.Type, e.Position, marshal(t, got), marshal(t, timeline.State().Devices))
			}
			if got, want := len(stored["runs"].(*journal.RunList).Queue()), len(timeline.State().Queue()); got != want {
				t.Fatalf("after %s at %d the queue has %d runs, the records say %d", e.Type, e.Position, got, want)
			}
		}
		for _, p := range journal.Projections() {
			fresh := p.New()
			for _, e := range events {
				if err := fresh.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := marshal(t, stored[p.Name]), marshal(t, fresh); !bytes.Equal(got, want) {
				t.Fatalf("%s is\n%s\nfolded from the beginning it is\n%s", p.Name, got, want)
			}
		}
	})
}

// A stored projection is a cache: whether it is caught up, rebuilt, deleted,
// damaged or of another schema, what is read is the same.
func TestAStoredProjectionChangesNothingButTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		l := newLottery(t)
		for range rapid.IntRange(2, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 15).Draw(t, "steps") {
				l.Step()
			}
			switch rapid.SampledFrom([]string{"catch up", "rebuild", "damage", "another schema", "other events", "a damaged part", "an older part", "nothing"}).Draw(t, "then") {
			case "catch up":
				if err := journal.CatchUpProjections(ctx, l.Store); err != nil {
					t.Fatal(err)
				}
				l.checkLag(t, 0)
			case "rebuild":
				for _, p := range journal.Projections() {
					r, err := p.Rebuild(ctx, l.Store)
					if err != nil || !r.Same {
						t.Fatalf("%+v, %v", r, err)
					}
				}
				l.checkLag(t, 0)
			case "damage":
				l.spoil(t, func(c *eventstore.Consumer) { c.State = []byte(`{"runs":[{"run_id":"x"}],`) })
			case "another schema":
				l.spoil(t, func(c *eventstore.Consumer) { c.Schema++ })
			case "other events":
				l.spoil(t, func(c *eventstore.Consumer) {
					c.State = bytes.Replace(c.State, []byte(journal.ReadableEvents()), []byte("others"), 1)
				})
			case "a damaged part":
				l.spoilParts(t, func([]byte) []byte { return []byte(`{"runs":[{"run_id":"x"}],`) })
			case "an older part": // one that would be valid, but for its hash
				l.spoilParts(t, func([]byte) []byte { return []byte(`{}`) })
			}
			l.checkOverview(t)
			runs, err := journal.ReadRuns(ctx, l.Store)
			if err != nil {
				t.Fatal(err)
			}
			devices, err := journal.ReadDevices(ctx, l.Store)
			if err != nil {
				t.Fatal(err)
			}
			state, err := journal.StateAt(ctx, l.Store, 1<<40)
			if err != nil {
				t.Fatal(err)
			}
			var want []journal.RunSummary
			for _, r := range state.Runs {
				want = append(want, r.Summary())
			}
			if !bytes.Equal(marshal(t, runs.Runs), marshal(t, want)) || !bytes.Equal(marshal(t, devices.Devices), marshal(t, state.Devices)) {
				t.Fatalf("read\n%s\n%s\nthe records say\n%s\n%s", marshal(t, runs.Runs), marshal(t, devices.Devices), marshal(t, want), marshal(t, state.Devices))
			}
		}
	})
}

func (l *lottery) checkLag(t *rapid.T, want eventstore.Position) {
	list, err := journal.ProjectionStatuses(context.Background(), l.Store)
	if err != nil || len(list) != len(journal.Projections()) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, s := range list {
		if s.Lag != want {
			t.Fatalf("%+v, want a lag of %d", s, want)
		}
	}
}

// spoil changes the stored form of every projection.
func (l *lottery) spoil(t *rapid.T, change func(*eventstore.Consumer)) {
	ctx := context.Background()
	for _, p := range journal.Projections() {
		c, err := l.Store.Consumer(ctx, journal.ConsumerOf(p))
		if err != nil {
			t.Fatal(err)
		}
		if c.Position == 0 {
			continue
		}
		at := c.Position
		change(&c)
		if err := l.Store.SaveConsumer(ctx, c, at); err != nil {
			t.Fatal(err)
		}
	}
}

// spoilParts changes every stored part, in both of its slots.
func (l *lottery) spoilParts(t *rapid.T, change func([]byte) []byte) {
	ctx := context.Background()
	consumers, err := l.Store.Consumers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range consumers {
		if strings.Contains(c.Name, "/part-") {
			c.State = change(c.State)
			if err := l.Store.SaveConsumer(ctx, c, c.Position); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestProjectionNamesAreUnique(t *testing.T) {
	var names []string
	for _, p := range journal.Projections() {
		if p.Schema < 1 || p.Name == "" || strings.ContainsAny(p.Name, " /") || slices.Contains(names, p.Name) {
			t.Errorf("%+v", p)
		}
		names = append(names, p.Name)
	}
}
