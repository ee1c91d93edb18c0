package nn

import (
	"fmt"
	"strings"

	"reprise/kernel"
	"reprise/tensor"
)

// graph is an architecture written out: operations in the order in which they
// run, each of which computes one value from earlier ones. Value 0 is the
// input; the last node's value is the output.
type graph struct {
	values []tensor.Shape // of one sample
	nodes  []node
	specs  []ParameterSpec
}

// node is one operation of a graph.
type node struct {
	op     operation
	layer  int    // index of the architecture's layer it belongs to
	path   string // such as "layers.3.body.0"
	inputs []int  // values
	output int    // value
	params []int  // of graph.specs
}

// operation is what a node computes. The layers without layers in them are
// operations themselves.
type operation interface {
	// needs says which buffers the operation has and reads.
	needs(in tensor.Shape) needs
	// forward and backward append the instructions to dst. The backward pass
	// omits dx if it is absent.
	forward(dst []kernel.Instruction, o operands) []kernel.Instruction
	backward(dst []kernel.Instruction, o operands) []kernel.Instruction
}

// needs tells the planner what an operation requires.
type needs struct {
	x, y bool // the backward pass reads the operation's input, its output
	// second: the backward pass reads the second input.
	second bool
	// tokens: the output is integers, which no precision packs.
	tokens bool
	// saved are the sizes of additional arrays that the forward pass keeps for
	// the backward pass, in elements per sample.
	saved []int
	// savedOnce are sizes of such arrays for all samples together.
	savedOnce []int
	// alias: the output is the input under another shape; nothing is computed.
	alias bool
	// evalAlias: the same, but in evaluation only.
	evalAlias bool
	// sum: the output is the sum of the inputs, so that its gradient is theirs.
	sum bool
	// inPlace: the output may be written over the (first) input. gradInPlace:
	// the input's gradient may be written over the output's.
	inPlace, gradInPlace bool
	// alwaysDX: the backward pass writes dx even if it is not used.
	alwaysDX bool
}

// operands are the buffers of one operation for a number of rows.
type operands struct {
	// rows is the number of samples; first is the position of the first one in
	// the whole batch.
	rows, first int
	in, out     tensor.Shape // of one sample
	x, y        kernel.Span
	other       kernel.Span // the second input
	saved       []kernel.Span
	params      []kernel.Span
	dy, dx      kernel.Span
	grads       []kernel.Span // of params
	training    bool
}

// param returns the i-th parameter, absent if there is none.
func (o *operands) param(i int) kernel.Span { return spanAt(o.params, i) }

// grad returns the gradient of the i-th parameter.
func (o *operands) grad(i int) kernel.Span { return spanAt(o.grads, i) }

// matrix returns an array's rows and columns if all but the last dimension of
// the samples' shape count as rows.
func (o *operands) matrix(shape tensor.Shape) (m, n int) {
	n = shape[len(shape)-1]
	return o.rows * elements(shape) / n, n
}

func spanAt(spans []kernel.Span, i int) kernel.Span {
	if i < len(spans) {
		return spans[i]
	}
	return kernel.Span{}
}

// builder writes a graph, layer by layer.
type builder struct {
	graph
	layer int    // of the architecture
	path  string // of the layer being written, such as "layers.3.body.0"
	next  Layer  // the one after it in its list, or nil
	text  int    // the value of the tokens, within a part of Columns that is a text; or 0
}

// build writes out the architecture, or returns a *LayerError.
func (a Architecture) build() (*graph, error) {
	if err := a.checkInput(); err != nil {
		return nil, err
	}
	b := &builder{graph: graph{values: []tensor.Shape{a.Input}}, layer: -1}
	if _, err := b.list("layers", a.Layers, 0); err != nil {
		err.Index = b.layer
		return nil, err
	}
	return &b.graph, nil
}

// list writes layers one after another and returns the last one's value. name
// is the name of the list in the layer at the builder's path.
func (b *builder) list(name string, layers Layers, v int) (int, *LayerError) {
	outer, top := b.path, b.path == ""
	for i, l := range layers {
		if top {
			b.layer = i
		}
		b.path, b.next = join(outer, fmt.Sprintf("%s.%d", name, i)), nil
		if i+1 < len(layers) {
			b.next = layers[i+1]
		}
		out, err := b.one(l, v)
		if err != nil {
			if !top {
				err.Field = fmt.Sprintf("%s[%d].%s", name, i, err.Field)
			}
			return 0, err
		}
		v = out
	}
	b.path, b.next = outer, nil
	return v, nil
}

// part writes a layer that is part of the one being written, under a name.
func (b *builder) part(name string, l Layer, v int) (int, *LayerError) {
	outer := b.path
	b.path, b.next = join(outer, name), nil
	out, err := b.one(l, v)
	b.path = outer
	return out, err
}

func (b *builder) one(l Layer, v int) (int, *LayerError) {
	if l == nil {
		return 0, &LayerError{Field: "type", Got: "missing", Fix: "say which layer it is"}
	}
	return l.build(b, v)
}

func join(outer, name string) string {
	if outer == "" {
		return name
	}
	return outer + "." + name
}

// leaf is a layer that is one operation.
type leaf interface {
	Layer
	operation
	// output returns the shape of one sample after the layer, or a *LayerError
	// without its index.
	output(in tensor.Shape) (tensor.Shape, *LayerError)
	// weights lists the parameters of the layer for samples of a shape that
	// output accepts.
	weights(in tensor.Shape) []weight
}

// leaf writes a layer that is one operation.
func (b *builder) leaf(l leaf, v int) (int, *LayerError) {
	in := b.values[v]
	out, err := l.output(in)
	if err != nil {
		return 0, err
	}
	if err := checkLarge(l.Type(), "output", out); err != nil {
		return 0, err
	}
	n := node{op: l, inputs: []int{v}}
	for _, w := range l.weights(in) {
		if err := checkLarge(l.Type(), w.name, w.shape); err != nil {
			return 0, err
		}
		n.params = append(n.params, len(b.specs))
		b.specs = append(b.specs, ParameterSpec{
			Name: b.path + "." + w.name, Shape: w.shape, Layer: b.layer, FanIn: w.fanIn,
			Statistic: w.statistic, initial: w.initial,
		})
		if w.fanIn > 0 {
			b.specs[len(b.specs)-1].initial = uniform(fanInBound(w.fanIn, b.next))
		}
	}
	return b.add(n, out), nil
}

// add appends a node and returns its value.
func (b *builder) add(n node, out tensor.Shape) int {
	n.layer, n.path, n.output = b.layer, b.path, len(b.values)
	b.values = append(b.values, out)
	b.nodes = append(b.nodes, n)
	return n.output
}

// sum adds two values of the same shape.
func (b *builder) sum(x, y int) int {
	return b.add(node{op: sum{}, inputs: []int{x, y}}, b.values[x])
}

// checkLarge bounds a layer's output and its parameters.
func checkLarge(layer, field string, s tensor.Shape) *LayerError {
	if n, err := s.NumElements(); err == nil && n <= MaxElements {
		return nil
	}
	return &LayerError{Layer: layer, Field: field, Got: s.String(),
		Want: fmt.Sprintf("at most %d values", MaxElements), Fix: "use a smaller layer"}
}

// output returns the shape of one sample after the last layer.
func (g *graph) output() tensor.Shape { return g.values[len(g.values)-1] }

// label names a node for messages: "layers.1 (linear)".
func (n *node) label() string {
	name := "sum"
	if l, ok := n.op.(Layer); ok {
		name = l.Type()
	}
	return n.path + " (" + name + ")"
}

// sum is the operation that ends a residual branch.
type sum struct{}

func (sum) needs(tensor.Shape) needs { return needs{sum: true, inPlace: true} }

func (sum) forward(dst []kernel.Instruction, o operands) []kernel.Instruction {
	return append(dst, kernel.Add{A: o.x, B: o.other, Out: o.y})
}

// backward has nothing to compute: the planner passes on the gradient.
func (sum) backward(dst []kernel.Instruction, _ operands) []kernel.Instruction { return dst }

// topLevel reports whether the path belongs to a layer of the architecture
// itself.
func topLevel(path string) bool { return strings.Count(path, ".") == 1 }
