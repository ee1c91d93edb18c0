package datadir

import (
	"context"
	"fmt"

	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// RunFiles counts the copied files of runs.
type RunFiles struct {
	Runs        int `json:"runs"`
	Checkpoints int `json:"checkpoints"`
}

// CopyRunFiles copies every checkpoint, and every step series as far as a
// checkpoint covers it, that the log refers to, from one data directory to
// another, durably. Each is verified against its event on the way; one that is
// missing or damaged gives an error that names it.
//
// A process may continue to train in the first directory: what an event refers to
// is never changed. progress is told how many of all checkpoints are copied.
func CopyRunFiles(ctx context.Context, log eventstore.Store, to, from Workspace, progress func(done, of uint64)) (RunFiles, error) {
	return copyRunFiles(ctx, log, to, from, progress, func(run training.RunID, _ string, err error) error {
		return fmt.Errorf("run %s: %w", run, err)
	})
}

// copyRunFiles copies what the log refers to. It asks failed about what cannot be
// copied, and ends with its error or leaves that out.
func copyRunFiles(ctx context.Context, log eventstore.Store, to, from Workspace, progress func(done, of uint64),
	failed func(run training.RunID, what string, err error) error) (RunFiles, error) {
	var copied RunFiles
	state, err := journal.StateAt(ctx, log, eventstore.End)
	if err != nil {
		return copied, err
	}
	jobs, err := journal.ReadJobs(ctx, log)
	if err != nil {
		return copied, err
	}
	gone := func(id training.RunID) bool { // it was deleted
		job, _ := jobs.Job(queue.JobID(id))
		return job.Job.Deleted()
	}
	total := uint64(0)
	for _, r := range state.Runs {
		total += uint64(len(r.Kept()))
	}
	for _, r := range state.Runs {
		if gone(r.ID) {
			continue
		}
		if err := to.CreateRun(r.ID); err != nil {
			return copied, err
		}
		copied.Runs++
		for _, cp := range r.Kept() {
			if err := ctx.Err(); err != nil {
				return copied, err
			}
			if err := to.Checkpoints(r.ID).Copy(from.Checkpoints(r.ID), cp.Ref()); err != nil {
				if err := failed(r.ID, "checkpoint "+cp.Dir, err); err != nil {
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
			if err := failed(r.ID, "step series", err); err != nil {
				return copied, err
			}
		}
	}
	return copied, nil
}
