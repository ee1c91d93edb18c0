package kernel

import "math"

// Element-wise sums and masks that a graph with branches and regularisation
// needs.

// Add computes Out = A + B element by element, each sum rounded to float32; Out
// may be A or B.
type Add struct {
	A, B, Out Span
}

// AddRow computes Y[M,N] = X[M,N] + Row[N] for every row; Y may be X. Its
// gradient with respect to Row is SumRows.
type AddRow struct {
	X, Row, Y Span
	M, N      int
}

// Scale computes Y = Factor*X element by element, rounded to float32; Y may be X.
type Scale struct {
	X, Y   Span
	Factor float32
}

// Dropout zeroes elements with probability Rate and multiplies the others with
// 1/(1-Rate) rounded to float32 (Srivastava et al., 2014); Y may be X. It is
// its own gradient. Element i is dropped if
//
//	philox.Uniform32(Scalars.Seed, PurposeDropout, Scalars.Step, Stream<<40 + First + i) < Rate
//
// so that the mask is a function of the element's place in the whole batch.
type Dropout struct {
	X, Y Span
	// Rate is in [0, 1).
	Rate float32
	// Stream distinguishes the dropout layers of a model; below 2^24.
	Stream int
	// First is the place of X's first element in the whole batch; below 2^40.
	First int
}

// Embedding computes Y[M,N] with Y[r] = Table[Tokens[r]], from Tokens [M] of
// int32 in [0, V) and Table [V,N].
type Embedding struct {
	Tokens, Table, Y Span
	M, N, V          int
}

// EmbeddingGrad computes DTable[V,N]: each element is a chain of float32
// additions from +0 of DY[M,N] over the rows with its token, in ascending order.
type EmbeddingGrad struct {
	Tokens, DY, DTable Span
	M, N, V            int
}

// RunningAverage computes Running = (1-Momentum)*Running + Momentum*(Factor*Batch)
// element by element, each product and sum rounded to float32.
type RunningAverage struct {
	Running, Batch   Span
	Momentum, Factor float32
}

// ClipNorm scales Grad in place so that its Euclidean norm is at most MaxNorm
// (Pascanu et al., 2013), and writes the norm before that to Norm [1].
//
// Order: the squares of each block of 2^14 elements are summed in 16 lanes of
// fused multiply-adds over ascending index and then as one fixed binary tree;
// the blocks' sums as TreeSum. If norm > MaxNorm, each element is multiplied by
// MaxNorm/norm rounded to float32; a norm that is NaN or infinite leaves Grad
// unchanged.
type ClipNorm struct {
	Grad, Norm Span
	MaxNorm    float32
}

// ClipBlock is the number of elements in a block of ClipNorm's sum.
const ClipBlock = 1 << 14

// Operation returns OpAdd.
func (Add) Operation() Operation { return OpAdd }

// Operation returns OpAddRow.
func (AddRow) Operation() Operation { return OpAddRow }

// Operation returns OpScale.
func (Scale) Operation() Operation { return OpScale }

// Operation returns OpDropout.
func (Dropout) Operation() Operation { return OpDropout }

// Operation returns OpEmbedding.
func (Embedding) Operation() Operation { return OpEmbedding }

// Operation returns OpEmbeddingGrad.
func (EmbeddingGrad) Operation() Operation { return OpEmbeddingGrad }

// Operation returns OpRunningAverage.
func (RunningAverage) Operation() Operation { return OpRunningAverage }

// Operation returns OpClipNorm.
func (ClipNorm) Operation() Operation { return OpClipNorm }

func (a Add) operands() []operand {
	return []operand{
		{field: "A", span: a.A, want: max(a.A.Len, 1)},
		{field: "B", span: a.B, want: a.A.Len, sameAs: "Out"},
		{field: "Out", span: a.Out, want: a.A.Len, written: true, sameAs: "A"},
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length and Out, unless it is A or B, overlaps neither.
func (a Add) Validate() error { return checkOperands(OpAdd, a.operands()) }

func (a AddRow) operands() []operand {
	n := elements(a.M, a.N)
	return []operand{
		{field: "X", span: a.X, want: n},
		{field: "Row", span: a.Row, want: a.N},
		{field: "Y", span: a.Y, want: n, written: true, sameAs: "X"},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, the
// operands have M*N and N elements, and Y, unless it is X, overlaps neither.
func (a AddRow) Validate() error {
	if err := checkDimensions(OpAddRow, dimension{"M", a.M, 1}, dimension{"N", a.N, 1}); err != nil {
		return err
	}
	return checkOperands(OpAddRow, a.operands())
}

func (s Scale) operands() []operand {
	return []operand{
		{field: "X", span: s.X, want: max(s.X.Len, 1)},
		{field: "Y", span: s.Y, want: s.X.Len, written: true, sameAs: "X"},
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length, Y, unless it is X, does not overlap it, and Factor is a number.
func (s Scale) Validate() error {
	if err := checkFactor(OpScale, "Factor", s.Factor, -math.MaxFloat32, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpScale, s.operands())
}

func (d Dropout) operands() []operand {
	return []operand{
		{field: "X", span: d.X, want: max(d.X.Len, 1)},
		{field: "Y", span: d.Y, want: d.X.Len, written: true, sameAs: "X"},
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length, Y, unless it is X, does not overlap it, Rate is in [0,1), and Stream
// and First are in their ranges.
func (d Dropout) Validate() error {
	if err := checkFactor(OpDropout, "Rate", d.Rate, 0, 1); err != nil {
		return err
	}
	if err := checkBelow(OpDropout, "Stream", d.Stream, 1<<24); err != nil {
		return err
	}
	if err := checkBelow(OpDropout, "First", d.First, 1<<40-d.X.Len); err != nil {
		return err
	}
	return checkOperands(OpDropout, d.operands())
}

func (e Embedding) operands() []operand {
	return []operand{
		{field: "Tokens", span: e.Tokens, want: e.M},
		{field: "Table", span: e.Table, want: elements(e.V, e.N)},
		{field: "Y", span: e.Y, want: elements(e.M, e.N), written: true},
	}
}

// Validate fails with an *InstructionError unless M, N and V are at least 1, V
// fits an int32, the operands have M, V*N and M*N elements, and Y overlaps
// neither of the others.
func (e Embedding) Validate() error {
	return validateEmbedding(OpEmbedding, e.M, e.N, e.V, e.operands())
}

func (e EmbeddingGrad) operands() []operand {
	return []operand{
		{field: "Tokens", span: e.Tokens, want: e.M},
		{field: "DY", span: e.DY, want: elements(e.M, e.N)},
		{field: "DTable", span: e.DTable, want: elements(e.V, e.N), written: true},
	}
}

// Validate fails with an *InstructionError unless M, N and V are at least 1, V
// fits an int32, the operands have M, M*N and V*N elements, and DTable overlaps
// neither of the others.
func (e EmbeddingGrad) Validate() error {
	return validateEmbedding(OpEmbeddingGrad, e.M, e.N, e.V, e.operands())
}

func validateEmbedding(op Operation, m, n, v int, operands []operand) error {
	if err := checkDimensions(op, dimension{"M", m, 1}, dimension{"N", n, 1}, dimension{"V", v, 1}); err != nil {
		return err
	}
	if err := checkBelow(op, "V", v, math.MaxInt32); err != nil {
		return err
	}
	return checkOperands(op, operands)
}

func (r RunningAverage) operands() []operand {
	return []operand{
		{field: "Running", span: r.Running, want: max(r.Running.Len, 1), written: true},
		{field: "Batch", span: r.Batch, want: r.Running.Len},
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length and do not overlap, Momentum is in [0,1), and Factor is a number of at
// least 0.
func (r RunningAverage) Validate() error {
	if err := checkFactor(OpRunningAverage, "Momentum", r.Momentum, 0, 1); err != nil {
		return err
	}
	if err := checkFactor(OpRunningAverage, "Factor", r.Factor, 0, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpRunningAverage, r.operands())
}

func (c ClipNorm) operands() []operand {
	return []operand{
		{field: "Grad", span: c.Grad, want: max(c.Grad.Len, 1), written: true},
		{field: "Norm", span: c.Norm, want: 1, written: true},
	}
}

// Validate fails with an *InstructionError unless Grad is present, Norm has one
// element, they do not overlap, and MaxNorm is a number of at least 0.
func (c ClipNorm) Validate() error {
	if err := checkFactor(OpClipNorm, "MaxNorm", c.MaxNorm, 0, math.Inf(1)); err != nil {
		return err
	}
	return checkOperands(OpClipNorm, c.operands())
}
