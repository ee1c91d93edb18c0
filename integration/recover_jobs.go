package integration

import (
	"context"
	"fmt"

	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// recoverJobs brings the jobs of a worker to where their runs are, which have been
// recovered, and returns those that wait to be resumed. What was asked of a job before its
// process died stays asked. Recovering twice changes nothing.
func recoverJobs(ctx context.Context, worker string, runs *journal.RunLog, jobs *journal.JobLog) ([]queue.JobID, error) {
	var (
		list *journal.JobList
		of   *journal.RunList
	)
	if err := journal.Read(ctx, runs.Store(), journal.Into(&list), journal.Into(&of)); err != nil {
		return nil, err
	}
	states := map[training.RunID]training.State{}
	for _, r := range of.Runs {
		states[r.RunID] = r.State
	}
	known := map[queue.JobID]journal.JobRecord{}
	record := func(c journal.JobChange) error {
		if len(c.Events) == 0 {
			return nil
		}
		records, err := jobs.Append(ctx, c)
		if err != nil {
			return fmt.Errorf("recover job %s: %w", c.ID, err)
		}
		known[c.ID] = records[0]
		return nil
	}
	var recovered []journal.JobChange
	for _, r := range list.Jobs {
		id := r.Job.ID()
		if known[id] = r; r.Job.Worker() != worker {
			continue
		}
		commands, err := recovering(ctx, runs, r.Job, states[training.RunID(id)], died)
		if err != nil {
			return nil, err
		}
		for _, c := range commands {
			events, err := r.Job.Decide(c)
			if err != nil {
				return nil, err
			}
			recovered = append(recovered, journal.JobChange{ID: id, Before: r, Events: events})
		}
	}
	records, err := jobs.Append(ctx, recovered...) // at once, since many may wait
	if err != nil {
		return nil, fmt.Errorf("recover %d jobs: %w", len(recovered), err)
	}
	for _, r := range records {
		known[r.Job.ID()] = r
	}
	all := make([]queue.Job, 0, len(list.Jobs))
	for _, r := range list.Jobs {
		if r.Job.Worker() == worker || r.Job.State().Ended() {
			all = append(all, known[r.Job.ID()].Job)
		}
	}
	changes, err := queue.Follow(all)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := record(journal.JobChange{ID: c.Job, Before: known[c.Job], Events: c.Events}); err != nil {
			return nil, err
		}
	}
	var waiting []queue.JobID
	for _, r := range list.Jobs {
		job := known[r.Job.ID()].Job
		if job.Worker() != worker {
			continue
		}
		if job.State().Ended() {
			if states[training.RunID(job.ID())] == training.Initializing { // it was in the queue until just now
				if err := interruptRun(ctx, runs, job); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err := followRuns(job, states, func(c queue.Command) error {
			events, err := job.Decide(c)
			if err != nil {
				return err
			}
			err = record(journal.JobChange{ID: job.ID(), Before: known[job.ID()], Events: events})
			job = known[job.ID()].Job
			return err
		}); err != nil {
			return nil, err
		}
		if !job.State().Ended() && job.State() != queue.StatePaused {
			waiting = append(waiting, job.ID())
		}
	}
	return waiting, nil
}

// followRuns tells a job the ends of the runs that it waits for and that have no job.
func followRuns(job queue.Job, states map[training.RunID]training.State, tell func(queue.Command) error) error {
	for _, id := range job.After() {
		end, ended := endOf(states[training.RunID(id)])
		if !ended {
			continue
		}
		if err := tell(queue.EndPredecessor{Job: id, State: end}); err != nil {
			return err
		}
	}
	return nil
}

// died is why runs and jobs are interrupted whose process is gone.
const died = "its process ended without notice (killed, or power lost)"

// recovering returns what a job is told that its process has left, given what became of
// its run and why it was left: one command at most.
func recovering(ctx context.Context, runs *journal.RunLog, job queue.Job, run training.State, why string) ([]queue.Command, error) {
	cause := queue.Cause{Code: queue.CauseProcessEnded, Message: why}
	end, ended := endOf(run)
	switch {
	case job.State().Ended():
		return nil, nil
	case !ended && (job.State() == queue.StatePaused || job.Left()):
		return nil, nil
	case !ended && !job.State().HasDevices():
		return []queue.Command{queue.Defer{Cause: cause}}, nil
	}
	served, _, err := journal.QueueTimes(ctx, runs.Store(), training.RunID(job.ID()))
	if err != nil {
		return nil, err
	}
	ran := max(0, served-job.Ran())
	switch {
	case !ended:
		return []queue.Command{queue.Defer{Cause: cause, Ran: ran}}, nil
	case end == queue.StateFailed:
		record, err := runs.Load(ctx, training.RunID(job.ID()))
		if err != nil {
			return nil, err
		}
		return []queue.Command{queue.Fail{Cause: queue.Cause{Code: codeFailed, Message: causeOf(record.Reason).Message}, Ran: ran}}, nil
	}
	return []queue.Command{queue.Complete{Ran: ran}}, nil
}

// interruptRun brings the run of a job to rest that has ended while it waited.
func interruptRun(ctx context.Context, runs *journal.RunLog, job queue.Job) error {
	record, err := runs.Load(ctx, training.RunID(job.ID()))
	if err != nil {
		return err
	}
	events, err := restEvents(record.Saga, job.Cause().Message)
	if err != nil {
		return err
	}
	_, err = runs.Append(ctx, record, events...)
	return err
}
