package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// Embedding replaces each of a sample's T tokens by a row of its parameter
// "weight" [Vocabulary, Width]: [T] becomes [T, Width]. It must come first in
// an architecture, whose samples are then tokens instead of numbers, or in a part of
// Columns.
type Embedding struct {
	Vocabulary, Width int
}

// Position adds a learned vector for each position to a sequence [T,C]: its
// parameter "weight" is [T,C].
type Position struct{}

// embeddingStd is the standard deviation of initial embeddings (Radford et al.,
// 2019).
const embeddingStd = 0.02

// Type returns "embedding".
func (Embedding) Type() string { return "embedding" }

// Type returns "position".
func (Position) Type() string { return "position" }

func (l Embedding) build(b *builder, in int) (int, *LayerError) {
	if (in != 0 || !topLevel(b.path)) && (b.text == 0 || in != b.text) {
		return 0, &LayerError{Layer: l.Type(), Field: "input", Got: "another layer's output", Want: "the samples' tokens",
			Fix: "put it first, and only once"}
	}
	return b.leaf(l, in)
}

func (l Position) build(b *builder, in int) (int, *LayerError) { return b.leaf(l, in) }

func (l Embedding) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	if err := checkUnits(l.Type(), "vocabulary", l.Vocabulary); err != nil {
		err.Fix = "say how many different tokens there are"
		return nil, err
	}
	if err := checkUnits(l.Type(), "width", l.Width); err != nil {
		err.Fix = "say how many values represent a token"
		return nil, err
	}
	if len(in) != 1 {
		return nil, &LayerError{Layer: l.Type(), Field: "input", Got: in.String(), Want: "a row of tokens", Fix: "use it on text"}
	}
	return tensor.Shape{in[0], l.Width}, nil
}

func (l Position) output(in tensor.Shape) (tensor.Shape, *LayerError) {
	return in, checkSequence(l.Type(), in)
}

// checkSequence returns an error unless in is [T, C].
func checkSequence(layer string, in tensor.Shape) *LayerError {
	if len(in) == 2 {
		return nil
	}
	return &LayerError{Layer: layer, Field: "input", Got: in.String(), Want: "a sequence [tokens features]",
		Fix: `put it after an embedding, or after {"type": "tokens"} on images`}
}

func (l Embedding) weights(tensor.Shape) []weight {
	return []weight{{name: "weight", shape: tensor.Shape{l.Vocabulary, l.Width}, initial: uniform(stdBound(embeddingStd))}}
}

func (Position) weights(in tensor.Shape) []weight {
	return []weight{{name: "weight", shape: in, initial: uniform(stdBound(embeddingStd))}}
}

func (Embedding) needs(tensor.Shape) needs { return needs{x: true} }
func (Position) needs(tensor.Shape) needs  { return needs{sum: true, inPlace: true} }

func (l Embedding) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.Embedding{
		Tokens: o.x, Table: o.param(0), Y: o.y, M: o.rows * o.in[0], N: l.Width, V: l.Vocabulary,
	})
}

func (l Embedding) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.EmbeddingGrad{
		Tokens: o.x, DY: o.dy, DTable: o.grad(0), M: o.rows * o.in[0], N: l.Width, V: l.Vocabulary,
	})
}

func (Position) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.AddRow{X: o.x, Row: o.param(0), Y: o.y, M: o.rows, N: elements(o.in)})
}

// backward has no dx to compute: the planner passes on dy.
func (Position) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.SumRows{X: o.dy, Out: o.grad(0), M: o.rows, N: elements(o.in)})
}

// TakesTokens reports whether the architecture's samples are tokens: whether it
// begins with an Embedding.
func (a Architecture) TakesTokens() bool {
	_, ok := a.tokenInput()
	return ok
}

// tokenInput reports whether the architecture's samples are tokens, and the
// size of the vocabulary.
func (a Architecture) tokenInput() (vocabulary int, ok bool) {
	if len(a.Layers) == 0 {
		return 0, false
	}
	e, ok := a.Layers[0].(Embedding)
	return e.Vocabulary, ok
}
