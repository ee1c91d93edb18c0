package describe

import (
	"fmt"
	"strings"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// RunEvent returns the event of a run that an api.RunEvent has as type and payload.
func RunEvent(eventType string, payload []byte) (training.Event, error) {
	return journal.DecodeRunEvent(eventstore.Event{NewEvent: eventstore.NewEvent{Type: eventType, Payload: payload}})
}

// JobNews is what an event of a run's job means to people who wait for the run.
type JobNews struct {
	// Text says it in a line; "" where the run's own events do.
	Text string
	// State is what the run is now; "" where its own events tell. Stopping is what a run
	// will be that still has devices.
	State, Stopping training.State
	// Obstacle is why a run that waits could not continue, and Awaits what it waits for
	// until the next attempt: "its data". Both are "" for any other news.
	Obstacle, Awaits string
	// After are the runs that it is to run after; Completed is one of them that has.
	After     []training.RunID
	Completed training.RunID
}

// NewsOfJob returns what an event of a run's job, by its type and payload, means.
func NewsOfJob(run training.RunID, eventType string, payload []byte) (JobNews, error) {
	event, err := journal.EventOf(eventstore.Event{Aggregate: eventstore.AggregateID(journal.JobPrefix + string(run)), NewEvent: eventstore.NewEvent{Type: eventType, Payload: payload}})
	if err != nil {
		return JobNews{}, err
	}
	job, ok := event.(queue.JobEvent)
	if !ok {
		return JobNews{}, fmt.Errorf("%s is not an event of a job", eventType)
	}
	switch e := job.(type) {
	case queue.JobSubmitted:
		var n JobNews
		for _, id := range e.After {
			n.After = append(n.After, training.RunID(id))
		}
		return n, nil
	case queue.JobPredecessorCompleted:
		return JobNews{Completed: training.RunID(e.Job)}, nil
	case queue.JobDeferred:
		switch {
		case e.RetryAfter > 0:
			n := JobNews{Obstacle: e.Message, Awaits: "its data"}
			n.Text = fmt.Sprintf("waiting: %s; the next attempt is in %s", e.Message, figures.Duration(e.RetryAfter))
			if e.Code == "interrupted" || e.Code == queue.Code(fault.Internal.String()) { // codes of its host: not of data
				n.Awaits = "the next attempt"
			}
			return n, nil
		case e.Code == queue.CauseProcessEnded || e.Code == queue.CauseObstacle:
			return JobNews{State: training.Interrupted}, nil
		}
	case queue.JobStopRequested:
		return JobNews{Stopping: training.State(e.To)}, nil
	case queue.JobPaused:
		return JobNews{State: training.State(queue.StatePaused), Text: string(queue.StatePaused)}, nil
	case queue.JobResumed:
		return JobNews{State: training.State(queue.StateQueued)}, nil
	case queue.JobCancelled:
		return JobNews{State: training.State(queue.StateCancelled), Text: Because(queue.StateCancelled, e.Message)}, nil
	case queue.JobRejected:
		return JobNews{State: training.State(queue.StateRejected), Text: Because(queue.StateRejected, e.Message)}, nil
	case queue.JobPreparing, queue.JobPrepared, queue.JobPlaced, queue.JobStarted, queue.JobCompleted, queue.JobPriorityChanged, queue.JobAnnotated, queue.JobDeleted, queue.JobFailed:
		// The run's own events say it, or nobody has to know.
	}
	return JobNews{}, nil
}

// Because says why a run is what it is: "cancelled by the user".
func Because[S ~string](state S, cause string) string {
	if strings.HasPrefix(cause, string(state)+" ") {
		return cause
	}
	return string(state) + ": " + cause
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
