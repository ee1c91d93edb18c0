package work

import (
	"time"

	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
)

// Series is one work at several values of one of its sizes.
type Series struct {
	Work, Axis string
	Points     []Point
	// Unit is what Point.Units counts, such as "sample".
	Unit string
}

// Point is a work at one value of the axis.
type Point struct {
	Value int
	// Units in a step: the cost of a step is divided by it, so that the result
	// stays level if a step costs what it should.
	Units float64
	// New prepares our side.
	New func(threads int) (Runner, error)
}

// Runner repeats a step, as duel.Side does.
type Runner interface {
	Check() ([]float32, error)
	Run(n int) (seconds float64, err error)
	Close()
}

// Tokens in a step of the GPT and of attention, for every context.
const (
	gptTokens       = 2048
	attentionTokens = 4096
)

// Scaling returns the series. Along the batch, the unit is a sample; along the
// width and the context it is a multiply-add (of forward and backward), as a
// sample has more of them.
func Scaling() []Series {
	batch, contexts := powers(1, 512), powers(32, 1024)
	works := All()
	mlp, cnn, gpt := works[0], works[1], works[2]
	return []Series{
		series("mlp", "batch", "sample", batch, func(v int) (Work, float64) { return at(mlp, v), float64(v) }),
		series("cnn", "batch", "sample", batch, func(v int) (Work, float64) { return at(cnn, v), float64(v) }),
		series("mlp", "width", "multiply-add", powers(64, 2048), func(v int) (Work, float64) {
			w := at(mlp, 128)
			w.Architecture = nn.MLP(tensor.Shape{784}, []int{v, v}, "", 10)
			return w, 128 * 3 * float64(784*v+v*v+10*v)
		}),
		series("gpt", "width", "multiply-add", powers(32, 512), func(v int) (Work, float64) {
			w := at(gpt, 4)
			w.Architecture = nn.GPT(context, vocabulary, blocks, heads, v, 0)
			return w, 4 * context * gptMultiplyAdds(v, context)
		}),
		series("gpt", "context", "multiply-add", contexts, func(v int) (Work, float64) {
			w := at(gpt, gptTokens/v)
			w.Architecture = nn.GPT(v, vocabulary, blocks, heads, width, 0)
			w.data = tokens(v)
			return w, gptTokens * gptMultiplyAdds(width, v)
		}),
		attentionSeries(contexts),
	}
}

// powers returns the powers of two in [from, to], where from is one.
func powers(from, to int) []int {
	var out []int
	for v := from; v <= to; v *= 2 {
		out = append(out, v)
	}
	return out
}

// at returns the work with another batch.
func at(w Work, batch int) Work {
	w.Batch = batch
	return w
}

// gptMultiplyAdds returns those of a token: three products for each weight and
// the scores and sums of causal attention.
func gptMultiplyAdds(width, context int) float64 {
	weights := blocks*12*width*width + vocabulary*width
	return 3*float64(weights) + blocks*attentionMultiplyAdds(width, context)
}

// attentionMultiplyAdds returns those of a token: two products forward and five
// backward over the keys that the kernel visits for it, which are half of the
// context on average, and half a block.
func attentionMultiplyAdds(width, context int) float64 {
	keys := float64(context+min(context, kernel.AttentionBlock)) / 2
	return 7 * float64(width) * keys
}

func series(name, axis, unit string, values []int, sized func(value int) (Work, float64)) Series {
	s := Series{Work: name, Axis: axis, Unit: unit}
	for _, v := range values {
		w, units := sized(v)
		s.Points = append(s.Points, Point{Value: v, Units: units, New: func(threads int) (Runner, error) {
			file, err := w.File()
			if err != nil {
				return nil, err
			}
			return w.NewSide(file, threads)
		}})
	}
	return s
}

func attentionSeries(contexts []int) Series {
	s := Series{Work: "attention", Axis: "context", Unit: "multiply-add"}
	for _, v := range contexts {
		s.Points = append(s.Points, Point{
			Value: v, Units: attentionTokens * attentionMultiplyAdds(width, v),
			New: func(threads int) (Runner, error) { return newAttention(attentionTokens/v, v, threads) },
		})
	}
	return s
}

// attention is the kernel alone, forward and backward.
type attention struct {
	backend *cpu.Backend
	memory  kernel.Memory
	run     kernel.Executable
	dqkv    kernel.Span
}

func newAttention(batch, context, threads int) (*attention, error) {
	backend, err := cpu.NewBackend(cpu.Config{Threads: threads})
	if err != nil {
		return nil, err
	}
	shape := kernel.AttentionShape{Batch: batch, Tokens: context, Heads: heads, HeadWidth: width / heads, Causal: true}
	values, statistics := batch*context*width, batch*context*heads
	program := &kernel.Program{Name: "attention"}
	span := func(n int) kernel.Span {
		s := kernel.Span{Offset: program.Elements, Len: n}
		program.Elements += n
		return s
	}
	qkv, y, dy, dqkv := span(3*values), span(values), span(values), span(3*values)
	largest, inverse := span(statistics), span(statistics)
	program.Instructions = []kernel.Instruction{
		kernel.Attention{AttentionShape: shape, QKV: qkv, Y: y, Max: largest, Inv: inverse},
		kernel.AttentionGrad{AttentionShape: shape, QKV: qkv, Y: y, Max: largest, Inv: inverse, DY: dy, DQKV: dqkv},
	}
	a := &attention{backend: backend, dqkv: dqkv}
	if a.memory, err = backend.Allocate(program.Elements); err != nil {
		a.Close()
		return nil, err
	}
	random := generator(1)
	for _, s := range []kernel.Span{qkv, dy} {
		data := make([]float32, s.Len)
		for i := range data {
			data[i] = float32(random.uniform() - 0.5)
		}
		if err := a.memory.Write(s, data); err != nil {
			a.Close()
			return nil, err
		}
	}
	if a.run, err = backend.Prepare(program, a.memory); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Check returns the gradient.
func (a *attention) Check() ([]float32, error) {
	if _, err := a.Run(1); err != nil {
		return nil, err
	}
	out := make([]float32, a.dqkv.Len)
	return out, a.memory.Read(out, a.dqkv)
}

// Run computes attention and its gradient n times.
func (a *attention) Run(n int) (float64, error) {
	start := time.Now()
	for range n {
		if err := a.run.Run(kernel.Scalars{Step: 1}); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

// Close ends the threads and frees the memory.
func (a *attention) Close() {
	if a.memory != nil {
		a.memory.Free()
	}
	a.backend.Close()
}
