package kernel

import "math"

// AttentionShape is the geometry of multi-head self-attention: Batch sequences
// of Tokens positions with Heads heads of HeadWidth values each; the model's
// width is Heads*HeadWidth. In an array [Batch,Tokens,3*width] a position's
// queries of all heads come first, then its keys, then its values.
type AttentionShape struct {
	Batch, Tokens, Heads, HeadWidth int
	// Causal hides later positions.
	Causal bool
}

// Width returns the number of values of all heads.
func (s AttentionShape) Width() int { return s.Heads * s.HeadWidth }

// AttentionBlock is the number of queries that a kernel works on at a time. It
// bounds the memory for scores to AttentionBlock*Tokens per thread and, as the
// causal mask is filled up to it, is part of the order of sums.
const AttentionBlock = 64

// Attention computes Y[Batch,Tokens,width] from QKV[Batch,Tokens,3*width]
// (Vaswani et al., 2017). For each sequence, head and query i, with keys j in
// [0, n), where n is Tokens or, if Causal, the end of the query's block,
// min((i/AttentionBlock+1)*AttentionBlock, Tokens):
//
//	s_j = scale * z_j, z_j a chain of fused multiply-adds q*k over ascending
//	      component from +0; scale = 1/sqrt(HeadWidth) rounded to float32
//	Max = max over the keys that i sees
//	e_j = exp(s_j - Max), +0 for the keys that i does not see
//	Inv = 1/sum(e_j) over the keys that i sees, 16 lanes over ascending j and a
//	      fixed binary tree
//	p_j = e_j*Inv
//	y   = a chain of fused multiply-adds p_j*v_j over ascending j from +0
//
// Max ignores NaNs. It is +0 if the largest score is a zero of either sign, and
// -Inf if there is no larger one, even if all are NaN. That does not change the
// weights of ordinary scores. If a query's scores include a NaN or a +Inf, or
// are all -Inf, its e_j and Inv are NaN, and with them all of its y.
//
// Max and Inv [Batch,Heads,Tokens] are kept for the gradient; scores are not.
//
// Text [Batch,Tokens] of int32 may be absent. Where it is given, a sequence ends before
// its first token 0, which is padding: Tokens above is the length of the sequence, and
// at the positions after it Y, Max and Inv are +0. So the padding changes no bit.
type Attention struct {
	AttentionShape
	QKV, Y, Max, Inv, Text Span
}

// AttentionGrad computes DQKV[Batch,Tokens,3*width]. With p as in Attention,
// computed again:
//
//	dp_j = a chain of fused multiply-adds dy*v_j over ascending component
//	c    = sum(dy*y) over the head's components, fused multiply-adds in 16
//	       lanes and a fixed binary tree
//	ds_j = (p_j * (dp_j - c)) * scale, each operation rounded
//	dq   = a chain of fused multiply-adds ds_j*k_j over ascending j in [0, n)
//	dk_j, dv_j = chains of fused multiply-adds ds_j*q_i and p_j*dy_i over
//	       ascending query i, of the blocks whose n is above j
//
// Text is that of Attention; DQKV is +0 at the positions after a sequence.
type AttentionGrad struct {
	AttentionShape
	QKV, Y, Max, Inv, DY, DQKV, Text Span
}

// Operation returns OpAttention.
func (Attention) Operation() Operation { return OpAttention }

// Operation returns OpAttentionGrad.
func (AttentionGrad) Operation() Operation { return OpAttentionGrad }

func (s AttentionShape) validate(op Operation, operands []operand) error {
	sizes := []dimension{
		{"Batch", s.Batch, 1}, {"Tokens", s.Tokens, 1}, {"Heads", s.Heads, 1}, {"HeadWidth", s.HeadWidth, 1},
	}
	if err := checkDimensions(op, sizes...); err != nil {
		return err
	}
	for _, d := range sizes {
		if err := checkBelow(op, d.field, d.value, maxGeometry+1); err != nil {
			return err
		}
	}
	return checkOperands(op, operands)
}

// sizes returns the elements of an array [Batch,Tokens,width] and of one
// [Batch,Heads,Tokens].
func (s AttentionShape) sizes() (values, statistics int) {
	return elements(s.Batch, s.Tokens, s.Heads, s.HeadWidth), elements(s.Batch, s.Heads, s.Tokens)
}

func triple(n int) int {
	if n < 0 || n > math.MaxInt/3 {
		return -1
	}
	return 3 * n
}

func (a Attention) operands() []operand {
	values, statistics := a.sizes()
	return []operand{
		{field: "QKV", span: a.QKV, want: triple(values)},
		{field: "Y", span: a.Y, want: values, written: true},
		{field: "Max", span: a.Max, want: statistics, written: true},
		{field: "Inv", span: a.Inv, want: statistics, written: true},
		{field: "Text", span: a.Text, want: elements(a.Batch, a.Tokens), optional: true},
	}
}

// Validate fails with an *InstructionError unless every size is at least 1, the
// operands have the geometry's sizes, and written operands overlap nothing.
func (a Attention) Validate() error { return a.validate(OpAttention, a.operands()) }

func (a AttentionGrad) operands() []operand {
	values, statistics := a.sizes()
	return []operand{
		{field: "QKV", span: a.QKV, want: triple(values)},
		{field: "Y", span: a.Y, want: values},
		{field: "Max", span: a.Max, want: statistics},
		{field: "Inv", span: a.Inv, want: statistics},
		{field: "DY", span: a.DY, want: values},
		{field: "DQKV", span: a.DQKV, want: triple(values), written: true},
		{field: "Text", span: a.Text, want: elements(a.Batch, a.Tokens), optional: true},
	}
}

// Validate fails with an *InstructionError unless every size is at least 1, the
// operands have the geometry's sizes, and DQKV overlaps nothing.
func (a AttentionGrad) Validate() error { return a.validate(OpAttentionGrad, a.operands()) }
