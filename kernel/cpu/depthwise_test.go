package cpu

import (
	"math"
	"math/rand"
	"testing"

	"reprise/kernel"
)

func depthwiseMakers() map[kernel.Operation]maker {
	geometry := func(s source) kernel.ConvShape {
		g := drawGeometry(s, false)
		if s.yes("vectors") {
			g.InChannels = s.between("channels", 8, 40)
		}
		g.OutChannels = g.InChannels
		return g
	}
	return map[kernel.Operation]maker{
		kernel.OpDepthwiseConv2D: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			g := geometry(s)
			in := kernel.DepthwiseConv2D{ConvShape: g, X: l.span(inputs(g)), Weight: l.span(depthwiseWeights(g)), Y: l.span(outputs(g))}
			if s.yes("bias") {
				in.Bias = l.span(g.OutChannels)
			}
			return in, nil
		},
		kernel.OpDepthwiseConv2DGradInput: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			g := geometry(s)
			return kernel.DepthwiseConv2DGradInput{ConvShape: g, DY: l.span(outputs(g)), Weight: l.span(depthwiseWeights(g)), DX: l.span(inputs(g))}, nil
		},
		kernel.OpDepthwiseConv2DGradWeight: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			g := geometry(s)
			return kernel.DepthwiseConv2DGradWeight{ConvShape: g, X: l.span(inputs(g)), DY: l.span(outputs(g)), DWeight: l.span(depthwiseWeights(g))}, nil
		},
	}
}

func depthwiseWeights(g kernel.ConvShape) int { return g.KernelH * g.KernelW * g.InChannels }

func (t twin) depthwise(in kernel.DepthwiseConv2D) {
	each4(in.N, in.OutH, in.OutW, in.InChannels, func(n, oh, ow, c int) {
		var y float32
		if !in.Bias.Empty() {
			y = t.get(in.Bias, c)
		}
		each4(1, 1, in.KernelH, in.KernelW, func(_, _, kh, kw int) {
			x := t.at(in.X, in.ConvShape, n, oh*in.StrideH+kh-in.PadH, ow*in.StrideW+kw-in.PadW, c)
			y = FMA32(x, t.get(in.Weight, (kh*in.KernelW+kw)*in.InChannels+c), y)
		})
		t.set(in.Y, outIndex(in.ConvShape, n, oh, ow, c), y)
	})
}

func (t twin) depthwiseGradInput(in kernel.DepthwiseConv2DGradInput) {
	each4(in.N, in.H, in.W, in.InChannels, func(n, h, w, c int) {
		var dx float32
		each4(1, 1, in.KernelH, in.KernelW, func(_, _, kh, kw int) {
			var dy float32
			for oh := range in.OutH {
				for ow := range in.OutW {
					if oh*in.StrideH+kh-in.PadH == h && ow*in.StrideW+kw-in.PadW == w {
						dy = t.get(in.DY, outIndex(in.ConvShape, n, oh, ow, c))
					}
				}
			}
			dx = FMA32(dy, t.get(in.Weight, (kh*in.KernelW+kw)*in.InChannels+c), dx)
		})
		t.set(in.DX, ((n*in.H+h)*in.W+w)*in.InChannels+c, dx)
	})
}

func (t twin) depthwiseGradWeight(in kernel.DepthwiseConv2DGradWeight) {
	each4(1, in.KernelH, in.KernelW, in.InChannels, func(_, kh, kw, c int) {
		var dw float32
		each4(1, in.N, in.OutH, in.OutW, func(_, n, oh, ow int) {
			x := t.at(in.X, in.ConvShape, n, oh*in.StrideH+kh-in.PadH, ow*in.StrideW+kw-in.PadW, c)
			dw = FMA32(t.get(in.DY, outIndex(in.ConvShape, n, oh, ow, c)), x, dw)
		})
		t.set(in.DWeight, (kh*in.KernelW+kw)*in.InChannels+c, dw)
	})
}

// Each variant's kernel gives the bits of the portable loop and writes nothing
// but its result, at any number of channels.
func TestEveryDepthwiseKernelEqualsItsReferenceLoop(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	variants := append(assemblyVariants(), portableVariant())
	for _, v := range variants {
		if v.level > Detect().Best() {
			t.Logf("%s: not on this machine", v.name)
			continue
		}
		cases := 0
		for channels := 1; channels <= 70; channels++ {
			positions, taps, stride := 1+rng.Intn(3), rng.Intn(11), channels+rng.Intn(3)
			off := make([]int, taps)
			for i := range off {
				off[i] = rng.Intn(50)
			}
			step := rng.Intn(20)
			x, w := normal(rng, 2*step+50+channels, 1), normal(rng, taps*stride+channels, 1)
			start := normal(rng, positions*stride, 1)
			got, intact := gemmGuarded((positions-1)*stride + channels)
			want := append([]float32(nil), got...)
			depthwise(positions, channels, want, start, stride, x, step, off, w, stride)
			v.depthwise(positions, channels, got, start, stride, x, step, off, w, stride)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s, %d positions, %d channels, %d taps: element %d is %g, want %g", v.name, positions, channels, taps, i, got[i], want[i])
				}
			}
			if !intact() {
				t.Fatalf("%s, %d channels: wrote outside", v.name, channels)
			}
			cases++
		}
		t.Logf("%s: %d cases equal", v.name, cases)
	}
}

func TestDepthwiseGradientsAgreeWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(6))
	g := kernel.ConvShape{N: 2, H: 5, W: 4, InChannels: 3, OutH: 3, OutW: 5, OutChannels: 3, KernelH: 3, KernelW: 2, StrideH: 2, StrideW: 1, PadH: 1, PadW: 1}
	x, w, dy := normal(rng, inputs(g), 1), normal(rng, depthwiseWeights(g), 1), normal(rng, outputs(g), 1)
	loss := func(x, w []float64) float64 {
		sum := 0.0
		each4(g.N, g.OutH, g.OutW, g.InChannels, func(n, oh, ow, c int) {
			y := 0.0
			each4(1, 1, g.KernelH, g.KernelW, func(_, _, kh, kw int) {
				h, v := oh*g.StrideH+kh-g.PadH, ow*g.StrideW+kw-g.PadW
				if h >= 0 && h < g.H && v >= 0 && v < g.W {
					y += x[((n*g.H+h)*g.W+v)*g.InChannels+c] * w[(kh*g.KernelW+kw)*g.InChannels+c]
				}
			})
			sum += y * float64(dy[outIndex(g, n, oh, ow, c)])
		})
		return sum
	}
	m := newMachine(t)
	xs, ws, dys, dxs, dws := m.put(x), m.put(w), m.put(dy), m.layout.span(inputs(g)), m.layout.span(depthwiseWeights(g))
	m.run(kernel.DepthwiseConv2DGradInput{ConvShape: g, DY: dys, Weight: ws, DX: dxs}, kernel.DepthwiseConv2DGradWeight{ConvShape: g, X: xs, DY: dys, DWeight: dws})
	x64, w64 := widen(x), widen(w)
	compareGradient(t, m.get(dxs), differences(func(x []float64) float64 { return loss(x, w64) }, x64), 1e-5)
	compareGradient(t, m.get(dws), differences(func(w []float64) float64 { return loss(x64, w) }, w64), 1e-5)
}
