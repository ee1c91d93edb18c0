package service

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Runs implements api.Service.
func (s *Service) Runs(ctx context.Context, q api.RunsRequest) (_ api.RunList, err error) {
	defer explain(ctx, &err)
	if err := q.Validate(); err != nil {
		return api.RunList{}, err
	}
	log, err := s.read(ctx)
	if err != nil {
		return api.RunList{}, err
	}
	defer log.close()
	list, err := log.Runs(ctx)
	if err != nil {
		return api.RunList{}, err
	}
	w := log.Workspace
	jobs, err := log.Jobs(ctx)
	if err != nil {
		return api.RunList{}, err
	}
	answer := api.RunList{Runs: runsOf(list.Runs, jobs.Jobs, WriterAlive(w)), Folder: w.Dir, RunsFolder: w.RunsDir()}
	answer.Runs = slices.DeleteFunc(answer.Runs, func(r api.Run) bool { return !q.Fits(r) })
	for i, r := range answer.Runs {
		answer.Runs[i].FilesMissing = r.Step > r.ForkStep && !w.Checkpoints(r.RunID).Has(r.Step)
	}
	return answer, nil
}

// Run implements api.Service.
func (s *Service) Run(ctx context.Context, q api.RunRequest) (_ api.RunReport, err error) {
	defer explain(ctx, &err)
	f, err := s.find(ctx, q.Run)
	if err != nil {
		return api.RunReport{}, err
	}
	defer f.close()
	if !f.started() {
		return s.unstarted(ctx, f, q.At)
	}
	position, _, err := resolve(ctx, f.Store, q.At, s.config.Now())
	if err != nil {
		return api.RunReport{}, err
	}
	if !q.At.IsZero() {
		if f.run, err = f.log.At(ctx, f.id, position); err != nil {
			return api.RunReport{}, asGiven(err, q.At)
		}
		f.job = journal.JobRecord{}
	}
	// Whether it trains now says nothing about the past.
	report := reportOf(f, f.Workspace, !q.At.IsZero() || WriterAlive(f.Workspace))
	report.Position = position
	if report.Details.Lineage, err = lineageOf(ctx, f, position); err == nil && q.At.IsZero() {
		err = noteDeleted(ctx, f, &report.Details)
	}
	return report, err
}

// noteDeleted notes which relatives of a run were deleted.
func noteDeleted(ctx context.Context, f subject, d *api.RunDetails) error {
	jobs, err := f.Jobs(ctx)
	if err != nil {
		return err
	}
	var related []training.RunID
	if d.Parent != nil {
		related = append(related, d.Parent.RunID)
	}
	for _, fork := range d.Forks {
		related = append(related, fork.RunID)
	}
	if d.Job != nil {
		related = append(related, training.RunID(d.Job.RetryOf))
	}
	for _, id := range related {
		if job, _ := jobs.Job(queue.JobID(id)); job.Job.Deleted() {
			if d.Deleted == nil {
				d.Deleted = map[training.RunID]time.Time{}
			}
			d.Deleted[id] = job.DeletedAt
		}
	}
	return nil
}

// asGiven makes an error about a position of the log quote the point in time that the
// request gave.
func asGiven(err error, at api.PointInTime) error {
	var field *fault.FieldError
	if !errors.As(err, &field) || field.Field != "at" {
		return err
	}
	given := *field
	given.Value = at.String()
	return &given
}

// unstarted describes a run that has nothing recorded but its job.
func (s *Service) unstarted(ctx context.Context, f subject, at api.PointInTime) (api.RunReport, error) {
	if !at.IsZero() {
		return api.RunReport{}, f.notBegun()
	}
	position, _, err := resolve(ctx, f.Store, at, s.config.Now())
	report := reportOf(f, f.Workspace, WriterAlive(f.Workspace))
	report.Position = position
	report.Details.Forks = []api.Fork{}
	return report, errors.Join(err, noteDeleted(ctx, f, &report.Details))
}

// reportOf describes a run as recorded, without its relatives. alive says that a process
// works on the runs of the data directory.
func reportOf(f subject, w datadir.Workspace, alive bool) api.RunReport {
	r := f.run
	s := r.Session
	report := api.RunReport{
		Details: api.RunDetails{
			Run: runOf(f.summary(), f.job, alive), SessionID: s.ID, ModelID: s.ModelID, Architecture: s.Architecture,
			Data: s.Dataset, MovedData: r.Moved, Hyperparameters: s.Hyperparameters, History: epochsOf(r.TrainingRun), Figures: r.Figures, Checkpoints: r.Checkpoints, RemovedCheckpoints: r.Removed,
			CheckpointsDir: w.CheckpointsDir(r.ID), Saga: r.Saga,
			Interruptions: r.Interruptions, Reproduced: r.Reproduced, Request: r.Request,
		},
		BegunAt: r.BegunAt, CanResume: f.canResume(), Evaluations: r.Evaluations, Stopped: r.Stopped, Folder: w.RunDir(r.ID),
	}
	if best, ok := r.BestCheckpoint(); ok {
		report.BestStep = best.Step
	}
	if f.job.Job.Deleted() { // nothing is missing
		return report
	}
	for _, cp := range r.Kept() {
		if !w.Checkpoints(r.ID).Has(cp.Step) {
			report.MissingSteps = append(report.MissingSteps, cp.Step)
		}
	}
	if last, ok := r.LastCheckpoint(); ok {
		report.Details.FilesMissing = !w.Checkpoints(r.ID).Has(last.Step)
	}
	return report
}

// Events implements api.Service.
func (s *Service) Events(ctx context.Context, q api.EventsRequest) iter.Seq2[api.Event, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Event) error) error {
		events, err := s.eventsOf(ctx, q.Run)
		for i := 0; err == nil && i < len(events); i++ {
			err = send(api.EventOf(events[i]))
		}
		return err
	})
}

func (s *Service) eventsOf(ctx context.Context, run string) ([]eventstore.Event, error) {
	f, err := s.find(ctx, run)
	if err != nil {
		return nil, err
	}
	defer f.close()
	events, err := f.jobEvents(ctx)
	if err != nil || !f.started() {
		return events, err
	}
	own, err := f.log.Events(ctx, f.id)
	events = append(events, own...)
	slices.SortFunc(events, func(a, b eventstore.Event) int { return cmp.Compare(a.Position, b.Position) })
	return events, err
}

// stateOf returns the actual state of a run: one that is recorded as under way is
// interrupted if no process is training it.
func stateOf(recorded training.State, w datadir.Workspace) training.State {
	if (recorded == training.Running || recorded == training.Initializing) && !WriterAlive(w) {
		return training.Interrupted
	}
	return recorded
}

// resultOf describes what a run has reached.
func resultOf(r journal.RunSummary) api.Result {
	out := api.Result{RunID: r.RunID, State: r.State, Epoch: r.Epoch, Step: r.Step, WeightsSHA256: r.WeightsSHA256}
	if m := r.Metrics; m != nil {
		out.Metrics = metricsOf(*m, r.HasAccuracy)
	}
	return out
}

// recordedRunOf describes a run as recorded by its events.
func recordedRunOf(r journal.RunSummary) api.Run {
	return api.Run{
		Result: resultOf(r), Epochs: r.Epochs, TotalSteps: r.TotalSteps, Dataset: r.Dataset,
		StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt, TrainedSeconds: r.Trained.Seconds(), Reason: r.Reason,
		ForkOf: r.Parent, ForkStep: r.ParentStep, InitFrom: r.Init,
	}
}

// epochsOf describes the completed epochs of a run; none is an empty list.
func epochsOf(r training.TrainingRun) []api.Epoch {
	list := make([]api.Epoch, len(r.Metrics))
	for i, m := range r.Metrics {
		list[i] = api.Epoch{Epoch: m.Epoch, Step: m.Step, Metrics: metricsOf(m.Metrics, r.Session.Dataset.HasAccuracy())}
	}
	return list
}

// metricsOf returns the figures without an accuracy where the task has none.
func metricsOf(m training.Metrics, accurate bool) api.Metrics {
	out := api.Metrics{TrainLoss: &m.TrainLoss, ValLoss: &m.ValLoss, Monitored: m.Monitored}
	if accurate {
		out.ValAccuracy = &m.ValAccuracy
	}
	return out
}

// lineageOf finds the run's relatives as of a position of the log.
func lineageOf(ctx context.Context, r subject, at eventstore.Position) (api.Lineage, error) {
	l := api.Lineage{Parent: r.run.Session.Parent, Init: r.run.Session.Init, Forks: []api.Fork{}}
	if l.Parent != nil {
		parent, err := r.log.Load(ctx, l.Parent.RunID)
		if err != nil {
			return l, err
		}
		if l.Changes, err = changes(parent.Request, r.run.Request); err != nil {
			return l, err
		}
	}
	list, err := r.Runs(ctx)
	if err != nil {
		return l, err
	}
	for _, other := range list.Runs {
		if other.Parent != r.run.ID {
			continue
		}
		fork, err := r.log.At(ctx, other.RunID, at)
		var later *fault.FieldError
		if errors.As(err, &later) && later.Field == "at" { // it started later
			continue
		}
		if err != nil {
			return l, err
		}
		changed, err := changes(r.run.Request, fork.Request)
		if err != nil {
			return l, err
		}
		l.Forks = append(l.Forks, api.Fork{RunID: other.RunID, Step: other.ParentStep, State: fork.Session.State, Changes: changed})
	}
	return l, nil
}

// changes is api.Changes, of which nothing is known where a request was not recorded.
func changes(from, to []byte) ([]api.Change, error) {
	if len(from) == 0 || len(to) == 0 {
		return nil, nil
	}
	return api.Changes(from, to)
}
