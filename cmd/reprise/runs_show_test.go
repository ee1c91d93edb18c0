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
		"loss {name huber, delta 1}, monitor f1_macro, class_weight {fraud 5}, sampler balanced": {
			Regularization: nn.Regularization{Loss: nn.Loss{Name: nn.LossHuber}}, Monitor: "f1_macro", ClassWeight: `{"fraud":5}`, Sampler: training.BalancedSampler},
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
		loss nn.LossName
		want string
	}{
		{one, nn.LossMAE, "0.2500  (mean absolute error of the standardized target price; 15.00 in the target's own unit)"},
		{one, nn.LossHuber, "0.2500  (Huber's loss of the standardized target price)"},
		{one, nn.LossMSE, "0.2500  (mean squared error of the standardized target price; its root is 30.00 in the target's own unit)"},
		{one, "", "0.2500  (mean squared error of the standardized target price; its root is 30.00 in the target's own unit)"},
		{two, "", "0.2500  (mean squared error of the standardized targets price and rent)"}, // of different units
	} {
		if got := describeLoss(c.data, nn.Loss{Name: c.loss}, 0.25); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
