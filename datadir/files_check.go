package datadir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"reprise/checkpoint"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/training"
)

// OlderLogError says that the event log lacks what the files beside it show to have
// happened: an older log was put back, or one of another directory, or events at its
// end were lost. Nothing is changed then, since whatever the log lacks would count as
// litter.
type OlderLogError struct {
	Dir  string
	Head eventstore.Position
	// Problems are what the log lacks.
	Problems []string
}

// shownProblems is how many of the problems an error names.
const shownProblems = 3

// Error names the first of the problems and, on lines of their own, what to do.
func (e *OlderLogError) Error() string {
	shown := e.Problems[:min(len(e.Problems), shownProblems)]
	more := ""
	if n := len(e.Problems) - len(shown); n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("the event log in %s ends at event %d and is older than the files beside it: %s%s. Nothing was changed.\n"+
		"Put the newer events.db back, with its events.db-wal if there is one, or restore a backup into another folder.\n"+
		"To continue with this log all the same, move what it does not have out of runs/.",
		e.Dir, e.Head, strings.Join(shown, "; "), more)
}

// Kind returns Corrupt.
func (e *OlderLogError) Kind() fault.Kind { return fault.Corrupt }

// Advised makes it known that the text says what to do.
func (e *OlderLogError) Advised() bool { return true }

// CheckFiles fails with *OlderLogError where the files of the directory show that the
// log once had more events than it has, or is another one: the folder of a run that
// it does not have; a checkpoint after the last one that it has which is marked as
// committed, or was written after an event that it does not have; or more than one
// checkpoint of an older version, which says neither. It changes nothing, and may run
// while another process trains: the files are listed before the log is read, and
// nothing is created or marked before its event is durable. Checkpoints that cannot
// be read show nothing.
//
// Its time grows with the number of runs and of checkpoints after the last one, not
// with the length of the log.
func CheckFiles(ctx context.Context, store eventstore.Store, w Workspace) error {
	_, err := CheckFilesOf(ctx, store, w)
	return err
}

// CheckFilesOf is CheckFiles for a caller that needs the list of all runs as well. It
// returns the one that it read; nil where it had no need of one.
func CheckFilesOf(ctx context.Context, store eventstore.Store, w Workspace) (*journal.RunList, error) {
	found, err := checkFiles(ctx, store, w)
	return found.list, err
}

// foundFiles are the runs that have files, or may have some, and what the log knows
// of them.
type foundFiles struct {
	runs []training.RunID
	// list is nil if there are no such runs.
	list *journal.RunList
	// ahead are the checkpoints after the last that the log has.
	ahead map[training.RunID][]checkpoint.Uncommitted
	// unread says why the files of a run could not all be read.
	unread map[training.RunID]error
}

// checkFiles is CheckFiles, and returns what it found.
func checkFiles(ctx context.Context, store eventstore.Store, w Workspace) (foundFiles, error) {
	found := foundFiles{ahead: map[training.RunID][]checkpoint.Uncommitted{}}
	var err error
	if found.runs, found.unread, err = w.foundRuns(); err != nil || len(found.runs) == 0 {
		return found, err
	}
	if found.list, err = journal.ReadRuns(ctx, store); err != nil {
		return found, err
	}
	last := lastSteps(found.list)
	for _, id := range found.runs {
		if step, known := last[id]; known && found.unread[id] == nil {
			if found.ahead[id], err = w.Checkpoints(id).Uncommitted(step); err != nil {
				found.unread[id] = err
			}
		}
	}
	problems, err := found.problems(ctx, store, w)
	if err != nil || len(problems) == 0 {
		return found, err
	}
	// A process may have committed something since the log was read.
	if found.list, err = journal.ReadRuns(ctx, store); err != nil {
		return found, err
	}
	if problems, err = found.problems(ctx, store, w); err != nil || len(problems) == 0 {
		return found, err
	}
	head, err := store.Head(ctx)
	if err != nil {
		return found, err
	}
	return found, &OlderLogError{Dir: w.Dir, Head: head.Position, Problems: problems}
}

// problems returns what the files show and the log does not have.
func (f foundFiles) problems(ctx context.Context, store eventstore.Store, w Workspace) ([]string, error) {
	var problems []string
	last := lastSteps(f.list)
	for _, id := range f.runs {
		step, known := last[id]
		problem := ""
		if !known && f.unread[id] == nil {
			problem = fmt.Sprintf("%s has the files of a run that the log does not have", w.RunDir(id))
		}
		if known {
			var err error
			if problem, err = older(ctx, store, w, id, f.ahead[id], step); err != nil {
				return nil, err
			}
		}
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems, nil
}

// older says what a run's checkpoints show that the log does not have; "" where it
// has everything. found are the checkpoints after some step that the log knew; it
// knows those up to the step last.
func older(ctx context.Context, store eventstore.Store, w Workspace, id training.RunID, found []checkpoint.Uncommitted, last uint64) (string, error) {
	unnoted := 0
	for _, u := range found {
		switch {
		case u.Step <= last:
		case u.Marked:
			return (&checkpoint.CommittedError{Folder: u.Folder, Position: u.Position}).Error(), nil
		case u.Pending == nil:
			unnoted++
		default:
			if has, err := hasPredecessor(ctx, store, id, *u.Pending); err != nil {
				return "", err
			} else if !has {
				return aheadError(u.Folder, *u.Pending).Error(), nil
			}
		}
	}
	if unnoted > 1 { // by a version without notes
		return fmt.Sprintf("%s has %d checkpoints after step %d, the last that the log has, but a crash leaves at most one", w.CheckpointsDir(id), unnoted, last), nil
	}
	return "", nil
}

// hasPredecessor reports whether the log has the event that a checkpoint of the run
// was written after, and so everything before that event.
func hasPredecessor(ctx context.Context, store eventstore.Store, id training.RunID, p checkpoint.Pending) (bool, error) {
	page, err := store.Read(ctx, eventstore.Position(p.Position)-1, 1)
	if err != nil || len(page) == 0 {
		return false, err
	}
	e := page[0]
	return uint64(e.Position) == p.Position && uint64(e.Version) == p.RunVersion && e.Aggregate == journal.AggregateOf(id) && e.Hash.String() == p.Hash, nil
}

func aheadError(folder string, p checkpoint.Pending) error {
	return fmt.Errorf("%s was written after event %d, which the event log does not have", folder, p.Position)
}

// PendingOf returns what the folder of a checkpoint notes before its event is
// appended. The record's last event was acknowledged or read from the log, so no
// crash takes it away.
func PendingOf(r journal.RunRecord) checkpoint.Pending {
	return checkpoint.Pending{RunVersion: uint64(r.Version), Position: uint64(r.Position), Hash: r.Hash.String()}
}

// Judge returns what the log proves about checkpoints of the run that it does not
// have. One whose predecessor it has was not committed in this log. But where no
// other checkpoint was committed since, this may be the log as it was just before
// the commit, put back: then it is left.
func Judge(ctx context.Context, l *journal.RunLog, id training.RunID) checkpoint.Judge {
	return func(folder string, p checkpoint.Pending) (litter bool, err error) {
		has, err := hasPredecessor(ctx, l.Store(), id, p)
		if err != nil {
			return false, err
		}
		if !has {
			return false, aheadError(folder, p)
		}
		const page = 1000
		for after := eventstore.Version(p.RunVersion); ; {
			events, err := l.Store().ReadAggregate(ctx, journal.AggregateOf(id), after, page)
			if err != nil || len(events) == 0 {
				return false, err
			}
			for _, e := range events {
				after = e.Version
				if e.Type == (training.CheckpointCommitted{}).EventType() {
					return true, nil
				}
			}
		}
	}
}

// lastSteps returns for every run the step of the last checkpoint that it has in
// the log.
func lastSteps(list *journal.RunList) map[training.RunID]uint64 {
	last := make(map[training.RunID]uint64, len(list.Runs))
	for _, r := range list.Runs {
		last[r.RunID] = r.Step
	}
	return last
}

// Settled is what SettleFiles did and could not do.
type Settled struct {
	// SetAside are the paths of checkpoints of older versions that the log does not
	// have, and that may have been committed.
	SetAside []string
	// Unsettled says which checkpoints could not be read, marked or set aside; at most
	// one for each run, also for those that the log does not have.
	Unsettled []*UnsettledError
}

// Warnings says what the user has to know of it, one text each.
func (s Settled) Warnings() []string {
	var list []string
	for _, path := range s.SetAside {
		list = append(list, fmt.Sprintf("%s was written by an older version, and no event of the log names it; "+
			"it was kept under this name. If this is the right event log, delete it; if not, put the newer events.db back", path))
	}
	for _, u := range s.Unsettled {
		list = append(list, u.Error())
	}
	return list
}

// UnsettledError says that the checkpoints of a run could not be read or written.
type UnsettledError struct {
	Run    training.RunID
	Folder string
	Err    error
}

// Error names the folder, the cause and what to do.
func (e *UnsettledError) Error() string {
	return fmt.Sprintf("run %s: its checkpoints cannot all be marked as committed: %v. "+
		"Nothing is lost, but an older event log that is put back may not be noticed by them", e.Run, AdviseOr(e.Err, "make it readable and writable"))
}

// Kind returns Corrupt.
func (e *UnsettledError) Kind() fault.Kind { return fault.Corrupt }

// Unwrap returns the cause.
func (e *UnsettledError) Unwrap() error { return e.Err }

// SettleFiles fails as CheckFiles does, and then makes up for what crashes and older
// versions left undone. What the log has committed is marked, so that an older log
// is noticed; it looks at the last checkpoint of each run, and at all of them if that
// one is not marked. A checkpoint that the log does not have and that has no note
// is set aside, so that it is not taken for litter; if it is the last one that the
// log has, it gets its name back. If that fails for a run, the others are settled
// nevertheless. The caller holds the lock of the data directory.
func SettleFiles(ctx context.Context, store eventstore.Store, w Workspace) (Settled, error) {
	var settled Settled
	found, err := checkFiles(ctx, store, w)
	if err != nil || len(found.runs) == 0 {
		return settled, err
	}
	there := map[training.RunID]bool{}
	for _, id := range found.runs {
		there[id] = true
	}
	log := journal.NewRunLog(store, nil)
	unsettled := func(id training.RunID, err error) {
		settled.Unsettled = append(settled.Unsettled, &UnsettledError{Run: id, Folder: w.CheckpointsDir(id), Err: err})
	}
	for _, r := range found.list.Runs {
		if !there[r.RunID] {
			continue
		}
		delete(there, r.RunID)
		files := found.unread[r.RunID]
		if err := settleRun(ctx, log, w.Checkpoints(r.RunID), r, &files); err != nil {
			return settled, err
		}
		for _, u := range found.ahead[r.RunID] {
			if u.Marked || u.Pending != nil {
				continue
			}
			path, err := w.Checkpoints(r.RunID).SetAside(u.Step)
			if err == nil {
				settled.SetAside = append(settled.SetAside, path)
			}
			files = cmp.Or(files, err)
		}
		if files != nil {
			unsettled(r.RunID, files)
		}
	}
	for _, id := range found.runs {
		if err := found.unread[id]; err != nil && there[id] { // the log does not have it
			unsettled(id, err)
		}
	}
	return settled, nil
}

// settleRun marks the checkpoints of a run that the log has, and gives the last one
// its name back. failed becomes the first error of its files; an error of the log is
// returned.
func settleRun(ctx context.Context, log *journal.RunLog, files checkpoint.Folder, r journal.RunSummary, failed *error) error {
	if r.Step == r.ParentStep {
		return nil // nothing is committed yet
	}
	// A crash may have come between the event that removes them and the removal.
	*failed = cmp.Or(*failed, files.Remove(r.Removed...))
	if files.Has(r.Step) && files.Marked(r.Step) {
		return nil
	}
	record, err := log.Load(ctx, r.RunID)
	if err != nil {
		return err
	}
	for _, cp := range record.Kept() {
		ref := cp.Ref()
		if cp.Step == r.Step {
			_, err := files.Reclaim(ref)
			*failed = cmp.Or(*failed, err)
		}
		*failed = cmp.Or(*failed, files.Mark(ref, 0))
	}
	return nil
}

// foundRuns returns the folders in runs/ that hold a run's files, by name. What is
// not named or built like one is the user's. unread says of which it is not known.
func (w Workspace) foundRuns() (runs []training.RunID, unread map[training.RunID]error, err error) {
	unread = map[training.RunID]error{}
	entries, err := w.files().ReadDir(w.RunsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unread, nil
	}
	if err != nil {
		return nil, unread, err
	}
	for _, e := range entries {
		id := training.RunID(e.Name())
		if id.Validate() != nil {
			continue
		}
		switch info, err := w.files().Stat(w.CheckpointsDir(id)); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		case Passing(err):
			return nil, nil, err
		case err != nil:
			runs, unread[id] = append(runs, id), err
		case info.IsDir():
			runs = append(runs, id)
		}
	}
	return runs, unread, nil
}
