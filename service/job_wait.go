package service

import (
	"context"
	"time"

	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
)

// jobWait is the present wait of a job, as its events tell it.
type jobWait struct {
	// begun is the last event before which a decision about devices says nothing about the
	// wait, and since when the job has waited. Further attempts belong to the same wait.
	begun eventstore.Position
	since time.Time
	// next is when it is tried again; nil if it does not wait for that.
	next *time.Time
}

// wait returns the present wait of the run's job; none for a run that has no job.
func (f subject) wait(ctx context.Context) (jobWait, error) {
	if f.job.Version == 0 {
		return jobWait{}, nil
	}
	events, err := f.jobEvents(ctx)
	if err != nil {
		return jobWait{}, err
	}
	return waitOf(events)
}

// waitOf returns the wait in which the events of a job leave it.
func waitOf(events []eventstore.Event) (w jobWait, err error) {
	waits := false
	begin := func(e eventstore.Event) { w, waits = jobWait{begun: e.Position, since: e.Time}, true }
	for _, recorded := range events {
		event, err := journal.EventOf(recorded)
		if err != nil {
			return w, err
		}
		job, _ := event.(queue.JobEvent)
		switch e := job.(type) {
		case queue.JobSubmitted, queue.JobPrepared, queue.JobResumed, queue.JobPaused:
			begin(recorded)
		case queue.JobDeferred:
			if !waits {
				begin(recorded)
			}
			w.begun, w.next = recorded.Position, nil
			if e.RetryAfter > 0 {
				next := recorded.Time.Add(e.RetryAfter)
				w.next = &next
			}
		case queue.JobPreparing:
			w.next = nil
		case queue.JobPlaced:
			waits = false
		case queue.JobPredecessorCompleted, queue.JobPriorityChanged, queue.JobStarted, queue.JobStopRequested,
			queue.JobCompleted, queue.JobCancelled, queue.JobFailed, queue.JobRejected, queue.JobAnnotated, queue.JobDeleted:
			// They begin no wait.
		}
	}
	return w, nil
}
