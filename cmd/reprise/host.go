package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"reprise/datadir"
	"reprise/dataset"
	"reprise/integration"
	"reprise/internal/flock"
	"reprise/journal"
	"reprise/service"
	"reprise/training"
)

// checkDataDir fails where no run can be kept in the data directory, now or later.
func (env *environment) checkDataDir() error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	if _, _, err := flock.Probe(w.LockPath()); err != nil {
		return unusableDir(w, err)
	}
	return nil
}

// unusableDir says that the data directory cannot be written to, and what to do.
func unusableDir(w datadir.Workspace, err error) error {
	fix := "choose a folder that you can write to"
	if errors.Is(err, fs.ErrPermission) {
		fix = "run this as its owner, or choose a folder that you may write to"
	}
	return unusable(fmt.Errorf("--data-dir %s: %w", w.Dir, err), fix)
}

// inUse says that another process writes the data directory. Nothing is wrong with
// the command: the same one works later.
func inUse(w datadir.Workspace, err error) error {
	return fmt.Errorf("--data-dir %s is %w; wait for it to end, or use another folder with --data-dir FOLDER", w.Dir, err)
}

// launch starts or resumes a run.
type launch func(*integration.Host, *runView) (training.RunID, error)

// hostView shows people what the runs of a host do.
type hostView interface {
	integration.Observer
	// message shows a line that stays.
	message(string)
	// close ends the display. It may be called again, and does nothing then.
	close()
}

// withHost opens everything a run needs, launches one, follows it to its end
// and prints the result. data is what the command has opened to check the run.
func (env *environment) withHost(ctx context.Context, command string, data *dataset.Dataset, format string, start launch) error {
	opened := &shelf{env: env, data: data}
	var view *runView
	newView := func() hostView {
		view = newRunView(env)
		return view
	}
	return env.openHost(ctx, command, opened.recorded, newView, func(host *integration.Host, w datadir.Workspace) error {
		record, err := runToRest(ctx, host, view, start)
		view.close()
		if closed := host.Close(); err != nil || closed != nil {
			if left := env.unfinished(ctx, err); left != nil {
				return left
			}
			return errors.Join(err, closed)
		}
		return env.report(ctx, record, w, format)
	})
}

// openHost opens what runs need besides their data, and calls train with a host, which
// train closes. newView is called once nothing else can be wrong with the command.
func (env *environment) openHost(
	ctx context.Context, command string, open integration.OpenDataset, newView func() hostView,
	train func(*integration.Host, datadir.Workspace) error,
) (err error) {
	devices, closeDevices, err := env.openDevices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDevices()) }()
	store, w, closeStore, err := env.openWriter(ctx, command)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	view := newView()
	defer view.close()
	host, recovery, err := integration.NewHost(ctx, integration.HostConfig{
		Store: store, Workspace: w, Devices: devices, Observer: view, Now: env.now, NewID: newID, LogActors: true, OpenDataset: open,
	})
	if err != nil {
		return err
	}
	tellRecovered(view, recovery)
	endpoint, err := serveControl(ctx, w, controlHandler(host, env.now))
	if err != nil { // training does not need it
		view.message("`reprise actors` cannot inspect this process: " + err.Error())
	} else {
		defer func() { err = errors.Join(err, endpoint.close()) }()
	}
	// When the reader of the progress is gone, the run ends as if interrupted.
	env.signals.include(syscall.SIGPIPE)
	return train(host, w)
}

// tellRecovered says which runs an earlier process left unfinished.
func tellRecovered(view hostView, r integration.Recovery) {
	for _, id := range r.Interrupted {
		view.message(fmt.Sprintf("run %s was interrupted when its process died; it can be resumed", id))
	}
	for _, id := range r.Failed {
		view.message(fmt.Sprintf("run %s had failed when its process died; what it held is now released", id))
	}
}

// unfinished says of a run that its host left where it was how to resume it; nil for
// any other error.
func (env *environment) unfinished(ctx context.Context, err error) error {
	var left *integration.UnfinishedError
	if !errors.As(err, &left) {
		return nil
	}
	err = withResume(err, env.commandFor("runs resume", left.Run))
	if ctx.Err() != nil {
		return interruptedError{err}
	}
	return err
}

// withResume adds to why a run was left unfinished how to resume it, once its user
// has followed the remedy if there is one. In a data directory that is gone there is
// nothing to resume.
func withResume(err error, command string) error {
	switch {
	case errors.Is(err, datadir.ErrDataDirGone):
		return err
	case datadir.Remedy(err) != "":
		return fmt.Errorf("%w, then resume it with: %s", err, command)
	}
	return fmt.Errorf("%w; resume it with: %s", err, command)
}

// runToRest launches a run and waits until it rests. A signal interrupts it, which
// takes until its checkpoint is written.
func runToRest(ctx context.Context, host *integration.Host, view *runView, start launch) (journal.RunRecord, error) {
	id, err := start(host, view)
	if err != nil {
		return journal.RunRecord{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		view.message("interrupting: writing a checkpoint at the current step")
		host.Interrupt(id, context.Cause(ctx).Error())
	})
	defer stop()
	return host.Wait(context.WithoutCancel(ctx), id)
}

// report prints how the run ended and returns the error that gives the exit
// code.
func (env *environment) report(ctx context.Context, r journal.RunRecord, w datadir.Workspace, format string) error {
	var unread error
	if format == "json" {
		unread = writeJSONLine(env.stdout, service.ResultOf(r.Summary()))
	} else {
		unread = env.writeRunSummary(env.stdout, r, w)
	}
	if err := env.endError(ctx, r, format); err != nil {
		return err
	}
	if unheard(unread) { // as with `| head`: the run has completed
		return nil
	}
	return unread
}

// endError returns the error that a run at rest ends the command with: nil where it has
// completed.
func (env *environment) endError(ctx context.Context, r journal.RunRecord, format string) error {
	resume := env.commandFor("runs resume", r.ID)
	switch {
	case r.Session.State == training.Failed:
		return fmt.Errorf("run %s failed: %s", r.ID, r.Reason)
	case r.Session.State == training.Completed:
		return nil
	case ctx.Err() == nil: // nobody asked for it
		return fmt.Errorf("run %s was interrupted: %s, then resume it with: %s", r.ID, r.Reason, resume)
	case format == "json":
		return interruptedError{fmt.Errorf("interrupted at step %d; resume it with: %s", service.ResultOf(r.Summary()).Step, resume)}
	default:
		return errInterrupted
	}
}

func writeJSONLine(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", raw)
	return err
}
