package service

import (
	"context"
	"fmt"
	"time"

	"reprise/api"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Delete implements api.Service.
func (s *Service) Delete(ctx context.Context, q api.DeleteRequest) (answer api.Deleted, err error) {
	defer explain(ctx, &err)
	answer.Runs = []api.DeletedRun{}
	names, err := s.named(ctx, q.Target, deletable)
	if err != nil || len(names) == 0 {
		return answer, err
	}
	if q.DryRun {
		l, err := s.readCurrent(ctx)
		if err != nil {
			return answer, err
		}
		defer l.close()
		for _, id := range names {
			answer.Runs = append(answer.Runs, s.toDelete(ctx, l, id))
		}
		return answer, nil
	}
	h, err := s.hold(withoutEvents(ctx))
	if err != nil {
		return answer, err
	}
	defer s.release(h)
	for _, id := range names {
		answer.Runs = append(answer.Runs, h.delete(ctx, id))
	}
	return answer, nil
}

// deletable reports whether a run is not under way, so that it can be deleted.
func deletable(r api.Run) bool {
	return r.Job != nil && (r.State.Terminal() || r.State == api.Cancelled || r.State == api.Rejected || r.State == training.Interrupted || r.State == api.Paused)
}

// toDelete says what deleting a run would free, or why it cannot be deleted.
func (s *Service) toDelete(ctx context.Context, l *Log, id training.RunID) api.DeletedRun {
	out := api.DeletedRun{RunID: id}
	f, err := s.subjectIn(ctx, l, id)
	if err == nil {
		run := runOf(f.summary(), f.job, WriterAlive(l.Workspace))
		out.Name, out.State, out.Bytes, out.Checkpoints = run.Name, run.State, l.Workspace.RunSize(id), len(f.run.Kept())
		err = refuseDeletion(run)
	}
	if err == nil {
		err = integration.CheckNoForks(ctx, l.Listing, id)
	}
	if explain(ctx, &err); err != nil {
		out.Error = api.ErrorOf(err)
	}
	return out
}

// refuseDeletion fails for a run that cannot be deleted as it is.
func refuseDeletion(r api.Run) error {
	switch {
	case r.Job == nil:
		return noJob(r.RunID, "deleted")
	case !deletable(r):
		return &api.Error{Fault: fault.Conflict, Run: r.RunID, Message: fmt.Sprintf("run %s is %s: what is under way is not deleted", r.RunID, r.State),
			Remedy: "cancel it first"}
	}
	return nil
}

// delete deletes a run, and completes what an earlier attempt has begun.
func (h *hosting) delete(ctx context.Context, id training.RunID) api.DeletedRun {
	out := api.DeletedRun{RunID: id}
	err := h.deleteRun(ctx, &out)
	if explain(ctx, &err); err != nil {
		out.Error = api.ErrorOf(err)
	}
	return out
}

func (h *hosting) deleteRun(ctx context.Context, out *api.DeletedRun) error {
	job := queue.JobID(out.RunID)
	record, err := h.jobs.Load(ctx, job)
	if fault.KindOf(err) == fault.NotFound {
		return noJob(out.RunID, "deleted")
	}
	if err != nil {
		return err
	}
	run, err := h.log.Load(ctx, out.RunID)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	w := h.opened.Workspace
	out.Name, out.Bytes, out.Checkpoints = record.Job.Annotation().Name, w.RunSize(out.RunID), len(run.Kept())
	described := runOf(summaryOf(run, record), record, h.host.WorksOn(job))
	out.State = described.State
	if record.Job.Deleted() {
		out.DeletedBefore = &record.DeletedAt
	} else {
		if err := refuseDeletion(described); err != nil {
			return err
		}
		if err := h.host.Delete(ctx, job); err != nil {
			return err
		}
	}
	out.Left, err = w.RemoveRun(out.RunID)
	return err
}

// summaryOf is that of a run, or of its job where nothing else is recorded.
func summaryOf(run journal.RunRecord, job journal.JobRecord) journal.RunSummary {
	if run.ID != "" {
		return run.Summary()
	}
	return unstartedSummary(job)
}

// deleted is the error of what cannot be done with a run that was deleted.
func deleted(r journal.JobRecord) error {
	id := training.RunID(r.Job.ID())
	return &api.Error{Fault: fault.Conflict, Code: api.RunDeleted, Run: id,
		Message: fmt.Sprintf("run %s was deleted at %s: its files are gone, and only its events are kept", id, r.DeletedAt.UTC().Format(time.RFC3339))}
}

// refuseDeleted fails for a run that was deleted.
func (h *hosting) refuseDeleted(ctx context.Context, id training.RunID) error {
	if record, err := h.jobs.Load(ctx, queue.JobID(id)); err == nil && record.Job.Deleted() {
		return deleted(record)
	}
	return nil
}
