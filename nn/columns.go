package nn

import (
	"fmt"
	"strconv"
	"strings"

	"reprise/kernel"
	"reprise/tensor"
)

// Columns takes rows [N] of a table apart: each part has the next of its columns and
// layers of its own, which end in a row. These rows, one after another, are the output.
// It must come first in an architecture.
//
// A part that begins with an Embedding is a text: its columns are tokens, whole numbers,
// and token 0 is padding, which ends the text. Padding counts nothing: Attention and
// TransformerBlock do not see it, GlobalAvgPool is the mean of the tokens before it, and
// 0 for a text without tokens. Any other part is numbers.
//
// The parameters of a part are named "parts.<part>.<layer>.<name>".
type Columns struct {
	Parts []Part
}

// Part is some of the columns of a row.
type Part struct {
	// Columns is the number of columns.
	Columns int
	// Layers may be empty for numbers, which are then taken as they are.
	Layers Layers
}

// Text reports whether the part's columns are tokens, and the size of their vocabulary.
func (p Part) Text() (vocabulary int, ok bool) {
	return Architecture{Layers: p.Layers}.tokenInput()
}

// Type returns "columns".
func (Columns) Type() string { return "columns" }

func (l Columns) build(b *builder, in int) (int, *LayerError) {
	if err := l.check(b, in); err != nil {
		return 0, err
	}
	path, first, width := b.path, 0, 0
	rows := make([]int, len(l.Parts))
	for i, p := range l.Parts {
		row, err := b.columns(fmt.Sprintf("parts.%d", i), p, first)
		b.path, b.text = path, 0
		if err != nil {
			err.Field = strings.Replace(err.Field, fmt.Sprintf("parts.%d[", i), fmt.Sprintf("parts[%d].layers[", i), 1)
			return 0, err
		}
		shape := b.values[row]
		if len(shape) != 1 {
			return 0, &LayerError{Layer: l.Type(), Field: fmt.Sprintf("parts[%d]", i), Got: "of output " + shape.String(), Want: "a row",
				Fix: `end its layers with {"type": "global_avg_pool"} or {"type": "flatten"}`}
		}
		rows[i] = row
		first += p.Columns
		width += shape[0]
	}
	if err := checkLarge(l.Type(), "output", tensor.Shape{width}); err != nil {
		return 0, err
	}
	if len(rows) == 1 {
		return rows[0], nil
	}
	at, sum := 0, 0
	for i, row := range rows {
		n := b.values[row][0]
		wide := b.add(node{op: widening{at}, inputs: []int{row}}, tensor.Shape{width})
		if at += n; i == 0 {
			sum = wide
		} else {
			sum = b.sum(sum, wide)
		}
	}
	return sum, nil
}

// check fails unless the parts have the columns of the samples.
func (l Columns) check(b *builder, in int) *LayerError {
	if in != 0 || !topLevel(b.path) {
		return &LayerError{Layer: l.Type(), Field: "input", Got: "another layer's output", Want: "the samples' columns", Fix: "put it first, and only once"}
	}
	shape := b.values[in]
	if len(shape) != 1 {
		return &LayerError{Layer: l.Type(), Field: "input", Got: shape.String(), Want: "a row of columns", Fix: "use it on tables"}
	}
	if n := len(l.Parts); n == 0 || n > MaxLayers {
		return &LayerError{Layer: l.Type(), Field: "parts", Got: fmt.Sprintf("a list of %d", n), Want: fmt.Sprintf("1 to %d", MaxLayers), Fix: "list the parts of a row"}
	}
	total := 0
	for i, p := range l.Parts {
		if err := checkUnits(l.Type(), fmt.Sprintf("parts[%d].columns", i), p.Columns); err != nil {
			err.Fix = "say how many columns the part has"
			return err
		}
		total += p.Columns
	}
	if total != shape[0] {
		return &LayerError{Layer: l.Type(), Field: "parts", Got: fmt.Sprintf("%d columns", total), Want: fmt.Sprintf("%d, those of a sample", shape[0]),
			Fix: "let the parts have all columns"}
	}
	return nil
}

// columns writes a part of a row, from a column on.
func (b *builder) columns(name string, p Part, first int) (int, *LayerError) {
	shape := tensor.Shape{p.Columns}
	var v int
	if _, text := p.Text(); text {
		v = b.add(node{op: tokenColumns{first}, inputs: []int{0}}, shape)
		b.text = v
	} else {
		v = b.add(node{op: someColumns{first}, inputs: []int{0}}, shape)
	}
	return b.list(name, p.Layers, v)
}

// someColumns copies columns of the samples.
type someColumns struct{ first int }

func (someColumns) needs(tensor.Shape) needs { return needs{} }

func (c someColumns) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.CopyColumns{X: o.x, Y: o.y, M: o.rows, N: o.out[0], XN: o.in[0], XFirst: c.first, YN: o.out[0]})
}

// backward is never called with a dx: no parameter comes before the samples.
func (someColumns) backward(dst []kernel.Instruction, _ operands) []kernel.Instruction { return dst }

// tokenColumns turns columns of the samples into tokens.
type tokenColumns struct{ first int }

func (tokenColumns) needs(tensor.Shape) needs { return needs{tokens: true} }

func (c tokenColumns) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.TokenColumns{X: o.x, Y: o.y, M: o.rows, N: o.out[0], XN: o.in[0], First: c.first})
}

// backward has nothing to compute: tokens have no gradient.
func (tokenColumns) backward(dst []kernel.Instruction, _ operands) []kernel.Instruction { return dst }

// widening places a row in a wider one, from a column on.
type widening struct{ at int }

func (widening) needs(tensor.Shape) needs { return needs{} }

func (w widening) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.CopyColumns{X: o.x, Y: o.y, M: o.rows, N: o.in[0], XN: o.in[0], YN: o.out[0], YFirst: w.at})
}

func (w widening) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, kernel.CopyColumns{X: o.dy, Y: o.dx, M: o.rows, N: o.in[0], XN: o.out[0], XFirst: w.at, YN: o.in[0]})
}

// textMean is the mean of a text's tokens. Its second input is the tokens.
type textMean struct{}

func (textMean) needs(tensor.Shape) needs { return needs{second: true} }

func (textMean) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.MeanTokens{Tokens: o.other, X: o.x, Y: o.y, M: o.rows, T: o.in[0], N: o.in[1]})
}

func (textMean) backward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	if o.dx.Empty() {
		return dst
	}
	return append(dst, kernel.MeanTokensGrad{Tokens: o.other, DY: o.dy, DX: o.dx, M: o.rows, T: o.in[0], N: o.in[1]})
}

// ofText reports whether a value is the sequence of a text, whose padding counts nothing.
func (b *builder) ofText(v int) bool { return b.text != 0 && len(b.values[v]) == 2 }

// withText returns the inputs of an operation that needs to know where a text ends.
func (b *builder) withText(v int) []int {
	if b.text == 0 {
		return []int{v}
	}
	return []int{v, b.text}
}

// refuseText fails for a layer that would count a text's padding.
func (b *builder) refuseText(layer string, v int) *LayerError {
	if !b.ofText(v) {
		return nil
	}
	return &LayerError{Layer: layer, Field: "input", Got: "a text of up to " + strconv.Itoa(b.values[v][0]) + " tokens", Want: "no padding, which it would count",
		Fix: `use {"type": "layer_norm"}, or put it after {"type": "global_avg_pool"}`}
}
