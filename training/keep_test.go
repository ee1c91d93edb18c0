package training_test

import (
	"errors"
	"slices"
	"testing"

	"reprise/training"
)

// removing folds a run of epochs with the given validation losses and a checkpoint after
// each, and returns the steps that are removed after each.
func removing(t *testing.T, keep training.Keep, forked []uint64, losses ...float64) (training.TrainingRun, [][]uint64) {
	t.Helper()
	return removingOf(t, keep, 1, forked, losses...)
}

// removingOf is removing with a checkpoint every interval epochs, and one at the end.
func removingOf(t *testing.T, keep training.Keep, interval uint64, forked []uint64, losses ...float64) (training.TrainingRun, [][]uint64) {
	t.Helper()
	h := training.Hyperparameters{Epochs: uint64(len(losses)), BatchSize: 1, CheckpointInterval: interval}
	h.Keep = keep
	run := training.TrainingRun{ID: "r", Session: training.TrainingSession{ID: "s", Hyperparameters: h, State: training.Running}}
	var removed [][]uint64
	for i, loss := range losses {
		epoch := uint64(i + 1)
		for _, e := range []training.Event{
			training.EpochCompleted{Epoch: epoch, Step: 10 * epoch, Metrics: training.Metrics{ValLoss: loss}},
			training.CheckpointCommitted{Checkpoint: training.Checkpoint{SessionID: "s", Epoch: epoch, Step: 10 * epoch}},
		} {
			if _, commits := e.(training.CheckpointCommitted); commits && epoch%interval != 0 && epoch != h.Epochs {
				continue
			}
			var err error
			if run, err = run.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		e, some := run.Remove(forked)
		if some != (len(e.Steps) > 0) {
			t.Fatalf("%+v, %v", e, some)
		}
		if removed = append(removed, e.Steps); some {
			if what := e.Contradicts(run); what != "" {
				t.Error(what)
			}
			var err error
			if run, err = run.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return run, removed
}

func stepsOf(list []training.Checkpoint) []uint64 {
	var steps []uint64
	for _, cp := range list {
		steps = append(steps, cp.Step)
	}
	return steps
}

func TestWhatIsKeptOfARun(t *testing.T) {
	long := make([]float64, 200)
	for i := range long {
		long[i] = float64(300 - i)
	}
	long[31] = 0.5
	for _, c := range []struct {
		name   string
		keep   training.Keep
		forked []uint64
		losses []float64
		want   []uint64
	}{
		{"the last and the best", training.Keep{Last: 1, Best: 1}, nil, []float64{3, 1, 2, 4}, []uint64{20, 40}},
		{"which may be one", training.Keep{Last: 1}, nil, []float64{4, 3, 2, 1}, []uint64{40}},
		{"the last two", training.Keep{Last: 2}, nil, []float64{1, 2, 3, 4}, []uint64{10, 30, 40}},
		{"the best two", training.Keep{Best: 2}, nil, []float64{1, 9, 2, 4, 3}, []uint64{10, 30, 50}},
		{"every third", training.Keep{Every: 3}, nil, []float64{9, 8, 7, 6, 5, 4, 3}, []uint64{30, 60, 70}},
		{"all", training.Keep{Every: 1}, nil, []float64{9, 8, 7}, []uint64{10, 20, 30}},
		{"where forks began", training.Keep{Last: 1}, []uint64{20}, []float64{4, 3, 2, 1}, []uint64{20, 40}},
		{"by default, ten epochs", training.Keep{}, nil, long[:10], []uint64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}},
		{
			"by default, two hundred", training.Keep{}, nil, long,
			[]uint64{200, 320, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 1910, 1920, 1930, 1940, 1950, 1960, 1970, 1980, 1990, 2000},
		},
	} {
		run, _ := removing(t, c.keep, c.forked, c.losses...)
		if got := stepsOf(run.Kept()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d are kept, want %d", c.name, got, c.want)
		}
		if len(run.Checkpoints) != len(c.losses) {
			t.Errorf("%s: only %d checkpoints are on record", c.name, len(run.Checkpoints))
		}
		best, _ := run.BestCheckpoint()
		last, _ := run.LastCheckpoint()
		if kept := run.Kept(); !slices.Contains(kept, best) || !slices.Contains(kept, last) {
			t.Errorf("%s: the best or the last is gone", c.name)
		}
	}
}

// Those that are spread over a run need not lie where the epochs divide evenly.
func TestCheckpointsAreSpreadWhateverTheirInterval(t *testing.T) {
	falling := make([]float64, 400)
	for i := range falling {
		falling[i] = float64(900 - i)
	}
	run, _ := removingOf(t, training.Keep{}, 9, nil, falling...)
	// From epochs 40, 80, 120 … on, the first; and the last ten.
	want := []uint64{450, 810, 1260, 1620, 2070, 2430, 2880, 3240, 3330, 3420, 3510, 3600, 3690, 3780, 3870, 3960, 4000}
	if got := stepsOf(run.Kept()); !slices.Equal(got, want) {
		t.Errorf("%d are kept, want %d", got, want)
	}
	run, _ = removingOf(t, training.Keep{Every: 4}, 3, nil, falling[:20]...)
	if got, want := stepsOf(run.Kept()), []uint64{60, 90, 120, 180, 200}; !slices.Equal(got, want) {
		t.Errorf("%d are kept, want %d", got, want)
	}
}

func TestARemovalThatWasNotDecidedIsFound(t *testing.T) {
	run, _ := removing(t, training.Keep{Every: 1}, nil, 3, 1, 2, 4)
	run.Session.Hyperparameters.Keep = training.Keep{Last: 1}
	for _, steps := range [][]uint64{nil, {10}, {30}, {10, 20}, {10, 30, 40}} {
		if (training.CheckpointsRemoved{Steps: steps}).Contradicts(run) == "" {
			t.Errorf("%d passes", steps)
		}
	}
	for _, e := range []training.CheckpointsRemoved{{Steps: []uint64{10, 30}}, {Steps: []uint64{10}, Forked: []uint64{30}}} {
		if what := e.Contradicts(run); what != "" {
			t.Errorf("%+v: %s", e, what)
		}
	}
	for _, steps := range [][]uint64{{40}, {15}, {10, 10}} { // the last, none, twice
		if _, err := run.Apply(training.CheckpointsRemoved{Steps: steps}); !errors.Is(err, training.ErrInvalidTransition) {
			t.Errorf("%d: %v", steps, err)
		}
	}
}
