package work

import (
	"fmt"
	"strings"

	"reprise/bench/internal/wire"
)

// The GPT's sizes.
const (
	vocabulary = 96
	context    = 128
	width      = 128
	blocks     = 4
	heads      = 4
)

// gptName returns the name that peers/torch/models.py has for a parameter of
// nn.GPT: embedding, position, (no dropout,) blocks, norm, linear.
func gptName(ours string) string {
	var layer int
	var rest string
	_, _ = fmt.Sscanf(ours, "layers.%d.%s", &layer, &rest)
	rest = strings.TrimPrefix(rest, "attention.")
	switch {
	case layer == 0:
		return "tokens." + rest
	case layer == 1:
		return "positions." + rest
	case layer == 3+blocks:
		return "norm." + rest
	case layer > 3+blocks:
		return "head." + rest
	case strings.HasPrefix(rest, "in."):
		rest = "up" + rest[len("in"):]
	case strings.HasPrefix(rest, "out.") && !strings.Contains(ours, "attention"):
		rest = "down" + rest[len("out"):]
	}
	return fmt.Sprintf("blocks.%d.%s", layer-3, rest)
}

// resnetName returns the name that peers/torch/models.py has for a parameter of
// nn.ResNet: convolution, norm, relu, three times a block and relu, pool, linear.
func resnetName(ours string) string {
	var layer int
	var rest string
	_, _ = fmt.Sscanf(ours, "layers.%d.%s", &layer, &rest)
	switch layer {
	case 0:
		return "conv." + rest
	case 1:
		return "norm." + rest
	case 10:
		return "head." + rest
	}
	part := rest[:strings.LastIndex(rest, ".")]
	parts := map[string]string{
		"body.0": "conv1", "body.1": "norm1", "body.3": "conv2", "body.4": "norm2",
		"shortcut.0": "shortcut", "shortcut.1": "shortcut_norm",
	}
	return fmt.Sprintf("blocks.%d.%s%s", (layer-3)/2, parts[part], rest[len(part):])
}

// tokens returns sequences and, as labels, each token's successor.
func tokens(context int) func(*generator, int) (wire.Tensor, wire.Tensor) {
	return func(random *generator, batch int) (x, y wire.Tensor) {
		shape := []int{batches, batch, context}
		x = wire.Tensor{Shape: shape, Data: make([]float32, batches*batch*context)}
		y = wire.Tensor{Shape: shape, Data: make([]float32, batches*batch*context)}
		next := float32(0)
		for i := range x.Data {
			x.Data[i] = next
			next = float32(int(vocabulary * random.uniform()))
			y.Data[i] = next
		}
		return x, y
	}
}
