package describe_test

import (
	"encoding/json"
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

func TestNewsOfAJobAreWhatItsRunDoesNotSay(t *testing.T) {
	for _, c := range []struct {
		event queue.JobEvent
		want  string
	}{
		{queue.JobDeferred{Cause: queue.Cause{Message: "no network"}, RetryAfter: 90 * time.Second}, "waiting: no network; the next attempt is in 1m30s"},
		{queue.JobDeferred{Cause: queue.Cause{Message: "a device is lost"}}, ""},
		{queue.JobPaused{}, "paused"},
		{queue.JobStarted{}, ""},
	} {
		payload, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := describe.JobNews(c.event.EventType(), payload); err != nil || got != c.want {
			t.Errorf("%#v: %q, %v, want %q", c.event, got, err, c.want)
		}
	}
	if got, err := describe.JobNews(queue.JobDeferred{}.EventType(), []byte("[")); err == nil {
		t.Errorf("%q", got)
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
