package integration

import (
	"bytes"
	"context"
	"testing"

	"pgregory.net/rapid"

	"reprise/eventstore"
	"reprise/journal"
)

// sameAsReplay fails unless the overview at a position is what the complete
// records say, folded from the first event on.
func sameAsReplay(t rapid.TB, store eventstore.Store, at eventstore.Position) {
	t.Helper()
	got, err := journal.OverviewAt(context.Background(), store, at)
	if err != nil {
		t.Fatal(err)
	}
	state, err := journal.StateAt(context.Background(), store, at)
	if err != nil {
		t.Fatal(err)
	}
	want := journal.Overview{Position: state.Position, Time: state.Time, Last: got.Last, Devices: state.Devices}
	for _, r := range state.Runs {
		want.Runs = append(want.Runs, r.Summary())
	}
	if !bytes.Equal(marshal(t, got), marshal(t, want)) || got.Last.Position != got.Position {
		t.Fatalf("the overview at %d is\n%s\nthe records say\n%s", at, marshal(t, got), marshal(t, want))
	}
	if got, want := len(got.Queue()), len(state.Queue()); got != want {
		t.Fatalf("at %d the queue has %d runs, the records say %d", at, got, want)
	}
}

// checkOverview compares the overview at a few positions, including the end and
// one beyond it.
func (l *lottery) checkOverview(t *rapid.T) {
	head, err := l.store.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []eventstore.Position{0, head.Position, head.Position + 1, eventstore.Position(rapid.Uint64Range(0, uint64(head.Position)).Draw(t, "at"))} {
		sameAsReplay(t, l.store, at)
	}
}

func TestTheOverviewOfGoldenLogsEqualsTheirReplay(t *testing.T) {
	for _, name := range goldenLogs(t) {
		store, head := golden(t, name)
		if err := journal.CatchUpProjections(t.Context(), store); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for at := range head.Position + 1 {
			sameAsReplay(t, store, at)
		}
	}
}
