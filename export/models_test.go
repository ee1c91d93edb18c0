package export

import (
	"math"
	"strings"
	"testing"

	"reprise/internal/philox"
	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
)

// presets are small models of the five usual architectures.
func presets() map[string]nn.Architecture {
	return map[string]nn.Architecture{
		"mlp":    nn.MLP(tensor.Shape{13}, []int{16, 8}, kernel.ReLU, 3),
		"cnn":    nn.CNN(tensor.Shape{9, 12, 2}, []int{4, 6}, []int{10}, kernel.ReLU, 5),
		"resnet": nn.ResNet(tensor.Shape{8, 8, 3}, 2, 4, 10),
		"gpt":    nn.GPT(7, 11, 2, 2, 8, 0.1),
		"vit":    nn.ViT(tensor.Shape{8, 8, 3}, 4, 2, 2, 8, 0.1, 4),
	}
}

// others are models with the layers, and the places of layers, that no preset has.
func others() map[string]nn.Architecture {
	activation := func(kind kernel.ActivationKind) nn.Activation { return nn.Activation{Kind: kind} }
	return map[string]nn.Architecture{
		"image": {Input: tensor.Shape{10, 13, 3}, Layers: nn.Layers{
			nn.Conv2D{Channels: 5, Kernel: nn.Size{H: 3, W: 2}, Stride: nn.Size{H: 1, W: 2}, Padding: nn.Padding{H: 2, W: 1}},
			activation(kernel.SiLU),
			nn.DepthwiseConv2D{Kernel: nn.Size{H: 2, W: 3}, Stride: nn.Square(1), Padding: nn.Padding{W: 1}},
			nn.LayerNorm{},
			nn.AvgPool2D{Kernel: nn.Size{H: 2, W: 3}, Stride: nn.Size{H: 2, W: 1}},
			nn.RMSNorm{},
			nn.DepthwiseConv2D{Kernel: nn.Square(3), Padding: nn.Same(), NoBias: true},
			nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(1)},
			activation(kernel.Tanh),
			nn.Residual{
				Body:     nn.Layers{nn.BatchNorm{}, nn.Conv2D{Channels: 4, Kernel: nn.Square(1)}, nn.Dropout{Rate: 0.25}},
				Shortcut: nn.Layers{nn.Conv2D{Channels: 4, Kernel: nn.Square(1), NoBias: true}},
			},
			nn.Flatten{}, nn.BatchNorm{}, activation(kernel.Sigmoid),
			nn.Residual{Body: nn.Layers{nn.LayerNorm{}, nn.Residual{Body: nn.Layers{activation(kernel.GELU)}}}},
			nn.Linear{Units: 6, NoBias: true},
		}},
		"sequence": {Input: tensor.Shape{5, 4}, Layers: nn.Layers{
			nn.Linear{Units: 6}, nn.BatchNorm{}, nn.Position{}, nn.Dropout{},
			nn.Attention{Heads: 3, NoBias: true}, nn.RMSNorm{},
			nn.Attention{Heads: 1, Causal: true},
			nn.TransformerBlock{Heads: 2, Expansion: 2, Activation: kernel.SiLU, Norm: "rms_norm", Dropout: 0.2},
			nn.TransformerBlock{Heads: 6, Causal: true, Activation: kernel.ReLU},
			nn.Flatten{}, nn.Linear{Units: 3},
		}},
		"places": {Input: tensor.Shape{4, 3}, Layers: nn.Layers{nn.LayerNorm{}, nn.GlobalAvgPool{}, nn.RMSNorm{}, nn.Linear{Units: 2}}},
		"four":   {Input: tensor.Shape{2, 3, 2, 2}, Layers: nn.Layers{nn.BatchNorm{}, nn.RMSNorm{}, activation(kernel.GELU), nn.Flatten{}, nn.Linear{Units: 3}}},
		"labels": {Input: tensor.Shape{6, 5, 2}, Layers: nn.Layers{nn.Tokens{}, nn.Linear{Units: 3}}},
		"text classes": {Input: tensor.Shape{6}, Layers: nn.Layers{
			nn.Embedding{Vocabulary: 9, Width: 4}, nn.TransformerBlock{Heads: 2}, nn.GlobalAvgPool{}, nn.Linear{Units: 3},
		}},
		"table": {Input: tensor.Shape{14}, Layers: nn.Layers{
			nn.Columns{Parts: []nn.Part{
				{Columns: 2},
				{Columns: 6, Layers: nn.Layers{nn.Embedding{Vocabulary: 9, Width: 4}, nn.Position{}, nn.TransformerBlock{Heads: 2, Dropout: 0.1},
					nn.Residual{Body: nn.Layers{nn.Attention{Heads: 1, Causal: true}}}, nn.LayerNorm{}, nn.GlobalAvgPool{}}},
				{Columns: 1, Layers: nn.Layers{nn.Embedding{Vocabulary: 5, Width: 3}, nn.GlobalAvgPool{}}},
				{Columns: 5, Layers: nn.Layers{nn.Linear{Units: 3}, activation(kernel.ReLU)}},
			}},
			nn.Linear{Units: 3},
		}},
		"text": {Input: tensor.Shape{7}, Layers: nn.Layers{
			nn.Columns{Parts: []nn.Part{{Columns: 7, Layers: nn.Layers{nn.Embedding{Vocabulary: 9, Width: 4}, nn.GlobalAvgPool{}}}}}, nn.Linear{Units: 3},
		}},
		"pooled": {Input: tensor.Shape{4, 4, 3}, Layers: nn.Layers{nn.GlobalAvgPool{}, nn.Flatten{}, nn.Linear{Units: 4}}},
	}
}

// all are the presets and the others, and two regressions.
func all(t *testing.T) map[string]Model {
	t.Helper()
	models := map[string]Model{}
	for _, list := range []map[string]nn.Architecture{presets(), others()} {
		for name, arch := range list {
			models[name] = randomModel(t, arch)
		}
	}
	quantities := randomModel(t, nn.MLP(tensor.Shape{4}, []int{5}, kernel.Tanh, 2))
	quantities.Objective = nn.MeanSquaredError
	models["quantities"] = quantities
	quantities.Targets = []Target{{"price \"net\", €", 20, 0.5}, {`a\b`, -3, 2}}
	quantities.Origin = []Property{{"run", "01J"}, {"note", "a \"\"\" and a \\ and\na line"}}
	models["targets"] = quantities
	return models
}

// randomModel returns a model none of whose parameters is what it is initially.
func randomModel(t *testing.T, arch nn.Architecture) Model {
	t.Helper()
	m, err := nn.NewModel("m", arch, 5)
	if err != nil {
		t.Fatal(err)
	}
	for p, parameter := range m.Parameters {
		for i := range parameter.Data {
			noise := uniform(9, uint64(p), uint64(i))
			switch {
			case strings.HasSuffix(parameter.Name, ".running_var"):
				parameter.Data[i] += noise
			case len(parameter.Shape) == 1:
				parameter.Data[i] += 0.4 * (noise - 0.5)
			default:
				parameter.Data[i] += 0.1 * (noise - 0.5)
			}
		}
	}
	return Model{Architecture: arch, Weights: m.Parameters}
}

func uniform(seed, stream, i uint64) float32 {
	return philox.Uniform32(seed, philox.PurposeSample, stream, i)
}

// batch is what a model is given and what it gives, in package nn's layouts.
type batch struct {
	rows    int
	inputs  []float32
	tokens  []int32
	outputs []float32
}

// predict computes the outputs of a model for random inputs.
func predict(t *testing.T, m Model, rows int) batch {
	t.Helper()
	features := 1
	for _, d := range m.Architecture.Input {
		features *= d
	}
	b := batch{rows: rows}
	if m.Architecture.TakesTokens() {
		vocabulary := m.Weights[0].Shape[0]
		b.tokens = make([]int32, rows*features)
		for i := range b.tokens {
			b.tokens[i] = int32(uniform(3, 0, uint64(i)) * float32(vocabulary))
		}
	} else {
		b.inputs = make([]float32, rows*features)
		for i := range b.inputs {
			b.inputs[i] = 2*uniform(3, 0, uint64(i)) - 1
		}
		b.fillTexts(m, features)
	}
	b.compute(t, m)
	return b
}

// fillTexts replaces columns of rows by texts: a whole one, one of half the length, and an
// empty one, and so on.
func (b *batch) fillTexts(m Model, features int) {
	columns, _ := m.Architecture.Layers[0].(nn.Columns)
	first := 0
	for _, p := range columns.Parts {
		vocabulary, text := p.Text()
		for r := 0; r < b.rows && text; r++ {
			tokens := b.inputs[r*features+first:][:p.Columns]
			for k := range tokens {
				tokens[k] = 0
				if 2*k < p.Columns*(2-r%3) {
					tokens[k] = float32(1 + int(uniform(4, uint64(r), uint64(k))*float32(vocabulary-1)))
				}
			}
		}
		first += p.Columns
	}
}

// predictConstant computes the outputs of a model of images for one of a single value.
func predictConstant(t *testing.T, m Model, v float32) batch {
	t.Helper()
	in := m.Architecture.Input
	b := batch{rows: 1, inputs: make([]float32, in[0]*in[1]*in[2])}
	for i := range b.inputs {
		b.inputs[i] = v
	}
	b.compute(t, m)
	return b
}

// compute computes the outputs as package nn does.
func (b *batch) compute(t *testing.T, m Model) {
	t.Helper()
	plan, err := nn.NewPlan(m.Architecture, nn.PlanConfig{BatchSize: b.rows, Optimizer: nn.Optimizer{Name: nn.SGD}, Objective: m.Objective})
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.NewBackend(cpu.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	trainer, err := nn.NewTrainer(backend, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Load(nn.State{Parameters: m.Weights}); err != nil {
		t.Fatal(err)
	}
	b.outputs = make([]float32, b.rows*plan.Outputs())
	if err := trainer.Predict(nn.Batch{Rows: b.rows, Inputs: b.inputs, Tokens: b.tokens}, b.outputs); err != nil {
		t.Fatal(err)
	}
	for i, v := range b.outputs {
		if v-v != 0 {
			t.Fatalf("output %d is %v", i, v)
		}
	}
}

// foreignInputs returns the inputs in the layout of other runtimes.
func (b batch) foreignInputs(sample tensor.Shape) []float32 {
	if !isImage(sample) {
		return b.inputs
	}
	batched := tensor.Tensor{Shape: append(tensor.Shape{b.rows}, sample...), Data: b.inputs}
	return permuted(batched, []int{0, 3, 1, 2}).Data
}

// restored returns the outputs in the units of the targets.
func (b batch) restored(targets []Target) []float64 {
	out := make([]float64, len(b.outputs))
	for i, v := range b.outputs {
		t := targets[i%len(targets)]
		out[i] = float64(v)*t.Scale + t.Mean
	}
	return out
}

// probabilities returns the softmax of the outputs over the last dimension.
func (b batch) probabilities(classes int) []float64 {
	out := make([]float64, len(b.outputs))
	for at := 0; at < len(out); at += classes {
		sum := 0.0
		for i := at; i < at+classes; i++ {
			out[i] = math.Exp(float64(b.outputs[i]))
			sum += out[i]
		}
		for i := at; i < at+classes; i++ {
			out[i] /= sum
		}
	}
	return out
}
