package training

import (
	"fmt"
	"math"
	"slices"

	"reprise/fault"
	"reprise/internal/figures"
)

// Keep says which checkpoints of a run are kept. The last one always is, since the run
// resumes from it, and the best one, which is what predicts. The zero value stands for
// the default: Last 10, Best 1, and about ten spread evenly over the run, so that a run
// of 20 epochs or fewer loses few of them, if any, and a long one keeps some 20.
type Keep struct {
	// Last is how many of the newest are kept, and Best how many of those with the best
	// figures at the end of an epoch; 0 stands for 1.
	Last uint64 `json:"last,omitempty"`
	Best uint64 `json:"best,omitempty"`
	// Every keeps, of every so many epochs, the first checkpoint at the end of an epoch: that
	// of epoch Every, 2*Every … where there is one; 0 keeps none for that.
	Every uint64 `json:"every,omitempty"`
}

// MaxKeep bounds each number of a Keep.
const MaxKeep = MaxEpochs

// The default, which verification of a log computes again: another one needs a new event.
const (
	defaultLast   = 10
	defaultSpread = 10
)

// validate returns the fields that are wrong.
func (k Keep) validate() (errs []error) {
	for _, f := range []struct {
		name  string
		value uint64
	}{{"last", k.Last}, {"best", k.Best}, {"every", k.Every}} {
		if f.value > MaxKeep {
			errs = append(errs, &fault.FieldError{Field: "config.keep." + f.name, Value: fmt.Sprint(f.value),
				Problem: fmt.Sprintf("must be between 1 and %d", MaxKeep), Fix: "use a number such as 2, or 1 for every for all"})
		}
	}
	return errs
}

// kept returns what is kept of a run with these hyperparameters.
func (h Hyperparameters) kept() Keep {
	k := h.Keep
	if k == (Keep{}) {
		return Keep{Last: defaultLast, Best: 1, Every: max(1, (h.Epochs+defaultSpread-1)/defaultSpread)}
	}
	k.Last, k.Best = max(1, k.Last), max(1, k.Best)
	return k
}

// CheckpointsRemoved records that the files of checkpoints are about to be removed, since
// the run's Keep does not keep them. What is recorded of the checkpoints stays, and so
// does the proof of their bits.
type CheckpointsRemoved struct {
	// Steps are those of the checkpoints. Forked are those of others that would be removed
	// if no fork had begun there.
	Steps  []uint64 `json:"steps"`
	Forked []uint64 `json:"forked,omitempty"`
}

// EventType returns "training.checkpoints_removed.v1".
func (CheckpointsRemoved) EventType() string { return "training.checkpoints_removed.v1" }

func (CheckpointsRemoved) trainingEvent() {}

// Remark names the steps.
func (e CheckpointsRemoved) Remark() string {
	if n := len(e.Steps); n > 3 {
		return fmt.Sprintf("%s, of steps %d to %d", figures.Plural(n, "checkpoint"), e.Steps[0], e.Steps[n-1])
	}
	var steps []string
	for _, s := range e.Steps {
		steps = append(steps, fmt.Sprint(s))
	}
	return "of step " + figures.And(steps)
}

// Contradicts decides again what the run does not keep.
func (e CheckpointsRemoved) Contradicts(r TrainingRun) string {
	all := slices.Concat(e.Steps, e.Forked)
	slices.Sort(all)
	if want := r.superfluous(); !slices.Equal(all, want) || len(e.Steps) == 0 {
		return fmt.Sprintf("steps: recorded %v, and %v of forks; what is to be kept gives %v", e.Steps, e.Forked, want)
	}
	return ""
}

// Remove returns the event that removes what the run does not keep; false if that is
// nothing. forked are the steps at which forks began.
func (r TrainingRun) Remove(forked []uint64) (CheckpointsRemoved, bool) {
	var e CheckpointsRemoved
	for _, step := range r.superfluous() {
		if slices.Contains(forked, step) {
			e.Forked = append(e.Forked, step)
		} else {
			e.Steps = append(e.Steps, step)
		}
	}
	return e, len(e.Steps) > 0
}

// superfluous returns the steps of the checkpoints that are there and are not kept.
func (r TrainingRun) superfluous() []uint64 {
	k := r.Session.Hyperparameters.kept()
	there := r.Kept()
	last := len(there) - int(min(k.Last, math.MaxInt32)) //nolint:gosec // it is bounded
	if last <= 0 {
		return nil
	}
	best := map[uint64]bool{}
	rest := r
	rest.Checkpoints = slices.Clone(there)
	for range k.Best {
		cp, ok := rest.BestCheckpoint()
		if !ok {
			break
		}
		best[cp.Step] = true
		rest.Checkpoints = slices.DeleteFunc(rest.Checkpoints, func(other Checkpoint) bool { return other == cp })
	}
	spread := r.spread(k.Every)
	var steps []uint64
	for _, cp := range there[:last] {
		if every := spread[cp.Step]; !every && !best[cp.Step] {
			steps = append(steps, cp.Step)
		}
	}
	return steps
}

// spread returns the steps of the first checkpoint at the end of an epoch from each
// multiple of every on: with 40, that of epoch 40 or the next one, that of 80 …. It does not
// depend on which of them were removed.
func (r TrainingRun) spread(every uint64) map[uint64]bool {
	steps := map[uint64]bool{}
	if every == 0 {
		return steps
	}
	window := uint64(0)
	for _, cp := range r.Checkpoints {
		m, ended := r.Epoch(cp.Epoch)
		if n := cp.Epoch / every; n > window && ended && m.Step == cp.Step {
			window, steps[cp.Step] = n, true
		}
	}
	return steps
}

// Kept returns the checkpoints whose files were not removed.
func (r TrainingRun) Kept() []Checkpoint {
	if len(r.Removed) == 0 {
		return r.Checkpoints
	}
	gone := make(map[uint64]bool, len(r.Removed))
	for _, step := range r.Removed {
		gone[step] = true
	}
	kept := make([]Checkpoint, 0, len(r.Checkpoints))
	for _, cp := range r.Checkpoints {
		if !gone[cp.Step] {
			kept = append(kept, cp)
		}
	}
	return kept
}

// remove records that checkpoints are gone. The last one never is, nor one that is not
// there.
func (r TrainingRun) remove(e CheckpointsRemoved) (TrainingRun, error) {
	last, _ := r.LastCheckpoint()
	there := r.Kept()
	for i, step := range e.Steps {
		known := slices.ContainsFunc(there, func(cp Checkpoint) bool { return cp.Step == step })
		if !known || step == last.Step || slices.Contains(e.Steps[:i], step) {
			return r, fmt.Errorf("the checkpoint at step %d is removed: %w", step, ErrInvalidTransition)
		}
	}
	r.Removed = append(r.Removed, e.Steps...)
	return r, nil
}
