package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reprise/api"
	"reprise/client"
	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/flock"
	"reprise/service"
	"reprise/training"
)

// holderTick is how often a command looks whether the process that holds the data
// directory serves others by now, or has let go of it.
const holderTick = 50 * time.Millisecond

// guestService is the service of the process that holds the data directory, for a command
// of another one.
type guestService struct {
	api.Service
	holder flock.Info
	// unwatched ends the watch over whether the holder answers.
	unwatched func()
}

// Follow implements api.Service. A follower waits for a holder that is stopped for a
// while.
func (g guestService) Follow(ctx context.Context, r api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	g.unwatched()
	return g.Service.Follow(ctx, r)
}

// withHolder calls do with the service of the process that holds the data directory, if
// err says that one does and it serves others. again says that it is about to let go of
// the data directory, or has: the command can try to hold it. A holder that only records
// something is waited for, for a bounded time.
func (env *environment) withHolder(
	ctx context.Context, deadline time.Time, wanted access, err error, do func(context.Context, api.Service) error,
) (again bool, _ error) {
	var e *api.Error
	for errors.As(err, &e) && e.Code == api.DirInUse {
		w, noDir := env.workspace()
		if noDir != nil {
			return false, err
		}
		held, holder, probed := flock.Probe(w.LockPath())
		switch {
		case !held && probed == nil:
			return env.now().Before(deadline), err
		case probed == nil && (holder == flock.Info{} || onlyRecords(holder.Command)): // it soon lets go
		case probed != nil || !servesOthers(holder.Command):
			return false, err
		default:
			there, called := env.askToServe(ctx, w, holder, wanted, do)
			if there {
				return false, called
			}
			if errors.Is(called, fs.ErrPermission) { // it acts for another user
				return false, err
			}
			e = &api.Error{Code: api.DirInUse}
		}
		if !env.now().Before(deadline) {
			return false, err
		}
		select {
		case <-time.After(holderTick):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, err
}

// servesOthers reports whether a process that holds the data directory with this command
// does what other processes ask for, or is about to.
func servesOthers(command string) bool {
	return isOneOf(command, "train", "runs resume", "runs fork", "runs retry")
}

// onlyRecords reports whether a process that holds the data directory with this command
// records something for others and lets go of it at once.
func onlyRecords(command string) bool {
	return isOneOf(command, "runs cancel", "runs pause", "runs priority")
}

func isOneOf(command string, commands ...string) bool {
	return slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(command+" ", "reprise "+c+" ") })
}

// refuseDetach says why this process cannot submit runs by itself: no other process would
// train them, or one holds the data directory and has to be asked.
func (env *environment) refuseDetach() error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	held, holder, err := flock.Probe(w.LockPath())
	switch {
	case err != nil:
		return unusable(err, "choose a folder that you can write to")
	case held:
		return api.InUse(w.Dir, &flock.LockedError{Path: w.LockPath(), Holder: holder})
	}
	words := []string{env.program}
	for _, a := range env.args {
		if a != "--detach" && !strings.HasPrefix(a, "--detach=") {
			words = append(words, shellQuoted(a))
		}
	}
	return errorf("--detach: %w in %s, so nothing was submitted; to train in this process, run:\n  %s", errNoProcess, w.Dir, strings.Join(words, " "))
}

// dialHolder connects to the control socket of a data directory.
func dialHolder(ctx context.Context, w datadir.Workspace) (net.Conn, error) {
	folder, err := filepath.EvalSymlinks(filepath.Join(w.Dir, controlName))
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, socketName))
}

// askToServe calls do with the service of the holder. there is false where nothing has
// happened because the holder is not reached: it is starting or ending, or has died.
func (env *environment) askToServe(
	ctx context.Context, w datadir.Workspace, holder flock.Info, wanted access, do func(context.Context, api.Service) error,
) (there bool, err error) {
	conn, err := dialHolder(ctx, w)
	if err != nil {
		return false, err
	}
	_ = conn.Close() // it was only to see that there is somebody
	remote := client.New("its socket", func(ctx context.Context) (net.Conn, error) { return dialHolder(ctx, w) })
	defer func() { err = errors.Join(err, remote.Close()) }()
	if err := env.greet(ctx, remote, w, holder); err != nil {
		return !isUnreachable(err), err
	}
	before := env.recordedRuns(ctx, wanted)
	err = env.callHolder(ctx, remote, w, holder, do)
	var e *api.Error
	switch {
	case errors.As(err, &e) && e.Code == api.ProcessEnding:
		return false, err
	case isUnreachable(err) && wanted == recording: // it does no harm to record it twice
		return false, err
	case isUnreachable(err) && before != nil:
		return true, env.cutOff(ctx, holder, before, err)
	}
	return true, err
}

// isUnreachable reports whether an error is of the connection to a service.
func isUnreachable(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == api.Unreachable
}

// greet sees whether the holder answers at all: a stopped process still has a socket.
func (env *environment) greet(ctx context.Context, remote *client.Client, w datadir.Workspace, holder flock.Info) error {
	patient, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	err := remote.Ping(patient)
	if err == nil || ctx.Err() != nil || patient.Err() == nil {
		return err
	}
	return fault.New(fault.Unavailable, "process %d (%s), which holds --data-dir %s, did not answer within %v; if it is stopped, continue it with: kill -CONT %d",
		holder.PID, holder.Command, w.Dir, controlPatience, holder.PID)
}

// callHolder calls do with the service of the holder. It fails once the holder answers
// nothing any more.
func (env *environment) callHolder(
	ctx context.Context, remote *client.Client, w datadir.Workspace, holder flock.Info, do func(context.Context, api.Service) error,
) error {
	called, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched, unwatched := context.WithCancel(called)
	defer unwatched()
	go func() {
		for {
			select {
			case <-time.After(controlPatience):
			case <-watched.Done():
				return
			}
			if err := env.greet(watched, remote, w, holder); err != nil && watched.Err() == nil && !isUnreachable(err) {
				cancel(err)
			}
		}
	}()
	shown := notices{env: env}
	defer shown.close()
	err := do(api.WithNotices(called, shown.show), guestService{Service: remote, holder: holder, unwatched: unwatched})
	if called.Err() != nil && ctx.Err() == nil {
		return context.Cause(called)
	}
	return err
}

// recordedRuns returns the runs that are recorded before a command submits others; nil
// for a command that submits none.
func (env *environment) recordedRuns(ctx context.Context, wanted access) map[training.RunID]bool {
	if wanted != submitting && wanted != detaching {
		return nil
	}
	s, err := env.serviceFor(reading)
	if err != nil {
		return nil
	}
	list, err := s.Runs(api.WithNotices(ctx, func(api.Notice) {}), api.RunsRequest{})
	if errors.Join(err, s.Close()) != nil {
		return nil
	}
	runs := map[training.RunID]bool{}
	for _, r := range list.Runs {
		runs[r.RunID] = true
	}
	return runs
}

// cutOff says of a holder that has died while runs were submitted to it which runs it has
// recorded since.
func (env *environment) cutOff(ctx context.Context, holder flock.Info, before map[training.RunID]bool, err error) error {
	said := fmt.Sprintf("process %d ended before it had answered", holder.PID)
	after := env.recordedRuns(ctx, submitting)
	if after == nil {
		return fault.As(fault.Unavailable, errorf("%s: %w; see whether the run was recorded with: %s", said, err, env.commandLine("runs list")))
	}
	maps.DeleteFunc(after, func(id training.RunID, _ bool) bool { return before[id] })
	var names []string
	for id := range after {
		names = append(names, string(id))
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return fault.New(fault.Unavailable, "%s, and no run was recorded; run the command again", said)
	case 1:
		return fault.New(fault.Unavailable, "%s; run %s was recorded; resume it with:\n  %s", said, names[0], env.commandLine("runs resume "+names[0]))
	}
	return fault.New(fault.Unavailable, "%s; the runs recorded meanwhile, also for other processes, are %s; resume them with:\n  %s",
		said, strings.Join(names, ", "), env.commandLine("runs resume "+strings.Join(names, " ")))
}

// finishOthers waits for the runs that train in this process although its own command has
// ended: other processes have submitted them. It shows them meanwhile.
func (env *environment) finishOthers(ctx context.Context, s *service.Service) error {
	resume := env.commandLine("runs resume --all")
	stop := func() {}
	err := s.Finish(ctx, func(runs []training.RunID) {
		stop()
		what, them, are := "run "+string(runs[0])+" was", "it", "it is"
		if len(runs) > 1 {
			what, them, are = plural(len(runs), "run")+" were", "them", "they are"
		}
		writeLines(env.stderr, fmt.Sprintf("reprise: %s submitted by other processes; this one trains %s to the end; Ctrl-C interrupts %s, and %s then resumed with: %s",
			what, them, them, are, resume))
		stop = env.showOthers(ctx, s, resume)
	})
	stop()
	if err != nil {
		return interruptedError{errors.New("interrupted while it trained runs for other processes; resume them with: " + resume)}
	}
	return nil
}

// showOthers shows the runs that train in this process for others. stop waits until they
// have ended, or does not once ctx is done.
func (env *environment) showOthers(ctx context.Context, s api.Service, resume string) (stop func()) {
	view := newSeveralView(env, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = follow(ctx, s, newHolderView(view, nil, resume), api.FollowRequest{Others: true}) // their own commands say how they end
	}()
	return func() {
		<-done
		view.close()
	}
}

// left says that a follower leaves runs, which continue in the process that holds the data
// directory.
func (env *environment) left(g guestService, runs []training.RunID) error {
	goes, ends := "the run continues", "ends it"
	if len(runs) > 1 {
		goes, ends = "the runs continue", "ends them"
	}
	names := make([]string, len(runs))
	for i, id := range runs {
		names[i] = string(id)
	}
	return interruptedError{fmt.Errorf("%s in process %d; this %s:\n  %s", goes, g.holder.PID, ends, env.commandLine("runs cancel "+strings.Join(names, " ")))}
}

// holderGone says that the process that trained runs has ended before them.
func (env *environment) holderGone(g guestService, err error, runs []training.RunID) error {
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.Unreachable {
		return err
	}
	names := make([]string, len(runs))
	for i, id := range runs {
		names[i] = string(id)
	}
	return fmt.Errorf("process %d, which trained it, has ended (%s); if the run is interrupted, resume it with: %s",
		g.holder.PID, e.Message, env.commandLine("runs resume "+strings.Join(names, " ")))
}
