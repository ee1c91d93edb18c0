package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"reprise/checkpoint"
	"reprise/eventstore"
	"reprise/training"
)

// OlderLogError reports that the event log lacks what the other files show to
// have happened: an older log was put back, or one of another directory, or
// events at its end were lost. Nothing is changed then, since what the log does
// not know would count as litter.
type OlderLogError struct {
	Dir  string
	Head eventstore.Position
	// Problems are what the log does not have.
	Problems []string
}

// shownProblems is how many of the problems an error names.
const shownProblems = 3

// Error names the first of the problems and what to do.
func (e *OlderLogError) Error() string {
	shown := e.Problems[:min(len(e.Problems), shownProblems)]
	more := ""
	if n := len(e.Problems) - len(shown); n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("the event log in %s ends at event %d and is older than the files beside it: %s%s; "+
		"put the newer events.db back, with its events.db-wal if there is one, or restore a backup into another folder; "+
		"to continue with this log anyway, move what it does not have out of runs/. Nothing was changed",
		e.Dir, e.Head, strings.Join(shown, "; "), more)
}

// CheckFiles fails with *OlderLogError where the files of the directory show
// that the log once had more events than it has: a run's folder whose run it
// does not have, a checkpoint that is marked as committed after the last one
// that it knows, or more than one that is not. It changes nothing, and may
// run while another process trains: the files are listed before the log is
// read, and nothing is made or marked before its event is durable.
//
// Its time grows with the number of runs and the checkpoints after the last
// one, not with the length of the log.
func CheckFiles(ctx context.Context, store eventstore.Store, w Workspace) error {
	_, _, err := checkFiles(ctx, store, w)
	return err
}

// checkFiles is CheckFiles. It returns the runs that have files, and the list of
// runs that it compared them with; both are nil if there are no files.
func checkFiles(ctx context.Context, store eventstore.Store, w Workspace) ([]training.RunID, *RunList, error) {
	runs, err := w.foundRuns()
	if err != nil || len(runs) == 0 {
		return nil, nil, err
	}
	list, err := ReadRuns(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	return runs, list, compareFiles(ctx, store, w, runs, list)
}

// CheckFilesOf is CheckFiles for a caller that has read the list of all runs, which
// is not read again unless it lacks something.
func CheckFilesOf(ctx context.Context, store eventstore.Store, w Workspace, list *RunList) error {
	runs, err := w.foundRuns()
	if err != nil || len(runs) == 0 {
		return err
	}
	return compareFiles(ctx, store, w, runs, list)
}

// compareFiles compares the files of runs with a list of runs, and with a new one
// where that lacks something.
func compareFiles(ctx context.Context, store eventstore.Store, w Workspace, runs []training.RunID, list *RunList) error {
	last := lastSteps(list)
	var err error
	ahead := map[training.RunID][]checkpoint.Uncommitted{}
	suspect := false
	for _, id := range runs {
		step, known := last[id]
		if known {
			if ahead[id], err = w.Checkpoints(id).Uncommitted(step); err != nil {
				return err
			}
		}
		suspect = suspect || older(w, id, ahead[id], step, known) != ""
	}
	if !suspect {
		return nil
	}
	// A process may have committed something since the log was read.
	if list, err = ReadRuns(ctx, store); err != nil {
		return err
	}
	last = lastSteps(list)
	head, err := store.Head(ctx)
	if err != nil {
		return err
	}
	bad := &OlderLogError{Dir: w.Dir, Head: head.Position}
	for _, id := range runs {
		step, known := last[id]
		if problem := older(w, id, ahead[id], step, known); problem != "" {
			bad.Problems = append(bad.Problems, problem)
		}
	}
	if len(bad.Problems) == 0 {
		return nil
	}
	return bad
}

// older says what a run's files show that the log does not have; "" where it
// has everything. found are the checkpoints after some step that the log knew;
// it knows those up to the step last.
func older(w Workspace, id training.RunID, found []checkpoint.Uncommitted, last uint64, known bool) string {
	if !known {
		return fmt.Sprintf("%s has the files of a run that the log does not have", w.RunDir(id))
	}
	unmarked := 0
	for _, u := range found {
		switch {
		case u.Step <= last:
		case u.Marked:
			return (&checkpoint.CommittedError{Folder: u.Folder, Position: u.Position}).Error()
		default:
			unmarked++
		}
	}
	if unmarked > 1 { // by a version that made no marks
		return fmt.Sprintf("%s has %d checkpoints after step %d, the last that the log has, but a crash leaves at most one", w.CheckpointsDir(id), unmarked, last)
	}
	return ""
}

// lastSteps returns for every run the step of the last checkpoint that it has in
// the log.
func lastSteps(list *RunList) map[training.RunID]uint64 {
	last := make(map[training.RunID]uint64, len(list.Runs))
	for _, r := range list.Runs {
		last[r.RunID] = r.Step
	}
	return last
}

// MarkCheckpoints fails as CheckFiles does, and then marks what the log has
// committed and what no version before the marks has marked, so that an older log is
// known for one. It looks at the last checkpoint of each run, and where that is not
// marked, at all of them. The caller holds the lock of the data directory.
func MarkCheckpoints(ctx context.Context, store eventstore.Store, w Workspace) error {
	runs, list, err := checkFiles(ctx, store, w)
	if err != nil || len(runs) == 0 {
		return err
	}
	there := map[training.RunID]bool{}
	for _, id := range runs {
		there[id] = true
	}
	log := NewRunLog(store, nil)
	for _, r := range list.Runs {
		if !there[r.RunID] || r.Step == r.ParentStep || w.Checkpoints(r.RunID).Marked(r.Step) {
			continue
		}
		record, err := log.Load(ctx, r.RunID)
		if err != nil {
			return err
		}
		for _, cp := range record.Checkpoints {
			if err := w.Checkpoints(r.RunID).Mark(CheckpointRef(cp), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// foundRuns returns the folders in runs/ that hold a run's files, by name. What is
// not named or built like one is the user's.
func (w Workspace) foundRuns() ([]training.RunID, error) {
	entries, err := w.files().ReadDir(w.RunsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []training.RunID
	for _, e := range entries {
		id := training.RunID(e.Name())
		if id.Validate() != nil {
			continue
		}
		if info, err := w.files().Stat(w.CheckpointsDir(id)); err == nil && info.IsDir() {
			runs = append(runs, id)
		}
	}
	return runs, nil
}
