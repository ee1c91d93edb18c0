package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"reprise/api"
	"reprise/fault"
	"reprise/integration"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// Cancel implements api.Service.
func (s *Service) Cancel(ctx context.Context, q api.CancelRequest) (_ api.Commanded, err error) {
	defer explain(ctx, &err)
	if err := checkCause(q.Cause, "cancelled"); err != nil {
		return api.Commanded{}, err
	}
	return s.command(ctx, q.Target, notEnded, func(h *hosting, t integration.Target) error { return h.host.Cancel(ctx, t, q.Cause) })
}

// Pause implements api.Service.
func (s *Service) Pause(ctx context.Context, q api.PauseRequest) (_ api.Commanded, err error) {
	defer explain(ctx, &err)
	if err := checkCause(q.Cause, "paused"); err != nil {
		return api.Commanded{}, err
	}
	return s.command(ctx, q.Target, canPause, func(h *hosting, t integration.Target) error { return h.host.Pause(ctx, t, q.Cause) })
}

// Prioritize implements api.Service.
func (s *Service) Prioritize(ctx context.Context, q api.PriorityRequest) (_ api.Commanded, err error) {
	defer explain(ctx, &err)
	if p := q.Priority; p < -queue.MaxPriority || p > queue.MaxPriority {
		return api.Commanded{}, &fault.FieldError{Field: "priority", Value: fmt.Sprint(p),
			Problem: fmt.Sprintf("must be from %d to %d", -queue.MaxPriority, queue.MaxPriority), Fix: "use a number such as 10"}
	}
	answer, err := s.command(ctx, q.Target, notEnded, func(h *hosting, t integration.Target) error { return h.host.SetPriority(ctx, t, q.Priority) })
	for i := range answer.Runs {
		if answer.Runs[i].Error == nil {
			answer.Runs[i].Priority = &q.Priority
		}
	}
	return answer, err
}

// Retry implements api.Service.
func (s *Service) Retry(ctx context.Context, q api.RetryRequest) (answer api.Commanded, err error) {
	defer explain(ctx, &err)
	answer.Runs = []api.CommandedRun{}
	if err := eachRunID(q.RunIDs); err != nil {
		return answer, err
	}
	names, err := s.named(ctx, q.Target, canRetry)
	group := q.Group != "" && q.Name == "" && len(q.Tags) == 0
	if err != nil || len(names) == 0 && !group {
		return answer, err
	}
	h, err := s.hold(ctx)
	if err != nil {
		return answer, err
	}
	defer s.release(h)
	order, err := h.submissionOrder(ctx)
	if err != nil {
		return answer, err
	}
	if q.Selects() {
		if names, err = h.withoutRetried(ctx, names); err != nil {
			return answer, err
		}
	}
	ids := q.RunIDs
	if !group { // the caller may have drawn more than are used
		ids = ids[:min(len(ids), len(names))]
	}
	for _, id := range ids {
		if err := h.isFree(ctx, id); err != nil {
			return answer, err
		}
	}
	newID := s.idsFrom(ids)
	if group {
		answer.Runs, err = h.retryGroup(ctx, q.Group, newID, order)
		return answer, err
	}
	// In the order of their submission, the retry of a run comes before those that are to
	// run after it; the answer has the order of the request.
	turns := make([]int, len(names))
	for i := range turns {
		turns[i] = i
	}
	slices.SortStableFunc(turns, func(a, b int) int { return order(queue.JobID(names[a])) - order(queue.JobID(names[b])) })
	answer.Runs = make([]api.CommandedRun, len(names))
	defer h.host.Gather()()
	for _, i := range turns {
		id, err := h.host.Retry(ctx, queue.JobID(names[i]), newID, s.userOf(ctx))
		if err != nil {
			answer.Runs[i] = refusedRun(ctx, names[i], cmp.Or(h.refuseDeleted(ctx, names[i]), err))
			continue
		}
		answer.Runs[i] = h.commanded(ctx, training.RunID(id))
	}
	return answer, nil
}

// idsFrom returns a function that gives one of the ids after the other, and draws more.
func (s *Service) idsFrom(ids []training.RunID) func() queue.JobID {
	draw := withoutRepeats(s.newRunID)
	return func() queue.JobID {
		if len(ids) == 0 {
			return queue.JobID(draw())
		}
		id := ids[0]
		ids = ids[1:]
		return queue.JobID(id)
	}
}

// withoutRetried leaves out the runs that were retried before.
func (h *hosting) withoutRetried(ctx context.Context, names []training.RunID) ([]training.RunID, error) {
	list, err := journal.ReadJobs(ctx, h.host.Store())
	if err != nil {
		return nil, err
	}
	for _, r := range list.Jobs {
		of := training.RunID(r.Job.Submission().RetryOf)
		names = slices.DeleteFunc(names, func(id training.RunID) bool { return id == of })
	}
	return names, nil
}

// retryGroup retries the runs of a group. The answer has them in the order in which the
// old ones were submitted, with those that could not be retried.
func (h *hosting) retryGroup(ctx context.Context, group string, newID func() queue.JobID, order func(queue.JobID) int) ([]api.CommandedRun, error) {
	retried, refused, err := h.host.RetryGroup(ctx, group, newID, h.service.userOf(ctx))
	if err != nil {
		return nil, err
	}
	answers := make([]api.CommandedRun, 0, len(retried)+len(refused))
	of := map[training.RunID]queue.JobID{}
	for _, r := range retried {
		of[training.RunID(r.Job)] = r.RetryOf
		answers = append(answers, h.commanded(ctx, training.RunID(r.Job)))
	}
	for _, r := range refused {
		of[training.RunID(r.Job)] = r.Job
		answers = append(answers, refusedRun(ctx, training.RunID(r.Job), r.Err))
	}
	slices.SortStableFunc(answers, func(a, b api.CommandedRun) int { return order(of[a.RunID]) - order(of[b.RunID]) })
	return answers, nil
}

// refusedRun says why nothing was done about a run.
func refusedRun(ctx context.Context, id training.RunID, err error) api.CommandedRun {
	explain(ctx, &err)
	return api.CommandedRun{RunID: id, Error: api.ErrorOf(err)}
}

// submissionOrder returns a function that gives the place of a job in the order in which
// jobs were submitted.
func (h *hosting) submissionOrder(ctx context.Context) (func(queue.JobID) int, error) {
	list, err := journal.ReadJobs(ctx, h.host.Store())
	if err != nil {
		return nil, err
	}
	place := make(map[queue.JobID]int, len(list.Jobs))
	for i, r := range list.Jobs {
		place[r.Job.ID()] = i
	}
	return func(id queue.JobID) int { return place[id] }, nil
}

// command gives each of the runs that are named, or that it fits, a command, and says
// what became of them.
func (s *Service) command(
	ctx context.Context, t api.Target, fits func(api.Run) bool, do func(*hosting, integration.Target) error,
) (answer api.Commanded, err error) {
	names, err := s.named(ctx, t, fits)
	if err != nil {
		return answer, err
	}
	answer.Runs = []api.CommandedRun{}
	if len(names) == 0 {
		return answer, nil
	}
	h, err := s.hold(withoutEvents(ctx))
	if err != nil {
		return answer, err
	}
	defer s.release(h)
	for _, id := range names {
		err := h.refuseDeleted(ctx, id)
		if err == nil {
			err = do(h, integration.Target{Job: queue.JobID(id)})
		}
		run := h.commanded(ctx, id)
		if explain(ctx, &err); err != nil {
			run.Error = api.ErrorOf(err)
		}
		answer.Runs = append(answer.Runs, run)
	}
	return answer, nil
}

// withoutEvents returns a context in which nobody is told what recovery has done: of a run
// whose process died, the command's answer says what it is now, not that it could be resumed
// before.
func withoutEvents(ctx context.Context) context.Context {
	return api.WithNotices(ctx, func(n api.Notice) {
		if n.Event == "" {
			api.Notify(ctx, n)
		}
	})
}

// commanded describes a run after a command.
func (h *hosting) commanded(ctx context.Context, id training.RunID) api.CommandedRun {
	out := api.CommandedRun{RunID: id}
	record, err := h.jobs.Load(ctx, queue.JobID(id))
	if err != nil {
		return out // it has no job; the command says so
	}
	run, _ := h.log.Load(ctx, id) // it need not have begun
	out.State = runState(run.Session.State, record, h.host.WorksOn(queue.JobID(id)))
	out.RetryOf = training.RunID(record.Job.Submission().RetryOf)
	if stop, ok := record.Job.Stop(); ok {
		out.Stopping = training.State(stop.To)
	}
	return out
}

// named returns the runs that a target names, or those of a group or of all that a
// request fits.
func (s *Service) named(ctx context.Context, t api.Target, fits func(api.Run) bool) ([]training.RunID, error) {
	ways := 0
	for _, given := range []bool{len(t.Runs) > 0, t.Selects(), t.All} {
		if given {
			ways++
		}
	}
	const fix = "name runs, or all, or what they have in common: a group, a name or tags"
	switch {
	case ways == 0:
		return nil, &fault.FieldError{Field: "runs", Problem: "is missing", Fix: fix}
	case ways > 1:
		return nil, &fault.FieldError{Field: "runs", Problem: "is not the only way in which runs are named", Fix: fix}
	}
	l, err := s.readCurrent(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if len(t.Runs) > 0 {
		return s.resolveAll(ctx, l, t.Runs)
	}
	runs, err := l.Runs(ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := l.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	var names []training.RunID
	known := t.All
	for _, r := range runsOf(runs.Runs, jobs.Jobs, WriterAlive(l.Workspace)) {
		if !t.All && !t.Fits(r) {
			continue
		}
		if known = true; fits(r) {
			names = append(names, r.RunID)
		}
	}
	if !known {
		if t.Name == "" && len(t.Tags) == 0 {
			return nil, queue.NoGroup(t.Group)
		}
		return nil, fault.New(fault.NotFound, "there is no run with %s", t)
	}
	return names, nil
}

// resolveAll returns the runs of these names, each once, or all that is wrong with them.
func (s *Service) resolveAll(ctx context.Context, l *Log, names []string) ([]training.RunID, error) {
	ids := make([]training.RunID, 0, len(names))
	errs := make([]error, len(names))
	for i, name := range names {
		id, err := l.resolve(ctx, name)
		if errs[i] = err; err == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, joined(errs)
}

// maxCause bounds the recorded reason, in bytes: every display of the run prints it.
const maxCause = 1024

// checkCause fails for what cannot be recorded as the reason why runs were cancelled, paused or interrupted.
func checkCause(cause, done string) error {
	e := &fault.FieldError{Field: "cause", Fix: fmt.Sprintf("say why the runs are %s in one line of at most %d bytes", done, maxCause), Example: done + " by the user"}
	switch {
	case cause == "":
		e.Problem, e.Fix = "is missing", "say why the runs are "+done
	case len(cause) > maxCause:
		e.Problem = fmt.Sprintf("has %d bytes", len(cause))
	case !utf8.ValidString(cause) || strings.ContainsFunc(cause, unicode.IsControl):
		e.Problem = "is not one line of text"
	default:
		return nil
	}
	return e
}

// The runs that a command fits.
func notEnded(r api.Run) bool { return r.Job != nil && !r.Job.State.Ended() }

func canPause(r api.Run) bool { return notEnded(r) && r.Job.State != queue.StatePaused }

func canRetry(r api.Run) bool {
	return r.Job != nil && r.Job.State.Ended() && r.Job.State != queue.StateCompleted
}

func canResume(r api.Run) bool {
	return r.State == training.Interrupted || r.State == api.Paused || r.Job != nil && r.Job.Stopping == queue.StatePaused
}
