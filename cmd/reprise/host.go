package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"reprise/dataset"
	"reprise/integration"
	"reprise/internal/flock"
	"reprise/training"
)

// refuseIfInUse fails where another process trains in the data directory. It
// spares a request from being prepared in vain; openWriter decides.
func refuseIfInUse(w integration.Workspace) error {
	held, holder, err := flock.Probe(w.LockPath())
	if err != nil {
		return unusable(w, err)
	}
	if !held {
		return nil
	}
	return inUse(w, &flock.LockedError{Path: w.LockPath(), Holder: holder})
}

// unusable says that the data directory is no place to keep files in.
func unusable(w integration.Workspace, err error) error {
	return invalid(fmt.Errorf("--data-dir %s: %w; choose a folder that can be written", w.Dir, err))
}

func inUse(w integration.Workspace, err error) error {
	return invalid(fmt.Errorf("--data-dir %s is in use: %w; wait for it to end, or train elsewhere with --data-dir DIR", w.Dir, err))
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
	if err != nil { // it trains all the same
		view.message("`reprise actors` cannot look into this process: " + err.Error())
	} else {
		defer func() { err = errors.Join(err, endpoint.close()) }()
	}
	record, err := runToRest(ctx, host, view, start)
	view.close()
	if err = errors.Join(err, host.Close()); err != nil {
		return err
	}
	return env.report(ctx, record, w, format)
}

// runToRest launches a run and waits until it rests. Ctrl-C interrupts it, which
// takes until its checkpoint is written; a second one kills the process, which
// loses nothing but the steps since the last checkpoint.
func runToRest(ctx context.Context, host *integration.Host, view *runView, start launch) (integration.RunRecord, error) {
	id, err := start(host, view)
	if err != nil {
		return integration.RunRecord{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		view.message("interrupting: writing a checkpoint at the current step")
		host.Interrupt(id, "interrupted by the user")
	})
	defer stop()
	return host.Wait(context.WithoutCancel(ctx), id)
}

// report prints how the run ended and returns the error that gives the exit
// code.
func (env *environment) report(ctx context.Context, r integration.RunRecord, w integration.Workspace, format string) error {
	if format == "json" {
		if err := writeJSONLine(env.stdout, resultOf(r.Summary())); err != nil {
			return err
		}
	} else if err := env.writeRunSummary(env.stdout, r, w); err != nil {
		return err
	}
	switch r.Session.State {
	case training.Completed:
		return nil
	case training.Interrupted:
		if ctx.Err() == nil { // nobody asked for it
			return fmt.Errorf("run %s could not go on: %s", r.ID, r.Reason)
		}
		if format == "json" {
			_, _ = fmt.Fprintf(env.stderr, "reprise: interrupted at step %d; go on with: reprise runs resume %s\n", resultOf(r.Summary()).Step, r.ID)
		}
		return errInterrupted
	default:
		return fmt.Errorf("run %s failed: %s", r.ID, r.Reason)
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
