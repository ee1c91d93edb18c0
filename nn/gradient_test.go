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

// randomLabels returns n labels for a test.
func randomLabels(seed uint64, n, classes int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(philox.Block(seed, philox.PurposeSplit, 1, uint64(i))[0] % uint32(classes))
	}
	return out
}

// layerCases has every layer, with every option that changes its passes, at
// sizes that are no multiple of anything.
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
				checkGradients(t, arch, shards)
			})
		}
	}
}

func checkGradients(t *testing.T, arch Architecture, shards int) {
	const rows = 4 // a power of two, so that 1/rows is exact in float32
	plan, err := NewPlan(arch, PlanConfig{BatchSize: rows, Shards: shards, Optimizer: Optimizer{Name: SGD}})
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := twin[float64]{}.Allocate(plan.elements)
	m := memory.(*twinMemory[float64])
	backward, err := twin[float64]{}.Prepare(plan.gradientProgram(rows), m)
	if err != nil {
		t.Fatal(err)
	}
	forward, err := twin[float64]{}.Prepare(plan.evaluationProgram(rows), m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.graph.specs {
		s := plan.params[i]
		if err := m.Write(s, random(uint64(100+i), s.Len)); err != nil {
			t.Fatal(err)
		}
	}
	copy(m.v[plan.input.offset:], widen(random(1, rows*plan.Features())))
	copy(m.i[plan.labels.offset:], randomLabels(2, rows, plan.Classes()))
	loss := func(exec kernel.Executable) float64 {
		if err := exec.Run(kernel.Scalars{}); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, l := range m.v[plan.losses.offset : plan.losses.offset+rows] {
			sum += l
		}
		return sum / rows
	}
	loss(backward)
	gradient := append([]float64(nil), m.v[plan.gradients:plan.gradients+plan.block]...)
	moved := 0
	for i, spec := range plan.graph.specs {
		s := plan.params[i]
		for k := s.Offset; k < s.Offset+s.Len; k++ {
			const h = 1e-5
			w := m.v[k]
			m.v[k] = w + h
			up := loss(forward)
			m.v[k] = w - h
			down := loss(forward)
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
	if moved == 0 && plan.Classes() > 1 {
		t.Error("no parameter has any influence: the case tests nothing")
	}
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
