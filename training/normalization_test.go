package training

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/fault"
	"reprise/nn"
	"reprise/tensor"
)

// mlp and convolutional have a batch_norm over one value of a sample, and over
// 2x2 of them.
func mlp(norm nn.Layer) nn.Architecture {
	return nn.Architecture{Input: tensor.Shape{3}, Layers: nn.Layers{nn.Linear{Units: 4}, norm, nn.Linear{Units: 2}}}
}

func TestABatchNormOverASingleValueIsRefused(t *testing.T) {
	images := nn.Architecture{Input: tensor.Shape{2, 2, 3}, Layers: nn.Layers{
		nn.Residual{Body: nn.Layers{nn.BatchNorm{}}}, nn.Flatten{}, nn.Linear{Units: 2}}}
	for name, c := range map[string]struct {
		arch    nn.Architecture
		h       Hyperparameters
		samples int
		field   string // "" where it is accepted
		fix     string
	}{
		"one row":                   {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 1, Shards: 1}, 100, "config.batch_size", "use a batch_size of 2, or leave batch_norm out"},
		"one row, accumulated":      {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 1, Shards: 1, Options: Options{GradientAccumulation: 16}}, 101, "config.batch_size", "use a batch_size of 3, or leave batch_norm out"},
		"one row a shard":           {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 16, Shards: 16}, 160, "config.shards", "use at most 8, or a larger batch_size"},
		"one row in some shard":     {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 16, Shards: 9}, 160, "config.shards", "use at most 8, or a larger batch_size"},
		"two rows a shard":          {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 16, Shards: 8}, 160, "", ""},
		"last batch of one":         {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 64, Shards: 1}, 129, "config.batch_size", "use a batch_size of 63, or leave batch_norm out"},
		"last batch of two":         {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 64, Shards: 1}, 130, "", ""},
		"no last batch":             {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 64, Shards: 1}, 128, "", ""},
		"last accumulated batch":    {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 8, Shards: 1, Options: Options{GradientAccumulation: 4}}, 73, "config.batch_size", "use a batch_size of 7, or leave batch_norm out"},
		"last batch in shards":      {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 64, Shards: 4}, 134, "config.batch_size", "use a batch_size of 63, or leave batch_norm out"},
		"two samples and no way":    {mlp(nn.BatchNorm{}), Hyperparameters{BatchSize: 1, Shards: 1}, 1, "config.batch_size", "leave batch_norm out, or use more data"},
		"one image of four places":  {images, Hyperparameters{BatchSize: 1, Shards: 1}, 7, "", ""},
		"shards of one image":       {images, Hyperparameters{BatchSize: 4, Shards: 4}, 9, "", ""},
		"layer_norm":                {mlp(nn.LayerNorm{}), Hyperparameters{BatchSize: 1, Shards: 1}, 7, "", ""},
		"batch_norm within a layer": {nn.Architecture{Input: tensor.Shape{3}, Layers: nn.Layers{nn.Residual{Body: nn.Layers{nn.BatchNorm{}}}, nn.Linear{Units: 2}}}, Hyperparameters{BatchSize: 1, Shards: 1}, 8, "config.batch_size", "use a batch_size of 2, or leave batch_norm out"},
	} {
		err := CheckNormalization(c.arch, c.h, c.samples)
		var field *fault.FieldError
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.field != "" && (!errors.As(err, &field) || field.Field != c.field || field.Fix != c.fix):
			t.Errorf("%s: %v, want %s to be refused: %s", name, err, c.field, c.fix)
		}
	}
}

func TestANormalizationOfOneValueOfASampleIsRefused(t *testing.T) {
	for _, norm := range []nn.Layer{nn.LayerNorm{}, nn.RMSNorm{}} {
		arch := nn.Architecture{Input: tensor.Shape{3}, Layers: nn.Layers{nn.Linear{Units: 1}, norm, nn.Linear{Units: 2}}}
		var layer *nn.LayerError
		if err := CheckNormalization(arch, Hyperparameters{BatchSize: 8, Shards: 1}, 80); !errors.As(err, &layer) || layer.Index != 1 {
			t.Errorf("%s over one value: %v", norm.Type(), err)
		}
	}
}

// What is accepted leaves no shard of any batch with one row, and what is
// advised is accepted.
func TestNoShardThatIsAcceptedHasASingleRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.IntRange(1, 200).Draw(t, "samples")
		h := Hyperparameters{BatchSize: rapid.IntRange(1, samples).Draw(t, "batch"), Options: Options{GradientAccumulation: rapid.IntRange(1, 4).Draw(t, "accumulation")}}
		h.Shards = rapid.IntRange(1, h.BatchSize).Draw(t, "shards")
		smallest := samples
		for first := 0; first < samples; first += h.StepSamples() {
			step := min(h.StepSamples(), samples-first)
			for start := 0; start < step; start += h.BatchSize {
				part := min(h.BatchSize, step-start)
				smallest = min(smallest, part/min(h.Shards, part))
			}
		}
		err := CheckNormalization(mlp(nn.BatchNorm{}), h, samples)
		if (err == nil) != (smallest >= 2) {
			t.Fatalf("%+v of %d samples, smallest part %d: %v", h, samples, smallest, err)
		}
	})
}

// What is wrong with several normalizations, or with what goes in and what comes out,
// is said at once.
func TestAllThatDoesNotFitIsReported(t *testing.T) {
	narrow := nn.Architecture{Input: tensor.Shape{4}, Layers: nn.Layers{
		nn.Linear{Units: 1}, nn.LayerNorm{}, nn.Linear{Units: 3}, nn.BatchNorm{}, nn.BatchNorm{}, nn.Linear{Units: 1}, nn.LayerNorm{},
	}}
	err := CheckNormalization(narrow, Hyperparameters{BatchSize: 1, Shards: 1}, 80)
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || len(several.Unwrap()) != 3 {
		t.Errorf("two layer norms and one batch size: %v", err)
	}
	if err := CheckNormalization(narrow, Hyperparameters{}, 80); err == nil || strings.Contains(err.Error(), "batch_size") {
		t.Errorf("an unknown batch size: %v", err)
	}
}
