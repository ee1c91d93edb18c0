package nn

import (
	"fmt"
	"strconv"

	"reprise/kernel"
	"reprise/tensor"
)

// Attention is multi-head self-attention (Vaswani et al., 2017) over a sequence
// [T,C]: a linear layer "qkv" from C to 3C, attention in each head, and a linear
// layer "out" from C to C. In qkv's output the queries of all heads come first,
// then the keys, then the values.
type Attention struct {
	Heads int
	// Causal hides the tokens after it from each token.
	Causal bool
	// NoBias omits the biases of the linear layers: "bias": false in JSON.
	NoBias bool
}

// TransformerBlock is a pre-norm transformer layer over a sequence [T,C]:
//
//	x = x + dropout(attention(norm1(x)))
//	x = x + dropout(out(activation(in(norm2(x)))))
//
// where "in" and "out" are linear layers from C to Expansion*C and back.
type TransformerBlock struct {
	Heads  int
	Causal bool
	// Expansion is 4 by default.
	Expansion int
	// Activation is gelu by default.
	Activation kernel.ActivationKind
	// Norm is "layer_norm", the default, or "rms_norm".
	Norm string
	// Dropout is the rate of both dropouts.
	Dropout float32
}

// Type returns "attention".
func (Attention) Type() string { return "attention" }

// Type returns "transformer_block".
func (TransformerBlock) Type() string { return "transformer_block" }

// checkHeads returns an error unless the heads divide the width of a sequence.
func checkHeads(layer string, heads int, in tensor.Shape) *LayerError {
	if err := checkSequence(layer, in); err != nil {
		return err
	}
	if heads >= 1 && in[1]%heads == 0 {
		return nil
	}
	return &LayerError{Layer: layer, Field: "heads", Got: strconv.Itoa(heads),
		Want: fmt.Sprintf("a divisor of the width %d", in[1]), Fix: "choose heads and width so that each head has the same width"}
}

func (l Attention) build(b *builder, in int) (int, *LayerError) {
	shape := b.values[in]
	if err := checkHeads(l.Type(), l.Heads, shape); err != nil {
		return 0, err
	}
	qkv, err := b.part("qkv", Linear{Units: 3 * shape[1], NoBias: l.NoBias}, in)
	if err != nil {
		return 0, err
	}
	heads := b.add(node{op: attending{heads: l.Heads, causal: l.Causal}, inputs: b.withText(qkv)}, shape)
	return b.part("out", Linear{Units: shape[1], NoBias: l.NoBias}, heads)
}

func (l TransformerBlock) build(b *builder, in int) (int, *LayerError) {
	if err := checkHeads(l.Type(), l.Heads, b.values[in]); err != nil {
		return 0, err
	}
	l = l.WithDefaults()
	if err := checkUnits(l.Type(), "expansion", l.Expansion); err != nil {
		err.Fix = "use a factor such as 4"
		return 0, err
	}
	var norm Layer
	switch l.Norm {
	case LayerNorm{}.Type():
		norm = LayerNorm{}
	case RMSNorm{}.Type():
		norm = RMSNorm{}
	default:
		return 0, &LayerError{Layer: l.Type(), Field: "norm", Got: strconv.Quote(l.Norm), Want: "layer_norm or rms_norm", Fix: "correct the name"}
	}
	width := b.values[in][1]
	attended, err := b.branch(in, []named{
		{"norm1", norm}, {"attention", Attention{Heads: l.Heads, Causal: l.Causal}}, {"dropout1", Dropout{Rate: l.Dropout}},
	})
	if err != nil {
		return 0, err
	}
	return b.branch(attended, []named{
		{"norm2", norm}, {"in", Linear{Units: l.Expansion * width}}, {"activation", Activation{Kind: l.Activation}},
		{"out", Linear{Units: width}}, {"dropout2", Dropout{Rate: l.Dropout}},
	})
}

// WithDefaults returns the layer with the values of the fields that are not set.
func (l TransformerBlock) WithDefaults() TransformerBlock {
	if l.Expansion == 0 {
		l.Expansion = 4
	}
	if l.Activation == "" {
		l.Activation = kernel.GELU
	}
	if l.Norm == "" {
		l.Norm = LayerNorm{}.Type()
	}
	return l
}

// named is a part of a layer.
type named struct {
	name  string
	layer Layer
}

// branch writes parts one after another and adds the value that they start
// from.
func (b *builder) branch(in int, parts []named) (int, *LayerError) {
	v := in
	for _, p := range parts {
		out, err := b.part(p.name, p.layer, v)
		if err != nil {
			return 0, err
		}
		v = out
	}
	return b.sum(in, v), nil
}

// attending is the operation between the two linear layers of an attention. It may have
// a second input, the tokens of a text.
type attending struct {
	heads  int
	causal bool
}

func (a attending) needs(in tensor.Shape) needs {
	return needs{x: true, y: true, second: true, saved: []int{a.heads * in[0], a.heads * in[0]}}
}

func (a attending) shape(o operands) kernel.AttentionShape {
	return kernel.AttentionShape{
		Batch: o.rows, Tokens: o.out[0], Heads: a.heads, HeadWidth: o.out[1] / a.heads, Causal: a.causal,
	}
}

func (a attending) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.Attention{AttentionShape: a.shape(o), QKV: o.x, Y: o.y, Max: o.saved[0], Inv: o.saved[1], Text: o.other})
}

func (a attending) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.AttentionGrad{
		AttentionShape: a.shape(o), QKV: o.x, Y: o.y, Max: o.saved[0], Inv: o.saved[1], DY: o.dy, DQKV: o.dx, Text: o.other,
	})
}
