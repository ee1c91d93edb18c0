package cpu

import (
	"fmt"
	"math/rand"
	"testing"

	"reprise/kernel"
)

// The instructions of one training step of two small models on MNIST at batch
// 128 and 64: what a step consists of, and where its time goes.

func mlpInstructions(l *layout) []kernel.Instruction {
	const batch = 128
	sizes := []int{784, 512, 256, 10}
	var forward, backward, update []kernel.Instruction
	x := l.span(batch * sizes[0])
	labels, loss, correct := l.span(batch), l.span(batch), l.span(batch)
	var dy kernel.Span
	logits := l.span(batch * sizes[len(sizes)-1])
	for i := range len(sizes) - 1 {
		in, out := sizes[i], sizes[i+1]
		w, dw, m, v := l.span(in*out+out), l.span(in*out+out), l.span(in*out+out), l.span(in*out+out)
		y, gradY, gradX := l.span(batch*out), l.span(batch*out), l.span(batch*in)
		if i == len(sizes)-2 {
			y, gradY = logits, logits
		}
		forward = append(forward, kernel.MatMul{M: batch, N: out, K: in, A: x, B: w.Slice(0, in*out), C: y, Bias: w.Slice(in*out, out)})
		layer := []kernel.Instruction{
			kernel.MatMul{M: in, N: out, K: batch, A: x, TransA: true, B: gradY, C: dw.Slice(0, in*out)},
			kernel.SumRows{M: batch, N: out, X: gradY, Out: dw.Slice(in*out, out)},
		}
		if i > 0 {
			layer = append(layer, kernel.MatMul{M: batch, N: in, K: out, A: gradY, B: w.Slice(0, in*out), TransB: true, C: gradX})
			layer = append(layer, kernel.ActivationGrad{Kind: kernel.ReLU, Y: x, DY: gradX, DX: dy})
		}
		backward = append(layer, backward...)
		update = append(update, kernel.Adam{Weight: w, Grad: dw, M: m, V: v, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8})
		if i < len(sizes)-2 {
			forward = append(forward, kernel.Activation{Kind: kernel.ReLU, X: y, Y: y})
		}
		x, dy = y, gradY
	}
	forward = append(forward, kernel.SoftmaxCrossEntropy{M: batch, N: 10, Scale: 1.0 / batch,
		Logits: logits, Labels: labels, Loss: loss, Correct: correct, DLogits: logits})
	return append(append(forward, backward...), update...)
}

func cnnInstructions(l *layout) []kernel.Instruction {
	const batch, narrow, wide = 64, 32, 64
	c1 := kernel.ConvShape{N: batch, H: 28, W: 28, InChannels: 1, OutH: 28, OutW: 28, OutChannels: narrow, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
	c2 := c1
	c2.H, c2.W, c2.OutH, c2.OutW, c2.InChannels, c2.OutChannels = 14, 14, 14, 14, narrow, wide
	pool := func(c kernel.ConvShape) kernel.ConvShape {
		p := c
		p.InChannels, p.OutH, p.OutW = c.OutChannels, c.OutH/2, c.OutW/2
		p.KernelH, p.KernelW, p.StrideH, p.StrideW, p.PadH, p.PadW = 2, 2, 2, 2, 0, 0
		return p
	}
	p1, p2 := pool(c1), pool(c2)
	x := l.span(inputs(c1))
	var out []kernel.Instruction
	y1, y2 := l.span(outputs(c1)), l.span(outputs(c2))
	d1, d2 := l.span(outputs(c1)), l.span(outputs(c2))
	w1, w2, dw1, dw2 := l.span(weights(c1)), l.span(weights(c2)), l.span(weights(c1)), l.span(weights(c2))
	z1, z2, i1, i2 := l.span(outputs(p1)), l.span(outputs(p2)), l.span(outputs(p1)), l.span(outputs(p2))
	dz1, dz2 := l.span(outputs(p1)), l.span(outputs(p2))
	b1, b2 := l.span(narrow), l.span(wide)
	out = append(out,
		kernel.Conv2D{ConvShape: c1, X: x, Weight: w1, Bias: b1, Y: y1},
		kernel.Activation{Kind: kernel.ReLU, X: y1, Y: y1},
		kernel.MaxPool2D{ConvShape: p1, X: y1, Y: z1, Index: i1},
		kernel.Conv2D{ConvShape: c2, X: z1, Weight: w2, Bias: b2, Y: y2},
		kernel.Activation{Kind: kernel.ReLU, X: y2, Y: y2},
		kernel.MaxPool2D{ConvShape: p2, X: y2, Y: z2, Index: i2},
		kernel.MaxPool2DGrad{ConvShape: p2, DY: dz2, Index: i2, DX: d2},
		kernel.ActivationGrad{Kind: kernel.ReLU, Y: y2, DY: d2, DX: d2},
		kernel.Conv2DGradWeight{ConvShape: c2, X: z1, DY: d2, DWeight: dw2},
		kernel.SumRows{M: batch * 14 * 14, N: wide, X: d2, Out: b2},
		kernel.Conv2DGradInput{ConvShape: c2, DY: d2, Weight: w2, DX: dz1},
		kernel.MaxPool2DGrad{ConvShape: p1, DY: dz1, Index: i1, DX: d1},
		kernel.ActivationGrad{Kind: kernel.ReLU, Y: y1, DY: d1, DX: d1},
		kernel.Conv2DGradWeight{ConvShape: c1, X: x, DY: d1, DWeight: dw1},
		kernel.SumRows{M: batch * 28 * 28, N: narrow, X: d1, Out: b1},
	)
	return out
}

func benchmarkModel(b *testing.B, instructions func(*layout) []kernel.Instruction) {
	backend := newTestBackend(b, Config{Threads: 1})
	l := newLayout()
	program := &kernel.Program{Name: "step", Instructions: instructions(l), Elements: l.elements}
	memory, err := backend.Allocate(l.elements)
	if err != nil {
		b.Fatal(err)
	}
	start := make([]uint32, l.elements)
	fill(rand.New(rand.NewSource(1)), start, false)
	values := make([]int32, l.elements)
	prepare := func() {
		for i, u := range start {
			values[i] = int32(u)
		}
		if err := memory.WriteInts(kernel.Span{Len: l.elements}, values); err != nil {
			b.Fatal(err)
		}
		for _, in := range program.Instructions {
			if s, ok := in.(kernel.SoftmaxCrossEntropy); ok {
				if err := memory.WriteInts(s.Labels, make([]int32, s.Labels.Len)); err != nil {
					b.Fatal(err)
				}
			}
			if a, ok := in.(kernel.Adam); ok {
				if err := memory.Write(a.V, make([]float32, a.V.Len)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	prepare()
	all, err := backend.Prepare(program, memory)
	if err != nil {
		b.Fatal(err)
	}
	if err := all.Run(kernel.Scalars{Step: 1, LearningRate: 1e-3}); err != nil {
		b.Fatal(err)
	}
	b.Run("step", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if err := all.Run(kernel.Scalars{Step: 1, LearningRate: 1e-6}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for i, in := range program.Instructions {
		one, err := backend.Prepare(&kernel.Program{Instructions: []kernel.Instruction{in}, Elements: l.elements}, memory)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%02d_%s", i, in.Operation()), func(b *testing.B) {
			for range b.N {
				if err := one.Run(kernel.Scalars{Step: 1, LearningRate: 1e-6}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMLP(b *testing.B) { benchmarkModel(b, mlpInstructions) }

func BenchmarkCNN(b *testing.B) { benchmarkModel(b, cnnInstructions) }
