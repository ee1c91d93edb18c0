package cpu

import (
	"math/rand"
	"testing"

	"reprise/kernel"
)

// Fused instructions must leave the memory as the separate instructions do.
func TestFusedInstructionsGiveTheBitsOfTheirTwins(t *testing.T) {
	const m, n = 3*kernel.BatchBlock + 5, 24 // rows and columns
	image := kernel.ConvShape{N: 9, H: 20, W: 18, InChannels: 8, OutH: 20, OutW: 18, OutChannels: 8,
		KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
	window := kernel.ConvShape{N: 9, H: 20, W: 18, InChannels: 8, OutH: 10, OutW: 9, OutChannels: 8,
		KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2}
	relu := func(x, y kernel.Span) kernel.Instruction {
		return kernel.Activation{Kind: kernel.ReLU, X: x, Y: y}
	}
	reluGrad := func(y, dy, dx kernel.Span) kernel.Instruction {
		return kernel.ActivationGrad{Kind: kernel.ReLU, Y: y, DY: dy, DX: dx}
	}
	batchNorm := func(l *layout, x, y kernel.Span) kernel.Instruction {
		return kernel.BatchNorm{X: x, Y: y, Gain: l.span(n), Bias: l.span(n), Mean: l.span(n), InvStd: l.span(n),
			BatchMean: l.span(n), BatchVar: l.span(n), M: m, N: n, Epsilon: 1e-5}
	}
	batchNormGrad := func(l *layout, x, dy, dx kernel.Span) kernel.Instruction {
		return kernel.BatchNormGrad{X: x, Gain: l.span(n), Mean: l.span(n), InvStd: l.span(n),
			DY: dy, DX: dx, DGain: l.span(n), DBias: l.span(n), M: m, N: n}
	}
	matMul := func(l *layout, in kernel.MatMul, bias bool) kernel.MatMul {
		in.A, in.B = l.span(in.M*in.K), l.span(in.K*in.N)
		if bias {
			in.Bias = l.span(in.N)
		}
		return in
	}
	backends := allBackends(t)
	for name, c := range map[string]struct {
		steps int // that do something
		list  func(l *layout) []kernel.Instruction
	}{
		"normalise, add, activate": {1, func(l *layout) []kernel.Instruction {
			x, y, z := l.span(m*n), l.span(m*n), l.span(m*n)
			return []kernel.Instruction{batchNorm(l, x, y), kernel.Add{A: z, B: y, Out: y}, relu(y, y)}
		}},
		"normalise, activate into the input": {1, func(l *layout) []kernel.Instruction {
			x, y := l.span(m*n), l.span(m*n)
			return []kernel.Instruction{batchNorm(l, x, y), relu(y, x)}
		}},
		"normalise, activate elsewhere": {2, func(l *layout) []kernel.Instruction {
			x, y, z := l.span(m*n), l.span(m*n), l.span(m*n/2)
			return []kernel.Instruction{batchNorm(l, x, y), relu(z, z)}
		}},
		"add, derive, gradient of the normalisation": {1, func(l *layout) []kernel.Instruction {
			x, y, dy, z := l.span(m*n), l.span(m*n), l.span(m*n), l.span(m*n)
			return []kernel.Instruction{kernel.Add{A: dy, B: z, Out: dy}, reluGrad(y, dy, dy), batchNormGrad(l, x, dy, z)}
		}},
		"an input of the gradient that lies across the sum": {2, func(l *layout) []kernel.Instruction {
			all, z, dy := l.span(m*n+8), l.span(m*n), l.span(m*n)
			return []kernel.Instruction{kernel.Add{A: z, B: z, Out: all.Slice(0, m*n)}, batchNormGrad(l, all.Slice(8, m*n), dy, dy)}
		}},
		"overlapping sums": {2, func(l *layout) []kernel.Instruction {
			all, z := l.span(1<<16+8), l.span(1<<16)
			return []kernel.Instruction{kernel.Add{A: z, B: z, Out: all.Slice(8, 1<<16)}, kernel.Add{A: z, B: all.Slice(0, 1<<16), Out: z}}
		}},
		"convolve, activate, add": {1, func(l *layout) []kernel.Instruction {
			x, y, z := l.span(inputs(image)), l.span(outputs(image)), l.span(outputs(image))
			return []kernel.Instruction{kernel.Conv2D{ConvShape: image, X: x, Weight: l.span(weights(image)), Bias: l.span(image.OutChannels), Y: y},
				relu(y, y), kernel.Add{A: y, B: z, Out: z}}
		}},
		"convolve, activate into the input": {2, func(l *layout) []kernel.Instruction {
			x, y := l.span(inputs(image)), l.span(outputs(image))
			return []kernel.Instruction{kernel.Conv2D{ConvShape: image, X: x, Weight: l.span(weights(image)), Bias: l.span(image.OutChannels), Y: y}, relu(y, x)}
		}},
		"multiply, activate in place": {1, func(l *layout) []kernel.Instruction {
			c := l.span(130 * 200)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 130, N: 200, K: 64, TransB: true, C: c}, true), relu(c, c)}
		}},
		"multiply in blocks of k, activate elsewhere, add": {1, func(l *layout) []kernel.Instruction {
			c, y, z := l.span(37*75), l.span(37*75), l.span(37*75)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 37, N: 75, K: 2100, C: c}, true),
				kernel.Activation{Kind: kernel.GELU, X: c, Y: y}, kernel.Add{A: y, B: z, Out: z}}
		}},
		"multiply one row, activate": {1, func(l *layout) []kernel.Instruction {
			c, y := l.span(517), l.span(517)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 1, N: 517, K: 33, C: c}, true),
				kernel.Activation{Kind: kernel.SiLU, X: c, Y: y}}
		}},
		"multiply many rows, activate": {1, func(l *layout) []kernel.Instruction {
			c := l.span(2500 * 66)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 2500, N: 66, K: 3, C: c}, false),
				kernel.Activation{Kind: kernel.Tanh, X: c, Y: l.span(2500 * 66)}, kernel.Activation{Kind: kernel.Sigmoid, X: c, Y: l.span(2500 * 66)}}
		}},
		"accumulate a transposed product, derive": {1, func(l *layout) []kernel.Instruction {
			c, y := l.span(65*63), l.span(65*63)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 65, N: 63, K: 70, TransA: true, C: c, Accumulate: true}, false), reluGrad(y, c, c)}
		}},
		"multiply, activate into an operand": {2, func(l *layout) []kernel.Instruction {
			c := l.span(64 * 64)
			product := matMul(l, kernel.MatMul{M: 64, N: 64, K: 64, C: c}, true)
			return []kernel.Instruction{product, relu(c, product.A)}
		}},
		"multiply, activate half": {2, func(l *layout) []kernel.Instruction {
			c := l.span(64 * 64)
			return []kernel.Instruction{matMul(l, kernel.MatMul{M: 64, N: 64, K: 64, C: c}, true), relu(c.Slice(0, 2048), c.Slice(0, 2048))}
		}},
		"multiply a batch, activate": {1, func(l *layout) []kernel.Instruction {
			in := batchMatMul(l, kernel.BatchMatMul{Batch: 6, M: 65, N: 63, K: 40, TransB: true}, 0, false)
			return []kernel.Instruction{in, kernel.Activation{Kind: kernel.GELU, X: in.C.Span, Y: l.span(in.C.Len)}}
		}},
		"multiply a batch into columns, activate": {2, func(l *layout) []kernel.Instruction {
			in := batchMatMul(l, kernel.BatchMatMul{Batch: 6, M: 65, N: 63, K: 40}, 0, true)
			return []kernel.Instruction{in, relu(in.C.Span, in.C.Span)}
		}},
		"pool, derive": {1, func(l *layout) []kernel.Instruction {
			dy, dx, y := l.span(outputs(window)), l.span(inputs(window)), l.span(inputs(window))
			return []kernel.Instruction{kernel.MaxPool2DGrad{ConvShape: window, DY: dy, Index: l.span(outputs(window)), DX: dx}, reluGrad(y, dx, dx)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLayout()
			list := c.list(l)
			memory := make([]uint32, l.elements)
			fill(rand.New(rand.NewSource(1)), memory, false)
			for _, in := range list {
				if p, ok := in.(kernel.MaxPool2DGrad); ok {
					for i := range p.Index.Len {
						memory[p.Index.Offset+i] = uint32(i / outputsOfOne(p.ConvShape) * p.H * p.W * p.InChannels)
					}
				}
			}
			want := append(twin(nil), memory...)
			for _, in := range list {
				want.run(in, kernel.Scalars{})
			}
			for _, b := range backends {
				steps := 0
				arena := load(t, b, memory)
				program := &kernel.Program{Instructions: list, Elements: len(memory)}
				bound := binder{arena: arena, pool: b.pool, gemm: b.gemm, variant: &b.gemm.variant, elements: b.elements}
				if err := bound.each(program, func(int, step) { steps++ }); err != nil {
					t.Fatal(err)
				}
				if steps != c.steps {
					t.Errorf("%s, %d threads: %d steps, want %d", b.Level(), b.Threads(), steps, c.steps)
				}
				executable, err := b.Prepare(program, arena)
				if err != nil {
					t.Fatal(err)
				}
				if err := executable.Run(kernel.Scalars{}); err != nil {
					t.Fatal(err)
				}
				got := make([]int32, len(memory))
				if err := arena.ReadInts(got, kernel.Span{Len: len(got)}); err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if !sameBits(uint32(got[i]), want[i]) {
						t.Fatalf("%s, %d threads: element %d is %x, the twin has %x", b.Level(), b.Threads(), i, uint32(got[i]), want[i])
					}
				}
			}
		})
	}
}

func outputsOfOne(g kernel.ConvShape) int { return g.OutH * g.OutW * g.OutChannels }
