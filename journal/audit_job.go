package journal

import (
	"fmt"

	"reprise/eventstore"
	"reprise/queue"
	"reprise/training"
)

// checkJob says what is wrong with an event of a job, given its run.
func (a *audit) checkJob(of eventstore.AggregateID, e queue.JobEvent) string {
	id, _ := JobOf(of)
	run, started := a.timeline.run(training.RunID(id))
	is := func(want training.State) string {
		if run.Session.State != want {
			return fmt.Sprintf("the run of the job is not %s, but %q", want, run.Session.State)
		}
		return ""
	}
	switch e := e.(type) {
	case queue.JobSubmitted:
		if started {
			return fmt.Sprintf("job: recorded %s, whose run had started before", e.Job)
		}
		a.priorities[id] = []int{e.Priority}
		return checkWorker(e.Worker)
	case queue.JobPriorityChanged:
		a.priorities[id] = append(a.priorities[id], e.Priority)
	case queue.JobPlaced:
		for _, id := range e.Devices {
			if !run.Saga.Holds(id) {
				return fmt.Sprintf("devices: recorded %s, which the run does not hold", id)
			}
		}
	case queue.JobCompleted:
		return is(training.Completed)
	case queue.JobFailed:
		return is(training.Failed)
	case queue.JobPreparing, queue.JobPrepared, queue.JobPredecessorCompleted, queue.JobStarted, queue.JobDeferred, queue.JobStopRequested,
		queue.JobPaused, queue.JobResumed, queue.JobAnnotated, queue.JobDeleted, queue.JobCancelled, queue.JobRejected:
		// The job has checked that they follow; what its preparation found is compared
		// with the beginning of its run.
	}
	return ""
}

// checkPrepared says where the beginning of a run is not what the preparation of its job
// found; jobs are older than their runs.
func (a *audit) checkPrepared(e training.TrainingStarted) string {
	job, ok := a.timeline.jobs.Job(queue.JobID(e.RunID))
	if !ok {
		return ""
	}
	estimate, prepared := job.Job.Estimate()
	steps := e.Hyperparameters.TotalSteps(max(1, e.Dataset.Training))
	switch {
	case !prepared:
		return "the job of the run was not prepared"
	case job.Job.Worker() != e.Worker:
		return fmt.Sprintf("worker: recorded %q, the job is hosted by %q", e.Worker, job.Job.Worker())
	case estimate.Fingerprint != e.Dataset.Fingerprint:
		return fmt.Sprintf("dataset.fingerprint: recorded %s, the job has the dataset_fingerprint %s", e.Dataset.Fingerprint, estimate.Fingerprint)
	case e.Hyperparameters.StepSamples() > 0 && estimate.Steps != steps:
		return fmt.Sprintf("hyperparameters: they give %d steps, the job has %d", steps, estimate.Steps)
	}
	return ""
}
