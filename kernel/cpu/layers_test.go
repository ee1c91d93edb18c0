package cpu

import (
	"errors"
	"math"
	"math/rand"
	"testing"

	"reprise/kernel"
)

// maker draws an instruction, lays it out, and may store the integers that it
// needs.
type maker = func(s source, l *layout) (kernel.Instruction, func(rng *rand.Rand, t twin))

// withMakers returns the union of maps.
func withMakers(maps ...map[kernel.Operation]maker) map[kernel.Operation]maker {
	all := map[kernel.Operation]maker{}
	for _, m := range maps {
		for op, make1 := range m {
			all[op] = make1
		}
	}
	return all
}

// layerMakers are those of the instructions in elementwise.go, norm.go and
// loss.go of package kernel.
func layerMakers() map[kernel.Operation]maker {
	return withMakers(elementwiseMakers(), normMakers(), bfloat16Makers())
}

// inPlace returns one of the spans, which an instruction may write over, or a new one.
func inPlace(s source, l *layout, spans ...kernel.Span) kernel.Span {
	if i := s.between("inPlace", 0, len(spans)); i < len(spans) {
		return spans[i]
	}
	return l.span(spans[0].Len)
}

func randomTokens(tokens kernel.Span, v int) func(*rand.Rand, twin) {
	return func(rng *rand.Rand, t twin) {
		for i := range tokens.Len {
			t.setInt(tokens, i, int32(rng.Intn(v)))
		}
	}
}

func elementwiseMakers() map[kernel.Operation]maker {
	return map[kernel.Operation]maker{
		kernel.OpAdd: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			n := s.between("n", 1, 70)
			in := kernel.Add{A: l.span(n), B: l.span(n)}
			if s.between("same", 0, 3) == 0 {
				in.B = in.A
			}
			in.Out = inPlace(s, l, in.A, in.B)
			return in, nil
		},
		kernel.OpAddRow: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.AddRow{M: m, N: n, X: l.span(m * n), Row: l.span(n)}
			in.Y = inPlace(s, l, in.X)
			return in, nil
		},
		kernel.OpScale: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			in := kernel.Scale{X: l.span(s.between("n", 1, 70)), Factor: float32(s.between("factor", -3, 3)) / 3}
			in.Y = inPlace(s, l, in.X)
			return in, nil
		},
		kernel.OpDropout: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			in := kernel.Dropout{X: l.span(s.between("n", 1, 70)), Stream: s.between("stream", 0, 1<<24-1), First: s.between("first", 0, 1<<39)}
			in.Y = inPlace(s, l, in.X)
			in.Rate = []float32{0, 0.1, 0.5, 0x1.fffffep-1, 0x1p-30}[s.between("rate", 0, 4)]
			return in, nil
		},
		kernel.OpEmbedding: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n, v := s.between("m", 1, 20), s.between("n", 1, 70), s.between("v", 1, 20)
			in := kernel.Embedding{M: m, N: n, V: v, Tokens: l.span(m), Table: l.span(v * n), Y: l.span(m * n)}
			return in, randomTokens(in.Tokens, v)
		},
		kernel.OpEmbeddingGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n, v := s.between("m", 1, 20), s.between("n", 1, 70), s.between("v", 1, 20)
			in := kernel.EmbeddingGrad{M: m, N: n, V: v, Tokens: l.span(m), DY: l.span(m * n), DTable: l.span(v * n)}
			return in, randomTokens(in.Tokens, v)
		},
		kernel.OpCopyColumns: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.CopyColumns{M: m, N: n, XFirst: s.between("xfirst", 0, 5), YFirst: s.between("yfirst", 0, 5)}
			in.XN, in.YN = in.XFirst+n+s.between("xrest", 0, 5), in.YFirst+n+s.between("yrest", 0, 5)
			in.X, in.Y = l.span(m*in.XN), l.span(m*in.YN)
			return in, nil
		},
		kernel.OpTokenColumns: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.TokenColumns{M: m, N: n, First: s.between("first", 0, 5)}
			in.XN = in.First + n + s.between("rest", 0, 5)
			in.X, in.Y = l.span(m*in.XN), l.span(m*n)
			return in, func(rng *rand.Rand, t twin) {
				values := []float32{0, 1, 2, 0.5, -1, 1 << 24, 1<<24 + 2, float32(math.NaN()), float32(math.Inf(1)), -0x1p40, 65535}
				for i := range in.X.Len {
					t.set(in.X, i, values[rng.Intn(len(values))])
				}
			}
		},
		kernel.OpMeanTokens: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n, tokens := s.between("rows", 1, 9), s.between("n", 1, 70), s.between("tokens", 1, 20)
			in := kernel.MeanTokens{M: m, T: tokens, N: n, Tokens: l.span(m * tokens), X: l.span(m * tokens * n), Y: l.span(m * n)}
			return in, randomTokens(in.Tokens, 9)
		},
		kernel.OpMeanTokensGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n, tokens := s.between("rows", 1, 9), s.between("n", 1, 70), s.between("tokens", 1, 20)
			in := kernel.MeanTokensGrad{M: m, T: tokens, N: n, Tokens: l.span(m * tokens), DY: l.span(m * n), DX: l.span(m * tokens * n)}
			return in, randomTokens(in.Tokens, 9)
		},
		kernel.OpRunningAverage: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			n := s.between("n", 1, 70)
			return kernel.RunningAverage{Running: l.span(n), Batch: l.span(n), Momentum: 0.1, Factor: float32(s.between("factor", 0, 9)) / 7}, nil
		},
		kernel.OpClipNorm: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			n := s.between("n", 1, 70)
			return kernel.ClipNorm{Grad: l.span(n), Norm: l.span(1), MaxNorm: float32(s.between("maxNorm", 0, 9))}, nil
		},
		kernel.OpAbsoluteError: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.AbsoluteError{M: m, N: n, Scale: 1 / float32(m), Prediction: l.span(m * n), Target: l.span(m * n), Loss: l.span(m)}
			in.Delta = float32(s.between("delta", 0, 3)) * 0.6
			if s.yes("gradient") {
				in.DPrediction = inPlace(s, l, in.Prediction)
			}
			return in, nil
		},
		kernel.OpReweightLoss: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.ReweightLoss{M: m, N: n, Gamma: float32(s.between("gamma", 0, 5)) * 0.7, Loss: l.span(m)}
			if s.yes("weight") {
				in.Weight = l.span(m)
			}
			if s.yes("gradient") {
				in.DLogits = l.span(m * n)
			}
			return in, func(_ *rand.Rand, t twin) { // a cross-entropy is at least 0
				for i := range m {
					t.set(in.Loss, i, float32(math.Abs(float64(t.get(in.Loss, i)))))
				}
			}
		},
		kernel.OpMeanSquaredError: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.MeanSquaredError{M: m, N: n, Scale: 1 / float32(m), Prediction: l.span(m * n), Target: l.span(m * n), Loss: l.span(m)}
			if s.yes("gradient") {
				in.DPrediction = inPlace(s, l, in.Prediction)
			}
			return in, nil
		},
	}
}

func normMakers() map[kernel.Operation]maker {
	const epsilon = 1e-5
	return map[kernel.Operation]maker{
		kernel.OpLayerNorm: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.LayerNorm{M: m, N: n, Epsilon: epsilon, X: l.span(m * n), Gain: l.span(n), Bias: l.span(n), Mean: l.span(m), InvStd: l.span(m)}
			in.Y = inPlace(s, l, in.X)
			return in, nil
		},
		kernel.OpLayerNormGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.LayerNormGrad{M: m, N: n, X: l.span(m * n), Gain: l.span(n), Mean: l.span(m), InvStd: l.span(m), DY: l.span(m * n), DGain: l.span(n), DBias: l.span(n)}
			in.DX = inPlace(s, l, in.DY)
			return in, nil
		},
		kernel.OpRMSNorm: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.RMSNorm{M: m, N: n, Epsilon: epsilon, X: l.span(m * n), Gain: l.span(n), InvStd: l.span(m)}
			in.Y = inPlace(s, l, in.X)
			return in, nil
		},
		kernel.OpRMSNormGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 9), s.between("n", 1, 70)
			in := kernel.RMSNormGrad{M: m, N: n, X: l.span(m * n), Gain: l.span(n), InvStd: l.span(m), DY: l.span(m * n), DGain: l.span(n)}
			in.DX = inPlace(s, l, in.DY)
			return in, nil
		},
		kernel.OpBatchNorm: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("rows", 1, 700), s.between("n", 1, 20)
			return kernel.BatchNorm{M: m, N: n, Epsilon: epsilon, X: l.span(m * n), Gain: l.span(n), Bias: l.span(n), Y: l.span(m * n),
				Mean: l.span(n), InvStd: l.span(n), BatchMean: l.span(n), BatchVar: l.span(n)}, nil
		},
		kernel.OpBatchNormGrad: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("rows", 1, 700), s.between("n", 1, 20)
			in := kernel.BatchNormGrad{M: m, N: n, X: l.span(m * n), Gain: l.span(n), Mean: l.span(n), InvStd: l.span(n), DY: l.span(m * n), DGain: l.span(n), DBias: l.span(n)}
			in.DX = inPlace(s, l, in.DY)
			return in, nil
		},
		kernel.OpBatchNormApply: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			m, n := s.between("m", 1, 20), s.between("n", 1, 70)
			in := kernel.BatchNormApply{M: m, N: n, Epsilon: epsilon, X: l.span(m * n), Mean: l.span(n), Var: l.span(n), Gain: l.span(n), Bias: l.span(n)}
			in.Y = inPlace(s, l, in.X)
			return in, func(_ *rand.Rand, t twin) {
				for j := range n { // a variance is not negative
					t[in.Var.Offset+j] &^= signBit
				}
			}
		},
	}
}

// fixedSource gives m and n set values and everything else by a choice.
type fixedSource struct{ m, n, choice int }

func (s fixedSource) between(name string, lo, hi int) int {
	switch name {
	case "m", "rows":
		return s.m
	case "n":
		return s.n
	case "v":
		return 5
	}
	return lo + s.choice%(hi-lo+1)
}

func (s fixedSource) yes(string) bool { return s.choice%2 == 1 }

// Sizes about the lanes, the blocks of rows and the generator's blocks of four.
func TestLayersOfAwkwardSizesGiveTheBitsOfTheirTwins(t *testing.T) {
	var backends []*Backend
	for _, level := range Detect().Levels() {
		backends = append(backends, newTestBackend(t, Config{Threads: 1, Features: level}), newTestBackend(t, Config{Threads: 3, Features: level}))
	}
	for op, make1 := range layerMakers() {
		t.Run(string(op), func(t *testing.T) {
			choice := 0
			for _, m := range []int{1, 3, 17, 127, 128, 129, 257} {
				for _, n := range []int{1, 3, 15, 16, 17, 63, 65} {
					newTrial(fixedSource{m, n, choice}, int64(choice), choice%3 == 0, make1).check(t, backends)
					choice++
				}
			}
		})
	}
}

// A dropped element is +0 whatever it was, and the mask of a part of a batch is
// that part of the batch's mask.
func TestDropoutDependsOnlyOnThePositionInTheBatch(t *testing.T) {
	const n = 1001
	rng := rand.New(rand.NewSource(1))
	x := normal(rng, n, 1)
	for i := range x {
		if i%3 == 0 {
			x[i] = float32(math.Inf(-1))
		}
	}
	m := newMachine(t)
	xs, whole, parts := m.put(x), m.layout.span(n), m.layout.span(n)
	in := kernel.Dropout{X: xs, Y: whole, Rate: 0.3, Stream: 2, First: 7}
	instructions := []kernel.Instruction{in}
	for from := 0; from < n; from += 130 {
		size := min(130, n-from)
		instructions = append(instructions, kernel.Dropout{X: xs.Slice(from, size), Y: parts.Slice(from, size), Rate: 0.3, Stream: 2, First: 7 + from})
	}
	m.run(instructions...)
	dropped := 0
	got := m.get(parts)
	for i, want := range m.get(whole) {
		if math.Float32bits(got[i]) != math.Float32bits(want) {
			t.Fatalf("element %d is %g in its part, %g in the whole", i, got[i], want)
		}
		if math.Float32bits(want) == 0 {
			dropped++
		} else if want != float32(x[i]*float32(1/(1-float64(float32(0.3))))) {
			t.Fatalf("element %d is %g of %g", i, want, x[i])
		}
	}
	if dropped < n*25/100 || dropped > n*35/100 {
		t.Errorf("%d of %d elements are dropped, want about 30%%", dropped, n)
	}
}

func TestDropThresholdIsTheLeastNumberKept(t *testing.T) {
	rates := []float32{0, math.SmallestNonzeroFloat32, 0x1p-24, 0x1.8p-24, 0x1p-23, 0.1, 0.25, 1. / 3, 0.5, 0x1.fffffep-1}
	rng := rand.New(rand.NewSource(1))
	for range 1000 {
		rates = append(rates, rng.Float32())
	}
	dropped := func(u uint32, rate float32) bool { return float32(u)*0x1p-24 < rate }
	for _, rate := range rates {
		u := dropThreshold(rate)
		if dropped(u, rate) || u > 0 && !dropped(u-1, rate) {
			t.Errorf("the threshold of %g is %d", rate, u)
		}
	}
}

func TestRunRefusesTokensOutsideTheVocabulary(t *testing.T) {
	for name, make1 := range map[string]func(tokens, rows, table kernel.Span) kernel.Instruction{
		"Embedding": func(tokens, rows, table kernel.Span) kernel.Instruction {
			return kernel.Embedding{M: 3, N: 4, V: 5, Tokens: tokens, Table: table, Y: rows}
		},
		"EmbeddingGrad": func(tokens, rows, table kernel.Span) kernel.Instruction {
			return kernel.EmbeddingGrad{M: 3, N: 4, V: 5, Tokens: tokens, DY: rows, DTable: table}
		},
	} {
		for _, token := range []int32{-1, 5, math.MaxInt32, math.MinInt32} {
			m := newMachine(t)
			tokens, rows, table := m.layout.span(3), m.put(normal(rand.New(rand.NewSource(1)), 12, 1)), m.put(normal(rand.New(rand.NewSource(2)), 20, 1))
			before := append(m.get(rows), m.get(table)...)
			if err := m.memory.WriteInts(tokens, []int32{4, token, 0}); err != nil {
				t.Fatal(err)
			}
			e, err := m.backend.Prepare(&kernel.Program{Instructions: []kernel.Instruction{make1(tokens, rows, table)}, Elements: m.memory.Len()}, m.memory)
			if err != nil {
				t.Fatal(err)
			}
			var bad *TokenError
			if err := e.Run(kernel.Scalars{}); !errors.As(err, &bad) || *bad != (TokenError{Row: 1, Token: token, Vocabulary: 5}) {
				t.Errorf("%s, token %d of 5: %v", name, token, err)
			}
			for i, v := range append(m.get(rows), m.get(table)...) {
				if v != before[i] {
					t.Fatalf("%s, token %d of 5: element %d was written", name, token, i)
				}
			}
		}
	}
}

// Norms at and near the limit, and those that are not a number.
func TestClipNormAtItsLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		name       string
		grad       []float32
		max        float32
		norm       float32
		wantScaled []float32
	}{
		{"below", []float32{3, 4}, 6, 5, []float32{3, 4}},
		{"at the limit", []float32{3, 4}, 5, 5, []float32{3, 4}},
		{"above", []float32{3, 4}, 2.5, 5, []float32{1.5, 2}},
		{"to nothing", []float32{3, -4}, 0, 5, []float32{0, float32(math.Copysign(0, -1))}},
		{"no gradient", []float32{0, 0}, 0, 0, []float32{0, 0}},
		{"overflow", []float32{0x1p100, 1}, 1, inf, []float32{0x1p100, 1}},
		{"infinite", []float32{inf, 1}, 1, inf, []float32{inf, 1}},
		{"NaN", []float32{nan, 1}, 1, nan, []float32{nan, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			in := kernel.ClipNorm{Grad: m.put(tt.grad), Norm: m.layout.span(1), MaxNorm: tt.max}
			m.run(in)
			got := append(m.get(in.Grad), m.get(in.Norm)...)
			for i, want := range append(tt.wantScaled, tt.norm) {
				if !sameBits(math.Float32bits(got[i]), math.Float32bits(want)) {
					t.Errorf("element %d of the gradient and the norm is %g, want %g", i, got[i], want)
				}
			}
		})
	}
}
