package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"
)

// elementVariants returns the assembly variants that this machine runs, and
// logs which they are.
func elementVariants(t testing.TB) []elementKernels {
	t.Helper()
	var variants []elementKernels
	for _, level := range []Level{LevelAVX2, LevelAVX512} {
		if level > Detect().Best() {
			t.Logf("NOT TESTED: %s, which this machine or build lacks", level)
			continue
		}
		e := newElements(level)
		if e.name != level.String() {
			t.Fatalf("the kernels of level %s are %s", level, e.name)
		}
		t.Logf("%s equals portable", e.name)
		variants = append(variants, e)
	}
	return variants
}

// primitive is a call of one kernel on operands of lengths that follow from n.
type primitive struct {
	name    string
	lengths func(n int) []int
	run     func(k *elementKernels, n int, s [][]float32, a float32) float32
	alias   bool // operand 0 may be operand 1
}

func same(operands int) func(int) []int {
	return func(n int) []int {
		l := make([]int, operands)
		for i := range l {
			l[i] = n
		}
		return l
	}
}

type (
	mapping func(y, x []float32)
	grad    func(dx, x, dy []float32)
	scalar  func(y, x []float32, a float32)
)

func primitives() []primitive {
	var out []primitive
	for _, p := range []struct {
		name string
		of   func(*elementKernels) mapping
	}{
		{"exp", func(k *elementKernels) mapping { return k.exp }}, {"log", func(k *elementKernels) mapping { return k.log }}, {"tanh", func(k *elementKernels) mapping { return k.tanh }},
		{"sigmoid", func(k *elementKernels) mapping { return k.sigmoid }}, {"silu", func(k *elementKernels) mapping { return k.silu }},
		{"gelu", func(k *elementKernels) mapping { return k.gelu }}, {"relu", func(k *elementKernels) mapping { return k.relu }},
	} {
		out = append(out, primitive{p.name, same(2), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			p.of(k)(s[0], s[1])
			return 0
		}, true})
	}
	for _, p := range []struct {
		name string
		of   func(*elementKernels) grad
	}{
		{"siluGrad", func(k *elementKernels) grad { return k.siluGrad }}, {"geluGrad", func(k *elementKernels) grad { return k.geluGrad }},
		{"tanhGrad", func(k *elementKernels) grad { return k.tanhGrad }}, {"sigmoidGrad", func(k *elementKernels) grad { return k.sigmoidGrad }},
		{"reluGrad", func(k *elementKernels) grad { return k.reluGrad }}, {"add", func(k *elementKernels) grad { return k.add }},
		{"subtract", func(k *elementKernels) grad { return k.subtract }}, {"multiply", func(k *elementKernels) grad { return k.multiply }},
	} {
		out = append(out, primitive{p.name, same(3), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			p.of(k)(s[0], s[1], s[2])
			return 0
		}, true})
	}
	for _, p := range []struct {
		name string
		of   func(*elementKernels) scalar
	}{
		{"addTo", func(k *elementKernels) scalar { return k.addTo }}, {"scale", func(k *elementKernels) scalar { return k.scale }},
		{"divide", func(k *elementKernels) scalar { return k.divide }}, {"axpy", func(k *elementKernels) scalar { return k.axpy }},
	} {
		out = append(out, primitive{p.name, same(2), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			p.of(k)(s[0], s[1], a)
			return 0
		}, true})
	}
	out = append(out, rowPrimitives()...)
	return append(out, optimiserPrimitives()...)
}

func rowPrimitives() []primitive {
	out := []primitive{
		{"affine", same(4), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			k.affine(s[0], s[1], s[2], s[3], a)
			return 0
		}, true},
		{"scoreGrad", same(2), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			k.scoreGrad(s[0], s[1], a, -a)
			return 0
		}, false},
		{"scaleMax", same(1), func(k *elementKernels, _ int, s [][]float32, a float32) float32 { return k.scaleMax(s[0], a) }, false},
		{"sumShifted", same(1), func(k *elementKernels, _ int, s [][]float32, a float32) float32 { return k.sumShifted(s[0], a) }, false},
		{"softmaxGrad", same(1), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			k.softmaxGrad(s[0], a, 0.1, -0.5)
			return 0
		}, false},
		{"argmax", same(1), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			return float32(k.argmax(s[0]))
		}, false},
		{"sum", same(1), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 { return k.sum(s[0]) }, false},
		{"sumSquares", same(1), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 { return k.sumSquares(s[0]) }, false},
		{"dot", same(2), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 { return k.dot(s[0], s[1]) }, true},
		{"sumExp", same(2), func(k *elementKernels, _ int, s [][]float32, a float32) float32 { return k.sumExp(s[0], s[1], a) }, true},
		{"sumExp without terms", same(1), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			return k.sumExp(nil, s[0], a)
		}, false},
		{"sumColumns", func(n int) []int { return []int{2 * n, 7 * (2*n + 3)} }, func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.sumColumns(s[0], s[1], n%8, 2*n+3)
			return 0
		}, false},
	}
	for _, threshold := range []uint32{0, 1 << 23, 1 << 24} {
		out = append(out, primitive{fmt.Sprintf("dropout below %#x", threshold), func(n int) []int { return []int{4 * n, 4 * n} },
			func(k *elementKernels, n int, s [][]float32, a float32) float32 {
				c := &dropoutConstants{seed: 0x0123456789abcdef, counter: dropoutCounter(0xabcdef9876543210), threshold: threshold, factor: a}
				k.dropout(s[0], s[1], c, 1<<34-uint64(3*n))
				return 0
			}, true})
	}
	return append(append(append(out, softmaxPrimitives()...), columnPrimitives()...), append(normPrimitives(), bfloat16Primitives()...)...)
}

// softmaxPrimitives are over 5 rows of up to 16 logits; grad may be x.
func softmaxPrimitives() (out []primitive) {
	const rows = 5
	for _, gradient := range []bool{true, false} {
		out = append(out, primitive{fmt.Sprintf("softmaxRows gradient %t", gradient), func(n int) []int {
			n = n%16 + 1
			return []int{rows * n, rows * n, rows, rows, rows}
		}, func(k *elementKernels, n int, s [][]float32, a float32) float32 {
			labels := make([]int32, rows)
			for i := range labels {
				labels[i] = int32((n + i*i) % (n%16 + 1))
			}
			grad := s[0]
			if !gradient {
				grad = nil
			}
			k.softmaxRows(grad, s[1], labels, s[2], s[3], s[4], n%16+1, a)
			return 0
		}, true})
	}
	return out
}

// columnPrimitives are over n%8 rows of 2n columns, 3 elements apart.
func columnPrimitives() []primitive {
	lengths := func(before, matrices, after int) func(int) []int {
		return func(n int) []int {
			l := []int{before * 2 * n}
			for range matrices {
				l = append(l, 7*(2*n+3))
			}
			for range after {
				l = append(l, 2*n)
			}
			return l
		}
	}
	return []primitive{
		{"sumColumns", lengths(1, 1, 0), func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.sumColumns(s[0], s[1], n%8, 2*n+3)
			return 0
		}, false},
		{"squareColumns", lengths(1, 1, 1), func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.squareColumns(s[0], s[1], s[2], n%8, 2*n+3)
			return 0
		}, false},
		{"batchGainGrad", lengths(1, 2, 2), func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.batchGainGrad(s[0], s[1], s[2], s[3], s[4], n%8, 2*n+3)
			return 0
		}, false},
		{"layerGainGrad", func(n int) []int { return append(lengths(1, 2, 0)(n), 7, 7) }, func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.layerGainGrad(s[0], s[1], s[2], s[3], s[4], n%8, 2*n+3)
			return 0
		}, false},
		{"layerGainGrad without means", func(n int) []int { return append(lengths(1, 2, 0)(n), 7) }, func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			k.layerGainGrad(s[0], s[1], s[2], nil, s[3], n%8, 2*n+3)
			return 0
		}, false},
		{"maximum", func(n int) []int { return []int{3 * n, 3 * n, 3*n + 4} }, func(k *elementKernels, n int, s [][]float32, _ float32) float32 {
			if n > 0 {
				index := unsafe.Slice((*int32)(unsafe.Pointer(&s[1][0])), len(s[1]))
				k.maximum(s[0], index, s[2], 1<<30, n, n+2)
			}
			return 0
		}, false},
	}
}

func normPrimitives() []primitive {
	return []primitive{
		{"center", same(2), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			k.center(s[0], s[1], a, 0.75)
			return 0
		}, true},
		{"layerGrad", same(2), func(k *elementKernels, _ int, s [][]float32, a float32) float32 {
			k.layerGrad(s[0], s[1], 0.5, a, 1.25)
			return 0
		}, false},
		{"batchNormal", same(6), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			k.batchNormal(s[0], s[1], s[2], s[3], s[4], s[5])
			return 0
		}, true},
		{"batchGrad", same(8), func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			k.batchGrad(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
			return 0
		}, true},
	}
}

func optimiserPrimitives() (out []primitive) {
	for _, c := range []adamConstants{
		{beta1: 0.9, rest1: 1 - 0.9, beta2: 0.999, rest2: 1 - 0.999, rate: 0.01, correction2: 0.001, epsilon: 1e-8},
		{beta1: 0.9, rest1: 1 - 0.9, beta2: 0.999, rest2: 1 - 0.999, rate: 0.01, correction2: 0.5, epsilon: 1e-8, decay: 0.1},
		{beta1: 0.8, rest1: 1 - 0.8, beta2: 0.99, rest2: 1 - 0.99, rate: 1e-3, correction2: 1, epsilon: 0, shrink: 0.1},
	} {
		out = append(out, primitive{fmt.Sprintf("adam decay %g shrink %g", c.decay, c.shrink), same(4),
			func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
				c := c
				k.adamUpdate(&c, s[0], s[1], s[2], s[3])
				return 0
			}, false})
	}
	for variant := range 16 {
		yes := func(bit int) bool { return variant&bit != 0 }
		c := sgdConstants{rate: 0.1, momentum: 0.9, first: yes(2), nesterov: yes(4)}
		if yes(8) {
			c.decay = 0.01
		}
		out = append(out, primitive{fmt.Sprintf("sgd momentum %t %+v", yes(1), c), same(3),
			func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
				c := c
				v := s[2]
				if !yes(1) {
					v = nil
				}
				k.sgdUpdate(&c, s[0], s[1], v)
				return 0
			}, false})
	}
	return out
}

// specials are the values that assembly is most likely to get wrong: zeros,
// subnormals, infinities, NaNs, and the limits of the transcendental functions'
// ranges.
func specials() []float32 {
	return []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
		0x1p-126, -0x1.fffffcp-127, math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)),
		float32(math.NaN()), exp32Overflow, exp32Underflow, -103, -87.4, 88, 89, -104, 0.625, 9.1, 16, -16,
	}
}

// draw fills x: mixed magnitudes, and wild with many specials.
func draw(r *rand.Rand, x []float32, wild bool) {
	special := specials()
	for i := range x {
		switch {
		case wild && r.IntN(6) == 0:
			x[i] = special[r.IntN(len(special))]
		case r.IntN(5) == 0:
			x[i] = float32(r.IntN(3) - 1) // ties
		default:
			x[i] = float32(r.NormFloat64() * math.Exp2(float64(r.IntN(8)-2)))
		}
	}
}

// guard is the number of elements around operands that a kernel must not touch.
const guard = 37

// operands lays out slices of the lengths in one memory, with guard bands and
// starts of every alignment.
func operands(memory []float32, lengths []int, shift int, alias bool) [][]float32 {
	at := guard + shift
	s := make([][]float32, len(lengths))
	for i, n := range lengths {
		s[i] = memory[at : at+n : at+n]
		at += n + guard + i
	}
	if alias {
		s[0] = s[1]
	}
	return s
}

func TestElementKernelsEqualThePortableOnes(t *testing.T) {
	portable := portableElements()
	variants := elementVariants(t)
	for _, p := range primitives() {
		r := rand.New(rand.NewPCG(7, 8))
		for n := 0; n <= 67; n++ {
			for trial := range 4 {
				lengths := p.lengths(n)
				total := guard + 16
				for _, l := range lengths {
					total += l + guard + len(lengths)
				}
				memory := make([]float32, total)
				draw(r, memory, trial%2 == 1)
				a := specials()[r.IntN(len(specials()))]
				if trial < 2 {
					a = float32(r.NormFloat64())
				}
				shift, alias := r.IntN(16), p.alias && trial >= 2
				want := append([]float32(nil), memory...)
				wantResult := p.run(&portable, n, operands(want, lengths, shift, alias), a)
				for i := range variants {
					got := append([]float32(nil), memory...)
					result := p.run(&variants[i], n, operands(got, lengths, shift, alias), a)
					if !sameFloat(result, wantResult) {
						t.Fatalf("%s.%s of %d: %x, portable gives %x", p.name, variants[i].name, n, result, wantResult)
					}
					for j := range want {
						if !sameFloat(got[j], want[j]) {
							t.Fatalf("%s.%s of %d, factor %x, operands from %d: element %d becomes %x, portable gives %x",
								p.name, variants[i].name, n, a, guard+shift, j, got[j], want[j])
						}
					}
				}
			}
		}
	}
}

// About four million arguments of each function, over all bit patterns; every
// one if REPRISE_LONG is set.
func TestTranscendentalKernelsEqualThePortableOnesOnAllKindsOfBits(t *testing.T) {
	portable := portableElements()
	variants := elementVariants(t)
	step := uint64(1021)
	switch {
	case os.Getenv("REPRISE_LONG") != "":
		step = 1
	case testing.Short():
		step *= 8
	}
	const block = 4096
	ones := make([]float32, block)
	for i := range ones {
		ones[i] = 1
	}
	for _, f := range []struct {
		name string
		run  func(k *elementKernels, y, x []float32)
	}{
		{"exp", func(k *elementKernels, y, x []float32) { k.exp(y, x) }},
		{"log", func(k *elementKernels, y, x []float32) { k.log(y, x) }},
		{"tanh", func(k *elementKernels, y, x []float32) { k.tanh(y, x) }},
		{"sigmoid", func(k *elementKernels, y, x []float32) { k.sigmoid(y, x) }},
		{"silu", func(k *elementKernels, y, x []float32) { k.silu(y, x) }},
		{"gelu", func(k *elementKernels, y, x []float32) { k.gelu(y, x) }},
		{"siluGrad", func(k *elementKernels, y, x []float32) { k.siluGrad(y, x, ones[:len(x)]) }},
		{"geluGrad", func(k *elementKernels, y, x []float32) { k.geluGrad(y, x, ones[:len(x)]) }},
		{"tanhGrad", func(k *elementKernels, y, x []float32) { k.tanhGrad(y, x, ones[:len(x)]) }},
		{"sigmoidGrad", func(k *elementKernels, y, x []float32) { k.sigmoidGrad(y, x, ones[:len(x)]) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			x, want, got := make([]float32, block), make([]float32, block), make([]float32, block)
			check := func(x []float32) {
				f.run(&portable, want[:len(x)], x)
				for i := range variants {
					f.run(&variants[i], got[:len(x)], x)
					for j, v := range x {
						if !sameFloat(got[j], want[j]) {
							t.Fatalf("%s.%s(%x) is %x, portable gives %x", f.name, variants[i].name, v, got[j], want[j])
						}
					}
				}
			}
			filled := 0
			try := func(u uint32) {
				x[filled] = math.Float32frombits(u)
				if filled++; filled == block {
					check(x)
					filled = 0
				}
			}
			for u := uint64(rand.Uint64N(step)); u < 1<<32; u += step {
				try(uint32(u))
			}
			// Every neighbour of a border.
			for _, v := range specials() {
				for d := range uint32(512) {
					try(math.Float32bits(v) + d - 256)
				}
			}
			check(x[:filled])
		})
	}
}

// The order of a row's sum, as docs/numerics.md defines it, without loops.
func TestRowSumsUseSixteenLanesAndATree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 50)
	draw(r, x, false)
	var lane [16]float32
	for j := range lane {
		lane[j] = x[j] + 0
		lane[j] += x[16+j]
		lane[j] += x[32+j]
	}
	lane[0] += x[48]
	lane[1] += x[49]
	four := func(l int) float32 { return (lane[l] + lane[l+8]) + (lane[l+4] + lane[l+12]) }
	want := (four(0) + four(2)) + (four(1) + four(3))
	for _, e := range append(elementVariants(t), portableElements()) {
		if got := e.sum(x); got != want {
			t.Errorf("sum.%s is %x, want %x", e.name, got, want)
		}
	}
}

// Assembly does not check lengths: its callers must, and panic whenever the
// portable loop does. An operand that determines the length of the call may be
// shorter.
func TestElementKernelsPanicOnOperandsThatAreTooShort(t *testing.T) {
	portable := portableElements()
	variants := elementVariants(t)
	for _, p := range primitives() {
		lengths := p.lengths(20)
		panics := 0
		for i, n := range lengths {
			for _, short := range []int{4, n - 1} {
				shortened := append([]int(nil), lengths...)
				shortened[i] = short
				memory := make([]float32, 4000)
				draw(rand.New(rand.NewPCG(5, 6)), memory, false)
				run := func(k *elementKernels) (after []float32, panicked bool) {
					after = append([]float32(nil), memory...)
					defer func() { panicked = recover() != nil }()
					p.run(k, 20, operands(after, shortened, 0, false), 1)
					return after, false
				}
				want, fails := run(&portable)
				if fails {
					panics++
				}
				for v := range variants {
					got, panicked := run(&variants[v])
					if panicked != fails {
						t.Errorf("%s.%s, operand %d of %d: panicked is %t, of portable %t", p.name, variants[v].name, i, short, panicked, fails)
					} else if !panicked && !slices.EqualFunc(got, want, sameFloat) {
						t.Errorf("%s.%s, operand %d of %d: differs from portable", p.name, variants[v].name, i, short)
					}
				}
			}
		}
		if panics == 0 && len(lengths) > 1 {
			t.Errorf("%s: no operand is too short", p.name)
		}
	}
}

func BenchmarkElements(b *testing.B) {
	const n = 4095 // 7 rows for sumColumns, and a tail
	r := rand.New(rand.NewPCG(3, 4))
	for _, p := range primitives() {
		for _, e := range append([]elementKernels{portableElements()}, elementVariants(b)...) {
			total := 0
			lengths := p.lengths(n)
			s := make([][]float32, len(lengths))
			for i, l := range lengths {
				s[i] = make([]float32, l)
				total += l
				for j := range s[i] {
					s[i][j] = r.Float32()
				}
			}
			b.Run(p.name+"/"+e.name, func(b *testing.B) {
				b.SetBytes(int64(4 * total))
				for b.Loop() {
					p.run(&e, n, s, 0.5)
				}
			})
		}
	}
}
