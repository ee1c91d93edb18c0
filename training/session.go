package training

import (
	"reprise/dataset"
	"reprise/dataset/tokenizer"
	"reprise/nn"
)

type (
	// SessionID names a training session.
	SessionID string
	// RunID names the run that a session belongs to, and the folder of the run's
	// files; see RunID.Validate.
	RunID string
	// DatasetID names the data that a session reads.
	DatasetID string
)

// State is the state of a training session.
type State string

// The states of a session. Interrupted means stopped between two steps with
// everything released: by the user, or by a crash that was recovered from.
const (
	Initializing State = "initializing"
	Running      State = "running"
	Interrupted  State = "interrupted"
	Completed    State = "completed"
	Failed       State = "failed"
)

// Terminal reports whether the state is final.
func (s State) Terminal() bool { return s == Completed || s == Failed }

// Dataset describes the data that a session trains on: enough to open it again, and
// to refuse any other.
type Dataset struct {
	ID DatasetID `json:"id"`
	// Path is the catalogue name, folder or file as the request gave it, made
	// absolute where it is a path.
	Path               string  `json:"path"`
	Target             string  `json:"target,omitempty"`
	ValidationFraction float64 `json:"validation_fraction,omitempty"`
	// Fingerprint is the SHA-256 of the content, in hex.
	Fingerprint string `json:"fingerprint"`
	Training    int    `json:"training_samples"`
	Validation  int    `json:"validation_samples"`
	SampleShape []int  `json:"sample_shape"`
	Classes     int    `json:"classes"`
	// Task is what is learned from the data; "" is classification, as in the records
	// of the first release.
	Task dataset.Task `json:"task,omitempty"`
	// Tokenizer, Vocabulary and Context are those of dataset.Source, for text.
	Tokenizer  tokenizer.Kind `json:"tokenizer,omitempty"`
	Vocabulary int            `json:"vocabulary,omitempty"`
	Context    int            `json:"context,omitempty"`
	// TokenizerModel is the tokenizer itself, in its JSON form, so that text can
	// be generated without the data.
	TokenizerModel string `json:"tokenizer_model,omitempty"`
	// Targets are the quantities of a regression.
	Targets []dataset.Target `json:"targets,omitempty"`
	// Table says how a table was read, as the request did. Preprocessing is the SHA-256
	// of the document that says how its rows become features; it is absent for data
	// without one.
	Table         dataset.TableOptions `json:"table,omitzero"`
	Preprocessing string               `json:"preprocessing,omitempty"`
	// Image says what became of the images of files, as the request did.
	Image dataset.ImageOptions `json:"image,omitzero"`
}

// Source returns how the data was opened; dataset.Library.Reopen takes it, with
// the fingerprint.
func (d Dataset) Source() dataset.Source {
	task := d.Task
	if task == "" {
		task = dataset.Classification
	}
	return dataset.Source{
		Path: d.Path, Task: task, Target: d.Target, ValidationFraction: d.ValidationFraction,
		Tokenizer: d.Tokenizer, Vocabulary: d.Vocabulary, Context: d.Context, Table: d.Table, Image: d.Image,
	}
}

// HasAccuracy reports whether there is an accuracy: predictions of classes and
// tokens are right or wrong, those of quantities are not.
func (d Dataset) HasAccuracy() bool { return d.Task != dataset.Regression }

// Objective returns what training on the data minimises.
func (d Dataset) Objective() nn.Objective {
	if d.Task == dataset.Regression {
		return nn.MeanSquaredError
	}
	return nn.CrossEntropy
}

// TrainingSession is one model being trained on one data set under one set of
// hyperparameters.
type TrainingSession struct {
	ID              SessionID       `json:"id"`
	ModelID         nn.ModelID      `json:"model_id"`
	Architecture    nn.Architecture `json:"architecture"`
	Dataset         Dataset         `json:"dataset"`
	Hyperparameters Hyperparameters `json:"hyperparameters"`
	// Parent is where a fork comes from; nil for any other session.
	Parent *Parent `json:"parent,omitempty"`
	// Init says which initial weights do not come from the seed; nil if all of them do.
	Init  *Init `json:"init,omitempty"`
	State State `json:"state"`
}

// CanResume reports whether training can be resumed: false once the session has
// completed or failed.
func (s TrainingSession) CanResume() bool { return !s.State.Terminal() }
