package integration

import (
	"testing"
	"time"

	"reprise/journal"
	"reprise/training"
)

// A run trains for 10 seconds, pauses for an hour, is resumed, and is killed 7
// seconds later, of which 4 are recorded; the next process notices after a day.
func TestARunsTimeExcludesItsPauses(t *testing.T) {
	w := newWorld(t)
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	started := w.request(nil)[0].(training.TrainingStarted)
	held := training.Allocation{Device: "cpu0", Lease: "a", Epoch: 1}
	day := 24 * time.Hour
	var record journal.RunRecord
	var summary journal.RunSummary
	for i, step := range []struct {
		after time.Duration
		event training.Event
		want  time.Duration
	}{
		{0, started, 0},
		{2 * time.Second, training.ResourceAllocated{Allocation: held}, 0},
		{10 * time.Second, training.DatasetLoaded{Dataset: started.Dataset.ID, Fingerprint: started.Dataset.Fingerprint}, 8 * time.Second},
		{10 * time.Second, training.TrainingInterrupted{Cause: "Ctrl-C"}, 8 * time.Second},
		{11 * time.Second, training.DeviceReleased{Allocation: held}, 8 * time.Second},
		{12 * time.Second, training.DatasetUnloaded{Dataset: started.Dataset.ID}, 8 * time.Second},
		{time.Hour, training.TrainingResumed{}, 8 * time.Second},
		{time.Hour + 4*time.Second, training.ResourceAllocated{Allocation: held}, 8 * time.Second},
		{day, training.TrainingInterrupted{Cause: "its process ended"}, 8 * time.Second},
		{day, training.DeviceReleased{Allocation: held}, 8 * time.Second},
		{2 * day, training.TrainingResumed{}, 8 * time.Second},
		{2*day - time.Second, training.ResourceAllocated{Allocation: held}, 8 * time.Second}, // the clock was set back
		{2*day + 5*time.Second, training.TrainingFailed{Reason: "not finite"}, 14 * time.Second},
		{3 * day, training.DeviceReleased{Allocation: held}, 14 * time.Second},
		{3 * day, training.RunFailed{Reason: "not finite"}, 14 * time.Second},
	} {
		at := began.Add(step.after)
		var err error
		if summary, err = summary.Apply(step.event, record.Version+1, at); err != nil {
			t.Fatal(err)
		}
		if record, err = record.Apply(step.event, record.Version+1, at); err != nil {
			t.Fatal(err)
		}
		if record.Trained != step.want || summary.Trained != step.want {
			t.Errorf("after event %d, %s: %v in the record, %v in the summary, want %v", i+1, step.event.EventType(), record.Trained, summary.Trained, step.want)
		}
	}
}
