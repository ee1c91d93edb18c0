package nn

import (
	"fmt"
	"strconv"

	"reprise/device"
	"reprise/kernel"
	"reprise/tensor"
)

// MaxBatch bounds the rows of a batch.
const MaxBatch = 1 << 24

// MaxShards bounds the number of shards of a batch.
const MaxShards = 1024

// PlanConfig says what a Plan is for.
type PlanConfig struct {
	// BatchSize is the largest number of rows of a training step.
	BatchSize int
	// EvalBatchSize is the number of rows evaluated or predicted at a time; 0
	// stands for BatchSize. It changes no result, only memory and speed.
	EvalBatchSize int
	// Shards is the number of parts a batch is cut into; 0 stands for 1. It
	// changes the bits of the gradient, so it belongs to the request. Each
	// shard has a gradient buffer of its own.
	Shards int
	// Optimizer is the update rule; zero values stand for its defaults.
	Optimizer Optimizer
}

// MemoryPlan is the device memory that a Plan needs, by use. What a backend
// needs beside it, such as a thread's packing buffer, is the backend's affair.
type MemoryPlan struct {
	Parameters device.Bytes `json:"parameters"`
	// Optimizer is the moments'.
	Optimizer device.Bytes `json:"optimizer"`
	// Gradients is the parameters' gradients', for each shard.
	Gradients device.Bytes `json:"gradients"`
	// Activations is the input's and the layers' outputs'.
	Activations device.Bytes `json:"activations"`
	// Scratch is the rest: the gradients of the activations, pooling indices,
	// labels, losses, and what an evaluation needs beyond a training step.
	Scratch device.Bytes `json:"scratch"`
	Total   device.Bytes `json:"total"`
}

// Plan is an architecture differentiated and laid out: where every array lies
// in one arena, and the programs of a training step and of an evaluation, which
// are written out for a number of rows when it first occurs.
//
// Layout: parameters; moments; gradients, one block for each shard; input,
// labels, losses; then one region that a training step and an evaluation take
// turns in. Within a training step outputs live until the backward pass has
// read them (relu works in place); the gradients of the outputs take turns in
// two buffers. An evaluation's outputs take turns in two buffers as well.
//
// A Plan is immutable and safe for concurrent use.
type Plan struct {
	arch      Architecture
	config    PlanConfig
	shapes    []tensor.Shape // before each layer and after the last
	specs     []ParameterSpec
	moments   []ParameterSpec
	weights   []layerWeights
	trainable int // index of the first layer with parameters

	block     int // elements of all parameters, padding included
	gradients int // offset of the first shard's block
	input     place
	labels    int
	losses    int
	correct   int

	train    []place // before each layer and after the last
	index    []place // each layer's pooling indices
	grads    []place // like train; absent where no gradient is needed
	eval     []place
	evalIdx  int
	elements int
	memory   MemoryPlan
}

// place is an array of a fixed number of elements per row. Where the rows of
// all shards lie side by side, as the input's do, sharded is set.
type place struct {
	offset, perRow int
	sharded        bool
}

// span returns the rows [first, first+rows) of a batch; places that are not
// sharded are used by one shard at a time, from their beginning.
func (p place) span(first, rows int) kernel.Span {
	offset := p.offset
	if p.sharded {
		offset += first * p.perRow
	}
	return kernel.Span{Offset: offset, Len: rows * p.perRow}
}

// layerWeights are a layer's parameters, relative to their block.
type layerWeights struct{ weight, bias kernel.Span }

// alignment is the elements that every array starts at a multiple of: a cache
// line's worth.
const alignment = 16

func align(n int) int { return (n + alignment - 1) / alignment * alignment }

// NewPlan plans training and evaluation of the architecture, whose output must
// have one dimension, a logit for each class. It fails with a *LayerError for
// an architecture that is not valid or not trainable, and with a *FieldError
// for the configuration.
func NewPlan(arch Architecture, config PlanConfig) (*Plan, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Plan{arch: arch, config: config}
	if p.shapes, err = arch.shapes(); err != nil {
		return nil, err
	}
	if p.specs, err = arch.Parameters(); err != nil {
		return nil, err
	}
	last := len(arch.Layers) - 1
	if out := p.shapes[last+1]; len(out) != 1 {
		return nil, &LayerError{Index: last, Layer: arch.Layers[last].Type(), Field: "output", Got: out.String(),
			Want: "one dimension", Fix: `end with {"type": "flatten"} and a linear layer with an output for each class`}
	}
	if len(p.specs) == 0 {
		return nil, &LayerError{Index: -1, Field: "layers", Got: "without parameters", Want: "something to train",
			Fix: "add a linear layer with an output for each class"}
	}
	if err := p.checkRows(); err != nil {
		return nil, err
	}
	p.moments = momentSpecs(p.specs, config.Optimizer)
	p.trainable = p.specs[0].Layer
	if err := p.lay(); err != nil {
		return nil, err
	}
	return p, nil
}

func (c PlanConfig) withDefaults() (PlanConfig, error) {
	if c.EvalBatchSize == 0 {
		c.EvalBatchSize = c.BatchSize
	}
	if c.Shards == 0 {
		c.Shards = 1
	}
	for _, f := range []struct {
		name       string
		value, max int
		fix        string
	}{
		{"batch_size", c.BatchSize, MaxBatch, "use a size such as 32"},
		{"eval_batch_size", c.EvalBatchSize, MaxBatch, "use a size such as 256"},
		{"shards", c.Shards, MaxShards, "use 1 unless several workers share a batch"},
	} {
		if f.value < 1 || f.value > f.max {
			return c, &FieldError{Field: f.name, Value: strconv.Itoa(f.value), Want: fmt.Sprintf("between 1 and %d", f.max), Fix: f.fix}
		}
	}
	if err := c.Optimizer.Validate(); err != nil {
		return c, err
	}
	c.Optimizer = c.Optimizer.WithDefaults()
	return c, nil
}

// checkRows fails where a batch has more values between two layers than
// kernels index.
func (p *Plan) checkRows() error {
	largest := p.shapes[0]
	for _, s := range p.shapes {
		if elements(s) > elements(largest) {
			largest = s
		}
	}
	most := MaxElements / elements(largest)
	bad := func(field string, rows int) error {
		return &FieldError{Field: field, Value: strconv.Itoa(rows),
			Want: fmt.Sprintf("at most %d, as one sample has up to %v values between two layers", most, largest), Fix: "use smaller batches"}
	}
	switch {
	case p.config.BatchSize > most:
		return bad("batch_size", p.config.BatchSize)
	case p.config.EvalBatchSize > most:
		return bad("eval_batch_size", p.config.EvalBatchSize)
	}
	return nil
}

// Architecture returns what was planned.
func (p *Plan) Architecture() Architecture { return p.arch }

// Config returns the configuration with its defaults filled in.
func (p *Plan) Config() PlanConfig { return p.config }

// Memory returns the device memory that a Trainer of the plan allocates.
func (p *Plan) Memory() MemoryPlan { return p.memory }

// Features returns the number of values of one sample.
func (p *Plan) Features() int { return p.input.perRow }

// Classes returns the number of logits of one sample.
func (p *Plan) Classes() int { return p.shapes[len(p.shapes)-1][0] }

// arena hands out consecutive, aligned arrays.
type arena struct {
	next int
	err  error
}

// take returns the offset of a new array of the product of sizes.
func (a *arena) take(sizes ...int) int {
	n, err := tensor.Shape(append(sizes, 1)).NumElements()
	offset := a.next
	if err != nil || align(n) < n || offset+align(n) < offset {
		a.err = fmt.Errorf("plan of the model: %w", tensor.ErrOverflow)
		return 0
	}
	a.next += align(n)
	return offset
}

// lay assigns a place to everything.
func (p *Plan) lay() error {
	p.layWeights()
	var a arena
	a.take(p.block) // parameters, at offset 0
	for range p.config.Optimizer.moments() {
		a.take(p.block)
	}
	p.gradients = a.take(p.config.Shards, p.block)
	afterGradients := a.next

	rows := max(p.config.BatchSize, p.config.EvalBatchSize)
	features := elements(p.arch.Input)
	p.input = place{offset: a.take(rows, features), perRow: features, sharded: true}
	afterInput := a.next
	p.labels, p.losses, p.correct = a.take(rows), a.take(rows), a.take(rows)

	evaluation := a
	activations := p.layTraining(&a)
	p.layEvaluation(&evaluation)
	for _, err := range []error{a.err, evaluation.err} {
		if err != nil {
			return err
		}
	}
	p.elements = max(a.next, evaluation.next)

	bytes := func(n int) device.Bytes { return device.Bytes(n) * device.Bytes(tensor.Float32.Size()) }
	m := MemoryPlan{
		Parameters:  bytes(p.block),
		Optimizer:   bytes(p.gradients - p.block),
		Gradients:   bytes(afterGradients - p.gradients),
		Activations: bytes(afterInput - afterGradients + activations),
		Total:       bytes(p.elements),
	}
	m.Scratch = m.Total - m.Parameters - m.Optimizer - m.Gradients - m.Activations
	p.memory = m
	return nil
}

// layWeights places the parameters within their block.
func (p *Plan) layWeights() {
	p.weights = make([]layerWeights, len(p.arch.Layers))
	for _, spec := range p.specs {
		s := kernel.Span{Offset: p.block, Len: elements(spec.Shape)}
		p.block += align(s.Len)
		if spec.FanIn > 0 {
			p.weights[spec.Layer].weight = s
		} else {
			p.weights[spec.Layer].bias = s
		}
	}
}

// shardRows returns the rows of the largest shard of a full batch.
func (p *Plan) shardRows() int {
	return (p.config.BatchSize + p.config.Shards - 1) / p.config.Shards
}

// layTraining places outputs, indices and gradients of a training step and
// returns the elements of the outputs.
func (p *Plan) layTraining(a *arena) int {
	rows, start := p.shardRows(), a.next
	n := len(p.arch.Layers)
	p.train = make([]place, n+1)
	p.train[0] = p.input
	kept := true // whether the present array must not be written over
	for i, l := range p.arch.Layers {
		needs, out := l.needs(p.shapes[i]), elements(p.shapes[i+1])
		switch {
		case needs.alias:
			p.train[i+1] = p.train[i]
			continue
		case needs.inPlace && !kept:
			p.train[i+1] = p.train[i]
		default:
			p.train[i+1] = place{offset: a.take(rows, out), perRow: out}
		}
		kept = needs.y
	}
	activations := a.next - start
	p.index = make([]place, n)
	for i, l := range p.arch.Layers {
		if per := l.needs(p.shapes[i]).index; per > 0 {
			p.index[i] = place{offset: a.take(rows, per), perRow: per}
		}
	}
	p.layGradients(a, kept)
	return activations
}

// layGradients places the gradients of the outputs, from the last to that of
// the first layer with parameters. logitsKept says that the backward pass of
// the last layer reads the logits, so that their gradient may not take their
// place.
func (p *Plan) layGradients(a *arena, logitsKept bool) {
	n := len(p.arch.Layers)
	p.grads = make([]place, n+1)
	var size [2]int
	buffer := make([]int, n+1) // 0 or 1; -1 is the logits' place
	take := func(i, b int) {
		buffer[i] = b
		p.grads[i].perRow = elements(p.shapes[i])
		size[b] = max(size[b], p.grads[i].perRow)
	}
	if logitsKept {
		take(n, 0)
	} else {
		buffer[n], p.grads[n] = -1, p.train[n]
	}
	for i := n - 1; i > p.trainable; i-- {
		needs := p.arch.Layers[i].needs(p.shapes[i])
		switch {
		case needs.alias || needs.gradInPlace:
			buffer[i], p.grads[i] = buffer[i+1], p.grads[i+1]
		case buffer[i+1] == 0:
			take(i, 1)
		default:
			take(i, 0)
		}
	}
	var offset [2]int
	for b := range offset {
		offset[b] = a.take(p.shardRows(), size[b])
	}
	for i := p.trainable + 1; i <= n; i++ {
		if buffer[i] >= 0 {
			p.grads[i].offset = offset[buffer[i]]
		}
	}
}

// layEvaluation places the outputs of an evaluation.
func (p *Plan) layEvaluation(a *arena) {
	n := len(p.arch.Layers)
	p.eval = make([]place, n+1)
	p.eval[0] = p.input
	var size [2]int
	index := 0
	buffer := make([]int, n+1)
	buffer[0] = -1 // the input
	for i, l := range p.arch.Layers {
		needs, out := l.needs(p.shapes[i]), elements(p.shapes[i+1])
		index = max(index, needs.index)
		if needs.alias || needs.inPlace && buffer[i] >= 0 {
			buffer[i+1], p.eval[i+1] = buffer[i], p.eval[i]
			continue
		}
		if buffer[i] == 0 {
			buffer[i+1] = 1
		}
		p.eval[i+1].perRow = out
		b := buffer[i+1]
		size[b] = max(size[b], out)
	}
	var offset [2]int
	for b := range offset {
		offset[b] = a.take(p.config.EvalBatchSize, size[b])
	}
	for i, b := range buffer {
		if b >= 0 {
			p.eval[i].offset = offset[b]
		}
	}
	p.evalIdx = a.take(p.config.EvalBatchSize, index)
}
