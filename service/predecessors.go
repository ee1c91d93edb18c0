package service

import (
	"context"
	"fmt"
	"time"

	"reprise/api"
	"reprise/journal"
	"reprise/training"
)

// explainPredecessors says when the runs that a run comes after will probably end, and so
// when the run itself can start.
func (s *Service) explainPredecessors(ctx context.Context, l *Log, x *api.Explanation) error {
	if x.Job == nil || x.State != api.Submitted && x.State != api.Preparing && x.State != api.Queued {
		return nil
	}
	var start time.Time
	known := true
	for _, id := range x.Job.After {
		p, err := s.predecessorEnd(ctx, l, training.RunID(id))
		if err != nil {
			return err
		}
		x.Predecessors = append(x.Predecessors, p)
		if known = known && p.End != nil; known && p.End.After(start) {
			start = *p.End
		}
	}
	if known && len(x.Predecessors) > 0 {
		x.Start = &start
	}
	return nil
}

// predecessorEnd estimates when a run ends, from its own events.
func (s *Service) predecessorEnd(ctx context.Context, l *Log, id training.RunID) (api.Predecessor, error) {
	f, err := s.subjectIn(ctx, l, id)
	if err != nil {
		return api.Predecessor{}, err
	}
	p := api.Predecessor{RunID: id, State: runState(f.run.Session.State, f.job, WriterAlive(l.Workspace))}
	if !f.started() && f.job.Job.State().Ended() {
		p.State = training.State(f.job.Job.State())
	}
	switch p.State {
	case training.Running:
		end, ok, err := s.probableEnd(ctx, f)
		if err != nil {
			return p, err
		}
		if p.Problem = "it has just begun to train"; ok {
			p.End, p.Problem = &end, ""
		}
	case api.Placed, training.Initializing:
		p.Problem = "it has not begun to train"
	case api.Submitted, api.Preparing, api.Queued:
		p.Problem = "it has not started, and how long it takes is known once it trains"
		if run := runOf(f.summary(), f.job, true); run.Job != nil && run.Job.RetryAfter > 0 {
			p.Problem = "it waits, too: " + run.Reason
		}
	case api.Paused, training.Interrupted:
		p.Problem = "it has to be resumed first"
	case training.Completed, training.Failed, api.Cancelled, api.Rejected:
		p.Problem = "it has ended just now"
	}
	return p, nil
}

// probableEnd returns when a run that trains will end at the pace that it has had since its
// model was made; false before it has recorded a step since.
func (s *Service) probableEnd(ctx context.Context, f subject) (time.Time, bool, error) {
	events, err := f.log.Events(ctx, f.id)
	if err != nil {
		return time.Time{}, false, err
	}
	type point struct {
		step uint64
		at   time.Time
	}
	var first, last point
	for _, recorded := range events {
		event, err := journal.DecodeRunEvent(recorded)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("event %d: %w", recorded.Position, err)
		}
		at := recorded.Time
		if e, ok := event.(training.ModelInitialized); ok {
			first = point{e.Step, at}
			last = first
		}
		if e, ok := event.(training.EpochCompleted); ok {
			last = point{e.Step, at}
		}
		if e, ok := event.(training.EvaluationCompleted); ok {
			last = point{e.Step, at}
		}
	}
	total := f.run.Session.Hyperparameters.TotalSteps(f.run.Session.Dataset.Training)
	if last.step <= first.step || total < last.step || !last.at.After(first.at) {
		return time.Time{}, false, nil
	}
	left := float64(last.at.Sub(first.at)) / float64(last.step-first.step) * float64(total-last.step)
	const longest = 100 * 365 * 24 * time.Hour // what is longer has no meaning
	end := last.at.Add(time.Duration(min(left, float64(longest))))
	if now := s.config.Now(); end.Before(now) { // it takes longer than it looked
		end = now
	}
	return end, true, nil
}
