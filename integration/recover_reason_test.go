package integration

import (
	"testing"
	"time"

	"reprise/device"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// A job whose run failed while nobody recorded it of the job has the same reason as one
// whose host did: one line, and never none.
func TestARecoveredFailureHasTheReasonOfALiveOne(t *testing.T) {
	for reason, want := range map[string]string{
		"the loss is NaN\n\nLower the rate": "the loss is NaN. Lower the rate",
		"the loss is NaN":                   "the loss is NaN",
	} {
		w := newWorld(t)
		runs := journal.NewRunLog(w.store, time.Now)
		events := append(w.requestOf("a", nil), training.TrainingFailed{Reason: reason})
		if _, err := runs.Append(t.Context(), journal.RunRecord{}, events...); err != nil {
			t.Fatal(err)
		}
		job, err := queue.ReplayJob([]queue.JobEvent{
			queue.JobSubmitted{Job: "a", Submission: jobRequest{}.job("a").Submission}, queue.JobPreparing{},
			queue.JobPrepared{Estimate: queue.Estimate{Steps: 1, Fingerprint: "f", Memory: device.MemoryRequirement{Size: 1, Alignment: 64}}},
			queue.JobPlaced{Devices: []device.ID{"cpu0"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		commands, err := recovering(t.Context(), runs, job, training.Failed, died)
		if err != nil || len(commands) != 1 {
			t.Fatalf("%v, %v", commands, err)
		}
		if got := commands[0].(queue.Fail).Cause; got.Code != codeFailed || got.Message != want {
			t.Errorf("%q is recovered as %+v, want %q", reason, got, want)
		}
	}
}
