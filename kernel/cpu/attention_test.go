package cpu

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"

	"reprise/kernel"
)

// keys returns how many keys query i works on and how many it sees.
func (t twinHead) keys(i int) (n, seen int) {
	if !t.Causal {
		return t.length, t.length
	}
	return min((i/kernel.AttentionBlock+1)*kernel.AttentionBlock, t.length), i + 1
}

// twinLanes adds sixteen lanes up in the fixed tree.
func twinLanes(lane [16]float32) float32 {
	for d := 8; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

// twinHead addresses one head of one sequence.
type twinHead struct {
	twin
	kernel.AttentionShape
	sequence, head int
	length         int // of the sequence
}

// at returns the place of a component in an array [Batch,Tokens,parts*width].
func (t twinHead) at(parts, part, token, component int) int {
	return ((t.sequence*t.Tokens+token)*parts+part)*t.Width() + t.head*t.HeadWidth + component
}

func (t twinHead) statistic(token int) int {
	return (t.sequence*t.Heads+t.head)*t.Tokens + token
}

// dot returns a chain over two tokens' components.
func (t twinHead) dot(a kernel.Span, aParts, aPart, i int, b kernel.Span, bPart, j int) float32 {
	var sum float32
	for c := range t.HeadWidth {
		sum = FMA32(t.get(a, t.at(aParts, aPart, i, c)), t.get(b, t.at(3, bPart, j, c)), sum)
	}
	return sum
}

func (t twinHead) scale() float32 { return float32(1 / math.Sqrt(float64(t.HeadWidth))) }

// scores returns s of query i.
func (t twinHead) scores(qkv kernel.Span, i int) []float32 {
	n, _ := t.keys(i)
	s := make([]float32, n)
	for j := range s {
		s[j] = t.scale() * t.dot(qkv, 3, 0, i, qkv, 1, j)
	}
	return s
}

// probabilities returns p of query i.
func (t twinHead) probabilities(s []float32, i int, top, inv float32) []float32 {
	_, seen := t.keys(i)
	p := make([]float32, len(s))
	for j := range p {
		var e float32
		if j < seen {
			e = exp32(s[j] - top)
		}
		p[j] = e * inv
	}
	return p
}

func eachHead(t twin, s kernel.AttentionShape, text kernel.Span, f func(twinHead)) {
	for sequence := range s.Batch {
		length := s.Tokens
		for i := s.Tokens - 1; i >= 0 && !text.Empty(); i-- {
			if t.getInt(text, sequence*s.Tokens+i) == 0 {
				length = i
			}
		}
		for head := range s.Heads {
			f(twinHead{t, s, sequence, head, length})
		}
	}
}

func (t twin) attention(in kernel.Attention) {
	eachHead(t, in.AttentionShape, in.Text, func(t twinHead) {
		for i := t.length; i < in.Tokens; i++ {
			t.set(in.Max, t.statistic(i), 0)
			t.set(in.Inv, t.statistic(i), 0)
			for c := range in.HeadWidth {
				t.set(in.Y, t.at(1, 0, i, c), 0)
			}
		}
		for i := range t.length {
			s := t.scores(in.QKV, i)
			_, seen := t.keys(i)
			top := float32(math.Inf(-1))
			for _, v := range s[:seen] {
				if v > top {
					top = v
				}
			}
			if top == 0 {
				top = 0 // +0
			}
			var lane [16]float32
			for j, v := range s[:seen] {
				lane[j%16] += exp32(v - top)
			}
			inv := 1 / twinLanes(lane)
			t.set(in.Max, t.statistic(i), top)
			t.set(in.Inv, t.statistic(i), inv)
			p := t.probabilities(s, i, top, inv)
			for c := range in.HeadWidth {
				var y float32
				for j := range p {
					y = FMA32(p[j], t.get(in.QKV, t.at(3, 2, j, c)), y)
				}
				t.set(in.Y, t.at(1, 0, i, c), y)
			}
		}
	})
}

func (t twin) attentionGrad(in kernel.AttentionGrad) {
	for i := range in.DQKV.Len {
		t.set(in.DQKV, i, 0)
	}
	eachHead(t, in.AttentionShape, in.Text, func(t twinHead) {
		for i := range t.length {
			p := t.probabilities(t.scores(in.QKV, i), i, t.get(in.Max, t.statistic(i)), t.get(in.Inv, t.statistic(i)))
			var lane [16]float32
			for c := range in.HeadWidth {
				at := t.at(1, 0, i, c)
				lane[c%16] = FMA32(t.get(in.DY, at), t.get(in.Y, at), lane[c%16])
			}
			sum := twinLanes(lane)
			for j := range p {
				dp := t.dot(in.DY, 1, 0, i, in.QKV, 2, j)
				ds := p[j] * (dp - sum)
				ds *= t.scale()
				for c := range in.HeadWidth {
					add := func(part, token int, x, y float32) {
						at := t.at(3, part, token, c)
						t.set(in.DQKV, at, FMA32(x, y, t.get(in.DQKV, at)))
					}
					add(0, i, ds, t.get(in.QKV, t.at(3, 1, j, c)))
					add(1, j, ds, t.get(in.QKV, t.at(3, 0, i, c)))
					add(2, j, p[j], t.get(in.DY, t.at(1, 0, i, c)))
				}
			}
		}
	})
}

// attentionPair lays out both directions over the same operands.
func attentionPair(l *layout, s kernel.AttentionShape) (kernel.Attention, kernel.AttentionGrad) {
	values, statistics := s.Batch*s.Tokens*s.Width(), s.Batch*s.Heads*s.Tokens
	f := kernel.Attention{
		AttentionShape: s, QKV: l.span(3 * values), Y: l.span(values),
		Max: l.span(statistics), Inv: l.span(statistics),
	}
	return f, kernel.AttentionGrad{
		AttentionShape: s, QKV: f.QKV, Y: f.Y, Max: f.Max, Inv: f.Inv,
		DY: l.span(values), DQKV: l.span(3 * values),
	}
}

// checkAttention compares whole memories, guard bands included, with the twin's.
func checkAttention(t *testing.T, s kernel.AttentionShape, seed int64, wild bool, backends []*Backend) {
	t.Helper()
	checkAttentionOf(t, s, nil, seed, wild, backends)
}

// checkAttentionOf is checkAttention for texts of some lengths, or nil.
func checkAttentionOf(t *testing.T, s kernel.AttentionShape, lengths []int, seed int64, wild bool, backends []*Backend) {
	t.Helper()
	l := newLayout()
	forward, backward := attentionPair(l, s)
	if lengths != nil {
		forward.Text = l.span(s.Batch * s.Tokens)
		backward.Text = forward.Text
	}
	start := make([]uint32, l.elements)
	fill(rand.New(rand.NewSource(seed)), start, wild)
	for i, n := range lengths {
		for k := range s.Tokens {
			token := int32(7)
			if k == n {
				token = 0 // whatever comes after it
			}
			twin(start).setInt(forward.Text, i*s.Tokens+k, token)
		}
	}
	between := append(twin(nil), start...)
	between.attention(forward)
	end := append(twin(nil), between...)
	end.attentionGrad(backward)
	compare := func(b *Backend, in kernel.Instruction, from, want []uint32) {
		got := (&trial{instruction: in, memory: from}).run(t, b)
		for i := range want {
			if !sameBits(got[i], want[i]) {
				t.Fatalf("%s, %d threads, %#v:\nelement %d is %x (%g), the twin has %x (%g)", b.Level(), b.Threads(), in,
					i, got[i], math.Float32frombits(got[i]), want[i], math.Float32frombits(want[i]))
			}
		}
	}
	for _, b := range backends {
		compare(b, forward, start, between)
		compare(b, backward, between, end)
	}
}

func TestAttentionGivesTheBitsOfItsTwin(t *testing.T) {
	backends := allBackends(t)
	for _, b := range backends {
		for _, op := range []kernel.Operation{kernel.OpAttention, kernel.OpAttentionGrad} {
			if got, want := b.Selected(op).Name, string(op)+"."+b.gemm.Name(); got != want {
				t.Fatalf("%s at %s is computed by %q, want %q", op, b.Level(), got, want)
			}
		}
	}
	seed := int64(0)
	for _, tokens := range []int{1, 3, 17, 63, 64, 65, 130} {
		for _, headWidth := range []int{1, 3, 8, 17, 32, 64} {
			for _, causal := range []bool{false, true} {
				seed++
				s := kernel.AttentionShape{
					Batch: 1 + int(seed)%3, Tokens: tokens, Heads: 1 + int(seed/3)%4, HeadWidth: headWidth, Causal: causal,
				}
				use := backends
				if testing.Short() && seed%5 != 0 && tokens > 17 {
					continue // every length, width and mask comes up still, each in fewer pairs
				}
				if tokens > 17 {
					// One number of threads of each level, in turn.
					use = nil
					for i := int(seed) % 4; i < len(backends); i += 4 {
						use = append(use, backends[i])
					}
					s.Batch = 1 + int(seed)%2
					s.Heads = 1 + int(seed/5)%(1+64/headWidth)%4
				}
				checkAttention(t, s, seed, false, use)
			}
		}
	}
}

// A sequence ends where its text does, for every kernel and any length, and none.
func TestAttentionOfTextsGivesTheBitsOfItsTwin(t *testing.T) {
	backends := allBackends(t)
	for i, tokens := range []int{1, 5, 17, 70, 130} {
		s := kernel.AttentionShape{Batch: 4, Tokens: tokens, Heads: 2, HeadWidth: []int{3, 8, 17}[i%3], Causal: i%2 == 1}
		checkAttentionOf(t, s, []int{tokens, 0, (tokens + 1) / 2, tokens - 1}, int64(i), i == 2, backends)
	}
}

// Infinities, NaNs, subnormals and zeros of both signs give the documented
// result too: a key beyond the mask but within the block has the weight +0 and
// takes part.
func TestAttentionOfWildValuesGivesTheBitsOfItsTwin(t *testing.T) {
	backends := allBackends(t)
	for seed := range int64(24) {
		s := kernel.AttentionShape{
			Batch: 1, Tokens: []int{2, 9, 40, 70}[seed%4], Heads: 2, HeadWidth: []int{1, 5, 32}[seed%3], Causal: seed%2 == 0,
		}
		checkAttention(t, s, seed, true, backends)
	}
}

// The maximum of a query's scores at its edges. There is one component, so that
// the scores are a quarter of the written keys, and a zero results from
// rounding a quarter of the smallest number.
func TestAttentionMaximumIgnoresNaNsAndHasOneZero(t *testing.T) {
	nan, inf, zero := float32(math.NaN()), float32(math.Inf(1)), float32(math.Copysign(0, -1))
	for _, b := range allBackends(t) {
		for _, c := range []struct {
			keys     []float32
			max      float32
			ordinary bool // weights that add up to 1
		}{
			{[]float32{zero, -1, zero}, 0, true},
			{[]float32{-2, zero, 0}, 0, true},
			{[]float32{3, nan, 1}, 3, false},
			{[]float32{nan, nan, nan}, -inf, false},
			{[]float32{-inf, -inf, -inf}, -inf, false},
			{[]float32{-inf, -5, -inf}, -5, true},
			{[]float32{1, inf, -inf}, inf, false},
		} {
			// The width exceeds a vector, so that the keys repeat.
			const repeat = 7
			n := len(c.keys) * repeat
			s := kernel.AttentionShape{Batch: 1, Tokens: n, Heads: 1, HeadWidth: 1}
			l := newLayout()
			in := kernel.Attention{AttentionShape: s, QKV: l.span(3 * n), Y: l.span(n), Max: l.span(n), Inv: l.span(n)}
			memory := make([]uint32, l.elements)
			for i := range n {
				key := 4 * c.keys[i%len(c.keys)]
				if key == 0 {
					key = float32(math.Copysign(math.SmallestNonzeroFloat32, float64(key)))
				}
				for part, v := range []float32{0.25, key, 1} {
					memory[in.QKV.Offset+3*i+part] = math.Float32bits(v)
				}
			}
			got := (&trial{instruction: in, memory: memory}).run(t, b)
			for i := range n {
				top, y := math.Float32frombits(got[in.Max.Offset+i]), math.Float32frombits(got[in.Y.Offset+i])
				if math.Float32bits(top) != math.Float32bits(c.max) {
					t.Fatalf("%s: keys %v: maximum %v, want %v", b.Level(), c.keys, top, c.max)
				}
				if c.ordinary && math.Abs(float64(y)-1) > 1e-6 || !c.ordinary && y == y {
					t.Fatalf("%s: keys %v: y %v of ones, ordinary %t", b.Level(), c.keys, y, c.ordinary)
				}
			}
		}
	}
}

func attention64(s kernel.AttentionShape, qkv []float64) []float64 {
	w := s.Width()
	y := make([]float64, s.Batch*s.Tokens*w)
	for b := range s.Batch {
		for h := range s.Heads {
			at := func(part, token, c int) float64 { return qkv[((b*s.Tokens+token)*3+part)*w+h*s.HeadWidth+c] }
			for i := range s.Tokens {
				seen := s.Tokens
				if s.Causal {
					seen = i + 1
				}
				sum := 0.0
				e := make([]float64, seen)
				for j := range e {
					z := 0.0
					for c := range s.HeadWidth {
						z += at(0, i, c) * at(1, j, c)
					}
					e[j] = math.Exp(z / math.Sqrt(float64(s.HeadWidth)))
					sum += e[j]
				}
				for j := range e {
					for c := range s.HeadWidth {
						y[(b*s.Tokens+i)*w+h*s.HeadWidth+c] += e[j] / sum * at(2, j, c)
					}
				}
			}
		}
	}
	return y
}

func TestAttentionGradAgreesWithDifferences(t *testing.T) {
	for _, s := range []kernel.AttentionShape{
		{Batch: 2, Tokens: 7, Heads: 2, HeadWidth: 4, Causal: true},
		{Batch: 1, Tokens: 9, Heads: 1, HeadWidth: 3},
		{Batch: 1, Tokens: 67, Heads: 1, HeadWidth: 2, Causal: true},
	} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			m := newMachine(t)
			rng := rand.New(rand.NewSource(3))
			in, grad := attentionPair(m.layout, s)
			qkv, dy := normal(rng, in.QKV.Len, 1), normal(rng, in.Y.Len, 1)
			if err := m.memory.Write(in.QKV, qkv); err != nil {
				t.Fatal(err)
			}
			if err := m.memory.Write(grad.DY, dy); err != nil {
				t.Fatal(err)
			}
			m.run(in, grad)
			for i, want := range attention64(s, widen(qkv)) {
				if got := m.get(in.Y)[i]; math.Abs(float64(got)-want) > 1e-5 {
					t.Fatalf("y[%d] is %g, want %g", i, got, want)
				}
			}
			loss := func(x []float64) float64 {
				sum := 0.0
				for i, y := range attention64(s, x) {
					sum += y * float64(dy[i])
				}
				return sum
			}
			compareGradient(t, m.get(grad.DQKV), differences(loss, widen(qkv)), 2e-5)
		})
	}
}

// prepareAttention returns an executable of both directions.
func prepareAttention(t testing.TB, b *Backend, s kernel.AttentionShape) *executable {
	l := newLayout()
	forward, backward := attentionPair(l, s)
	memory, err := b.Allocate(l.elements)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(memory.Free)
	start := normal(rand.New(rand.NewSource(1)), l.elements, 1)
	if err := memory.Write(kernel.Span{Len: l.elements}, start); err != nil {
		t.Fatal(err)
	}
	program := &kernel.Program{Instructions: []kernel.Instruction{forward, backward}, Elements: l.elements}
	e, err := b.Prepare(program, memory)
	if err != nil {
		t.Fatal(err)
	}
	return e.(*executable)
}

func TestAttentionAllocatesNothing(t *testing.T) {
	for _, b := range allBackends(t) {
		e := prepareAttention(t, b, kernel.AttentionShape{Batch: 2, Tokens: 70, Heads: 3, HeadWidth: 9, Causal: true})
		allocs := testing.AllocsPerRun(5, func() {
			if err := e.Run(kernel.Scalars{}); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s, %d threads: %g allocations per run", b.Level(), b.Threads(), allocs)
		}
	}
}

// The scores of all queries at once would be tokens*tokens elements.
func TestAttentionNeedsScratchOnlyForABlockOfQueries(t *testing.T) {
	const tokens, headWidth, threads = 4096, 16, 2
	for _, level := range Detect().Levels() {
		b := newTestBackend(t, Config{Threads: threads, Features: level})
		forward, backward := attentionPair(newLayout(), kernel.AttentionShape{Batch: 1, Tokens: tokens, Heads: 2, HeadWidth: headWidth})
		memory := newMemory(b, backward.DQKV.Offset+backward.DQKV.Len)
		for _, in := range []kernel.Instruction{forward, backward} {
			binder := binder{arena: memory, pool: b.pool, gemm: b.gemm, variant: &b.gemm.variant, elements: b.elements}
			binder.bind(in)
			if limit := threads * tokens * (2*kernel.AttentionBlock + 224); binder.needed > limit {
				t.Errorf("%s at %s needs %d elements of scratch, want at most %d", in.Operation(), level, binder.needed, limit)
			}
		}
		if level != LevelNone { // and it works at this length
			e := prepareAttention(t, b, forward.AttentionShape)
			if err := e.Run(kernel.Scalars{}); err != nil {
				t.Fatal(err)
			}
			if y := e.memory.f32(forward.Y); slices.ContainsFunc(y, func(v float32) bool { return v != v }) {
				t.Error("the output has a NaN")
			}
		}
	}
}

// BenchmarkAttention reports the products' operations, excluding those beyond
// the causal block.
func BenchmarkAttention(b *testing.B) {
	s := kernel.AttentionShape{Batch: 16, Tokens: 128, Heads: 4, HeadWidth: 32, Causal: true}
	for _, level := range Detect().Levels() {
		b.Run(level.String(), func(b *testing.B) {
			backend := newTestBackend(b, Config{Threads: 1, Features: level})
			e := prepareAttention(b, backend, s)
			scores := 0
			for i := range s.Tokens {
				n, _ := twinHead{AttentionShape: s, length: s.Tokens}.keys(i)
				scores += n
			}
			for _, part := range []struct {
				name     string
				products int
				steps    []step
			}{{"forward", 2, e.steps[:1]}, {"backward", 5, e.steps[1:]}, {"both", 7, e.steps}} {
				b.Run(part.name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						for _, run := range part.steps {
							if err := run(kernel.Scalars{}); err != nil {
								b.Fatal(err)
							}
						}
					}
					flop := float64(part.products * 2 * scores * s.HeadWidth * s.Batch * s.Heads)
					b.ReportMetric(flop*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		})
	}
}
