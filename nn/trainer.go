package nn

import (
	"fmt"
	"strconv"

	"reprise/kernel"
	"reprise/tensor"
)

// Trainer trains and evaluates one model on one backend. Between steps its
// memory holds the weights, the optimiser's moments and the step.
//
// It is used by one goroutine at a time. Programs are prepared when a number of
// rows first occurs and kept until Close, at most BatchSize of them for training
// and EvalBatchSize each for evaluation and prediction; a training run needs
// two, for whole batches and for the last one. All of them share the plan's
// memory. For a number of rows seen before, Step, Evaluate and Predict allocate
// nothing.
type Trainer struct {
	backend kernel.Backend
	plan    *Plan
	memory  kernel.Memory
	update  kernel.Executable

	gradients   map[int]kernel.Executable // by rows
	evaluations map[int]kernel.Executable
	predictions map[int]kernel.Executable
	traces      map[int]kernel.Executable // for one row only

	step    uint64
	losses  []float32
	correct []float32
	// fault is why the state cannot be used, nil where it can.
	fault error
}

// EvalResult is what an evaluation found.
type EvalResult struct {
	// LossSum is the sum of the rows' losses, in float64 over ascending row.
	LossSum float64
	// Correct is the number of rows whose largest logit (the first one of equal
	// ones) is the label's.
	Correct int
	Rows    int
}

// NewTrainer allocates the plan's memory on the backend. Load must follow, and
// in the end Close.
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
		traces:      make(map[int]kernel.Executable),
		fault:       ErrNotLoaded,
	}
	rows := max(plan.config.BatchSize, plan.config.EvalBatchSize)
	t.losses, t.correct = make([]float32, rows), make([]float32, rows)
	if err := t.prepare(); err != nil {
		memory.Free()
		return nil, err
	}
	return t, nil
}

// prepare zeroes what lies between parameters and selects the kernels of the
// usual programs, so that a device without one is found before training.
func (t *Trainer) prepare() error {
	if err := t.clear(); err != nil {
		return err
	}
	var err error
	if t.update, err = t.backend.Prepare(t.plan.updateProgram(), t.memory); err != nil {
		return err
	}
	if _, err = t.executable(t.gradients, t.plan.config.BatchSize, (*Plan).gradientProgram); err != nil {
		return err
	}
	_, err = t.executable(t.evaluations, t.plan.config.EvalBatchSize, (*Plan).evaluationProgram)
	return err
}

// clear zeroes parameters, moments and gradients, and with them the elements
// between two parameters, which the update reads.
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
	if err := checkTensors("parameters", t.plan.specs, s.Parameters); err != nil {
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
	t.fault = ErrNotLoaded // should a write fail half-way
	for i, p := range s.Parameters {
		if err := t.memory.Write(t.plan.parameterSpan(t.plan.specs[i]), p.Data); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	for i, m := range s.Moments {
		if err := t.memory.Write(t.plan.momentSpan(i), m.Data); err != nil {
			return fmt.Errorf("load %s: %w", m.Name, err)
		}
	}
	t.step, t.fault = s.Step, nil
	return nil
}

// State returns a copy of the state, which the caller owns. It fails with a
// *NumericalError where a value is not finite, so that no such state is ever
// written down, and after a failed step with that step's error.
func (t *Trainer) State() (State, error) {
	if t.fault != nil {
		return State{}, t.fault
	}
	s := State{Step: t.step}
	var err error
	if s.Parameters, err = t.read(t.plan.specs, func(i int) kernel.Span { return t.plan.parameterSpan(t.plan.specs[i]) }); err != nil {
		return State{}, err
	}
	if s.Moments, err = t.read(t.plan.moments, t.plan.momentSpan); err != nil {
		return State{}, err
	}
	return s, nil
}

// read copies tensors from the device and refuses what is not finite.
func (t *Trainer) read(specs []ParameterSpec, span func(int) kernel.Span) ([]tensor.Tensor, error) {
	var out []tensor.Tensor
	for i, spec := range specs {
		data := make([]float32, elements(spec.Shape))
		if err := t.memory.Read(data, span(i)); err != nil {
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

// Step takes one optimiser step on a batch and returns its mean loss before
// the step. x holds len(labels) rows of Plan.Features values each, at most
// BatchSize rows; a smaller batch is a batch like any other. The state's step
// grows by one.
//
// It fails with a *LabelError or *FieldError for input that cannot be used;
// the state is as before then. It fails with a *NumericalError where the loss
// is not finite: no update was made, but the trainer refuses to go on from
// there until Load. It fails with the backend's error where that fails; the
// state remains usable unless the update had begun.
func (t *Trainer) Step(x []float32, labels []int32, rate float32) (loss float32, err error) {
	rows := len(labels)
	if t.fault != nil {
		return 0, t.fault
	}
	if !(rate >= 0) || rate-rate != 0 {
		return 0, &FieldError{Field: "learning_rate", Value: formatFloat(rate), Want: "a finite number of at least 0", Fix: "check the schedule"}
	}
	if rows > t.plan.config.BatchSize {
		return 0, &FieldError{Field: "rows", Value: strconv.Itoa(rows), Want: fmt.Sprintf("at most the batch size of %d", t.plan.config.BatchSize), Fix: "cut the batch"}
	}
	if err := t.checkInput(x, rows, labels); err != nil {
		return 0, err
	}
	exec, err := t.executable(t.gradients, rows, (*Plan).gradientProgram)
	if err != nil {
		return 0, err
	}
	scalars := kernel.Scalars{Step: t.step + 1, LearningRate: rate}
	if err := t.run(exec, scalars, x, labels); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, l := range t.losses[:rows] {
		sum += float64(l)
	}
	loss = float32(sum / float64(rows))
	if loss-loss != 0 {
		t.fault = t.diagnose(t.step+1, x, rows)
		return loss, t.fault
	}
	// Until the update has returned, and should it panic, nobody knows what it
	// has written.
	t.fault = ErrNotLoaded
	if err := t.update.Run(scalars); err != nil {
		return 0, fmt.Errorf("update at step %d: %w", scalars.Step, err)
	}
	t.fault = nil
	t.step++
	return loss, nil
}

// run writes a batch, runs a program that ends in losses, and reads them.
func (t *Trainer) run(exec kernel.Executable, s kernel.Scalars, x []float32, labels []int32) error {
	rows := len(labels)
	if err := t.memory.Write(t.plan.input.span(0, rows), x); err != nil {
		return err
	}
	if err := t.memory.WriteInts(kernel.Span{Offset: t.plan.labels, Len: rows}, labels); err != nil {
		return err
	}
	if err := exec.Run(s); err != nil {
		return err
	}
	return t.memory.Read(t.losses[:rows], kernel.Span{Offset: t.plan.losses, Len: rows})
}

// Evaluate returns loss and accuracy of any number of rows, without touching
// the state. The result does not depend on how it cuts them into batches.
// Errors are those of Step; a *NumericalError leaves the state usable.
func (t *Trainer) Evaluate(x []float32, labels []int32) (EvalResult, error) {
	if t.fault != nil {
		return EvalResult{}, t.fault
	}
	if err := t.checkInput(x, len(labels), labels); err != nil {
		return EvalResult{}, err
	}
	result := EvalResult{Rows: len(labels)}
	features := t.plan.Features()
	for first := 0; first < len(labels); {
		rows := min(t.plan.config.EvalBatchSize, len(labels)-first)
		part := x[first*features : (first+rows)*features]
		exec, err := t.executable(t.evaluations, rows, (*Plan).evaluationProgram)
		if err != nil {
			return EvalResult{}, err
		}
		if err := t.run(exec, kernel.Scalars{Step: t.step}, part, labels[first:first+rows]); err != nil {
			return EvalResult{}, err
		}
		if err := t.memory.Read(t.correct[:rows], kernel.Span{Offset: t.plan.correct, Len: rows}); err != nil {
			return EvalResult{}, err
		}
		for i, loss := range t.losses[:rows] {
			if loss-loss != 0 {
				return EvalResult{}, t.diagnose(t.step, part, rows)
			}
			result.LossSum += float64(loss)
			if t.correct[i] != 0 {
				result.Correct++
			}
		}
		first += rows
	}
	return result, nil
}

// Predict writes the logits [rows, classes] of x [rows, features]. A row's
// logits have the same bits in any company.
func (t *Trainer) Predict(x []float32, rows int, logits []float32) error {
	if t.fault != nil {
		return t.fault
	}
	if err := t.checkInput(x, rows, nil); err != nil {
		return err
	}
	features, classes := t.plan.Features(), t.plan.Classes()
	if len(logits) != rows*classes {
		return &FieldError{Field: "logits", Value: fmt.Sprintf("%d values", len(logits)), Want: fmt.Sprintf("%d rows of %d", rows, classes), Fix: "give a slice of that length"}
	}
	for first := 0; first < rows; {
		n := min(t.plan.config.EvalBatchSize, rows-first)
		exec, err := t.executable(t.predictions, n, (*Plan).predictionProgram)
		if err != nil {
			return err
		}
		if err := t.memory.Write(t.plan.input.span(0, n), x[first*features:(first+n)*features]); err != nil {
			return err
		}
		if err := exec.Run(kernel.Scalars{Step: t.step}); err != nil {
			return err
		}
		if err := t.memory.Read(logits[first*classes:(first+n)*classes], t.plan.logits(n)); err != nil {
			return err
		}
		first += n
	}
	return nil
}

// checkInput fails unless x has rows of the plan's size and every label, if
// there are any, names a class.
func (t *Trainer) checkInput(x []float32, rows int, labels []int32) error {
	if rows < 1 {
		return &FieldError{Field: "rows", Value: strconv.Itoa(rows), Want: "at least 1", Fix: "leave out empty batches"}
	}
	if features := t.plan.Features(); len(x)/features != rows || len(x)%features != 0 {
		return &FieldError{Field: "x", Value: fmt.Sprintf("%d values", len(x)), Want: fmt.Sprintf("%d rows of %d", rows, features), Fix: "give one sample for each label"}
	}
	classes := t.plan.Classes()
	for i, l := range labels {
		if l < 0 || int(l) >= classes {
			return &LabelError{Row: i, Label: l, Classes: classes}
		}
	}
	return nil
}
