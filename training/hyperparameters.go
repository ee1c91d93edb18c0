package training

import (
	"errors"
	"fmt"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
)

// Limits of a request, so that a slip of the finger is refused rather than tried.
const (
	MaxEpochs = 1_000_000
	MaxShards = 1024
	// MaxAccumulation bounds the batches of an optimiser step.
	MaxAccumulation = 65536
	// MaxPower bounds the exponent of a polynomial schedule.
	MaxPower = 1000
)

// Hyperparameters is everything that determines a training run, apart from the
// model and the data: the same values give the same bits.
type Hyperparameters struct {
	BatchSize    int          `json:"batch_size"`
	Epochs       uint64       `json:"epochs"`
	Optimizer    nn.Optimizer `json:"optimizer"`
	LearningRate LearningRate `json:"learning_rate"`
	// Seed keys the initial weights and the order of the samples.
	Seed uint64 `json:"seed"`
	// Shards is the number of parts that a batch is cut into. Their gradients are
	// added in a fixed tree, whichever worker computes them.
	Shards int `json:"shards"`
	// CheckpointInterval is the number of epochs between two checkpoints. The
	// last epoch always ends in one.
	CheckpointInterval uint64 `json:"checkpoint_interval"`

	Options
}

// Options are the hyperparameters that a request and the record of a run write alike:
// under the same JSON names, and not at all at their default, which is their zero
// value. A new option is a field here, or in one of the structs within, and an entry
// of the schema of requests.
type Options struct {
	// GradientAccumulation is the number of batches whose gradients make one
	// optimiser step; 0 stands for 1.
	GradientAccumulation int `json:"gradient_accumulation,omitempty"`
	nn.Regularization
	// Augmentation changes the images of the training split.
	Augmentation dataset.Augmentation `json:"augmentation,omitzero"`
	// EvalInterval is the number of steps after which the validation loss is
	// measured within an epoch; 0 measures it at the end of each epoch only.
	EvalInterval uint64 `json:"eval_interval,omitempty"`
	// EarlyStopping ends training once the monitored figure no longer improves.
	EarlyStopping EarlyStopping `json:"early_stopping,omitzero"`
	// Monitor is the figure of the validation split that early stopping, the best
	// checkpoint and the headline follow; "" is the validation loss.
	Monitor string `json:"monitor,omitempty"`
	// ClassWeight says how much each class counts in the loss of a step.
	ClassWeight ClassWeight `json:"class_weight,omitempty"`
	// Sampler is the order in which an epoch visits the samples; "" is shuffled.
	Sampler Sampler `json:"sampler,omitempty"`
	// Precision is how outputs are kept for the backward pass; "" is float32.
	Precision nn.Precision `json:"precision,omitempty"`
	// Freeze says which parameters stay as they are.
	Freeze nn.Freeze `json:"freeze,omitempty"`
	// Keep says which checkpoints stay.
	Keep Keep `json:"keep,omitzero"`
}

// Sampler is the order in which an epoch visits the samples of the training split.
type Sampler string

// The samplers.
const (
	// Shuffled visits each sample once, in an order that the seed and the epoch choose.
	Shuffled Sampler = "shuffled"
	// BalancedSampler visits each class equally often; see dataset.Balanced.
	BalancedSampler Sampler = "balanced"
)

// Recorded returns the options as they are recorded: the default as the zero value,
// where another value says the same.
func (o Options) Recorded() Options {
	if o.GradientAccumulation == 1 {
		o.GradientAccumulation = 0
	}
	if o.Precision == nn.Float32 {
		o.Precision = ""
	}
	if o.Monitor == MonitorValLoss {
		o.Monitor = ""
	}
	if o.Sampler == Shuffled {
		o.Sampler = ""
	}
	o.Loss = o.Loss.WithDefaults()
	return o
}

// StepSamples returns the samples of a whole optimiser step.
func (h Hyperparameters) StepSamples() int { return h.BatchSize * max(h.GradientAccumulation, 1) }

// StepsPerEpoch returns the optimiser steps that an epoch over samples takes;
// the last step of an epoch may have fewer samples than the others. It is 0 for
// a step without samples, which only a forged record has.
func (h Hyperparameters) StepsPerEpoch(samples int) uint64 {
	each := h.StepSamples()
	if each < 1 {
		return 0
	}
	return uint64((samples + each - 1) / each)
}

// TotalSteps returns the optimiser steps of the whole run.
func (h Hyperparameters) TotalSteps(samples int) uint64 {
	return h.Epochs * h.StepsPerEpoch(samples)
}

// ValidHyperparameters are hyperparameters that can be trained with, as far as that
// can be said without the data. Only Hyperparameters.Validate makes them, so that
// whoever is given some need not validate them again.
type ValidHyperparameters struct{ values Hyperparameters }

// Are reports whether these are the given hyperparameters; the zero value is none.
func (v ValidHyperparameters) Are(h Hyperparameters) bool {
	return v.values == h && h != (Hyperparameters{})
}

// Plan returns the hyperparameters with their schedule planned for a training split
// of a number of samples.
func (v ValidHyperparameters) Plan(samples int) Hyperparameters {
	h := v.values
	h.LearningRate.Schedule.TotalSteps = h.TotalSteps(samples)
	return h
}

// Validate fails with a *fault.FieldError where a value cannot be trained with, whatever
// the data, or with several of them joined. Fit and FitSamples have the rules about
// the data.
func (h Hyperparameters) Validate() (ValidHyperparameters, error) {
	var errs []error
	bad := func(field string, value any, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "config." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	if h.BatchSize < 1 {
		bad("batch_size", h.BatchSize, "must be at least 1", "use a size such as 32")
	}
	if h.Epochs < 1 || h.Epochs > MaxEpochs {
		bad("epochs", h.Epochs, fmt.Sprintf("must be between 1 and %d", MaxEpochs), "use the number of passes over the data, such as 10")
	}
	switch {
	case h.Shards < 1 || h.Shards > MaxShards:
		bad("shards", h.Shards, fmt.Sprintf("must be between 1 and %d", MaxShards), "use 1 unless several workers share a batch")
	case h.BatchSize >= 1 && h.Shards > h.BatchSize:
		bad("shards", h.Shards, fmt.Sprintf("is more than the batch of %d has samples", h.BatchSize), "use fewer shards or a larger batch")
	}
	if h.CheckpointInterval < 1 {
		bad("checkpoint_interval", h.CheckpointInterval, "must be at least 1", "use 1 for a checkpoint after every epoch")
	}
	if h.GradientAccumulation < 0 || h.GradientAccumulation > MaxAccumulation {
		bad("gradient_accumulation", h.GradientAccumulation, fmt.Sprintf("must be between 1 and %d", MaxAccumulation), "use 1 to step after every batch")
	}
	errs = append(errs, h.Keep.validate()...)
	for _, err := range fault.Parts(errors.Join(h.ValidateRegularization(), h.ClassWeight.validate())) {
		var field *fault.FieldError
		if errors.As(err, &field) {
			bad(field.Field, field.Value, field.Problem, field.Fix)
		}
	}
	switch {
	case !(h.EarlyStopping.MinDelta >= 0):
		bad("early_stopping.min_delta", h.EarlyStopping.MinDelta, "must be at least 0", "use 0 to count any improvement")
	case h.EarlyStopping.Patience == 0 && h.EarlyStopping != (EarlyStopping{}):
		bad("early_stopping.patience", h.EarlyStopping.Patience, "must be at least 1", "use the number of evaluations to wait for a better loss, such as 5")
	}
	if h.Precision.Validate() != nil {
		bad("precision", h.Precision, "must be float32 or bf16", "correct the name")
	}
	if s := h.Sampler; s != "" && s != Shuffled && s != BalancedSampler {
		bad("sampler", s, "must be shuffled or balanced", "correct the name")
	}
	for _, part := range fault.Parts(h.Optimizer.Validate()) {
		var field *fault.FieldError
		if errors.As(part, &field) {
			named := *field
			named.Field = "config." + field.Field
			part = &named
		}
		errs = append(errs, part)
	}
	if err := h.LearningRate.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := join(errs); err != nil {
		return ValidHyperparameters{}, err
	}
	return ValidHyperparameters{h}, nil
}

// Fit fails with a *fault.FieldError where the hyperparameters do
// not fit the data, or with several of them joined.
func (h Hyperparameters) Fit(data *dataset.Dataset) error {
	var errs []error
	if err := h.FitSamples(data.Len(dataset.Train)); err != nil {
		errs = append(errs, err)
	}
	if h.LabelSmoothing > 0 && data.Task() == dataset.Regression {
		errs = append(errs, &fault.FieldError{Field: "config.label_smoothing", Value: fmt.Sprint(h.LabelSmoothing),
			Problem: "does not fit a regression, which has no classes", Fix: "leave it out"})
	}
	if err := data.CheckAugmentation(h.Augmentation); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, h.fitTask(data)...)
	if err := h.fitMonitor(data); err != nil {
		errs = append(errs, err)
	}
	return join(errs)
}

// fitTask returns what is wrong with the loss, the weights of classes and the sampler for
// the task of the data.
func (h Hyperparameters) fitTask(data *dataset.Dataset) []error {
	var errs []error
	bad := func(field string, value any, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "config." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	classes, what := data.Task() == dataset.Classification, "a regression, which has no classes"
	if data.Task() == dataset.NextToken {
		what = "a text, which has no classes"
	}
	fix := "use cross_entropy or leave it out"
	if classes {
		fix = "use cross_entropy or focal, or leave it out; if the target is a quantity, choose the task regression"
	}
	switch name, quantities := h.Loss.Name, data.Task() == dataset.Regression; name {
	case nn.LossFocal:
		if !classes {
			bad("loss", name, "does not fit "+what, "leave it out")
		}
	case nn.LossCrossEntropy:
		if quantities {
			bad("loss", name, "is a loss of classes, and a regression has none", "use mse, mae or huber, or leave it out")
		}
	case nn.LossMSE, nn.LossMAE, nn.LossHuber:
		if !quantities {
			bad("loss", name, "is a loss of quantities, and the task "+string(data.Task())+" has none", fix)
		}
	}
	if h.Sampler == BalancedSampler && !classes {
		bad("sampler", h.Sampler, "does not fit "+what, "leave it out")
	}
	if h.ClassWeight == "" {
		return errs
	}
	if !classes {
		bad("class_weight", string(h.ClassWeight), "does not fit "+what, "leave it out")
		return errs
	}
	_, err := h.ClassWeight.Weights(data.ClassNames(), data.ClassCounts(dataset.Train))
	for _, part := range fault.Parts(err) {
		var field *fault.FieldError
		if errors.As(part, &field) {
			bad(field.Field, field.Value, field.Problem, field.Fix)
		}
	}
	return errs
}

// FitSamples fails with a *fault.FieldError where the hyperparameters do not fit a training
// split of a number of samples, or with several of them joined.
func (h Hyperparameters) FitSamples(samples int) error {
	var errs []error
	bad := func(field string, value any, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "config." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	switch {
	case h.BatchSize > samples:
		bad("batch_size", h.BatchSize, fmt.Sprintf("is larger than the training split of %d samples", samples),
			fmt.Sprintf("use at most %d", samples))
	case h.GradientAccumulation > 1 && h.GradientAccumulation <= MaxAccumulation && h.StepSamples() > samples:
		bad("gradient_accumulation", h.GradientAccumulation,
			fmt.Sprintf("makes a step of %d samples, more than the training split of %d", h.StepSamples(), samples),
			fmt.Sprintf("use at most %d", max(samples/h.BatchSize, 1)))
	}
	schedule, steps := h.LearningRate.Schedule, h.TotalSteps(samples)
	if steps > 0 && schedule.WarmupSteps >= steps && schedule.Name != Constant {
		bad("schedule.warmup_steps", schedule.WarmupSteps, fmt.Sprintf("is too many: the run has only %d steps", steps),
			fmt.Sprintf("use fewer than %d warm-up steps or train for more epochs", steps))
	}
	return join(errs)
}

// join returns several errors as one, and one as it is.
func join(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
