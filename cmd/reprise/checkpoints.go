package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/journal"
	"reprise/service"
	"reprise/training"
)

// lastCheckpoint returns the newest checkpoint of a run.
func (env *environment) lastCheckpoint(run journal.RunRecord, w datadir.Workspace) (training.Checkpoint, error) {
	last, ok := run.LastCheckpoint()
	if !ok {
		return last, env.noCheckpoint(run, w)
	}
	return last, nil
}

// noCheckpoint says of a run without checkpoints what can be done about it.
func (env *environment) noCheckpoint(run journal.RunRecord, w datadir.Workspace) error {
	switch service.StateOf(run.Session.State, w) {
	case training.Failed:
		return invalid(fmt.Errorf("run %s failed before its first checkpoint: %s; correct the request and train it again",
			run.ID, strings.TrimSuffix(run.Reason, "; no checkpoint was written yet")))
	case training.Interrupted:
		return invalid(fmt.Errorf("run %s was interrupted before its first checkpoint; resume it with:\n  %s",
			run.ID, env.commandFor("runs resume", run.ID)))
	default:
		return invalid(fmt.Errorf("run %s has no checkpoint yet; the first one comes after %s",
			run.ID, plural(int(run.Session.Hyperparameters.CheckpointInterval), "epoch")))
	}
}

// checkpointAt returns the checkpoint at the step that a flag names.
func (env *environment) checkpointAt(
	run journal.RunRecord, w datadir.Workspace, flag string, step uint64,
) (training.Checkpoint, error) {
	if _, err := env.lastCheckpoint(run, w); err != nil {
		return training.Checkpoint{}, err
	}
	if i := indexOfStep(run, step); i >= 0 {
		return run.Checkpoints[i], nil
	}
	return training.Checkpoint{}, invalid(fmt.Errorf("%s: run %s has no checkpoint at step %d; use %s",
		flag, run.ID, step, env.nearestSteps(run, step)))
}

// badFiles adds to the error of reading a checkpoint what to do about it: where another
// checkpoint of the run is whole, to use the newest of those.
func badFiles(run journal.RunRecord, w datadir.Workspace, cp training.Checkpoint, or string, err error) error {
	if !errors.As(err, new(*checkpoint.CorruptError)) {
		return err
	}
	fix := "put a copy of it back; no other checkpoint of the run is whole"
	for _, other := range slices.Backward(run.Checkpoints) {
		if other.Step != cp.Step && w.Checkpoints(run.ID).Verify(other.Ref()) == nil {
			fix = fmt.Sprintf("put a copy of it back, or %s %d", or, other.Step)
			break
		}
	}
	return &datadir.AdvisedError{Err: err, Remedy: fix}
}

// indexOfStep returns the index of the checkpoint at a step, or -1.
func indexOfStep(run journal.RunRecord, step uint64) int {
	return slices.IndexFunc(run.Checkpoints, func(c training.Checkpoint) bool { return c.Step == step })
}

// nearestSteps lists the steps that there are, or the ones around a step where
// that would be too many to read.
func (env *environment) nearestSteps(run journal.RunRecord, step uint64) string {
	const most = 6
	list := run.Checkpoints
	from, more := 0, ""
	if len(list) > most {
		after := slices.IndexFunc(list, func(c training.Checkpoint) bool { return c.Step > step })
		if after < 0 {
			after = len(list)
		}
		from = min(max(after-most/2, 0), len(list)-most)
		more = fmt.Sprintf(", or one of the other %d that `%s --all` lists", len(list)-most, env.commandFor("runs show", run.ID))
	}
	var steps []string
	for _, c := range list[from:min(from+most, len(list))] {
		steps = append(steps, strconv.FormatUint(c.Step, 10))
	}
	return orList(steps) + more
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
