package nn

import (
	"errors"
	"math"
	"testing"

	"reprise/fault"
	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/tensor"
)

func TestPrecisionIsFloat32OrBF16(t *testing.T) {
	arch := MLP(tensor.Shape{3}, nil, "", 2)
	for given, want := range map[Precision]Precision{"": Float32, Float32: Float32, BF16: BF16} {
		plan, err := NewPlan(arch, PlanConfig{BatchSize: 1, Precision: given})
		if err != nil || plan.Config().Precision != want {
			t.Errorf("%q becomes %q (%v), want %q", given, plan.Config().Precision, err, want)
		}
	}
	var bad *fault.FieldError
	if _, err := NewPlan(arch, PlanConfig{BatchSize: 1, Precision: "fp16"}); !errors.As(err, &bad) || bad.Field != "precision" {
		t.Errorf("fp16: %v, want a fault.FieldError for precision", err)
	}
}

// TestBF16NeedsAboutHalfTheActivations is what it is for.
func TestBF16NeedsAboutHalfTheActivations(t *testing.T) {
	for name, c := range map[string]struct {
		arch  Architecture
		total float64 // share of float32's that is left of activations and scratch
	}{
		"gpt":    {GPT(64, 64, 4, 4, 64, 0.1), 0.85},
		"resnet": {ResNet(tensor.Shape{32, 32, 3}, 3, 16, 10), 0.85},
	} {
		var memory [2]MemoryPlan
		for i, precision := range []Precision{Float32, BF16} {
			plan, err := NewPlan(c.arch, PlanConfig{BatchSize: 16, EvalBatchSize: 1, Precision: precision})
			if err != nil {
				t.Fatal(err)
			}
			memory[i] = plan.Memory()
		}
		full, half := memory[0], memory[1]
		if got := float64(half.Activations) / float64(full.Activations); !(got > 0.49 && got < 0.6) {
			t.Errorf("%s: activations take %.2f of float32's: %+v, %+v", name, got, half, full)
		}
		moving := func(m MemoryPlan) float64 { return float64(m.Activations + m.Scratch) }
		if got := moving(half) / moving(full); got >= c.total || half.Total >= full.Total {
			t.Errorf("%s: activations and scratch take %.2f of float32's, want less than %.2f: %+v, %+v", name, got, c.total, half, full)
		}
		t.Logf("%s: activations %d of %d, with scratch %.2f, total %d of %d",
			name, half.Activations, full.Activations, moving(half)/moving(full), half.Total, full.Total)
	}
}

// TestBF16PacksEachOutputOnceAndUnpacksItForEachRunOfReaders counts transfers in
// a chain and in a block with branches.
func TestBF16PacksEachOutputOnceAndUnpacksItForEachRunOfReaders(t *testing.T) {
	conv := Conv2D{Channels: 2, Kernel: Square(3), Padding: Same()}
	relu := Activation{Kind: kernel.ReLU}
	for name, c := range map[string]struct {
		arch          Architecture
		stores, loads int
	}{
		// The hidden output serves the linear layer after it and its own ReLU.
		"mlp": {MLP(tensor.Shape{5}, []int{4, 4}, kernel.ReLU, 3), 2, 2},
		// Flattening is in between.
		"flatten": {Architecture{Input: tensor.Shape{4, 4, 1}, Layers: Layers{conv, relu, Flatten{}, Linear{Units: 3}}}, 1, 2},
		// The block's input goes into its body, and belongs to the ReLU before.
		"residual": {Architecture{Input: tensor.Shape{4, 4, 1}, Layers: Layers{
			conv, relu, Residual{Body: Layers{conv, relu, conv}}, GlobalAvgPool{}, Linear{Units: 3}}}, 3, 3},
		// The output is read after the loss.
		"ends in tanh": {Architecture{Input: tensor.Shape{5}, Layers: Layers{Linear{Units: 3}, Activation{Kind: kernel.Tanh}}}, 1, 1},
	} {
		plan, err := NewPlan(c.arch, PlanConfig{BatchSize: 3, Precision: BF16})
		if err != nil {
			t.Fatal(err)
		}
		stores, loads := 0, 0
		packed := map[kernel.Span]bool{}
		for _, in := range plan.gradientProgram(3).Instructions {
			switch i := in.(type) {
			case kernel.StoreBF16:
				stores++
				packed[i.Y] = true
			case kernel.LoadBF16:
				if loads++; !packed[i.X] {
					t.Errorf("%s: %v is unpacked before it is packed", name, i.X)
				}
			}
		}
		if stores != c.stores || loads != c.loads {
			t.Errorf("%s: %d packed and %d unpacked, want %d and %d", name, stores, loads, c.stores, c.loads)
		}
		l := plan.train
		if out := l.buffers[l.value[len(l.value)-1]]; out.last < l.loss() {
			t.Errorf("%s: the output is given up before the loss", name)
		}
		for _, in := range plan.evaluationProgram(3).Instructions {
			if op := in.Operation(); op == kernel.OpStoreBF16 || op == kernel.OpLoadBF16 {
				t.Errorf("%s: an evaluation has %s", name, op)
			}
		}
	}
}

// TestBF16GradientsAreCloseToFloat32s compares the gradients of the same
// weights and batch, all parameters together, and the losses, which are equal.
func TestBF16GradientsAreCloseToFloat32s(t *testing.T) {
	b := newCPU(t, 2, cpu.LevelAuto)
	for name, m := range goldenModels() {
		if m.config.Precision == BF16 {
			continue
		}
		var gradient [2][]float32
		var loss [2]float32
		for i, precision := range []Precision{Float32, BF16} {
			m.config.Precision, m.config.ClipNorm = precision, 0
			trainer := newTrainer(t, b, m.arch, m.config)
			var err error
			if loss[i], err = trainer.Step(randomBatch(trainer, 3, m.config.BatchSize), 0.01); err != nil {
				t.Fatal(err)
			}
			gradient[i] = make([]float32, trainer.plan.trained)
			if err := trainer.memory.Read(gradient[i], kernel.Span{Offset: trainer.plan.gradients, Len: trainer.plan.trained}); err != nil {
				t.Fatal(err)
			}
		}
		var difference, norm float64
		for k, g := range gradient[0] {
			d := float64(gradient[1][k] - g)
			difference, norm = difference+float64(d*d), norm+float64(float64(g)*float64(g))
		}
		if got := math.Sqrt(difference / norm); !(got > 0 && got < 0.01) {
			t.Errorf("%s: the gradients differ by %.2g of their norm", name, got)
		}
		if loss[0] != loss[1] {
			t.Errorf("%s: the loss is %v, in float32 %v", name, loss[1], loss[0])
		}
	}
}

// TestBF16Trains overfits one batch.
func TestBF16Trains(t *testing.T) {
	b := newCPU(t, 2, cpu.LevelAuto)
	for name, m := range goldenModels() {
		if m.config.Precision != BF16 {
			continue
		}
		m.config.Optimizer = Optimizer{Name: Adam}
		trainer := newTrainer(t, b, m.arch, m.config)
		batch := randomBatch(trainer, 3, m.config.BatchSize)
		var first float32
		for s := range 60 {
			loss, err := trainer.Step(batch, 0.01)
			if err != nil {
				t.Fatal(err)
			}
			if s == 0 {
				first = loss
			}
			if s == 59 && !(loss < first/2) {
				t.Errorf("%s: the loss goes from %v to %v", name, first, loss)
			}
		}
	}
}
