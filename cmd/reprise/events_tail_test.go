package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"reprise/eventstore"
	"reprise/eventstore/memory"
)

// The last lines are those of the whole log, however far back they are, and end
// where the log ended when it was asked.
func TestTailLooksBackAsFarAsItMust(t *testing.T) {
	ctx := context.Background()
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
		kind  string
		lines int
		end   eventstore.Position
		want  []eventstore.Position
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
		list, err := newest(ctx, store, c.end, tailOptions{lines: c.lines, filter: eventFilter{kind: c.kind}})
		if err != nil {
			t.Fatal(err)
		}
		var got []eventstore.Position
		for _, e := range list {
			got = append(got, e.Position)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q, %d lines up to %d: %v, want %v", c.kind, c.lines, c.end, got, c.want)
		}
	}
}

// On a narrow terminal an event is wrapped beside its position, not cut.
func TestTailWrapsEvents(t *testing.T) {
	var out bytes.Buffer
	p := eventPrinter{env: &environment{stdout: &out}, format: formatTable, width: 80}
	words := strings.TrimSpace(strings.Repeat("word ", 19)) // within an excerpt
	err := p.print(eventstore.Event{Position: 7, Aggregate: "run/20261130-042423-6d6f",
		NewEvent: eventstore.NewEvent{Type: "common.v1", Payload: []byte(words)}})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
	for i, l := range lines {
		if lipgloss.Width(l) > 80 || i > 0 && !strings.HasPrefix(l, strings.Repeat(" ", 36)+"word") {
			t.Errorf("line %d: %q", i, l)
		}
	}
	if len(lines) < 2 || strings.Count(out.String(), "word") != 19 || strings.Contains(out.String(), "word…") {
		t.Errorf("%s", out.String())
	}
}
