package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"reprise/datadir"
	"reprise/journal"
	"reprise/service"
	"reprise/training"
)

// lastCheckpoint is service.LastCheckpoint, with the commands that help.
func (env *environment) lastCheckpoint(run journal.RunRecord, w datadir.Workspace) (training.Checkpoint, error) {
	last, err := service.LastCheckpoint(run, w)
	return last, env.withCommands(err)
}

// cannotResume adds to the error of a run that has ended what can be done instead.
func (env *environment) cannotResume(run journal.RunRecord, err error) error {
	if len(run.Checkpoints) == 0 {
		return fmt.Errorf("%w; correct the request and train it again", err)
	}
	set := fmt.Sprintf(" --set config.epochs=%d", 2*run.Session.Hyperparameters.Epochs)
	if run.Session.State == training.Failed {
		set = fmt.Sprintf(" --set config.learning_rate=%v", run.Session.Hyperparameters.LearningRate.Value/2)
	}
	return fmt.Errorf("%w; start another run from its last checkpoint, with other settings, such as:\n  %s",
		err, env.commandFor("runs fork", run.ID)+set)
}

// checkpointAt is service.CheckpointAt for the step that a flag names.
func (env *environment) checkpointAt(
	run journal.RunRecord, w datadir.Workspace, flag string, step uint64,
) (training.Checkpoint, error) {
	cp, err := service.CheckpointAt(run, w, flag, step)
	return cp, env.withCommands(err)
}

// checkResumePoint fails where the files of the checkpoint that a run would continue
// from are not what was committed: its own last one or, before that, its parent's.
func (env *environment) checkResumePoint(ctx context.Context, r runReader) error {
	run := r.run
	cp, own := run.LastCheckpoint()
	if !own {
		parent := run.Session.Parent
		if parent == nil {
			return nil // it starts again
		}
		cp = parent.Checkpoint
		var err error
		if run, err = r.log.Load(ctx, parent.RunID); err != nil {
			return err
		}
	}
	return service.CheckFiles(run, r.workspace, cp, env.commandFor("runs fork", run.ID)+" --from", "fork the run from another checkpoint")
}

// stepFlag is a step of a run given by a flag.
type stepFlag uint64

// String implements pflag.Value.
func (s *stepFlag) String() string { return strconv.FormatUint(uint64(*s), 10) }

// Type implements pflag.Value.
func (s *stepFlag) Type() string { return "uint64" }

// Set implements pflag.Value.
func (s *stepFlag) Set(text string) error {
	v, err := parseCount(text)
	if err == nil {
		*s = stepFlag(v)
	}
	return err
}

// parseCount reads a whole number as it is printed, with or without separators:
// 1,350.
func parseCount(text string) (uint64, error) {
	if v, err := strconv.ParseUint(strings.ReplaceAll(text, ",", ""), 10, 64); err == nil && thousands(v) == text {
		return v, nil
	}
	return strconv.ParseUint(text, 10, 64)
}
