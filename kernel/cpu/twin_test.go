package cpu

import (
	"math"

	"reprise/kernel"
)

// twin executes instructions by the plainest loops that their documentation
// describes, one element at a time over bit patterns. Everything else in the
// package must give its bits.
type twin []uint32

func (t twin) get(s kernel.Span, i int) float32 {
	if i < 0 || i >= s.Len {
		panic("twin: outside the span")
	}
	return math.Float32frombits(t[s.Offset+i])
}

func (t twin) set(s kernel.Span, i int, v float32) { t.setInt(s, i, int32(math.Float32bits(v))) }

func (t twin) getInt(s kernel.Span, i int) int32 { return int32(math.Float32bits(t.get(s, i))) }

func (t twin) setInt(s kernel.Span, i int, v int32) {
	if i < 0 || i >= s.Len {
		panic("twin: outside the span")
	}
	t[s.Offset+i] = uint32(v)
}

func (t twin) run(instruction kernel.Instruction, s kernel.Scalars) {
	switch in := instruction.(type) {
	case kernel.MatMul:
		t.matMul(in)
	case kernel.BatchMatMul:
		t.batchMatMul(in)
	case kernel.Conv2D:
		t.conv2D(in)
	case kernel.Conv2DGradInput:
		t.conv2DGradInput(in)
	case kernel.DepthwiseConv2D:
		t.depthwise(in)
	case kernel.DepthwiseConv2DGradInput:
		t.depthwiseGradInput(in)
	case kernel.DepthwiseConv2DGradWeight:
		t.depthwiseGradWeight(in)
	case kernel.Conv2DGradWeight:
		t.conv2DGradWeight(in)
	case kernel.MaxPool2D:
		t.maxPool(in)
	case kernel.MaxPool2DGrad:
		for i := range in.DX.Len {
			t.set(in.DX, i, 0)
		}
		for i := range in.DY.Len {
			at := int(t.getInt(in.Index, i))
			t.set(in.DX, at, t.get(in.DX, at)+t.get(in.DY, i))
		}
	case kernel.AvgPool2D:
		t.avgPool(in)
	case kernel.AvgPool2DGrad:
		t.avgPoolGrad(in)
	case kernel.Activation:
		for i := range in.X.Len {
			t.set(in.Y, i, twinActivation(in.Kind, t.get(in.X, i)))
		}
	case kernel.ActivationGrad:
		t.activationGrad(in)
	case kernel.SumRows:
		for j := range in.N {
			var sum float32
			for i := range in.M {
				sum += t.get(in.X, i*in.N+j)
			}
			t.set(in.Out, j, sum)
		}
	case kernel.SoftmaxCrossEntropy:
		t.softmax(in)
	case kernel.TreeSum:
		n := in.X.Len / in.Parts
		for d := 1; d < in.Parts; d *= 2 {
			for i := 0; i+d < in.Parts; i++ {
				if i%(2*d) != 0 {
					continue
				}
				for j := range n {
					t.set(in.X, i*n+j, t.get(in.X, i*n+j)+t.get(in.X, (i+d)*n+j))
				}
			}
		}
	case kernel.SGD:
		t.sgd(in, s)
	case kernel.Adam:
		t.adam(in, s)
	default:
		if !t.layers(instruction, s) {
			panic("twin: unknown instruction")
		}
	}
}

func (t twin) matMul(in kernel.MatMul) {
	for i := range in.M {
		for j := range in.N {
			var c float32
			if !in.Bias.Empty() {
				c = t.get(in.Bias, j)
			}
			if in.Accumulate {
				c = t.get(in.C, i*in.N+j)
			}
			for k := range in.K {
				a, b := i*in.K+k, k*in.N+j
				if in.TransA {
					a = k*in.M + i
				}
				if in.TransB {
					b = j*in.K + k
				}
				c = FMA32(t.get(in.A, a), t.get(in.B, b), c)
			}
			t.set(in.C, i*in.N+j, c)
		}
	}
}

// at returns x[n,h,w,c], or +0 in the padding.
func (t twin) at(x kernel.Span, s kernel.ConvShape, n, h, w, c int) float32 {
	if h < 0 || h >= s.H || w < 0 || w >= s.W {
		return 0
	}
	return t.get(x, ((n*s.H+h)*s.W+w)*s.InChannels+c)
}

func weightIndex(s kernel.ConvShape, o, kh, kw, i int) int {
	return ((o*s.KernelH+kh)*s.KernelW+kw)*s.InChannels + i
}

func outIndex(s kernel.ConvShape, n, oh, ow, o int) int {
	return ((n*s.OutH+oh)*s.OutW+ow)*s.OutChannels + o
}

// each4 calls f for every index of a four-dimensional array in ascending order.
func each4(d0, d1, d2, d3 int, f func(a, b, c, d int)) {
	for a := range d0 {
		for b := range d1 {
			for c := range d2 {
				for d := range d3 {
					f(a, b, c, d)
				}
			}
		}
	}
}

func (t twin) conv2D(in kernel.Conv2D) {
	each4(in.N, in.OutH, in.OutW, in.OutChannels, func(n, oh, ow, o int) {
		var y float32
		if !in.Bias.Empty() {
			y = t.get(in.Bias, o)
		}
		each4(1, in.KernelH, in.KernelW, in.InChannels, func(_, kh, kw, i int) {
			x := t.at(in.X, in.ConvShape, n, oh*in.StrideH+kh-in.PadH, ow*in.StrideW+kw-in.PadW, i)
			y = FMA32(x, t.get(in.Weight, weightIndex(in.ConvShape, o, kh, kw, i)), y)
		})
		t.set(in.Y, outIndex(in.ConvShape, n, oh, ow, o), y)
	})
}

func (t twin) conv2DGradInput(in kernel.Conv2DGradInput) {
	each4(in.N, in.H, in.W, in.InChannels, func(n, h, w, i int) {
		var dx float32
		each4(1, in.KernelH, in.KernelW, in.OutChannels, func(_, kh, kw, o int) {
			var dy float32
			// Look for the output position that read (h, w) through (kh, kw).
			for oh := range in.OutH {
				for ow := range in.OutW {
					if oh*in.StrideH+kh-in.PadH == h && ow*in.StrideW+kw-in.PadW == w {
						dy = t.get(in.DY, outIndex(in.ConvShape, n, oh, ow, o))
					}
				}
			}
			dx = FMA32(dy, t.get(in.Weight, weightIndex(in.ConvShape, o, kh, kw, i)), dx)
		})
		t.set(in.DX, ((n*in.H+h)*in.W+w)*in.InChannels+i, dx)
	})
}

func (t twin) conv2DGradWeight(in kernel.Conv2DGradWeight) {
	each4(in.OutChannels, in.KernelH, in.KernelW, in.InChannels, func(o, kh, kw, i int) {
		var dw float32
		each4(1, in.N, in.OutH, in.OutW, func(_, n, oh, ow int) {
			x := t.at(in.X, in.ConvShape, n, oh*in.StrideH+kh-in.PadH, ow*in.StrideW+kw-in.PadW, i)
			dw = FMA32(t.get(in.DY, outIndex(in.ConvShape, n, oh, ow, o)), x, dw)
		})
		t.set(in.DWeight, weightIndex(in.ConvShape, o, kh, kw, i), dw)
	})
}

// eachInWindow calls f with the index into X of every element of the window.
func eachInWindow(s kernel.ConvShape, n, oh, ow, c int, f func(at int)) {
	for kh := range s.KernelH {
		for kw := range s.KernelW {
			h, w := oh*s.StrideH+kh-s.PadH, ow*s.StrideW+kw-s.PadW
			if h >= 0 && h < s.H && w >= 0 && w < s.W {
				f(((n*s.H+h)*s.W+w)*s.InChannels + c)
			}
		}
	}
}

func (t twin) maxPool(in kernel.MaxPool2D) {
	each4(in.N, in.OutH, in.OutW, in.InChannels, func(n, oh, ow, c int) {
		best := -1
		eachInWindow(in.ConvShape, n, oh, ow, c, func(at int) {
			x := t.get(in.X, at)
			if best < 0 {
				best = at
				return
			}
			y := t.get(in.X, best)
			if y == y && (x != x || x > y) {
				best = at
			}
		})
		out := outIndex(in.ConvShape, n, oh, ow, c)
		t.set(in.Y, out, t.get(in.X, best))
		t.setInt(in.Index, out, int32(best))
	})
}

func windowCount(s kernel.ConvShape, n, oh, ow int) float32 {
	count := 0
	eachInWindow(s, n, oh, ow, 0, func(int) { count++ })
	return float32(count)
}

func (t twin) avgPool(in kernel.AvgPool2D) {
	each4(in.N, in.OutH, in.OutW, in.InChannels, func(n, oh, ow, c int) {
		var sum float32
		eachInWindow(in.ConvShape, n, oh, ow, c, func(at int) { sum += t.get(in.X, at) })
		t.set(in.Y, outIndex(in.ConvShape, n, oh, ow, c), sum/windowCount(in.ConvShape, n, oh, ow))
	})
}

func (t twin) avgPoolGrad(in kernel.AvgPool2DGrad) {
	for i := range in.DX.Len {
		t.set(in.DX, i, 0)
	}
	each4(in.N, in.OutH, in.OutW, in.InChannels, func(n, oh, ow, c int) {
		dy := t.get(in.DY, outIndex(in.ConvShape, n, oh, ow, c)) / windowCount(in.ConvShape, n, oh, ow)
		eachInWindow(in.ConvShape, n, oh, ow, c, func(at int) { t.set(in.DX, at, t.get(in.DX, at)+dy) })
	})
}

func twinActivation(kind kernel.ActivationKind, x float32) float32 {
	switch kind {
	case kernel.ReLU:
		if x <= 0 {
			return 0
		}
		return x
	case kernel.GELU:
		return gelu32(x)
	case kernel.SiLU:
		return silu32(x)
	case kernel.Tanh:
		return tanh32(x)
	default:
		return sigmoid32(x)
	}
}

func (t twin) activationGrad(in kernel.ActivationGrad) {
	for i := range in.DY.Len {
		dy, y := t.get(in.DY, i), t.get(in.Y, i)
		var dx float32
		switch in.Kind {
		case kernel.ReLU:
			dx = dy
			if y <= 0 {
				dx = 0
			}
		case kernel.Tanh:
			dx = float32(dy * FMA32(-y, y, 1))
		case kernel.Sigmoid:
			dx = float32(dy * float32(y*(1-y)))
		case kernel.SiLU:
			dx = float32(dy * siluGrad32(t.get(in.X, i)))
		case kernel.GELU:
			dx = float32(dy * geluGrad32(t.get(in.X, i)))
		}
		t.set(in.DX, i, dx)
	}
}

func (t twin) softmax(in kernel.SoftmaxCrossEntropy) {
	for r := range in.M {
		top, hit, nan := t.get(in.Logits, r*in.N), 0, false
		for j := range in.N {
			x := t.get(in.Logits, r*in.N+j)
			nan = nan || x != x
			if x > top {
				top, hit = x, j
			}
		}
		if nan {
			top = float32(math.NaN())
		}
		terms := make([]float32, in.N)
		lanes := make([]float32, 16)
		for j := range in.N {
			terms[j] = exp32(t.get(in.Logits, r*in.N+j) - top)
			lanes[j%16] += terms[j]
		}
		for len(lanes) > 1 {
			half := len(lanes) / 2
			for l := range half {
				lanes[l] += lanes[half+l]
			}
			lanes = lanes[:half]
		}
		label := int(t.getInt(in.Labels, r))
		z := t.get(in.Logits, r*in.N+label) - top
		loss := log32(lanes[0]) - z
		if in.Smoothing != 0 {
			loss = log32(lanes[0]) - float32((1-in.Smoothing)*z)
			loss -= float32(in.Smoothing / float32(in.N) * t.shifted(in, r, top))
		}
		t.set(in.Loss, r, loss)
		t.set(in.Correct, r, 0)
		if hit == label && loss == loss {
			t.set(in.Correct, r, 1)
		}
		if in.DLogits.Empty() {
			continue
		}
		for j, e := range terms {
			p := e / lanes[0]
			if j == label {
				p -= 1 - in.Smoothing
			}
			p -= in.Smoothing / float32(in.N)
			t.set(in.DLogits, r*in.N+j, float32(in.Scale*p))
		}
	}
}

// shifted returns the sum of a row's logits minus their maximum.
func (t twin) shifted(in kernel.SoftmaxCrossEntropy, r int, top float32) float32 {
	var lanes [16]float32
	for j := range in.N {
		lanes[j%16] += t.get(in.Logits, r*in.N+j) - top
	}
	for d := 8; d > 0; d /= 2 {
		for l := range d {
			lanes[l] += lanes[l+d]
		}
	}
	return lanes[0]
}

func (t twin) sgd(in kernel.SGD, s kernel.Scalars) {
	for i := range in.Weight.Len {
		w, g := t.get(in.Weight, i), t.get(in.Grad, i)
		if in.WeightDecay != 0 {
			g += float32(in.WeightDecay * w)
		}
		direction := g
		if in.Momentum != 0 {
			v := g
			if s.Step > 1 {
				v = float32(in.Momentum*t.get(in.Velocity, i)) + g
			}
			t.set(in.Velocity, i, v)
			direction = v
			if in.Nesterov {
				direction = g + float32(in.Momentum*v)
			}
		}
		t.set(in.Weight, i, w-float32(s.LearningRate*direction))
	}
}

func (t twin) adam(in kernel.Adam, s kernel.Scalars) {
	p1, p2 := 1.0, 1.0
	for range s.Step {
		p1 = float64(p1 * float64(in.Beta1))
		p2 = float64(p2 * float64(in.Beta2))
	}
	c1, c2 := float32(1-p1), float32(1-p2)
	root := func(x float32) float32 { return float32(math.Sqrt(float64(x))) }
	for i := range in.Weight.Len {
		w, g := t.get(in.Weight, i), t.get(in.Grad, i)
		if in.WeightDecay != 0 {
			if in.Decoupled {
				w -= float32(float32(s.LearningRate*in.WeightDecay) * w)
			} else {
				g += float32(in.WeightDecay * w)
			}
		}
		m := float32(in.Beta1*t.get(in.M, i)) + float32((1-in.Beta1)*g)
		v := float32(in.Beta2*t.get(in.V, i)) + float32(float32((1-in.Beta2)*g)*g)
		t.set(in.M, i, m)
		t.set(in.V, i, v)
		t.set(in.Weight, i, w-float32((s.LearningRate/c1)*m)/(root(v/c2)+in.Epsilon))
	}
}
