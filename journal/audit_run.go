package journal

import (
	"fmt"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/training"
)

// checkTransition says what is wrong with an event of a run where more than one
// value is allowed: what may follow the record is a range or a set.
func checkTransition(r RunRecord, e training.Event) string {
	within := func(step, from, to uint64) string {
		if step < from || step > to {
			return fmt.Sprintf("step: recorded %d, want %d to %d", step, from, to)
		}
		return ""
	}
	perEpoch, c := stepsPerEpoch(r), r.Saga.Context
	// Of the epoch under way; if one has just ended, its last step.
	first, last := c.Epoch*perEpoch, (c.Epoch+1)*perEpoch
	if r.Saga.State == training.Checkpointing {
		last = first
	}
	switch e := e.(type) {
	case training.TrainingResumed:
		return checkWorker(e.Worker)
	case training.TrainingStarted:
		if what := checkWorker(e.Worker); what != "" {
			return what
		}
		h := e.Hyperparameters
		switch {
		case h.StepSamples() < 1:
			return "hyperparameters.batch_size: a step has no samples"
		case e.Dataset.Training < 1:
			return "dataset.training_samples: there are none"
		case h.CheckpointInterval < 1:
			return "hyperparameters.checkpoint_interval: recorded 0, want at least 1"
		}
	case training.EpochReproduced:
		if _, known := r.TrainingRun.Epoch(e.Epoch); !known {
			return fmt.Sprintf("epoch: epoch %d was not recorded before", e.Epoch)
		}
	case training.EvaluationCompleted:
		interval := r.Session.Hyperparameters.EvalInterval
		if interval == 0 || e.Step%interval != 0 || e.Step%perEpoch == 0 {
			return fmt.Sprintf("step: recorded %d, but a run with eval_interval %d and %d steps per epoch does not evaluate there", e.Step, interval, perEpoch)
		}
		return within(e.Step, first+1, last)
	case training.CheckpointCommitted:
		return within(e.Step, first, last)
	case training.CheckpointFailed:
		return within(e.Step, first, last)
	case training.TrainingFailed:
		return within(e.Step, min(first, c.CheckpointStep), last)
	case training.DeviceReleased:
		if !commanded(r, training.ReleaseDevice{Allocation: e.Allocation}) {
			return fmt.Sprintf("lease: the run does not release lease %s of epoch %d on device %s here", e.Lease, e.Epoch, e.Device)
		}
	case training.DatasetUnloaded:
		if !commanded(r, training.UnloadDataset{Dataset: e.Dataset}) {
			return fmt.Sprintf("dataset: the run does not unload %q here", e.Dataset)
		}
	case training.Remark:
		return e.Contradicts(r.TrainingRun)
	case training.ResourceAllocated, training.ResourceAllocationFailed, training.DatasetLoaded, training.DatasetLoadFailed,
		training.ModelInitialized, training.ModelInitializationFailed, training.EpochCompleted, training.EarlyStopped,
		training.TrainingInterrupted, training.TrainingCompleted, training.RunFailed:
		// Each field of theirs has one right value, or any: see follows.
	}
	return ""
}

// checkWorker says what is wrong with the name of the worker that hosts a run.
func checkWorker(name string) string {
	if err := device.CheckWorker(name); err != nil {
		return err.Error()
	}
	return ""
}

// commanded reports whether the command is the next one of the run's saga.
func commanded(r RunRecord, command training.Command) bool {
	commands := r.Saga.Commands()
	return len(commands) > 0 && commands[0] == command
}

// follows returns the event as it must be after the record, with every field
// that is determined by the events before it. The others stay as recorded.
func follows(r RunRecord, e training.Event) training.Event {
	perEpoch := stepsPerEpoch(r)
	last, own := r.LastCheckpoint()
	if p := r.Session.Parent; !own && p != nil {
		last, own = p.Checkpoint, true
	}
	switch e := e.(type) {
	case training.TrainingStarted:
		e.Hyperparameters.LearningRate.Schedule.TotalSteps = e.Hyperparameters.TotalSteps(e.Dataset.Training)
		return e
	case training.DatasetLoaded:
		return training.DatasetLoaded{Dataset: r.Session.Dataset.ID, Fingerprint: r.Session.Dataset.Fingerprint}
	case training.ModelInitialized:
		e.Step, _ = r.ResumePoint()
		if own {
			e.WeightsSHA256 = last.WeightsSHA256
		}
		return e
	case training.EpochCompleted:
		e.Step = e.Epoch * perEpoch
		e.Monitored = r.Session.Hyperparameters.Judged(e.Monitored, e.ValAccuracy)
		return e
	case training.EvaluationCompleted:
		e.Monitored = r.Session.Hyperparameters.Judged(e.Monitored, e.ValAccuracy)
		return e
	case training.EpochReproduced:
		e.Step = e.Epoch * perEpoch
		return e
	case training.EarlyStopped:
		e.Step, e.Monitor = e.Epoch*perEpoch, r.Session.Hyperparameters.Monitor
		return e
	case training.CheckpointCommitted:
		e.SessionID, e.Dir = r.Session.ID, checkpoint.DirOf(e.Step)
		if m, ok := r.TrainingRun.Epoch(e.Epoch); ok && m.Step == e.Step {
			e.Loss = m.TrainLoss
		}
		return e
	case training.TrainingResumed:
		e.FromStep, _ = r.ResumePoint()
		return e
	case training.TrainingCompleted:
		m, _ := r.TrainingRun.Epoch(last.Epoch)
		return training.TrainingCompleted{Epoch: last.Epoch, Step: last.Step, WeightsSHA256: last.WeightsSHA256, Metrics: m.Metrics}
	case training.RunFailed:
		return training.RunFailed{Reason: r.Saga.Context.Reason}
	case training.ResourceAllocated, training.ResourceAllocationFailed, training.DeviceReleased,
		training.DatasetLoadFailed, training.DatasetUnloaded, training.ModelInitializationFailed,
		training.CheckpointFailed, training.TrainingInterrupted, training.TrainingFailed, training.Remark:
		// No field has only one right value.
	}
	return e
}

// stepsPerEpoch returns the steps of the run's epochs, 0 before it has started.
func stepsPerEpoch(r RunRecord) uint64 {
	return r.Session.Hyperparameters.StepsPerEpoch(r.Session.Dataset.Training)
}
