package training

import (
	"fmt"

	"reprise/nn"
)

// Limits of a request, so that a slip of the finger is refused and not tried.
const (
	MaxEpochs = 1_000_000
	MaxShards = 1024
)

// Hyperparameters is everything that shapes the course of training beside the
// model and the data: the same values give the same bits.
type Hyperparameters struct {
	BatchSize    int          `json:"batch_size"`
	Epochs       uint64       `json:"epochs"`
	Optimizer    nn.Optimizer `json:"optimizer"`
	LearningRate LearningRate `json:"learning_rate"`
	// Seed keys the initial weights and the order of the samples.
	Seed uint64 `json:"seed"`
	// Shards is the number of parts a batch is cut into; their gradients meet
	// in a fixed tree, whoever computes them.
	Shards int `json:"shards"`
	// CheckpointInterval is the number of epochs between two checkpoints. The
	// last epoch always ends in one.
	CheckpointInterval uint64 `json:"checkpoint_interval"`
}

// StepsPerEpoch returns the optimiser steps that an epoch over samples takes;
// the last batch of an epoch may be smaller than the others.
func (h Hyperparameters) StepsPerEpoch(samples int) uint64 {
	return uint64((samples + h.BatchSize - 1) / h.BatchSize)
}

// TotalSteps returns the optimiser steps of the whole run.
func (h Hyperparameters) TotalSteps(samples int) uint64 {
	return h.Epochs * h.StepsPerEpoch(samples)
}

// Validate fails with a *FieldError where a value cannot be trained with on a
// training split of the given number of samples.
func (h Hyperparameters) Validate(samples int) error {
	bad := func(field string, value any, problem, fix string) error {
		return &FieldError{Field: "config." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix}
	}
	switch {
	case h.BatchSize < 1:
		return bad("batch_size", h.BatchSize, "must be at least 1", "use a size such as 32")
	case h.BatchSize > samples:
		return bad("batch_size", h.BatchSize, fmt.Sprintf("is larger than the training split of %d samples", samples),
			fmt.Sprintf("use at most %d", samples))
	case h.Epochs < 1 || h.Epochs > MaxEpochs:
		return bad("epochs", h.Epochs, fmt.Sprintf("must be between 1 and %d", MaxEpochs), "say how often to go over the data")
	case h.Shards < 1 || h.Shards > MaxShards:
		return bad("shards", h.Shards, fmt.Sprintf("must be between 1 and %d", MaxShards), "use 1 unless several workers share a batch")
	case h.Shards > h.BatchSize:
		return bad("shards", h.Shards, fmt.Sprintf("is more than the batch of %d has samples", h.BatchSize), "use fewer shards or a larger batch")
	case h.CheckpointInterval < 1:
		return bad("checkpoint_interval", h.CheckpointInterval, "must be at least 1", "use 1 for a checkpoint after every epoch")
	}
	if err := h.Optimizer.Validate(); err != nil {
		return fmt.Errorf("config.optimizer: %w", err)
	}
	return h.LearningRate.Validate()
}
