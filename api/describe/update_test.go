package describe_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"reprise/api/describe"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

func TestAnEventOfARunIsReadFromAnUpdate(t *testing.T) {
	want := training.EpochReproduced{Epoch: 3}
	kind, payload, err := journal.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := describe.RunEvent(kind, payload); err != nil || got != training.Event(want) {
		t.Errorf("%#v, %v", got, err)
	}
	if got, err := describe.RunEvent(kind, []byte("[")); err == nil {
		t.Errorf("%#v", got)
	}
}

func TestNewsOfAJob(t *testing.T) {
	for _, c := range []struct {
		event queue.JobEvent
		want  describe.JobNews
	}{
		{queue.JobSubmitted{Job: "b", Submission: queue.Submission{Request: []byte("{}"), After: []queue.JobID{"a"}}}, describe.JobNews{After: []training.RunID{"a"}}},
		{queue.JobPredecessorCompleted{Job: "a"}, describe.JobNews{Completed: "a"}},
		{queue.JobDeferred{Cause: queue.Cause{Message: "no network"}, RetryAfter: 90 * time.Second}, describe.JobNews{Text: "waiting: no network; the next attempt is in 1m30s", Obstacle: "no network", Awaits: "its data"}},
		{queue.JobDeferred{Cause: queue.Cause{Code: "interrupted", Message: "no device"}, RetryAfter: time.Second}, describe.JobNews{Text: "waiting: no device; the next attempt is in 1.0s", Obstacle: "no device", Awaits: "the next attempt"}},
		{queue.JobDeferred{Cause: queue.Cause{Code: queue.CauseProcessEnded, Message: "the process ended"}}, describe.JobNews{State: training.Interrupted}},
		{queue.JobDeferred{Cause: queue.Cause{Message: "a device is lost"}}, describe.JobNews{}},
		{queue.JobStopRequested{To: queue.StatePaused}, describe.JobNews{Stopping: training.State(queue.StatePaused)}},
		{queue.JobPaused{}, describe.JobNews{State: training.State(queue.StatePaused), Text: "paused"}},
		{queue.JobResumed{}, describe.JobNews{State: training.State(queue.StateQueued)}},
		{queue.JobCancelled{Cause: queue.Cause{Message: "cancelled by the user"}}, describe.JobNews{State: training.State(queue.StateCancelled), Text: "cancelled by the user"}},
		{queue.JobCancelled{Cause: queue.Cause{Message: "it has run for 3s"}}, describe.JobNews{State: training.State(queue.StateCancelled), Text: "cancelled: it has run for 3s"}},
		{queue.JobRejected{Cause: queue.Cause{Message: "no such data"}}, describe.JobNews{State: training.State(queue.StateRejected), Text: "rejected: no such data"}},
		{queue.JobStarted{}, describe.JobNews{}},
	} {
		payload, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := describe.NewsOfJob("b", c.event.EventType(), payload); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%#v: %+v, %v, want %+v", c.event, got, err, c.want)
		}
	}
	if got, err := describe.NewsOfJob("b", queue.JobDeferred{}.EventType(), []byte("[")); err == nil {
		t.Errorf("%+v", got)
	}
}

func TestAReasonIsAsItWasRecordedUnlessDevicesAreBusy(t *testing.T) {
	for want, r := range map[string]queue.Reason{
		"no memory": {Code: "memory", Message: "no memory", Devices: 1},
		"1 device that could take it is in use, and the run on it keeps it for now":       {Code: queue.CodeBusy, Message: "busy", Devices: 1},
		"2 devices that could take it are in use, and the runs on them keep them for now": {Code: queue.CodeBusy, Message: "busy", Devices: 2},
	} {
		if got := describe.Reason(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
