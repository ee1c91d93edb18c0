package journal

import (
	"context"
	"fmt"
	"time"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// JobPrefix begins the aggregate id of every job. What follows is the id of its run.
const JobPrefix = "job/"

// ErrJobNotFound is returned for a job that the log does not know.
var ErrJobNotFound = fault.New(fault.NotFound, "no such job")

// JobRecord is a job as its events tell it.
type JobRecord struct {
	Job queue.Job `json:"job"`
	// Version is that of the last event folded in.
	Version     eventstore.Version `json:"version"`
	SubmittedAt time.Time          `json:"submitted_at"`
	UpdatedAt   time.Time          `json:"updated_at"`
	// DeletedAt is when the files of the run were removed for good; zero if they were not.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
}

// Apply returns the record after the event.
func (r JobRecord) Apply(e queue.JobEvent, version eventstore.Version, at time.Time) (JobRecord, error) {
	job, err := r.Job.ApplyRecorded(e)
	if err != nil {
		return r, err
	}
	if r.Version == 0 {
		r.SubmittedAt = at
	}
	if job.Deleted() && !r.Job.Deleted() {
		r.DeletedAt = at
	}
	r.Job, r.Version, r.UpdatedAt = job, version, at
	return r, nil
}

// jobAggregate is a job. It has few events, so it needs no snapshots.
var jobAggregate = Aggregate[JobRecord, queue.JobEvent]{
	Prefix: JobPrefix, Kind: "job", Fold: JobRecord.Apply,
	Codec: Codec[queue.JobEvent]{decoders: decodersOf(queue.JobEvents()...), check: checkJob},
}

// checkJob fails unless the job has the name of its run, which becomes part of paths.
func checkJob(e eventstore.Event, event queue.JobEvent) error {
	id, ok := JobOf(e.Aggregate)
	if !ok {
		return nil
	}
	if err := training.RunID(id).Validate(); err != nil {
		return err
	}
	if submitted, ok := event.(queue.JobSubmitted); ok && submitted.Job != id {
		return fmt.Errorf("the event is of job %q", submitted.Job)
	}
	return nil
}

// JobOf returns the job that an aggregate is, if it is one.
func JobOf(a eventstore.AggregateID) (queue.JobID, bool) {
	name, ok := nameOf(a, JobPrefix)
	return queue.JobID(name), ok
}

// JobLog reads and appends the events of jobs. It is safe for concurrent use.
type JobLog struct {
	log Log[JobRecord, queue.JobEvent]
}

// NewJobLog returns a log over the store. now stamps the events.
func NewJobLog(store eventstore.Store, now func() time.Time) *JobLog {
	return &JobLog{log: Log[JobRecord, queue.JobEvent]{Aggregate: jobAggregate, Store: store, Now: now}}
}

func (r JobRecord) entity(id queue.JobID) Entity[JobRecord] {
	return Entity[JobRecord]{Name: string(id), State: r, Version: r.Version}
}

// Load folds a job's events, or fails with ErrJobNotFound.
func (l *JobLog) Load(ctx context.Context, id queue.JobID) (JobRecord, error) {
	x, err := l.log.Load(ctx, string(id))
	if err == nil && x.Version == 0 {
		err = fmt.Errorf("job %q: %w", id, ErrJobNotFound)
	}
	return x.State, err
}

// JobChange is what happens to one job: events that follow a record of it.
type JobChange struct {
	ID     queue.JobID
	Before JobRecord
	Events []queue.JobEvent
}

// Append records what happens to several jobs, all of it or nothing, and returns the
// records after it, in the order of the changes.
func (l *JobLog) Append(ctx context.Context, changes ...JobChange) ([]JobRecord, error) {
	return l.append(ctx, changes, nil)
}

// AppendWithRun is Append together with the events that start the run of a job.
func (l *JobLog) AppendWithRun(ctx context.Context, change JobChange, runs *RunLog, started ...training.Event) (JobRecord, RunRecord, error) {
	run, err := runs.log.prepare(Entity[RunRecord]{Name: string(change.ID)}, runs.log.timed(started), true)
	if err != nil {
		return change.Before, RunRecord{}, err
	}
	records, err := l.append(ctx, []JobChange{change}, run)
	if err != nil {
		return change.Before, RunRecord{}, err
	}
	return records[0], runRecord(run.next), nil
}

func (l *JobLog) append(ctx context.Context, changes []JobChange, run *pending[RunRecord]) ([]JobRecord, error) {
	var writes []pendingWrite
	jobs := make([]*pending[JobRecord], len(changes))
	for i, c := range changes {
		p, err := l.log.prepare(c.Before.entity(c.ID), l.log.timed(c.Events), true)
		if err != nil {
			return nil, err
		}
		jobs[i] = p
		writes = append(writes, p)
	}
	if run != nil {
		writes = append(writes, run)
	}
	if len(writes) == 0 {
		return nil, nil
	}
	if err := appendTogether(ctx, l.log.Store, writes...); err != nil {
		return nil, err
	}
	records := make([]JobRecord, len(jobs))
	for i, p := range jobs {
		records[i] = p.next.State
	}
	return records, nil
}
