package main

import (
	"testing"

	"reprise/nn"
	"reprise/training"
)

func TestOptionsThatAreNotAtTheirDefaultAreNamed(t *testing.T) {
	for want, h := range map[string]training.Hyperparameters{
		"": {Precision: nn.Float32},
		"gradients clipped to norm 1, activations kept as bfloat16": {ClipNorm: 1, Precision: nn.BF16},
	} {
		if got := describeOptions(h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
