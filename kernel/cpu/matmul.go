package cpu

import "fmt"

// Gemm computes matrix products. Every implementation gives the same bits.
// A Gemm is safe for concurrent use; calls that share a Pool take turns.
type Gemm interface {
	// MatMul computes args.C on the pool's threads. It panics if the arguments
	// are inconsistent (MatMulArgs), and must not be called from within a part
	// of a Pool.Run. It allocates nothing once the pool's scratch memory has
	// grown to the largest product.
	MatMul(pool *Pool, args MatMulArgs)
	// Level is the instruction set in use.
	Level() Level
	// Name is the variant's name as used in kernel names: "portable", "avx2" or
	// "avx512".
	Name() string
}

// MatMulArgs describes C[M,N] = start + op(A) op(B), all row-major float32.
// op(A) is [M,K] and op(B) is [K,N]. With a Batch it describes that many
// products of the same shape, at equal distances from each other.
//
// Order: each element of C is one chain of fused multiply-adds over ascending
// k, c = FMA32(a[i,k], b[k,j], c), from Bias[j], C's old value or +0. If the
// chain encounters a NaN the result is some NaN; which one is not part of the
// contract (hardware propagates one operand's payload, and which one differs),
// so NaNs compare as equal to each other.
type MatMulArgs struct {
	M, N, K int

	// A holds op(A) with LDA elements from row to row: [M,K], or [K,M] if
	// TransA is set.
	A      []float32
	LDA    int
	TransA bool

	// B holds op(B) with LDB elements from row to row: [K,N], or [N,K] if
	// TransB is set.
	B      []float32
	LDB    int
	TransB bool

	// C is [M,N] with LDC elements from row to row. Elements between rows are
	// left alone. C must not overlap A, B or Bias.
	C   []float32
	LDC int

	// Bias [N], if not empty, starts the chains of column j; it excludes
	// Accumulate, which starts them from C.
	Bias       []float32
	Accumulate bool

	// Batch is the number of products; 0 means one. Their matrices begin
	// StrideA, StrideB and StrideC elements apart, the first at the beginning.
	// A stride of 0 for A or B means one matrix for all; those of C share no
	// element: they lie one after another or, if they are narrower than LDC,
	// side by side.
	Batch                     int
	StrideA, StrideB, StrideC int

	// Then, unless nil, is called with ranges [lo,hi) of C that have their
	// final values, each element once: by the thread that computed them while
	// they are in its cache or, if a part has only short pieces of rows and C
	// has no gaps, after the last part. No bit may depend on how C is cut into
	// ranges. Elements between the rows are in none of them.
	Then func(lo, hi int)
	// ThenGrain, at least 1 with Then, is the number of elements that occupy a
	// thread in Then for some microseconds.
	ThenGrain int
}

// check panics if the arguments are inconsistent: the planner of a program got
// its shapes wrong, which no caller can handle.
func (a *MatMulArgs) check() {
	if a.M < 0 || a.N < 0 || a.K < 0 {
		panic(fmt.Sprintf("cpu: matrix product of negative size M=%d N=%d K=%d", a.M, a.N, a.K))
	}
	rows, cols := a.M, a.K
	if a.TransA {
		rows, cols = cols, rows
	}
	a.checkMatrix("A", rows, cols, a.LDA, a.StrideA, len(a.A))
	rows, cols = a.K, a.N
	if a.TransB {
		rows, cols = cols, rows
	}
	a.checkMatrix("B", rows, cols, a.LDB, a.StrideB, len(a.B))
	a.checkMatrix("C", a.M, a.N, a.LDC, a.StrideC, len(a.C))
	a.checkApart()
	if len(a.Bias) != 0 && len(a.Bias) < a.N {
		panic(fmt.Sprintf("cpu: matrix product with N=%d and a bias of %d elements", a.N, len(a.Bias)))
	}
	if a.Then != nil && a.ThenGrain < 1 {
		panic(fmt.Sprintf("cpu: matrix product with Then and a grain of %d", a.ThenGrain))
	}
	if len(a.Bias) != 0 && a.Accumulate {
		panic("cpu: matrix product with both a bias and an old value to start from")
	}
}

// checkApart panics if the results of a batch share elements.
func (a *MatMulArgs) checkApart() {
	if a.Batch < 0 {
		panic(fmt.Sprintf("cpu: batch of %d matrix products", a.Batch))
	}
	if a.Batch <= 1 || a.M == 0 || a.N == 0 {
		return
	}
	behind := a.StrideC >= (a.M-1)*a.LDC+a.N
	beside := a.StrideC >= a.N && a.LDC >= (a.Batch-1)*a.StrideC+a.N
	if !behind && !beside {
		panic(fmt.Sprintf("cpu: %d matrices C[%d,%d] with row stride %d, %d elements apart, overlap", a.Batch, a.M, a.N, a.LDC, a.StrideC))
	}
}

func (a *MatMulArgs) checkMatrix(name string, rows, cols, ld, stride, n int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || stride < 0 || max(0, a.Batch-1)*stride+(rows-1)*ld+cols > n {
		panic(fmt.Sprintf("cpu: %d matrices %s[%d,%d] with row stride %d, %d elements apart, do not fit %d elements",
			max(1, a.Batch), name, rows, cols, ld, stride, n))
	}
}

// product returns the arguments of product i of the batch alone.
func (a *MatMulArgs) product(i int) MatMulArgs {
	from := func(x []float32, stride int) []float32 { return x[min(i*stride, len(x)):] }
	one := *a
	one.A, one.B, one.C = from(a.A, a.StrideA), from(a.B, a.StrideB), from(a.C, a.StrideC)
	return one
}
