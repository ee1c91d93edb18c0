package cpu

import (
	"math"
	"math/rand"
	"testing"

	"reprise/kernel"
)

// Geometries that make the convolutions cut their sums into blocks, read output
// gradients in place, and place images once for all parts or one by one.
func TestConvolutionsAcrossBlocksGiveTheBitsOfTheirTwins(t *testing.T) {
	same := func(n, h, w, in, out, k int) kernel.ConvShape {
		return kernel.ConvShape{N: n, H: h, W: w, InChannels: in, OutH: h, OutW: w, OutChannels: out,
			KernelH: k, KernelW: k, StrideH: 1, StrideW: 1, PadH: k / 2, PadW: k / 2}
	}
	backends := allBackends(t)
	deep := backends[0].gemm.variant.tile.depth
	for name, g := range map[string]kernel.ConvShape{
		"deep patches":           same(1, 4, 3, 128, 20, 3),
		"deep gradient patches":  same(2, 3, 4, 20, 128, 3),
		"many rows, whole lanes": same(2, 15, 64, 48, 32, 1),
		"many rows, part lanes":  same(2, 16, 64, 49, 20, 1),
		"many images":            same(33, 5, 5, 3, 33, 3),
	} {
		t.Run(name, func(t *testing.T) {
			forward := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2D{ConvShape: g, X: l.span(inputs(g)), Weight: l.span(weights(g)), Bias: l.span(g.OutChannels), Y: l.span(outputs(g))}, nil
			}
			gradInput := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2DGradInput{ConvShape: g, DY: l.span(outputs(g)), Weight: l.span(weights(g)), DX: l.span(inputs(g))}, nil
			}
			gradWeight := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2DGradWeight{ConvShape: g, X: l.span(inputs(g)), DY: l.span(outputs(g)), DWeight: l.span(weights(g))}, nil
			}
			for i, make1 := range []maker{forward, gradInput, gradWeight} {
				newTrial(largeSource{}, int64(i), false, make1).check(t, backends)
			}
		})
	}
	// The premises of the names above.
	deepest := patches(same(1, 4, 3, 128, 20, 3))
	if depth := deepest.depth(); depth <= deep || depth <= 1024 {
		t.Errorf("patches of depth %d fit one block of %d", depth, deep)
	}
	if rows := 2 * 15; rows <= stripElements/(64*48+64*32) {
		t.Errorf("%d rows of outputs fit one block", rows)
	}
}

// Where products underflow, a chain may end at -0 without the zeros between
// strided outputs and at +0 with them; where a weight is not finite, those zeros
// make NaNs.
func TestStridedInputGradientsIncludeTheZerosBetweenOutputs(t *testing.T) {
	g := kernel.ConvShape{N: 9, H: 7, W: 10, InChannels: 18, OutH: 4, OutW: 4, OutChannels: 3,
		KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 3, PadH: 1, PadW: 1}
	backends := allBackends(t)
	for name, weight := range map[string]func(i int) float32{
		"underflow": func(i int) float32 { return float32(1-2*(i/7%2)) * 0x1p-100 },
		"infinite weight": func(i int) float32 {
			if i == 50 {
				return float32(math.Inf(-1))
			}
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			var in kernel.Conv2DGradInput
			tr := newTrial(largeSource{}, 1, false, func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				in = kernel.Conv2DGradInput{ConvShape: g, DY: l.span(outputs(g)), Weight: l.span(weights(g)), DX: l.span(inputs(g))}
				return in, func(_ *rand.Rand, memory twin) {
					for i := range in.Weight.Len {
						memory.set(in.Weight, i, weight(i))
					}
					for i := range in.DY.Len {
						memory.set(in.DY, i, memory.get(in.DY, i)*0x1p-90)
					}
				}
			})
			tr.check(t, backends)
			// The premise: some chains end differently without the zeros.
			want := append(twin(nil), tr.memory...)
			want.run(in, tr.scalars)
			differ := 0
			for i := range in.DX.Len {
				w := i / g.InChannels % g.W
				h := i / g.InChannels / g.W % g.H
				var short float32
				each4(1, g.KernelH, g.KernelW, g.OutChannels, func(_, kh, kw, o int) {
					oh, ow := h+g.PadH-kh, w+g.PadW-kw
					if oh < 0 || ow < 0 || oh%g.StrideH != 0 || ow%g.StrideW != 0 || oh/g.StrideH >= g.OutH || ow/g.StrideW >= g.OutW {
						return
					}
					dy := want.get(in.DY, outIndex(g, i/(g.H*g.W*g.InChannels), oh/g.StrideH, ow/g.StrideW, o))
					short = FMA32(dy, want.get(in.Weight, weightIndex(g, o, kh, kw, i%g.InChannels)), short)
				})
				if !sameBits(math.Float32bits(short), math.Float32bits(want.get(in.DX, i))) {
					differ++
				}
			}
			if differ == 0 {
				t.Error("no chain needs the zeros")
			}
		})
	}
}

func TestHasNegativeZeroFindsItAnywhere(t *testing.T) {
	variants := append(assemblyVariants(), portableVariant())
	for _, v := range variants {
		if v.level > Detect().Best() {
			t.Logf("%s: not on this machine", v.name)
			continue
		}
		for n := range 70 {
			x := make([]float32, n+2)
			x[n+1] = float32(math.Copysign(0, -1)) // a guard
			x[0] = x[n+1]
			for i := range n {
				x[1+i] = float32(i-5) * 0x1p-149
			}
			if v.hasNegativeZero(x[1 : n+1]) {
				t.Fatalf("%s finds a -0 among %d other numbers", v.name, n)
			}
			for i := range n {
				was := x[1+i]
				x[1+i] = float32(math.Copysign(0, -1))
				if !v.hasNegativeZero(x[1 : n+1]) {
					t.Fatalf("%s misses the -0 at %d of %d", v.name, i, n)
				}
				x[1+i] = was
			}
		}
	}
}
