package main

import (
	"testing"

	"reprise/api"
	"reprise/training"
)

// The fork that a summary offers begins with a checkpoint that is there, and has something
// to train.
func TestTheOfferedForkBeginsWithTheBestOrTheLastCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name             string
		state            training.State
		steps            []uint64
		removed, missing []uint64
		best             uint64
		epochs           uint64
		step             uint64
		which, setting   string
	}{
		{"the best is in the middle", training.Completed, []uint64{3, 6, 9, 12}, nil, nil, 6, 4, 6, "best", "config.learning_rate=0.01"},
		{"the best is the last", training.Completed, []uint64{3, 6, 9, 12}, nil, nil, 12, 4, 12, "last", "config.epochs=8"},
		{"only one is left", training.Completed, []uint64{3, 6}, []uint64{3}, nil, 6, 2, 6, "last", "config.epochs=4"},
		{"the files of the best are missing", training.Completed, []uint64{3, 6, 9}, nil, []uint64{6}, 6, 3, 9, "last", "config.epochs=6"},
		{"paused after the best", api.Paused, []uint64{3, 6, 9}, nil, nil, 3, 4, 9, "last", "config.learning_rate=0.01"},
		{"no more epochs are possible", training.Completed, []uint64{3}, nil, nil, 3, training.MaxEpochs, 0, "", ""},
		{"none is there", training.Completed, []uint64{3}, nil, []uint64{3}, 3, 1, 0, "", ""},
		{"none was written", training.Interrupted, nil, nil, nil, 0, 1, 0, "", ""},
	} {
		r := api.RunReport{BestStep: c.best, MissingSteps: c.missing}
		r.Details.State, r.Details.RemovedCheckpoints = c.state, c.removed
		r.Details.Hyperparameters.Epochs, r.Details.Hyperparameters.LearningRate.Value = c.epochs, 0.02
		for _, step := range c.steps {
			r.Details.Checkpoints = append(r.Details.Checkpoints, training.Checkpoint{Step: step})
		}
		if step, which, setting := forkPoint(r); step != c.step || which != c.which || setting != c.setting {
			t.Errorf("%s: step %d, %q, %q; want %d, %q, %q", c.name, step, which, setting, c.step, c.which, c.setting)
		}
	}
}
