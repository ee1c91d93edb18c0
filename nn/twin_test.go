package nn

import (
	"fmt"
	"math"
	"sync"

	"reprise/kernel"
	"reprise/kernel/cpu"
)

// twin is a backend that interprets instructions exactly as their doc comments
// describe them, one number at a time: in float32 with exact fused
// multiply-adds it is the oracle for kernel/cpu, in float64 the reference for
// gradients. In float32 it delegates instructions with an exponential to
// kernel/cpu, where they are tested; it computes all others itself.
type twin[T float32 | float64] struct{}

// twinMemory holds a number and an integer for each element.
type twinMemory[T float32 | float64] struct {
	v []T
	i []int32
	// packed holds the values packed from an offset on, see storeBF16.
	packed map[int][]T
}

type twinProgram[T float32 | float64] struct {
	prog *kernel.Program
	m    *twinMemory[T]
}

func (twin[T]) Allocate(n int) (kernel.Memory, error) {
	m := &twinMemory[T]{v: make([]T, n), i: make([]int32, n), packed: map[int][]T{}}
	for k := range m.v {
		m.v[k] = T(math.NaN()) // so that reading unwritten memory shows
	}
	return m, nil
}

func (twin[T]) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &twinProgram[T]{prog: p, m: m.(*twinMemory[T])}, nil
}

func (m *twinMemory[T]) Free() {}

func (m *twinMemory[T]) Write(s kernel.Span, src []float32) error {
	if s.Len != len(src) {
		return fmt.Errorf("write %d values to a span of %d", len(src), s.Len)
	}
	for k, v := range src {
		m.v[s.Offset+k] = T(v)
	}
	return nil
}

func (m *twinMemory[T]) WriteInts(s kernel.Span, src []int32) error {
	if s.Len != len(src) {
		return fmt.Errorf("write %d integers to a span of %d", len(src), s.Len)
	}
	copy(m.i[s.Offset:], src)
	return nil
}

func (m *twinMemory[T]) Read(dst []float32, s kernel.Span) error {
	if s.Len != len(dst) {
		return fmt.Errorf("read %d values from a span of %d", len(dst), s.Len)
	}
	for k := range dst {
		dst[k] = float32(m.v[s.Offset+k])
	}
	return nil
}

func (m *twinMemory[T]) at(s kernel.Span) []T       { return m.v[s.Offset : s.Offset+s.Len] }
func (m *twinMemory[T]) ints(s kernel.Span) []int32 { return m.i[s.Offset : s.Offset+s.Len] }

func (p *twinProgram[T]) Run(s kernel.Scalars) error {
	for _, i := range p.prog.Instructions {
		p.m.run(i, s)
	}
	return nil
}

func (m *twinMemory[T]) run(instruction kernel.Instruction, s kernel.Scalars) {
	switch i := instruction.(type) {
	case kernel.MatMul:
		m.matMul(i)
	case kernel.Conv2D:
		m.conv2D(i)
	case kernel.Conv2DGradInput:
		m.conv2DGradInput(i)
	case kernel.Conv2DGradWeight:
		m.conv2DGradWeight(i)
	case kernel.MaxPool2D:
		m.maxPool2D(i)
	case kernel.MaxPool2DGrad:
		dx := m.at(i.DX)
		clear(dx)
		for k, dy := range m.at(i.DY) {
			dx[m.ints(i.Index)[k]] += dy
		}
	case kernel.AvgPool2D:
		m.avgPool2D(i)
	case kernel.AvgPool2DGrad:
		m.avgPool2DGrad(i)
	case kernel.Activation:
		m.activation(i)
	case kernel.ActivationGrad:
		m.activationGrad(i)
	case kernel.SumRows:
		for n, x := 0, m.at(i.X); n < i.N; n++ {
			var sum T
			for r := range i.M {
				sum += x[r*i.N+n]
			}
			m.at(i.Out)[n] = sum
		}
	case kernel.SoftmaxCrossEntropy:
		m.crossEntropy(i)
	case kernel.TreeSum:
		m.treeSum(i)
	case kernel.SGD:
		m.sgd(i, s)
	case kernel.Adam:
		m.adam(i, s)
	default:
		if !m.branch(instruction, s) {
			panic(fmt.Sprintf("twin: %T", i))
		}
	}
}

// fma is a*b + c, rounded once.
func fma[T float32 | float64](a, b, c T) T {
	if x, ok := any(a).(float32); ok {
		return T(cpu.FMA32(x, float32(b), float32(c)))
	}
	return T(math.FMA(float64(a), float64(b), float64(c)))
}

func (m *twinMemory[T]) matMul(i kernel.MatMul) {
	a, b, c := m.at(i.A), m.at(i.B), m.at(i.C)
	for r := range i.M {
		for n := range i.N {
			var sum T
			switch {
			case !i.Bias.Empty():
				sum = m.at(i.Bias)[n]
			case i.Accumulate:
				sum = c[r*i.N+n]
			}
			for k := range i.K {
				x, y := r*i.K+k, k*i.N+n
				if i.TransA {
					x = k*i.M + r
				}
				if i.TransB {
					y = n*i.K + k
				}
				sum = fma(a[x], b[y], sum)
			}
			c[r*i.N+n] = sum
		}
	}
}

// input returns the index of a pixel of X, or -1 in the padding.
func input(s kernel.ConvShape, n, oh, ow, kh, kw int) int {
	h, w := oh*s.StrideH-s.PadH+kh, ow*s.StrideW-s.PadW+kw
	if h < 0 || h >= s.H || w < 0 || w >= s.W {
		return -1
	}
	return ((n*s.H+h)*s.W + w) * s.InChannels
}

// windows calls f for each output position, with the index of its pixel.
func windows(s kernel.ConvShape, f func(n, oh, ow, y int)) {
	for n := range s.N {
		for oh := range s.OutH {
			for ow := range s.OutW {
				f(n, oh, ow, ((n*s.OutH+oh)*s.OutW+ow)*s.OutChannels)
			}
		}
	}
}

func (m *twinMemory[T]) conv2D(i kernel.Conv2D) {
	x, w, out := m.at(i.X), m.at(i.Weight), m.at(i.Y)
	windows(i.ConvShape, func(n, oh, ow, y int) {
		for o := range i.OutChannels {
			var sum T
			if !i.Bias.Empty() {
				sum = m.at(i.Bias)[o]
			}
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					p := input(i.ConvShape, n, oh, ow, kh, kw)
					for c := range i.InChannels {
						var v T
						if p >= 0 {
							v = x[p+c]
						}
						sum = fma(v, w[((o*i.KernelH+kh)*i.KernelW+kw)*i.InChannels+c], sum)
					}
				}
			}
			out[y+o] = sum
		}
	})
}

func (m *twinMemory[T]) conv2DGradInput(i kernel.Conv2DGradInput) {
	dy, w, dx := m.at(i.DY), m.at(i.Weight), m.at(i.DX)
	for p := range i.N * i.H * i.W {
		n, h, col := p/(i.H*i.W), p/i.W%i.H, p%i.W
		for c := range i.InChannels {
			var sum T
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					oh, ow := h+i.PadH-kh, col+i.PadW-kw
					exists := oh >= 0 && ow >= 0 && oh%i.StrideH == 0 && ow%i.StrideW == 0 &&
						oh/i.StrideH < i.OutH && ow/i.StrideW < i.OutW
					for o := range i.OutChannels {
						var v T
						if exists {
							v = dy[((n*i.OutH+oh/i.StrideH)*i.OutW+ow/i.StrideW)*i.OutChannels+o]
						}
						sum = fma(v, w[((o*i.KernelH+kh)*i.KernelW+kw)*i.InChannels+c], sum)
					}
				}
			}
			dx[p*i.InChannels+c] = sum
		}
	}
}

func (m *twinMemory[T]) conv2DGradWeight(i kernel.Conv2DGradWeight) {
	x, dy, dw := m.at(i.X), m.at(i.DY), m.at(i.DWeight)
	clear(dw)
	windows(i.ConvShape, func(n, oh, ow, y int) {
		for o := range i.OutChannels {
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					p := input(i.ConvShape, n, oh, ow, kh, kw)
					for c := range i.InChannels {
						var v T
						if p >= 0 {
							v = x[p+c]
						}
						at := ((o*i.KernelH+kh)*i.KernelW+kw)*i.InChannels + c
						dw[at] = fma(v, dy[y+o], dw[at])
					}
				}
			}
		}
	})
}

func (m *twinMemory[T]) maxPool2D(i kernel.MaxPool2D) {
	x := m.at(i.X)
	windows(i.ConvShape, func(n, oh, ow, y int) {
		for c := range i.InChannels {
			best := -1
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					p := input(i.ConvShape, n, oh, ow, kh, kw)
					if p < 0 {
						continue
					}
					v := x[p+c]
					if best < 0 || !math.IsNaN(float64(x[best])) && (v > x[best] || math.IsNaN(float64(v))) {
						best = p + c
					}
				}
			}
			m.at(i.Y)[y+c], m.ints(i.Index)[y+c] = x[best], int32(best)
		}
	})
}

func (m *twinMemory[T]) avgPool2D(i kernel.AvgPool2D) {
	x := m.at(i.X)
	windows(i.ConvShape, func(n, oh, ow, y int) {
		for c := range i.InChannels {
			var sum, count T
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					if p := input(i.ConvShape, n, oh, ow, kh, kw); p >= 0 {
						sum += x[p+c]
						count++
					}
				}
			}
			m.at(i.Y)[y+c] = sum / count
		}
	})
}

func (m *twinMemory[T]) avgPool2DGrad(i kernel.AvgPool2DGrad) {
	dy, dx := m.at(i.DY), m.at(i.DX)
	clear(dx)
	windows(i.ConvShape, func(n, oh, ow, y int) {
		for c := range i.InChannels {
			var inside []int
			for kh := range i.KernelH {
				for kw := range i.KernelW {
					if p := input(i.ConvShape, n, oh, ow, kh, kw); p >= 0 {
						inside = append(inside, p+c)
					}
				}
			}
			for _, p := range inside {
				dx[p] += dy[y+c] / T(len(inside))
			}
		}
	})
}

func (m *twinMemory[T]) treeSum(i kernel.TreeSum) {
	x, n := m.at(i.X), i.X.Len/i.Parts
	for d := 1; d < i.Parts; d *= 2 {
		for part := 0; part+d < i.Parts; part += 2 * d {
			for k := range n {
				x[part*n+k] += x[(part+d)*n+k]
			}
		}
	}
}

func (m *twinMemory[T]) sgd(i kernel.SGD, s kernel.Scalars) {
	w, grad := m.at(i.Weight), m.at(i.Grad)
	momentum, decay, rate := T(i.Momentum), T(i.WeightDecay), T(s.LearningRate)
	for k := range w {
		g := grad[k]
		if decay != 0 {
			g += T(decay * w[k])
		}
		if i.Momentum != 0 {
			v := &m.at(i.Velocity)[k]
			if s.Step == 1 {
				*v = g
			} else {
				*v = T(momentum**v) + g
			}
			if i.Nesterov {
				g += T(momentum * *v)
			} else {
				g = *v
			}
		}
		w[k] -= T(rate * g)
	}
}

func (m *twinMemory[T]) adam(i kernel.Adam, s kernel.Scalars) {
	w, grad, first, second := m.at(i.Weight), m.at(i.Grad), m.at(i.M), m.at(i.V)
	power1, power2 := 1.0, 1.0
	for range s.Step {
		power1 = float64(power1 * float64(i.Beta1))
		power2 = float64(power2 * float64(i.Beta2))
	}
	beta1, beta2, decay := T(i.Beta1), T(i.Beta2), T(i.WeightDecay)
	rate := T(s.LearningRate)
	scaled := T(rate / T(1-power1))
	for k := range w {
		g := grad[k]
		switch {
		case i.Decoupled && decay != 0:
			w[k] -= T(T(rate*decay) * w[k])
		case decay != 0:
			g += T(decay * w[k])
		}
		first[k] = T(beta1*first[k]) + T((1-beta1)*g)
		second[k] = T(beta2*second[k]) + T(T((1-beta2)*g)*g)
		root := T(math.Sqrt(float64(second[k] / T(1-power2))))
		w[k] -= T(T(scaled*first[k]) / (root + T(i.Epsilon)))
	}
}

func (m *twinMemory[T]) activation(i kernel.Activation) {
	if i.Kind == kernel.ReLU {
		for k, x := range m.at(i.X) {
			m.at(i.Y)[k] = max(x, 0)
		}
		return
	}
	if m.delegate(i, nil, kernel.Span{}, i.Y) {
		return
	}
	for k, x := range m.at(i.X) {
		y, _ := activationOf(i.Kind, float64(x))
		m.at(i.Y)[k] = T(y)
	}
}

func (m *twinMemory[T]) activationGrad(i kernel.ActivationGrad) {
	if i.Kind == kernel.ReLU {
		for k, y := range m.at(i.Y) {
			dy := m.at(i.DY)[k]
			if y <= 0 || math.IsNaN(float64(y)) {
				dy = 0
			}
			m.at(i.DX)[k] = dy
		}
		return
	}
	if m.delegate(i, nil, kernel.Span{}, i.DX) {
		return
	}
	for k, dy := range m.at(i.DY) {
		var d float64
		switch y := float64(m.at(i.Y)[k]); i.Kind {
		case kernel.Tanh:
			d = 1 - y*y
		case kernel.Sigmoid:
			d = y * (1 - y)
		default:
			_, d = activationOf(i.Kind, float64(m.at(i.X)[k]))
		}
		m.at(i.DX)[k] = dy * T(d)
	}
}

// activationOf returns f(x) and f'(x).
func activationOf(kind kernel.ActivationKind, x float64) (y, d float64) {
	sigmoid := 1 / (1 + math.Exp(-x))
	switch kind {
	case kernel.GELU:
		c := math.Sqrt(2 / math.Pi)
		t := math.Tanh(c * (x + 0.044715*x*x*x))
		return x / 2 * (1 + t), (1+t)/2 + x/2*(1-t*t)*c*(1+3*0.044715*x*x)
	case kernel.SiLU:
		return x * sigmoid, sigmoid * (1 + x*(1-sigmoid))
	case kernel.Tanh:
		y = math.Tanh(x)
		return y, 1 - y*y
	case kernel.Sigmoid:
		return sigmoid, sigmoid * (1 - sigmoid)
	default:
		panic("twin: " + kind)
	}
}

func (m *twinMemory[T]) crossEntropy(i kernel.SoftmaxCrossEntropy) {
	if m.delegate(i, m.ints(i.Labels), i.Labels, i.Loss, i.Correct, i.DLogits) {
		return
	}
	for r := range i.M {
		x := m.at(i.Logits)[r*i.N : (r+1)*i.N]
		label := int(m.ints(i.Labels)[r])
		best, sum := 0, 0.0
		for k, v := range x {
			if v > x[best] {
				best = k
			}
		}
		for _, v := range x {
			sum += math.Exp(float64(v - x[best]))
		}
		smoothing, shifted := float64(i.Smoothing), 0.0
		for _, v := range x {
			shifted += float64(v - x[best])
		}
		m.at(i.Loss)[r] = T(math.Log(sum) - (1-smoothing)*float64(x[label]-x[best]) - smoothing/float64(i.N)*shifted)
		m.at(i.Correct)[r] = 0
		if best == label {
			m.at(i.Correct)[r] = 1
		}
		if i.DLogits.Empty() {
			continue
		}
		top := x[best]
		for k, v := range x {
			p := math.Exp(float64(v-top))/sum - smoothing/float64(i.N)
			if k == label {
				p -= 1 - smoothing
			}
			m.at(i.DLogits)[r*i.N+k] = T(float64(i.Scale) * p)
		}
	}
}

// portable is a backend without its own threads, so there is nothing to close.
var portable = sync.OnceValue(func() *cpu.Backend {
	b, err := cpu.NewBackend(cpu.Config{Threads: 1, Features: cpu.LevelNone})
	if err != nil {
		panic(err)
	}
	return b
})

// delegate runs one instruction on kernel/cpu's portable kernels, in float32
// only; it reports whether it did.
func (m *twinMemory[T]) delegate(i kernel.Instruction, ints []int32, at kernel.Span, outputs ...kernel.Span) bool {
	values, ok := any(m.v).([]float32)
	if !ok {
		return false
	}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	backend := portable()
	memory, err := backend.Allocate(len(values))
	must(err)
	must(memory.Write(kernel.Span{Len: len(values)}, values))
	must(memory.WriteInts(at, ints))
	exec, err := backend.Prepare(&kernel.Program{Elements: len(values), Instructions: []kernel.Instruction{i}}, memory)
	must(err)
	must(exec.Run(kernel.Scalars{}))
	for _, out := range outputs {
		must(memory.Read(values[out.Offset:out.Offset+out.Len], out))
	}
	return true
}
