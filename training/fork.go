package training

import (
	"errors"
	"fmt"
	"slices"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
)

// Parent is where a fork comes from: a committed checkpoint of another run. The
// fork takes over its weights, moments and metrics and continues to count from its
// step and epoch. A nil Parent is that of a run that starts from scratch: its
// methods return 0.
type Parent struct {
	RunID      RunID      `json:"run_id"`
	Checkpoint Checkpoint `json:"checkpoint"`
}

// Step returns the optimiser steps that the fork begins with.
func (p *Parent) Step() uint64 {
	if p == nil {
		return 0
	}
	return p.Checkpoint.Step
}

// Epoch returns the completed epochs that the fork begins with.
func (p *Parent) Epoch() uint64 {
	if p == nil {
		return 0
	}
	return p.Checkpoint.Epoch
}

// ForkTraining returns a new session that continues from a committed checkpoint of
// the parent under the hyperparameters of config, and the events that record it.
// The data is the parent's, whatever config says. It fails with
// ErrInvalidCheckpoint for a checkpoint that the parent does not have, with a
// *fault.FieldError for a setting that does not fit the checkpoint, and otherwise as
// StartTraining does.
//
// A fork may change everything that the checkpoint does not hold: the learning
// rate and its schedule, the length of the run, the seed, regularisation,
// evaluation. Weights and moments must keep their names and shapes, and a step must
// have as many samples as the parent's, since steps and epochs are counted in
// them.
func (TrainingService) ForkTraining(parent TrainingRun, cp Checkpoint, model nn.ModelSpec, data *dataset.Dataset, config Config) (TrainingSession, []Event, error) {
	if !slices.Contains(parent.Checkpoints, cp) {
		return TrainingSession{}, nil, fmt.Errorf("run %s has not committed %s: %w", parent.ID, cp.Dir, ErrInvalidCheckpoint)
	}
	config.Dataset = parent.Session.Dataset
	config.parent = &Parent{RunID: parent.ID, Checkpoint: cp}
	if err := data.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	h := config.Hyperparameters.Plan(data.Len(dataset.Train))
	h.LearningRate.Schedule = inherit(parent.Session.Hyperparameters.LearningRate.Schedule, h.LearningRate.Schedule)
	session, events, err := start(model, data, config, h)
	if err != nil {
		return TrainingSession{}, nil, err
	}
	if err := checkFork(parent, session); err != nil {
		return TrainingSession{}, nil, err
	}
	return session, events, nil
}

// inherit returns the fork's schedule. A schedule that the user did not change
// means what it meant when the parent was recorded, so that an unchanged fork has
// the parent's bits.
func inherit(was, now Schedule) Schedule {
	same := now
	same.ExactCycles = was.ExactCycles
	if same == was {
		return was
	}
	return now
}

// checkFork fails unless the fork fits the checkpoint that it starts from, with a
// *fault.FieldError for each field that does not, joined if there are several.
func checkFork(parent TrainingRun, fork TrainingSession) error {
	was, now := parent.Session.Hyperparameters, fork.Hyperparameters
	bad := func(field string, value any, problem, fix string) error {
		return &fault.FieldError{Field: field, Value: fmt.Sprint(value), Problem: problem, Fix: fix}
	}
	var errs []error
	switch {
	case now.BatchSize != was.BatchSize:
		errs = append(errs, bad("config.batch_size", now.BatchSize, fmt.Sprintf("does not fit the checkpoint, whose steps and epochs are counted in batches of %d", was.BatchSize),
			fmt.Sprintf("keep %d, or train a new run", was.BatchSize)))
	case now.StepSamples() != was.StepSamples():
		errs = append(errs, bad("config.gradient_accumulation", max(now.GradientAccumulation, 1), fmt.Sprintf("does not fit the checkpoint, whose steps have %d samples", was.StepSamples()),
			fmt.Sprintf("keep %d, or train a new run", max(was.GradientAccumulation, 1))))
	}
	counted := len(errs) == 0
	if err := checkInherited(parent.Session, fork); err != nil {
		errs = append(errs, err)
	}
	at := fork.Parent.Checkpoint
	if counted && now.TotalSteps(fork.Dataset.Training) <= at.Step {
		errs = append(errs, bad("config.epochs", now.Epochs, fmt.Sprintf("leaves nothing to train: the checkpoint at step %d has %d epochs behind it", at.Step, at.Epoch),
			fmt.Sprintf("use more than %d, or fork from an earlier checkpoint", at.Epoch)))
	}
	if e := parent.Stopped; e != nil && at.Step >= e.Step && now.EarlyStopping == was.EarlyStopping && now.measure() == was.measure() {
		errs = append(errs, bad("config.early_stopping", fmt.Sprintf("{patience: %d, min_delta: %v}", now.EarlyStopping.Patience, now.EarlyStopping.MinDelta),
			fmt.Sprintf("ended training with epoch %d, and would again", e.Epoch), "change it, or fork from an earlier checkpoint"))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// checkInherited fails unless weights and moments of the fork have the names and
// shapes of those in the parent's checkpoint.
func checkInherited(parent, fork TrainingSession) error {
	was, err := parent.Architecture.Parameters()
	if err != nil {
		return err
	}
	now, err := fork.Architecture.Parameters()
	if err != nil {
		return err
	}
	for i := range max(len(was), len(now)) {
		has, wants := "no further weights", "without it"
		if i < len(was) {
			has = fmt.Sprintf("%s %v", was[i].Name, was[i].Shape)
		}
		if i < len(now) {
			wants = fmt.Sprintf("%s %v", now[i].Name, now[i].Shape)
		}
		if has != wants {
			return &fault.FieldError{Field: "model_architecture", Value: wants, Problem: "does not fit the checkpoint, which has " + has,
				Fix: "keep the layers that have weights, or train a new run"}
		}
	}
	old, new := parent.Hyperparameters.Optimizer, fork.Hyperparameters.Optimizer
	if has, wants := old.WithDefaults().Moments(), new.WithDefaults().Moments(); !slices.Equal(has, wants) {
		field, value := "config.optimizer.name", string(new.Name)
		if old.Name == new.Name {
			field, value = "config.optimizer.momentum", fmt.Sprint(new.Momentum)
		}
		return &fault.FieldError{Field: field, Value: value,
			Problem: fmt.Sprintf("does not fit the checkpoint: it has the moments %v of each weight where the optimizer has %v", has, wants),
			Fix:     "keep the optimizer, or train a new run"}
	}
	return nil
}
