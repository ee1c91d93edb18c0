package main

import (
	"bytes"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"reprise/api"
)

// On a narrow terminal an event is wrapped beside its position, not cut.
func TestTailWrapsEvents(t *testing.T) {
	var out bytes.Buffer
	p := eventPrinter{env: &environment{stdout: &out}, format: formatTable, width: 80}
	words := strings.TrimSpace(strings.Repeat("word ", 19)) // within an excerpt
	err := p.print(api.Event{Position: 7, Aggregate: "run/20261130-042423-6d6f", Type: "common.v1", Payload: []byte(words)})
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
