package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/api/describe"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// A resumed run without its data says once what is missing, however often it is tried
// again, and waits meanwhile.
func TestARunThatWaitsForItsDataSaysSoOnce(t *testing.T) {
	var said []string
	v := &runView{now: time.Now, out: &rowDisplay{func(text string) { said = append(said, text) }, "1 a.yaml"}}
	job := func(e queue.JobEvent) {
		t.Helper()
		_, payload, err := journal.Encode(e.(journal.Typed))
		if err != nil {
			t.Fatal(err)
		}
		news, err := describe.NewsOfJob("a", e.EventType(), json.RawMessage(payload))
		if err != nil {
			t.Fatal(err)
		}
		v.news("a", news)
	}
	v.begin(api.RunReport{Details: api.RunDetails{Run: api.Run{Result: api.Result{RunID: "a", State: training.Interrupted}}}})
	missing := queue.Cause{Code: queue.CauseData, Message: "there is no a.csv; put it back"}
	for _, in := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		v.recorded("a", training.TrainingResumed{})
		v.recorded("a", training.TrainingInterrupted{Cause: missing.Message})
		job(queue.JobDeferred{Cause: missing, RetryAfter: in})
		if p := v.snapshot(); p.phase != phaseWaiting || p.row() != "waiting for its data" || countPhases([]progress{p}) != "1 waiting" {
			t.Errorf("%q, %q", p.phase, p.row())
		}
	}
	if want := []string{"1 a.yaml: waiting: there is no a.csv; put it back; the next attempt is in 1.0s"}; !slices.Equal(said, want) {
		t.Errorf("said\n%s", strings.Join(said, "\n"))
	}
	v.recorded("a", training.TrainingResumed{})
	if p := v.snapshot(); p.row() != "waiting for a device" {
		t.Errorf("with its data: %q", p.row())
	}
	job(queue.JobCancelled{Cause: queue.Cause{Code: queue.CauseUser, Message: "cancelled by the user"}})
	v.recorded("a", training.TrainingInterrupted{Cause: "cancelled by the user"})
	if p := v.snapshot(); p.phase != phaseCancelled || len(said) != 2 || said[1] != "1 a.yaml: cancelled by the user" {
		t.Errorf("%q, said\n%s", p.phase, strings.Join(said, "\n"))
	}
}

// A run that waits when its process ends is interrupted.
func TestARunThatWaitsIsInterruptedWithItsProcess(t *testing.T) {
	p := progress{phase: phaseWaiting}
	p.news(describe.JobNews{State: training.Interrupted})
	if p.phase != phaseInterrupted {
		t.Errorf("%q", p.phase)
	}
}

// A state with a long queue still shows the devices on a small terminal.
func TestTheQueueOfAStateIsSummarised(t *testing.T) {
	var report api.StateReport
	report.State.Position = 1
	report.State.Time = &time.Time{}
	for range 30 {
		report.State.Queue = append(report.State.Queue, api.QueuedRun{RunID: "20261130-101500-aaaa", For: "queued"})
	}
	var out strings.Builder
	table := newTable(&out)
	if err := writeState(table, report); err != nil || table.flush() != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n > 20 || !strings.Contains(out.String(), "and 22 more, which `reprise runs list --state queued` shows") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}
