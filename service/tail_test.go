package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reprise/eventstore"
	"reprise/eventstore/memory"
)

// The last lines are those of the whole log, however far back they are, and end
// where the log ended when it was asked.
func TestTailLooksBackAsFarAsItMust(t *testing.T) {
	ctx := t.Context()
	store := memory.New()
	const events = 12_345
	for at := 0; at < events; {
		var batch []eventstore.NewEvent
		for ; at < events && len(batch) < eventstore.MaxBatch; at++ {
			kind := "common.v1"
			if at%2500 == 7 {
				kind = "rare.v1"
			}
			batch = append(batch, eventstore.NewEvent{ID: eventstore.EventID(fmt.Sprint("id-", at)), Type: kind, Time: time.Unix(int64(at), 0)})
		}
		if _, err := store.Append(ctx, eventstore.Write{Aggregate: "a", Expected: eventstore.AnyVersion(), Events: batch}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		kind string
		n    uint
		end  eventstore.Position
		want []eventstore.Position
	}{
		{"", 2, events, []eventstore.Position{events - 1, events}},
		{"", 0, events, nil},
		{"rare", 1, events, []eventstore.Position{10_008}},
		{"rare", 3, events, []eventstore.Position{5008, 7508, 10_008}},
		{"rare", 3, 10_007, []eventstore.Position{2508, 5008, 7508}},
		{"rare", 100, events, []eventstore.Position{8, 2508, 5008, 7508, 10_008}},
		{"never", 5, events, nil},
		{"", 5, 2, []eventstore.Position{1, 2}},
		{"", 5, 0, nil},
	} {
		list, err := newest(ctx, store, c.end, c.n, func(e eventstore.Event) bool { return strings.HasPrefix(e.Type, c.kind) })
		if err != nil {
			t.Fatal(err)
		}
		var got []eventstore.Position
		for _, e := range list {
			got = append(got, e.Position)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q, %d lines up to %d: %v, want %v", c.kind, c.n, c.end, got, c.want)
		}
	}
}
