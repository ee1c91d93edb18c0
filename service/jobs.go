package service

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// subject is a run in an open log, as its own events and those of its job tell it.
type subject struct {
	*Log
	id  training.RunID
	log *journal.RunLog
	run journal.RunRecord // Version is 0 for one that was not started
	job journal.JobRecord // Version is 0 for one that was not submitted to a queue
}

func (f subject) started() bool { return f.run.ID != "" }

// summary is the run's; that of one that was not started tells of its job.
func (f subject) summary() journal.RunSummary {
	if f.started() {
		return f.run.Summary()
	}
	return unstartedSummary(f.job)
}

// canResume reports whether the run has not ended for good.
func (f subject) canResume() bool {
	if f.job.Version > 0 && f.job.Job.State().Ended() {
		return false
	}
	return !f.started() || f.run.Session.CanResume()
}

// notBegun is the error of what needs a run, and not only its job.
func (f subject) notBegun() error {
	if stoppedForGood(f.job.Job.State()) {
		return stoppedEarly(f.id, f.job.Job)
	}
	return &api.Error{
		Fault: fault.Conflict, Code: api.NotBegun, Run: f.id,
		Message: "run " + string(f.id) + " has not begun: it is " + string(runState("", f.job, WriterAlive(f.Workspace))),
	}
}

// resolve returns the run that a request names.
func (l *Log) resolve(ctx context.Context, name string) (training.RunID, error) {
	runs, err := l.Runs(ctx)
	if err != nil {
		return "", err
	}
	jobs, err := l.Jobs(ctx)
	if err != nil {
		return "", err
	}
	return journal.Resolve(runs, jobs, strings.TrimSpace(name))
}

// find opens the event log for reading and finds the run or the job that a request names.
// The log is the caller's to close.
func (s *Service) find(ctx context.Context, name string) (subject, error) {
	l, err := s.read(ctx)
	if err != nil {
		return subject{}, err
	}
	return s.findIn(ctx, l, name)
}

// findCurrent is find with readCurrent.
func (s *Service) findCurrent(ctx context.Context, name string) (subject, error) {
	l, err := s.readCurrent(ctx)
	if err != nil {
		return subject{}, err
	}
	return s.findIn(ctx, l, name)
}

// findBegun is find for what needs the run, and not only its job.
func (s *Service) findBegun(ctx context.Context, name string) (subject, error) {
	return begun(s.find(ctx, name))
}

// findCurrentBegun is findBegun with readCurrent.
func (s *Service) findCurrentBegun(ctx context.Context, name string) (subject, error) {
	return begun(s.findCurrent(ctx, name))
}

// begun passes on what was found, and refuses a run that has not begun, or was
// deleted.
func begun(f subject, err error) (subject, error) {
	switch {
	case err != nil:
		return f, err
	case f.job.Job.Deleted():
		err = deleted(f.job)
	case !f.started():
		err = f.notBegun()
	default:
		return f, nil
	}
	f.close()
	return f, err
}

// findIn finds a run in an open log, which it closes if it fails.
func (s *Service) findIn(ctx context.Context, l *Log, name string) (f subject, err error) {
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	id, err := l.resolve(ctx, name)
	if err != nil {
		return f, err
	}
	return s.subjectIn(ctx, l, id)
}

// subjectIn reads a run of an open log.
func (s *Service) subjectIn(ctx context.Context, l *Log, id training.RunID) (f subject, err error) {
	f.Log, f.id = l, id
	f.log = journal.NewRunLog(l.Listing, s.config.Now)
	f.job, err = journal.NewJobLog(l.Listing, s.config.Now).Load(ctx, queue.JobID(f.id))
	if err != nil && !errors.Is(err, journal.ErrJobNotFound) {
		return f, err
	}
	f.run, err = f.log.Load(ctx, f.id)
	if f.job.Version > 0 && fault.KindOf(err) == fault.NotFound {
		f.run, err = journal.RunRecord{}, nil
	}
	return f, err
}

// jobEvents returns the events of the job, which are few.
func (f subject) jobEvents(ctx context.Context) ([]eventstore.Event, error) {
	return jobEvents(ctx, f.Listing, queue.JobID(f.id))
}

func jobEvents(ctx context.Context, store eventstore.Store, id queue.JobID) (events []eventstore.Event, err error) {
	for {
		page, err := store.ReadAggregate(ctx, eventstore.AggregateID(journal.JobPrefix+string(id)), eventstore.Version(len(events)), eventsPerPage)
		if events = append(events, page...); err != nil || len(page) < eventsPerPage {
			return events, err
		}
	}
}

// eventsPerPage is how many events of a job are read at a time.
const eventsPerPage = 1000

// runState returns the state of a run by its own events, "" for none, and those of its
// job. alive says that a process works on the runs: what is under way otherwise was
// interrupted.
func runState(run training.State, r journal.JobRecord, alive bool) training.State {
	job := r.Job
	switch state := job.State(); {
	case r.Version == 0 || run == training.Completed || run == training.Failed:
	case state == queue.StateCancelled || state == queue.StateRejected || state == queue.StatePaused || state.Ended() && run == "":
		return training.State(state)
	case !alive, job.Left():
		return training.Interrupted
	case run == "":
		return training.State(state)
	case lacksData(job) && run == training.Interrupted: // it is queued as it was, but its data are to be opened again
		return api.Submitted
	case state == queue.StatePlaced && run == training.Running: // which is about to be recorded of the job
	case state.Waits() || state == queue.StatePlaced:
		return training.State(state)
	}
	if !alive && (run == training.Running || run == training.Initializing) {
		return training.Interrupted
	}
	return run
}

// lacksData reports whether the data of a job that was prepared could not be opened when
// its run was to continue.
func lacksData(j queue.Job) bool {
	return j.State() == queue.StateQueued && j.Cause().Code == queue.CauseData
}

// runOf describes a run and its job.
func runOf(r journal.RunSummary, job journal.JobRecord, alive bool) api.Run {
	out := recordedRunOf(r)
	out.State = runState(r.State, job, alive)
	if job.Version == 0 {
		return out
	}
	out.Job = jobOf(job)
	note := job.Job.Annotation()
	out.Name, out.Tags, out.Note = note.Name, note.Tags, note.Note
	if lacksData(job.Job) && out.State == api.Queued { // they can be opened again, or are about to be
		out.Job.Cause, out.Job.RetryAfter, out.Job.Deferrals = nil, 0, 0
		return out
	}
	if cause := job.Job.Cause().Message; cause != "" && (out.Reason == "" || out.State == api.Cancelled || out.State == api.Rejected) &&
		out.State != training.Completed && out.State != training.Running && out.State != api.Placed && out.State != training.Initializing {
		out.Reason = cause
	}
	return out
}

// jobOf describes a job.
func jobOf(r journal.JobRecord) *api.Job {
	j := r.Job
	s := j.Submission()
	out := &api.Job{
		State: j.State(), Name: s.Name, Owner: s.Owner, Group: s.Group, Priority: j.Priority(), After: j.After(), MaxSeconds: s.MaxDuration.Seconds(),
		Labels: s.Labels, RetryOf: s.RetryOf, Deferrals: j.Deferrals(), RetryAfter: j.RetryAfter(), SubmittedAt: r.SubmittedAt, Deleted: j.Deleted(),
	}
	if stop, ok := j.Stop(); ok {
		out.Stopping = stop.To
	}
	if j.Deleted() {
		out.DeletedAt = &r.DeletedAt
	}
	if cause := j.Cause(); cause != (queue.Cause{}) {
		out.Cause = &cause
	}
	return out
}

// unstartedSummary is that of a run of which nothing is recorded but its job.
func unstartedSummary(r journal.JobRecord) journal.RunSummary {
	s := journal.RunSummary{RunID: training.RunID(r.Job.ID()), StartedAt: r.SubmittedAt, UpdatedAt: r.UpdatedAt}
	var request struct {
		DatasetPath string `json:"dataset_path"`
	}
	if json.Unmarshal(r.Job.Submission().Request, &request) == nil {
		s.Dataset = request.DatasetPath
	}
	return s
}

// runsOf merges runs with jobs, the first to be submitted first.
func runsOf(runs []journal.RunSummary, jobs []journal.JobRecord, alive bool) []api.Run {
	byID := make(map[training.RunID]journal.JobRecord, len(jobs))
	for _, r := range jobs {
		byID[training.RunID(r.Job.ID())] = r
	}
	started := make(map[training.RunID]bool, len(runs))
	list := make([]api.Run, 0, len(runs))
	for _, r := range runs {
		started[r.RunID] = true
		list = append(list, runOf(r, byID[r.RunID], alive))
	}
	for _, r := range jobs {
		if !started[training.RunID(r.Job.ID())] {
			list = append(list, runOf(unstartedSummary(r), r, alive))
		}
	}
	list = slices.DeleteFunc(list, func(r api.Run) bool { return r.Job != nil && r.Job.Deleted })
	slices.SortStableFunc(list, func(a, b api.Run) int { return submittedAt(a).Compare(submittedAt(b)) })
	return list
}

// submittedAt is when a run was submitted, or started where it never was.
func submittedAt(r api.Run) time.Time {
	if r.Job != nil {
		return r.Job.SubmittedAt
	}
	return r.StartedAt
}
