package training

import (
	"errors"
	"testing"

	"reprise/fault"
	"reprise/nn"
)

func TestHyperparametersRefuseAnUnknownPrecision(t *testing.T) {
	h := Hyperparameters{
		BatchSize: 2, Epochs: 1, Shards: 1, CheckpointInterval: 1,
		Optimizer:    nn.Optimizer{Name: nn.SGD},
		LearningRate: LearningRate{Value: 0.1, Schedule: Schedule{Name: Constant}},
	}
	for _, known := range []nn.Precision{"", nn.Float32, nn.BF16} {
		h.Precision = known
		if valid, err := h.Validate(); err != nil || !valid.Are(h) {
			t.Errorf("%q: %v", known, err)
		}
	}
	h.Precision = "fp16"
	var bad *fault.FieldError
	if _, err := h.Validate(); !errors.As(err, &bad) || bad.Field != "config.precision" || bad.Value != "fp16" {
		t.Errorf("fp16: %v, want a FieldError for config.precision", err)
	}
}

func TestHyperparametersRefuseASplitThatIsTooSmall(t *testing.T) {
	ok := Hyperparameters{BatchSize: 10, Epochs: 3, LearningRate: LearningRate{Schedule: Schedule{Name: Cosine}}}
	for field, change := range map[string]func(*Hyperparameters){
		"":                             func(h *Hyperparameters) { h.LearningRate.Schedule.WarmupSteps = 8 },
		"config.batch_size":            func(h *Hyperparameters) { h.BatchSize = 31 },
		"config.gradient_accumulation": func(h *Hyperparameters) { h.GradientAccumulation = 4 },
		"config.schedule.warmup_steps": func(h *Hyperparameters) { h.LearningRate.Schedule.WarmupSteps = 9 },
	} {
		h := ok
		change(&h)
		err := h.FitSamples(30)
		var bad *fault.FieldError
		if field == "" && err != nil || field != "" && (!errors.As(err, &bad) || bad.Field != field || bad.Fix == "") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// What was not validated is not the zero value by chance.
func TestNothingIsValidUnlessItWasValidated(t *testing.T) {
	if (ValidHyperparameters{}).Are(Hyperparameters{}) {
		t.Error("the zero value counts as validated")
	}
	_, _, err := TrainingService{}.StartTraining(nn.ModelSpec{}, nil, Config{})
	if err == nil {
		t.Error("a session of nothing was started")
	}
}
