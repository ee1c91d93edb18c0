package cpu

import (
	"errors"
	"math"
	"math/rand"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"reprise/kernel"
	"reprise/tensor"
)

// band is the number of elements on either side of an operand that nothing may
// touch.
const band = 19

// layout places operands in a memory, with guard bands between them.
type layout struct{ elements int }

func newLayout() *layout { return &layout{elements: band} }

func (l *layout) span(n int) kernel.Span {
	s := kernel.Span{Offset: l.elements, Len: n}
	l.elements += n + band
	return s
}

// trial is one instruction with the memory it starts from.
type trial struct {
	instruction kernel.Instruction
	scalars     kernel.Scalars
	memory      []uint32
}

// fill puts random numbers everywhere, about zero and of mixed magnitude; wild
// adds zeros of both signs, subnormals, infinities and NaNs.
func fill(rng *rand.Rand, memory []uint32, wild bool) {
	special := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, math.SmallestNonzeroFloat32, -0x1p-130, math.MaxFloat32,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	}
	for i := range memory {
		v := float32(rng.NormFloat64())
		switch {
		case wild && rng.Intn(12) == 0:
			v = special[rng.Intn(len(special))]
		case rng.Intn(16) == 0:
			v = 0
		}
		memory[i] = math.Float32bits(v)
	}
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// run executes the trial on the backend and returns the memory afterwards.
func (tr *trial) run(t fataler, b *Backend) []uint32 {
	t.Helper()
	memory, err := b.Allocate(len(tr.memory))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Free()
	words := make([]int32, len(tr.memory))
	for i, u := range tr.memory {
		words[i] = int32(u)
	}
	all := kernel.Span{Len: len(words)}
	if err := memory.WriteInts(all, words); err != nil {
		t.Fatal(err)
	}
	program := &kernel.Program{Name: "trial", Instructions: []kernel.Instruction{tr.instruction}, Elements: len(words)}
	executable, err := b.Prepare(program, memory)
	if err != nil {
		t.Fatal(err)
	}
	if err := executable.Run(tr.scalars); err != nil {
		t.Fatal(err)
	}
	if err := memory.(*arena).ReadInts(words, all); err != nil {
		t.Fatal(err)
	}
	result := make([]uint32, len(words))
	for i, v := range words {
		result[i] = uint32(v)
	}
	return result
}

// sameBits treats all NaNs as equal: which NaN results is not part of the
// contract.
func sameBits(a, b uint32) bool {
	return a == b || a|signBit > negativeInf && b|signBit > negativeInf
}

// check runs the trial everywhere and compares the whole memory with the twin's.
func (tr *trial) check(t fataler, backends []*Backend) {
	t.Helper()
	want := append(twin(nil), tr.memory...)
	want.run(tr.instruction, tr.scalars)
	for _, b := range backends {
		got := tr.run(t, b)
		for i := range want {
			if !sameBits(got[i], want[i]) {
				t.Fatalf("%s, %d threads, %#v:\nelement %d is %x (%g), the twin has %x (%g)", b.Level(), b.Threads(), tr.instruction,
					i, got[i], math.Float32frombits(got[i]), want[i], math.Float32frombits(want[i]))
			}
		}
	}
}

// allBackends returns a backend for every level of this machine and several
// numbers of threads.
func allBackends(t testing.TB) []*Backend {
	t.Helper()
	var backends []*Backend
	for _, level := range Detect().Levels() {
		numbers := []int{1, 2, 3, 8}
		switch {
		case testing.Short() && level == LevelNone:
			numbers = []int{3}
		case testing.Short():
			numbers = []int{1, 3}
		}
		for _, threads := range numbers {
			backends = append(backends, newTestBackend(t, Config{Threads: threads, Features: level}))
		}
	}
	return backends
}

func newTestBackend(t testing.TB, config Config) *Backend {
	t.Helper()
	b, err := NewBackend(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// source draws the numbers that make a trial.
type source interface {
	between(name string, lo, hi int) int
	yes(name string) bool
}

type rapidSource struct{ *rapid.T }

func (s rapidSource) between(name string, lo, hi int) int {
	return rapid.IntRange(lo, hi).Draw(s.T, name)
}
func (s rapidSource) yes(name string) bool { return rapid.Bool().Draw(s.T, name) }

// drawGeometry draws a valid geometry; pooling asks for less padding than window.
func drawGeometry(s source, pooling bool) kernel.ConvShape {
	axis := func(name string) (size, out, window, stride, pad int) {
		window = s.between("kernel"+name, 1, 4)
		pad = s.between("pad"+name, 0, 3)
		if pooling {
			pad = min(pad, window-1)
		}
		stride = s.between("stride"+name, 1, 3)
		size = max(s.between("size"+name, 1, 9), window-2*pad)
		return size, (size+2*pad-window)/stride + 1, window, stride, pad
	}
	var g kernel.ConvShape
	g.N = s.between("n", 1, 3)
	g.H, g.OutH, g.KernelH, g.StrideH, g.PadH = axis("H")
	g.W, g.OutW, g.KernelW, g.StrideW, g.PadW = axis("W")
	g.InChannels = s.between("in", 1, 9)
	if pooling && s.yes("vectors") {
		g.InChannels = 8 * (1 + g.InChannels%3)
	}
	g.OutChannels = g.InChannels
	if !pooling {
		g.OutChannels = s.between("out", 1, 19)
	}
	return g
}

func inputs(g kernel.ConvShape) int  { return g.N * g.H * g.W * g.InChannels }
func outputs(g kernel.ConvShape) int { return g.N * g.OutH * g.OutW * g.OutChannels }
func weights(g kernel.ConvShape) int { return g.OutChannels * g.KernelH * g.KernelW * g.InChannels }

// makers draw an instruction of each operation, lay it out, and may store the
// integers that it needs.
var makers = withMakers(layerMakers(), depthwiseMakers(), batchMatMulMakers(), map[kernel.Operation]maker{
	kernel.OpMatMul: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		m, n, k := s.between("m", 1, 35), s.between("n", 1, 70), s.between("k", 1, 40)
		in := kernel.MatMul{M: m, N: n, K: k, TransA: s.yes("transA"), TransB: s.yes("transB")}
		in.A, in.B, in.C = l.span(m*k), l.span(k*n), l.span(m*n)
		switch s.between("start", 0, 2) {
		case 1:
			in.Bias = l.span(n)
		case 2:
			in.Accumulate = true
		}
		return in, nil
	},
	kernel.OpConv2D: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, false)
		in := kernel.Conv2D{ConvShape: g, X: l.span(inputs(g)), Weight: l.span(weights(g)), Y: l.span(outputs(g))}
		if s.yes("bias") {
			in.Bias = l.span(g.OutChannels)
		}
		return in, nil
	},
	kernel.OpConv2DGradInput: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, false)
		return kernel.Conv2DGradInput{ConvShape: g, DY: l.span(outputs(g)), Weight: l.span(weights(g)), DX: l.span(inputs(g))}, nil
	},
	kernel.OpConv2DGradWeight: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, false)
		return kernel.Conv2DGradWeight{ConvShape: g, X: l.span(inputs(g)), DY: l.span(outputs(g)), DWeight: l.span(weights(g))}, nil
	},
	kernel.OpMaxPool2D: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, true)
		return kernel.MaxPool2D{ConvShape: g, X: l.span(inputs(g)), Y: l.span(outputs(g)), Index: l.span(outputs(g))}, nil
	},
	kernel.OpMaxPool2DGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, true)
		in := kernel.MaxPool2DGrad{ConvShape: g, DY: l.span(outputs(g)), Index: l.span(outputs(g)), DX: l.span(inputs(g))}
		return in, func(rng *rand.Rand, t twin) {
			image := g.H * g.W * g.InChannels
			for i := range in.Index.Len {
				t.setInt(in.Index, i, int32(i/(in.Index.Len/g.N)*image+rng.Intn(image)))
			}
		}
	},
	kernel.OpAvgPool2D: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, true)
		return kernel.AvgPool2D{ConvShape: g, X: l.span(inputs(g)), Y: l.span(outputs(g))}, nil
	},
	kernel.OpAvgPool2DGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		g := drawGeometry(s, true)
		return kernel.AvgPool2DGrad{ConvShape: g, DY: l.span(outputs(g)), DX: l.span(inputs(g))}, nil
	},
	kernel.OpActivation: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		n := s.between("n", 1, 40)
		in := kernel.Activation{Kind: activationKinds[s.between("kind", 0, 4)], X: l.span(n)}
		if in.Y = in.X; in.Kind != kernel.ReLU || s.yes("separate") {
			in.Y = l.span(n)
		}
		return in, nil
	},
	kernel.OpActivationGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		n := s.between("n", 1, 40)
		in := kernel.ActivationGrad{Kind: activationKinds[s.between("kind", 0, 4)], X: l.span(n), Y: l.span(n), DY: l.span(n)}
		if in.DX = in.DY; s.yes("separate") {
			in.DX = l.span(n)
		}
		return in, nil
	},
	kernel.OpSumRows: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		m, n := s.between("m", 1, 20), s.between("n", 1, 35)
		return kernel.SumRows{M: m, N: n, X: l.span(m * n), Out: l.span(n)}, nil
	},
	kernel.OpSoftmaxCrossEntropy: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		m, n := s.between("m", 1, 9), s.between("n", 1, 40)
		in := kernel.SoftmaxCrossEntropy{M: m, N: n, Scale: 1 / float32(m), Logits: l.span(m * n), Labels: l.span(m), Loss: l.span(m), Correct: l.span(m)}
		in.Smoothing = float32(s.between("smoothing", 0, 2)) * 0.15
		switch s.between("dlogits", 0, 2) {
		case 1:
			in.DLogits = in.Logits
		case 2:
			in.DLogits = l.span(m * n)
		}
		return in, func(rng *rand.Rand, t twin) {
			for i := range m {
				t.setInt(in.Labels, i, int32(rng.Intn(n)))
			}
		}
	},
	kernel.OpTreeSum: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		parts := s.between("parts", 1, 17)
		return kernel.TreeSum{Parts: parts, X: l.span(parts * s.between("n", 1, 20))}, nil
	},
	kernel.OpSGD: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		n := s.between("n", 1, 40)
		in := kernel.SGD{Weight: l.span(n), Grad: l.span(n)}
		if s.yes("momentum") {
			in.Momentum, in.Velocity, in.Nesterov = 0.9, l.span(n), s.yes("nesterov")
		}
		if s.yes("decay") {
			in.WeightDecay = 1e-2
		}
		return in, nil
	},
	kernel.OpAdam: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
		n := s.between("n", 1, 40)
		in := kernel.Adam{Weight: l.span(n), Grad: l.span(n), M: l.span(n), V: l.span(n), Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
		if s.yes("decay") {
			in.WeightDecay, in.Decoupled = 1e-2, s.yes("decoupled")
		}
		return in, func(_ *rand.Rand, t twin) {
			for i := range n { // a mean of squares is not negative
				t[in.V.Offset+i] &^= signBit
			}
		}
	},
})

var activationKinds = []kernel.ActivationKind{kernel.ReLU, kernel.GELU, kernel.SiLU, kernel.Tanh, kernel.Sigmoid}

// newTrial makes a trial of an instruction.
func newTrial(s source, seed int64, wild bool, make1 func(source, *layout) (kernel.Instruction, func(*rand.Rand, twin))) *trial {
	l := newLayout()
	instruction, prepare := make1(s, l)
	rng := rand.New(rand.NewSource(seed))
	tr := &trial{instruction: instruction, memory: make([]uint32, l.elements)}
	fill(rng, tr.memory, wild)
	if prepare != nil {
		prepare(rng, tr.memory)
	}
	tr.scalars = kernel.Scalars{Step: uint64(s.between("step", 1, 5)), LearningRate: 0.01}
	return tr
}

func TestEveryInstructionGivesTheBitsOfItsTwin(t *testing.T) {
	backends := allBackends(t)
	for op, make1 := range makers {
		t.Run(string(op), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				seed := rapid.Int64().Draw(rt, "seed")
				newTrial(rapidSource{rt}, seed, rapid.Bool().Draw(rt, "wild"), make1).check(rt, backends)
			})
		})
	}
}

// largeSource draws sizes near the upper end of the requested range, so that a
// step splits into many parts. It is not random.
type largeSource struct{ scale, choice int }

func (s largeSource) between(name string, lo, hi int) int {
	switch name {
	case "kind", "start", "dlogits", "inPlace":
		return lo + s.choice%(hi-lo+1)
	case "step":
		return 3
	case "n", "m", "sizeH", "sizeW":
		return lo + s.scale
	}
	return lo + (hi-lo)*3/4
}

func (s largeSource) yes(string) bool { return s.choice%2 == 1 }

// Sizes at which every kernel splits its work must give the twin's bits on any
// number of threads.
func TestLargeInstructionsGiveTheBitsOfTheirTwins(t *testing.T) {
	scales := map[kernel.Operation]int{
		kernel.OpDepthwiseConv2D: 9, kernel.OpDepthwiseConv2DGradInput: 5, kernel.OpDepthwiseConv2DGradWeight: 9,
		kernel.OpMatMul: 130, kernel.OpBatchMatMul: 40, kernel.OpConv2D: 6, kernel.OpConv2DGradInput: 5, kernel.OpConv2DGradWeight: 6,
		kernel.OpMaxPool2D: 22, kernel.OpMaxPool2DGrad: 22, kernel.OpAvgPool2D: 22, kernel.OpAvgPool2DGrad: 22,
		kernel.OpSumRows: 258, kernel.OpSoftmaxCrossEntropy: 131, kernel.OpTreeSum: 9001,
		kernel.OpAddRow: 258, kernel.OpEmbedding: 300, kernel.OpEmbeddingGrad: 200,
		kernel.OpCopyColumns: 300, kernel.OpTokenColumns: 300, kernel.OpMeanTokens: 300, kernel.OpMeanTokensGrad: 300,
		kernel.OpMeanSquaredError: 131, kernel.OpAbsoluteError: 131, kernel.OpReweightLoss: 131,
		kernel.OpLayerNorm: 131, kernel.OpLayerNormGrad: 131, kernel.OpRMSNorm: 131, kernel.OpRMSNormGrad: 131,
		kernel.OpBatchNorm: 131, kernel.OpBatchNormGrad: 131, kernel.OpBatchNormApply: 131,
	}
	backends := allBackends(t)
	for op, make1 := range makers {
		scale, ok := scales[op]
		if !ok {
			scale = 3*cheapGrain + 5
		}
		t.Run(string(op), func(t *testing.T) {
			for choice := range 5 {
				newTrial(largeSource{scale, choice}, int64(choice), false, make1).check(t, backends)
			}
		})
	}
}

// allOperations is a program with an instruction of every operation.
func allOperations(scale int) (*kernel.Program, []uint32) {
	l := newLayout()
	program := &kernel.Program{Name: "all"}
	var prepare []func(*rand.Rand, twin)
	for _, make1 := range makers {
		in, prep := make1(largeSource{scale, 1}, l)
		program.Instructions = append(program.Instructions, in)
		if prep != nil {
			prepare = append(prepare, prep)
		}
	}
	program.Elements = l.elements
	memory := make([]uint32, l.elements)
	rng := rand.New(rand.NewSource(7))
	fill(rng, memory, false)
	for _, p := range prepare {
		p(rng, memory)
	}
	return program, memory
}

// load allocates a memory with the given content.
func load(t testing.TB, b *Backend, words []uint32) *arena {
	t.Helper()
	memory, err := b.Allocate(len(words))
	if err != nil {
		t.Fatal(err)
	}
	ints := make([]int32, len(words))
	for i, u := range words {
		ints[i] = int32(u)
	}
	if err := memory.WriteInts(kernel.Span{Len: len(ints)}, ints); err != nil {
		t.Fatal(err)
	}
	return memory.(*arena)
}

func TestRunAllocatesNothing(t *testing.T) {
	program, words := allOperations(20)
	for _, threads := range []int{1, 3} {
		backend := newTestBackend(t, Config{Threads: threads})
		executable, err := backend.Prepare(program, load(t, backend, words))
		if err != nil {
			t.Fatal(err)
		}
		step := uint64(0)
		allocs := testing.AllocsPerRun(20, func() {
			step++
			if err := executable.Run(kernel.Scalars{Step: step, LearningRate: 1e-3}); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%d threads: a run allocates %g times, want 0", threads, allocs)
		}
	}
}

// A run that starts at step n after an interruption gives the bits of one that
// counted up to n.
func TestResumedOptimiserGivesTheSameBits(t *testing.T) {
	program, words := allOperations(20)
	backend := newTestBackend(t, Config{Threads: 1})
	read := func(m *arena) []int32 {
		out := make([]int32, m.Len())
		if err := m.ReadInts(out, kernel.Span{Len: len(out)}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	run := func(e kernel.Executable, step uint64) {
		if err := e.Run(kernel.Scalars{Step: step, LearningRate: 1e-3}); err != nil {
			t.Fatal(err)
		}
	}
	memory := load(t, backend, words)
	executable, err := backend.Prepare(program, memory)
	if err != nil {
		t.Fatal(err)
	}
	for step := uint64(1); step <= 7; step++ {
		run(executable, step)
	}
	resumed := load(t, backend, make([]uint32, memory.Len()))
	if err := resumed.WriteInts(kernel.Span{Len: memory.Len()}, read(memory)); err != nil {
		t.Fatal(err)
	}
	run(executable, 8)
	fresh, err := backend.Prepare(program, resumed)
	if err != nil {
		t.Fatal(err)
	}
	run(fresh, 8)
	want, got := read(memory), read(resumed)
	for i := range want {
		if !sameBits(uint32(got[i]), uint32(want[i])) {
			t.Fatalf("element %d is %x after a resume, %x without", i, got[i], want[i])
		}
	}
}

func TestMemoryIsAlignedZeroedAndChecked(t *testing.T) {
	backend := newTestBackend(t, Config{Threads: 1})
	for _, n := range []int{0, 1, 15, 16, 17, 1000} {
		memory, err := backend.Allocate(n)
		if err != nil {
			t.Fatal(err)
		}
		m := memory.(*arena)
		if p := uintptr(unsafe.Pointer(unsafe.SliceData(m.floats))); n > 0 && p%alignment != 0 {
			t.Errorf("a memory of %d elements starts at %x, want a multiple of %d", n, p, alignment)
		}
		got := make([]float32, n)
		if err := m.Read(got, kernel.Span{Len: n}); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if math.Float32bits(v) != 0 {
				t.Errorf("element %d of a new memory is %g, want 0", i, v)
			}
		}
		for _, bad := range []kernel.Span{{Offset: -1, Len: 1}, {Offset: n, Len: 1}, {Offset: math.MaxInt, Len: 1}} {
			if err := m.Write(bad, make([]float32, 1)); !errors.Is(err, ErrSpan) {
				t.Errorf("write of %v to %d elements: %v, want ErrSpan", bad, n, err)
			}
		}
		if err := m.Read(make([]float32, 2), kernel.Span{Len: 1}); !errors.Is(err, ErrSpan) {
			t.Errorf("read of 1 element into 2: %v, want ErrSpan", err)
		}
	}
	for _, n := range []int{-1, maxElements + 1} {
		if _, err := backend.Allocate(n); !errors.Is(err, ErrMemory) {
			t.Errorf("allocate %d: %v, want ErrMemory", n, err)
		}
	}
}

// Integers that look like signalling NaNs must not be changed to quiet ones.
func TestIntegersKeepTheirBits(t *testing.T) {
	backend := newTestBackend(t, Config{Threads: 1})
	want := []int32{0x7f800001, -0x007fffff, 0x7fffffff, -1, math.MinInt32, 0, 1}
	memory := load(t, backend, make([]uint32, len(want)))
	got := make([]int32, len(want))
	span := kernel.Span{Len: len(want)}
	if err := errors.Join(memory.WriteInts(span, want), memory.ReadInts(got, span)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %x, wrote %x", got, want)
	}
}

func TestUseAfterFreeOrCloseIsRefused(t *testing.T) {
	program, words := allOperations(3)
	backend := newTestBackend(t, Config{Threads: 2})
	memory := load(t, backend, words)
	executable, err := backend.Prepare(program, memory)
	if err != nil {
		t.Fatal(err)
	}
	memory.Free()
	memory.Free()
	one := kernel.Span{Len: 1}
	for name, err := range map[string]error{
		"Run": executable.Run(kernel.Scalars{Step: 1}), "Write": memory.Write(one, []float32{1}),
		"WriteInts": memory.WriteInts(one, []int32{1}), "Read": memory.Read([]float32{1}, one),
		"Prepare": second(backend.Prepare(program, memory)),
	} {
		if !errors.Is(err, ErrFreed) {
			t.Errorf("%s after Free: %v, want ErrFreed", name, err)
		}
	}

	memory = load(t, backend, words)
	if executable, err = backend.Prepare(program, memory); err != nil {
		t.Fatal(err)
	}
	backend.Close()
	backend.Close()
	for name, err := range map[string]error{
		"Run": executable.Run(kernel.Scalars{Step: 1}), "Allocate": second(backend.Allocate(1)),
		"Prepare": second(backend.Prepare(program, memory)),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

type foreign struct{ kernel.Instruction }

func TestPrepareRefusesUnsupportedPrograms(t *testing.T) {
	backend := newTestBackend(t, Config{Threads: 1})
	other := newTestBackend(t, Config{Threads: 1})
	memory := load(t, backend, make([]uint32, 100))
	good := kernel.Activation{Kind: kernel.ReLU, X: kernel.Span{Len: 4}, Y: kernel.Span{Len: 4}}
	program := func(elements int, in kernel.Instruction) *kernel.Program {
		return &kernel.Program{Name: "p", Instructions: []kernel.Instruction{in}, Elements: elements}
	}
	if _, err := backend.Prepare(program(101, good), memory); !errors.Is(err, ErrMemory) {
		t.Errorf("a program larger than the memory: %v, want ErrMemory", err)
	}
	if _, err := other.Prepare(program(100, good), memory); !errors.Is(err, ErrMemory) {
		t.Errorf("another backend's memory: %v, want ErrMemory", err)
	}
	if _, err := backend.Prepare(program(100, &good), memory); !errors.Is(err, kernel.ErrNoKernel) {
		t.Errorf("a pointer to an instruction: %v, want ErrNoKernel", err)
	}
	if _, err := backend.Prepare(program(100, foreign{good}), memory); err == nil {
		t.Error("an instruction of another package was prepared")
	}
	bad := good
	bad.Kind = "step"
	var invalid *kernel.InstructionError
	if _, err := backend.Prepare(program(100, bad), memory); !errors.As(err, &invalid) || invalid.Field != "Kind" {
		t.Errorf("an invalid instruction: %v, want an InstructionError for Kind", err)
	}
}

func TestRunRefusesBadLabelsAndStepZero(t *testing.T) {
	backend := newTestBackend(t, Config{Threads: 1})
	memory := load(t, backend, make([]uint32, 100))
	span := func(from, n int) kernel.Span { return kernel.Span{Offset: from, Len: n} }
	prepare := func(in kernel.Instruction) kernel.Executable {
		e, err := backend.Prepare(&kernel.Program{Instructions: []kernel.Instruction{in}, Elements: 100}, memory)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	softmax := prepare(kernel.SoftmaxCrossEntropy{M: 3, N: 4, Logits: span(0, 12), Labels: span(12, 3), Loss: span(15, 3), Correct: span(18, 3)})
	for _, label := range []int32{-1, 4, math.MaxInt32, math.MinInt32} {
		if err := memory.WriteInts(span(12, 3), []int32{3, label, 0}); err != nil {
			t.Fatal(err)
		}
		var bad *LabelError
		if err := softmax.Run(kernel.Scalars{}); !errors.As(err, &bad) || *bad != (LabelError{Row: 1, Label: label, Classes: 4}) {
			t.Errorf("label %d of 4 classes: %v", label, err)
		}
	}
	for _, in := range []kernel.Instruction{
		kernel.SGD{Weight: span(0, 4), Grad: span(4, 4)},
		kernel.Adam{Weight: span(0, 4), Grad: span(4, 4), M: span(8, 4), V: span(12, 4)},
	} {
		if err := prepare(in).Run(kernel.Scalars{}); !errors.Is(err, ErrStep) {
			t.Errorf("%s at step 0: %v, want ErrStep", in.Operation(), err)
		}
	}
}

// A bug in a kernel, here an index that points outside its image, panics in the
// caller, and the backend continues to work.
func TestKernelPanicReachesTheCaller(t *testing.T) {
	for _, threads := range []int{1, 3} {
		backend := newTestBackend(t, Config{Threads: threads})
		g := kernel.ConvShape{N: 64, H: 16, W: 16, InChannels: 1, OutH: 16, OutW: 16, OutChannels: 1, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
		l := newLayout()
		in := kernel.MaxPool2DGrad{ConvShape: g, DY: l.span(outputs(g)), Index: l.span(outputs(g)), DX: l.span(inputs(g))}
		memory := load(t, backend, make([]uint32, l.elements))
		executable, err := backend.Prepare(&kernel.Program{Instructions: []kernel.Instruction{in}, Elements: l.elements}, memory)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d threads: no panic", threads)
					}
				}()
				_ = executable.Run(kernel.Scalars{}) // every image but the first has indices into the first
			}()
		}
		backend.Close() // would wait for ever for a run that did not end
	}
}

func TestTableNamesTheKernelsInUse(t *testing.T) {
	for _, backend := range allBackends(t) {
		table := backend.Kernels()
		for op := range makers {
			k, err := table.KernelForOperation(op, tensor.Float32, backend.Level())
			if err != nil {
				t.Fatal(err)
			}
			if s := backend.Selected(op); s.Name != k.Name || s.Operation != op {
				t.Errorf("selected for %s is %+v, the table has %+v", op, s, k)
			}
			if portable, err := table.KernelForOperation(op, tensor.Float32, LevelNone); err != nil || portable.Name != string(op)+".portable" {
				t.Errorf("without features %s is done by %q (%v)", op, portable.Name, err)
			}
		}
		variant := map[Level]string{LevelNone: "portable", LevelAVX2: "avx2", LevelAVX512: "avx512"}[backend.Level()]
		if backend.elements.name != variant {
			t.Errorf("at level %s the element kernels are %s", backend.Level(), backend.elements.name)
		}
		for _, op := range append(elementOperations(), kernel.OpMatMul) {
			if got, want := backend.Selected(op).Name, string(op)+"."+variant; got != want {
				t.Errorf("at level %s %s is done by %s, want %s", backend.Level(), op, got, want)
			}
		}
		if backend.Degraded() != nil {
			t.Errorf("degraded: %v", backend.Degraded())
		}
		if got := backend.Selected("fft"); got.Name != "" {
			t.Errorf("selected for an unknown operation: %+v", got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, config := range []Config{{Threads: -1}, {Threads: MaxThreads + 1}, {Features: 99}} {
		if b, err := NewBackend(config); err == nil {
			b.Close()
			t.Errorf("%+v was accepted", config)
		}
	}
}
