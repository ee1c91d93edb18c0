package integration

import (
	"path/filepath"

	"reprise/checkpoint"
	"reprise/internal/fsync"
	"reprise/internal/stepseries"
	"reprise/training"
)

// runFiles keeps the files of runs. What it acknowledges survives the loss of
// power.
type runFiles interface {
	// createRun makes a run's folders.
	createRun(training.RunID) error
	writeCheckpoint(training.RunID, checkpoint.Content) (checkpoint.Ref, error)
	readCheckpoint(training.RunID, checkpoint.Ref) (checkpoint.Content, error)
	// sweepCheckpoints removes all of a run's checkpoints but those to keep.
	sweepCheckpoints(id training.RunID, keep []checkpoint.Ref) error
	// resumeSeries opens the step series behind what keep pins.
	resumeSeries(id training.RunID, keep stepseries.Digest) (stepSeries, error)
}

// stepSeries is what a run needs of a stepseries.Writer.
type stepSeries interface {
	Append(stepseries.Record) error
	Flush() error
	Commit() (stepseries.Digest, error)
	Close() error
}

// Workspace names the files of a data directory. The event store and the lock
// of the directory are opened by cmd.
type Workspace struct {
	// Dir is the data directory.
	Dir string
}

// EventsPath returns the path of the event store.
func (w Workspace) EventsPath() string { return filepath.Join(w.Dir, "events.db") }

// LockPath returns the path of the file that the one writing process locks.
func (w Workspace) LockPath() string { return filepath.Join(w.Dir, "lock") }

// RunDir returns the folder of a run's files.
func (w Workspace) RunDir(id training.RunID) string {
	return filepath.Join(w.Dir, "runs", string(id))
}

// CheckpointsDir returns the folder that a run's checkpoints lie in.
func (w Workspace) CheckpointsDir(id training.RunID) string {
	return filepath.Join(w.RunDir(id), "checkpoints")
}

// SeriesPath returns the path of a run's per-step metrics.
func (w Workspace) SeriesPath(id training.RunID) string {
	return filepath.Join(w.RunDir(id), "steps.series")
}

// createRun makes a run's folders, durable: a checkpoint is lost with any of
// them.
func (w Workspace) createRun(id training.RunID) error {
	return fsync.MkdirAll(w.CheckpointsDir(id), 0o755)
}

func (w Workspace) writeCheckpoint(id training.RunID, c checkpoint.Content) (checkpoint.Ref, error) {
	return checkpoint.Write(w.CheckpointsDir(id), c)
}

func (w Workspace) readCheckpoint(id training.RunID, ref checkpoint.Ref) (checkpoint.Content, error) {
	return checkpoint.Read(w.CheckpointsDir(id), ref)
}

func (w Workspace) sweepCheckpoints(id training.RunID, keep []checkpoint.Ref) error {
	_, err := checkpoint.Sweep(w.CheckpointsDir(id), keep)
	return err
}

func (w Workspace) resumeSeries(id training.RunID, keep stepseries.Digest) (stepSeries, error) {
	series, err := stepseries.Resume(w.SeriesPath(id), keep)
	if err != nil {
		return nil, err
	}
	return series, nil
}
