package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"syscall"

	"reprise/api"
	"reprise/api/describe"
	"reprise/training"
)

// hostView shows people what runs do.
type hostView interface {
	// begin shows a run that is about to train.
	begin(api.RunReport)
	// stepped shows steps that it took, and recorded an event of it.
	stepped(training.RunID, api.StepsTaken)
	recorded(training.RunID, training.Event)
	// news shows what happened to the job of a run, and ended how it is at rest.
	news(training.RunID, describe.JobNews)
	ended(training.RunID, training.State)
	// hint shows a line that stays in sight where progress is drawn.
	hint(string)
	// tell shows a line about a run that stays, message one about no run in particular.
	tell(training.RunID, string)
	message(string)
	// others shows the runs that other processes have submitted to this one.
	others() *others
	// close ends the display. It may be called again, and does nothing then.
	close()
}

// trainOne starts or resumes a run, follows it to its end and prints the result. start
// gets a function that returns the display, which begins when it is called first.
func (env *environment) trainOne(
	ctx context.Context, o followOptions, start func(context.Context, api.Service, func() hostView) (training.RunID, error),
) error {
	return env.withTraining(ctx, o, func() hostView { return newRunView(env) }, func(ctx context.Context, s api.Service, view func() hostView) error {
		id, err := start(ctx, s, view)
		if err != nil {
			return err
		}
		if o.detach {
			view().close()
			return env.detached(s, []attempt{{run: id}}, o.format)
		}
		ends, err := env.followToRest(ctx, s, view(), "interrupting: writing a checkpoint at the current step", id)
		view().close()
		end := ends[id]
		if end.End == nil && o.format == formatJSON {
			if unread := env.writeOutcome(ctx, id, end); unread != nil {
				return errors.Join(err, unread)
			}
		}
		switch {
		case end.Unfinished != nil:
			return env.unfinished(ctx, id, end.Unfinished)
		case err != nil:
			return err
		}
		env.report(ctx, *end.End, o.format)
		return nil
	})
}

// withTraining calls do with the service, and with a function that returns the display,
// which begins when it is called first. What happens meanwhile is shown there.
func (env *environment) withTraining(
	ctx context.Context, o followOptions, newView func() hostView, do func(context.Context, api.Service, func() hostView) error,
) error {
	return env.toTheEnd(ctx, o.access(), func(ctx context.Context, s api.Service) error {
		var shown hostView
		view := func() hostView {
			if shown == nil {
				// When the reader of the progress is gone, the runs end as if interrupted.
				env.signals.include(syscall.SIGPIPE)
				shown = newView()
			}
			return shown
		}
		defer func() {
			if shown != nil {
				shown.close()
			}
		}()
		others := ctx
		return do(api.WithNotices(ctx, func(n api.Notice) {
			if n.Event != "" {
				view().message(n.Event)
				return
			}
			api.Notify(others, n)
		}), s, view)
	})
}

// onlySubmission returns the run of a submission of one.
func onlySubmission(submissions iter.Seq2[api.Submission, error]) (id training.RunID, err error) {
	for submitted, err := range submissions {
		switch {
		case err != nil:
			return "", err
		case submitted.Error != nil:
			return "", submitted.Error
		}
		id = submitted.RunID
	}
	return id, nil
}

// followToRest shows runs until all of them are at rest, and returns the last update of
// each. A signal interrupts them, which takes until their checkpoints are written; the
// text says so. The error says why a run has no last update, or what went wrong in
// letting go of the data directory. Runs of another process go on after a signal.
func (env *environment) followToRest(
	ctx context.Context, s api.Service, view hostView, interrupting string, runs ...training.RunID,
) (map[training.RunID]api.RunUpdate, error) {
	names := make([]string, len(runs))
	for i, id := range runs {
		names[i] = string(id)
	}
	g, guest := s.(guestService)
	if guest {
		view.hint(fmt.Sprintf("process %d trains %s; Ctrl-C ends this display only", g.holder.PID, map[bool]string{true: "it", false: "them"}[len(runs) == 1]))
		waits := tellWaits(ctx, s, view, env.now, names)
		ends, err := follow(ctx, s, waits.view(view), api.FollowRequest{Runs: names})
		waits.stop()
		switch {
		case err != nil && ctx.Err() != nil:
			return ends, env.left(g, runs)
		case err != nil:
			return ends, env.holderGone(ctx, g, err, runs, ends)
		}
		return ends, nil
	}
	unended := context.WithoutCancel(ctx)
	shown := newHolderView(view, runs, env.commandLine("runs resume --all"))
	stop := context.AfterFunc(ctx, func() {
		view.message(shown.interrupting(interrupting))
		if own, ok := s.(interface{ StopPlacing() }); ok { // or what others submitted would take the devices
			own.StopPlacing()
		}
		if _, err := s.Interrupt(unended, api.InterruptRequest{Runs: names, Cause: context.Cause(ctx).Error()}); err != nil {
			view.message("could not interrupt: " + err.Error())
		}
	})
	defer stop()
	return follow(unended, s, shown, api.FollowRequest{Runs: names, Others: true})
}

// follow shows runs until all of them are at rest or ctx ends, and returns the last update
// of each.
func follow(ctx context.Context, s api.Service, view hostView, q api.FollowRequest) (map[training.RunID]api.RunUpdate, error) {
	ends := map[training.RunID]api.RunUpdate{}
	for u, err := range s.Follow(ctx, q) {
		if err != nil {
			return ends, err
		}
		if u.Dropped > 0 { // training does not wait for whoever reads
			view.message(fmt.Sprintf("%s updates are not shown: they were not read in time; the event log has them", thousands(u.Dropped)))
		}
		if u.End != nil || u.Unfinished != nil {
			ends[u.RunID] = u
		} else {
			delete(ends, u.RunID) // it was paused, and is resumed
		}
		if u.Notice != nil {
			api.Notify(ctx, *u.Notice)
		}
		if err := show(view, u); err != nil {
			return ends, err
		}
	}
	return ends, nil
}

// show passes an update to a view.
func show(view hostView, u api.RunUpdate) error {
	switch {
	case u.Begin != nil:
		view.begin(*u.Begin)
	case u.Steps != nil:
		view.stepped(u.RunID, *u.Steps)
	case u.Job != nil:
		news, err := describe.NewsOfJob(u.RunID, u.Job.Type, u.Job.Payload)
		if err != nil {
			return err
		}
		view.news(u.RunID, news)
	case u.End != nil:
		view.ended(u.RunID, u.End.Details.State)
	case u.Event != nil:
		e, err := describe.RunEvent(u.Event.Type, u.Event.Payload)
		if err != nil {
			return err
		}
		view.recorded(u.RunID, e)
	}
	return nil
}

// unfinished says of a run that was left where it was how to resume it, once its user
// has followed the remedy if there is one. In a data directory that is gone there is
// nothing to resume.
func (env *environment) unfinished(ctx context.Context, id training.RunID, left *api.Error) error {
	err := error(left)
	resume := env.commandFor("runs resume", id)
	switch {
	case left.Code == api.DirGone:
	case left.Remedy != "":
		err = errorf("%w; afterwards, resume it with: %s", err, resume)
	default:
		err = errorf("%w; resume it with: %s", err, resume)
	}
	if ctx.Err() != nil {
		return interruptedError{err}
	}
	return err
}

// toTheEnd is withServiceFor for a command that ends with how its runs stand. That can be
// long after they came to rest: a process trains the runs of others to the end.
func (env *environment) toTheEnd(ctx context.Context, wanted access, do func(context.Context, api.Service) error) error {
	err := env.withServiceFor(ctx, wanted, do)
	if env.stands == nil {
		return err
	}
	stands := env.stands()
	if err != nil && isSilent(stands) { // the other error says it
		return err
	}
	return errors.Join(env.withCommands(stands), err)
}

// report prints how the run ended, and has the command end with how it stands then.
func (env *environment) report(ctx context.Context, r api.RunReport, format string) {
	var unread error
	if format == formatJSON {
		unread = writeJSONLine(env.stdout, r.Details.Outcome())
	} else {
		unread = env.writeRunSummary(env.stdout, r)
	}
	env.stands = func() error {
		if err := env.endError(ctx, env.standing(ctx, &r).Details.Run, format); err != nil {
			return err
		}
		if unheard(unread) { // as with `| head`: the run has completed
			return nil
		}
		return unread
	}
}

// standing returns how a run stands now that came to rest, but has not ended: it may have
// been resumed since, or cancelled.
func (env *environment) standing(ctx context.Context, at *api.RunReport) *api.RunReport {
	if at == nil || at.Details.State != api.Paused && at.Details.State != training.Interrupted {
		return at
	}
	if now := env.recorded(context.WithoutCancel(ctx), at.Details.RunID); now != nil {
		return now
	}
	return at
}

// endError returns the error that a run at rest ends the command with, and with it the
// exit code: nil where it has completed, an interruption where somebody asked it to stop
// and it can be resumed, else a failure.
func (env *environment) endError(ctx context.Context, r api.Run, format string) error {
	resume := env.commandFor("runs resume", r.RunID)
	switch {
	case r.State == api.Cancelled || r.State == api.Rejected:
		return fmt.Errorf("run %s was %s", r.RunID, describe.Because(r.State, r.Reason))
	case slices.Contains([]training.State{api.Submitted, api.Preparing, api.Queued, api.Placed, training.Initializing, training.Running}, r.State):
		return interruptedError{fmt.Errorf("run %s has been resumed, and is %s", r.RunID, r.State)}
	case r.State == api.Paused:
		return interruptedError{fmt.Errorf("run %s was paused; resume it with: %s", r.RunID, resume)}
	case r.State == training.Failed:
		return fmt.Errorf("run %s failed: %s", r.RunID, r.Reason)
	case r.State == training.Completed:
		return nil
	case ctx.Err() == nil && (r.Reason == "" || wasLeft(r) && r.TrainedSeconds == 0 && r.Step == r.ForkStep):
		return interruptedError{fmt.Errorf("run %s was interrupted before it began; resume it with: %s", r.RunID, resume)}
	case ctx.Err() == nil && wasLeft(r): // by a signal that another process got
		return interruptedError{fmt.Errorf("run %s was %s; resume it with: %s", r.RunID, interruption(r.Reason), resume)}
	case ctx.Err() == nil: // nobody asked for it, and there is something to do first
		return fmt.Errorf("run %s was interrupted: %s; afterwards, resume it with: %s", r.RunID, r.Reason, resume)
	case format == formatJSON:
		return interruptedError{fmt.Errorf("interrupted at step %d; resume it with: %s", r.Step, resume)}
	default:
		return errInterrupted
	}
}

// wasLeft reports whether a run was interrupted because its process was asked to end. Its
// job records that; what a version without jobs has recorded is told by its words.
func wasLeft(r api.Run) bool { return r.Left() || r.Job == nil && isSignal(r.Reason) }

func writeJSONLine(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", raw)
	return err
}

// cannotResume adds to the error of a run that has ended what can be done instead.
func (env *environment) cannotResume(ctx context.Context, s api.Service, err error) error {
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.RunEnded {
		return err
	}
	r, shown := s.Run(ctx, api.RunRequest{Run: string(e.Run)})
	if shown != nil {
		return err
	}
	d := r.Details
	if len(d.Checkpoints) == 0 {
		return err
	}
	fork := env.commandFor("runs fork", e.Run)
	switch more := 2 * d.Hyperparameters.Epochs; {
	case d.State == training.Failed:
		fork += fmt.Sprintf(" --set config.learning_rate=%v", d.Hyperparameters.LearningRate.Value/2)
	case d.State != training.Completed: // it was cancelled, and could continue as it was
		return errorf("%w; start another run from its last checkpoint:\n  %s", err, fork)
	case more > training.MaxEpochs:
		return err
	default:
		fork += fmt.Sprintf(" --set config.epochs=%d", more)
	}
	return errorf("%w; start another run from its last checkpoint, with other settings, such as:\n  %s", err, fork)
}
