package service

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"reprise/api"
	"reprise/datadir"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Fork implements api.Service.
func (s *Service) Fork(ctx context.Context, q api.ForkRequest) (_ api.Forked, err error) {
	defer explain(ctx, &err)
	defer s.shelf.use()()
	if q.NewRun != "" {
		if err := checkRunID("new_run", q.NewRun); err != nil {
			return api.Forked{}, err
		}
	}
	parent, err := s.forkParent(ctx, q.Run)
	if err != nil {
		return api.Forked{}, err
	}
	j, changes, err := s.prepareFork(ctx, parent, q)
	if err != nil {
		return api.Forked{}, err
	}
	h, err := s.hold(ctx)
	if err != nil {
		return api.Forked{}, err
	}
	defer s.release(h)
	id, err := h.submit(ctx, j)
	return api.Forked{RunID: id, Parent: parent.ID, Step: j.session.Parent.Step(), Changes: changes}, err
}

// forkParent returns the run that a fork comes from.
func (s *Service) forkParent(ctx context.Context, name string) (journal.RunRecord, error) {
	r, err := s.findCurrentBegun(ctx, name)
	if err != nil {
		return journal.RunRecord{}, err
	}
	r.close()
	if len(r.run.Checkpoints) == 0 && r.job.Version > 0 && stoppedForGood(r.job.Job.State()) {
		return journal.RunRecord{}, stoppedEarly(r.run.ID, r.job.Job)
	}
	return r.run, nil
}

// prepareFork checks everything that can be wrong with a fork; it writes nothing.
func (s *Service) prepareFork(ctx context.Context, parent journal.RunRecord, q api.ForkRequest) (job, []api.Change, error) {
	cp, noPoint := forkPoint(parent, s.workspace, q.From)
	old, err := api.RecordedRequest(parent.Request)
	if err != nil {
		return job{}, nil, err
	}
	request, wrong := old.With(q.Settings.Parse()...)
	data, moved, err := s.dataOf(ctx, parent, q.MovedData)
	if wrong != nil || noPoint != nil {
		var more error // without the data, there is no more to be found
		if err == nil {
			more = request.CheckData(data)
		}
		wrong = api.Join(wrong, request.CheckFork(old), more)
		if wrong == nil {
			return job{}, nil, noPoint // with the code that it may have
		}
		return job{}, nil, invalid(errors.Join(noPoint, wrong))
	}
	if bad := s.workspace.Checkpoints(parent.ID).Verify(cp.Ref()); bad != nil {
		now, err := s.forkParent(ctx, string(parent.ID))
		switch {
		case err != nil:
			return job{}, nil, err
		case removedSince(now, cp, bad) && !slices.Contains(parent.Removed, cp.Step):
			return s.prepareFork(ctx, now, q)
		}
		return job{}, nil, badFiles(now, s.workspace, cp, fieldFrom, "use another checkpoint", bad)
	}
	if err != nil {
		return job{}, nil, err
	}
	id := s.newRunID()
	if q.NewRun != "" {
		id = q.NewRun
	}
	session, events, err := api.ForkExternalRequest(request, parent.TrainingRun, old, cp, data, s.ids(id))
	if err != nil {
		return job{}, nil, invalid(err)
	}
	if moved == nil {
		moved = parent.Moved
	}
	if moved != nil {
		events = append(events, *moved)
	}
	canonical, err := request.Canonical()
	if err != nil {
		return job{}, nil, err
	}
	changes, err := api.Changes(parent.Request, canonical)
	if err != nil {
		return job{}, nil, err
	}
	_, submission, err := request.Split("", s.userOf(ctx))
	submit := queue.Submit{Job: queue.JobID(id), Submission: submission}
	return job{submit: submit, named: q.NewRun != "", session: session, events: events}, changes, err
}

// fieldFrom is the field of ForkRequest that names a checkpoint.
const fieldFrom = "from"

// forkPoint returns the checkpoint to start from.
func forkPoint(parent journal.RunRecord, w datadir.Workspace, from *uint64) (training.Checkpoint, error) {
	if from == nil {
		return lastCheckpoint(parent, w)
	}
	return checkpointAt(parent, w, fieldFrom, *from)
}

// Resume implements api.Service.
func (s *Service) Resume(ctx context.Context, q api.ResumeRequest) iter.Seq2[api.Submission, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Submission) error) error {
		defer s.shelf.use()()
		names, err := s.named(ctx, q.Target, canResume)
		if err != nil {
			return err
		}
		runs := make([]subject, len(names))
		moved := make([]*training.DatasetMoved, len(names))
		errs := make([]error, len(names))
		for i, id := range names {
			runs[i], moved[i], errs[i] = s.resumable(ctx, string(id), q.MovedData)
		}
		// Of a group or of all, those that can continue do, whatever is wrong with others.
		if err := joined(errs); err != nil && (len(q.Runs) > 0 || !slices.Contains(errs, nil)) {
			return err
		}
		h, err := s.hold(ctx)
		if err != nil {
			return err
		}
		defer s.release(h)
		var launched []api.Submission // sent once no launch waits for whoever reads them
		together := h.host.Gather()
		err = launchAll(ctx, errs, func(r api.Submission) error {
			launched = append(launched, r)
			return nil
		}, func(i int) (training.RunID, error) {
			if s.underWay(runs[i]) {
				api.Notify(ctx, api.Notice{Event: fmt.Sprintf("run %s is under way already", runs[i].id)})
			}
			if moved[i] != nil { // first: what resumes the run next finds the data, whatever happens
				if err := h.host.MoveDataset(ctx, runs[i].id, *moved[i]); err != nil {
					return runs[i].id, err
				}
				runs[i].run.Moved = moved[i]
				api.Notify(ctx, api.Notice{Event: fmt.Sprintf("run %s has its data at %s from now on", runs[i].id, fault.ShowPath(moved[i].Path))})
			}
			return runs[i].id, h.resume(ctx, runs[i])
		})
		together()
		for _, r := range launched {
			if sent := send(r); sent != nil {
				return sent
			}
		}
		return err
	})
}

// underWay reports whether a run trains or waits in this process, so that there is nothing
// to resume.
func (s *Service) underWay(r subject) bool {
	_, stopping := r.job.Job.Stop()
	f := s.feed(r.id)
	return f != nil && !f.atRest() && !stopping
}

// joined returns several errors as one, and a single one as it is.
func joined(errs []error) error {
	var first error
	for _, err := range errs {
		switch {
		case err == nil:
		case first != nil:
			return errors.Join(errs...)
		default:
			first = err
		}
	}
	return first
}

// resumable returns a run that can be resumed. Host.Resume decides again once the data
// directory is held. What is wrong with the data of a run in the queue may pass: it is
// deferred. For a run without a job, nobody tries again.
func (s *Service) resumable(ctx context.Context, name string, to api.MovedData) (subject, *training.DatasetMoved, error) {
	r, err := s.findCurrent(ctx, name)
	if err != nil {
		return subject{}, nil, err
	}
	defer r.close()
	if err := s.checkResume(ctx, r); err != nil {
		return r, nil, err
	}
	switch {
	case to.Dataset != "" && !r.started():
		return r, nil, &api.Error{Fault: fault.Conflict, Run: r.id, Message: fmt.Sprintf("run %s has not begun, so that it is not on record which data are its own", r.id),
			Remedy: "correct dataset_path in the request, and train it again"}
	case to.Dataset == "" && (!r.started() || r.job.Version > 0):
		return r, nil, nil
	}
	_, moved, err := s.dataOf(ctx, r.run, to)
	if err != nil {
		e := *api.ErrorOf(err)
		if e.Run = r.id; to.Dataset == "" {
			e.Message = fmt.Sprintf("cannot resume run %s: %s", r.id, e.Message)
		}
		return r, nil, &e
	}
	return r, moved, nil
}

// checkResume fails for a run that cannot be resumed, whatever its data are.
func (s *Service) checkResume(ctx context.Context, r subject) error {
	if r.job.Job.Deleted() {
		return deleted(r.job)
	}
	if state := r.job.Job.State(); state.Ended() && state != queue.StateCompleted && state != queue.StateFailed {
		return ended(r)
	}
	if !r.started() {
		return nil
	}
	if _, err := r.run.Resume(); err != nil { // before any data is read
		e := api.ErrorOf(err)
		e.Run = r.id
		if e.Code = api.RunEnded; len(r.run.Checkpoints) == 0 {
			e.Code, e.Remedy = "", "correct the request and train it again"
		}
		return e
	}
	return checkResumePoint(ctx, r)
}

// ended says of a run whose job ended before the run did that it cannot be resumed.
func ended(r subject) error {
	e := &api.Error{
		Fault: fault.Conflict, Run: r.id, Code: api.RunEnded,
		Message: fmt.Sprintf("cannot resume run %s: it was %s", r.id, r.job.Job.State()),
	}
	if cause := r.job.Job.Cause().Message; cause != "" {
		e.Message += ": " + cause
	}
	if len(r.run.Checkpoints) == 0 {
		e.Code = api.RunStopped
	}
	return e
}

// checkResumePoint fails where the files of the checkpoint that a run would continue
// from are not what was committed: its own last one or, before that, its parent's.
func checkResumePoint(ctx context.Context, r subject) error {
	run := r.run
	cp, own := run.LastCheckpoint()
	if !own {
		parent := run.Session.Parent
		if parent == nil {
			return nil // it starts again
		}
		cp = parent.Checkpoint
		var err error
		if run, err = r.log.Load(ctx, parent.RunID); err != nil {
			return err
		}
	}
	return checkFiles(run, r.Workspace, cp, fieldFrom, "fork the run from another checkpoint")
}
