package main

import (
	"testing"

	"reprise/dataset"
	"reprise/nn"
	"reprise/training"
)

func TestOptionsThatAreNotAtTheirDefaultAreNamed(t *testing.T) {
	for want, o := range map[string]training.Options{
		"":                            {Precision: nn.Float32, GradientAccumulation: 1},
		"clip_norm 1, precision bf16": {Regularization: nn.Regularization{ClipNorm: 1}, Precision: nn.BF16},
		"augmentation {flip true, crop 4}, eval_interval 500, early_stopping {patience 3}": {
			Augmentation: dataset.Augmentation{Flip: true, Crop: 4}, EvalInterval: 500, EarlyStopping: training.EarlyStopping{Patience: 3}},
	} {
		if got := describeOptions(o); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestALossOfARegressionIsNamedInItsUnit(t *testing.T) {
	one := training.Dataset{Task: dataset.Regression, Targets: []dataset.Target{{Name: "price", Mean: 200, StandardDeviation: 60}}}
	two := one
	two.Targets = append(two.Targets, dataset.Target{Name: "rent", Mean: 1, StandardDeviation: 2})
	for _, c := range []struct {
		data training.Dataset
		want string
	}{
		{one, "0.2500  (mean squared error of the standardized target price; its root is 30.00 in the target's own unit)"},
		{two, "0.2500  (mean squared error of the standardized targets price and rent)"}, // of different units
	} {
		if got := describeLoss(c.data, 0.25); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
