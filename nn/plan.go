package nn

import (
	"fmt"
	"slices"
	"strconv"

	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

// MaxBatch bounds the rows of a batch.
const MaxBatch = 1 << 24

// MaxShards bounds the number of shards of a batch.
const MaxShards = 1024

// Objective is what a step minimises.
type Objective string

// The objectives. Cross-entropy takes the last dimension of the output as the
// logits of a class, with a label for each row of it: one for [classes], T for
// the [T, vocabulary] of a language model. Mean squared error takes a target
// for each output.
const (
	CrossEntropy     Objective = "cross_entropy"
	MeanSquaredError Objective = "mean_squared_error"
)

// PlanConfig configures a Plan.
type PlanConfig struct {
	// BatchSize is the largest number of rows of a training step.
	BatchSize int
	// EvalBatchSize is the number of rows evaluated or predicted at a time; 0
	// means BatchSize. It changes no result, only memory and speed.
	EvalBatchSize int
	// Microbatches is the number of parts into which a step's rows are split
	// and processed one after another, to bound the memory of activations; 0
	// means 1. Their gradients are added in order, so it changes bits and
	// belongs to the request.
	Microbatches int
	// Shards is the number of parts a microbatch is cut into; 0 means 1. It
	// changes the bits of the gradient, so it belongs to the request. Each
	// shard has its own gradient buffer.
	Shards int
	// Objective is cross_entropy by default.
	Objective Objective
	// Regularization says which loss is minimised, and changes it and its gradient.
	Regularization
	// Weighted says that the labels of a training step come with weights, by which
	// their losses and gradients are multiplied. Those of an evaluation do not.
	Weighted bool
	// Optimizer is the update rule; zero values mean its defaults.
	Optimizer Optimizer
	// Freeze says which parameters stay as they are. It changes the bits of the others only
	// through a norm that is clipped, and through a BatchNorm that is frozen.
	Freeze Freeze
	// Seed keys dropout.
	Seed uint64
	// PredictionOnly leaves out what training and evaluation need: the moments, the
	// gradients and the outputs that a backward pass reads. It changes no prediction.
	PredictionOnly bool
	// Precision is how outputs are stored for the backward pass: float32 by
	// default. It changes the bits of the gradient, so it belongs to the
	// request.
	Precision Precision
}

// MemoryPlan is the device memory that a Plan needs, by use. Memory that a
// backend needs in addition, such as packing buffers for its threads, is not
// included.
type MemoryPlan struct {
	Parameters tensor.Bytes `json:"parameters"`
	// Optimizer is for the moments.
	Optimizer tensor.Bytes `json:"optimizer"`
	// Gradients is for the parameters' gradients, one set per shard.
	Gradients tensor.Bytes `json:"gradients"`
	// Activations is for the input and the outputs that the backward pass
	// reads.
	Activations tensor.Bytes `json:"activations"`
	// Scratch is the rest: temporary outputs and gradients of outputs, pooling
	// indices, statistics, labels, losses, and what an evaluation needs beyond
	// a training step.
	Scratch tensor.Bytes `json:"scratch"`
	Total   tensor.Bytes `json:"total"`
}

// Plan is an architecture differentiated and laid out: the place of every array
// in one arena, and the programs of a training step and of an evaluation, which
// a Trainer asks for when a number of rows first occurs.
//
// Layout: parameters; moments; gradients, one block for each shard; input,
// labels or targets, losses; then one region that training steps and
// evaluations use in turn, in which arrays that are never in use at the same
// time share memory.
//
// A Plan is immutable and safe for concurrent use.
type Plan struct {
	arch    Architecture
	config  PlanConfig
	graph   *graph
	moments []ParameterSpec

	params    []kernel.Span // of each parameter, from the beginning of a block
	trained   int           // elements of the parameters that are updated, which come first
	averaged  int           // offset of the statistics that are, which come last
	block     int           // elements of all parameters, padding included
	gradients int           // offset of the first shard's block
	input     place
	labels    place // or targets
	weights   place // of the labels, if they have any
	losses    place
	correct   place
	norm      kernel.Span // of the last step's gradient, if it is clipped

	train, eval *layout
	elements    int
	memory      MemoryPlan
}

// place is an array with a fixed number of elements for each row of a batch.
type place struct{ offset, perRow int }

// span returns the rows [first, first+rows) of a batch.
func (p place) span(first, rows int) kernel.Span {
	return kernel.Span{Offset: p.offset + first*p.perRow, Len: rows * p.perRow}
}

// alignment is in elements, a cache line's worth: every array starts at a
// multiple of it.
const alignment = 16

func align(n int) int { return (n + alignment - 1) / alignment * alignment }

// NewPlan plans training and evaluation of the architecture, whose output must
// have one dimension, or two for a sequence with a label for each token. It
// fails with a *LayerError for an architecture that is not valid or not
// trainable, and with a *fault.FieldError for the configuration.
func NewPlan(arch Architecture, config PlanConfig) (*Plan, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if config.PredictionOnly {
		config.Optimizer = Optimizer{Name: SGD}.WithDefaults() // which has no moments
	}
	p := &Plan{arch: arch, config: config}
	if p.graph, err = arch.build(); err != nil {
		return nil, err
	}
	if config.Freeze != "" {
		frozen, err := p.graph.frozen(config.Freeze)
		if err != nil {
			return nil, err
		}
		p.graph.freeze(frozen)
	}
	last := len(arch.Layers) - 1
	if out := p.graph.output(); len(out) > 2 || len(out) == 2 && config.Objective != CrossEntropy {
		return nil, &LayerError{Index: last, Layer: arch.Layers[last].Type(), Field: "output", Got: out.String(),
			Want: "one dimension", Fix: `end with {"type": "flatten"} and a linear layer with an output for each class`}
	}
	if !slices.ContainsFunc(p.graph.specs, func(s ParameterSpec) bool { return !s.Statistic }) {
		return nil, &LayerError{Index: -1, Field: "layers", Got: "without parameters", Want: "something to train",
			Fix: "add a linear layer with an output for each class"}
	}
	if err := p.checkRows(); err != nil {
		return nil, err
	}
	p.moments = momentSpecs(p.graph.specs, config.Optimizer)
	p.train, p.eval = newLayout(p.graph, true), newLayout(p.graph, false)
	if config.Precision == BF16 {
		p.train.pack()
	}
	if err := p.lay(); err != nil {
		return nil, err
	}
	return p, nil
}

func (c PlanConfig) withDefaults() (PlanConfig, error) {
	if c.EvalBatchSize == 0 {
		c.EvalBatchSize = c.BatchSize
	}
	for _, n := range []*int{&c.Shards, &c.Microbatches} {
		if *n == 0 {
			*n = 1
		}
	}
	if c.Objective == "" {
		c.Objective = CrossEntropy
	}
	if c.Precision == "" {
		c.Precision = Float32
	}
	for _, f := range []struct {
		name       string
		value, max int
		fix        string
	}{
		{"batch_size", c.BatchSize, MaxBatch, "use a size such as 32"},
		{"eval_batch_size", c.EvalBatchSize, MaxBatch, "use a size such as 256"},
		{"shards", c.Shards, MaxShards, "use 1 unless several workers share a batch"},
		{"microbatches", c.Microbatches, c.BatchSize, "use 1 unless a batch does not fit into memory"},
	} {
		if f.value < 1 || f.value > f.max {
			return c, &fault.FieldError{Field: f.name, Value: strconv.Itoa(f.value), Problem: fmt.Sprintf("must be between 1 and %d", f.max), Fix: f.fix}
		}
	}
	if err := c.validateLoss(); err != nil {
		return c, err
	}
	if err := c.Precision.Validate(); err != nil {
		return c, err
	}
	if err := c.Optimizer.Validate(); err != nil {
		return c, err
	}
	c.Optimizer, c.Loss = c.Optimizer.WithDefaults(), c.Loss.WithDefaults()
	return c, nil
}

// validateLoss checks the objective and what is done to its loss and gradient.
func (c PlanConfig) validateLoss() error {
	if c.Objective != CrossEntropy && c.Objective != MeanSquaredError {
		return &fault.FieldError{Field: "objective", Value: strconv.Quote(string(c.Objective)), Problem: "must be cross_entropy or mean_squared_error", Fix: "correct the name"}
	}
	var weighted error
	if c.Weighted && c.Objective != CrossEntropy {
		weighted = &fault.FieldError{Field: "weighted", Value: "true", Problem: "must be false without classes", Fix: "leave it out"}
	}
	return joined(c.ValidateRegularization(), c.fits(c.Objective), weighted)
}

// checkRows fails if a batch has more values between two layers than kernels
// can index.
func (p *Plan) checkRows() error {
	largest := p.graph.values[0]
	for _, s := range p.graph.values {
		if elements(s) > elements(largest) {
			largest = s
		}
	}
	most := MaxElements / elements(largest)
	bad := func(field string, rows int) error {
		return &fault.FieldError{Field: field, Value: strconv.Itoa(rows),
			Problem: fmt.Sprintf("must be at most %d, as one sample has up to %v values between two layers", most, largest), Fix: "use smaller batches"}
	}
	switch {
	case p.config.BatchSize > most:
		return bad("batch_size", p.config.BatchSize)
	case p.config.EvalBatchSize > most:
		return bad("eval_batch_size", p.config.EvalBatchSize)
	}
	return nil
}

// Architecture returns the planned architecture.
func (p *Plan) Architecture() Architecture { return p.arch }

// Config returns the configuration with its defaults filled in.
func (p *Plan) Config() PlanConfig { return p.config }

// Memory returns the device memory that a Trainer of the plan allocates.
func (p *Plan) Memory() MemoryPlan { return p.memory }

// Features returns the number of values, or tokens, of one sample.
func (p *Plan) Features() int { return p.input.perRow }

// Outputs returns the number of outputs of one sample: Labels times Classes for
// cross-entropy.
func (p *Plan) Outputs() int { return elements(p.graph.output()) }

// Classes returns the number of logits of one label, or the number of outputs.
func (p *Plan) Classes() int {
	out := p.graph.output()
	return out[len(out)-1]
}

// Labels returns the number of labels of one sample, each with a loss; a sample
// with targets instead has one loss.
func (p *Plan) Labels() int { return p.Outputs() / p.Classes() }

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

// perRow takes an array for a number of rows.
func (a *arena) perRow(rows, perRow int) place { return place{a.take(rows, perRow), perRow} }

// lay assigns a place to everything.
func (p *Plan) lay() error {
	p.layParameters()
	var a arena
	a.take(p.block) // parameters, at offset 0
	training := !p.config.PredictionOnly
	if training {
		for range p.config.Optimizer.Moments() {
			a.take(p.block)
		}
	}
	p.gradients = a.next
	if training {
		a.take(p.gradientBlocks(), p.block)
	}
	afterGradients := a.next

	rows := max(p.config.BatchSize, p.config.EvalBatchSize)
	p.input = a.perRow(rows, elements(p.arch.Input))
	afterInput := a.next
	targets := p.Labels()
	if p.config.Objective == MeanSquaredError {
		targets = p.Outputs()
	}
	p.labels, p.losses, p.correct = a.perRow(rows, targets), a.perRow(rows, p.Labels()), a.perRow(rows, p.Labels())
	p.norm = kernel.Span{Offset: a.take(1), Len: 1}
	if p.config.Weighted {
		p.weights = a.perRow(p.config.BatchSize, p.Labels())
	}

	evaluation := a
	kept := 0
	if training {
		p.train.place(&a, p.shardRows())
		kept = p.train.kept(p.shardRows())
	}
	p.eval.place(&evaluation, p.config.EvalBatchSize)
	for _, err := range []error{a.err, evaluation.err} {
		if err != nil {
			return err
		}
	}
	p.elements = max(a.next, evaluation.next)

	bytes := func(n int) tensor.Bytes { return tensor.Bytes(n) * tensor.Bytes(tensor.Float32.Size()) }
	m := MemoryPlan{
		Parameters:  bytes(p.block),
		Optimizer:   bytes(p.gradients - p.block),
		Gradients:   bytes(afterGradients - p.gradients),
		Activations: bytes(afterInput - afterGradients + kept),
		Total:       bytes(p.elements),
	}
	m.Scratch = m.Total - m.Parameters - m.Optimizer - m.Gradients - m.Activations
	p.memory = m
	return nil
}

// layParameters places the parameters within their block: those that the optimiser
// updates, all at once, before the frozen ones, and the statistics that steps update last.
func (p *Plan) layParameters() {
	p.params = make([]kernel.Span, len(p.graph.specs))
	place := func(group func(ParameterSpec) bool) {
		for i, spec := range p.graph.specs {
			if group(spec) {
				p.params[i] = kernel.Span{Offset: p.block, Len: elements(spec.Shape)}
				p.block += align(p.params[i].Len)
			}
		}
	}
	place(func(s ParameterSpec) bool { return !s.frozen && !s.Statistic })
	p.trained = p.block
	place(func(s ParameterSpec) bool { return s.frozen })
	p.averaged = p.block
	place(func(s ParameterSpec) bool { return !s.frozen && s.Statistic })
}

// gradientBlocks returns the number of gradient blocks: one for each shard, and
// the sum over earlier microbatches.
func (p *Plan) gradientBlocks() int {
	if p.config.Microbatches > 1 {
		return p.config.Shards + 1
	}
	return p.config.Shards
}

// microbatch returns the rows of a whole microbatch.
func (p *Plan) microbatch() int {
	return (p.config.BatchSize + p.config.Microbatches - 1) / p.config.Microbatches
}

// shardRows returns the rows of the largest shard of a whole microbatch.
func (p *Plan) shardRows() int {
	return (p.microbatch() + p.config.Shards - 1) / p.config.Shards
}
