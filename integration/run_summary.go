package integration

import (
	"fmt"
	"slices"
	"time"

	"reprise/eventstore"
	"reprise/training"
)

// RunSummary is what listings show of a run: its record without what grows with
// its length. It is folded from the run's events by itself.
type RunSummary struct {
	RunID training.RunID `json:"run_id"`
	State training.State `json:"state"`
	// Saga is where the run's saga stands while State is initializing; else "".
	Saga   training.SagaState `json:"saga,omitempty"`
	Reason string             `json:"reason,omitempty"`
	// Epoch, Step and WeightsSHA256 are those of the last committed checkpoint,
	// or of the one that a fork comes from; Metrics those of its epoch, nil where
	// the run has not recorded it.
	Epoch         uint64            `json:"epoch"`
	Step          uint64            `json:"step"`
	WeightsSHA256 string            `json:"weights_sha256,omitempty"`
	Metrics       *training.Metrics `json:"metrics,omitempty"`
	// Accurate says whether there is such a thing as the accuracy in Metrics.
	Accurate   bool   `json:"accurate"`
	Epochs     uint64 `json:"epochs"`
	TotalSteps uint64 `json:"total_steps"`
	// Dataset is the path of the data.
	Dataset string `json:"dataset"`
	// Parent is the run that a fork comes from, ParentStep the step at which.
	Parent     training.RunID     `json:"parent,omitempty"`
	ParentStep uint64             `json:"parent_step,omitempty"`
	Version    eventstore.Version `json:"version"`
	StartedAt  time.Time          `json:"started_at"`
	UpdatedAt  time.Time          `json:"updated_at"`

	// Ahead are the epochs on record that no checkpoint covers yet.
	Ahead []training.EpochMetrics `json:"ahead,omitempty"`
}

// Summary returns what listings show of the record.
func (r RunRecord) Summary() RunSummary {
	s := r.Session
	out := RunSummary{
		RunID: r.ID, State: s.State, Reason: r.Reason, Accurate: s.Dataset.Accurate(),
		Epochs: s.Hyperparameters.Epochs, TotalSteps: s.Hyperparameters.TotalSteps(s.Dataset.Training), Dataset: s.Dataset.Path,
		Version: r.Version, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt,
	}
	if s.State == training.Initializing {
		out.Saga = r.Saga.State
	}
	last, own := r.LastCheckpoint()
	if p := s.Parent; p != nil {
		out.Parent, out.ParentStep = p.RunID, p.Step()
		if !own {
			last = p.Checkpoint
		}
	}
	out.Epoch, out.Step, out.WeightsSHA256 = last.Epoch, last.Step, last.WeightsSHA256
	if m, ok := r.TrainingRun.Epoch(last.Epoch); ok {
		out.Metrics = &m.Metrics
	}
	for _, m := range r.TrainingRun.Metrics {
		if m.Epoch > last.Epoch {
			out.Ahead = append(out.Ahead, m)
		}
	}
	return out
}

// apply returns the summary after the next event of the run. That the event may
// follow is not checked: the record's fold does.
func (r RunSummary) apply(event training.Event, version eventstore.Version, at time.Time) RunSummary {
	r.Version, r.UpdatedAt = version, at
	switch e := event.(type) {
	case training.TrainingStarted:
		return r.start(e, at)
	case training.ResourceAllocated:
		r.Saga = training.LoadingData
	case training.DatasetLoaded:
		r.Saga = training.InitializingModel
	case training.ModelInitialized:
		r.State, r.Saga = training.Running, ""
	case training.EpochCompleted:
		r.Ahead = append(slices.Clip(r.Ahead), training.EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Metrics})
	case training.CheckpointCommitted:
		r.commit(e.Checkpoint)
	case training.TrainingInterrupted:
		r.State, r.Saga, r.Reason = training.Interrupted, "", e.Cause
	case training.CheckpointFailed:
		r.State, r.Saga, r.Reason = training.Interrupted, "", e.Reason
	case training.TrainingResumed:
		r.State, r.Saga, r.Reason = training.Initializing, training.AllocatingResources, ""
	case training.ResourceAllocationFailed:
		r.fail(e.Reason)
	case training.DatasetLoadFailed:
		r.fail(e.Reason)
	case training.ModelInitializationFailed:
		r.fail(e.Reason)
	case training.TrainingFailed:
		r.fail(e.Reason)
	case training.TrainingCompleted:
		r.State, r.Reason = training.Completed, ""
	case training.RunFailed:
		r.State, r.Saga, r.Reason = training.Failed, "", e.Reason
	}
	return r
}

func (r RunSummary) start(e training.TrainingStarted, at time.Time) RunSummary {
	r.RunID, r.State, r.Saga = e.RunID, training.Initializing, training.AllocatingResources
	r.Accurate, r.Dataset = e.Dataset.Accurate(), e.Dataset.Path
	r.Epochs, r.TotalSteps = e.Hyperparameters.Epochs, e.Hyperparameters.TotalSteps(e.Dataset.Training)
	r.StartedAt = at
	if p := e.Parent; p != nil {
		r.Parent, r.ParentStep = p.RunID, p.Step()
		r.Epoch, r.Step, r.WeightsSHA256 = p.Checkpoint.Epoch, p.Checkpoint.Step, p.Checkpoint.WeightsSHA256
	}
	return r
}

func (r *RunSummary) commit(cp training.Checkpoint) {
	r.Epoch, r.Step, r.WeightsSHA256 = cp.Epoch, cp.Step, cp.WeightsSHA256
	covered := 0
	for _, m := range r.Ahead {
		if m.Epoch > cp.Epoch {
			break
		}
		covered++
		r.Metrics = &m.Metrics
	}
	if r.Ahead = r.Ahead[covered:]; len(r.Ahead) == 0 {
		r.Ahead = nil
	}
}

// fail notes why the run is on its way to its failure.
func (r *RunSummary) fail(reason string) {
	r.Reason = reason
	if r.State == training.Initializing {
		r.Saga = training.Compensating
	}
}

// RunList is the read model of all runs.
type RunList struct {
	// Runs are in the order in which they started.
	Runs []RunSummary `json:"runs"`

	log   *RunLog
	index map[eventstore.AggregateID]int
}

// Queue returns the runs that have not begun to train and are not at rest, first
// come, first served.
func (l *RunList) Queue() []RunSummary {
	var queue []RunSummary
	for _, r := range l.Runs {
		if r.State == training.Initializing {
			queue = append(queue, r)
		}
	}
	return queue
}

// Apply folds the next event of the log; events of others than runs change
// nothing.
func (l *RunList) Apply(e eventstore.Event) error {
	if _, ok := runOf(e.Aggregate); !ok {
		return nil
	}
	if l.log == nil {
		l.log = NewRunLog(nil, nil)
	}
	if l.index == nil {
		l.index = make(map[eventstore.AggregateID]int, len(l.Runs))
		for i, r := range l.Runs {
			l.index[AggregateOf(r.RunID)] = i
		}
	}
	event, err := l.log.codec.decode(e)
	if err != nil {
		return err
	}
	i, known := l.index[e.Aggregate]
	switch {
	case known:
		l.Runs[i] = l.Runs[i].apply(event, e.Version, e.Time)
	case e.Version != 1:
		return fmt.Errorf("event %d of %s, whose first event is missing: %w", e.Version, e.Aggregate, training.ErrInvalidTransition)
	default:
		l.index[e.Aggregate] = len(l.Runs)
		l.Runs = append(l.Runs, RunSummary{}.apply(event, e.Version, e.Time))
	}
	return nil
}
