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
		if err := h.Validate(10); err != nil {
			t.Errorf("%q: %v", known, err)
		}
	}
	h.Precision = "fp16"
	var bad *fault.FieldError
	if err := h.Validate(10); !errors.As(err, &bad) || bad.Field != "config.precision" || bad.Value != "fp16" {
		t.Errorf("fp16: %v, want a fault.FieldError for config.precision", err)
	}
}
