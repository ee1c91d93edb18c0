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
	runs []askedRun
	// retried are the runs that were named to be tried again.
	retried []training.RunID
	// answered says that the holder has answered that it has recorded a run.
	answered bool
}

// askedRun is one of the runs that were to be recorded.
type askedRun struct {
	id training.RunID
	// file is the request, "" if there is none. It names the run where there are several.
	file string
}

// draw adds a run, and returns its id.
func (a *asked) draw(newRunID func() training.RunID, file string) training.RunID {
	id := newRunID()
	for slices.ContainsFunc(a.runs, func(r askedRun) bool { return r.id == id }) { // few characters of it are random
		id = newRunID()
	}
	a.runs = append(a.runs, askedRun{id, file})
	return id
}

// Submit implements api.Service.
func (g guestService) Submit(ctx context.Context, r api.SubmitRequest) iter.Seq2[api.Submission, error] {
	for _, run := range r.Runs() {
		r.RunIDs = append(r.RunIDs, g.asked.draw(g.newRunID, requestName(r, run)))
	}
	return func(yield func(api.Submission, error) bool) {
		for submitted, err := range g.Service.Submit(ctx, r) {
			g.asked.answered = g.asked.answered || err == nil && submitted.Error == nil
			if !yield(submitted, err) {
				return
			}
		}
	}
}

// Fork implements api.Service.
func (g guestService) Fork(ctx context.Context, r api.ForkRequest) (api.Forked, error) {
	r.NewRun = g.asked.draw(g.newRunID, "")
	forked, err := g.Service.Fork(ctx, r)
	g.asked.answered = err == nil
	return forked, err
}

// Retry implements api.Service.
func (g guestService) Retry(ctx context.Context, r api.RetryRequest) (api.Commanded, error) {
	list, err := g.Service.Runs(ctx, api.RunsRequest{})
	if err != nil {
		return api.Commanded{}, err
	}
	n := len(r.Runs)
	if n == 0 { // of those that there are; the service draws ids for more
		for _, run := range list.Runs {
			if (r.All || r.Fits(run)) && run.Job != nil && run.Job.State.Ended() {
				n++
			}
		}
	}
	for _, name := range r.Runs {
		id := idOf(list.Runs, strings.TrimSpace(name))
		if id == "latest" {
			latest, err := g.Service.Run(ctx, api.RunRequest{Run: name})
			if err != nil {
				return api.Commanded{}, err
			}
			id = latest.Details.RunID
		}
		if !slices.Contains(g.asked.retried, id) {
			g.asked.retried = append(g.asked.retried, id)
		}
	}
	for range n {
		r.RunIDs = append(r.RunIDs, g.asked.draw(g.newRunID, ""))
	}
	answer, err := g.Service.Retry(ctx, r)
	g.asked.answered = err == nil && len(answer.Runs) > 0
	return answer, err
}

// idOf returns the id of the run that a name means: an id, what the run is called, or the
// beginning of an id. A name that no run of the list has is the whole id of a deleted one,
// or the service refuses it.
func idOf(list []api.Run, name string) training.RunID {
	for _, means := range []func(api.Run) bool{
		func(r api.Run) bool { return string(r.RunID) == name },
		func(r api.Run) bool { return r.Name == name },
		func(r api.Run) bool { return strings.HasPrefix(string(r.RunID), name) },
	} {
		if at := slices.IndexFunc(list, means); at >= 0 && name != "" {
			return list[at].RunID
		}
	}
	return training.RunID(name)
}

// Follow implements api.Service. A follower waits for a holder that is stopped for a
// while.
func (g guestService) Follow(ctx context.Context, r api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	g.unwatched()
	return g.Service.Follow(ctx, r)
}

// patience bounds how long a command waits until the process that holds the data directory
// serves it, or lets go. Another holder is waited for again, and so is one that has let the
// command call it, from the end of that call.
type patience struct {
	holder flock.Info
	called bool
	until  time.Time
}

func (p *patience) lasts(now time.Time, holder flock.Info, called bool) bool {
	same := holder.PID == p.holder.PID && holder.StartedAt.Equal(p.holder.StartedAt)
	if p.until.IsZero() || !same || called && !p.called {
		*p = patience{holder, called, now.Add(controlPatience)}
	}
	return now.Before(p.until)
}

// heldByOther returns the error of a command for which a process that holds the data
// directory has to be asked, or waited for; nil where this process looks first what it can
// do by itself, and what is wrong with what it was given.
func (env *environment) heldByOther(wanted access) error {
	switch wanted {
	case detaching:
		return env.refuseDetach()
	case submitting, recording:
	case reading, writing: // most of it needs no lock
		return nil
	}
	w, err := env.workspace()
	if err != nil {
		return nil //nolint:nilerr // the command says so
	}
	held, holder, err := flock.Probe(w.LockPath())
	if err != nil || !held || !servesOthers(holder.Command) && !onlyRecords(holder.Command) {
		return nil //nolint:nilerr // likewise, if it matters
	}
	return api.InUse(w.Dir, &flock.LockedError{Path: w.LockPath(), Holder: holder})
}

// withHolder calls do with the service of the process that holds the data directory, if
// err says that one does and it serves others. again says that nobody holds the data
// directory any more: the command can try to hold it. A holder that only records something
// is waited for, for a bounded time, and so is one that is starting or ending.
func (env *environment) withHolder(
	ctx context.Context, waited *patience, wanted access, err error, do func(context.Context, api.Service) error,
) (again bool, _ error) {
	if !hasCode(err, api.DirInUse) {
		return false, err
	}
	w, noDir := env.workspace()
	if noDir != nil {
		return false, err
	}
	for {
		held, holder, probed := flock.Probe(w.LockPath())
		var answer error
		called := false
		switch {
		case probed != nil:
			return false, err
		case !held:
			*waited = patience{}
			return true, err
		case holder == flock.Info{} || onlyRecords(holder.Command): // it soon lets go
		case !servesOthers(holder.Command):
			return false, err
		default:
			var came reply
			came, answer = env.askToServe(ctx, w, holder, wanted, do)
			switch called = came == refused; {
			case came == answered:
				return false, answer
			case !called:
				answer = nil
			}
		}
		if !waited.lasts(env.now(), holder, called) {
			if isUnreachable(answer) { // whenever it was called
				err = answer
			}
			return false, err
		}
		select {
		case <-time.After(holderTick):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// hasCode reports whether an error of a service is of the situation.
func hasCode(err error, code api.Code) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == code
}

// servesOthers reports whether a process that holds the data directory with this command
// does what other processes ask for, or is about to.
func servesOthers(command string) bool {
	return isOneOf(command, "train", "runs resume", "runs fork", "runs retry")
}

// onlyRecords reports whether a process that holds the data directory with this command
// records something for others and lets go of it at once.
func onlyRecords(command string) bool {
	return isOneOf(command, "queue set", "runs annotate", "runs cancel", "runs delete", "runs pause", "runs priority")
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

// reply is what comes of a call of the holder.
type reply int

const (
	unreached reply = iota // the holder is starting or ending, or has died: it was not called
	refused                // it was called and is ending, or has died: nothing has happened
	answered
)

// askToServe calls do with the service of the holder.
func (env *environment) askToServe(
	ctx context.Context, w datadir.Workspace, holder flock.Info, wanted access, do func(context.Context, api.Service) error,
) (_ reply, err error) {
	conn, err := dialHolder(ctx, w)
	switch {
	case errors.Is(err, fs.ErrPermission): // it acts for another user
		return answered, notThisUsers(w, holder)
	case err != nil:
		return unreached, err
	}
	_ = conn.Close() // it was only to see that there is somebody
	remote := client.New("its socket", func(ctx context.Context) (net.Conn, error) { return dialHolder(ctx, w) })
	defer func() { err = errors.Join(err, remote.Close()) }()
	if err := env.greet(ctx, remote, w, holder); err != nil {
		if isUnreachable(err) {
			return unreached, err
		}
		return answered, err
	}
	own := &asked{}
	err = env.callHolder(ctx, remote, w, holder, own, do)
	switch {
	case hasCode(err, api.ProcessEnding) && !own.answered:
		return refused, err
	case isUnreachable(err) && wanted == recording: // it does no harm to record it twice
		return refused, errorf("%s: %w", cutOffBy(w, holder), err)
	case isUnreachable(err) && (wanted == submitting || wanted == detaching):
		return env.cutOff(ctx, w, holder, own, err)
	}
	return answered, err
}

// isUnreachable reports whether an error is of the connection to a service.
func isUnreachable(err error) bool { return hasCode(err, api.Unreachable) }

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
	err := do(called, guestService{
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

// cutOff says of a holder that has ended before it had answered, or cut off the call, which
// of the runs that it was asked for it has recorded. Where that is none, and none will be,
// it has refused the call.
func (env *environment) cutOff(ctx context.Context, w datadir.Workspace, holder flock.Info, own *asked, err error) (reply, error) {
	gone := hasLetGo(ctx, w, holder)
	said := fmt.Sprintf("process %d ended before it had answered", holder.PID)
	if !gone {
		said = cutOffBy(w, holder)
	}
	list, known := env.recordedRuns(ctx)
	switch {
	case !known:
		return answered, fault.As(fault.Unavailable, errorf("%s: %w; see whether anything was recorded with: %s", said, err, env.commandLine("runs list")))
	case gone && len(own.runs) > 0 && !slices.ContainsFunc(own.runs, func(r askedRun) bool { return isRecorded(list, r.id) }):
		return refused, err
	}
	return answered, fault.New(fault.Unavailable, "%s%s", said, env.describeAsked(own, list, gone))
}

// cutOffBy says that a holder that lives has cut off a call.
func cutOffBy(w datadir.Workspace, holder flock.Info) string {
	return fmt.Sprintf("process %d (%s), which still holds --data-dir %s, cut off the connection before it had answered", holder.PID, holder.Command, w.Dir)
}

func isRecorded(list []api.Run, id training.RunID) bool {
	return slices.ContainsFunc(list, func(r api.Run) bool { return r.RunID == id })
}

// describeAsked says which of the runs that were asked for are recorded, and what to do.
func (env *environment) describeAsked(own *asked, list []api.Run, gone bool) string {
	var named, ids, missing []string
	var retries []training.RunID
	for _, asked := range own.runs {
		at := slices.IndexFunc(list, func(r api.Run) bool { return r.RunID == asked.id })
		if at < 0 {
			if asked.file != "" {
				missing = append(missing, asked.file)
			}
			continue
		}
		name := "run " + string(asked.id)
		if of := list[at].Job; of != nil && of.RetryOf != "" {
			name += " (retry of " + string(of.RetryOf) + ")"
			retries = append(retries, training.RunID(of.RetryOf))
		} else if len(own.runs) > 1 && asked.file != "" {
			name += " (" + asked.file + ")"
		}
		named, ids = append(named, name), append(ids, string(asked.id))
	}
	switch {
	case len(own.runs) == 0: // it was not asked for new ones
		return "; run the command again"
	case len(ids) == 0:
		return "; it has recorded no run yet; before you run the command again, see whether it has with: " + env.commandLine("runs list")
	}
	for _, of := range own.retried {
		if !slices.Contains(retries, of) {
			missing = append(missing, "a retry of "+string(of))
		}
	}
	them := "it"
	if len(ids) > 1 {
		them = "them"
	}
	text := "; it has recorded " + andList(named)
	if len(missing) > 0 {
		text += ", and not: " + strings.Join(missing, ", ") + "; ask for what is missing again"
	}
	does := "resume"
	if !gone { // whoever resumes what is under way follows it
		does = "follow"
	}
	return fmt.Sprintf("%s; %s %s with:\n  %s", text, does, them, env.commandLine("runs resume "+strings.Join(ids, " ")))
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

// holderGone says that the process that trained runs has ended, or cut off the connection,
// before this one learnt how they ended. A run that the log says is at rest gets its end from there, as one of a
// follower that was stopped for a while; the error is nil if all of them do.
func (env *environment) holderGone(
	ctx context.Context, g guestService, err error, all []training.RunID, ends map[training.RunID]api.RunUpdate,
) error {
	var e *api.Error // it may say itself that it is ending
	if !errors.As(err, &e) || e.Code != api.Unreachable && e.Code != api.ProcessEnding {
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
	resume := env.commandLine("runs resume " + strings.Join(names, " "))
	if w, err := env.workspace(); err == nil && !hasLetGo(ctx, w, g.holder) {
		return fmt.Errorf("%s (%s); follow it again with: %s", cutOffBy(w, g.holder), e.Message, resume)
	}
	it, interrupted := "it", "the run is interrupted; resume it"
	if len(names) > 1 {
		it, interrupted = "them", plural(len(names), "run")+" are interrupted; resume them"
	}
	return fmt.Errorf("process %d, which trained %s, has ended; %s with: %s", g.holder.PID, it, interrupted, resume)
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
