package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"reprise/api"
	"reprise/training"
)

// trainAll trains several requests or folds, once nothing is wrong with any of them. The
// queue decides which run gets a device when.
func (env *environment) trainAll(ctx context.Context, request api.SubmitRequest, runs []api.RequestedRun, note noteFlags, o followOptions) error {
	files := make([]string, len(runs)) // that each run comes from, and its fold
	for i, run := range runs {
		files[i] = requestName(request, run)
	}
	newView := func() hostView { return newSeveralView(env, files) }
	if o.detach {
		newView = func() hostView { return newLinesView(env, files) }
	}
	return env.withTraining(ctx, o, newView, func(ctx context.Context, s api.Service, view func() hostView) error {
		attempts, err := submitAll(ctx, s.Submit(ctx, request), files, view)
		if err != nil {
			return note.asGiven(err)
		}
		if o.detach {
			view().close()
			return env.detached(s, attempts, o.format)
		}
		closed := env.attemptsToRest(ctx, s, view(), attempts)
		view().close()
		env.reportAll(ctx, attempts, closed, o.format)
		return nil
	})
}

// requestName names the request of a run by its file and fold.
func requestName(r api.SubmitRequest, run api.RequestedRun) string {
	name := string(r.Files[run.File].Name)
	if run.Folds > 0 {
		name += fmt.Sprintf(" fold %d of %d", run.Fold, run.Folds)
	}
	return name
}

// attempt is what became of a request file, or of a fold of it.
type attempt struct {
	file string
	run  training.RunID // "" where none was started
	// label names it in a row, where that is shorter than file.
	label string
	// end is the last update of the run, err what kept it from starting.
	end api.RunUpdate
	err error
}

// submitAll notes what becomes of the requests. It fails where nothing of them was
// tried.
func submitAll(
	ctx context.Context, submissions iter.Seq2[api.Submission, error], files []string, view func() hostView,
) ([]attempt, error) {
	attempts := make([]attempt, len(files))
	for i, file := range files {
		attempts[i].file = file
	}
	next := 0
	for submitted, err := range submissions {
		switch {
		case err != nil && (next == 0 || isUnreachable(err)): // then the event log tells what became of them
			return nil, err
		case err != nil:
			attempts[min(next, len(files)-1)].err = err
			return attempts, nil
		case submitted.Error != nil:
			attempts[submitted.Index].err = submitted.Error
			if ctx.Err() == nil {
				view().message(fmt.Sprintf("%s could not be started: %v", files[submitted.Index], submitted.Error))
			}
		default:
			attempts[submitted.Index].run = submitted.RunID
			if v, ok := view().(*severalView); ok {
				v.submitted(submitted.Index, submitted.RunID)
			}
		}
		next = submitted.Index + 1
	}
	return attempts, nil
}

// attemptsToRest follows the runs that were started, and notes their ends. The error says
// what went wrong in letting go of the data directory.
func (env *environment) attemptsToRest(ctx context.Context, s api.Service, view hostView, attempts []attempt) error {
	var runs []training.RunID
	for _, a := range attempts {
		if a.run != "" {
			runs = append(runs, a.run)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	ends, err := env.followToRest(ctx, s, view, "interrupting: each run writes a checkpoint at its current step", runs...)
	for i, a := range attempts {
		attempts[i].end = ends[a.run]
	}
	return err
}

// reportAll prints how each run ended, in the order of the requests, and has the command
// end with how they stand then. closed is what went wrong in letting go of the data
// directory.
func (env *environment) reportAll(ctx context.Context, attempts []attempt, closed error, format string) {
	unread := env.writeEnds(ctx, attempts, env.foldSets(context.WithoutCancel(ctx), attempts), format)
	env.stands = func() error {
		for i, a := range attempts {
			attempts[i].end.End = env.standing(ctx, a.end.End)
		}
		return env.standAll(ctx, attempts, closed, unread, format)
	}
}

// writeEnds prints how each run ended, and after that what folds have reached together.
func (env *environment) writeEnds(ctx context.Context, attempts []attempt, sets []api.FoldSet, format string) (unread error) {
	var before api.RunReport
	for _, a := range attempts {
		switch {
		case unread != nil:
		case a.err == nil && a.end.Unfinished == nil && a.end.End != nil:
			if format != formatJSON && inFolds(sets, a.run) {
				continue
			}
			unread = env.writeEnd(env.stdout, a.file, before, *a.end.End, format)
			before = *a.end.End
		case format == formatJSON && a.run != "":
			unread = env.writeOutcome(ctx, a.run, a.end)
		}
	}
	for _, set := range sets {
		if unread == nil {
			unread = env.writeFolds(env.stdout, set, format)
		}
	}
	if unread == nil && format != formatJSON && ran(attempts) {
		unread = env.writeNext(env.stdout, attempts, sets)
	}
	return unread
}

// writeOutcome writes the line of a run whose end was not seen, as where its process was
// killed: how it stands by the log, or nothing but its id if that cannot be read.
func (env *environment) writeOutcome(ctx context.Context, run training.RunID, last api.RunUpdate) error {
	outcome := api.Outcome{Result: api.Result{RunID: run}}
	if now := env.recorded(context.WithoutCancel(ctx), run); now != nil {
		outcome = now.Details.Outcome()
	}
	if last.Unfinished != nil && !outcome.State.Terminal() { // this process is about to let go of it
		outcome.State = training.Interrupted
	}
	return writeJSONLine(env.stdout, outcome)
}

// standAll returns the error that gives the exit code: a failure outweighs an interruption.
// unread says that the output is not read any more, or not by anybody.
func (env *environment) standAll(ctx context.Context, attempts []attempt, closed, unread error, format string) error {
	var failed, stopped []error
	note := func(err error) {
		if err != nil && isInterruption(err) {
			stopped = append(stopped, err)
		} else if err != nil {
			failed = append(failed, err)
		}
	}
	var left []string
	for _, a := range attempts {
		switch {
		case a.run == "" && (a.err == nil || ctx.Err() != nil):
			left = append(left, a.file)
		case a.err != nil:
			note(about(a.file, a.err))
		case a.end.Unfinished != nil:
			note(errorf("%s: %w", a.file, env.unfinished(ctx, a.run, a.end.Unfinished)))
		case a.end.End != nil: // else closed says why there is none
			if err := env.endError(ctx, a.end.End.Details.Run, format); err != nil {
				note(errorf("%s: %w", a.file, err))
			}
		}
	}
	if len(left) > 0 {
		err := errors.New("not started: " + strings.Join(left, ", "))
		if ctx.Err() != nil {
			err = interruptedError{err}
		}
		note(err)
	}
	if !unheard(unread) { // else the runs have ended as they did
		note(interrupted(ctx, unread, ""))
	}
	note(closed)
	return partly(worst(failed, stopped), ran(attempts))
}

// worst returns one error for those of several runs, of which some failed and others
// were interrupted.
func worst(failed, stopped []error) error {
	var said []error
	for _, err := range stopped {
		if !isSilent(err) {
			said = append(said, err)
		}
	}
	switch {
	case len(failed) == 0 && len(stopped) > 0 && len(said) == 0:
		return errInterrupted
	case len(failed) == 0:
		return errors.Join(said...)
	}
	for _, err := range said {
		failed = append(failed, errors.New(err.Error())) // no longer an interruption
	}
	return errors.Join(failed...)
}

// writeEnd prints how one of several runs ended, below the one before it.
func (env *environment) writeEnd(w io.Writer, file string, before, r api.RunReport, format string) error {
	if format == formatJSON {
		return writeJSONLine(w, r.Details.Outcome())
	}
	t := newTable(w)
	if !waited(before) || !waited(r) {
		t.line("")
	}
	if waited(r) {
		t.line("%s: run %s was interrupted before it began.", file, r.Details.RunID)
		return t.flush()
	}
	t.line("%s: run %s %s.", file, r.Details.RunID, ended(r.Details))
	writeFigures(t, r)
	writeRunFigures(t, r)
	return t.flush()
}

// waited reports whether a run was interrupted by a signal while it waited: there is nothing
// to say of it but that.
func waited(r api.RunReport) bool {
	d := r.Details
	return d.State == training.Interrupted && wasLeft(d.Run) && d.TrainedSeconds == 0 && d.Step == d.ForkStep
}

// ran reports whether any run has ended, whose figures were shown.
func ran(attempts []attempt) bool {
	return slices.ContainsFunc(attempts, func(a attempt) bool { return a.end.End != nil })
}

// fewRuns is how many runs a command that is offered may name one by one.
const fewRuns = 3

// writeNext prints what to do with several runs that have ended.
func (env *environment) writeNext(w io.Writer, attempts []attempt, sets []api.FoldSet) error {
	var list []nextCommand
	var left []string
	for _, a := range attempts {
		if a.end.End != nil && a.end.End.CanResume {
			left = append(left, string(a.run))
		}
	}
	switch {
	case len(left) == 1:
		list = append(list, nextCommand{env.commandLine("runs resume " + left[0]), "resume the run that did not finish"})
	case len(left) > 1 && len(left) <= fewRuns:
		list = append(list, nextCommand{env.commandLine("runs resume " + strings.Join(left, " ")), "resume the runs that did not finish"})
	case len(left) > fewRuns:
		list = append(list, nextCommand{env.commandLine("runs resume --all"), "resume every run that did not finish"})
	}
	for _, set := range sets {
		if set.Group != "" {
			list = append(list, nextCommand{env.commandLine("runs compare --group " + shellQuoted(set.Group)), "see all figures of the folds side by side"})
		}
	}
	list = append(list, nextCommand{env.commandLine("runs list"), "see all runs"})
	for _, a := range attempts {
		if a.end.End != nil && a.end.End.Details.State == training.Completed {
			list = append(list, nextCommand{env.commandFor("runs verify", a.run), "train one again and prove that the weights come out the same"})
			break
		}
	}
	t := newTable(w)
	t.line("\nNext:")
	for _, next := range list {
		t.line("  %s:", next.does)
		t.command("    ", next.command)
	}
	return t.flush()
}
