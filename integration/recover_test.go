package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/journal/journaltest"
)

// recoverByReplay is Recover as it would be without projections: it folds the
// whole log and examines every run.
func recoverByReplay(ctx context.Context, runs *journal.RunLog, devices *journal.DeviceLog) (Recovery, error) {
	var recovery Recovery
	state, err := journal.StateAt(ctx, runs.Store(), eventstore.End)
	if err != nil {
		return recovery, err
	}
	for _, d := range state.Devices {
		events := d.Ledger.ReleaseAll("its process ended")
		if _, err := devices.Append(ctx, d, events...); err != nil {
			return recovery, err
		}
		recovery.Leases += len(events)
	}
	for _, r := range state.Runs {
		if err := recovery.settle(ctx, runs, r); err != nil {
			return recovery, err
		}
	}
	return recovery, nil
}

// copyLog returns a store with the same events, and nothing else stored.
func copyLog(t interface{ Fatal(...any) }, from eventstore.Store) eventstore.Store {
	to := memory.New()
	if _, err := eventstore.Walk(context.Background(), from, 0, eventstore.End, func(e eventstore.Event) error {
		_, err := to.Append(context.Background(), eventstore.Write{
			Aggregate: e.Aggregate, Expected: eventstore.Exactly(e.Version - 1), Events: []eventstore.NewEvent{e.NewEvent},
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return to
}

// drawing makes a *rapid.T a journaltest.Source.
type drawing struct{ *rapid.T }

// Draw implements journaltest.Source.
func (d drawing) Draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.T, what) }

func marshal(t rapid.TB, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Recovering from projections that were stored at any time, or never, appends
// exactly the events that recovering from the whole log does.
func TestRecoveringFromProjectionsEqualsRecoveringFromTheLog(t *testing.T) {
	recovered := 0
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		l := journaltest.NewLottery(drawing{t}, memory.New())
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			l.Step()
			if (drawing{t}).Draw(10, "keep") == 0 {
				if err := journal.CatchUpProjections(ctx, l.Store); err != nil {
					t.Fatal(err)
				}
			}
		}
		at := l.Now()
		clock := func() time.Time { return at }
		twin := copyLog(t, l.Store)
		got, err := Recover(ctx, "", journal.NewRunLog(l.Store, clock), journal.NewDeviceLog(l.Store, clock))
		if err != nil {
			t.Fatal(err)
		}
		want, err := recoverByReplay(ctx, journal.NewRunLog(twin, clock), journal.NewDeviceLog(twin, clock))
		if err != nil {
			t.Fatal(err)
		}
		gotHead, err := l.Store.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		wantHead, err := twin.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if gotHead != wantHead || !bytes.Equal(marshal(t, got), marshal(t, want)) {
			t.Fatalf("recovered %+v, the log ends with %+v; from the whole log %+v, %+v", got, gotHead, want, wantHead)
		}
		recovered += len(got.Interrupted) + len(got.Failed)
		again, err := Recover(ctx, "", journal.NewRunLog(l.Store, clock), journal.NewDeviceLog(l.Store, clock))
		if err != nil || again.Leases+len(again.Interrupted)+len(again.Failed) > 0 {
			t.Fatalf("recovering twice recovered %+v, %v", again, err)
		}
	})
	if recovered == 0 {
		t.Error("nothing was ever unfinished")
	}
}
