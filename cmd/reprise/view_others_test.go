package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/dataset"
	"reprise/training"
)

// shownRun is what two displays are told about a run of another process.
func shownRun(v hostView, id training.RunID, epochs uint64) {
	var r api.RunReport
	r.Details.RunID, r.Details.Epochs, r.Details.TotalSteps = id, 3, 30
	r.Details.Data.Task = dataset.Regression
	v.begin(r)
	v.recorded(id, training.ResourceAllocated{Allocation: training.Allocation{Device: "cpu0"}})
	for e := range epochs {
		v.recorded(id, training.EpochCompleted{Epoch: e + 1, Step: 10 * (e + 1)})
	}
}

func TestRunsOfOthersAreShownBesideTheOwn(t *testing.T) {
	var stderr bytes.Buffer
	now := func() time.Time { return time.Unix(0, 0) }
	env := &environment{program: "reprise", stderr: &stderr, now: now, getenv: func(string) string { return "" }}
	for name, view := range map[string]func() hostView{
		"one":     func() hostView { return newRunView(env) },
		"several": func() hostView { return newSeveralView(env, []string{"a.yaml", "b.yaml"}) },
	} {
		stderr.Reset()
		env.said = saidLines{}
		v := newHolderView(view(), []training.RunID{"own"}, "reprise runs resume --all")
		shownRun(v, "own", 1)
		if strings.Contains(stderr.String(), "other processes") {
			t.Errorf("%s: said although there are none:\n%s", name, stderr.String())
		}
		shownRun(v, "first", 1)
		shownRun(v, "second", 1)
		v.tell("second", "paused")
		text := stderr.String()
		for _, want := range []string{"[first] training on cpu0\n", "[first] epoch 1/3 ", "[second] epoch 1/3 ", "[second] paused\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, text)
			}
		}
		if n := strings.Count(text, "Ctrl-C interrupts all"); n != 1 {
			t.Errorf("%s: said %d times that Ctrl-C interrupts them:\n%s", name, n, text)
		}
		if got := v.interrupting("interrupting"); got != "interrupting\n2 runs of other processes are interrupted, too; resume them with: reprise runs resume --all" {
			t.Errorf("%s: %q", name, got)
		}
		v.recorded("first", training.TrainingCompleted{})
		v.recorded("second", training.TrainingInterrupted{Cause: "a test"})
		if got := v.interrupting("interrupting"); got != "interrupting" {
			t.Errorf("%s: %q, though none is under way", name, got)
		}
		v.close()

		// A later display gets all updates once more, and shows what is new.
		stderr.Reset()
		later := newHolderView(newSeveralView(env, nil), nil, "")
		shownRun(later, "first", 3)
		if text := stderr.String(); strings.Contains(text, "run first") || strings.Contains(text, "epoch 1/3") || strings.Contains(text, "training on") ||
			strings.Count(text, "epoch 2/3") != 1 || strings.Count(text, "epoch 3/3") != 1 {
			t.Errorf("%s: the later display says\n%s", name, text)
		}
		later.close()
	}
}

func TestRunsOfOthersHaveRowsOfATerminal(t *testing.T) {
	now := func() time.Time { return time.Unix(0, 0) }
	own := &runView{now: now, out: &rowDisplay{func(string) {}, ""}}
	own.guests = newOthers(now, func(label string) display { return &rowDisplay{own.message, label} })
	v := newHolderView(own, []training.RunID{"own"}, "reprise runs resume --all")
	shownRun(v, "own", 1)
	for _, id := range []training.RunID{"first", "second", "third"} {
		shownRun(v, id, 2)
	}
	m := liveModel{snapshot: own.snapshot, others: own.guests.snapshots, width: 100, height: 40}
	text := ansiCodes.ReplaceAllString(m.View().Content, "")
	for _, want := range []string{"run own", "3 runs of other processes: 3 running", "\nfirst ", "\nsecond ", "\nthird ", "resume --all"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	m.height = len(m.lines(own.snapshot())) + 5
	if text = ansiCodes.ReplaceAllString(m.View().Content, ""); !strings.Contains(text, "and 1 more") || strings.Count(text, "\n") >= m.height {
		t.Errorf("%d lines of %d:\n%s", strings.Count(text, "\n"), m.height, text)
	}
}
