package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"reprise/checkpoint"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/training"
)

// RunFiles counts the copied files of runs.
type RunFiles struct {
	Runs        int `json:"runs"`
	Checkpoints int `json:"checkpoints"`
}

// backupTries bounds how often Backup copies the log.
const backupTries = 20

// Backup copies a data directory in which a process may train: with copyLog its log, to
// to.EventsPath(), and then what that copy refers to. Between the two a run may remove
// checkpoints, or be deleted. What is there is therefore copied before the log is, and
// where something is still gone afterwards, and live says that it was removed, Backup
// starts again with a newer copy of the log. live is the log of the directory from.
func Backup(ctx context.Context, live eventstore.Store, to, from Workspace, copyLog func() (eventstore.Store, error),
	progress func(done, of uint64)) (RunFiles, error) {
	b := backup{runCopy: newRunCopy(to, from), live: live, timeline: journal.NewTimeline()}
	for try := 1; ; try++ {
		b.copyAhead(ctx, progress)
		if err := to.removeLog(); err != nil {
			return RunFiles{}, err
		}
		log, err := copyLog()
		if err != nil {
			return RunFiles{}, err
		}
		var removed training.RunID
		copied, err := b.copyAll(ctx, log, progress, func(run training.RunID, step uint64, _ string, err error) error {
			if b.removed(ctx, run, step, err) {
				removed = run
			}
			return fmt.Errorf("run %s: %w", run, err)
		})
		if err = errors.Join(err, log.Close()); err == nil || removed == "" {
			return copied, err
		}
		if try == backupTries {
			return copied, fault.New(fault.Conflict, "run %s removed checkpoints during each of %d attempts to copy them; pause it, or wait until it has ended", removed, try)
		}
	}
}

// backup is a backup that is being made.
type backup struct {
	runCopy
	live     eventstore.Store
	timeline *journal.Timeline
}

// follow reads what was appended to the log.
func (b *backup) follow(ctx context.Context) (journal.SystemState, error) {
	_, err := eventstore.Walk(ctx, b.live, b.timeline.State().Position, eventstore.End, b.timeline.Apply)
	return b.timeline.State(), err
}

// copyAhead copies the checkpoints that there are, until it has caught up with the runs.
// What it cannot copy is for the copy of the log to say: it may not be needed any more.
func (b *backup) copyAhead(ctx context.Context, progress func(done, of uint64)) {
	for range backupTries {
		state, err := b.follow(ctx)
		if err != nil {
			return
		}
		gone, some := deletedRuns(state), false
		done, total := uint64(0), countKept(state, gone)
		for _, r := range state.Runs {
			if gone[r.ID] {
				continue
			}
			if b.to.CreateRun(r.ID) != nil || b.initial(r) != nil {
				return
			}
			for _, cp := range r.Kept() {
				if ctx.Err() != nil {
					return
				}
				if b.have[r.ID][cp] {
					done++
				} else if b.checkpoint(r.ID, cp) == nil {
					done, some = done+1, true
					progress(done, total)
				}
			}
		}
		if !some {
			return
		}
	}
}

// removed reports whether the files that could not be copied were removed as the log says.
func (b *backup) removed(ctx context.Context, id training.RunID, step uint64, err error) bool {
	state, failed := b.follow(ctx)
	if failed != nil {
		return false
	}
	if deletedRuns(state)[id] {
		return true
	}
	i := slices.IndexFunc(state.Runs, func(r journal.RunRecord) bool { return r.ID == id })
	return i >= 0 && errors.Is(err, checkpoint.ErrMissing) && slices.Contains(state.Runs[i].Removed, step)
}

// removeLog removes the log of a data directory that is being made.
func (w Workspace) removeLog() error {
	files := disk.Or(w.Disk)
	entries, err := files.ReadDir(w.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(w.EventsPath())) {
			if err := files.Remove(filepath.Join(w.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// CopyRunFiles copies every checkpoint, the initial weights of every run, and every step series as far as a
// checkpoint covers it, that the log refers to, from one data directory to
// another, durably. Each is verified against its event on the way; one that is
// missing or damaged gives an error that names it. Nobody may train in the first
// directory meanwhile: Backup is for that.
//
// progress is told how many of all checkpoints are copied.
func CopyRunFiles(ctx context.Context, log eventstore.Store, to, from Workspace, progress func(done, of uint64)) (RunFiles, error) {
	c := newRunCopy(to, from)
	return c.copyAll(ctx, log, progress, func(run training.RunID, _ uint64, _ string, err error) error {
		return fmt.Errorf("run %s: %w", run, err)
	})
}

// runCopy copies the files of runs to a data directory that is being made.
type runCopy struct {
	to, from Workspace
	have     map[training.RunID]map[training.Checkpoint]bool
}

func newRunCopy(to, from Workspace) runCopy {
	return runCopy{to, from, map[training.RunID]map[training.Checkpoint]bool{}}
}

// checkpoint copies one that is not there yet.
func (c *runCopy) checkpoint(id training.RunID, cp training.Checkpoint) error {
	if c.have[id][cp] {
		return nil
	}
	if err := c.to.Checkpoints(id).Copy(c.from.Checkpoints(id), cp.Ref()); err != nil {
		return err
	}
	if c.have[id] == nil {
		c.have[id] = map[training.Checkpoint]bool{}
	}
	c.have[id][cp] = true
	return nil
}

// initial copies the initial weights of a run that its seed does not give, if there are any.
func (c *runCopy) initial(r journal.RunRecord) error {
	init := r.Session.Init
	if init == nil || c.to.Initial(r.ID).Verify(init.WeightsSHA256) == nil {
		return nil
	}
	return c.to.Initial(r.ID).Copy(c.from.Initial(r.ID), init.WeightsSHA256)
}

// keepOnly removes the copies of checkpoints that the log does not have, or no longer.
func (c *runCopy) keepOnly(state journal.SystemState, gone map[training.RunID]bool) error {
	for _, r := range state.Runs {
		if gone[r.ID] {
			if _, err := c.to.RemoveRun(r.ID); err != nil {
				return err
			}
			delete(c.have, r.ID)
			continue
		}
		kept := r.Kept()
		for cp := range c.have[r.ID] {
			if slices.Contains(kept, cp) {
				continue
			}
			if err := c.to.Checkpoints(r.ID).Remove(cp.Step); err != nil {
				return err
			}
			delete(c.have[r.ID], cp)
		}
	}
	return nil
}

// deletedRuns returns the runs that were deleted.
func deletedRuns(state journal.SystemState) map[training.RunID]bool {
	gone := map[training.RunID]bool{}
	for _, j := range state.Jobs {
		if j.Job.Deleted() {
			gone[training.RunID(j.Job.ID())] = true
		}
	}
	return gone
}

// countKept counts the checkpoints of the runs that were not deleted.
func countKept(state journal.SystemState, gone map[training.RunID]bool) (n uint64) {
	for _, r := range state.Runs {
		if !gone[r.ID] {
			n += uint64(len(r.Kept()))
		}
	}
	return n
}

// copyAll copies what the log refers to and is not copied yet, and removes the copies of
// everything else. It asks failed about what cannot be copied, and ends with its error or
// leaves that out. step is 0 for a step series.
func (c *runCopy) copyAll(ctx context.Context, log eventstore.Store, progress func(done, of uint64),
	failed func(run training.RunID, step uint64, what string, err error) error) (RunFiles, error) {
	var copied RunFiles
	to, from := c.to, c.from
	state, err := journal.StateAt(ctx, log, eventstore.End)
	if err != nil {
		return copied, err
	}
	gone := deletedRuns(state)
	if err := c.keepOnly(state, gone); err != nil {
		return copied, err
	}
	total := countKept(state, gone)
	for _, r := range state.Runs {
		if gone[r.ID] {
			continue
		}
		if err := to.CreateRun(r.ID); err != nil {
			return copied, err
		}
		copied.Runs++
		if err := c.initial(r); err != nil {
			if err := failed(r.ID, 0, "initial weights", err); err != nil {
				return copied, err
			}
		}
		for _, cp := range r.Kept() {
			if err := ctx.Err(); err != nil {
				return copied, err
			}
			if err := c.checkpoint(r.ID, cp); err != nil {
				if err := failed(r.ID, cp.Step, "checkpoint "+cp.Dir, err); err != nil {
					return copied, err
				}
				continue
			}
			if err := to.Checkpoints(r.ID).Mark(cp.Ref(), 0); err != nil {
				return copied, fmt.Errorf("run %s: %w", r.ID, err)
			}
			copied.Checkpoints++
			progress(uint64(copied.Checkpoints), total)
		}
		last, ok := r.LastCheckpoint()
		if !ok {
			continue
		}
		pinned := stepseries.Digest{Records: last.Step, SHA256: last.SeriesSHA256}
		if err := to.Series(r.ID).Copy(from.Series(r.ID), pinned); err != nil {
			if err := failed(r.ID, 0, "step series", err); err != nil {
				return copied, err
			}
		}
	}
	return copied, nil
}
