package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Target is what a command is for: a job.
type Target struct{ Job queue.JobID }

// ErrJobLeft is the cause of an UnfinishedError about a job that is at rest that this host does not run.
var ErrJobLeft = fault.New(fault.Unavailable, "the job waits to be resumed; this host does not run it")

// errNoPrepare is the error of a host that was given no way to open the data of jobs.
var errNoPrepare = fault.New(fault.Internal, "this host cannot open the data of jobs; set HostConfig.Prepare")

// Submit records jobs, all or none of them, and returns their ids. They are then
// prepared, queued and trained in the background. A job without an id is given one.
//
// It fails with fault.Invalid, with all problems at once, for a job that can never run
// here; with fault.NotFound for one that is to run after a run that does not exist; with
// fault.Exhausted if the queue is full; and with ErrHostClosed. It also fails with
// fault.Invalid for a job that is to run after one that has ended without having completed.
func (h *Host) Submit(ctx context.Context, submits ...queue.Submit) ([]queue.JobID, error) {
	if h.config.Prepare == nil {
		return nil, errNoPrepare
	}
	return h.submit(ctx, submits, nil)
}

// SubmitPrepared is Submit for a job whose data are open: events begin its run.
func (h *Host) SubmitPrepared(ctx context.Context, s queue.Submit, events []training.Event) (queue.JobID, error) {
	for _, e := range events {
		if started, ok := e.(training.TrainingStarted); ok {
			s.Job = cmp.Or(s.Job, queue.JobID(started.RunID))
		}
	}
	ids, err := h.submit(ctx, []queue.Submit{s}, events)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

func (h *Host) submit(ctx context.Context, submits []queue.Submit, prepared []training.Event) ([]queue.JobID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := h.jobs
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.submit(ctx, submits, prepared)
}

// submit is Host.submit for callers that hold mu.
func (b *jobBook) submit(ctx context.Context, submits []queue.Submit, prepared []training.Event) ([]queue.JobID, error) {
	submits = slices.Clone(submits)
	ids := make([]queue.JobID, len(submits))
	for i := range submits {
		submits[i].Worker = b.h.config.Worker
		submits[i].Job = cmp.Or(submits[i].Job, b.h.config.newJobID())
		ids[i] = submits[i].Job
	}
	changes, err := b.submissions(ctx, submits)
	if err != nil {
		return nil, err
	}
	if prepared != nil {
		return ids, b.submitPrepared(changes[0], prepared)
	}
	// Once begun, it is not abandoned: nobody would know whether it is recorded.
	records, err := b.log.Append(context.WithoutCancel(ctx), changes...)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		j := b.add(r)
		b.activate(j)
		b.happened(j, j.record, changes[i].Events)
	}
	b.advance()
	return ids, nil
}

// submissions returns what is to be recorded of new jobs.
func (b *jobBook) submissions(ctx context.Context, submits []queue.Submit) ([]journal.JobChange, error) {
	if b.closed {
		return nil, ErrHostClosed
	}
	var errs []error
	var owners []string
	changes := make([]journal.JobChange, len(submits))
	for i, s := range submits {
		events, err := b.submission(ctx, s, submits)
		if err != nil && len(submits) > 1 {
			err = fmt.Errorf("job %s: %w", cmp.Or(s.Name, string(s.Job)), err)
		}
		errs = append(errs, err)
		changes[i] = journal.JobChange{ID: s.Job, Events: events}
		owners = append(owners, s.Owner)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := make([]queue.Job, 0, len(b.live))
	for _, j := range b.live {
		all = append(all, j.job())
	}
	return changes, b.h.config.Limits.Room(all, owners...)
}

// submission returns the first events of a job, which include what the ends of earlier
// jobs mean for it.
func (b *jobBook) submission(ctx context.Context, s queue.Submit, together []queue.Submit) ([]queue.JobEvent, error) {
	if err := training.RunID(s.Job).Validate(); err != nil {
		return nil, err
	}
	if b.knowsLocked(s.Job) || b.h.run(training.RunID(s.Job)) != nil {
		return nil, fault.New(fault.Conflict, "there is a run %s already", s.Job)
	}
	events, err := queue.Job{}.Decide(s)
	if err := errors.Join(err, b.admit(s.Submission, nil)); err != nil {
		return nil, err
	}
	job := queue.Job{}.Apply(events[0])
	var errs []error
	for _, id := range s.After {
		state, err := b.predecessor(ctx, s.Job, id, together)
		errs = append(errs, err)
		if err != nil || !state.Ended() {
			continue
		}
		if err := queue.CheckPredecessor("job.after", id, state); err != nil {
			errs = append(errs, err)
			continue
		}
		more, err := job.Decide(queue.EndPredecessor{Job: id, State: state})
		errs = append(errs, err)
		for _, e := range more {
			job = job.Apply(e)
			events = append(events, e)
		}
	}
	return events, errors.Join(errs...)
}

// predecessor returns the state of a job or of a run that another one is to run after.
func (b *jobBook) predecessor(ctx context.Context, of, id queue.JobID, together []queue.Submit) (queue.State, error) {
	at := func(id queue.JobID) int {
		return slices.IndexFunc(together, func(s queue.Submit) bool { return s.Job == id })
	}
	if i := at(id); i >= 0 {
		if i > at(of) && together[i].RetryOf == "" {
			return "", &fault.FieldError{Field: "job.after", Value: string(id), Problem: "is submitted after this job", Fix: "submit it first"}
		}
		return queue.StateSubmitted, nil
	}
	if j := b.live[id]; j != nil {
		err := b.revive(j)
		return j.job().State(), err
	}
	if job, ok, err := b.endedOrForeign(ctx, id); ok || err != nil {
		if err == nil && !job.State().Ended() {
			err = &fault.FieldError{Field: "job.after", Value: string(id), Problem: fmt.Sprintf("is a job of worker %q", job.Worker()), Fix: "submit this job there, or name another run"}
		}
		return job.State(), err
	}
	record, err := b.h.log.Load(ctx, training.RunID(id))
	if errors.Is(err, journal.ErrRunNotFound) {
		return "", fault.As(fault.NotFound, &fault.FieldError{Field: "job.after", Value: string(id), Problem: "is not a run", Fix: "name runs that `reprise runs list` shows", Cause: err})
	}
	if err != nil {
		return "", err
	}
	state, _ := endOf(record.Session.State)
	return state, nil
}

// submitPrepared records a job and the beginning of its run at once.
func (b *jobBook) submitPrepared(c journal.JobChange, events []training.Event) error {
	events, estimate, err := b.h.estimate(c.ID, events)
	if err != nil {
		return err
	}
	job, err := queue.ReplayJob(c.Events)
	if err != nil {
		return err
	}
	if err := b.admit(job.Submission(), &estimate); err != nil {
		return err
	}
	decided, err := decideAll(job, queue.Prepare{}, queue.Queue{Estimate: estimate})
	if err != nil {
		return err
	}
	c.Events = append(c.Events, decided...)
	var record journal.JobRecord
	var run journal.RunRecord
	err = b.whileNoneIsSubmitted(func() error {
		if err := b.checkParent(events); err != nil {
			return err
		}
		record, run, err = b.log.AppendWithRun(context.Background(), c, b.h.log, events...)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range events {
		b.h.config.Observer.Recorded(run.ID, e)
	}
	j := b.add(record)
	b.activate(j)
	b.happened(j, j.record, c.Events)
	b.advance()
	return nil
}

// whileNoneIsSubmitted calls do while no other run begins. do must neither take mu nor tell
// anybody of what it records.
func (b *jobBook) whileNoneIsSubmitted(do func() error) error {
	if b == nil {
		return do()
	}
	b.beginning.Lock()
	defer b.beginning.Unlock()
	return do()
}

// checkParent fails for a fork from a checkpoint that was removed in the meantime.
func (b *jobBook) checkParent(events []training.Event) error {
	started, ok := events[0].(training.TrainingStarted)
	if !ok || started.Parent == nil {
		return nil
	}
	parent, err := b.h.log.Load(context.Background(), started.Parent.RunID)
	if err != nil {
		return err
	}
	if b.ended[queue.JobID(parent.ID)].Deleted() || !slices.Contains(parent.Kept(), started.Parent.Checkpoint) {
		return &fault.FieldError{Field: "from", Value: fmt.Sprint(started.Parent.Checkpoint.Step),
			Problem: "is a checkpoint that was just removed", Fix: "use another one"}
	}
	return nil
}

// find reports whether there is a job with this id. The log may have one that the book
// has not, if an append that seemed to fail did not.
func (b *jobBook) find(ctx context.Context, id queue.JobID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.findLocked(ctx, id)
}

func (b *jobBook) findLocked(ctx context.Context, id queue.JobID) (bool, error) {
	if b.knowsLocked(id) {
		return true, nil
	}
	record, err := b.log.Load(ctx, id)
	if errors.Is(err, journal.ErrJobNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if record.Job.State().Ended() || record.Job.Worker() != b.h.config.Worker {
		b.ended[id] = record.Job.WithoutRequest()
		return true, nil
	}
	missed, err := b.missedEnds(ctx, record.Job)
	if err != nil {
		return false, err
	}
	j := b.add(record)
	for _, c := range missed {
		if err := b.decide(j, c); err != nil {
			return true, err
		}
	}
	return true, nil
}

// missedEnds returns what the jobs that a job was to run after have come to while nobody
// told it: while the book did not have it, or could not record anything of it.
func (b *jobBook) missedEnds(ctx context.Context, job queue.Job) (missed []queue.Command, err error) {
	for _, id := range job.After() {
		if _, err := b.findLocked(ctx, id); err != nil { // the book may lack that one, too
			return nil, err
		}
		state, err := b.predecessor(ctx, job.ID(), id, nil)
		if err != nil {
			return nil, err
		}
		if state.Ended() {
			missed = append(missed, queue.EndPredecessor{Job: id, State: state})
		}
	}
	return missed, nil
}

func (b *jobBook) knowsLocked(id queue.JobID) bool {
	_, ended := b.ended[id]
	return ended || b.live[id] != nil
}

// Job returns a job as it is recorded. It fails with journal.ErrJobNotFound.
func (h *Host) Job(ctx context.Context, id queue.JobID) (queue.Job, error) {
	record, err := h.jobs.log.Load(ctx, id)
	return record.Job, err
}

// WorksOn reports whether this host prepares or runs a job, or has it wait. One that an
// earlier process left waits for somebody to resume it.
func (h *Host) WorksOn(id queue.JobID) bool {
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	j := h.jobs.live[id]
	return j != nil && (j.active || j.underWay)
}

// WaitJob returns a job once it has ended or is paused, and its run is at rest. It fails
// with *UnfinishedError if the host has left the job where it was, with
// journal.ErrJobNotFound, and with the error of ctx.
func (h *Host) WaitJob(ctx context.Context, id queue.JobID) (queue.Job, error) {
	for {
		changed, err := h.jobs.watch(id)
		if err != nil {
			return queue.Job{}, err
		}
		if changed == nil {
			return h.Job(ctx, id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return queue.Job{}, ctx.Err()
		}
	}
}

// watch returns what is closed when something happens to a job; nil if it is at rest.
func (b *jobBook) watch(id queue.JobID) (<-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.live[id]
	if j == nil || j.atRest() && (j.job().State().Ended() || j.job().State() == queue.StatePaused) {
		return nil, nil
	}
	if !j.atRest() {
		return j.changed, nil
	}
	cause := cmp.Or(j.left, b.h.store.failure())
	if cause == nil {
		cause = ErrJobLeft
		if b.closed {
			cause = ErrHostClosed
		}
	}
	return nil, &UnfinishedError{Run: j.run(), Cause: cause}
}

// Cancel ends jobs, in whatever state they are. A run that has devices writes a
// checkpoint, if that does not take long, and gives them back. To cancel a job again
// changes nothing.
//
// Cancel, Pause, Unpause and SetPriority fail with fault.NotFound for a target that does
// not exist, and with fault.Conflict for jobs that have ended, or whose state they do not
// fit.
func (h *Host) Cancel(ctx context.Context, t Target, cause string) error {
	why := queue.Cause{Code: queue.CauseUser, Message: cmp.Or(cause, "it was cancelled")}
	return h.command(ctx, t, func(*hostedJob) queue.Command { return queue.Cancel{Cause: why} })
}

// Pause makes jobs wait until somebody resumes them. A run that has devices writes a
// checkpoint and gives them back first.
func (h *Host) Pause(ctx context.Context, t Target, cause string) error {
	why := queue.Cause{Code: queue.CauseUser, Message: cmp.Or(cause, "it was paused")}
	return h.command(ctx, t, func(j *hostedJob) queue.Command { return queue.Pause{Cause: why, Waited: h.jobs.waited(j)} })
}

// Unpause puts jobs into the queue again: those that are paused, and those that a process
// left. One that waits here already does not wait for its next attempt
// any longer.
func (h *Host) Unpause(ctx context.Context, t Target) error {
	return h.command(ctx, t, func(j *hostedJob) queue.Command {
		stop, stops := j.job().Stop()
		if j.job().State() == queue.StatePaused || j.job().State().Ended() || j.job().Left() || stops && stop.To == queue.StatePaused {
			return queue.Resume{}
		}
		return nil
	}, func(j *hostedJob) {
		h.jobs.activate(j)
		if !j.notBefore.IsZero() { // it waits for devices from now on
			j.waited, j.queued, j.notBefore = h.jobs.waited(j), h.config.Now(), h.config.Now()
		}
	})
}

// Gather has no job begin until together is called, so that several that are handed over
// one by one begin in the order of the queue.
func (h *Host) Gather() (together func()) {
	b := h.jobs
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gathering++
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.gathering--
		b.advance()
	})
}

// SetPriority changes the priority of jobs that have not ended.
func (h *Host) SetPriority(ctx context.Context, t Target, priority int) error {
	err := h.command(ctx, t, func(*hostedJob) queue.Command { return queue.SetPriority{Priority: priority} })
	if err == nil {
		_ = h.devices.Tell(replan{}) // if its mailbox is full, it plans anyway
	}
	return err
}

// Annotate changes what is noted about a job, in whatever state it is.
func (h *Host) Annotate(ctx context.Context, id queue.JobID, c queue.Annotate) error {
	if err := c.Validate(); err != nil {
		return err
	}
	return h.commandAny(ctx, id, func(*hostedJob) ([]queue.Command, error) { return []queue.Command{c}, nil })
}

// Delete records that the files of the run of a job are not needed any more, and cancels a
// job that waits to be resumed. The caller removes the files then. It fails with
// fault.Conflict, and records nothing, for a job that is under way, and for a run that forks
// need.
func (h *Host) Delete(ctx context.Context, id queue.JobID) error {
	return h.commandAny(ctx, id, func(j *hostedJob) ([]queue.Command, error) { // no fork begins meanwhile
		state, run := j.job().State(), h.run(training.RunID(id))
		switch {
		case !j.atRest() && !state.Ended() && state != queue.StatePaused:
			return nil, fault.New(fault.Conflict, "run %s is under way: what is under way is not deleted; cancel it first", id)
		case !j.atRest(), run != nil && !run.resting():
			return nil, fault.New(fault.Conflict, "run %s is still ending; try again", id)
		}
		if err := CheckNoForks(ctx, h.config.Store, training.RunID(id)); err != nil {
			return nil, err
		}
		if state.Ended() {
			return []queue.Command{queue.Delete{}}, nil
		}
		why := queue.Cause{Code: queue.CauseUser, Message: "it is deleted"}
		return []queue.Command{queue.Cancel{Cause: why}, queue.Delete{}}, nil
	})
}

// MoveDataset records where the data of a run are from now on. It fails with fault.Conflict
// for a run that is under way, which has its data or waits for them.
func (h *Host) MoveDataset(ctx context.Context, id training.RunID, e training.DatasetMoved) error {
	b := h.jobs
	b.mu.Lock() // no run of a job begins meanwhile
	defer b.mu.Unlock()
	if b.closed {
		return ErrHostClosed
	}
	if run := h.run(id); run != nil && !run.resting() {
		return fault.New(fault.Conflict, "run %s is under way, with the data that it began with; pause it first", id)
	}
	record, err := h.log.Load(ctx, id)
	if err != nil {
		return err
	}
	// Once begun, it is not abandoned: nobody would know whether it is recorded.
	_, err = h.log.Append(context.WithoutCancel(ctx), record, e)
	return err
}

// CheckNoForks fails with fault.Conflict for a run that forks need, which were not deleted:
// each begins with one of its checkpoints, also when it is verified.
func CheckNoForks(ctx context.Context, store eventstore.Store, id training.RunID) error {
	runs, err := journal.ReadRuns(ctx, store)
	if err != nil {
		return err
	}
	jobs, err := journal.ReadJobs(ctx, store)
	if err != nil {
		return err
	}
	for _, r := range runs.Runs {
		if job, _ := jobs.Job(queue.JobID(r.RunID)); r.Parent == id && !job.Job.Deleted() {
			return fault.New(fault.Conflict, "run %s is needed by its fork %s; delete that one first", id, r.RunID)
		}
	}
	return nil
}

// commandAny gives a job commands, which may also fit those that have ended: all of them, or
// none. No job is submitted meanwhile.
func (h *Host) commandAny(ctx context.Context, id queue.JobID, of func(*hostedJob) ([]queue.Command, error)) error {
	b := h.jobs
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.findLocked(ctx, id); err != nil {
		return err
	}
	if b.closed {
		return ErrHostClosed
	}
	j, err := b.target(ctx, id)
	if err != nil {
		return err
	}
	defer b.advance()
	if err := b.revive(j); err != nil {
		return err
	}
	commands, err := of(j)
	if err != nil {
		return err
	}
	if b.live[id] != nil {
		return b.decide(j, commands...)
	}
	record, err := b.log.Load(ctx, id)
	if err != nil {
		return err
	}
	events, err := decideAll(record.Job, commands...)
	if err != nil || len(events) == 0 {
		return err
	}
	after, err := b.log.Append(ctx, journal.JobChange{ID: id, Before: record, Events: events})
	if err != nil {
		return err
	}
	b.ended[id] = after[0].Job.WithoutRequest()
	for _, e := range events {
		h.jobRecorded(training.RunID(id), e)
	}
	return nil
}

// decideAll returns what follows if a job is given commands one after the other.
func decideAll(job queue.Job, commands ...queue.Command) (events []queue.JobEvent, err error) {
	for _, c := range commands {
		decided, err := job.Decide(c)
		if err != nil {
			return nil, err
		}
		for _, e := range decided {
			job = job.Apply(e)
		}
		events = append(events, decided...)
	}
	return events, nil
}

// command gives a job a command, nil for none, and does something with it if it fits.
func (h *Host) command(ctx context.Context, t Target, of func(*hostedJob) queue.Command, then ...func(*hostedJob)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := h.jobs
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.findLocked(ctx, t.Job); err != nil {
		return err
	}
	if b.closed {
		return ErrHostClosed
	}
	j, err := b.target(ctx, t.Job)
	if err != nil {
		return err
	}
	defer b.advance()
	left := j.left != nil
	if err := b.revive(j); err != nil {
		return err
	}
	if left && j.job().State().Ended() { // as it had already, unrecorded
		return nil
	}
	if c := of(j); c != nil {
		if err := b.decide(j, c); err != nil {
			return err
		}
	}
	for _, do := range then {
		if !j.job().State().Ended() {
			do(j)
		}
	}
	return nil
}

// target returns a job that a command is for. One that has ended is not in the book.
func (b *jobBook) target(ctx context.Context, id queue.JobID) (*hostedJob, error) {
	if j := b.live[id]; j != nil {
		return j, nil
	}
	if job, ok, err := b.endedOrForeign(ctx, id); ok || err != nil {
		return b.endedJob(job), cmp.Or(err, b.foreign(job))
	}
	if _, err := b.h.log.Load(ctx, training.RunID(id)); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Conflict, "run %s has no job, like all that a version without a queue began: end the process that trains it to interrupt it, and resume it later", id)
}

// endedJob returns a job that has ended, which a command leaves as it is or does not fit.
func (b *jobBook) endedJob(job queue.Job) *hostedJob {
	return &hostedJob{record: journal.JobRecord{Job: job}, changed: make(chan struct{})}
}

// endedOrForeign returns a job that has ended or that another worker hosts, which may have
// come further since the book read it; false for one that is neither.
func (b *jobBook) endedOrForeign(ctx context.Context, id queue.JobID) (queue.Job, bool, error) {
	job, ok := b.ended[id]
	if !ok || job.State().Ended() {
		return job, ok, nil
	}
	record, err := b.log.Load(ctx, id)
	if err != nil {
		return job, false, err
	}
	b.ended[id] = record.Job.WithoutRequest()
	return b.ended[id], true, nil
}

// foreign fails for a job that another worker hosts.
func (b *jobBook) foreign(job queue.Job) error {
	if job.State().Ended() {
		return nil
	}
	return fault.New(fault.Conflict, "job %s is hosted by worker %q; ask that one", job.ID(), job.Worker())
}

// Retry submits a job again that has ended without having completed, as a new job with the
// id that newID returns, and returns that. A retry has the owner of the old job, or this one if that has none. It
// fails like Submit, and with fault.Conflict where the job cannot be retried.
func (h *Host) Retry(ctx context.Context, id queue.JobID, newID func() queue.JobID, owner string) (queue.JobID, error) {
	if err := h.mayRetry(ctx); err != nil {
		return "", err
	}
	b := h.jobs
	b.mu.Lock() // from the choice to the submission: nobody else retries the job
	defer b.mu.Unlock()
	record, err := b.log.Load(ctx, id)
	if err != nil {
		return "", err
	}
	all, err := b.all(ctx)
	if err != nil {
		return "", err
	}
	s, err := queue.RetryAfterRetries(record.Job, all)
	if err != nil {
		return "", err
	}
	s.Owner = cmp.Or(s.Owner, owner)
	ids, err := b.submit(ctx, []queue.Submit{{Job: newID(), Submission: s}}, nil)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// RetryGroup retries those jobs of a group that can be and were not retried before, all
// at once, with the ids that newID returns. It returns the new ones, and why others are left as they are, each in the order
// of their submission. It fails like Submit, with fault.NotFound for a group that does
// not exist, and with fault.Conflict where there is nothing to retry.
func (h *Host) RetryGroup(ctx context.Context, group string, newID func() queue.JobID, owner string) (retried []queue.Submit, refused []queue.Refusal, err error) {
	if err := h.mayRetry(ctx); err != nil {
		return nil, nil, err
	}
	b := h.jobs
	b.mu.Lock() // as in Retry
	defer b.mu.Unlock()
	all, err := b.all(ctx)
	if err != nil {
		return nil, nil, err
	}
	again, err := queue.Retryable(all, group)
	if err != nil {
		return nil, nil, err
	}
	ids := map[queue.JobID]queue.JobID{}
	for _, job := range again {
		ids[job.ID()] = newID()
	}
	retried, refused, err = queue.RetryGroup(all, group, ids, func(s queue.Submission) error { return b.admit(s, nil) })
	if err != nil || len(retried) == 0 {
		return nil, refused, err
	}
	for i := range retried {
		record, err := b.log.Load(ctx, retried[i].RetryOf)
		if err != nil {
			return nil, nil, err
		}
		retried[i].Request = record.Job.Submission().Request
		retried[i].Owner = cmp.Or(retried[i].Owner, owner)
	}
	_, err = b.submit(ctx, retried, nil)
	return retried, refused, err
}

// mayRetry fails where nothing is submitted.
func (h *Host) mayRetry(ctx context.Context) error {
	if h.config.Prepare == nil {
		return errNoPrepare
	}
	return ctx.Err()
}

// all returns the jobs that there are, in the order of their submission.
func (b *jobBook) all(ctx context.Context) ([]queue.Job, error) {
	jobs := make([]queue.Job, 0, len(b.live)+len(b.ended))
	for _, j := range b.live {
		jobs = append(jobs, j.job())
	}
	for id := range b.ended {
		job, _, err := b.endedOrForeign(ctx, id)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	slices.SortFunc(jobs, func(a, c queue.Job) int { return cmp.Compare(b.numberOf(a.ID()), b.numberOf(c.ID())) })
	return jobs, nil
}

// release leaves a job to whoever resumes it.
func (b *jobBook) release(id queue.JobID, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j := b.live[id]; j != nil {
		b.letGo(queue.Cause{Code: queue.CauseProcessEnded, Message: cmp.Or(oneLine(why), "its run was interrupted")}, j)
	}
}
