package describe

import (
	"encoding/json"
	"fmt"

	"reprise/eventstore"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// RunEvent returns the event of a run that an api.RunEvent has as type and payload.
func RunEvent(eventType string, payload []byte) (training.Event, error) {
	return journal.DecodeRunEvent(eventstore.Event{NewEvent: eventstore.NewEvent{Type: eventType, Payload: payload}})
}

// JobNews says what an event of a run's job, by its type and payload, means to people who
// wait for the run; "" where the run's own events say it.
func JobNews(eventType string, payload []byte) (string, error) {
	switch eventType {
	case queue.JobDeferred{}.EventType():
		var d queue.JobDeferred
		if err := json.Unmarshal(payload, &d); err != nil {
			return "", fmt.Errorf("decode %s: %w", eventType, err)
		}
		if d.RetryAfter > 0 {
			return fmt.Sprintf("waiting: %s; the next attempt is in %s", d.Message, figures.Duration(d.RetryAfter)), nil
		}
	case queue.JobPaused{}.EventType():
		return "paused", nil
	}
	return "", nil
}

// Reason says why a run waits. The message of a recorded decision stays as it is
// recorded, since the decision is made again to verify it.
func Reason(r queue.Reason) string {
	switch {
	case r.Code != queue.CodeBusy:
		return r.Message
	case r.Devices == 1:
		return "1 device that could take it is in use, and the run on it keeps it for now"
	}
	return fmt.Sprintf("%d devices that could take it are in use, and the runs on them keep them for now", r.Devices)
}
