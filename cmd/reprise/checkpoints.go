package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reprise/integration"
	"reprise/training"
)

// lastCheckpoint returns the newest checkpoint of a run.
func lastCheckpoint(run integration.RunRecord) (training.Checkpoint, error) {
	last, ok := run.LastCheckpoint()
	if !ok {
		return last, invalid(fmt.Errorf("run %s has no checkpoint yet; the first one comes after %s",
			run.ID, plural(int(run.Session.Hyperparameters.CheckpointInterval), "epoch")))
	}
	return last, nil
}

// checkpointAt returns the checkpoint at the step that a flag names.
func checkpointAt(run integration.RunRecord, flag string, step uint64) (training.Checkpoint, error) {
	if _, err := lastCheckpoint(run); err != nil {
		return training.Checkpoint{}, err
	}
	for _, cp := range run.Checkpoints {
		if cp.Step == step {
			return cp, nil
		}
	}
	return training.Checkpoint{}, invalid(fmt.Errorf("%s: run %s has no checkpoint at step %d; use %s", flag, run.ID, step, nearestSteps(run.Checkpoints, step)))
}

// nearestSteps lists the steps that there are, or the ones around a step where
// that would be too many to read.
func nearestSteps(list []training.Checkpoint, step uint64) string {
	const most = 6
	from, more := 0, ""
	if len(list) > most {
		after := slices.IndexFunc(list, func(c training.Checkpoint) bool { return c.Step > step })
		if after < 0 {
			after = len(list)
		}
		from = min(max(after-most/2, 0), len(list)-most)
		more = fmt.Sprintf(", or one of the other %d that `reprise runs show --all` lists", len(list)-most)
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
