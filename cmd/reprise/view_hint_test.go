package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A hint is the last line of every frame, however much happens, also before a run has begun;
// in plain lines it is said once. At the end nothing is left to interrupt.
func TestAHintStaysInSight(t *testing.T) {
	const hint = "process 7 trains it; Ctrl-C ends this display only"
	lastLine := func(content string) string {
		lines := strings.Split(strings.TrimRight(ansiCodes.ReplaceAllString(content, ""), "\n"), "\n")
		return lines[len(lines)-1]
	}
	v := &runView{now: time.Now, out: &liveDisplay{}}
	v.hint(hint)
	m := liveModel{snapshot: v.snapshot, others: func() []progress { return nil }, width: 80, height: 24}
	if got := lastLine(m.View().Content); got != hint {
		t.Errorf("before it begins: %q", got)
	}
	v.message("waits for a device")
	if text := ansiCodes.ReplaceAllString(m.View().Content, ""); text != "waits for a device\n"+hint+"\n" {
		t.Errorf("while it waits:\n%s", text)
	}
	v.progress.id = "a"
	rows := &liveRows{snapshots: func() []progress { return make([]progress, 40) }}
	several := &severalView{out: rows}
	several.hint(hint)
	for i := range 3 * liveNotes {
		v.message(fmt.Sprint("note ", i))
		rows.message(fmt.Sprint("note ", i))
	}
	if got := lastLine(m.View().Content); got != hint {
		t.Errorf("one run: %q", got)
	}
	view := rowsModel{rows: rows, width: 80, height: 24}.View()
	if got := lastLine(view.Content); got != hint || strings.Count(view.Content, "\n") > 24 {
		t.Errorf("several runs: %q in %d lines", got, strings.Count(view.Content, "\n"))
	}

	var lines strings.Builder
	plain := &runView{now: time.Now, out: &plainDisplay{w: &lines}}
	plain.hint(hint)
	plain.close()
	if lines.String() != hint+"\n" {
		t.Errorf("in plain lines: %q", lines.String())
	}
	if got := plain.snapshot().hint; got != "" {
		t.Errorf("at the end: %q", got)
	}
}
