package cpu

import "fmt"

// Gemm computes matrix products. Every implementation gives the same bits.
// A Gemm is safe for concurrent use; calls that share a Pool take turns.
type Gemm interface {
	// MatMul computes args.C on the pool's threads. It panics where the
	// arguments contradict each other (MatMulArgs), and must not be called from
	// within a part of a Pool.Run. It allocates nothing once the pool's scratch
	// memory has grown to the largest product.
	MatMul(pool *Pool, args MatMulArgs)
	// Level is the instruction set in use.
	Level() Level
	// Name is the variant's name as in kernel names: "portable", "avx2" or
	// "avx512".
	Name() string
}

// MatMulArgs describes C[M,N] = start + op(A) op(B), all row-major float32.
// op(A) is [M,K] and op(B) is [K,N].
//
// Order: each element of C is one chain of fused multiply-adds over ascending
// k, c = FMA32(a[i,k], b[k,j], c), from Bias[j], C's old value or +0. Where the
// chain meets a NaN the result is some NaN; which one is not part of the
// contract (hardware passes on one operand's payload, and which operand
// that is differs), so NaNs compare as equal to each other.
type MatMulArgs struct {
	M, N, K int

	// A holds op(A) with LDA elements from row to row: [M,K], or [K,M] where
	// TransA is set.
	A      []float32
	LDA    int
	TransA bool

	// B holds op(B) with LDB elements from row to row: [K,N], or [N,K] where
	// TransB is set.
	B      []float32
	LDB    int
	TransB bool

	// C is [M,N] with LDC elements from row to row. Elements between rows are
	// left alone. C must not overlap A, B or Bias.
	C   []float32
	LDC int

	// Bias [N], where not empty, starts the chains of column j; it excludes
	// Accumulate, which starts them from C.
	Bias       []float32
	Accumulate bool
}

// check panics where the arguments contradict each other: the planner of a
// program got its shapes wrong, which no caller can handle.
func (a *MatMulArgs) check() {
	if a.M < 0 || a.N < 0 || a.K < 0 {
		panic(fmt.Sprintf("cpu: matrix product of negative size M=%d N=%d K=%d", a.M, a.N, a.K))
	}
	rows, cols := a.M, a.K
	if a.TransA {
		rows, cols = cols, rows
	}
	checkMatrix("A", rows, cols, a.LDA, len(a.A))
	rows, cols = a.K, a.N
	if a.TransB {
		rows, cols = cols, rows
	}
	checkMatrix("B", rows, cols, a.LDB, len(a.B))
	checkMatrix("C", a.M, a.N, a.LDC, len(a.C))
	if len(a.Bias) != 0 && len(a.Bias) < a.N {
		panic(fmt.Sprintf("cpu: matrix product with N=%d and a bias of %d elements", a.N, len(a.Bias)))
	}
	if len(a.Bias) != 0 && a.Accumulate {
		panic("cpu: matrix product with both a bias and an old value to start from")
	}
}

func checkMatrix(name string, rows, cols, stride, n int) {
	if rows == 0 || cols == 0 {
		return
	}
	if stride < cols || (rows-1)*stride+cols > n {
		panic(fmt.Sprintf("cpu: matrix %s[%d,%d] with row stride %d does not fit %d elements",
			name, rows, cols, stride, n))
	}
}
