package service

import (
	"context"
	"fmt"

	"reprise/api"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// Annotate implements api.Service.
func (s *Service) Annotate(ctx context.Context, q api.AnnotateRequest) (_ api.Annotated, err error) {
	defer explain(ctx, &err)
	change := queue.Annotate{Name: q.Name, Note: q.Note, Tag: q.Tag, Untag: q.Untag}
	if err := change.Validate(); err != nil {
		return api.Annotated{}, invalid(err)
	}
	f, err := s.findCurrent(ctx, q.Run)
	if err != nil {
		return api.Annotated{}, err
	}
	f.close()
	switch {
	case f.job.Version == 0:
		return api.Annotated{}, noJob(f.id, "annotated")
	case f.job.Job.Deleted(): // its name is free, and no listing shows its tags
		return api.Annotated{}, deleted(f.job)
	}
	h, err := s.hold(withoutEvents(ctx))
	if err != nil {
		return api.Annotated{}, err
	}
	defer s.release(h)
	if err := h.host.Annotate(ctx, queue.JobID(f.id), change); err != nil {
		return api.Annotated{}, err
	}
	record, err := h.jobs.Load(ctx, queue.JobID(f.id))
	return api.Annotated{RunID: f.id, Annotation: record.Job.Annotation()}, err
}

// noJob is the error of what needs a job, for a run of an older version.
func noJob(id training.RunID, done string) error {
	return fault.New(fault.Conflict, "run %s cannot be %s: the version that recorded it had no queue, where that is noted", id, done)
}

// annotate adds what a submission says of its runs to what their requests do. A fold of
// several has a name of its own.
func annotate(q api.SubmitRequest, run api.RequestedRun, submission *queue.Submission) error {
	all, err := annotationOf(q).AddedTo(submission.Annotation)
	if err != nil {
		return err
	}
	submission.Annotation = all
	if run.Folds > 0 && submission.Annotation.Name != "" {
		submission.Annotation.Name += fmt.Sprintf("-fold%d", run.Fold)
	}
	return nil
}

// checkAnnotation fails for notes that runs cannot have.
func checkAnnotation(q api.SubmitRequest) error {
	var errs []error
	if n := len(q.Files); q.Name != "" && n > 1 {
		errs = append(errs, &fault.FieldError{Field: "name", Value: q.Name, Problem: fmt.Sprintf("would be that of %d runs", n),
			Fix: "set job.name in each request, or submit them one by one"})
	}
	return joined(append(errs, fault.Parts(annotationOf(q).ValidateAs("", "tags"))...))
}

func annotationOf(q api.SubmitRequest) queue.Annotation {
	return queue.Annotation{Name: q.Name, Tags: q.Tags, Note: q.Note}
}
