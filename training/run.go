package training

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// EpochMetrics is one row of a run's history.
type EpochMetrics struct {
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	Metrics
}

// MetricsHistory has one row for every completed epoch, in order, without gaps or
// repeats; that of a fork begins with the fork's own first epoch. The metrics of
// single steps are in the run's step series.
type MetricsHistory []EpochMetrics

// TrainingRun is the aggregate of one run: its session, its committed
// checkpoints and its metrics. Everything in it comes from its events.
type TrainingRun struct {
	ID          RunID           `json:"run_id"`
	Session     TrainingSession `json:"session"`
	Checkpoints []Checkpoint    `json:"checkpoints"`
	Metrics     MetricsHistory  `json:"metrics"`
	// Removed are the steps of the checkpoints whose files were removed, in the order in
	// which they were.
	Removed []uint64 `json:"removed_checkpoints,omitempty"`
	// Evaluations are those within epochs, in the order of their steps.
	Evaluations []Evaluation `json:"evaluations,omitempty"`
	// Stopped says why and when training ended before its last epoch; nil if it did
	// not.
	Stopped *EarlyStopped `json:"early_stopped,omitempty"`
	// Moved says where the data are; nil for where the session says.
	Moved *DatasetMoved `json:"moved_dataset,omitempty"`
	// Figures are those of the best checkpoint of a run that has completed; nil if none
	// are on record.
	Figures *FiguresComputed `json:"figures,omitempty"`
	// Reason is why the run was interrupted or failed; otherwise "".
	Reason string `json:"reason,omitempty"`
	// Interruptions counts how often training was stopped, by request or by a
	// crash; Reproduced counts the epochs that were trained again with the same
	// metrics.
	Interruptions int `json:"interruptions"`
	Reproduced    int `json:"reproduced_epochs"`
}

// AddCheckpoint returns the run with the checkpoint added. It fails with
// ErrInvalidCheckpoint for a checkpoint of another session, and with
// ErrNonMonotonicCheckpoint unless (epoch, step) is ahead of the last one and
// neither decreases.
func (r TrainingRun) AddCheckpoint(cp Checkpoint) (TrainingRun, error) {
	return r.clipped().addCheckpoint(cp)
}

func (r TrainingRun) addCheckpoint(cp Checkpoint) (TrainingRun, error) {
	if cp.SessionID != r.Session.ID {
		return r, fmt.Errorf("checkpoint of session %q in a run of session %q: %w", cp.SessionID, r.Session.ID, ErrInvalidCheckpoint)
	}
	last, ok := r.LastCheckpoint()
	if !ok && r.Session.Parent != nil {
		last, ok = r.Session.Parent.Checkpoint, true
	}
	if ok {
		behind := cp.Epoch < last.Epoch || cp.Step < last.Step
		if behind || (cp.Epoch == last.Epoch && cp.Step == last.Step) {
			return r, fmt.Errorf("epoch %d step %d after epoch %d step %d: %w",
				cp.Epoch, cp.Step, last.Epoch, last.Step, ErrNonMonotonicCheckpoint)
		}
	}
	r.Checkpoints = append(r.Checkpoints, cp)
	return r, nil
}

// LastCheckpoint returns the last committed checkpoint, if there is one.
func (r TrainingRun) LastCheckpoint() (Checkpoint, bool) {
	if len(r.Checkpoints) == 0 {
		return Checkpoint{}, false
	}
	return r.Checkpoints[len(r.Checkpoints)-1], true
}

// ResumePoint returns the step and the completed epochs that training resumes from:
// those of the last checkpoint, those of the parent's checkpoint for a fork that
// has none of its own, or 0.
func (r TrainingRun) ResumePoint() (step, epoch uint64) {
	if last, ok := r.LastCheckpoint(); ok {
		return last.Step, last.Epoch
	}
	return r.Session.Parent.Step(), r.Session.Parent.Epoch()
}

// Epoch returns the record of a completed epoch, counted from 1. The epochs before a
// fork are its parent's.
func (r TrainingRun) Epoch(epoch uint64) (EpochMetrics, bool) {
	before := r.Session.Parent.Epoch()
	if epoch <= before || epoch > before+uint64(len(r.Metrics)) {
		return EpochMetrics{}, false
	}
	return r.Metrics[epoch-before-1], true
}

// RecordEpoch returns the event for an epoch that was just trained: EpochCompleted
// for a new epoch, EpochReproduced for one that was recorded before a crash. It
// fails with ErrNotReproducible if the metrics differ.
func (r TrainingRun) RecordEpoch(m EpochMetrics) (Event, error) {
	known, ok := r.Epoch(m.Epoch)
	if !ok {
		return EpochCompleted{Epoch: m.Epoch, Step: m.Step, Metrics: m.Metrics}, nil
	}
	if known != m {
		return nil, fmt.Errorf("epoch %d %w: %+v instead of %+v", m.Epoch, ErrNotReproducible, m, known)
	}
	return EpochReproduced{Epoch: m.Epoch, Step: m.Step}, nil
}

// RecordEvaluation returns the event for an evaluation that was just made within
// an epoch, or nil if the same was recorded before a crash. It fails with
// ErrNotReproducible if the metrics differ.
func (r TrainingRun) RecordEvaluation(e Evaluation) (Event, error) {
	i, ok := slices.BinarySearchFunc(r.Evaluations, e.Step, func(e Evaluation, step uint64) int { return cmp.Compare(e.Step, step) })
	if !ok {
		return EvaluationCompleted{Evaluation: e}, nil
	}
	if known := r.Evaluations[i]; known != e {
		return nil, fmt.Errorf("the evaluation at step %d %w: %+v instead of %+v", e.Step, ErrNotReproducible, e, known)
	}
	return nil, nil
}

// BestCheckpoint returns the checkpoint with the best monitored figure, by default the
// lowest validation loss, of those at the end of an epoch, the first of equal ones; it
// reports false if there is none at the end of an epoch.
func (r TrainingRun) BestCheckpoint() (Checkpoint, bool) {
	best, found := Checkpoint{}, false
	lowest := math.Inf(1)
	for _, cp := range r.Checkpoints {
		m, ok := r.Epoch(cp.Epoch)
		cost := r.Session.Hyperparameters.cost(m.ValLoss, m.Monitored)
		if !ok || m.Step != cp.Step || found && !(cost < lowest) {
			continue
		}
		if best, found = cp, true; cost == cost { // an undefined figure gives way to any
			lowest = cost
		}
	}
	return best, found
}

// Resume returns the event that resumes an interrupted run, or ErrCannotResume.
func (r TrainingRun) Resume() (TrainingResumed, error) {
	if !r.Session.CanResume() {
		return TrainingResumed{}, fmt.Errorf("run %s has %s: %w", r.ID, r.Session.State, ErrCannotResume)
	}
	step, _ := r.ResumePoint()
	return TrainingResumed{FromStep: step}, nil
}

// Apply returns the run after the event. It fails with ErrInvalidTransition,
// ErrInvalidCheckpoint or ErrNonMonotonicCheckpoint for an event that cannot
// have happened.
func (r TrainingRun) Apply(event Event) (TrainingRun, error) { return r.clipped().Extend(event) }

// clipped returns the run with lists that are copied when they grow.
func (r TrainingRun) clipped() TrainingRun {
	r.Checkpoints, r.Metrics, r.Evaluations = slices.Clip(r.Checkpoints), slices.Clip(r.Metrics), slices.Clip(r.Evaluations)
	r.Removed = slices.Clip(r.Removed)
	return r
}

// Extend is Apply for a caller that applies no other event to r, as when it folds a
// history: the lists of the run that it returns may share memory with those of r,
// so that a long history is not copied once for every event.
func (r TrainingRun) Extend(event Event) (TrainingRun, error) {
	if started, ok := event.(TrainingStarted); ok {
		return r.start(started)
	}
	if r.ID == "" || (r.Session.State.Terminal() && !isRelease(event)) {
		return r, fmt.Errorf("%s for a run that is %q: %w", event.EventType(), r.Session.State, ErrInvalidTransition)
	}
	switch e := event.(type) {
	case FiguresComputed: // before the other remarks, which the record does not keep
		r.Figures = &e
	case CheckpointsRemoved:
		return r.remove(e)
	case DatasetMoved:
		r.Moved = &e
	case TrainingStarted, ResourceAllocated, DatasetLoaded, DeviceReleased, DatasetUnloaded, Remark:
		// The start is above; the others change only the saga, if anything.
	case ModelInitialized:
		r.Session.State = Running
	case EpochCompleted:
		if last := r.Session.Parent.Epoch() + uint64(len(r.Metrics)); e.Epoch != last+1 {
			return r, fmt.Errorf("epoch %d after epoch %d: %w", e.Epoch, last, ErrInvalidTransition)
		}
		r.Metrics = append(r.Metrics, EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Metrics})
	case EpochReproduced:
		r.Reproduced++
	case EvaluationCompleted:
		if n := len(r.Evaluations); n > 0 && e.Step <= r.Evaluations[n-1].Step {
			return r, fmt.Errorf("evaluation at step %d after step %d: %w", e.Step, r.Evaluations[n-1].Step, ErrInvalidTransition)
		}
		r.Evaluations = append(r.Evaluations, e.Evaluation)
	case EarlyStopped:
		r.Stopped = &e
	case CheckpointCommitted:
		return r.addCheckpoint(e.Checkpoint)
	case TrainingInterrupted:
		r.Session.State, r.Reason = Interrupted, e.Cause
		r.Interruptions++
	case TrainingResumed:
		r.Session.State, r.Reason = Initializing, ""
	case TrainingFailed:
		r.Reason = e.Reason
	case ResourceAllocationFailed:
		r.Reason = e.Reason
	case DatasetLoadFailed:
		r.Reason = e.Reason
	case ModelInitializationFailed:
		r.Reason = e.Reason
	case CheckpointFailed:
		r.Session.State, r.Reason = Interrupted, e.Reason
		r.Interruptions++
	case TrainingCompleted:
		r.Session.State, r.Reason = Completed, ""
	case RunFailed:
		r.Session.State, r.Reason = Failed, e.Reason
	}
	return r, nil
}

func (r TrainingRun) start(e TrainingStarted) (TrainingRun, error) {
	if r.ID != "" {
		return r, fmt.Errorf("%s for run %s, which has started: %w", e.EventType(), r.ID, ErrInvalidTransition)
	}
	return TrainingRun{ID: e.RunID, Session: TrainingSession{
		ID: e.SessionID, ModelID: e.ModelID, Architecture: e.Architecture,
		Dataset: e.Dataset, Hyperparameters: e.Hyperparameters, Parent: e.Parent, Init: e.Init, State: Initializing,
	}}, nil
}

// isRelease reports whether the event may follow the end of a run: what the run held
// is released after its result is recorded.
func isRelease(event Event) bool {
	_, device := event.(DeviceReleased)
	_, data := event.(DatasetUnloaded)
	return device || data
}
