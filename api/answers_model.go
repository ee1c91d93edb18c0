package api

import (
	"errors"
	"strconv"

	"reprise/dataset"
	"reprise/fault"
	"reprise/metrics"
	"reprise/training"
)

// TrainedModel names a trained model: that of a run, or a bundle.
type TrainedModel struct {
	// Run names a run. Bundle is the path of a bundle instead, where the service runs; it
	// needs no data directory.
	Run    string `json:"run,omitempty"`
	Bundle Text   `json:"bundle,omitempty"`
	// Step is the step of the run's checkpoint to use; without it, it is the one with the
	// best monitored figure, or the last one while no epoch has been completed.
	Step *uint64 `json:"step,omitempty"`
	// Folder is where relative paths of the request start from; "" is the folder that the
	// service runs in.
	Folder Text `json:"folder,omitempty"`
}

// check returns a *fault.FieldError for each mistake.
func (m TrainedModel) check() (errs []error) {
	switch {
	case m.Run == "" && m.Bundle == "":
		errs = append(errs, &fault.FieldError{Field: "run", Value: "no model", Problem: "is named", Fix: "name a run, or a bundle"})
	case m.Run != "" && m.Bundle != "":
		errs = append(errs, &fault.FieldError{Field: "bundle", Value: strconv.Quote(string(m.Bundle)), Problem: "cannot be given together with a run", Fix: "leave one of them out"})
	}
	if m.Bundle != "" && m.Step != nil {
		errs = append(errs, &fault.FieldError{Field: "step", Value: strconv.FormatUint(*m.Step, 10), Problem: "does not fit a bundle, which has one checkpoint", Fix: "leave it out"})
	}
	return errs
}

// Rows names a file of rows or of images.
type Rows struct {
	// Path is that of the file, where the service runs, or a pattern that stands for
	// several, or a folder of images. The format is told by its content.
	Path Text `json:"path"`
	// Encoding and Separator are those of a table of text; "" finds them out.
	Encoding  string `json:"encoding,omitempty"`
	Separator string `json:"separator,omitempty"`
}

// PredictRequest asks what a model predicts for each row of a table, or for each image of
// a file.
type PredictRequest struct {
	TrainedModel
	Input Rows `json:"input"`
}

// Validate fails with a *fault.FieldError for each value that cannot be, joined.
func (r PredictRequest) Validate() error {
	errs := r.check()
	if r.Input.Path == "" {
		errs = append(errs, &fault.FieldError{Field: "input.path", Value: "no file", Problem: "is named", Fix: "name one with rows to predict"})
	}
	return errors.Join(errs...)
}

// UsedModel says which model was used.
type UsedModel struct {
	RunID training.RunID `json:"run_id"`
	Step  uint64         `json:"step"`
	Epoch uint64         `json:"epoch"`
	// WeightsSHA256 is that of the checkpoint's model.safetensors.
	WeightsSHA256 string `json:"weights_sha256"`
	// Best says that it is the checkpoint with the best figure: that which Monitor names, or
	// the validation loss. A bundle does not tell.
	Best    bool   `json:"best,omitempty"`
	Monitor string `json:"monitor,omitempty"`
	// Bundle is the bundle that it came from, if it came from one.
	Bundle Text `json:"bundle,omitempty"`
}

// PredictionPart is a part of what a model predicts. The first says what the numbers in all
// others mean.
type PredictionPart struct {
	Head *PredictionHead `json:"head,omitempty"`
	// Predictions are those of the next rows, in their order.
	Predictions []Prediction `json:"predictions,omitempty"`
}

// PredictionHead says what predictions mean.
type PredictionHead struct {
	Model UsedModel `json:"model"`
	// Column is the name of the column that has the class in training; "" where it has none.
	Column string `json:"column,omitempty"`
	// Classes are the names of the classes, Quantities those of the quantities of a
	// regression; one of them is empty.
	Classes    []string `json:"classes,omitempty"`
	Quantities []string `json:"quantities,omitempty"`
	// Images says that each prediction has the name of its image.
	Images bool `json:"images,omitempty"`
}

// Prediction is what a model predicts for one row, or one image.
type Prediction struct {
	// Image is the path of the file of the image: below the folder, as the table has it, or
	// as the request has it; "" for rows, and for several images in one file.
	Image Text `json:"image,omitempty"`
	// Class is the index of the likeliest class, the first of equal ones; 0 in a regression.
	Class int `json:"class"`
	// Values are the probabilities of the classes, or the quantities in their own units.
	Values []float64 `json:"values"`
}

// EvaluateRequest asks for the figures of a model on new data or, without Data, on a split of
// the data of its run.
type EvaluateRequest struct {
	TrainedModel
	// Data has rows with the target, or images with their classes.
	Data *Rows `json:"data,omitempty"`
	// Split is "validation", which "" stands for, or "test".
	Split string `json:"split,omitempty"`
}

// Validate fails with a *fault.FieldError for each value that cannot be, joined.
func (r EvaluateRequest) Validate() error {
	errs := r.check()
	switch {
	case r.Data == nil && r.Bundle != "":
		errs = append(errs, &fault.FieldError{Field: "data.path", Value: "no file", Problem: "is named, and a bundle does not have the data of its run", Fix: "name one of rows with their target"})
	case r.Data != nil && r.Data.Path == "":
		errs = append(errs, &fault.FieldError{Field: "data.path", Value: "no file", Problem: "is named", Fix: "name one of rows with their target"})
	case r.Data != nil && r.Split != "":
		errs = append(errs, &fault.FieldError{Field: "split", Value: strconv.Quote(r.Split), Problem: "cannot be given together with data", Fix: "leave one of them out"})
	}
	return errors.Join(append(errs, checkSplit(r.Split))...)
}

// checkSplit returns a *fault.FieldError for what is not a split to evaluate.
func checkSplit(s string) error {
	if s == "" || s == dataset.Validation.String() || s == dataset.Test.String() {
		return nil
	}
	return &fault.FieldError{Field: "split", Value: strconv.Quote(s), Problem: "is not a split to evaluate", Fix: "use validation or test"}
}

// OnSplit returns the split to evaluate where no data is given.
func (r EvaluateRequest) OnSplit() dataset.Split {
	if r.Split == dataset.Test.String() {
		return dataset.Test
	}
	return dataset.Validation
}

// ModelEvaluation has the figures of a model, each in the target's own unit.
type ModelEvaluation struct {
	Model UsedModel `json:"model"`
	// Data is the path of new data, Split the split of the run's own.
	Data  Text   `json:"data,omitempty"`
	Split string `json:"split,omitempty"`
	// Samples is how many have figures, LeftOut how many rows have none, by why.
	Samples int           `json:"samples"`
	LeftOut []LeftOutRows `json:"left_out,omitempty"`
	metrics.Figures
	// Recorded says that the log has the same figures, bit for bit; absent where it has
	// none of this checkpoint and split.
	Recorded *bool `json:"recorded,omitempty"`
}

// LeftOutRows counts rows that are left out.
type LeftOutRows struct {
	// Why completes "rows that have": "no price".
	Why  string `json:"why"`
	Rows int    `json:"rows"`
}
