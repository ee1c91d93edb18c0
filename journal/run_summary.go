package journal

import (
	"slices"
	"time"

	"reprise/eventstore"
	"reprise/training"
)

// RunSummary is what listings show of a run: its record without anything that
// grows with its length. It is folded from the run's events on its own.
type RunSummary struct {
	RunID training.RunID `json:"run_id"`
	State training.State `json:"state"`
	// Saga is the run's saga, or nil once it has ended and holds nothing.
	Saga   *training.TrainingSaga `json:"saga,omitempty"`
	Reason string                 `json:"reason,omitempty"`
	// Epoch, Step and WeightsSHA256 describe the last committed checkpoint, or
	// the one that a fork starts from. Metrics are those of its epoch, or nil if
	// the run has not recorded that epoch.
	Epoch         uint64            `json:"epoch"`
	Step          uint64            `json:"step"`
	WeightsSHA256 string            `json:"weights_sha256,omitempty"`
	Metrics       *training.Metrics `json:"metrics,omitempty"`
	// HasAccuracy reports whether the accuracy in Metrics has a meaning.
	HasAccuracy bool `json:"accurate"`
	// Removed are the steps of the checkpoints that were removed last, a few at most.
	Removed    []uint64 `json:"removed,omitempty"`
	Epochs     uint64   `json:"epochs"`
	TotalSteps uint64   `json:"total_steps"`
	// Dataset is the path of the data.
	Dataset string `json:"dataset"`
	// Parent is the run that a fork starts from, and ParentStep the step at which
	// they part.
	Parent     training.RunID `json:"parent,omitempty"`
	ParentStep uint64         `json:"parent_step,omitempty"`
	// Init says where initial weights come from that the seed does not give.
	Init      string             `json:"init,omitempty"`
	Version   eventstore.Version `json:"version"`
	StartedAt time.Time          `json:"started_at"`
	UpdatedAt time.Time          `json:"updated_at"`
	// Trained is that of the record.
	Trained time.Duration `json:"trained_ns"`

	// Ahead lists the recorded epochs that no checkpoint covers yet.
	Ahead []training.EpochMetrics `json:"ahead,omitempty"`
}

// Summary returns what listings show of the record.
func (r RunRecord) Summary() RunSummary {
	s := r.Session
	out := RunSummary{
		RunID: r.ID, State: s.State, Reason: r.Reason, HasAccuracy: s.Dataset.HasAccuracy(),
		Epochs: s.Hyperparameters.Epochs, TotalSteps: s.Hyperparameters.TotalSteps(s.Dataset.Training), Dataset: s.Dataset.Path,
		Version: r.Version, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt, Trained: r.Trained,
	}
	out.Removed = newestRemoved(r.TrainingRun.Removed)
	out.setSaga(r.Saga)
	last, own := r.LastCheckpoint()
	if p := s.Parent; p != nil {
		out.Parent, out.ParentStep = p.RunID, p.Step()
		if !own {
			last = p.Checkpoint
		}
	}
	out.Init = originOf(s.Init)
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

// newestRemoved returns the end of a list of removed checkpoints: those whose files a crash
// may have left.
func newestRemoved(steps []uint64) []uint64 {
	const most = 16
	return steps[max(0, len(steps)-most):]
}

// setSaga stores the saga unless it has ended and holds nothing.
func (r *RunSummary) setSaga(saga training.TrainingSaga) {
	r.Saga = &saga
	ended := saga.State == training.SagaCompleted || saga.State == training.SagaFailed
	if ended && len(saga.Commands()) == 0 {
		r.Saga = nil
	}
}

// saga returns the run's saga. If it is no longer stored, it has ended, and a failed
// saga stands for it: both accept only releases.
func (r RunSummary) saga() training.TrainingSaga {
	switch {
	case r.Saga != nil:
		return *r.Saga
	case r.Version > 0:
		return training.TrainingSaga{State: training.SagaFailed}
	default:
		return training.TrainingSaga{}
	}
}

// Apply returns the summary after the next event of the run. It checks that the
// saga accepts the event, but not the figures in it, which the record's fold does.
// The caller applies no other event to r, whose list of epochs may grow in place.
func (r RunSummary) Apply(event training.Event, version eventstore.Version, at time.Time) (RunSummary, error) {
	saga, _, err := r.saga().Handle(event)
	if err != nil {
		return r, err
	}
	r.Trained += workedUntil(event, r.saga(), r.UpdatedAt, at)
	r.setSaga(saga)
	r.Version, r.UpdatedAt = version, at
	switch e := event.(type) {
	case training.TrainingStarted:
		r.start(e, at)
	case training.ModelInitialized:
		r.State = training.Running
	case training.EpochCompleted:
		r.Ahead = append(r.Ahead, training.EpochMetrics{Epoch: e.Epoch, Step: e.Step, Metrics: e.Metrics})
	case training.CheckpointCommitted:
		r.commit(e.Checkpoint)
	case training.CheckpointsRemoved:
		r.Removed = newestRemoved(slices.Concat(r.Removed, e.Steps))
	case training.TrainingInterrupted:
		r.State, r.Reason = training.Interrupted, e.Cause
	case training.CheckpointFailed:
		r.State, r.Reason = training.Interrupted, e.Reason
	case training.TrainingResumed:
		r.State, r.Reason = training.Initializing, ""
	case training.ResourceAllocationFailed:
		r.Reason = e.Reason
	case training.DatasetLoadFailed:
		r.Reason = e.Reason
	case training.ModelInitializationFailed:
		r.Reason = e.Reason
	case training.TrainingFailed:
		r.Reason = e.Reason
	case training.TrainingCompleted:
		r.State, r.Reason = training.Completed, ""
	case training.RunFailed:
		r.State, r.Reason = training.Failed, e.Reason
	case training.ResourceAllocated, training.DeviceReleased, training.DatasetLoaded, training.DatasetUnloaded,
		training.EpochReproduced, training.EvaluationCompleted, training.EarlyStopped, training.Remark:
		// Listings show nothing of these but the saga.
	}
	return r, nil
}

// originOf returns where initial weights come from; "" for the seed.
func originOf(init *training.Init) string {
	if init == nil {
		return ""
	}
	return init.Origin()
}

func (r *RunSummary) start(e training.TrainingStarted, at time.Time) {
	r.RunID, r.State = e.RunID, training.Initializing
	r.HasAccuracy, r.Dataset = e.Dataset.HasAccuracy(), e.Dataset.Path
	r.Epochs, r.TotalSteps = e.Hyperparameters.Epochs, e.Hyperparameters.TotalSteps(e.Dataset.Training)
	r.StartedAt = at
	r.Init = originOf(e.Init)
	if p := e.Parent; p != nil {
		r.Parent, r.ParentStep = p.RunID, p.Step()
		r.Epoch, r.Step, r.WeightsSHA256 = p.Checkpoint.Epoch, p.Checkpoint.Step, p.Checkpoint.WeightsSHA256
	}
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
