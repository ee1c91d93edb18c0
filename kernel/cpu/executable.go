package cpu

import (
	"fmt"

	"reprise/fault"
	"reprise/kernel"
)

// ErrStep is returned if a program with an optimiser runs with Scalars.Step 0:
// steps count from 1.
var ErrStep = fault.New(fault.Internal, "optimiser step 0, steps count from 1")

// step is one instruction with its operands bound. It allocates nothing.
type step func(kernel.Scalars) error

// executable is a program bound to an arena. It implements kernel.Executable and
// belongs to the goroutine that its arena belongs to.
type executable struct {
	backend *Backend
	memory  *arena
	name    string
	steps   []step
}

func newExecutable(b *Backend, program *kernel.Program, m *arena) (*executable, error) {
	e := &executable{backend: b, memory: m, name: program.Name, steps: make([]step, 0, len(program.Instructions))}
	binder := binder{arena: m, pool: b.pool, gemm: b.gemm, variant: &b.gemm.variant, elements: b.elements}
	// A first pass determines how much scratch memory the steps share.
	if err := binder.each(program, func(int, step) {}); err != nil {
		return nil, err
	}
	binder.shared = make([]float32, binder.needed)
	if err := binder.each(program, e.append); err != nil {
		return nil, err
	}
	m.executables = append(m.executables, e)
	return e, nil
}

// append adds the step for a number of instructions, so that steps and
// instructions have the same indices.
func (e *executable) append(instructions int, s step) {
	for range instructions - 1 {
		e.steps = append(e.steps, func(kernel.Scalars) error { return nil })
	}
	e.steps = append(e.steps, s)
}

// Run executes the instructions in order. It allocates nothing. It fails with
// ErrFreed, with ErrClosed, with ErrStep, with a *LabelError or with a
// *TokenError; writes of the instructions before the failing one are kept. A
// panic in a kernel, which is a bug, propagates out of Run.
func (e *executable) Run(scalars kernel.Scalars) error { return e.RunUntil(scalars, nil) }

// RunUntil implements kernel.Stoppable.
func (e *executable) RunUntil(scalars kernel.Scalars, stop func() error) error {
	if e.memory.freed {
		return ErrFreed
	}
	e.backend.running.RLock()
	defer e.backend.running.RUnlock()
	if e.backend.closed {
		return ErrClosed
	}
	for i, s := range e.steps {
		if stop != nil {
			if err := stop(); err != nil {
				return err
			}
		}
		if err := s(scalars); err != nil {
			return fmt.Errorf("cpu: program %q, instruction %d: %w", e.name, i, err)
		}
	}
	return nil
}

// binder turns instructions into steps.
type binder struct {
	*arena
	pool     *Pool
	gemm     *blockedGemm
	variant  *matMulVariant
	tiles    []tileScratch // of each worker
	elements elementKernels
	shared   []float32
	needed   int // of shared

	// The instruction being bound calls these for ranges of elements: before it
	// first reads them, and after it has written their final values
	// (fusion.go).
	before, after func(lo, hi int)
	afterGrain    int // of after, 0 if there is nothing to do
}

// each binds the program and calls do with each step and its number of
// instructions.
func (b *binder) each(program *kernel.Program, do func(instructions int, s step)) error {
	for i := 0; i < len(program.Instructions); {
		n, s := b.next(program.Instructions[i:])
		if s == nil {
			return fmt.Errorf("cpu: program %q, instruction %d of type %T: %w", program.Name, i, program.Instructions[i], kernel.ErrNoKernel)
		}
		do(n, s)
		i += n
	}
	return nil
}

// scratch returns n elements that the steps of a program share: a step may find
// the values of another one there.
func (b *binder) scratch(n int) []float32 {
	b.needed = max(b.needed, n)
	return b.shared[:min(n, len(b.shared))]
}

// scratch2 returns two parts of the scratch memory.
func (b *binder) scratch2(n, m int) (x, y []float32) {
	x = b.scratch(n + m)
	n = min(n, len(x))
	return x[:n:n], x[n:]
}

// tileScratch returns what the workers need around tile kernels; the steps of a
// program share it.
func (b *binder) tileScratch() []tileScratch {
	if b.tiles == nil {
		b.tiles = make([]tileScratch, b.pool.Threads())
	}
	return b.tiles
}

// bind returns nil for an instruction it does not know, the pointwise ones of
// fusion.go included.
func (b *binder) bind(instruction kernel.Instruction) step {
	switch in := instruction.(type) {
	case kernel.MatMul:
		return b.matMul(in)
	case kernel.BatchMatMul:
		return b.batchMatMul(in)
	case kernel.Conv2D:
		return b.conv2D(in)
	case kernel.Conv2DGradInput:
		return b.conv2DGradInput(in)
	case kernel.Conv2DGradWeight:
		return b.conv2DGradWeight(in)
	case kernel.DepthwiseConv2D:
		return b.depthwiseConv2D(in)
	case kernel.DepthwiseConv2DGradInput:
		return b.depthwiseConv2DGradInput(in)
	case kernel.DepthwiseConv2DGradWeight:
		return b.depthwiseConv2DGradWeight(in)
	case kernel.MaxPool2D:
		return b.maxPool(in)
	case kernel.MaxPool2DGrad:
		return b.maxPoolGrad(in)
	case kernel.AvgPool2D:
		return b.avgPool(in)
	case kernel.AvgPool2DGrad:
		return b.avgPoolGrad(in)
	case kernel.SumRows:
		return b.sumRows(in)
	case kernel.SoftmaxCrossEntropy:
		return b.softmaxCrossEntropy(in)
	case kernel.TreeSum:
		return b.treeSum(in)
	case kernel.Attention:
		return b.attention(in)
	case kernel.AttentionGrad:
		return b.attentionGrad(in)
	case kernel.SGD:
		return b.sgd(in)
	case kernel.Adam:
		return b.adam(in)
	case kernel.AddRow:
		return b.addRow(in)
	case kernel.Scale:
		return b.scale(in)
	case kernel.Dropout:
		return b.dropOut(in)
	case kernel.Embedding:
		return b.embedding(in)
	case kernel.EmbeddingGrad:
		return b.embeddingGrad(in)
	case kernel.CopyColumns:
		return b.copyColumns(in)
	case kernel.TokenColumns:
		return b.tokenColumns(in)
	case kernel.MeanTokens:
		return b.meanTokens(in)
	case kernel.MeanTokensGrad:
		return b.meanTokensGrad(in)
	case kernel.RunningAverage:
		return b.runningAverage(in)
	case kernel.ClipNorm:
		return b.clipNorm(in)
	case kernel.LayerNorm:
		return b.layerNorm(in)
	case kernel.LayerNormGrad:
		return b.layerNormGrad(in)
	case kernel.RMSNorm:
		return b.rmsNorm(in)
	case kernel.RMSNormGrad:
		return b.rmsNormGrad(in)
	case kernel.BatchNorm:
		return b.batchNorm(in)
	case kernel.BatchNormGrad:
		return b.batchNormGrad(in)
	case kernel.BatchNormApply:
		return b.batchNormApply(in)
	case kernel.MeanSquaredError:
		return b.meanSquaredError(in)
	case kernel.AbsoluteError:
		return b.absoluteError(in)
	case kernel.ReweightLoss:
		return b.reweightLoss(in)
	case kernel.StoreBF16:
		return b.storeBF16(in)
	case kernel.LoadBF16:
		return b.loadBF16(in)
	}
	return nil
}

// ranges returns a function that calls do over [0,n) in ranges of about grain
// items, on the pool if there is more than one range. It allocates now, so that
// the returned function does not.
func (b *binder) ranges(n, grain int, do func(lo, hi int)) func() {
	parts := ceilDiv(n, grain)
	if parts <= 1 || b.pool.Threads() == 1 {
		return func() { do(0, n) }
	}
	part := func(i int) { do(i*grain, min((i+1)*grain, n)) }
	return func() { b.pool.Run(parts, part) }
}

// always turns a function that needs no scalars and cannot fail into a step.
func always(run func()) step {
	return func(kernel.Scalars) error {
		run()
		return nil
	}
}
