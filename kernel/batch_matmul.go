package kernel

import "fmt"

// Matrices says where the equally large matrices of a batch lie in a span: each
// row is LD elements after the previous one, each matrix Stride elements after
// the previous one, the first at the beginning. That addresses columns of a
// larger array in place.
type Matrices struct {
	Span
	LD, Stride int
}

// BatchMatMul computes C_i[M,N] = start + op(A_i) op(B_i) for i < Batch, where op
// transposes if asked, as in MatMul. A span extends to the last element of its
// last matrix; elements between rows or matrices are left alone. Stride may be
// 0 for A and B: one matrix for all. The matrices of C share no element: they
// lie one after another or, if they are narrower than LD, side by side.
//
// Order: each element is one chain of float32 fused multiply-adds over ascending
// k. The chain starts from C's old value if Accumulate is set, and from +0
// otherwise.
type BatchMatMul struct {
	A, B, C        Matrices
	Batch, M, N, K int
	TransA, TransB bool
	Accumulate     bool
}

// Operation returns OpBatchMatMul.
func (BatchMatMul) Operation() Operation { return OpBatchMatMul }

// extent returns the length of the span for a batch of [rows,cols] matrices, or
// -1 if it does not fit an int. LD and Stride must not be negative.
func (m Matrices) extent(batch, rows, cols int) int {
	n := 1 // the last element
	for _, part := range []int{elements(batch-1, m.Stride), elements(rows-1, m.LD), cols - 1} {
		if part < 0 || n+part < n {
			return -1
		}
		n += part
	}
	return n
}

func (m BatchMatMul) operands() []operand {
	rowsA, colsA, rowsB, colsB := m.M, m.K, m.K, m.N
	if m.TransA {
		rowsA, colsA = colsA, rowsA
	}
	if m.TransB {
		rowsB, colsB = colsB, rowsB
	}
	return []operand{
		{field: "A", span: m.A.Span, want: m.A.extent(m.Batch, rowsA, colsA)},
		{field: "B", span: m.B.Span, want: m.B.extent(m.Batch, rowsB, colsB)},
		{field: "C", span: m.C.Span, want: m.C.extent(m.Batch, m.M, m.N), written: true},
	}
}

// Validate fails with an *InstructionError unless Batch, M, N and K are at least
// 1, no LD is less than the width of its matrix and no Stride is negative, the
// spans extend to their last elements, the matrices of C share none, and C
// overlaps neither A nor B.
func (m BatchMatMul) Validate() error {
	const op = OpBatchMatMul
	if err := checkDimensions(op, dimension{"Batch", m.Batch, 1}, dimension{"M", m.M, 1}, dimension{"N", m.N, 1}, dimension{"K", m.K, 1}); err != nil {
		return err
	}
	widthA, widthB := m.K, m.N
	if m.TransA {
		widthA = m.M
	}
	if m.TransB {
		widthB = m.K
	}
	if err := checkDimensions(op, dimension{"A.LD", m.A.LD, widthA}, dimension{"B.LD", m.B.LD, widthB}, dimension{"C.LD", m.C.LD, m.N},
		dimension{"A.Stride", m.A.Stride, 0}, dimension{"B.Stride", m.B.Stride, 0}, dimension{"C.Stride", m.C.Stride, 0}); err != nil {
		return err
	}
	if err := checkOperands(op, m.operands()); err != nil {
		return err
	}
	behind := m.C.Stride >= m.C.extent(1, m.M, m.N)
	beside := m.C.Stride >= m.N && m.C.LD >= m.C.extent(m.Batch, 1, m.N)
	if m.Batch > 1 && !behind && !beside {
		return &InstructionError{op, "C.Stride", fmt.Sprint(m.C.Stride),
			fmt.Sprintf("at least %d, or at least N = %d if C.LD has room for all side by side", m.C.extent(1, m.M, m.N), m.N)}
	}
	return nil
}
