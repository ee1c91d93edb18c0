package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/api"
	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// lastCheckpoint returns the newest checkpoint of a run. It fails with an *api.Error for
// one that has none.
func lastCheckpoint(run journal.RunRecord, w datadir.Workspace) (training.Checkpoint, error) {
	last, ok := run.LastCheckpoint()
	if !ok {
		return last, noCheckpoint(run, w)
	}
	return last, nil
}

// noCheckpoint says why a run has no checkpoints.
func noCheckpoint(run journal.RunRecord, w datadir.Workspace) error {
	e := &api.Error{Fault: fault.Conflict, Run: run.ID}
	switch stateOf(run.Session.State, w) {
	case training.Failed:
		e.Message = fmt.Sprintf("run %s failed before its first checkpoint: %s", run.ID, strings.TrimSuffix(run.Reason, "; no checkpoint was written yet"))
		e.Remedy = "correct the request and train it again"
	case training.Interrupted:
		e.Message = fmt.Sprintf("run %s was interrupted before its first checkpoint", run.ID)
		e.Code = api.InterruptedEarly
	default:
		e.Message = fmt.Sprintf("run %s has no checkpoint yet; the first one comes after %s",
			run.ID, figures.Plural(run.Session.Hyperparameters.CheckpointInterval, "epoch"))
	}
	return e
}

// unlessStopped corrects an error about a run that has no checkpoint where its job was
// cancelled or rejected: then the run cannot be resumed, but retried.
func unlessStopped(job journal.JobRecord, err error) error {
	var e *api.Error
	if job.Version == 0 || !stoppedForGood(job.Job.State()) || !errors.As(err, &e) || e.Code != api.InterruptedEarly {
		return err
	}
	return stoppedEarly(e.Run, job.Job)
}

// stoppedForGood reports whether a job ended without a decision of its run.
func stoppedForGood(s queue.State) bool {
	return s == queue.StateCancelled || s == queue.StateRejected
}

// stoppedEarly is the error of what needs a checkpoint of a run that was cancelled or
// rejected before it had one.
func stoppedEarly(run training.RunID, job queue.Job) error {
	e := &api.Error{Fault: fault.Conflict, Code: api.RunStopped, Run: run,
		Message: fmt.Sprintf("run %s was %s before its first checkpoint", run, job.State())}
	if cause := job.Cause().Message; cause != "" {
		e.Message += ": " + cause
	}
	return e
}

// checkpointAt returns the checkpoint at the step that a field of a request names. It
// fails with an *api.Error.
func checkpointAt(run journal.RunRecord, w datadir.Workspace, field string, step uint64) (training.Checkpoint, error) {
	if _, err := lastCheckpoint(run, w); err != nil {
		return training.Checkpoint{}, err
	}
	if slices.Contains(run.Removed, step) {
		return training.Checkpoint{}, noStep(run, step, fault.FieldError{
			Field: field, Problem: fmt.Sprintf("the checkpoint of run %s at step %d was removed, as its config.keep asks", run.ID, step),
		})
	}
	if i := indexOfStep(run, step); i >= 0 {
		return run.Checkpoints[i], nil
	}
	return training.Checkpoint{}, noStep(run, step, fault.FieldError{
		Field: field, Problem: fmt.Sprintf("run %s has no checkpoint at step %d", run.ID, step),
	})
}

// checkFiles fails where the files of a checkpoint that a run would start from are not
// what was committed. field is the one of the request that names another checkpoint, and
// or says what to do with it.
func checkFiles(run journal.RunRecord, w datadir.Workspace, cp training.Checkpoint, field, or string) error {
	return badFiles(run, w, cp, field, or, w.Checkpoints(run.ID).Verify(cp.Ref()))
}

// removedSince reports whether an error of the files of a checkpoint is due to a run, as it is
// now, having removed it since it was chosen.
func removedSince(now journal.RunRecord, cp training.Checkpoint, err error) bool {
	return errors.Is(err, checkpoint.ErrMissing) && slices.Contains(now.Removed, cp.Step)
}

// readCheckpoint chooses a checkpoint as checkpointOf does, and reads it. Its run may remove
// it in between: then the run is read again, and the checkpoint chosen again.
func (s *Service) readCheckpoint(ctx context.Context, r *subject, step *uint64, best bool) (training.Checkpoint, checkpoint.Content, error) {
	for {
		cp, err := checkpointOf(*r, step, best)
		if err != nil {
			return cp, checkpoint.Content{}, err
		}
		content, err := r.Workspace.Checkpoints(r.run.ID).Read(cp.Ref())
		if !errors.Is(err, checkpoint.ErrMissing) || slices.Contains(r.run.Removed, cp.Step) {
			return cp, content, badFiles(r.run, r.Workspace, cp, "step", "use another checkpoint", err)
		}
		now, failed := s.subjectIn(ctx, r.Log, r.id)
		if failed == nil && now.job.Job.Deleted() {
			failed = deleted(now.job)
		}
		if failed != nil {
			return cp, content, failed
		}
		*r = now
		if !removedSince(r.run, cp, err) {
			return cp, content, badFiles(r.run, r.Workspace, cp, "step", "use another checkpoint", err)
		}
	}
}

// badFiles adds to the error of reading a checkpoint what to do about it: where another
// checkpoint of the run is whole, to use the newest of those.
func badFiles(run journal.RunRecord, w datadir.Workspace, cp training.Checkpoint, field, or string, err error) error {
	if !errors.As(err, new(*checkpoint.CorruptError)) {
		return err
	}
	e := api.ErrorOf(err)
	e.Run, e.Remedy = run.ID, "put a copy of it back; no other checkpoint of the run is whole"
	for _, other := range slices.Backward(run.Kept()) {
		if other.Step != cp.Step && w.Checkpoints(run.ID).Verify(other.Ref()) == nil {
			e.Instead = &api.FieldValue{Field: field, Value: strconv.FormatUint(other.Step, 10)}
			e.Remedy = "put a copy of it back, or " + or
			break
		}
	}
	return e
}

// indexOfStep returns the index of the checkpoint at a step, or -1.
func indexOfStep(run journal.RunRecord, step uint64) int {
	return slices.IndexFunc(run.Checkpoints, func(c training.Checkpoint) bool { return c.Step == step })
}

// noStep completes what is wrong with a field that has a step without a checkpoint: it
// adds the steps that there are, or the ones around it where that would be too many to
// read.
func noStep(run journal.RunRecord, step uint64, wrong fault.FieldError) error {
	const most = 6
	list := run.Kept()
	from, omitted := 0, len(list)-most
	if omitted > 0 {
		after := slices.IndexFunc(list, func(c training.Checkpoint) bool { return c.Step > step })
		if after < 0 {
			after = len(list)
		}
		from = min(max(after-most/2, 0), omitted)
	}
	var steps []string
	for _, c := range list[from:min(from+most, len(list))] {
		steps = append(steps, strconv.FormatUint(c.Step, 10))
	}
	wrong.Fix = "use " + figures.Or(steps)
	if omitted > 0 {
		wrong.Fix += fmt.Sprintf(", or one of the other %d", omitted)
	}
	e := api.ErrorOf(&wrong)
	e.Run = run.ID
	if omitted > 0 {
		e.Code = api.StepsOmitted
	}
	return e
}
