package journal

import (
	"context"
	"time"

	"reprise/eventstore"
	"reprise/queue"
)

// JobPeriod is a time for which a job had devices.
type JobPeriod struct {
	Job      queue.JobID
	Owner    string
	Devices  int
	From, To time.Time
}

// WalkJobPeriods calls visit with each period in which a job of the worker had devices
// and that ended after a time. The event that ends a period says how long it was: what a
// process that was killed did is taken to have happened just before the event with which
// the next one records it. Periods that have not ended are not among them, nor are those
// of runs without a job.
func WalkJobPeriods(ctx context.Context, store eventstore.Store, worker string, after time.Time, visit func(JobPeriod)) error {
	jobs, err := ReadJobs(ctx, store)
	if err != nil {
		return err
	}
	for _, r := range jobs.Jobs {
		if r.Job.Worker() != worker || r.Job.Ran() == 0 || !r.UpdatedAt.After(after) {
			continue
		}
		var alone JobList
		var ran time.Duration
		if err := walkAggregate(ctx, store, jobAggregate.ID(string(r.Job.ID())), eventstore.End, func(e eventstore.Event) error {
			if err := alone.Apply(e); err != nil {
				return err
			}
			job := alone.Jobs[0].Job
			if took := job.Ran() - ran; took > 0 && e.Time.After(after) {
				visit(JobPeriod{Job: job.ID(), Owner: job.Submission().Owner, Devices: job.Size(), From: e.Time.Add(-took), To: e.Time})
			}
			ran = job.Ran()
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
