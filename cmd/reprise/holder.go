package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"time"

	"reprise/api"
	"reprise/client"
	"reprise/datadir"
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
}

// withHolder calls do with the service of the process that holds the data directory, if
// err says that one does and it serves others. again says that it is about to let go of
// the data directory, or has: the command can try to hold it.
func (env *environment) withHolder(
	ctx context.Context, deadline time.Time, err error, do func(context.Context, api.Service) error,
) (again bool, _ error) {
	var e *api.Error
	for errors.As(err, &e) && e.Code == api.DirInUse {
		w, noDir := env.workspace()
		if noDir != nil {
			return false, err
		}
		held, holder, probed := flock.Probe(w.LockPath())
		switch {
		case probed != nil || held && holder != (flock.Info{}) && !servesOthers(holder.Command):
			return false, err
		case !held:
			return env.now().Before(deadline), err
		}
		conn, unreachable := dialHolder(ctx, w)
		switch {
		case errors.Is(unreachable, fs.ErrPermission): // it acts for another user
			return false, err
		case unreachable == nil:
			_ = conn.Close() // it was only to see that there is somebody
			called := env.callHolder(ctx, w, holder, do)
			if !errors.As(called, &e) || e.Code != api.ProcessEnding {
				return false, called
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
	for _, c := range []string{"train", "runs resume", "runs fork", "runs cancel", "runs pause", "runs priority", "runs retry"} {
		if strings.HasPrefix(command+" ", "reprise "+c+" ") {
			return true
		}
	}
	return false
}

// dialHolder connects to the control socket of a data directory.
func dialHolder(ctx context.Context, w datadir.Workspace) (net.Conn, error) {
	folder, err := filepath.EvalSymlinks(filepath.Join(w.Dir, controlName))
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, socketName))
}

// callHolder calls do with the service of the holder.
func (env *environment) callHolder(
	ctx context.Context, w datadir.Workspace, holder flock.Info, do func(context.Context, api.Service) error,
) (err error) {
	remote := client.New("its socket", func(ctx context.Context) (net.Conn, error) { return dialHolder(ctx, w) })
	defer func() { err = errors.Join(err, remote.Close()) }()
	shown := notices{env: env}
	defer shown.close()
	return do(api.WithNotices(ctx, shown.show), guestService{Service: remote, holder: holder})
}

// finishOthers waits for the runs that train in this process although its own command has
// ended: other processes have submitted them.
func (env *environment) finishOthers(ctx context.Context, s *service.Service) error {
	err := s.Finish(ctx, func(runs []training.RunID) {
		what, them := "run "+string(runs[0])+" has", "it"
		if len(runs) > 1 {
			what, them = plural(len(runs), "run")+" have", "them"
		}
		writeLines(env.stderr, fmt.Sprintf("reprise: %s been submitted by other processes; this one trains %s until the end; Ctrl-C interrupts %s", what, them, them))
	})
	if err != nil {
		return interruptedError{errors.New("interrupted while it trained runs for other processes; resume them with: " + env.commandLine("runs resume --all"))}
	}
	return nil
}

// left says that a follower leaves runs, which go on in the process that holds the data
// directory.
func (env *environment) left(g guestService, runs []training.RunID) error {
	goes, ends := "the run goes", "ends it"
	if len(runs) > 1 {
		goes, ends = "the runs go", "ends them"
	}
	names := make([]string, len(runs))
	for i, id := range runs {
		names[i] = string(id)
	}
	return interruptedError{fmt.Errorf("%s on in process %d; this %s:\n  %s", goes, g.holder.PID, ends, env.commandLine("runs cancel "+strings.Join(names, " ")))}
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
