package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"reprise/dataset"
	"reprise/integration"
	"reprise/internal/flock"
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
func unusableDir(w integration.Workspace, err error) error {
	fix := "choose a folder that you can write to"
	if errors.Is(err, fs.ErrPermission) {
		fix = "run this as its owner, or choose a folder that you may write to"
	}
	return unusable(fmt.Errorf("--data-dir %s: %w", w.Dir, err), fix)
}

// inUse says that another process writes the data directory. Nothing is wrong with
// the command: the same one works later.
func inUse(w integration.Workspace, err error) error {
	return fmt.Errorf("--data-dir %s is in use: %w; wait for it to end, or use another folder with --data-dir DIR", w.Dir, err)
}

// launch starts or resumes a run.
type launch func(*integration.Host, *runView) (training.RunID, error)

// withHost opens everything a run needs, launches one, follows it to its end
// and prints the result. data is the run's data, already open.
func (env *environment) withHost(ctx context.Context, command string, data *dataset.Dataset, format string, start launch) (err error) {
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

	view := newRunView(env)
	defer view.close()
	host, recovery, err := integration.NewHost(ctx, integration.HostConfig{
		Store: store, Workspace: w, Devices: devices, Observer: view, Now: env.now, NewID: newID, LogActors: true,
		OpenDataset: func(context.Context, training.Dataset) (*dataset.Dataset, error) { return data, nil },
	})
	if err != nil {
		return err
	}
	view.recovered(recovery)
	endpoint, err := serveControl(ctx, w, controlHandler(host, env.now))
	if err != nil { // training does not need it
		view.message("`reprise actors` cannot inspect this process: " + err.Error())
	} else {
		defer func() { err = errors.Join(err, endpoint.close()) }()
	}
	// When the reader of the progress is gone, the run ends as if interrupted.
	env.signals.include(syscall.SIGPIPE)
	record, err := runToRest(ctx, host, view, start)
	view.close()
	closed := host.Close()
	var left *integration.UnfinishedError
	switch {
	case errors.As(err, &left):
		err = withResume(err, env.commandFor("runs resume", left.Run))
		if ctx.Err() != nil {
			return interruptedError{err}
		}
		return err
	case err != nil || closed != nil:
		return errors.Join(err, closed)
	}
	return env.report(ctx, record, w, format)
}

// withResume adds to why a run was left unfinished how to resume it, once its user
// has followed the remedy if there is one. In a data directory that is gone there is
// nothing to resume.
func withResume(err error, command string) error {
	switch {
	case errors.Is(err, integration.ErrDataDirGone):
		return err
	case integration.Remedy(err) != "":
		return fmt.Errorf("%w, then resume it with: %s", err, command)
	}
	return fmt.Errorf("%w; resume it with: %s", err, command)
}

// runToRest launches a run and waits until it rests. A signal interrupts it, which
// takes until its checkpoint is written.
func runToRest(ctx context.Context, host *integration.Host, view *runView, start launch) (integration.RunRecord, error) {
	id, err := start(host, view)
	if err != nil {
		return integration.RunRecord{}, err
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
func (env *environment) report(ctx context.Context, r integration.RunRecord, w integration.Workspace, format string) error {
	var unread error
	if format == "json" {
		unread = writeJSONLine(env.stdout, resultOf(r.Summary()))
	} else {
		unread = env.writeRunSummary(env.stdout, r, w)
	}
	resume := env.commandFor("runs resume", r.ID)
	switch {
	case r.Session.State == training.Failed:
		return fmt.Errorf("run %s failed: %s", r.ID, r.Reason)
	case r.Session.State == training.Completed:
		return unread
	case ctx.Err() == nil: // nobody asked for it
		return fmt.Errorf("run %s was interrupted: %s, then resume it with: %s", r.ID, r.Reason, resume)
	case format == "json":
		return interruptedError{fmt.Errorf("interrupted at step %d; resume it with: %s", resultOf(r.Summary()).Step, resume)}
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
