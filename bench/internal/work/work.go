// Package work defines the training works of the bench: shapes, initial
// weights, data, and how our side does them.
package work

import (
	"time"

	"reprise/bench/internal/wire"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
)

// batches is the number of different batches that the steps take in turn.
const batches = 8

// Work is one model with its optimiser and the size of a step.
type Work struct {
	Name  string
	Batch int
	// PerSample is the number of units, such as tokens, in a sample.
	PerSample    int
	Unit         string
	LearningRate float32
	// Architecture and Optimizer are for our side.
	Architecture nn.Architecture
	Optimizer    nn.Optimizer
	// name returns what the peers call a parameter; nil stands for the same.
	name func(ours string) string
	data func(random *generator, batch int) (x, y wire.Tensor)
}

// All returns the works, in the order of their lines.
func All() []Work {
	image := tensor.Shape{28, 28, 1}
	return []Work{
		{
			Name: "mlp", Batch: 128, PerSample: 1, Unit: "samples/s", LearningRate: 1e-3,
			Architecture: nn.MLP(tensor.Shape{784}, []int{512, 256}, "", 10),
			Optimizer:    nn.Optimizer{Name: nn.Adam},
			data:         images(784),
		},
		{
			Name: "cnn", Batch: 64, PerSample: 1, Unit: "samples/s", LearningRate: 1e-3,
			Architecture: nn.CNN(image, []int{32, 64}, []int{128}, "", 10),
			Optimizer:    nn.Optimizer{Name: nn.Adam},
			data:         images(image...),
		},
		{
			Name: "gpt", Batch: 16, PerSample: context, Unit: "tokens/s", LearningRate: 1e-3,
			Architecture: nn.GPT(context, vocabulary, blocks, heads, width, 0),
			Optimizer:    nn.Optimizer{Name: nn.AdamW, WeightDecay: 0.01}, // PyTorch's default
			name:         gptName, data: tokens(context),
		},
		{
			Name: "resnet8", Batch: 32, PerSample: 1, Unit: "samples/s", LearningRate: 1e-2,
			Architecture: nn.ResNet(tensor.Shape{32, 32, 3}, 1, 16, 10),
			Optimizer:    nn.Optimizer{Name: nn.SGD, Momentum: 0.9},
			name:         resnetName, data: images(32, 32, 3),
		},
	}
}

// File returns initial weights and data, the same every time.
func (w *Work) File() (*wire.File, error) {
	random := generator(1)
	file := &wire.File{Work: w.Name, LearningRate: w.LearningRate}
	parameters, err := w.parameters()
	if err != nil {
		return nil, err
	}
	x, y := w.data(&random, w.Batch)
	x.Name, y.Name = "x", "y"
	file.Tensors = append(parameters, x, y)
	return file, nil
}

// parameters returns the initial weights under the peers' names.
func (w *Work) parameters() ([]wire.Tensor, error) {
	model, err := nn.NewModel(nn.ModelID(w.Name), w.Architecture, 1)
	if err != nil {
		return nil, err
	}
	specs, err := w.Architecture.Parameters()
	if err != nil {
		return nil, err
	}
	var out []wire.Tensor
	for i, p := range model.Parameters {
		if specs[i].Statistic {
			continue // the peers begin with the same: means of 0, variances of 1
		}
		name := p.Name
		if w.name != nil {
			name = w.name(name)
		}
		out = append(out, wire.Tensor{Name: name, Shape: p.Shape, Data: p.Data})
	}
	return out, nil
}

// images returns pixels in [0,1) and labels of 10 classes.
func images(shape ...int) func(*generator, int) (wire.Tensor, wire.Tensor) {
	return func(random *generator, batch int) (x, y wire.Tensor) {
		n := batches * batch
		for _, d := range shape {
			n *= d
		}
		x = wire.Tensor{Shape: append([]int{batches, batch}, shape...), Data: make([]float32, n)}
		y = wire.Tensor{Shape: []int{batches, batch}, Data: make([]float32, batches*batch)}
		for i := range x.Data {
			x.Data[i] = float32(random.uniform())
		}
		for i := range y.Data {
			y.Data[i] = float32(int(10 * random.uniform()))
		}
		return x, y
	}
}

// generator is Numerical Recipes' linear congruential generator.
type generator uint32

// uniform returns the next value in [0,1), a multiple of 2^-24.
func (g *generator) uniform() float64 {
	*g = *g*1664525 + 1013904223
	return float64(*g>>8) / (1 << 24)
}

// Side is our side of a work: it trains in this process.
type Side struct {
	backend *cpu.Backend
	trainer *nn.Trainer
	start   nn.State
	rate    float32
	batches []nn.Batch
}

// NewSide prepares training from the file's weights. Close must follow.
func (w *Work) NewSide(file *wire.File, threads int) (*Side, error) {
	plan, err := nn.NewPlan(w.Architecture, nn.PlanConfig{BatchSize: w.Batch, Optimizer: w.Optimizer})
	if err != nil {
		return nil, err
	}
	s := &Side{rate: w.LearningRate}
	if s.backend, err = cpu.NewBackend(cpu.Config{Threads: threads}); err != nil {
		return nil, err
	}
	if s.trainer, err = nn.NewTrainer(s.backend, plan); err != nil {
		s.Close()
		return nil, err
	}
	model, err := nn.NewModel(nn.ModelID(w.Name), w.Architecture, 1) // as in File
	if err != nil {
		s.Close()
		return nil, err
	}
	if s.start, err = nn.InitialState(model, w.Optimizer); err != nil {
		s.Close()
		return nil, err
	}
	s.take(w, file)
	return s, nil
}

// take cuts the data into batches.
func (s *Side) take(w *Work, file *wire.File) {
	x, y := file.Tensor("x"), file.Tensor("y")
	batches := x.Shape[0]
	for i := range batches {
		each, labels := len(x.Data)/batches, len(y.Data)/batches
		b := nn.Batch{Rows: w.Batch, Labels: whole(y.Data[i*labels : (i+1)*labels])}
		if part := x.Data[i*each : (i+1)*each]; w.Architecture.TakesTokens() {
			b.Tokens = whole(part)
		} else {
			b.Inputs = part
		}
		s.batches = append(s.batches, b)
	}
}

func whole(x []float32) []int32 {
	out := make([]int32, len(x))
	for i, v := range x {
		out[i] = int32(v)
	}
	return out
}

// Check returns the losses of the first steps.
func (s *Side) Check() ([]float32, error) {
	if err := s.trainer.Load(s.start); err != nil {
		return nil, err
	}
	losses := make([]float32, wire.CheckSteps)
	for i := range losses {
		var err error
		if losses[i], err = s.step(i); err != nil {
			return nil, err
		}
	}
	return losses, nil
}

// Run takes n steps and returns the seconds they took.
func (s *Side) Run(n int) (float64, error) {
	if err := s.trainer.Load(s.start); err != nil {
		return 0, err
	}
	start := time.Now()
	for i := range n {
		if _, err := s.step(i); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

func (s *Side) step(i int) (float32, error) {
	return s.trainer.Step(s.batches[i%len(s.batches)], s.rate)
}

// Close ends the threads and frees the memory.
func (s *Side) Close() {
	if s.trainer != nil {
		s.trainer.Close()
	}
	s.backend.Close()
}
