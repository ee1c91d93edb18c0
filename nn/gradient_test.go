package nn

import (
	"fmt"
	"math"
	"testing"

	"reprise/internal/philox"
	"reprise/kernel"
	"reprise/tensor"
)

// random returns n numbers in [-1, 1) for a test.
func random(seed uint64, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 2*philox.Uniform32(seed, philox.PurposeAugment, 0, uint64(i)) - 1
	}
	return out
}

// randomInputs returns the inputs of samples for a test: numbers, and texts with more or
// less padding where the architecture takes some.
func randomInputs(arch Architecture, seed uint64, rows int) []float32 {
	width := elements(arch.Input)
	x := random(seed, rows*width)
	columns, _ := arch.Layers[0].(Columns)
	at := 0
	for i, p := range columns.Parts {
		vocabulary, text := p.Text()
		for r := 0; r < rows && text; r++ {
			tokens := x[r*width+at:][:p.Columns]
			length := int(randomLabels(seed+uint64(100*i+r), 1, p.Columns+1)[0])
			for k, token := range randomLabels(seed+uint64(7*i+r), p.Columns, vocabulary-1) {
				if tokens[k] = 0; k < length {
					tokens[k] = float32(1 + token)
				}
			}
		}
		at += p.Columns
	}
	return x
}

// randomLabels returns n labels for a test.
func randomLabels(seed uint64, n, classes int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(philox.Block(seed, philox.PurposeSplit, 1, uint64(i))[0] % uint32(classes))
	}
	return out
}

// layerCases has every layer, with every option that changes its passes, at
// sizes that are not a multiple of anything.
func layerCases() map[string]Architecture {
	image := func(layers ...Layer) Architecture {
		return Architecture{Input: tensor.Shape{6, 5, 2}, Layers: append(layers, Flatten{}, Linear{Units: 2})}
	}
	first := Conv2D{Channels: 3, Kernel: Square(3), Padding: Same()}
	cases := map[string]Architecture{
		"linear":               {Input: tensor.Shape{5}, Layers: Layers{Linear{Units: 4}, Linear{Units: 3}}},
		"linear no bias":       {Input: tensor.Shape{5}, Layers: Layers{Linear{Units: 4, NoBias: true}, Linear{Units: 3}}},
		"one class":            {Input: tensor.Shape{3}, Layers: Layers{Linear{Units: 1}}},
		"conv same":            image(first, Conv2D{Channels: 4, Kernel: Size{H: 3, W: 5}, Padding: Same()}),
		"conv valid":           image(first, Conv2D{Channels: 2, Kernel: Size{H: 2, W: 3}, NoBias: true}),
		"conv strided":         image(first, Conv2D{Channels: 2, Kernel: Square(3), Stride: Size{H: 2, W: 3}, Padding: Padding{H: 1, W: 2}}),
		"conv 1x1":             image(first, Conv2D{Channels: 5, Kernel: Square(1)}),
		"max pool":             image(first, MaxPool2D{Kernel: Square(2)}),
		"max pool overlapping": image(first, MaxPool2D{Kernel: Square(3), Stride: Square(1)}),
		"max pool gaps":        image(first, MaxPool2D{Kernel: Square(1), Stride: Size{H: 2, W: 3}}),
		"avg pool":             image(first, AvgPool2D{Kernel: Size{H: 2, W: 3}}),
		"avg pool overlapping": image(first, AvgPool2D{Kernel: Square(3), Stride: Size{H: 1, W: 2}}),
		"pool first":           image(MaxPool2D{Kernel: Square(2)}, Conv2D{Channels: 2, Kernel: Square(2)}),
		"relu on the input": {Input: tensor.Shape{6}, Layers: Layers{
			Activation{Kind: kernel.ReLU}, Linear{Units: 4}, Activation{Kind: kernel.ReLU}, Linear{Units: 3}}},
		"relu after tanh": {Input: tensor.Shape{6}, Layers: Layers{
			Linear{Units: 5}, Activation{Kind: kernel.Tanh}, Activation{Kind: kernel.ReLU}, Activation{Kind: kernel.ReLU}, Linear{Units: 3}}},
		"relu after flatten": {Input: tensor.Shape{4, 4, 1}, Layers: Layers{
			Conv2D{Channels: 2, Kernel: Square(2)}, Flatten{}, Activation{Kind: kernel.ReLU}, Linear{Units: 3}}},
		"widening": {Input: tensor.Shape{3}, Layers: Layers{
			Linear{Units: 2}, Linear{Units: 2}, Linear{Units: 33}, Linear{Units: 33}, Linear{Units: 3}}},
		"ends in flatten": {Input: tensor.Shape{4}, Layers: Layers{Linear{Units: 3}, Flatten{}}},
	}
	for _, kind := range activationKinds() {
		cases["activation "+string(kind)] = image(first, Activation{Kind: kind}, MaxPool2D{Kernel: Square(2)})
		cases["ends in "+string(kind)] = Architecture{Input: tensor.Shape{5}, Layers: Layers{
			Linear{Units: 4}, Activation{Kind: kind}, Linear{Units: 3}, Activation{Kind: kind}}}
	}
	return cases
}

// TestGradientsMatchCentralDifferences compares the gradient of the mean loss
// with (loss(w+h) - loss(w-h)) / 2h for every parameter, in float64, for one
// shard and for three.
func TestGradientsMatchCentralDifferences(t *testing.T) {
	for name, arch := range layerCases() {
		for _, shards := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", name, shards), func(t *testing.T) {
				t.Parallel()
				checkGradients(t, arch, PlanConfig{Shards: shards})
				if shards > 1 { // rounds nothing in float64, but moves every value
					checkGradients(t, arch, PlanConfig{Shards: shards, Precision: BF16})
				}
			})
		}
	}
}

// graphCases has every layer that is not in a chain, or whose samples are
// sequences. The losses are those of training: normalised over the batch, with
// a fixed dropout.
func graphCases() map[string]Architecture {
	image := func(layers ...Layer) Architecture {
		return Architecture{Input: tensor.Shape{5, 4, 2}, Layers: append(layers, GlobalAvgPool{}, Linear{Units: 3})}
	}
	text := func(layers ...Layer) Architecture {
		return Architecture{Input: tensor.Shape{5}, Layers: append(append(Layers{Embedding{Vocabulary: 7, Width: 6}}, layers...), Linear{Units: 7})}
	}
	conv := func(channels, stride int) Layer {
		return Conv2D{Channels: channels, Kernel: Square(3), Stride: Square(stride), Padding: Padding{H: 1, W: 1}, NoBias: true}
	}
	tanh := Activation{Kind: kernel.Tanh}
	table := func(columns int, parts ...Part) Architecture {
		return Architecture{Input: tensor.Shape{columns}, Layers: Layers{Columns{Parts: parts}, Linear{Units: 4}, tanh, Linear{Units: 3}}}
	}
	words := func(columns, vocabulary int, layers ...Layer) Part {
		return Part{Columns: columns, Layers: append(append(Layers{Embedding{Vocabulary: vocabulary, Width: 4}}, layers...), GlobalAvgPool{})}
	}
	return map[string]Architecture{
		"batch norm":          image(conv(3, 1), BatchNorm{}, tanh),
		"depthwise":           image(conv(3, 1), DepthwiseConv2D{Kernel: Size{H: 3, W: 2}, Padding: Padding{H: 1}}, tanh),
		"depthwise strided":   image(DepthwiseConv2D{Kernel: Square(3), Stride: Square(2), Padding: Padding{H: 1, W: 2}, NoBias: true}, conv(3, 1)),
		"depthwise of itself": image(DepthwiseConv2D{Kernel: Square(3), Padding: Same()}, DepthwiseConv2D{Kernel: Square(2)}),
		"batch norm first":    image(BatchNorm{}, conv(3, 2)),
		"batch norm of a row": {Input: tensor.Shape{4}, Layers: Layers{Linear{Units: 5}, BatchNorm{}, Linear{Units: 3}}},
		"residual":            image(conv(3, 1), Residual{Body: Layers{conv(3, 1), BatchNorm{}, tanh, conv(3, 1)}}, tanh),
		"residual shortcut": image(conv(3, 1), Residual{
			Body: Layers{conv(4, 2), BatchNorm{}}, Shortcut: Layers{Conv2D{Channels: 4, Kernel: Square(1), Stride: Square(2), NoBias: true}, BatchNorm{}}}, tanh),
		"residual shortcut first": image(Residual{Body: Layers{conv(4, 1), BatchNorm{}}, Shortcut: Layers{conv(4, 1), BatchNorm{}}}),
		"residual of the input":   image(Residual{Body: Layers{conv(2, 1)}}),
		"residual nested":         image(conv(3, 1), Residual{Body: Layers{Residual{Body: Layers{tanh}}, Residual{Body: Layers{conv(3, 1), tanh}}, tanh}}),
		"residual of residual":    image(conv(3, 1), Residual{Body: Layers{Residual{Body: Layers{Residual{Body: Layers{tanh}}}}}}),
		"residual of dropout":     image(conv(3, 1), Residual{Body: Layers{Dropout{Rate: 0.5}}}, Residual{Body: Layers{Dropout{Rate: 0.25}, tanh}}),
		"dropout":                 {Input: tensor.Shape{6}, Layers: Layers{Dropout{Rate: 0.5}, Linear{Units: 8}, Dropout{Rate: 0.3}, tanh, Linear{Units: 3}}},
		"layer norm":              image(conv(3, 1), LayerNorm{}, tanh),
		"layer norm first":        {Input: tensor.Shape{6}, Layers: Layers{LayerNorm{}, Linear{Units: 3}}},
		"rms norm":                image(conv(3, 1), RMSNorm{}, tanh),
		"rms norm first":          {Input: tensor.Shape{6}, Layers: Layers{RMSNorm{}, Linear{Units: 3}}},
		"embedding":               text(),
		"position":                text(Position{}, tanh),
		"position in a residual":  text(Residual{Body: Layers{Position{}}}),
		"attention":               text(Attention{Heads: 2}),
		"attention causal":        text(Attention{Heads: 3, Causal: true, NoBias: true}),
		"transformer":             text(Position{}, TransformerBlock{Heads: 2, Causal: true, Expansion: 2}, LayerNorm{}),
		"transformer rms dropout": text(TransformerBlock{Heads: 1, Norm: "rms_norm", Activation: kernel.SiLU, Dropout: 0.2}, TransformerBlock{Heads: 2}),
		"sequence to one":         text(GlobalAvgPool{}),
		"text":                    table(5, words(5, 7)),
		"text and numbers":        table(8, Part{Columns: 2}, words(5, 7), Part{Columns: 1, Layers: Layers{Linear{Units: 2}, tanh}}),
		"texts and a category":    table(10, words(5, 7, Linear{Units: 3}, tanh), words(1, 4), words(4, 6)),
		"text transformer":        table(7, Part{Columns: 1}, words(6, 7, Position{}, TransformerBlock{Heads: 2, Expansion: 2, Dropout: 0.2}, LayerNorm{})),
		"text transformer causal": table(6, words(6, 7, TransformerBlock{Heads: 1, Causal: true, Norm: "rms_norm"}, Residual{Body: Layers{Attention{Heads: 2}}})),
		"text without pooling":    table(3, Part{Columns: 3, Layers: Layers{Embedding{Vocabulary: 5, Width: 2}, Flatten{}}}),
		"gpt":                     GPT(4, 5, 2, 2, 4, 0.1),
		"vit":                     ViT(tensor.Shape{4, 4, 1}, 2, 1, 2, 4, 0, 3),
		"resnet":                  ResNet(tensor.Shape{5, 6, 1}, 1, 2, 3),
	}
}

// TestGraphGradientsMatchCentralDifferences does the same for graphs, with one
// shard, three shards, and microbatches.
func TestGraphGradientsMatchCentralDifferences(t *testing.T) {
	for name, arch := range graphCases() {
		for _, c := range []PlanConfig{{}, {Shards: 3}, {Microbatches: 2}, {Shards: 2, Microbatches: 3}, {Shards: 2, Precision: BF16}} {
			t.Run(fmt.Sprintf("%s/%d shards of %d %s", name, c.Shards, c.Microbatches, c.Precision), func(t *testing.T) {
				t.Parallel()
				checkGradients(t, arch, c)
			})
		}
	}
	for _, shards := range []int{1, 2} {
		t.Run(fmt.Sprintf("regression/%d", shards), func(t *testing.T) {
			t.Parallel()
			checkGradients(t, MLP(tensor.Shape{3}, []int{4}, kernel.Tanh, 2), PlanConfig{Objective: MeanSquaredError, Shards: shards})
		})
	}
	for name, config := range lossCases() {
		for _, shards := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", name, shards), func(t *testing.T) {
				t.Parallel()
				config.Shards, config.Microbatches = shards, 2
				checkGradients(t, MLP(tensor.Shape{3}, []int{4}, kernel.Tanh, 3), config)
			})
		}
	}
}

// lossCases are the losses besides those that every objective has by itself.
func lossCases() map[string]PlanConfig {
	of := func(l Loss) Regularization { return Regularization{Loss: l} }
	return map[string]PlanConfig{
		"mae":            {Objective: MeanSquaredError, Regularization: of(Loss{Name: LossMAE})},
		"huber":          {Objective: MeanSquaredError, Regularization: of(Loss{Name: LossHuber})},
		"huber narrow":   {Objective: MeanSquaredError, Regularization: of(Loss{Name: LossHuber, Delta: 0.3})},
		"focal":          {Regularization: of(Loss{Name: LossFocal})},
		"focal below 1":  {Regularization: of(Loss{Name: LossFocal, Gamma: 0.5})},
		"weighted":       {Weighted: true, Regularization: Regularization{LabelSmoothing: 0.1}},
		"weighted focal": {Weighted: true, Regularization: of(Loss{Name: LossFocal, Gamma: 3})},
	}
}

func checkGradients(t *testing.T, arch Architecture, config PlanConfig) {
	const rows = 4 // a power of two, so that 1/rows is exact in float32
	config.BatchSize, config.Optimizer, config.Seed = rows, Optimizer{Name: SGD}, 11
	plan, err := NewPlan(arch, config)
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := twin[float64]{}.Allocate(plan.elements)
	m := memory.(*twinMemory[float64])
	exec, err := twin[float64]{}.Prepare(plan.gradientProgram(rows), m)
	if err != nil {
		t.Fatal(err)
	}
	if config.Freeze != "" { // as a trainer does
		clear(m.v[:plan.input.offset])
	}
	for i := range plan.graph.specs {
		s := plan.params[i]
		values := random(uint64(100+i), s.Len)
		for k := range values {
			if plan.graph.specs[i].Statistic { // a variance is not negative
				values[k] = 0.5 + values[k]*values[k]
			}
		}
		if err := m.Write(s, values); err != nil {
			t.Fatal(err)
		}
	}
	input, labels := plan.input.span(0, rows), plan.labels.span(0, rows)
	if vocabulary, tokens := arch.tokenInput(); tokens {
		copy(m.ints(input), randomLabels(3, input.Len, vocabulary))
	} else {
		copy(m.at(input), widen(randomInputs(arch, 1, rows)))
	}
	copy(m.ints(labels), randomLabels(2, labels.Len, plan.Classes()))
	copy(m.at(labels), widen(random(4, labels.Len)))
	if config.Weighted {
		copy(m.at(plan.weights.span(0, rows)), []float64{2, 0.5, 0, 3})
	}
	loss := func() float64 {
		if err := exec.Run(kernel.Scalars{Step: 3, Seed: config.Seed}); err != nil {
			t.Fatal(err)
		}
		losses := m.at(plan.losses.span(0, rows))
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		return sum / float64(len(losses))
	}
	loss()
	gradient := append([]float64(nil), m.v[plan.gradients:plan.gradients+plan.block]...)
	step := 1 // between the elements that are checked
	if testing.Short() {
		step = 7 // prime, so that it passes through every channel and position in turn
	}
	moved := 0
	for i, spec := range plan.graph.specs {
		s := plan.params[i]
		for k := s.Offset; k < s.Offset+s.Len && !spec.Statistic && !spec.frozen; k += step {
			const h = 1e-6
			w := m.v[k]
			m.v[k] = w + h
			up := loss()
			m.v[k] = w - h
			down := loss()
			m.v[k] = w
			want := (up - down) / (2 * h)
			if diff := math.Abs(gradient[k] - want); !(diff <= 1e-8+1e-6*math.Abs(want)) {
				t.Fatalf("%s element %d: gradient %v, central difference %v", spec.Name, k-s.Offset, gradient[k], want)
			}
			if want != 0 {
				moved++
			}
		}
	}
	// What is left beside frozen parameters may be without effect, as a bias before a batch norm is.
	if moved == 0 && plan.Classes() > 1 && len(config.Freeze) == 0 {
		t.Error("no parameter affects the loss: the case tests nothing")
	}
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
