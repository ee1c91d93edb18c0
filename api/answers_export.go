package api

import (
	"errors"

	"reprise/export"
	"reprise/fault"
	"reprise/training"
)

// ExportModelRequest asks for the model of a run in a format of another runtime.
type ExportModelRequest struct {
	Run    string        `json:"run"`
	Format export.Format `json:"format"`
	// Step is the step of the checkpoint to use, Best means the one with the best
	// monitored figure, which it is without both, too, as in every use of a trained model.
	Step *uint64 `json:"step,omitempty"`
	Best bool    `json:"best,omitempty"`
}

// Validate fails with a *fault.FieldError for each value that cannot be, joined.
func (r ExportModelRequest) Validate() error {
	return errors.Join(r.Format.Validate(), checkChoice(r.Step, r.Best))
}

// checkChoice fails with a *fault.FieldError where a request names two checkpoints.
func checkChoice(step *uint64, best bool) error {
	if best && step != nil {
		return &fault.FieldError{Field: "best", Value: "true", Problem: "cannot be given together with step", Fix: "leave one of them out"}
	}
	return nil
}

// ModelPart is a part of an exported model. The first says which model it is, each that
// follows has a piece of a file. The files come one after another.
type ModelPart struct {
	Model *ExportedModel `json:"model,omitempty"`
	// File is the name of a file, without a folder.
	File string `json:"file,omitempty"`
	Data []byte `json:"data,omitempty"`
}

// ExportedModel says which model was exported.
type ExportedModel struct {
	RunID  training.RunID `json:"run_id"`
	Format export.Format  `json:"format"`
	Step   uint64         `json:"step"`
	Epoch  uint64         `json:"epoch"`
	// WeightsSHA256 is that of the checkpoint's model.safetensors.
	WeightsSHA256 string `json:"weights_sha256"`
	// Best says that it is the checkpoint with the best figure: that which Monitor names,
	// or the validation loss.
	Best    bool   `json:"best"`
	Monitor string `json:"monitor,omitempty"`
}

// ModelCopy says where an exported model is.
type ModelCopy struct {
	Path string `json:"path"`
	ExportedModel
	// Files are the files in the folder Path; none where Path is the file.
	Files []string `json:"files,omitempty"`
}
