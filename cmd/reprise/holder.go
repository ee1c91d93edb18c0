package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
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

// endPatience is how long a process that no longer answers may take to let go of the data
// directory.
const endPatience = 2 * closePatience

// guestService is the service of the process that holds the data directory, for a command
// of another one.
type guestService struct {
	api.Service
	holder flock.Info
	// unwatched ends the watch over whether the holder answers.
	unwatched func()
	// newRunID draws the id of a run, and asked notes what this command asks for.
	newRunID func() training.RunID
	asked    *asked
}

// asked is what a command has asked the holder to record, which is known even if the
// holder dies before it has answered.
type asked struct {
	runs    map[training.RunID]bool // that were to be recorded
	retried *api.Target             // to be tried again; nil for nothing
	before  map[training.RunID]bool // that were recorded already, if there is something to be tried again
}

// Submit implements api.Service.
func (g guestService) Submit(ctx context.Context, r api.SubmitRequest) iter.Seq2[api.Submission, error] {
	r.RunIDs = make([]training.RunID, len(r.Files))
	for i := range r.RunIDs {
		id := g.newRunID()
		for g.asked.runs[id] { // few characters of it are random
			id = g.newRunID()
		}
		r.RunIDs[i], g.asked.runs[id] = id, true
	}
	return g.Service.Submit(ctx, r)
}

// Fork implements api.Service.
func (g guestService) Fork(ctx context.Context, r api.ForkRequest) (api.Forked, error) {
	r.NewRun = g.newRunID()
	g.asked.runs[r.NewRun] = true
	return g.Service.Fork(ctx, r)
}

// Retry implements api.Service.
func (g guestService) Retry(ctx context.Context, r api.RetryRequest) (api.Commanded, error) {
	before, err := g.Service.Runs(ctx, api.RunsRequest{})
	if err != nil {
		return api.Commanded{}, err
	}
	g.asked.retried, g.asked.before = &r.Target, map[training.RunID]bool{}
	for _, run := range before.Runs {
		g.asked.before[run.RunID] = true
	}
	return g.Service.Retry(ctx, r)
}

// includes reports whether a run that is recorded is one that was asked for.
func (a *asked) includes(r api.Run) bool {
	if a.runs[r.RunID] || a.retried == nil {
		return a.runs[r.RunID]
	}
	if r.Job == nil || r.Job.RetryOf == "" || a.before[r.RunID] {
		return false
	}
	return a.retried.All || a.retried.Group != "" && a.retried.Group == r.Job.Group ||
		slices.ContainsFunc(a.retried.Runs, func(name string) bool {
			return name == "latest" || strings.HasPrefix(string(r.Job.RetryOf), name)
		})
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
				return false, notThisUsers(w, holder)
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

// notThisUsers says that the process that holds a data directory does nothing for this user.
func notThisUsers(w datadir.Workspace, holder flock.Info) error {
	return fault.New(fault.Forbidden, "process %d (%s), which holds --data-dir %s, takes requests of its own user only: permission denied; run this as that user, or use another folder with --data-dir FOLDER",
		holder.PID, holder.Command, w.Dir)
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
	own := &asked{runs: map[training.RunID]bool{}}
	err = env.callHolder(ctx, remote, w, holder, own, do)
	var e *api.Error
	switch {
	case errors.As(err, &e) && e.Code == api.ProcessEnding:
		return false, err
	case isUnreachable(err) && wanted == recording: // it does no harm to record it twice
		return false, err
	case isUnreachable(err) && (wanted == submitting || wanted == detaching):
		return env.cutOff(ctx, w, holder, own, err)
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
	ctx context.Context, remote *client.Client, w datadir.Workspace, holder flock.Info, own *asked, do func(context.Context, api.Service) error,
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
	err := do(api.WithNotices(called, shown.show), guestService{
		Service: remote, holder: holder, unwatched: unwatched, asked: own,
		newRunID: func() training.RunID { return service.NewRunID(env.now(), rand.Reader) },
	})
	if called.Err() != nil && ctx.Err() == nil {
		return context.Cause(called)
	}
	return err
}

// recordedRuns returns the runs that are recorded; false if they cannot be read.
func (env *environment) recordedRuns(ctx context.Context) ([]api.Run, bool) {
	s, err := env.serviceFor(reading)
	if err != nil {
		return nil, false
	}
	list, err := s.Runs(api.WithNotices(ctx, func(api.Notice) {}), api.RunsRequest{})
	return list.Runs, errors.Join(err, s.Close()) == nil
}

// hasLetGo reports whether a holder no longer holds the data directory. It waits for a
// moment: whoever cuts off its callers is about to let go.
func hasLetGo(ctx context.Context, w datadir.Workspace, holder flock.Info) bool {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for {
		held, now, err := flock.Probe(w.LockPath())
		if err == nil && (!held || now.PID != holder.PID && now != flock.Info{}) {
			return true
		}
		select {
		case <-time.After(holderTick):
		case <-ctx.Done():
			return false
		}
	}
}

// cutOff says of a holder that has ended before it had answered which of the runs that it
// was asked for it has recorded. there is false where that is none, and none will be.
func (env *environment) cutOff(ctx context.Context, w datadir.Workspace, holder flock.Info, own *asked, err error) (there bool, _ error) {
	gone := hasLetGo(ctx, w, holder)
	recorded, known := env.recordedRuns(ctx)
	said := fmt.Sprintf("process %d ended before it had answered", holder.PID)
	if !known {
		return true, fault.As(fault.Unavailable, errorf("%s: %w; see whether the run was recorded with: %s", said, err, env.commandLine("runs list")))
	}
	var names []string
	for _, r := range recorded {
		if own.includes(r) {
			names = append(names, string(r.RunID))
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return !gone || len(own.runs) == 0 && own.retried == nil, fault.New(fault.Unavailable, "%s, and recorded no run; run the command again", said)
	case 1:
		return true, fault.New(fault.Unavailable, "%s; run %s was recorded; resume it with:\n  %s", said, names[0], env.commandLine("runs resume "+names[0]))
	}
	return true, fault.New(fault.Unavailable, "%s; it had recorded the runs %s; resume them with:\n  %s",
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
		writeLines(env.stderr, fmt.Sprintf("reprise: %s submitted or resumed by other processes; this one trains %s to the end; Ctrl-C interrupts %s, and %s then resumed with: %s",
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

// holderGone says that the process that trained runs has ended before this one learnt how
// they ended. A run that the log says is at rest gets its end from there, as one of a
// follower that was stopped for a while; the error is nil if all of them do.
func (env *environment) holderGone(
	ctx context.Context, g guestService, err error, all []training.RunID, ends map[training.RunID]api.RunUpdate,
) error {
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.Unreachable {
		return err
	}
	var runs []training.RunID
	for _, id := range all {
		if _, known := ends[id]; known {
			continue
		}
		if end := env.recordedEnd(ctx, id); end != nil {
			ends[id] = api.RunUpdate{RunID: id, End: end}
		} else {
			runs = append(runs, id)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	names := make([]string, len(runs))
	for i, id := range runs {
		names[i] = string(id)
	}
	if w, err := env.workspace(); err == nil && writerAlive(w) {
		return fmt.Errorf("a process still trains there, but what process %d had to say was cut off; see how the runs end with: %s", g.holder.PID, env.commandLine("runs list"))
	}
	it, runsAre := "it", "the run is interrupted; resume it"
	if len(names) > 1 {
		it, runsAre = "them", plural(len(names), "run")+" are interrupted; resume them"
	}
	return fmt.Errorf("process %d, which trained %s, has ended; %s with: %s", g.holder.PID, it, runsAre, env.commandLine("runs resume "+strings.Join(names, " ")))
}

// recordedEnd returns the run as the log has it; nil if it is not at rest by what is
// recorded: the process that trained it died, or the log cannot be read.
func (env *environment) recordedEnd(ctx context.Context, id training.RunID) *api.RunReport {
	report := env.recorded(ctx, id)
	if report == nil {
		return nil
	}
	ends := []training.State{training.Completed, training.Failed, api.Cancelled, api.Rejected, api.Paused}
	if !slices.Contains(ends, report.Details.State) { // one that is interrupted may be so because the process died
		return nil
	}
	return report
}

// recorded returns the run as the log has it; nil where that cannot be read.
func (env *environment) recorded(ctx context.Context, id training.RunID) *api.RunReport {
	s, err := env.serviceFor(reading)
	if err != nil {
		return nil
	}
	report, err := s.Run(api.WithNotices(ctx, func(api.Notice) {}), api.RunRequest{Run: string(id)})
	if errors.Join(err, s.Close()) != nil {
		return nil
	}
	return &report
}
