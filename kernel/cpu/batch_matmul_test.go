package cpu

import (
	"math/rand"
	"testing"

	"reprise/kernel"
)

// matrixExtent is the number of elements from the first to the last.
func matrixExtent(batch, stride, rows, ld, cols int) int {
	return (batch-1)*stride + (rows-1)*ld + cols
}

// batchMatMul lays out operands with room between rows and matrices. Side by side
// puts the matrices of each operand into the rows of one array.
func batchMatMul(l *layout, in kernel.BatchMatMul, room int, sideBySide bool) kernel.BatchMatMul {
	place := func(rows, cols int, transposed bool) kernel.Matrices {
		if transposed {
			rows, cols = cols, rows
		}
		m := kernel.Matrices{LD: cols + room}
		m.Stride = rows*m.LD + room
		if sideBySide {
			m.Stride = cols + room
			m.LD = in.Batch*m.Stride + room
		}
		m.Span = l.span(matrixExtent(in.Batch, m.Stride, rows, m.LD, cols))
		return m
	}
	in.A, in.B, in.C = place(in.M, in.K, in.TransA), place(in.K, in.N, in.TransB), place(in.M, in.N, false)
	return in
}

func batchMatMulMakers() map[kernel.Operation]maker {
	return map[kernel.Operation]maker{
		kernel.OpBatchMatMul: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			in := kernel.BatchMatMul{Batch: s.between("batch", 1, 9), M: s.between("m", 1, 30), N: s.between("n", 1, 40), K: s.between("k", 1, 20),
				TransA: s.yes("transA"), TransB: s.yes("transB"), Accumulate: s.yes("accumulate")}
			in = batchMatMul(l, in, s.between("room", 0, 3), s.yes("beside"))
			if s.yes("shared") {
				in.B.Stride = 0 // the span keeps its offset and reaches to the first matrix's end
				rows, cols := in.K, in.N
				if in.TransB {
					rows, cols = cols, rows
				}
				in.B.Len = matrixExtent(1, 0, rows, in.B.LD, cols)
			}
			return in, nil
		},
	}
}

func (t twin) batchMatMul(in kernel.BatchMatMul) {
	index := func(m kernel.Matrices, i, row, col int, transposed bool) int {
		if transposed {
			row, col = col, row
		}
		return i*m.Stride + row*m.LD + col
	}
	each4(1, in.Batch, in.M, in.N, func(_, i, row, col int) {
		at := index(in.C, i, row, col, false)
		var c float32
		if in.Accumulate {
			c = t.get(in.C.Span, at)
		}
		for k := range in.K {
			c = FMA32(t.get(in.A.Span, index(in.A, i, row, k, in.TransA)), t.get(in.B.Span, index(in.B, i, k, col, in.TransB)), c)
		}
		t.set(in.C.Span, at, c)
	})
}

// Whole memories are compared, including the elements between rows and
// matrices.
func TestBatchMatMulOfAwkwardShapesGivesTheBitsOfItsTwin(t *testing.T) {
	backends := allBackends(t)
	sizes := []int{1, 3, 17, 63, 65}
	trials := 0
	for i, m := range sizes {
		for j, n := range sizes {
			for h, k := range sizes {
				choice := i + 2*j + 3*h // every transposition with every size
				in := kernel.BatchMatMul{Batch: []int{1, 2, 5, 13}[choice%4], M: m, N: n, K: k,
					TransA: choice&1 != 0, TransB: choice&2 != 0, Accumulate: choice%3 == 0}
				l := newLayout()
				in = batchMatMul(l, in, choice%3, choice%5 < 2)
				tr := trial{instruction: in, memory: make([]uint32, l.elements)}
				fill(rand.New(rand.NewSource(int64(choice))), tr.memory, choice%7 == 0)
				tr.check(t, backends)
				trials++
			}
		}
	}
	t.Logf("%d shapes on %d backends", trials, len(backends))
}

// A head's queries and keys lie in the rows of one array; the scores of all heads
// are one instruction.
func TestBatchMatMulAddressesHeadsInPlace(t *testing.T) {
	const tokens, heads, width = 70, 3, 24
	l := newLayout()
	qkv, scores := l.span(tokens*3*heads*width), l.span(heads*tokens*tokens)
	reach := matrixExtent(heads, width, tokens, 3*heads*width, width)
	in := kernel.BatchMatMul{Batch: heads, M: tokens, N: tokens, K: width, TransB: true,
		A: kernel.Matrices{Span: qkv.Slice(0, reach), LD: 3 * heads * width, Stride: width},
		B: kernel.Matrices{Span: qkv.Slice(heads*width, reach), LD: 3 * heads * width, Stride: width},
		C: kernel.Matrices{Span: scores, LD: tokens, Stride: tokens * tokens}}
	tr := trial{instruction: in, memory: make([]uint32, l.elements)}
	fill(rand.New(rand.NewSource(1)), tr.memory, false)
	tr.check(t, allBackends(t))
}

// For any number of products and threads, within the parts and after them.
func TestThenGoesOverEveryElementOnce(t *testing.T) {
	pools := poolsUnderTest(t)
	for _, g := range gemmsUnderTest(t) {
		for _, c := range []struct{ batch, m, n, k, gap int }{
			{0, 300, 200, 70, 0}, {1, 1, 700, 9, 0}, {7, 65, 63, 40, 0}, {1000, 3, 5, 2, 0}, {2, 2000, 40, 3, 0},
			{3, 20, 20, 0, 0}, {0, 31, 700, 800, 0}, {2, 31, 700, 800, 0}, {2, 31, 700, 800, 3}, {0, 40, 1100, 100, 0},
		} {
			for _, pool := range pools {
				ldc := c.n + c.gap
				args := MatMulArgs{M: c.m, N: c.n, K: c.k, LDA: c.k, LDB: c.n, LDC: ldc, Batch: c.batch, StrideA: c.m * c.k, StrideC: c.m * ldc,
					A: make([]float32, max(1, c.batch)*c.m*c.k), B: make([]float32, c.k*c.n), C: make([]float32, max(1, c.batch)*c.m*ldc)}
				for i := range args.A {
					args.A[i] = 1
				}
				for i := range args.B {
					args.B[i] = 1
				}
				for i := range args.C {
					args.C[i] = -3
				}
				args.ThenGrain = 1 << 12
				args.Then = func(lo, hi int) {
					for i := lo; i < hi; i++ {
						args.C[i] = args.C[i]*2 + 1 // shows whether it was finished, and twice or never
					}
				}
				g.MatMul(pool, args)
				for i, v := range args.C {
					want := float32(2*c.k + 1)
					if i%ldc >= c.n {
						want = -3
					}
					if v != want {
						t.Fatalf("%s, %d threads, %+v: element %d is %g, want %g", g.Name(), pool.Threads(), c, i, v, want)
					}
				}
			}
		}
	}
}

func TestBatchesOfProductsRefuseContradictions(t *testing.T) {
	pool := NewPool(1)
	defer pool.Close()
	x := make([]float32, 48)
	good := MatMulArgs{M: 2, N: 3, K: 4, A: x, LDA: 4, StrideA: 8, B: x, LDB: 3, StrideB: 12, C: make([]float32, 18), LDC: 3, StrideC: 6, Batch: 3}
	(&blockedGemm{variant: portableVariant()}).MatMul(pool, good)
	for name, spoil := range map[string]func(*MatMulArgs){
		"negative batch":    func(a *MatMulArgs) { a.Batch = -1 },
		"A too short":       func(a *MatMulArgs) { a.A = a.A[:23] },
		"C too short":       func(a *MatMulArgs) { a.C = a.C[:17] },
		"C overlaps itself": func(a *MatMulArgs) { a.StrideC = 5 },
		"one C for all":     func(a *MatMulArgs) { a.StrideC = 0 },
		"negative stride":   func(a *MatMulArgs) { a.StrideB = -1 },
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
