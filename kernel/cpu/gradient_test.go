package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"reprise/kernel"
)

// Gradients against central differences in float64, of functions written again
// here from their definitions.

func activation64(kind kernel.ActivationKind, x float64) float64 {
	switch kind {
	case kernel.ReLU:
		return math.Max(x, 0)
	case kernel.GELU:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernel.SiLU:
		return x * sigmoid64(x)
	case kernel.Tanh:
		return math.Tanh(x)
	default:
		return sigmoid64(x)
	}
}

// differences returns the gradient of f at x by central differences.
func differences(f func([]float64) float64, x []float64) []float64 {
	const h = 1e-5
	grad := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + h
		up := f(x)
		x[i] = v - h
		grad[i] = (up - f(x)) / (2 * h)
		x[i] = v
	}
	return grad
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func compareGradient(t *testing.T, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > tolerance*(1+math.Abs(want[i])) {
			t.Fatalf("gradient element %d is %g, differences give %g", i, got[i], want[i])
		}
	}
}

// machine runs single instructions over named spans.
type machine struct {
	t       *testing.T
	backend *Backend
	memory  *arena
	layout  *layout
}

func newMachine(t *testing.T) *machine {
	b := newTestBackend(t, Config{Threads: 2})
	return &machine{t: t, backend: b, memory: load(t, b, make([]uint32, 1<<14)), layout: newLayout()}
}

func (m *machine) put(x []float32) kernel.Span {
	s := m.layout.span(len(x))
	if err := m.memory.Write(s, x); err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *machine) get(s kernel.Span) []float32 {
	out := make([]float32, s.Len)
	if err := m.memory.Read(out, s); err != nil {
		m.t.Fatal(err)
	}
	return out
}

func (m *machine) run(instructions ...kernel.Instruction) {
	m.t.Helper()
	e, err := m.backend.Prepare(&kernel.Program{Instructions: instructions, Elements: m.memory.Len()}, m.memory)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := e.Run(kernel.Scalars{Step: 1}); err != nil {
		m.t.Fatal(err)
	}
}

func normal(rng *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * scale)
	}
	return x
}

func TestActivationGradientsAgreeWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, kind := range activationKinds {
		t.Run(string(kind), func(t *testing.T) {
			m := newMachine(t)
			x, dy := normal(rng, 300, 3), normal(rng, 300, 1)
			xs, dys, ys, dxs := m.put(x), m.put(dy), m.layout.span(300), m.layout.span(300)
			m.run(kernel.Activation{Kind: kind, X: xs, Y: ys}, kernel.ActivationGrad{Kind: kind, X: xs, Y: ys, DY: dys, DX: dxs})
			loss := func(x []float64) float64 {
				sum := 0.0
				for i, v := range x {
					sum += activation64(kind, v) * float64(dy[i])
				}
				return sum
			}
			compareGradient(t, m.get(dxs), differences(loss, widen(x)), 1e-5)
			for i, y := range m.get(ys) {
				if want := activation64(kind, float64(x[i])); math.Abs(float64(y)-want) > 1e-6*(1+math.Abs(want)) {
					t.Fatalf("f(%g) = %g, want %g", x[i], y, want)
				}
			}
		})
	}
}

func TestPoolingGradientsAgreeWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	g := kernel.ConvShape{N: 2, H: 5, W: 6, InChannels: 3, OutH: 3, OutW: 3, OutChannels: 3, KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	x, dy := normal(rng, inputs(g), 1), normal(rng, outputs(g), 1)
	pooled := func(x []float64, reduce func(window []float64) float64) float64 {
		sum := 0.0
		each4(g.N, g.OutH, g.OutW, g.InChannels, func(n, oh, ow, c int) {
			var window []float64
			eachInWindow(g, n, oh, ow, c, func(at int) { window = append(window, x[at]) })
			sum += reduce(window) * float64(dy[outIndex(g, n, oh, ow, c)])
		})
		return sum
	}
	t.Run("max", func(t *testing.T) {
		m := newMachine(t)
		xs, dys, ys, index, dxs := m.put(x), m.put(dy), m.layout.span(outputs(g)), m.layout.span(outputs(g)), m.layout.span(inputs(g))
		m.run(kernel.MaxPool2D{ConvShape: g, X: xs, Y: ys, Index: index}, kernel.MaxPool2DGrad{ConvShape: g, DY: dys, Index: index, DX: dxs})
		largest := func(w []float64) float64 {
			top := w[0]
			for _, v := range w {
				top = math.Max(top, v)
			}
			return top
		}
		compareGradient(t, m.get(dxs), differences(func(x []float64) float64 { return pooled(x, largest) }, widen(x)), 1e-5)
	})
	t.Run("average", func(t *testing.T) {
		m := newMachine(t)
		dys, dxs := m.put(dy), m.layout.span(inputs(g))
		m.run(kernel.AvgPool2DGrad{ConvShape: g, DY: dys, DX: dxs})
		mean := func(w []float64) float64 {
			sum := 0.0
			for _, v := range w {
				sum += v
			}
			return sum / float64(len(w))
		}
		compareGradient(t, m.get(dxs), differences(func(x []float64) float64 { return pooled(x, mean) }, widen(x)), 1e-5)
	})
}

func TestConvolutionGradientsAgreeWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	g := kernel.ConvShape{N: 2, H: 5, W: 4, InChannels: 2, OutH: 3, OutW: 5, OutChannels: 3, KernelH: 3, KernelW: 2, StrideH: 2, StrideW: 1, PadH: 1, PadW: 1}
	x, w, dy := normal(rng, inputs(g), 1), normal(rng, weights(g), 1), normal(rng, outputs(g), 1)
	loss := func(x, w []float64) float64 {
		sum := 0.0
		each4(g.N, g.OutH, g.OutW, g.OutChannels, func(n, oh, ow, o int) {
			y := 0.0
			each4(1, g.KernelH, g.KernelW, g.InChannels, func(_, kh, kw, i int) {
				h, v := oh*g.StrideH+kh-g.PadH, ow*g.StrideW+kw-g.PadW
				if h >= 0 && h < g.H && v >= 0 && v < g.W {
					y += x[((n*g.H+h)*g.W+v)*g.InChannels+i] * w[weightIndex(g, o, kh, kw, i)]
				}
			})
			sum += y * float64(dy[outIndex(g, n, oh, ow, o)])
		})
		return sum
	}
	m := newMachine(t)
	xs, ws, dys, dxs, dws := m.put(x), m.put(w), m.put(dy), m.layout.span(inputs(g)), m.layout.span(weights(g))
	m.run(kernel.Conv2DGradInput{ConvShape: g, DY: dys, Weight: ws, DX: dxs}, kernel.Conv2DGradWeight{ConvShape: g, X: xs, DY: dys, DWeight: dws})
	x64, w64 := widen(x), widen(w)
	compareGradient(t, m.get(dxs), differences(func(x []float64) float64 { return loss(x, w64) }, x64), 1e-5)
	compareGradient(t, m.get(dws), differences(func(w []float64) float64 { return loss(x64, w) }, w64), 1e-5)
}

func TestSoftmaxCrossEntropyAgreesWithFloat64(t *testing.T) {
	for _, smoothing := range []float32{0, 0.1, 0.9} {
		for _, classes := range []int{7, 37} {
			t.Run(fmt.Sprintf("smoothing %g of %d classes", smoothing, classes), func(t *testing.T) {
				testSoftmaxCrossEntropy(t, smoothing, classes)
			})
		}
	}
}

func testSoftmaxCrossEntropy(t *testing.T, smoothing float32, classes int) {
	rng := rand.New(rand.NewSource(4))
	const rows = 5
	x := normal(rng, rows*classes, 4)
	labels := make([]int32, rows)
	for i := range labels {
		labels[i] = int32(rng.Intn(classes))
	}
	loss := func(x []float64) float64 {
		total := 0.0
		for r, label := range labels {
			sum := 0.0
			for _, v := range x[r*classes : (r+1)*classes] {
				sum += math.Exp(v)
				total -= float64(smoothing) / float64(classes) * v
			}
			total += math.Log(sum) - (1-float64(smoothing))*x[r*classes+int(label)]
		}
		return total
	}
	m := newMachine(t)
	in := kernel.SoftmaxCrossEntropy{M: rows, N: classes, Scale: 1, Smoothing: smoothing, Logits: m.put(x), Labels: m.layout.span(rows),
		Loss: m.layout.span(rows), Correct: m.layout.span(rows), DLogits: m.layout.span(rows * classes)}
	if err := m.memory.WriteInts(in.Labels, labels); err != nil {
		t.Fatal(err)
	}
	m.run(in)
	compareGradient(t, m.get(in.DLogits), differences(loss, widen(x)), 1e-5)
	total := 0.0
	for _, v := range m.get(in.Loss) {
		total += float64(v)
	}
	if want := loss(widen(x)); math.Abs(total-want) > 1e-5*want {
		t.Errorf("the losses add up to %g, want %g", total, want)
	}
}

// Logits that overflow an exponential, or all but one of which do, must not
// cause errors.
func TestSoftmaxCrossEntropyOfExtremeRows(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	tests := []struct {
		name          string
		logits        []float32
		label         int32
		loss, correct float32
	}{
		{"large", []float32{1e30, 0, -1e30}, 0, 0, 1},
		{"large and wrong", []float32{3e38, 0, 0}, 1, 3e38, 0},
		{"a class ruled out", []float32{0, -inf}, 0, 0, 1},
		{"the label's class ruled out", []float32{0, -inf}, 1, inf, 0},
		{"ties go to the first", []float32{2, 2}, 1, float32(math.Ln2), 0},
		{"one class", []float32{-7}, 0, 0, 1},
		{"NaN", []float32{0, nan}, 1, nan, 0},
		{"nothing but -Inf", []float32{-inf, -inf}, 0, nan, 0},
		{"infinite", []float32{inf, 0}, 0, nan, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			n := len(tt.logits)
			in := kernel.SoftmaxCrossEntropy{M: 1, N: n, Scale: 1, Logits: m.put(tt.logits), Labels: m.layout.span(1), Loss: m.layout.span(1), Correct: m.layout.span(1)}
			if err := m.memory.WriteInts(in.Labels, []int32{tt.label}); err != nil {
				t.Fatal(err)
			}
			m.run(in)
			if loss := m.get(in.Loss)[0]; loss != tt.loss && !(loss != loss && tt.loss != tt.loss) {
				t.Errorf("loss is %g, want %g", loss, tt.loss)
			}
			if correct := m.get(in.Correct)[0]; correct != tt.correct {
				t.Errorf("correct is %g, want %g", correct, tt.correct)
			}
		})
	}
}
