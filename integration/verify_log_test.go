package integration

import (
	"context"
	"strings"
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
)

// No log that was ever recorded contradicts itself.
func TestGoldenLogsAreVerified(t *testing.T) {
	for file := range goldenFiles() {
		if len(file) < 6 || file[len(file)-6:] != ".jsonl" {
			continue
		}
		store, head := golden(t, file)
		report, err := journal.VerifyLog(context.Background(), store)
		if err != nil || report.Head != head || report.Runs == 0 {
			t.Errorf("%s: %+v, %v", file, report, err)
		}
	}
}

// Whoever forges what a user or an operator asked for contradicts the decisions that were
// made about it.
func TestDecisionsContradictForgedJobsAndSettings(t *testing.T) {
	for _, c := range []struct{ file, kind, aggregate, was, forged, want string }{
		{"jobs.jsonl", "queue.job_submitted.v1", "job/b", `"owner":"ann"`, `"owner":"bob"`, `job b: owner: recorded "ann", but it was submitted for "bob"`},
		{"jobs.jsonl", "queue.job_submitted.v1", "job/b", `"priority":3`, `"priority":4`, "job b: priority: recorded 3, but it has had [4]"},
		{"settings.jsonl", "queue.job_submitted.v1", "job/bob-1", `"labels":["fast"]`, `"labels":["slow"]`, "job bob-1: need.labels: recorded [fast], but it was submitted with [slow]"},
		{"settings.jsonl", "queue.settings_changed.v1", "queue-settings", `"ada":0.5`, `"ada":5`, "snapshot.policy.shares.ada: recorded 0.5, but the settings have 5"},
		{"settings.jsonl", "queue.settings_changed.v1", "queue-settings", `"bob":2`, `"bob":3`, "snapshot.policy.quotas.bob: recorded 2, but the settings have 3"},
		{"settings.jsonl", "queue.settings_changed.v1", "queue-settings", `"local"`, `"other"`, "cpu0 has the labels [fast local], but the settings give it other"},
	} {
		events, _ := golden(t, c.file)
		store := memory.New()
		forged := 0
		if _, err := eventstore.Walk(context.Background(), events, 0, eventstore.End, func(e eventstore.Event) error {
			if e.Type == c.kind && string(e.Aggregate) == c.aggregate && forged == 0 && strings.Contains(string(e.Payload), c.was) {
				e.Payload = []byte(strings.Replace(string(e.Payload), c.was, c.forged, 1))
				forged++
			}
			_, err := store.Append(context.Background(), eventstore.Write{Aggregate: e.Aggregate, Expected: eventstore.AnyVersion(), Events: []eventstore.NewEvent{e.NewEvent}})
			return err
		}); err != nil || forged != 1 {
			t.Fatalf("%s: %d events of %s were forged, %v", c.file, forged, c.aggregate, err)
		}
		if _, err := journal.VerifyLog(context.Background(), store); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v", c.forged, c.aggregate, err)
		}
	}
}
