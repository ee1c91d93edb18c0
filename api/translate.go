package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
	"reprise/training"
)

// IDs are the identities of what a request starts. They are inputs, so that the
// same input gives the same events.
type IDs struct {
	Run     training.RunID
	Session training.SessionID
	Model   nn.ModelID
}

// FromExternalRequest translates the request into the domain's terms, for the data
// that it names, and starts a session with training.TrainingService: it returns the
// session, in state initializing, and the events that record it.
// source is what DatasetReference returned and data was opened from.
//
// Errors are the domain's, about a model that does not fit the data or values
// that do not fit its size; Locate finds their place. Nothing has happened then.
func FromExternalRequest(r TrainingRequest, source dataset.Source, data *dataset.Dataset, ids IDs) (training.TrainingSession, []training.Event, error) {
	start := func() (session training.TrainingSession, events []training.Event, err error) {
		model, config, err := r.translate(data, ids)
		if err != nil {
			return session, nil, err
		}
		if config.Dataset, err = describe(source, data); err != nil {
			return session, nil, err
		}
		return training.TrainingService{}.StartTraining(model, data, config)
	}
	session, events, err := start()
	if err != nil {
		return training.TrainingSession{}, nil, r.allMistakes(data, err)
	}
	return session, events, nil
}

// allMistakes returns everything that is wrong with the request and with how it fits
// the data, where translating it found a first mistake.
func (r TrainingRequest) allMistakes(data *dataset.Dataset, first error) error {
	_, invalid := r.validHyperparameters()
	if all := together(r.Locate(invalid), r.CheckData(data)); all != nil {
		return all
	}
	return first
}

// translate returns the model and the settings that the request means for the data,
// without a description of the data.
func (r TrainingRequest) translate(data *dataset.Dataset, ids IDs) (nn.ModelSpec, training.Config, error) {
	fail := func(err error) (nn.ModelSpec, training.Config, error) { return nn.ModelSpec{}, training.Config{}, err }
	if err := data.Validate(); err != nil {
		return fail(err)
	}
	hyperparameters, err := r.validHyperparameters()
	if err != nil {
		return fail(err)
	}
	architecture, err := r.Architecture(data)
	if err != nil {
		return fail(err)
	}
	canonical, err := r.Canonical()
	if err != nil {
		return fail(err)
	}
	return nn.NewModelSpec(ids.Model, architecture), training.Config{
		RunID: ids.Run, SessionID: ids.Session, Hyperparameters: hyperparameters, Request: canonical,
	}, nil
}

// validHyperparameters returns those that parsing the request found to be valid. Those
// of a request that was made or changed in Go are validated now.
func (r TrainingRequest) validHyperparameters() (training.ValidHyperparameters, error) {
	h := r.Hyperparameters(0)
	if r.valid.Are(h) {
		return r.valid, nil
	}
	return h.Validate()
}

// CheckData fails where the request does not fit the data, with all that is wrong
// and does not follow from a mistake that came with the request. What the request
// says is at fault in a *RequestError with its place.
func (r TrainingRequest) CheckData(data *dataset.Dataset) error {
	if err := data.Validate(); err != nil {
		return err
	}
	r.wrong = maps.Clone(r.wrong)
	if r.wrong == nil {
		r.wrong = map[string]bool{}
	}
	samples := data.Len(dataset.Train)
	h := r.Hyperparameters(samples)
	var preset error
	if r.Sound("model_architecture") {
		preset = r.withDefaults().checkPreset(data)
	}
	errs := r.locateAll(r.longWarmup(h, samples))
	mark(r.wrong, errs)
	errs = append(errs, r.sift(joined(h.Fit(data), preset))...)
	if r.Sound("model_architecture") && (r.ModelArchitecture.Name == "" || r.Sound("model")) { // a list has its sizes itself
		architecture, err := r.Architecture(data)
		if err == nil {
			err = joined(training.CheckFit(architecture, data), training.CheckFreeze(architecture, h.Freeze), training.CheckNormalization(architecture, h, samples))
		}
		errs = append(errs, r.sift(err)...)
	}
	return join(r.File(), errs)
}

// longWarmup fails for a warm-up that is too long whatever the run's length will be
// once the fields that decide it are corrected.
func (r TrainingRequest) longWarmup(h training.Hyperparameters, samples int) error {
	steps := r.Sound("config.batch_size", "config.gradient_accumulation", "config.epochs") && h.StepSamples() <= samples
	if steps || !r.Sound("config.schedule.name", "config.schedule.warmup_steps") || h.LearningRate.Schedule.Name == training.Constant {
		return nil // it is known how long the run is
	}
	h.BatchSize, h.GradientAccumulation = 1, 1
	if !r.Sound("config.epochs") {
		h.Epochs = training.MaxEpochs
	}
	warmup, most := h.LearningRate.Schedule.WarmupSteps, h.TotalSteps(samples)
	if warmup < most {
		return nil
	}
	return &fault.FieldError{Field: "config.schedule.warmup_steps", Value: fmt.Sprint(warmup),
		Problem: fmt.Sprintf("is too many: the run has at most %d steps, whatever the batch size", most), Fix: "use fewer warm-up steps"}
}

// joined returns several errors as one, and one as it is.
func joined(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// describe returns what a run's record says of its data. The same content
// under the same name has the same id.
func describe(source dataset.Source, data *dataset.Dataset) (training.Dataset, error) {
	fingerprint := data.Fingerprint()
	d := training.Dataset{
		ID:   training.DatasetID(data.Name() + "@" + fingerprint),
		Path: source.Path, Target: source.Target, ValidationFraction: source.ValidationFraction,
		Fingerprint: fingerprint, Table: source.Table, Image: source.Image, Preprocessing: data.PreprocessingHash(),
		Training: data.Len(dataset.Train), Validation: data.Len(dataset.Validation),
		SampleShape: data.SampleShape(), Classes: data.Classes(), Targets: data.Targets(),
	}
	if data.Task() == dataset.Classification {
		return d, nil
	}
	d.Task = data.Task()
	d.Tokenizer, d.Vocabulary, d.Context = source.Tokenizer, source.Vocabulary, source.Context
	var err error
	d.TokenizerModel, err = data.TokenizerModel()
	return d, err
}

// Hyperparameters returns the domain's hyperparameters for a training split of
// a number of samples, with the schedule planned for all its steps; with 0
// samples the length of the run stays open.
func (r TrainingRequest) Hyperparameters(samples int) training.Hyperparameters {
	c := r.withDefaults().Config
	h := training.Hyperparameters{
		BatchSize: c.BatchSize, Epochs: c.Epochs, Optimizer: nn.Optimizer(c.Optimizer),
		LearningRate: training.LearningRate{Value: c.LearningRate, Schedule: training.Schedule(c.Schedule)},
		Seed:         c.Seed, Shards: c.Shards, CheckpointInterval: c.CheckpointInterval, Options: c.Recorded(),
	}
	h.LearningRate.Schedule.ExactCycles = h.LearningRate.Schedule.Name == training.CosineWithRestarts
	if samples > 0 && h.BatchSize > 0 {
		h.LearningRate.Schedule.TotalSteps = h.TotalSteps(samples)
	}
	return h
}

// precheck returns the hyperparameters if they can be trained with, and fails for those
// that cannot, whatever the data.
func (r TrainingRequest) precheck() (training.ValidHyperparameters, error) {
	valid, err := r.Hyperparameters(0).Validate()
	return valid, joined(err, r.Model.check(r.ModelArchitecture.Name), r.checkJob())
}
