package kernel

// Rows of a table have columns of several kinds: numbers, and the tokens of texts,
// which are whole numbers. A text is shorter than its columns: token 0 is padding, and
// a text ends before its first 0.

// CopyColumns copies N columns of X[M,XN], from XFirst on, to those of Y[M,YN] from
// YFirst on, and sets the other columns of Y to +0. With X and Y exchanged it is its own
// gradient.
type CopyColumns struct {
	X, Y                   Span
	M, N                   int
	XN, XFirst, YN, YFirst int
}

// TokenColumns turns N columns of X[M,XN], from First on, into tokens: Y[M,N] of int32.
// A value that is not a whole number in [0, MaxTokenColumn] becomes -1, which Embedding
// refuses.
type TokenColumns struct {
	X, Y      Span
	M, N      int
	XN, First int
}

// MaxTokenColumn is the largest token that a column can hold: a float32 holds all whole
// numbers up to it.
const MaxTokenColumn = 1 << 24

// MeanTokens computes Y[M,N], the mean of each text's rows of X[M,T,N], where Tokens
// [M,T] of int32 says how long it is: a chain of float32 additions from +0 over its
// tokens, in ascending order, divided by their number. The mean of a text without tokens
// is +0.
type MeanTokens struct {
	Tokens, X, Y Span
	M, T, N      int
}

// MeanTokensGrad computes DX[M,T,N]: DY[M,N] divided by the number of tokens, and +0
// where the text has ended.
type MeanTokensGrad struct {
	Tokens, DY, DX Span
	M, T, N        int
}

// Operation returns OpCopyColumns.
func (CopyColumns) Operation() Operation { return OpCopyColumns }

// Operation returns OpTokenColumns.
func (TokenColumns) Operation() Operation { return OpTokenColumns }

// Operation returns OpMeanTokens.
func (MeanTokens) Operation() Operation { return OpMeanTokens }

// Operation returns OpMeanTokensGrad.
func (MeanTokensGrad) Operation() Operation { return OpMeanTokensGrad }

// checkColumns fails unless n columns from first on are within a row of width columns.
func checkColumns(op Operation, field string, first, n, width int) error {
	return checkBelow(op, field, first, max(width-n, -1)+1)
}

func (c CopyColumns) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: elements(c.M, c.XN)},
		{field: "Y", span: c.Y, want: elements(c.M, c.YN), written: true},
	}
}

// Validate fails with an *InstructionError unless the sizes are at least 1, the columns
// are within their rows, the operands have M*XN and M*YN elements, and Y does not overlap
// X.
func (c CopyColumns) Validate() error {
	if err := checkDimensions(OpCopyColumns, dimension{"M", c.M, 1}, dimension{"N", c.N, 1}, dimension{"XN", c.XN, 1}, dimension{"YN", c.YN, 1}); err != nil {
		return err
	}
	if err := checkColumns(OpCopyColumns, "XFirst", c.XFirst, c.N, c.XN); err != nil {
		return err
	}
	if err := checkColumns(OpCopyColumns, "YFirst", c.YFirst, c.N, c.YN); err != nil {
		return err
	}
	return checkOperands(OpCopyColumns, c.operands())
}

func (c TokenColumns) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: elements(c.M, c.XN)},
		{field: "Y", span: c.Y, want: elements(c.M, c.N), written: true},
	}
}

// Validate fails with an *InstructionError unless the sizes are at least 1, the columns
// are within a row, the operands have M*XN and M*N elements, and Y does not overlap X.
func (c TokenColumns) Validate() error {
	if err := checkDimensions(OpTokenColumns, dimension{"M", c.M, 1}, dimension{"N", c.N, 1}, dimension{"XN", c.XN, 1}); err != nil {
		return err
	}
	if err := checkColumns(OpTokenColumns, "First", c.First, c.N, c.XN); err != nil {
		return err
	}
	return checkOperands(OpTokenColumns, c.operands())
}

func (m MeanTokens) operands() []operand {
	return []operand{
		{field: "Tokens", span: m.Tokens, want: elements(m.M, m.T)},
		{field: "X", span: m.X, want: elements(m.M, m.T, m.N)},
		{field: "Y", span: m.Y, want: elements(m.M, m.N), written: true},
	}
}

// Validate fails with an *InstructionError unless M, T and N are at least 1, the operands
// have M*T, M*T*N and M*N elements, and Y overlaps neither of the others.
func (m MeanTokens) Validate() error {
	if err := checkDimensions(OpMeanTokens, dimension{"M", m.M, 1}, dimension{"T", m.T, 1}, dimension{"N", m.N, 1}); err != nil {
		return err
	}
	return checkOperands(OpMeanTokens, m.operands())
}

func (m MeanTokensGrad) operands() []operand {
	return []operand{
		{field: "Tokens", span: m.Tokens, want: elements(m.M, m.T)},
		{field: "DY", span: m.DY, want: elements(m.M, m.N)},
		{field: "DX", span: m.DX, want: elements(m.M, m.T, m.N), written: true},
	}
}

// Validate fails with an *InstructionError unless M, T and N are at least 1, the operands
// have M*T, M*N and M*T*N elements, and DX overlaps neither of the others.
func (m MeanTokensGrad) Validate() error {
	if err := checkDimensions(OpMeanTokensGrad, dimension{"M", m.M, 1}, dimension{"T", m.T, 1}, dimension{"N", m.N, 1}); err != nil {
		return err
	}
	return checkOperands(OpMeanTokensGrad, m.operands())
}
