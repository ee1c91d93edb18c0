package describe_test

import (
	"testing"
	"time"

	"reprise/api/describe"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
)

// Each event of a job is a line for people.
func TestEveryEventOfAJobIsToldInWords(t *testing.T) {
	cause := queue.Cause{Code: queue.CauseUser, Message: "somebody said so"}
	told := map[string]bool{}
	for _, c := range []struct {
		event queue.JobEvent
		want  string
	}{
		{queue.JobSubmitted{Job: "r1", Submission: queue.Submission{Request: []byte("{}")}}, "job submitted"},
		{
			queue.JobSubmitted{Job: "r1", Submission: queue.Submission{
				Request: []byte("{}"), Name: "a.yaml", Owner: "ada", Group: "sweep", Priority: -2, Devices: 2, After: []queue.JobID{"x", "y"},
				MaxDuration: 90 * time.Minute, Labels: []string{"fast"}, RetryOf: "r0",
			}},
			"job submitted: a.yaml, by ada, in group sweep, priority -2, on 2 devices, after x and y, for at most 1h30m, with labels fast, as a retry of r0",
		},
		{queue.JobPreparing{}, "job preparing"},
		{queue.JobPrepared{Estimate: queue.Estimate{Steps: 12345, Fingerprint: "0123456789abcdef0123456789abcdef"}}, "job prepared: 12,345 steps, data 0123456789ab"},
		{queue.JobPredecessorCompleted{Job: "r0"}, "job predecessor completed: r0"},
		{queue.JobPlaced{Devices: []device.ID{"cpu0", "cpu1"}, Waited: time.Second}, "job placed: on cpu0 and cpu1"},
		{queue.JobStarted{}, "job started"},
		{queue.JobCompleted{Ran: time.Minute}, "job completed"},
		{queue.JobDeferred{Cause: cause, Ran: time.Minute}, "job deferred: somebody said so"},
		{queue.JobDeferred{Cause: cause, RetryAfter: 2 * time.Second}, "job deferred: somebody said so; the next attempt is in 2.0s"},
		{queue.JobStopRequested{To: queue.StatePaused, Cause: cause}, "job stop requested: it will be paused: somebody said so"},
		{queue.JobStopRequested{To: queue.StateCancelled, Cause: cause}, "job stop requested: it will be cancelled: somebody said so"},
		{queue.JobPaused{Ran: time.Minute}, "job paused"},
		{queue.JobResumed{}, "job resumed"},
		{queue.JobPriorityChanged{Priority: 7}, "job priority changed: 7"},
		{queue.JobPriorityChanged{}, "job priority changed: 0"},
		{queue.JobAnnotated{Annotation: queue.Annotation{Name: "base", Tags: []string{"a", "b"}, Note: "why"}}, "job annotated: name base, tags a and b, note: why"},
		{queue.JobDeleted{}, "job deleted"},
		{queue.JobAnnotated{}, "job annotated: nothing"},
		{queue.JobCancelled{Cause: cause}, "job cancelled: somebody said so"},
		{queue.JobFailed{Cause: cause}, "job failed: somebody said so"},
		{queue.JobRejected{Cause: cause}, "job rejected: somebody said so"},
	} {
		kind, payload, err := journal.Encode(c.event)
		if err != nil {
			t.Fatal(err)
		}
		told[kind] = true
		e := eventstore.Event{Aggregate: journal.JobPrefix + "r1", NewEvent: eventstore.NewEvent{Type: kind, Payload: payload}}
		if got := describe.Headline(e); got != c.want {
			t.Errorf("%s: %q, want %q", kind, got, c.want)
		}
	}
	for _, e := range queue.JobEvents() {
		if !told[e.EventType()] {
			t.Errorf("nothing is expected of %s", e.EventType())
		}
	}
}
