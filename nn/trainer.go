package nn

import (
	"fmt"
	"strconv"

	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

// Trainer trains and evaluates one model on one backend. Between steps its
// memory holds the weights, the optimiser's moments and the step.
//
// It is used by one goroutine at a time. Programs are prepared when a number of
// rows first occurs and kept until Close: at most BatchSize for training and
// EvalBatchSize each for evaluation and prediction. A training run needs two,
// for whole batches and for the last one. All of them share the plan's memory.
// For a number of rows seen before, Step, Evaluate and Predict allocate
// nothing.
type Trainer struct {
	backend kernel.Backend
	plan    *Plan
	memory  kernel.Memory
	updates map[int]kernel.Executable // by the number of gradients that are summed

	gradients   map[int]kernel.Executable // by rows
	evaluations map[int]kernel.Executable
	predictions map[int]kernel.Executable

	step    uint64
	losses  []float32
	correct []float32
	// fault is why the state cannot be used, or nil.
	fault error
}

// Batch is a number of samples, row by row. A model takes either Inputs or
// Tokens, and its objective either Labels or Targets; the others are nil.
type Batch struct {
	Rows int
	// Inputs has Plan.Features values for each row.
	Inputs []float32
	// Tokens has Plan.Features tokens for each row, for a model that begins with
	// an Embedding.
	Tokens []int32
	// Labels has Plan.Labels classes for each row, for cross-entropy.
	Labels []int32
	// Targets has Plan.Outputs values for each row, for mean squared error.
	Targets []float32
	// Weights has a weight for each label of a training step whose plan is Weighted.
	// Evaluations take none.
	Weights []float32
}

// EvalResult is the result of an evaluation.
type EvalResult struct {
	// LossSum is the sum of the losses, in float64 over ascending row and label.
	LossSum float64
	// Losses is the number of losses: one for each label or, with targets, each
	// row.
	Losses int
	// Correct is the number of labels whose logit is the largest (the first one
	// of equal ones).
	Correct int
}

// NewTrainer allocates the plan's memory on the backend. The caller must call
// Load before use and Close at the end.
func NewTrainer(backend kernel.Backend, plan *Plan) (*Trainer, error) {
	memory, err := backend.Allocate(plan.elements)
	if err != nil {
		return nil, fmt.Errorf("allocate %v for the model: %w", plan.memory.Total, err)
	}
	t := &Trainer{
		backend: backend, plan: plan, memory: memory,
		gradients:   make(map[int]kernel.Executable),
		evaluations: make(map[int]kernel.Executable),
		predictions: make(map[int]kernel.Executable),
		updates:     make(map[int]kernel.Executable),
		fault:       ErrNotLoaded,
	}
	rows := max(plan.config.BatchSize, plan.config.EvalBatchSize) * plan.Labels()
	t.losses, t.correct = make([]float32, rows), make([]float32, rows)
	if err := t.prepare(); err != nil {
		memory.Free()
		return nil, err
	}
	return t, nil
}

// prepare zeroes the padding between parameters and selects the kernels of the
// usual programs, so that a missing kernel is found before training.
func (t *Trainer) prepare() error {
	if err := t.clear(); err != nil {
		return err
	}
	if t.plan.config.PredictionOnly {
		return nil
	}
	if _, err := t.updater(t.plan.config.BatchSize); err != nil {
		return err
	}
	if _, err := t.executable(t.gradients, t.plan.config.BatchSize, (*Plan).gradientProgram); err != nil {
		return err
	}
	_, err := t.executable(t.evaluations, t.plan.config.EvalBatchSize, (*Plan).evaluationProgram)
	return err
}

// clear zeroes parameters, moments and gradients, including the padding between
// parameters, which the update reads.
func (t *Trainer) clear() error {
	zeros := make([]float32, min(t.plan.input.offset, 1<<16))
	for at := 0; at < t.plan.input.offset; at += len(zeros) {
		n := min(len(zeros), t.plan.input.offset-at)
		if err := t.memory.Write(kernel.Span{Offset: at, Len: n}, zeros[:n]); err != nil {
			return fmt.Errorf("clear the model's memory: %w", err)
		}
	}
	return nil
}

// executable returns the program for a number of rows.
func (t *Trainer) executable(of map[int]kernel.Executable, rows int, build func(*Plan, int) *kernel.Program) (kernel.Executable, error) {
	if e, ok := of[rows]; ok {
		return e, nil
	}
	prog := build(t.plan, rows)
	e, err := t.backend.Prepare(prog, t.memory)
	if err != nil {
		return nil, fmt.Errorf("prepare the %s: %w", prog.Name, err)
	}
	of[rows] = e
	return e, nil
}

// updater returns the update that follows a gradient of a number of rows.
func (t *Trainer) updater(rows int) (kernel.Executable, error) {
	parts := 1
	if t.plan.averaged < t.plan.block { // otherwise the update is the same for all
		parts = t.plan.parts(rows)
	}
	return t.executable(t.updates, parts, (*Plan).updateProgram)
}

// Close frees the device memory. It is idempotent; every other method returns
// ErrClosed afterwards.
func (t *Trainer) Close() {
	t.fault = ErrClosed
	if t.memory != nil {
		t.memory.Free()
		t.memory = nil
	}
}

// Load sets the state. It fails with a *ParameterError, and changes nothing,
// unless the parameters and moments are those of the plan and finite. It makes
// a Trainer usable again after a failed step.
func (t *Trainer) Load(s State) error {
	if t.memory == nil {
		return ErrClosed
	}
	if err := checkTensors("parameters", t.plan.graph.specs, s.Parameters); err != nil {
		return err
	}
	if err := checkTensors("moments", t.plan.moments, s.Moments); err != nil {
		return err
	}
	for _, list := range [][]tensor.Tensor{s.Parameters, s.Moments} {
		for _, p := range list {
			if i := firstNonFinite(p.Data); i >= 0 {
				return &ParameterError{Name: p.Name, Got: fmt.Sprintf("%v at element %d", p.Data[i], i), Want: "finite values",
					Fix: "use a checkpoint from before the training diverged"}
			}
		}
	}
	t.fault = ErrNotLoaded // in case a write fails partway
	for i, p := range s.Parameters {
		if err := t.memory.Write(t.plan.params[i], p.Data); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	for i, span := range t.plan.momentSpans() {
		m := s.Moments[i]
		if err := t.memory.Write(span, m.Data); err != nil {
			return fmt.Errorf("load %s: %w", m.Name, err)
		}
	}
	t.step, t.fault = s.Step, nil
	return nil
}

// State returns a copy of the state, which the caller owns. It fails with a
// *NumericalError if a value is not finite, so that no such state is ever
// saved, and after a failed step with that step's error.
func (t *Trainer) State() (State, error) {
	if t.fault != nil {
		return State{}, t.fault
	}
	s := State{Step: t.step}
	var err error
	if s.Parameters, err = t.read(t.plan.graph.specs, t.plan.params); err != nil {
		return State{}, err
	}
	if s.Moments, err = t.read(t.plan.moments, t.plan.momentSpans()); err != nil {
		return State{}, err
	}
	return s, nil
}

// read copies tensors from the device and refuses values that are not finite.
func (t *Trainer) read(specs []ParameterSpec, spans []kernel.Span) ([]tensor.Tensor, error) {
	var out []tensor.Tensor
	for i, spec := range specs {
		data := make([]float32, elements(spec.Shape))
		if err := t.memory.Read(data, spans[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", spec.Name, err)
		}
		if at := firstNonFinite(data); at >= 0 {
			t.fault = &NumericalError{Step: t.step, Layer: spec.Layer, What: describe(spec.Name, data[at], at)}
			return nil, t.fault
		}
		out = append(out, tensor.Tensor{Name: spec.Name, Shape: spec.Shape.Clone(), Data: data})
	}
	return out, nil
}

// Step takes one optimiser step on a batch of at most BatchSize rows and returns
// its mean loss before the step; a smaller batch is treated like any other. The
// state's step grows by one.
//
// It fails with a *LabelError, *TokenError or *fault.FieldError for invalid input,
// which leaves the state unchanged. It fails with a *NumericalError if the loss
// is not finite: no update was made, but the trainer refuses to continue until
// Load. It fails with the backend's error if that fails; the state remains
// usable unless the update had begun.
func (t *Trainer) Step(batch Batch, rate float32) (loss float32, err error) {
	if t.fault != nil {
		return 0, t.fault
	}
	if !(rate >= 0) || rate-rate != 0 {
		return 0, &fault.FieldError{Field: "learning_rate", Value: formatFloat(rate), Problem: "must be a finite number of at least 0", Fix: "check the schedule"}
	}
	if t.plan.config.PredictionOnly {
		return 0, ErrPredictionOnly
	}
	if batch.Rows > t.plan.config.BatchSize {
		return 0, &fault.FieldError{Field: "rows", Value: strconv.Itoa(batch.Rows), Problem: fmt.Sprintf("must be at most the batch size of %d", t.plan.config.BatchSize), Fix: "cut the batch"}
	}
	if err := t.checkBatch(batch, true); err != nil {
		return 0, err
	}
	if err := t.writeWeights(batch); err != nil {
		return 0, err
	}
	exec, err := t.executable(t.gradients, batch.Rows, (*Plan).gradientProgram)
	if err != nil {
		return 0, err
	}
	update, err := t.updater(batch.Rows)
	if err != nil {
		return 0, err
	}
	scalars := t.scalars(t.step+1, rate)
	losses, err := t.run(exec, scalars, batch)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, l := range losses {
		sum += float64(l)
	}
	loss = float32(sum / float64(len(losses)))
	if loss-loss != 0 {
		t.fault = t.diagnose(t.step+1, batch, losses, true)
		return loss, t.fault
	}
	// Until the update has returned, and if it panics, it is unknown what it
	// has written.
	t.fault = ErrNotLoaded
	if err := update.Run(scalars); err != nil {
		return 0, fmt.Errorf("update at step %d: %w", scalars.Step, err)
	}
	t.fault = nil
	t.step++
	return loss, nil
}

func (t *Trainer) scalars(step uint64, rate float32) kernel.Scalars {
	return kernel.Scalars{Step: step, Seed: t.plan.config.Seed, LearningRate: rate}
}

// run writes a batch, runs a program that ends in losses, and reads them.
func (t *Trainer) run(exec kernel.Executable, s kernel.Scalars, b Batch) ([]float32, error) {
	if err := t.write(b); err != nil {
		return nil, err
	}
	if err := exec.Run(s); err != nil {
		return nil, err
	}
	span := t.plan.losses.span(0, b.Rows)
	losses := t.losses[:span.Len]
	return losses, t.memory.Read(losses, span)
}

// writeWeights copies the weights of a training step to the device.
func (t *Trainer) writeWeights(b Batch) error {
	span := kernel.Span{}
	if t.plan.config.Weighted {
		span = t.plan.weights.span(0, b.Rows)
	}
	if len(b.Weights) != span.Len {
		return &fault.FieldError{Field: "weights", Value: fmt.Sprintf("%d values", len(b.Weights)), Problem: fmt.Sprintf("must be %d, one for each label of a plan with weights", span.Len), Fix: "give a slice of that length"}
	}
	if span.Len == 0 {
		return nil
	}
	return t.memory.Write(span, b.Weights)
}

// write copies a batch to the device.
func (t *Trainer) write(b Batch) error {
	input, labels := t.plan.input.span(0, b.Rows), t.plan.labels.span(0, b.Rows)
	var err error
	if len(b.Tokens) > 0 {
		err = t.memory.WriteInts(input, b.Tokens)
	} else {
		err = t.memory.Write(input, b.Inputs)
	}
	switch {
	case err != nil:
		return err
	case len(b.Labels) > 0:
		return t.memory.WriteInts(labels, b.Labels)
	case len(b.Targets) > 0:
		return t.memory.Write(labels, b.Targets)
	}
	return nil
}

// part returns the rows [first, first+rows) of a batch.
func (t *Trainer) part(b Batch, first, rows int) Batch {
	labels := t.plan.labels.perRow
	features := t.plan.Features()
	out := Batch{Rows: rows}
	if len(b.Inputs) > 0 {
		out.Inputs = b.Inputs[first*features : (first+rows)*features]
	}
	if len(b.Tokens) > 0 {
		out.Tokens = b.Tokens[first*features : (first+rows)*features]
	}
	if len(b.Labels) > 0 {
		out.Labels = b.Labels[first*labels : (first+rows)*labels]
	}
	if len(b.Targets) > 0 {
		out.Targets = b.Targets[first*labels : (first+rows)*labels]
	}
	return out
}

// Evaluate returns the loss and accuracy of any number of rows, without
// touching the state. The result does not depend on how it cuts them into
// batches. Errors are those of Step; a *NumericalError leaves the state usable.
func (t *Trainer) Evaluate(batch Batch) (EvalResult, error) {
	var result EvalResult
	if err := t.EvaluateInto(batch, &result); err != nil {
		return EvalResult{}, err
	}
	return result, nil
}

// EvaluateInto adds the rows of a batch to a result, so that rows that are given
// in several batches have the same result as all of them in one. After an error
// the result is of no use.
func (t *Trainer) EvaluateInto(batch Batch, result *EvalResult) error {
	if t.fault != nil {
		return t.fault
	}
	if err := t.checkBatch(batch, true); err != nil {
		return err
	}
	for first := 0; first < batch.Rows; {
		part := t.part(batch, first, min(t.plan.config.EvalBatchSize, batch.Rows-first))
		if err := t.evaluate(part, result); err != nil {
			return err
		}
		first += part.Rows
	}
	return nil
}

// evaluate adds the results for at most EvalBatchSize rows.
func (t *Trainer) evaluate(b Batch, result *EvalResult) error {
	exec, err := t.executable(t.evaluations, b.Rows, (*Plan).evaluationProgram)
	if err != nil {
		return err
	}
	losses, err := t.run(exec, t.scalars(t.step, 0), b)
	if err != nil {
		return err
	}
	correct := t.correct[:len(losses)]
	if len(b.Labels) > 0 {
		if err := t.memory.Read(correct, t.plan.correct.span(0, b.Rows)); err != nil {
			return err
		}
	}
	result.Losses += len(losses)
	for i, loss := range losses {
		if loss-loss != 0 {
			return t.diagnose(t.step, b, losses, false)
		}
		result.LossSum += float64(loss)
		if len(b.Labels) > 0 && correct[i] != 0 {
			result.Correct++
		}
	}
	return nil
}

// Predict writes the model's outputs, Plan.Outputs for each row of the batch,
// whose labels or targets it ignores. A row's outputs have the same bits
// whatever the other rows are.
func (t *Trainer) Predict(batch Batch, outputs []float32) error {
	if t.fault != nil {
		return t.fault
	}
	batch.Labels, batch.Targets = nil, nil
	if err := t.checkBatch(batch, false); err != nil {
		return err
	}
	each := t.plan.Outputs()
	if len(outputs) != batch.Rows*each {
		return &fault.FieldError{Field: "outputs", Value: fmt.Sprintf("%d values", len(outputs)), Problem: fmt.Sprintf("must be %d rows of %d", batch.Rows, each), Fix: "give a slice of that length"}
	}
	for first := 0; first < batch.Rows; {
		part := t.part(batch, first, min(t.plan.config.EvalBatchSize, batch.Rows-first))
		exec, err := t.executable(t.predictions, part.Rows, (*Plan).predictionProgram)
		if err != nil {
			return err
		}
		if err := t.write(part); err != nil {
			return err
		}
		if err := exec.Run(t.scalars(t.step, 0)); err != nil {
			return err
		}
		if err := t.memory.Read(outputs[first*each:(first+part.Rows)*each], t.plan.outputs(part.Rows)); err != nil {
			return err
		}
		first += part.Rows
	}
	return nil
}

// checkBatch fails unless the batch has the kind and the size that the model
// takes, every token is in the vocabulary and every label is a class.
func (t *Trainer) checkBatch(b Batch, labelled bool) error {
	if b.Rows < 1 {
		return &fault.FieldError{Field: "rows", Value: strconv.Itoa(b.Rows), Problem: "must be at least 1", Fix: "leave out empty batches"}
	}
	features := t.plan.Features()
	vocabulary, tokens := t.plan.arch.tokenInput()
	sizes := []struct {
		field     string
		got, want int
	}{
		{"inputs", len(b.Inputs), features}, {"tokens", len(b.Tokens), features},
		{"labels", len(b.Labels), t.plan.labels.perRow}, {"targets", len(b.Targets), t.plan.labels.perRow},
	}
	wanted := [...]bool{!tokens, tokens, labelled && t.plan.config.Objective == CrossEntropy, labelled && t.plan.config.Objective == MeanSquaredError}
	for i, s := range sizes {
		want := s.want
		if !wanted[i] {
			want = 0
		}
		if s.got != b.Rows*want {
			return &fault.FieldError{Field: s.field, Value: fmt.Sprintf("%d values", s.got), Problem: fmt.Sprintf("must be %d rows of %d", b.Rows, want), Fix: "give each sample what the model takes"}
		}
	}
	for i, token := range b.Tokens {
		if token < 0 || int(token) >= vocabulary {
			return &TokenError{Row: i / features, Token: token, Vocabulary: vocabulary}
		}
	}
	classes := t.plan.Classes()
	for i, l := range b.Labels {
		if l < 0 || int(l) >= classes {
			return &LabelError{Row: i / t.plan.Labels(), Label: l, Classes: classes}
		}
	}
	return nil
}
