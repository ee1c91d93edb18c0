package integration

import (
	"fmt"

	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/kernel"
	"reprise/nn"
	"reprise/training"
)

// The keys of a checkpoint's metrics: the state of the epoch's mean loss, so
// that a run resumed within an epoch reports the very same figures.
const (
	lossSumKey  = "epoch_loss_sum"
	lossRowsKey = "epoch_loss_rows"
)

// evalBatch is the number of validation samples evaluated at a time. The sums of
// the blocks are added up, so it is part of what a validation loss is.
const evalBatch = 256

// Execution trains one session step by step. What it computes is a function of
// the session and the data alone: a run and its verification share it.
//
// It is used by one goroutine at a time.
type Execution struct {
	session training.TrainingSession
	data    *dataset.Dataset
	trainer *nn.Trainer

	step     uint64
	perEpoch uint64
	lossSum  float64 // over the epoch's samples so far
	lossRows int

	order  dataset.Permutation
	index  []int
	x      []float32
	labels []int32
}

// StepResult is what one optimiser step gave.
type StepResult struct {
	Step         uint64 // counted from 1
	Epoch        uint64 // counted from 1
	Loss         float32
	LearningRate float32
	Samples      int
	// EpochDone is set by the last step of an epoch.
	EpochDone bool
}

// NewExecution plans the session's model on the backend. The trainer's memory
// is freed by Close. Reset or Restore must follow.
func NewExecution(session training.TrainingSession, data *dataset.Dataset, backend kernel.Backend) (*Execution, error) {
	h := session.Hyperparameters
	plan, err := PlanOf(session)
	if err != nil {
		return nil, err
	}
	trainer, err := nn.NewTrainer(backend, plan)
	if err != nil {
		return nil, err
	}
	features, err := session.Architecture.Input.NumElements()
	if err != nil {
		return nil, err
	}
	rows := max(h.BatchSize, evalBatch)
	return &Execution{
		session: session, data: data, trainer: trainer,
		perEpoch: h.StepsPerEpoch(data.Len(dataset.Train)),
		index:    make([]int, rows),
		x:        make([]float32, rows*features),
		labels:   make([]int32, rows),
	}, nil
}

// PlanOf returns the memory plan of the session's model.
func PlanOf(session training.TrainingSession) (*nn.Plan, error) {
	h := session.Hyperparameters
	return nn.NewPlan(session.Architecture, nn.PlanConfig{
		BatchSize: h.BatchSize, EvalBatchSize: evalBatch, Shards: h.Shards, Optimizer: h.Optimizer,
	})
}

// Close frees the trainer's memory.
func (x *Execution) Close() { x.trainer.Close() }

// Steps returns the number of optimiser steps that the weights have behind them.
func (x *Execution) Steps() uint64 { return x.step }

// Epoch returns the number of epochs that the weights have behind them.
func (x *Execution) Epoch() uint64 { return x.step / x.perEpoch }

// TotalSteps returns the number of steps of the whole run.
func (x *Execution) TotalSteps() uint64 { return x.perEpoch * x.session.Hyperparameters.Epochs }

// Reset starts from the weights that the session's seed gives, at step 0.
func (x *Execution) Reset() error {
	model, err := nn.NewModel(x.session.ModelID, x.session.Architecture, x.session.Hyperparameters.Seed)
	if err != nil {
		return err
	}
	state, err := nn.InitialState(model, x.session.Hyperparameters.Optimizer)
	if err != nil {
		return err
	}
	x.step, x.lossSum, x.lossRows = 0, 0, 0
	return x.trainer.Load(state)
}

// Restore goes on from a checkpoint.
func (x *Execution) Restore(c checkpoint.Content) error {
	if c.SessionID != string(x.session.ID) {
		return fmt.Errorf("checkpoint of session %s: %w", c.SessionID, training.ErrInvalidCheckpoint)
	}
	if err := x.trainer.Load(nn.State{Step: c.Step, Parameters: c.Weights, Moments: c.Optimizer}); err != nil {
		return err
	}
	x.step, x.lossSum, x.lossRows = c.Step, c.Metrics[lossSumKey], int(c.Metrics[lossRowsKey])
	x.shuffle()
	return nil
}

// Content returns all of the training's state, ready to be written.
func (x *Execution) Content(run training.RunID) (checkpoint.Content, error) {
	state, err := x.trainer.State()
	if err != nil {
		return checkpoint.Content{}, err
	}
	return checkpoint.Content{
		RunID: string(run), SessionID: string(x.session.ID), Step: x.step, Epoch: x.Epoch(),
		Weights: state.Parameters, Optimizer: state.Moments,
		Metrics: map[string]float64{lossSumKey: x.lossSum, lossRowsKey: float64(x.lossRows)},
	}, nil
}

// shuffle sets the order of the present epoch.
func (x *Execution) shuffle() {
	x.order = dataset.NewPermutation(x.session.Hyperparameters.Seed, x.Epoch(), x.data.Len(dataset.Train))
}

// Train takes one optimiser step on the next batch of the epoch.
func (x *Execution) Train() (StepResult, error) {
	h := x.session.Hyperparameters
	at := x.step % x.perEpoch
	if at == 0 {
		x.shuffle()
	}
	samples := x.data.Len(dataset.Train)
	first := int(at) * h.BatchSize
	rows := min(h.BatchSize, samples-first)
	for i := range rows {
		x.index[i] = x.order.At(first + i)
	}
	features := len(x.x) / len(x.index)
	inputs, labels := x.x[:rows*features], x.labels[:rows]
	x.data.Gather(dataset.Train, x.index[:rows], inputs, labels)

	rate := h.LearningRate.At(x.step)
	epoch := x.Epoch() + 1
	loss, err := x.trainer.Step(nn.Batch{Rows: rows, Inputs: inputs, Labels: labels}, rate)
	if err != nil {
		return StepResult{}, err
	}
	x.step++
	x.lossSum += float64(float64(loss) * float64(rows))
	x.lossRows += rows
	return StepResult{
		Step: x.step, Epoch: epoch, Loss: loss, LearningRate: rate, Samples: rows,
		EpochDone: x.step%x.perEpoch == 0,
	}, nil
}

// MeanLoss returns the mean loss of the epoch's samples so far.
func (x *Execution) MeanLoss() float64 {
	if x.lossRows == 0 {
		return 0
	}
	return x.lossSum / float64(x.lossRows)
}

// FinishEpoch evaluates the weights on the validation split, returns the
// epoch's figures and begins the next epoch's.
func (x *Execution) FinishEpoch() (training.EpochMetrics, error) {
	m := training.EpochMetrics{Epoch: x.Epoch(), Step: x.step}
	m.TrainLoss = x.MeanLoss()
	samples := x.data.Len(dataset.Validation)
	features := len(x.x) / len(x.index)
	var lossSum float64
	var correct int
	for first := 0; first < samples; first += evalBatch {
		rows := min(evalBatch, samples-first)
		for i := range rows {
			x.index[i] = first + i
		}
		x.data.Gather(dataset.Validation, x.index[:rows], x.x[:rows*features], x.labels[:rows])
		r, err := x.trainer.Evaluate(nn.Batch{Rows: rows, Inputs: x.x[:rows*features], Labels: x.labels[:rows]})
		if err != nil {
			return m, err
		}
		lossSum += r.LossSum
		correct += r.Correct
	}
	if samples > 0 {
		m.ValLoss = lossSum / float64(samples)
		m.ValAccuracy = float64(correct) / float64(samples)
	}
	x.lossSum, x.lossRows = 0, 0
	return m, nil
}

// WeightsSHA256 returns the SHA-256 that a checkpoint of the present weights
// would have.
func (x *Execution) WeightsSHA256() (string, error) {
	state, err := x.trainer.State()
	if err != nil {
		return "", err
	}
	return checkpoint.WeightsSHA256(state.Parameters)
}
