package cpu

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// plainMatMul is the plain twin: MatMulArgs' definition, element by element.
func plainMatMul(args MatMulArgs) {
	at := func(x []float32, ld int, transposed bool, row, col int) float32 {
		if transposed {
			row, col = col, row
		}
		return x[row*ld+col]
	}
	for i := range args.M {
		for j := range args.N {
			x := float32(0)
			if len(args.Bias) != 0 {
				x = args.Bias[j]
			} else if args.Accumulate {
				x = args.C[i*args.LDC+j]
			}
			for k := range args.K {
				x = FMA32(at(args.A, args.LDA, args.TransA, i, k), at(args.B, args.LDB, args.TransB, k, j), x)
			}
			args.C[i*args.LDC+j] = x
		}
	}
}

// awkward returns a float32 that is zero, subnormal, close to overflow or, most
// often, of a magnitude that lets sums cancel and round.
func awkward(r *rand.Rand, special bool) float32 {
	if special && r.IntN(40) == 0 {
		return []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
			float32(math.NaN()), math.MaxFloat32, math.SmallestNonzeroFloat32}[r.IntN(7)]
	}
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return float32(r.IntN(64) - 32)
	case 2: // products of these are subnormal
		return float32(math.Ldexp(r.Float64()-0.5, -66-r.IntN(8)))
	case 3: // sums of these and their products are close to midpoints
		return float32(math.Ldexp(1+float64(r.IntN(9)-4)*0x1p-23, 12*(r.IntN(3)-1)))
	}
	return float32(r.NormFloat64())
}

func awkwardSlice(r *rand.Rand, n int, special bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = awkward(r, special)
	}
	return x
}

// sameFloat compares bits, with every NaN equal to every other.
func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// packedRows is a panel a[p*rows+i] of the kernel's rows.
func packedRows(k *tileKernel, depth int, a []float32) *gathered {
	g := &gathered{x: a, off: new([maxTileRows]int), seg: []int{0}, length: depth, step: k.rows}
	for i := range k.rows {
		g.off[i] = i
	}
	return g
}

// gemmsUnderTest returns every variant that can be tested here: those that
// NewGemm selects at each level of the machine.
func gemmsUnderTest(t testing.TB) []Gemm {
	t.Helper()
	var gemms []Gemm
	for _, level := range Detect().Levels() {
		g, err := NewGemm(level)
		if err != nil {
			t.Fatal(err)
		}
		if g.Level() != level {
			t.Fatalf("NewGemm(%s) selected %s", level, g.Name())
		}
		gemms = append(gemms, g)
	}
	return gemms
}

const gemmGuard = 0x7fc0beef // bits of a NaN that no computation here gives

// gemmGuarded returns a slice with guard words around it, and a function that says
// whether they are intact.
func gemmGuarded(n int) ([]float32, func() bool) {
	const band = 40
	x := make([]float32, n+2*band)
	for i := range x {
		x[i] = math.Float32frombits(gemmGuard)
	}
	return x[band : band+n : band+n], func() bool {
		for i, v := range x {
			if (i < band || i >= band+n) && math.Float32bits(v) != gemmGuard {
				return false
			}
		}
		return true
	}
}

// matMulCase is a product's shape and options.
type matMulCase struct {
	m, n, k          int
	padA, padB, padC int // elements between the rows
	transA, transB   bool
	bias, accumulate bool
	special          bool // NaN, infinities, extremes
	tiny             bool // products and sums below the normal range
}

func (x matMulCase) String() string {
	return fmt.Sprintf("M%d N%d K%d pad %d,%d,%d trans %t,%t bias %t accumulate %t special %t tiny %t",
		x.m, x.n, x.k, x.padA, x.padB, x.padC, x.transA, x.transB, x.bias, x.accumulate, x.special, x.tiny)
}

// build makes the arguments of a case and a copy for the twin.
func (x matMulCase) build(r *rand.Rand) (args, twin MatMulArgs, intact func() bool) {
	matrix := func(rows, cols, pad, scale int) ([]float32, int, func() bool) {
		ld := cols + pad
		n := 0
		if rows > 0 && cols > 0 {
			n = (rows-1)*ld + cols
		}
		data, ok := gemmGuarded(n)
		for i := range data {
			if i%ld < cols {
				data[i] = awkward(r, x.special)
				if x.tiny {
					data[i] = float32(math.Ldexp(float64(data[i]), scale))
				}
			}
		}
		return data, ld, ok
	}
	args = MatMulArgs{M: x.m, N: x.n, K: x.k, TransA: x.transA, TransB: x.transB, Accumulate: x.accumulate}
	rowsA, colsA, rowsB, colsB := x.m, x.k, x.k, x.n
	if x.transA {
		rowsA, colsA = colsA, rowsA
	}
	if x.transB {
		rowsB, colsB = colsB, rowsB
	}
	var checks [4]func() bool
	args.A, args.LDA, checks[0] = matrix(rowsA, colsA, x.padA, -68)
	args.B, args.LDB, checks[1] = matrix(rowsB, colsB, x.padB, -68)
	args.C, args.LDC, checks[2] = matrix(x.m, x.n, x.padC, -136)
	checks[3] = func() bool { return true }
	args.Bias = []float32{} // absent, like nil
	if x.bias {
		args.Bias, _, checks[3] = matrix(1, x.n, 0, -136)
	}
	twin = args
	twin.C = append([]float32(nil), args.C...)
	return args, twin, func() bool {
		for _, ok := range checks {
			if !ok() {
				return false
			}
		}
		return true
	}
}

// prepared is a case with its operands and the twin's result.
type prepared struct {
	matMulCase
	args        MatMulArgs
	start, want []float32 // of C
	intact      func() bool
}

func (x matMulCase) prepare(seed uint64) *prepared {
	args, twin, intact := x.build(rand.New(rand.NewPCG(seed, 1)))
	start := append([]float32(nil), args.C...)
	plainMatMul(twin)
	return &prepared{matMulCase: x, args: args, start: start, want: twin.C, intact: intact}
}

// run compares a variant with the twin, bit by bit, including the elements
// between C's rows and the guard bands.
func (x *prepared) run(t *testing.T, g Gemm, pool *Pool) {
	t.Helper()
	copy(x.args.C, x.start)
	g.MatMul(pool, x.args)
	for i, want := range x.want {
		if !sameFloat(x.args.C[i], want) {
			t.Fatalf("%s, %d threads, %s: element %d is %g, want %g",
				g.Name(), pool.Threads(), x, i, x.args.C[i], want)
		}
		if i%x.args.LDC >= x.n && math.Float32bits(x.args.C[i]) != gemmGuard {
			t.Fatalf("%s, %s: wrote between the rows of C", g.Name(), x)
		}
	}
	if !x.intact() {
		t.Fatalf("%s, %s: wrote outside a matrix", g.Name(), x)
	}
}

// randomCase draws a shape around zero to two tiles, and now and then around the
// block sizes.
func randomCase(r *rand.Rand, rows, cols int) matMulCase {
	size := func(tile int) int { return r.IntN(2*tile + 2) }
	flip := func() bool { return r.IntN(2) == 0 }
	x := matMulCase{
		m: size(rows), n: size(cols), k: r.IntN(20),
		padA: r.IntN(4), padB: r.IntN(4), padC: r.IntN(4),
		transA: flip(), transB: flip(),
		special: r.IntN(4) == 0, tiny: r.IntN(5) == 0,
	}
	switch r.IntN(3) {
	case 0:
		x.bias = true
	case 1:
		x.accumulate = true
	}
	return x
}

func poolsUnderTest(t testing.TB) []*Pool {
	var pools []*Pool
	for _, threads := range []int{1, 2, 3, 8} {
		pools = append(pools, NewPool(threads))
	}
	t.Cleanup(func() {
		for _, p := range pools {
			p.Close()
		}
	})
	return pools
}

func TestMatMulEqualsTheDefinition(t *testing.T) {
	pools := poolsUnderTest(t)
	gemms := gemmsUnderTest(t)
	r := rand.New(rand.NewPCG(7, 8))
	const cases = 1200
	for i := range cases {
		x := randomCase(r, 12, 32).prepare(uint64(i))
		for _, g := range gemms {
			x.run(t, g, pools[i%len(pools)])
		}
	}
	for _, g := range gemms {
		t.Logf("%s: %d random shapes equal", g.Name(), cases)
	}
}

func TestMatMulEqualsTheDefinitionAcrossBlocks(t *testing.T) {
	pools := poolsUnderTest(t)
	cases := []matMulCase{
		{m: 7, n: 33, k: 513, bias: true},
		{m: 13, n: 17, k: 641, accumulate: true, padC: 3},
		{m: 25, n: 20, k: 323, transA: true, transB: true, special: true},
		{m: 3, n: 1536 + 37, k: 9, bias: true},
		{m: 3, n: 1536 + 37, k: 259, transB: true},
		{m: 1, n: 70, k: 645, padB: 1, bias: true},
		{m: 768 + 5, n: 19, k: 11, bias: true},
		{m: 768 + 101, n: 5, k: 515, accumulate: true},
		{m: 64, n: 40, k: 0, bias: true},
		{m: 30, n: 40, k: 0},
		{m: 30, n: 40, k: 0, accumulate: true, padC: 1},
		{m: 128, n: 10, k: 64, bias: true},
		// Enough work for several rectangles per thread.
		{m: 150, n: 200, k: 64, transB: true, bias: true},
		{m: 700, n: 70, k: 40, transA: true, accumulate: true, padC: 2},
		{m: 290, n: 41, k: 1100, special: true},
	}
	gemms := gemmsUnderTest(t)
	for i := range cases {
		x := cases[i].prepare(uint64(i))
		for _, g := range gemms {
			for _, p := range pools {
				x.run(t, g, p)
			}
		}
	}
	for _, g := range gemms {
		t.Logf("%s: %d shapes on %d pools equal", g.Name(), len(cases), len(pools))
	}
}

func TestNewGemmNeverExceedsTheRequestedLevel(t *testing.T) {
	for _, level := range Detect().Levels() {
		g, err := NewGemm(level)
		if err != nil || g.Level() != level {
			t.Errorf("NewGemm(%s): %s, %v", level, g.Name(), err)
		}
	}
	g, err := NewGemm(LevelAuto)
	if err != nil || g.Level() != Detect().Best() {
		t.Errorf("NewGemm(auto): %s, %v; want %s", g.Name(), err, Detect().Best())
	}
}

func TestAVariantThatFailsItsSelfCheckIsSkipped(t *testing.T) {
	broken := portableVariant()
	broken.name, broken.level = "broken", LevelAVX512
	broken.thin.run = func(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
		tile1x8(rows, cols, a, b, ldb, s, lds, c, ldc)
		c[5] = math.Nextafter32(c[5], 0)
	}
	sound := portableVariant()
	sound.name, sound.level = "sound", LevelAVX2

	g, err := selectGemm(LevelAVX512, []matMulVariant{broken, sound})
	var failure *SelfCheckError
	if g.Name() != "sound" || !errors.As(err, &failure) || failure.Kernel != "matmul.broken" || failure.At != 5 {
		t.Errorf("selected %s, error %v; want sound and a report of matmul.broken's element 5", g.Name(), err)
	}
	if want := "kernel matmul.broken failed its self-check: element 5 is"; err != nil && !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want %q and so on", err, want)
	}
	if g, err := selectGemm(LevelAVX512, []matMulVariant{broken}); g.Name() != "portable" || err == nil {
		t.Errorf("selected %s, error %v; want portable and an error", g.Name(), err)
	}
	if g, err := selectGemm(LevelAVX2, []matMulVariant{broken, sound}); g.Name() != "sound" || err != nil {
		t.Errorf("at avx2 selected %s, error %v; want sound, unaffected by a variant above the level", g.Name(), err)
	}
}

func TestMatMulAllocatesNothingOnceWarm(t *testing.T) {
	for _, g := range gemmsUnderTest(t) {
		for _, threads := range []int{1, 3} {
			pool := NewPool(threads)
			r := rand.New(rand.NewPCG(1, 1))
			large, _, _ := matMulCase{m: 40, n: 50, k: 30, bias: true}.build(r)
			small, _, _ := matMulCase{m: 5, n: 7, k: 3, transB: true}.build(r)
			g.MatMul(pool, large)
			n := testing.AllocsPerRun(50, func() {
				g.MatMul(pool, small)
				g.MatMul(pool, large)
			})
			if n != 0 {
				t.Errorf("%s, %d threads: %v allocations", g.Name(), threads, n)
			}
			pool.Close()
		}
	}
}

func TestMatMulRefusesContradictions(t *testing.T) {
	pool := NewPool(1)
	defer pool.Close()
	x := make([]float32, 12)
	good := MatMulArgs{M: 3, N: 4, K: 4, A: x, LDA: 4, B: make([]float32, 16), LDB: 4, C: make([]float32, 12), LDC: 4}
	for name, spoil := range map[string]func(*MatMulArgs){
		"A too short":         func(a *MatMulArgs) { a.A = a.A[1:] },
		"A transposed":        func(a *MatMulArgs) { a.TransA = true; a.A = a.A[:11] },
		"B too short":         func(a *MatMulArgs) { a.B = a.B[1:] },
		"C too short":         func(a *MatMulArgs) { a.C = a.C[1:] },
		"row stride too low":  func(a *MatMulArgs) { a.LDB = 3 },
		"bias too short":      func(a *MatMulArgs) { a.Bias = x[:3] },
		"bias and old value":  func(a *MatMulArgs) { a.Bias = x[:4]; a.Accumulate = true },
		"negative dimensions": func(a *MatMulArgs) { a.M = -1 },
	} {
		args := good
		spoil(&args)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			(&blockedGemm{variant: portableVariant()}).MatMul(pool, args)
		}()
	}
}

func FuzzMatMul(f *testing.F) {
	f.Add(uint8(6), uint8(16), uint16(4), uint16(0), uint64(1))
	f.Add(uint8(13), uint8(33), uint16(257), uint16(0xffff), uint64(2))
	f.Add(uint8(1), uint8(70), uint16(40), uint16(0x15), uint64(3))
	gemms := gemmsUnderTest(f)
	pools := poolsUnderTest(f)
	f.Fuzz(func(t *testing.T, m, n uint8, k, options uint16, seed uint64) {
		bit := func(i int) bool { return options>>i&1 != 0 }
		x := matMulCase{m: int(m) % 80, n: int(n) % 80, k: int(k) % 600,
			padA: int(options >> 8 & 3), padB: int(options >> 10 & 3), padC: int(options >> 12 & 3),
			transA: bit(0), transB: bit(1), bias: bit(2), accumulate: bit(3) && !bit(2),
			special: bit(4), tiny: bit(7)}
		p := x.prepare(seed)
		for i, g := range gemms {
			p.run(t, g, pools[(int(options>>14)+i)%len(pools)])
		}
	})
}

// BenchmarkMatMul prints GFLOP/s per variant, shape and number of threads.
func BenchmarkMatMul(b *testing.B) {
	shapes := []struct {
		m, n, k        int
		transA, transB bool
	}{
		{m: 1024, n: 1024, k: 1024},
		{m: 128, n: 512, k: 784},
		{m: 784, n: 512, k: 128, transA: true},
		{m: 128, n: 784, k: 512, transB: true},
		{m: 128, n: 10, k: 512},
		{m: 1, n: 512, k: 784},
		{m: 1, n: 512, k: 784, transB: true},
	}
	for _, g := range gemmsUnderTest(b) {
		for _, s := range shapes {
			if g.Level() == LevelNone && s.m == 1024 && os.Getenv("REPRISE_LONG") == "" {
				s.m, s.n, s.k = 256, 256, 256
			}
			for _, threads := range []int{1, 2} {
				name := fmt.Sprintf("%s/%dx%dx%d/transA=%t,transB=%t/threads=%d",
					g.Name(), s.m, s.n, s.k, s.transA, s.transB, threads)
				b.Run(name, func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					r := rand.New(rand.NewPCG(1, 1))
					x := matMulCase{m: s.m, n: s.n, k: s.k, transA: s.transA, transB: s.transB}
					args, _, _ := x.build(r)
					for i := range args.A {
						args.A[i] = float32(r.NormFloat64())
					}
					for i := range args.B {
						args.B[i] = float32(r.NormFloat64())
					}
					for b.Loop() {
						g.MatMul(pool, args)
					}
					flops := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N)
					b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
