package training

import (
	"fmt"

	"reprise/dataset"
	"reprise/nn"
)

// Config is what StartTraining needs to know beside model and data. The
// identities are inputs, so that the same start gives the same events.
type Config struct {
	RunID           RunID
	SessionID       SessionID
	Dataset         Dataset
	Hyperparameters Hyperparameters
	// Request is the published-language request in canonical JSON, kept for
	// the record.
	Request []byte
}

// TrainingService starts training sessions.
type TrainingService struct{}

// StartTraining checks that the model is consistent, the data usable, the two
// made for each other and the hyperparameters trainable, and returns the new
// session in state initializing with the events that record it; the first is
// TrainingStarted. Errors name the field that is wrong; nothing has happened
// then.
func (TrainingService) StartTraining(model nn.Model, data *dataset.Dataset, config Config) (TrainingSession, []Event, error) {
	if err := model.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := data.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := checkFit(model.Architecture, data); err != nil {
		return TrainingSession{}, nil, err
	}
	h := config.Hyperparameters
	samples := data.Len(dataset.Train)
	if err := h.Validate(samples); err != nil {
		return TrainingSession{}, nil, err
	}
	if want := h.TotalSteps(samples); h.LearningRate.Schedule.TotalSteps != want {
		return TrainingSession{}, nil, fmt.Errorf("schedule is planned for %d steps, the run has %d", h.LearningRate.Schedule.TotalSteps, want)
	}
	session := TrainingSession{
		ID: config.SessionID, ModelID: model.ID, Architecture: model.Architecture,
		Dataset: config.Dataset, Hyperparameters: h, State: Initializing,
	}
	return session, []Event{TrainingStarted{
		RunID: config.RunID, SessionID: session.ID, ModelID: model.ID, Architecture: model.Architecture,
		Dataset: session.Dataset, Hyperparameters: h, Request: config.Request,
	}}, nil
}

// checkFit fails unless the model takes the samples and has one output for
// each class.
func checkFit(arch nn.Architecture, data *dataset.Dataset) error {
	if !arch.Input.Equal(data.SampleShape()) {
		return &FieldError{Field: "model_architecture", Value: "input " + arch.Input.String(),
			Problem: fmt.Sprintf("does not fit samples of shape %v", data.SampleShape()),
			Fix:     "build the model for the data's shape"}
	}
	out, err := arch.Output()
	if err != nil {
		return err
	}
	if len(out) != 1 || out[0] != data.Classes() {
		return &FieldError{Field: "model_architecture", Value: "output " + out.String(),
			Problem: fmt.Sprintf("does not fit the data's %d classes", data.Classes()),
			Fix:     fmt.Sprintf("let the last layer be {type: linear, units: %d}", data.Classes())}
	}
	return nil
}
