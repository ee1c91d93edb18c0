package kernel

// Storage of float32 arrays as bfloat16 (sign, 8 bits of exponent, 7 of
// fraction: the upper half of a float32) in half the memory. Nothing is computed
// in bfloat16.

// StoreBF16 packs X[n], each rounded to bfloat16, into Y[BF16Elements(n)]: the
// first of two neighbours is in the lower 16 bits of an element. The upper half
// of the last element is 0 if n is odd.
//
// Rounding is to nearest, ties to even, so a value that is too large becomes an
// infinity. Infinities, signs and zeros are kept; a NaN stays a NaN and becomes
// quiet.
type StoreBF16 struct {
	X, Y Span
}

// LoadBF16 unpacks Y[n] from X[BF16Elements(n)] as written by StoreBF16; it is
// exact.
type LoadBF16 struct {
	X, Y Span
}

// BF16Elements returns the elements of a Memory that n packed bfloat16 take.
func BF16Elements(n int) int { return n/2 + n%2 }

// Operation returns OpStoreBF16.
func (StoreBF16) Operation() Operation { return OpStoreBF16 }

// Operation returns OpLoadBF16.
func (LoadBF16) Operation() Operation { return OpLoadBF16 }

func (s StoreBF16) operands() []operand {
	return []operand{
		{field: "X", span: s.X, want: max(s.X.Len, 1)},
		{field: "Y", span: s.Y, want: BF16Elements(s.X.Len), written: true},
	}
}

// Validate fails with an *InstructionError unless X is present, Y has half as
// many elements, rounded up, and they do not overlap.
func (s StoreBF16) Validate() error { return checkOperands(OpStoreBF16, s.operands()) }

func (l LoadBF16) operands() []operand {
	return []operand{
		{field: "Y", span: l.Y, want: max(l.Y.Len, 1), written: true},
		{field: "X", span: l.X, want: BF16Elements(l.Y.Len)},
	}
}

// Validate fails with an *InstructionError unless Y is present, X has half as
// many elements, rounded up, and they do not overlap.
func (l LoadBF16) Validate() error { return checkOperands(OpLoadBF16, l.operands()) }
