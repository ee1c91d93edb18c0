package training

import (
	"encoding/json"
	"fmt"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/nn"
)

// Event is a fact in the life of a run: one of the structs of this file. The
// set is closed; EventType gives its versioned name in the log.
type Event interface {
	EventType() string
	trainingEvent()
}

// Remark is an event that changes nothing in what a run does next, but is worth telling.
// Whatever folds or shows events treats every remark alike, so a new one needs only its
// declaration; the record of a run may keep it.
type Remark interface {
	Event
	// Remark says what happened, as a continuation of the event's name.
	Remark() string
	// Contradicts says in what the remark disagrees with the run before it; "" if it
	// does not.
	Contradicts(TrainingRun) string
}

// Events has one event of each type.
func Events() []Event {
	return []Event{
		TrainingStarted{}, ResourceAllocated{}, ResourceAllocationFailed{}, DatasetLoaded{},
		DatasetLoadFailed{}, ModelInitialized{}, ModelInitializationFailed{}, EpochCompleted{},
		EpochReproduced{}, EvaluationCompleted{}, LearningRateReduced{}, EarlyStopped{}, CheckpointCommitted{},
		FiguresComputed{}, CheckpointsRemoved{}, DatasetMoved{},
		CheckpointFailed{}, TrainingInterrupted{}, TrainingResumed{}, TrainingFailed{},
		TrainingCompleted{}, DeviceReleased{}, DatasetUnloaded{}, RunFailed{},
	}
}

// Allocation is a device that a run holds, as the lease that proves it.
type Allocation struct {
	Device device.ID      `json:"device"`
	Lease  device.LeaseID `json:"lease"`
	// Epoch is the fencing epoch of the lease.
	Epoch device.Epoch `json:"lease_epoch"`
}

// Metrics are the results of one epoch.
type Metrics struct {
	// TrainLoss is the mean loss over the epoch's samples, each measured with
	// the weights at that step. ValLoss and ValAccuracy are over the whole
	// validation split with the weights at the end of the epoch.
	TrainLoss   float64 `json:"train_loss"`
	ValLoss     float64 `json:"val_loss"`
	ValAccuracy float64 `json:"val_accuracy"`
	// Monitored is the figure that the run is judged by, if it is not the validation
	// loss.
	Monitored Monitored `json:"monitored,omitzero"`
}

// Evaluation is the validation metrics after a number of steps.
type Evaluation struct {
	Step        uint64    `json:"step"`
	ValLoss     float64   `json:"val_loss"`
	ValAccuracy float64   `json:"val_accuracy"`
	Monitored   Monitored `json:"monitored,omitzero"`
}

// The events of a run, in the order in which an undisturbed run has them.
type (
	// TrainingStarted is the first event of every run and holds everything
	// needed to train it again, from scratch or from its parent's checkpoint.
	TrainingStarted struct {
		RunID           RunID           `json:"run_id"`
		SessionID       SessionID       `json:"session_id"`
		ModelID         nn.ModelID      `json:"model_id"`
		Architecture    nn.Architecture `json:"architecture"`
		Dataset         Dataset         `json:"dataset"`
		Hyperparameters Hyperparameters `json:"hyperparameters"`
		// Request is the published-language request in canonical JSON.
		Request json.RawMessage `json:"request,omitempty"`
		// Parent is where a fork comes from; nil if training starts from
		// scratch.
		Parent *Parent `json:"parent,omitempty"`
		// Init says which initial weights do not come from the seed; nil if all of them
		// do. Logs of older versions do not have it.
		Init *Init `json:"init,omitempty"`
		// Worker hosts the run until it rests; "" is the only one.
		Worker string `json:"worker,omitempty"`
	}
	// ResourceAllocated records that the run holds a device.
	ResourceAllocated struct {
		Allocation
	}
	// ResourceAllocationFailed records that no device can take the run.
	ResourceAllocationFailed struct {
		Reason string `json:"reason"`
	}
	// DatasetLoaded records that the data is open and is what was asked for.
	DatasetLoaded struct {
		Dataset     DatasetID `json:"dataset"`
		Fingerprint string    `json:"fingerprint"`
	}
	// DatasetLoadFailed records that the data cannot be read.
	DatasetLoadFailed struct {
		Reason string `json:"reason"`
	}
	// ModelInitialized records the weights that training (re)starts from.
	ModelInitialized struct {
		Step          uint64 `json:"step"`
		WeightsSHA256 string `json:"weights_sha256"`
	}
	// ModelInitializationFailed records that the model could not be built or
	// restored.
	ModelInitializationFailed struct {
		Reason string `json:"reason"`
	}
	// EpochCompleted records a pass over the training split, counted from 1.
	EpochCompleted struct {
		Epoch uint64 `json:"epoch"`
		Step  uint64 `json:"step"`
		Metrics
	}
	// EpochReproduced records that an epoch that was lost in a crash after it had
	// been recorded was trained again, with exactly the same metrics.
	EpochReproduced struct {
		Epoch uint64 `json:"epoch"`
		Step  uint64 `json:"step"`
	}
	// EvaluationCompleted records the validation metrics within an epoch, after
	// every eval_interval steps.
	EvaluationCompleted struct {
		Evaluation
	}
	// LearningRateReduced records that the schedule reduce_on_plateau has reduced the
	// learning rate after an evaluation, which Reductions counts. Logs of older
	// versions do not have it.
	LearningRateReduced struct {
		Step       uint64  `json:"step"`
		Reductions uint64  `json:"reductions"`
		From       float32 `json:"from"`
		To         float32 `json:"to"`
	}
	// EarlyStopped records that training ends with this epoch because the monitored
	// figure no longer improves.
	EarlyStopped struct {
		Epoch uint64 `json:"epoch"`
		Step  uint64 `json:"step"`
		// Best is the lowest validation loss or, with a Monitor, its best value, and
		// BestStep the step it was reached at: 0 for a figure that was never defined.
		Best     float64 `json:"best_val_loss"`
		BestStep uint64  `json:"best_step"`
		// Monitor names the figure; "" is the validation loss.
		Monitor string `json:"monitor,omitempty"`
	}
	// CheckpointCommitted makes the files of a checkpoint a checkpoint: without
	// it, they are litter.
	CheckpointCommitted struct {
		Checkpoint
	}
	// CheckpointFailed records that a checkpoint could not be written, which
	// interrupts the run; it resumes from the last one once there is room.
	CheckpointFailed struct {
		Step   uint64 `json:"step"`
		Reason string `json:"reason"`
	}
	// TrainingInterrupted records that training stopped between two steps, by
	// request or because its process or actor died. It resumes from the last
	// checkpoint.
	TrainingInterrupted struct {
		Cause string `json:"cause"`
	}
	// TrainingResumed records that an interrupted run resumes from the last
	// checkpoint's step, or from where it began.
	TrainingResumed struct {
		FromStep uint64 `json:"from_step"`
		// Worker hosts the run from now on; "" is the only one.
		Worker string `json:"worker,omitempty"`
	}
	// TrainingFailed records why training cannot continue.
	TrainingFailed struct {
		Step   uint64 `json:"step"`
		Reason string `json:"reason"`
	}
	// TrainingCompleted records that every epoch was trained and the final
	// checkpoint stands.
	TrainingCompleted struct {
		Epoch         uint64 `json:"epoch"`
		Step          uint64 `json:"step"`
		WeightsSHA256 string `json:"weights_sha256"`
		Metrics
	}
	// DeviceReleased records that the run no longer holds a device.
	DeviceReleased struct {
		Allocation
	}
	// DatasetUnloaded records that the run no longer holds its data.
	DatasetUnloaded struct {
		Dataset DatasetID `json:"dataset"`
	}
	// RunFailed is the last event of a run that failed: by now everything it
	// held has been released.
	RunFailed struct {
		Reason string `json:"reason"`
	}
)

// Checkpoint is a committed checkpoint as the run's record knows it.
type Checkpoint struct {
	SessionID SessionID `json:"session_id"`
	// Epoch counts completed epochs, Step optimiser steps. A checkpoint taken
	// within an epoch has the epochs before it and more steps than they have.
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	// Dir is the checkpoint's folder, relative to the run's checkpoints.
	Dir            string `json:"dir"`
	ManifestSHA256 string `json:"manifest_sha256"`
	WeightsSHA256  string `json:"weights_sha256"`
	// SeriesSHA256 is the SHA-256 of the per-step metrics up to Step.
	SeriesSHA256 string `json:"series_sha256"`
	// Loss is the mean training loss of the epoch so far.
	Loss float64 `json:"loss"`
}

// Ref returns what finds and pins the committed checkpoint on disk.
func (c Checkpoint) Ref() checkpoint.Ref {
	return checkpoint.Ref{Dir: c.Dir, ManifestSHA256: c.ManifestSHA256, WeightsSHA256: c.WeightsSHA256, Step: c.Step, Epoch: c.Epoch}
}

// EventType returns "training.training_started.v1".
func (TrainingStarted) EventType() string { return "training.training_started.v1" }

// EventType returns "training.resource_allocated.v1".
func (ResourceAllocated) EventType() string { return "training.resource_allocated.v1" }

// EventType returns "training.resource_allocation_failed.v1".
func (ResourceAllocationFailed) EventType() string { return "training.resource_allocation_failed.v1" }

// EventType returns "training.dataset_loaded.v1".
func (DatasetLoaded) EventType() string { return "training.dataset_loaded.v1" }

// EventType returns "training.dataset_load_failed.v1".
func (DatasetLoadFailed) EventType() string { return "training.dataset_load_failed.v1" }

// EventType returns "training.model_initialized.v1".
func (ModelInitialized) EventType() string { return "training.model_initialized.v1" }

// EventType returns "training.model_initialization_failed.v1".
func (ModelInitializationFailed) EventType() string { return "training.model_initialization_failed.v1" }

// EventType returns "training.epoch_completed.v1".
func (EpochCompleted) EventType() string { return "training.epoch_completed.v1" }

// EventType returns "training.epoch_reproduced.v1".
func (EpochReproduced) EventType() string { return "training.epoch_reproduced.v1" }

// EventType returns "training.evaluation_completed.v1".
func (EvaluationCompleted) EventType() string { return "training.evaluation_completed.v1" }

// EventType returns "training.learning_rate_reduced.v1".
func (LearningRateReduced) EventType() string { return "training.learning_rate_reduced.v1" }

// Remark names both rates.
func (e LearningRateReduced) Remark() string {
	return fmt.Sprintf("from %v to %v after step %d", e.From, e.To, e.Step)
}

// Contradicts evaluates the schedule again. How often a fork's parent has reduced the
// rate is not in the fork's record, so of a fork only the other figures are compared.
func (e LearningRateReduced) Contradicts(r TrainingRun) string {
	h := r.Session.Hyperparameters
	before, after, step := r.progress()
	if r.Session.Parent != nil {
		before, after = Progress{Reductions: e.Reductions - 1}, Progress{Reductions: e.Reductions}
	}
	want, ok := h.Reduced(before, after, step)
	switch {
	case !ok:
		return fmt.Sprintf("step: the schedule does not reduce the learning rate after step %d", e.Step)
	case e != want:
		return fmt.Sprintf("recorded %+v, the evaluations give %+v", e, want)
	}
	return ""
}

// progress returns the progress before and after the newest evaluation on record, and
// its step.
func (r TrainingRun) progress() (before, after Progress, step uint64) {
	observe := func(e Evaluation) {
		before, step = after, e.Step
		after = r.Session.Hyperparameters.Observe(after, e)
	}
	within := r.Evaluations
	for _, m := range r.Metrics {
		for len(within) > 0 && within[0].Step < m.Step {
			observe(within[0])
			within = within[1:]
		}
		observe(Evaluation{Step: m.Step, ValLoss: m.ValLoss, Monitored: m.Monitored})
	}
	for _, e := range within {
		observe(e)
	}
	return before, after, step
}

// Reduced returns the event for an evaluation at the step that led from one progress to
// another; it reports false unless the learning rate is lower from then on.
func (h Hyperparameters) Reduced(before, after Progress, step uint64) (LearningRateReduced, bool) {
	e := LearningRateReduced{Step: step, Reductions: after.Reductions, From: h.Rate(step, before), To: h.Rate(step, after)}
	return e, after.Reductions > before.Reductions && e.To < e.From
}

// EventType returns "training.early_stopped.v1".
func (EarlyStopped) EventType() string { return "training.early_stopped.v1" }

// EventType returns "training.checkpoint_committed.v1".
func (CheckpointCommitted) EventType() string { return "training.checkpoint_committed.v1" }

// EventType returns "training.checkpoint_failed.v1".
func (CheckpointFailed) EventType() string { return "training.checkpoint_failed.v1" }

// EventType returns "training.training_interrupted.v1".
func (TrainingInterrupted) EventType() string { return "training.training_interrupted.v1" }

// EventType returns "training.training_resumed.v1".
func (TrainingResumed) EventType() string { return "training.training_resumed.v1" }

// EventType returns "training.training_failed.v1".
func (TrainingFailed) EventType() string { return "training.training_failed.v1" }

// EventType returns "training.training_completed.v1".
func (TrainingCompleted) EventType() string { return "training.training_completed.v1" }

// EventType returns "training.device_released.v1".
func (DeviceReleased) EventType() string { return "training.device_released.v1" }

// EventType returns "training.dataset_unloaded.v1".
func (DatasetUnloaded) EventType() string { return "training.dataset_unloaded.v1" }

// EventType returns "training.run_failed.v1".
func (RunFailed) EventType() string { return "training.run_failed.v1" }

func (TrainingStarted) trainingEvent()           {}
func (ResourceAllocated) trainingEvent()         {}
func (ResourceAllocationFailed) trainingEvent()  {}
func (DatasetLoaded) trainingEvent()             {}
func (DatasetLoadFailed) trainingEvent()         {}
func (ModelInitialized) trainingEvent()          {}
func (ModelInitializationFailed) trainingEvent() {}
func (EpochCompleted) trainingEvent()            {}
func (EpochReproduced) trainingEvent()           {}
func (EvaluationCompleted) trainingEvent()       {}
func (LearningRateReduced) trainingEvent()       {}
func (EarlyStopped) trainingEvent()              {}
func (CheckpointCommitted) trainingEvent()       {}
func (CheckpointFailed) trainingEvent()          {}
func (TrainingInterrupted) trainingEvent()       {}
func (TrainingResumed) trainingEvent()           {}
func (TrainingFailed) trainingEvent()            {}
func (TrainingCompleted) trainingEvent()         {}
func (DeviceReleased) trainingEvent()            {}
func (DatasetUnloaded) trainingEvent()           {}
func (RunFailed) trainingEvent()                 {}
