package training

import (
	"errors"
	"fmt"
	"strings"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
	"reprise/tensor"
)

// Config is what StartTraining needs to know besides model and data. The
// identities are inputs, so that the same input gives the same events.
type Config struct {
	RunID     RunID
	SessionID SessionID
	Dataset   Dataset
	// Hyperparameters need no plan of the schedule: the data gives its length.
	Hyperparameters ValidHyperparameters
	// Request is the published-language request in canonical JSON, kept for
	// the record.
	Request []byte

	parent *Parent // set by ForkTraining
}

// TrainingService starts training sessions.
type TrainingService struct{}

// StartTraining checks that the model is consistent, that the data is usable, and
// that both and the hyperparameters, which are valid, fit each other. It returns
// the new session, in state initializing, and the events that record it; the first
// is TrainingStarted. The weights do not exist yet: they are drawn, from the seed, on
// the device that trains. Errors name the field that is wrong; nothing has happened
// then.
func (TrainingService) StartTraining(model nn.ModelSpec, data *dataset.Dataset, config Config) (TrainingSession, []Event, error) {
	if err := data.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	return start(model, data, config, config.Hyperparameters.Plan(data.Len(dataset.Train)))
}

// start is StartTraining with hyperparameters that are valid and planned for the data.
func start(model nn.ModelSpec, data *dataset.Dataset, config Config, h Hyperparameters) (TrainingSession, []Event, error) {
	if err := model.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := CheckFit(model.Architecture, data); err != nil {
		return TrainingSession{}, nil, err
	}
	if h.BatchSize < 1 { // the zero value
		return TrainingSession{}, nil, errors.New("start training: the hyperparameters have not been validated: call Hyperparameters.Validate")
	}
	if err := h.Fit(data); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := CheckFreeze(model.Architecture, h.Freeze); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := CheckNormalization(model.Architecture, h, data.Len(dataset.Train)); err != nil {
		return TrainingSession{}, nil, err
	}
	if err := config.RunID.Validate(); err != nil {
		return TrainingSession{}, nil, err
	}
	session := TrainingSession{
		ID: config.SessionID, ModelID: model.ID, Architecture: model.Architecture,
		Dataset: config.Dataset, Hyperparameters: h, Parent: config.parent, State: Initializing,
	}
	return session, []Event{TrainingStarted{
		RunID: config.RunID, SessionID: session.ID, ModelID: model.ID, Architecture: model.Architecture,
		Dataset: session.Dataset, Hyperparameters: h, Request: config.Request, Parent: session.Parent,
	}}, nil
}

// CheckFit fails unless the model takes the samples and has the outputs that the
// task needs: one for each class or quantity or, for text, one for each token
// of the vocabulary at each place. It fails with all of that which is wrong.
func CheckFit(arch nn.Architecture, data *dataset.Dataset) error {
	if !arch.Input.Equal(data.SampleShape()) {
		return &fault.FieldError{Field: "model_architecture", Value: "input " + arch.Input.String(),
			Problem: fmt.Sprintf("does not fit samples of shape %v", data.SampleShape()),
			Fix:     "build the model for the data's shape"}
	}
	out, err := arch.Output()
	if err != nil {
		return err
	}
	want, what := tensor.Shape{data.Classes()}, fmt.Sprintf("the data's %d classes", data.Classes())
	switch data.Task() {
	case dataset.NextToken:
		want = tensor.Shape{data.LabelsPerSample(), data.Classes()}
		what = fmt.Sprintf("%d tokens of a vocabulary of %d", want[0], want[1])
	case dataset.Regression:
		want = tensor.Shape{data.TargetsPerSample()}
		what = fmt.Sprintf("the data's targets, of which there are %d", want[0])
	case dataset.Classification:
	}
	var errs []error
	text := data.InputKind() == dataset.InputToken
	embedded := text == arch.TakesTokens()
	switch {
	case embedded:
	case text:
		errs = append(errs, &fault.FieldError{Field: "model_architecture", Value: "without an embedding", Problem: "does not fit text",
			Fix: fmt.Sprintf("let the first layer be {type: embedding, vocabulary: %d, width: 64}, or use gpt", data.Classes())})
	default:
		errs = append(errs, &fault.FieldError{Field: "model_architecture", Value: "with an embedding", Problem: "does not fit data of numbers", Fix: "remove the embedding, or train on text"})
	}
	if err := checkSections(arch, data); err != nil {
		errs = append(errs, err)
	}
	units := func(s tensor.Shape) int { return s[len(s)-1] }
	// What comes in changes the shape of what comes out, but not the units of the last layer.
	if !out.Equal(want) && (embedded || len(out) > 0 && units(out) != units(want)) {
		errs = append(errs, &fault.FieldError{Field: "model_architecture", Value: "output " + out.String(),
			Problem: "does not fit " + what,
			Fix:     fmt.Sprintf("let the last layer be {type: linear, units: %d}", units(want))})
	}
	return join(errs)
}

// CheckFreeze fails with a *fault.FieldError for each pattern that freezes no parameter of
// the model, and where all of them would be frozen.
func CheckFreeze(arch nn.Architecture, f nn.Freeze) error {
	_, err := arch.Frozen(f)
	var errs []error
	for _, part := range fault.Parts(err) {
		var field *fault.FieldError
		if errors.As(part, &field) {
			named := *field
			named.Field = "config." + field.Field
			part = &named
		}
		errs = append(errs, part)
	}
	return join(errs)
}

// checkSections fails unless the model embeds the columns that are tokens, and those alone.
func checkSections(arch nn.Architecture, data *dataset.Dataset) error {
	columns, ok := nn.Columns{}, false
	if len(arch.Layers) > 0 {
		columns, ok = arch.Layers[0].(nn.Columns)
	}
	sections := data.Sections()
	if sections == nil && !ok {
		return nil
	}
	wanted, fits, i := make([]string, len(sections)), true, 0
	for k, s := range sections {
		wanted[k] = fmt.Sprintf("{columns: %d}", s.Features)
		if s.Vocabulary > 0 {
			wanted[k] = fmt.Sprintf("{columns: %d, layers: [{type: embedding, vocabulary: %d, width: 64}, {type: global_avg_pool}]}", s.Features, s.Vocabulary)
			at := i < len(columns.Parts) && columns.Parts[i].Columns == s.Features
			if vocabulary, text := partAt(columns, i).Text(); !at || !text || vocabulary < s.Vocabulary {
				fits = false
			}
			i++
			continue
		}
		for n := s.Features; n > 0; i++ { // numbers may be cut
			part := partAt(columns, i)
			if _, text := part.Text(); text || part.Columns < 1 || part.Columns > n {
				fits = false
				break
			}
			n -= part.Columns
		}
	}
	switch {
	case sections == nil:
		for k := range columns.Parts {
			if _, text := columns.Parts[k].Text(); text {
				return &fault.FieldError{Field: "model_architecture", Value: "with an embedding of columns", Problem: "does not fit data without text",
					Fix: "leave out the embedding, or say that a column is text"}
			}
		}
		return nil
	case fits && i == len(columns.Parts):
		return nil
	}
	return &fault.FieldError{Field: "model_architecture", Value: "a list of layers", Problem: "does not embed the columns of the data that are tokens",
		Fix: "let the first layer be {type: columns, parts: [" + strings.Join(wanted, ", ") + "]}, or use mlp or transformer"}
}

// partAt returns a part of a row, the zero Part beyond the last.
func partAt(c nn.Columns, i int) nn.Part {
	if i < len(c.Parts) {
		return c.Parts[i]
	}
	return nn.Part{}
}
