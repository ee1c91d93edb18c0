package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"reprise/datadir"
	"reprise/integration"
	"reprise/journal"
	"reprise/service"
	"reprise/training"
)

// runHost is what trainAll needs of an integration.Host.
type runHost interface {
	Start(context.Context, []training.Event) (training.RunID, error)
	Interrupt(id training.RunID, cause string)
	Wait(context.Context, training.RunID) (journal.RunRecord, error)
}

// trainAll trains several requests in one host, once nothing is wrong with any of them.
// The host decides which run gets a device when.
func (env *environment) trainAll(ctx context.Context, files, set []string, format string) error {
	data := &shelf{env: env}
	jobs, err := env.prepareAll(ctx, files, set, data)
	if err := errors.Join(err, env.checkDataDir()); err != nil {
		return err
	}
	var view *severalView
	newView := func() hostView {
		view = newSeveralView(env, jobs)
		return view
	}
	command := excerpt("reprise train " + strings.Join(files, " "))
	return env.openHost(ctx, command, data.recorded, newView, func(host *integration.Host, w datadir.Workspace) error {
		attempts := runAllToRest(ctx, host, view, jobs)
		view.close()
		closed := host.Close()
		return env.reportAll(ctx, attempts, closed, w, format)
	})
}

// attempt is what became of a job.
type attempt struct {
	job
	started bool
	record  journal.RunRecord // where err is nil
	// err kept the run from starting, or from coming to rest.
	err error
}

// runAllToRest starts the jobs in their order and waits until all runs rest. A signal
// interrupts those that were started, and starts no more.
func runAllToRest(ctx context.Context, host runHost, view *severalView, jobs []job) []attempt {
	attempts := make([]attempt, len(jobs))
	started := 0
	for i, j := range jobs {
		attempts[i].job = j
		if started < i {
			continue // what kept an earlier one from starting would keep this one, too
		}
		if _, err := host.Start(ctx, j.events); err != nil {
			attempts[i].err = err
			if ctx.Err() == nil {
				view.message(fmt.Sprintf("%s could not be started: %v", j.file, err))
			}
			continue
		}
		attempts[i].started = true
		started++
	}
	runs := make([]training.RunID, started)
	for i := range runs {
		runs[i] = attempts[i].run
	}
	stop := context.AfterFunc(ctx, func() {
		view.message("interrupting: each run writes a checkpoint at its current step")
		for _, run := range runs {
			host.Interrupt(run, context.Cause(ctx).Error())
		}
	})
	defer stop()
	for i := range attempts[:started] {
		a := &attempts[i]
		a.record, a.err = host.Wait(context.WithoutCancel(ctx), a.run)
	}
	return attempts
}

// reportAll prints how each run ended, in the order of the jobs, and returns the error
// that gives the exit code: a failure outweighs an interruption. closed is what went
// wrong in closing the host.
func (env *environment) reportAll(ctx context.Context, attempts []attempt, closed error, w datadir.Workspace, format string) error {
	var failed, stopped []error
	note := func(err error) {
		if err != nil && isInterruption(err) {
			stopped = append(stopped, err)
		} else if err != nil {
			failed = append(failed, err)
		}
	}
	var left []string
	var unread error // the output is read no more, or not by anybody
	for _, a := range attempts {
		switch {
		case !a.started && (a.err == nil || ctx.Err() != nil):
			left = append(left, a.file)
		case a.err != nil:
			err := a.err
			if resumable := env.unfinished(ctx, err); resumable != nil {
				err = resumable
			}
			note(fmt.Errorf("%s: %w", a.file, err))
		default:
			if unread == nil {
				unread = env.writeEnd(env.stdout, a, w, format)
			}
			if err := env.endError(ctx, a.record, format); err != nil {
				note(fmt.Errorf("%s: %w", a.file, err))
			}
		}
	}
	if unread == nil && format != formatJSON {
		unread = env.writeNext(env.stdout, attempts)
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
	return worst(failed, stopped)
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
		failed = append(failed, errors.New(err.Error())) // an interruption no more
	}
	return errors.Join(failed...)
}

// writeEnd prints how one of several runs ended.
func (env *environment) writeEnd(w io.Writer, a attempt, ws datadir.Workspace, format string) error {
	if format == formatJSON {
		return writeJSONLine(w, service.ResultOf(a.record.Summary()))
	}
	t := newTable(w)
	t.line("\n%s: run %s %s.", a.file, a.record.ID, ended(a.record))
	writeFigures(t, a.record, ws)
	if a.record.Session.CanResume() {
		t.line("  resume it with:")
		t.command("    ", env.commandFor("runs resume", a.record.ID))
	}
	return t.flush()
}

// writeNext prints what to do with several runs that have ended.
func (env *environment) writeNext(w io.Writer, attempts []attempt) error {
	list := []nextCommand{{env.commandLine("runs list"), "see all runs"}}
	for _, a := range attempts {
		if a.record.Session.State == training.Completed {
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
