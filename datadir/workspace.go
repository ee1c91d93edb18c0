package datadir

import (
	"path/filepath"

	"reprise/checkpoint"
	"reprise/internal/disk"
	"reprise/internal/stepseries"
	"reprise/tensor"
	"reprise/training"
)

// Workspace names the files of a data directory. Open opens it for writing; readers
// open its event store themselves.
type Workspace struct {
	// Dir is the data directory.
	Dir string
	// Disk holds the runs' files. nil stands for the operating system's,
	// limited to what is below RunsDir: symbolic links below it cannot lead out
	// of it.
	Disk disk.FS
}

// files returns the disk of the runs' files.
func (w Workspace) files() disk.FS {
	if w.Disk == nil {
		return disk.Within{Dir: w.RunsDir()}
	}
	return w.Disk
}

// EventsPath returns the path of the event store.
func (w Workspace) EventsPath() string { return filepath.Join(w.Dir, "events.db") }

// LockPath returns the path of the file that the one writing process locks.
func (w Workspace) LockPath() string { return filepath.Join(w.Dir, "lock") }

// RunsDir returns the folder of all runs' files. It may be a symbolic link of the
// user's, to another disk.
func (w Workspace) RunsDir() string { return filepath.Join(w.Dir, "runs") }

// RunDir returns the folder of a run's files.
func (w Workspace) RunDir(id training.RunID) string {
	return filepath.Join(w.RunsDir(), string(id))
}

// CheckpointsDir returns the folder that a run's checkpoints lie in.
func (w Workspace) CheckpointsDir(id training.RunID) string {
	return filepath.Join(w.RunDir(id), "checkpoints")
}

// SeriesPath returns the path of a run's per-step metrics.
func (w Workspace) SeriesPath(id training.RunID) string {
	return filepath.Join(w.RunDir(id), "steps.series")
}

// InitialPath returns the path of the initial weights of a run that its seed does not give.
func (w Workspace) InitialPath(id training.RunID) string {
	return filepath.Join(w.RunDir(id), "initial.safetensors")
}

// Initial returns the initial weights of a run that its seed does not give.
func (w Workspace) Initial(id training.RunID) checkpoint.Initial {
	return checkpoint.Initial{Path: w.InitialPath(id), Disk: w.files()}
}

// KeepInitial makes the initial weights of a run durable. Nothing of a run needs to be there
// yet: its folder alone, without one for checkpoints, does not count as files of a run.
func (w Workspace) KeepInitial(id training.RunID, weights []tensor.Tensor) error {
	if err := disk.MkdirAll(disk.Or(w.Disk), w.RunsDir(), 0o755); err != nil {
		return err
	}
	return w.Initial(id).Write(weights)
}

// CreateRun makes a run's folders, durable: a checkpoint is lost with any of
// them. A process may have died between making one and syncing its name, so the
// names of all are synced, whoever made them.
func (w Workspace) CreateRun(id training.RunID) error {
	if err := disk.MkdirAll(disk.Or(w.Disk), w.RunsDir(), 0o755); err != nil {
		return err
	}
	for _, folder := range []string{w.RunDir(id), w.CheckpointsDir(id)} {
		if err := disk.MkdirAll(w.files(), folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Checkpoints returns the folder of a run's checkpoints.
func (w Workspace) Checkpoints(id training.RunID) checkpoint.Folder {
	return checkpoint.Folder{Path: w.CheckpointsDir(id), Disk: w.files()}
}

// Series returns a run's per-step metrics.
func (w Workspace) Series(id training.RunID) stepseries.Series {
	return stepseries.Series{Path: w.SeriesPath(id), Disk: w.files()}
}
