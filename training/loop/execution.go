package loop

import (
	"errors"
	"fmt"
	"strconv"

	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/fault"
	"reprise/internal/stepseries"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// The keys of a checkpoint's metrics: the state of the epoch's mean loss, so
// that a run resumed within an epoch reports exactly the same figures.
const (
	LossSumKey  = "epoch_loss_sum"
	LossRowsKey = "epoch_loss_rows"
)

// A validation loss is the sum of the sums of blocks. evalBlock is the number of
// samples in a block, and evalLabels bounds their labels where a sample has many.
// Both are part of what the loss is; how many samples are computed at a time is
// not.
const (
	evalBlock  = 256
	evalLabels = 4096
)

// evalMemory is the device memory that a plan may take to evaluate many samples
// at a time, even if training needs less.
const evalMemory tensor.Bytes = 256 << 20

// Execution trains one session step by step. What it computes is a function of
// the session and the data alone: a run and its verification share it.
//
// It is used by one goroutine at a time.
type Execution struct {
	session training.TrainingSession
	data    *dataset.Dataset
	trainer Trainer

	step     uint64
	perEpoch uint64
	lossSum  float64 // over the epoch's samples so far
	lossRows int
	progress training.Progress
	before   training.Progress // as progress was until the newest evaluation

	order    interface{ At(i int) int } // of the samples of the current epoch
	balanced *dataset.Balanced          // nil unless the sampler asks for it
	weights  []float32                  // of the classes; nil if they count alike
	weighted []float32                  // of a batch's labels
	index    []int
	batch    *dataset.Batch
	ahead    *ahead // of the batch; nil for data in memory
	// block is the validation samples whose losses are summed up before they meet
	// the others'; evalRows of them are computed at a time.
	block, evalRows int
	outputs         int // of one sample
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

// Record returns the step as the step series records it.
func (s StepResult) Record() stepseries.Record {
	return stepseries.Record{Step: s.Step, Epoch: uint32(s.Epoch), Loss: s.Loss, LearningRate: s.LearningRate}
}

// FilesError says that files of the run cannot be read or written, or are not what its
// events say.
type FilesError struct{ Err error }

// Error returns what is wrong with which file.
func (e *FilesError) Error() string { return e.Err.Error() }

// Kind returns the kind of the cause.
func (e *FilesError) Kind() fault.Kind { return fault.KindOf(e.Err) }

// Unwrap returns the cause.
func (e *FilesError) Unwrap() error { return e.Err }

// NewExecution plans the session's model on the backend. The trainer's memory
// is freed by Close. Begin or Restore must follow.
func NewExecution(session training.TrainingSession, data *dataset.Dataset, backend kernel.Backend) (*Execution, error) {
	plan, err := PlanOf(session)
	if err != nil {
		return nil, err
	}
	return NewExecutionWith(session, plan, data, backend, NewTrainer)
}

// Trainer is what an execution needs of an nn.Trainer.
type Trainer interface {
	Load(nn.State) error
	State() (nn.State, error)
	Step(b nn.Batch, rate float32) (float32, error)
	EvaluateInto(nn.Batch, *nn.EvalResult) error
	Predict(b nn.Batch, outputs []float32) error
	Close()
}

// TrainerFactory makes the trainer of a plan on a backend.
type TrainerFactory func(kernel.Backend, *nn.Plan) (Trainer, error)

// NewTrainer is the TrainerFactory of everybody but tests.
func NewTrainer(backend kernel.Backend, plan *nn.Plan) (Trainer, error) {
	return nn.NewTrainer(backend, plan)
}

// NewExecutionWith is NewExecution with the session's plan, as PlanOf gives it, and
// another trainer.
func NewExecutionWith(session training.TrainingSession, plan *nn.Plan, data *dataset.Dataset, backend kernel.Backend, newTrainer TrainerFactory) (*Execution, error) {
	h := session.Hyperparameters
	block, err := evaluationBlock(session.Architecture)
	if err != nil {
		return nil, err
	}
	var weights []float32
	if h.ClassWeight != "" {
		var err error
		if weights, err = h.ClassWeight.Weights(data.ClassNames(), data.ClassCounts(dataset.Train)); err != nil {
			return nil, err
		}
	}
	trainer, err := newTrainer(backend, plan)
	if err != nil {
		return nil, err
	}
	evalRows := plan.Config().EvalBatchSize
	rows := max(h.StepSamples(), min(evalRows, data.Len(dataset.Validation)))
	batch := data.NewBatch(rows)
	batch.Augmentation, batch.Seed = h.Augmentation, h.Seed
	x := &Execution{
		session: session, data: data, trainer: trainer,
		perEpoch: h.StepsPerEpoch(data.Len(dataset.Train)),
		index:    make([]int, rows), batch: batch, block: block, evalRows: evalRows,
		outputs: plan.Outputs(), weights: weights,
	}
	if h.Sampler == training.BalancedSampler {
		x.balanced = data.NewBalanced(dataset.Train, h.Seed)
	}
	if weights != nil {
		x.weighted = make([]float32, rows)
	}
	if data.InFile() {
		next := data.NewBatch(rows)
		next.Augmentation, next.Seed = batch.Augmentation, batch.Seed
		x.ahead = &ahead{batch: next, index: make([]int, rows)}
	}
	return x, nil
}

// PlanOf returns the memory plan of the session's model. It evaluates as many
// validation samples at a time as there are, at most a block of them, and fewer
// where they would need more memory than training and evalMemory. It fails with a
// *fault.FieldError where a step has more samples than the model can take.
func PlanOf(session training.TrainingSession) (*nn.Plan, error) {
	block, err := evaluationBlock(session.Architecture)
	if err != nil {
		return nil, err
	}
	least, err := planEvaluating(session, 1)
	if err != nil {
		return nil, stepTooLarge(session.Hyperparameters, err)
	}
	limit := max(least.Memory().Total, evalMemory)
	for rows := min(block, session.Dataset.Validation); rows > 1; rows /= 2 {
		plan, err := planEvaluating(session, rows)
		if err == nil && plan.Memory().Total <= limit {
			return plan, nil
		}
	}
	return least, nil
}

// evaluationBlock returns the samples in a block of a validation loss.
func evaluationBlock(arch nn.Architecture) (int, error) {
	out, err := arch.Output()
	if err != nil {
		return 0, err
	}
	if len(out) > 1 {
		return max(1, min(evalBlock, evalLabels/out[0])), nil
	}
	return evalBlock, nil
}

func planEvaluating(session training.TrainingSession, rows int) (*nn.Plan, error) {
	h := session.Hyperparameters
	return nn.NewPlan(session.Architecture, nn.PlanConfig{
		BatchSize: h.StepSamples(), EvalBatchSize: rows, Microbatches: h.GradientAccumulation, Shards: h.Shards,
		Objective: session.Dataset.Objective(), Regularization: h.Regularization, Weighted: h.ClassWeight != "",
		Freeze: h.Freeze, Optimizer: h.Optimizer, Seed: h.Seed, Precision: h.Precision,
	})
}

// stepTooLarge says in terms of the request that a step has too many samples for
// the plan, whose batch is a whole step.
func stepTooLarge(h training.Hyperparameters, err error) error {
	var field *fault.FieldError
	if !errors.As(err, &field) || field.Field != "batch_size" {
		return err
	}
	bad := &fault.FieldError{Field: "config.batch_size", Value: strconv.Itoa(h.BatchSize), Problem: "is too large for the model: it " + field.Problem, Fix: field.Fix}
	if h.GradientAccumulation > 1 {
		bad.Field, bad.Value = "config.gradient_accumulation", strconv.Itoa(h.GradientAccumulation)
		bad.Problem = fmt.Sprintf("makes a step of %d samples, which %s", h.StepSamples(), field.Problem)
		bad.Fix = "use fewer or smaller batches"
	}
	return bad
}

// Close frees the trainer's memory, and waits for what is read ahead.
func (x *Execution) Close() {
	if x.ahead != nil {
		x.ahead.take(0)
	}
	x.trainer.Close()
}

// Steps returns the number of optimiser steps that the weights have taken.
func (x *Execution) Steps() uint64 { return x.step }

// Epoch returns the number of epochs that the weights have completed.
func (x *Execution) Epoch() uint64 { return x.step / x.perEpoch }

// TotalSteps returns the number of steps of the whole run.
func (x *Execution) TotalSteps() uint64 { return x.perEpoch * x.session.Hyperparameters.Epochs }

// Reset starts from the weights that the session's seed gives, at step 0.
func (x *Execution) Reset() error { return x.reset(nil) }

// reset is Reset with other values of some parameters.
func (x *Execution) reset(taken []tensor.Tensor) error {
	model, err := nn.NewModel(x.session.ModelID, x.session.Architecture, x.session.Hyperparameters.Seed)
	if err != nil {
		return err
	}
	byName := make(map[string]tensor.Tensor, len(taken))
	for _, t := range taken {
		byName[t.Name] = t
	}
	for i, p := range model.Parameters {
		if t, ok := byName[p.Name]; ok {
			model.Parameters[i] = t
		}
	}
	state, err := nn.InitialState(model, x.session.Hyperparameters.Optimizer)
	if err != nil {
		return err
	}
	x.step, x.lossSum, x.lossRows, x.progress = 0, 0, 0, training.Progress{}
	return x.trainer.Load(state)
}

// Restore continues from a checkpoint.
func (x *Execution) Restore(c checkpoint.Content) error {
	if c.SessionID != string(x.session.ID) {
		return &FilesError{Err: fmt.Errorf("the checkpoint is of session %s instead of %s: %w", c.SessionID, x.session.ID, training.ErrInvalidCheckpoint)}
	}
	return x.Load(c)
}

// Files finds what a session begins with.
type Files interface {
	// Checkpoints returns the checkpoints of a run.
	Checkpoints(training.RunID) checkpoint.Folder
	// Initial returns the initial weights of a run that its seed does not give.
	Initial(training.RunID) checkpoint.Initial
}

// Begin puts the execution where the session of a run begins: at the weights that its
// seed gives and those that are kept with the run or, for a fork, at the checkpoint of its
// parent.
func (x *Execution) Begin(run training.RunID, files Files) error {
	parent := x.session.Parent
	if parent == nil {
		taken, err := x.initial(run, files)
		if err != nil {
			return err
		}
		return x.reset(taken)
	}
	content, err := files.Checkpoints(parent.RunID).Read(parent.Checkpoint.Ref())
	if err != nil {
		return &FilesError{Err: fmt.Errorf("the checkpoint of run %s that this one was forked from: %w", parent.RunID, err)}
	}
	if content.RunID != string(parent.RunID) || content.SessionID != string(parent.Checkpoint.SessionID) {
		return &FilesError{Err: fmt.Errorf("the checkpoint of run %s that this one was forked from is of run %s, session %s: %w",
			parent.RunID, content.RunID, content.SessionID, training.ErrInvalidCheckpoint)}
	}
	return x.Load(content)
}

// initial returns the initial weights that the session does not draw.
func (x *Execution) initial(run training.RunID, files Files) ([]tensor.Tensor, error) {
	init := x.session.Init
	if init == nil {
		return nil, nil
	}
	taken, err := files.Initial(run).Read(init.WeightsSHA256)
	if err != nil {
		return nil, &FilesError{Err: fmt.Errorf("the initial weights of run %s: %w", run, err)}
	}
	specs, err := x.session.Architecture.Parameters()
	if err != nil {
		return nil, err
	}
	if what := init.Check(specs, taken); what != "" {
		return nil, &FilesError{Err: fmt.Errorf("the initial weights of run %s: %s: %w", run, what, training.ErrInvalidCheckpoint)}
	}
	return taken, nil
}

// Load continues from the state that a checkpoint of any session has.
func (x *Execution) Load(c checkpoint.Content) error {
	if err := x.trainer.Load(nn.State{Step: c.Step, Parameters: c.Weights, Moments: c.Optimizer}); err != nil {
		return err
	}
	x.step, x.lossSum, x.lossRows = c.Step, c.Metrics[LossSumKey], int(c.Metrics[LossRowsKey])
	x.progress = x.session.Hyperparameters.RestoreProgress(c.Metrics)
	x.shuffle()
	return nil
}

// Content returns all of the training's state, ready to be written.
func (x *Execution) Content(run training.RunID) (checkpoint.Content, error) {
	state, err := x.trainer.State()
	if err != nil {
		return checkpoint.Content{}, err
	}
	figures := map[string]float64{LossSumKey: x.lossSum, LossRowsKey: float64(x.lossRows)}
	x.session.Hyperparameters.SaveProgress(x.progress, figures)
	content := checkpoint.Content{
		RunID: string(run), SessionID: string(x.session.ID), Step: x.step, Epoch: x.Epoch(),
		Weights: state.Parameters, Optimizer: state.Moments,
		Metrics: figures,
	}
	if recorded := x.session.Dataset.Preprocessing; recorded != "" { // logs of older versions do not have it
		if got := x.data.PreprocessingHash(); got != recorded {
			return checkpoint.Content{}, fmt.Errorf("preprocessing document of the data: its SHA-256 is %s instead of %s, which is on record", got, recorded)
		}
		content.Preprocessing = x.data.Preprocessing()
	}
	return content, nil
}

// shuffle sets the order of the current epoch.
func (x *Execution) shuffle() {
	if x.balanced != nil {
		x.order = x.balanced.Epoch(x.Epoch())
		return
	}
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
	first := int(at) * h.StepSamples()
	rows := min(h.StepSamples(), samples-first)
	var batch nn.Batch
	if x.ahead != nil && x.ahead.take(x.step) {
		x.batch, x.ahead.batch = x.ahead.batch, x.batch
		batch = x.gathered(rows)
	} else {
		for i := range rows {
			x.index[i] = x.order.At(first + i)
		}
		x.batch.Epoch = x.Epoch()
		var err error
		if batch, err = x.gather(dataset.Train, rows); err != nil {
			return StepResult{}, err
		}
	}
	if next := first + rows; x.ahead != nil && next < samples {
		order := x.order
		x.ahead.begin(x.data, x.step+1, x.Epoch(), min(h.StepSamples(), samples-next), func(i int) int { return order.At(next + i) })
	}
	if x.weights != nil {
		batch.Weights = x.weighted[:rows]
		for i, label := range batch.Labels {
			batch.Weights[i] = x.weights[label]
		}
	}
	rate := h.Rate(x.step, x.progress)
	epoch := x.Epoch() + 1
	loss, err := x.trainer.Step(batch, rate)
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

// gather reads the samples whose indices are set.
func (x *Execution) gather(split dataset.Split, rows int) (nn.Batch, error) {
	if err := x.data.GatherBatch(split, x.index[:rows], x.batch); err != nil {
		return nn.Batch{}, &FilesError{Err: err}
	}
	return x.gathered(rows), nil
}

// gathered is the batch that was gathered.
func (x *Execution) gathered(rows int) nn.Batch {
	return nn.Batch{Rows: rows, Inputs: x.batch.Inputs, Tokens: x.batch.Tokens, Labels: x.batch.Labels, Targets: x.batch.Targets}
}

// MeanLoss returns the mean loss of the epoch's samples so far.
func (x *Execution) MeanLoss() float64 {
	if x.lossRows == 0 {
		return 0
	}
	return x.lossSum / float64(x.lossRows)
}

// EvaluationDue reports whether an evaluation within the epoch is due at the
// current step.
func (x *Execution) EvaluationDue() bool {
	n := x.session.Hyperparameters.EvalInterval
	return n > 0 && x.step > 0 && x.step%n == 0 && x.step%x.perEpoch != 0
}

// Evaluate measures the weights on the validation split. Its effect on early
// stopping and the learning rate is part of the execution's state from then on.
func (x *Execution) Evaluate() (training.Evaluation, error) {
	e := training.Evaluation{Step: x.step}
	samples := x.data.Len(dataset.Validation)
	var lossSum float64
	var losses, correct int
	for first := 0; first < samples; first += x.block {
		r, err := x.evaluate(first, min(first+x.block, samples))
		if err != nil {
			return e, err
		}
		lossSum += r.LossSum
		losses += r.Losses
		correct += r.Correct
	}
	if losses > 0 {
		e.ValLoss = lossSum / float64(losses)
		e.ValAccuracy = float64(correct) / float64(losses)
	}
	if err := x.monitor(&e); err != nil {
		return e, err
	}
	x.before, x.progress = x.progress, x.session.Hyperparameters.Observe(x.progress, e)
	return e, nil
}

// monitor sets the figure that the run is judged by, if it is not the validation loss.
func (x *Execution) monitor(e *training.Evaluation) error {
	switch name := x.session.Hyperparameters.Monitor; name {
	case "":
	case "accuracy":
		e.Monitored = training.MonitoredOf(&e.ValAccuracy)
	default:
		f, err := x.validationFigures(training.Metrics{ValLoss: e.ValLoss, ValAccuracy: e.ValAccuracy})
		if err != nil {
			return err
		}
		found, _ := f.Find(name) // nothing is found where a prediction is not finite
		e.Monitored = training.MonitoredOf(found.Value)
	}
	return nil
}

// evaluate measures the validation samples [first, end).
func (x *Execution) evaluate(first, end int) (r nn.EvalResult, err error) {
	for first < end {
		rows := min(x.evalRows, end-first)
		for i := range rows {
			x.index[i] = first + i
		}
		batch, err := x.gather(dataset.Validation, rows)
		if err == nil {
			err = x.trainer.EvaluateInto(batch, &r)
		}
		if err != nil {
			return r, err
		}
		first += rows
	}
	return r, nil
}

// FinishEpoch evaluates the weights, returns the epoch's figures and begins the
// next epoch's.
func (x *Execution) FinishEpoch() (training.EpochMetrics, error) {
	m := training.EpochMetrics{Epoch: x.Epoch(), Step: x.step}
	m.TrainLoss = x.MeanLoss()
	e, err := x.Evaluate()
	if err != nil {
		return m, err
	}
	m.ValLoss, m.ValAccuracy, m.Monitored = e.ValLoss, e.ValAccuracy, e.Monitored
	x.lossSum, x.lossRows = 0, 0
	return m, nil
}

// Stopped returns the event that ends training with the current epoch, if early
// stopping asks for it.
func (x *Execution) Stopped() (training.EarlyStopped, bool) {
	return x.session.Hyperparameters.Stopped(x.progress, x.Epoch(), x.step)
}

// Reduced returns the event that says that the evaluation just made has reduced the
// learning rate, if it has.
func (x *Execution) Reduced() (training.LearningRateReduced, bool) {
	return x.session.Hyperparameters.Reduced(x.before, x.progress, x.step)
}

// WeightsSHA256 returns the SHA-256 that a checkpoint of the current weights
// would have.
func (x *Execution) WeightsSHA256() (string, error) {
	state, err := x.trainer.State()
	if err != nil {
		return "", err
	}
	return checkpoint.WeightsSHA256(state.Parameters)
}
