package export

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// graph is a model as ONNX sees it: nodes in the order in which they run.
type graph struct {
	nodes           []node
	initializers    []initializer
	inputs, outputs []value
	origin          []Property

	layouts layouts
	weights map[string]tensor.Tensor
	have    map[string]bool // initializers, by name
	text    string          // which tokens of the current text are not padding, [N, T]
}

// normEpsilon is what every normalisation adds to the variance; see package nn.
const normEpsilon = float32(1e-5)

// graph returns the model as a graph.
func (m Model) graph() (*graph, error) {
	g := &graph{
		origin: m.Origin, layouts: layoutsOf("layers", m.Architecture.Layers),
		weights: map[string]tensor.Tensor{}, have: map[string]bool{},
	}
	for _, t := range m.Weights {
		g.weights[t.Name] = t
	}
	in := value{"input", elementFloat, foreign(m.Architecture.Input)}
	if m.Architecture.TakesTokens() {
		in.name, in.element = "tokens", elementInt64
	}
	g.inputs = []value{in}
	last, out, err := g.list("layers", m.Architecture.Layers, in.name, m.Architecture.Input)
	if err != nil {
		return nil, err
	}
	g.finish(m, last, out)
	_, _, _, err = g.encode()
	return g, err
}

// finish makes the outputs of the graph from that of the last layer.
func (g *graph) finish(m Model, last string, shape tensor.Shape) {
	output := func(name string) { g.outputs = append(g.outputs, value{name, elementFloat, shape}) }
	switch {
	case m.classifies():
		g.add("Identity", "logits", []string{last})
		g.add("Softmax", "probabilities", []string{last}, attribute{"axis", -1})
		output("logits")
		output("probabilities")
	case m.Targets == nil:
		g.add("Identity", "predictions", []string{last})
		output("predictions")
	default:
		means, scales := make([]float32, len(m.Targets)), make([]float32, len(m.Targets))
		for i, t := range m.Targets {
			means[i], scales[i] = float32(t.Mean), float32(t.Scale)
		}
		width := tensor.Shape{len(m.Targets)}
		scaled := g.add("Mul", "predictions.scaled", []string{last, g.floats("targets.scale", width, scales...)})
		g.add("Add", "predictions", []string{scaled, g.floats("targets.mean", width, means...)})
		output("predictions")
	}
}

// add appends a node with one output and returns the output's name.
func (g *graph) add(op, name string, inputs []string, attributes ...attribute) string {
	g.nodes = append(g.nodes, node{op: op, name: name, inputs: inputs, outputs: []string{name}, attributes: attributes})
	return name
}

// constant adds an initializer unless there is one of its name, and returns the name.
func (g *graph) constant(i initializer) string {
	if !g.have[i.name] {
		g.have[i.name] = true
		g.initializers = append(g.initializers, i)
	}
	return i.name
}

func (g *graph) floats(name string, shape tensor.Shape, values ...float32) string {
	return g.constant(initializer{name: name, shape: shape, floats: values})
}

// number is a constant without dimensions.
func (g *graph) number(v float32) string {
	return g.floats("constant."+strconv.FormatFloat(float64(v), 'g', -1, 32), nil, v)
}

// shape is a constant for Reshape. 0 copies a dimension of the input, -1 stands for the
// rest.
func (g *graph) shape(dims ...int) string {
	return g.constant(initializer{name: "shape." + strings.Join(numbers(dims), "x"), shape: tensor.Shape{len(dims)}, ints: dims})
}

// weight is a parameter as the layouts say, or with its dimensions in another order.
func (g *graph) weight(path, name string, order ...int) string {
	t := g.layouts.apply(g.weights[path+"."+name])
	if order != nil {
		t = permuted(t, order)
	}
	return g.constant(initializer{name: t.Name, shape: t.Shape, floats: t.Data})
}

// transpose reorders the dimensions of a batch.
func (g *graph) transpose(name, v string, order ...int) string {
	return g.add("Transpose", name, []string{v}, attribute{"perm", order})
}

// list adds layers that follow each other and returns the last one's value with the
// shape of a sample.
func (g *graph) list(path string, layers nn.Layers, v string, in tensor.Shape) (string, tensor.Shape, error) {
	for i, l := range layers {
		out, err := after(in, l)
		if err != nil {
			return "", nil, err
		}
		if v, err = g.layer(path+"."+strconv.Itoa(i), l, v, in); err != nil {
			return "", nil, err
		}
		in = out
	}
	return v, in, nil
}

// layer adds a layer for samples of a shape and returns its value.
func (g *graph) layer(path string, l nn.Layer, v string, in tensor.Shape) (string, error) {
	switch l := l.(type) {
	case nn.Linear:
		return g.linear(path, v, in, l.NoBias), nil
	case nn.Conv2D:
		return g.convolve(path, v, l.Geometry(), 1, l.NoBias), nil
	case nn.DepthwiseConv2D:
		return g.convolve(path, v, l.Geometry(), in[2], l.NoBias), nil
	case nn.MaxPool2D:
		return g.pool("MaxPool", path, v, l.Kernel, l.Stride), nil
	case nn.AvgPool2D:
		return g.pool("AveragePool", path, v, l.Kernel, l.Stride), nil
	case nn.GlobalAvgPool:
		axes := []int{1}
		if isImage(in) {
			axes = []int{2, 3}
		} else if g.text != "" && len(in) == 2 {
			return g.textMean(path, v), nil
		}
		return g.add("ReduceMean", path, []string{v}, attribute{"axes", axes}, attribute{"keepdims", 0}), nil
	case nn.Activation:
		return g.activate(path, v, l.Kind), nil
	case nn.BatchNorm:
		return g.batchNorm(path, v, in), nil
	case nn.LayerNorm:
		return g.channelsLast(path, v, in, g.layerNorm), nil
	case nn.RMSNorm:
		return g.channelsLast(path, v, in, g.rmsNorm), nil
	case nn.Dropout:
		return v, nil // in training only
	case nn.Flatten:
		if isImage(in) {
			v = g.transpose(path+".channels_last", v, 0, 2, 3, 1)
		}
		return g.add("Flatten", path, []string{v}, attribute{"axis", 1}), nil
	case nn.Tokens:
		v = g.transpose(path+".channels_last", v, 0, 2, 3, 1)
		return g.add("Reshape", path, []string{v, g.shape(0, in[0]*in[1], in[2])}), nil
	case nn.Embedding:
		return g.add("Gather", path, []string{g.weight(path, "weight"), v}), nil
	case nn.Position:
		return g.add("Add", path, []string{v, g.weight(path, "weight")}), nil
	case nn.Attention:
		return g.attention(path, v, in, l), nil
	case nn.TransformerBlock:
		return g.block(path, v, in, l.WithDefaults())
	case nn.Residual:
		return g.residual(path, v, in, l)
	case nn.Columns:
		return g.columns(path, v, l)
	}
	return "", fmt.Errorf("layer %s cannot be exported to ONNX yet", l.Type())
}

func (g *graph) linear(path, v string, in tensor.Shape, noBias bool) string {
	if len(in) == 1 {
		inputs := []string{v, g.weight(path, "weight")}
		if !noBias {
			inputs = append(inputs, g.weight(path, "bias"))
		}
		return g.add("Gemm", path, inputs, attribute{"transB", 1})
	}
	product := []string{v, g.weight(path, "weight", 1, 0)}
	if noBias {
		return g.add("MatMul", path, product)
	}
	return g.add("Add", path, []string{g.add("MatMul", path+".product", product), g.weight(path, "bias")})
}

func (g *graph) convolve(path, v string, s nn.Geometry, groups int, noBias bool) string {
	inputs := []string{v, g.weight(path, "weight")}
	if !noBias {
		inputs = append(inputs, g.weight(path, "bias"))
	}
	return g.add("Conv", path, inputs, attribute{"group", groups},
		attribute{"kernel_shape", []int{s.Kernel.H, s.Kernel.W}},
		attribute{"pads", []int{s.Padding.H, s.Padding.W, s.Padding.H, s.Padding.W}},
		attribute{"strides", []int{s.Stride.H, s.Stride.W}})
}

func (g *graph) pool(op, path, v string, size, stride nn.Size) string {
	if stride == (nn.Size{}) {
		stride = size
	}
	return g.add(op, path, []string{v}, attribute{"kernel_shape", []int{size.H, size.W}}, attribute{"strides", []int{stride.H, stride.W}})
}

func (g *graph) activate(path, v string, kind kernel.ActivationKind) string {
	switch kind {
	case kernel.Tanh:
		return g.add("Tanh", path, []string{v})
	case kernel.Sigmoid:
		return g.add("Sigmoid", path, []string{v})
	case kernel.SiLU:
		return g.add("Mul", path, []string{v, g.add("Sigmoid", path+".sigmoid", []string{v})})
	case kernel.GELU:
		return g.gelu(path, v)
	case kernel.ReLU:
	}
	return g.add("Relu", path, []string{v})
}

// gelu is x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))); operator set 17 has no
// operator for it.
func (g *graph) gelu(path, v string) string {
	mul := func(name, a, b string) string { return g.add("Mul", path+name, []string{a, b}) }
	add := func(name, a, b string) string { return g.add("Add", path+name, []string{a, b}) }
	cube := mul(".cube", mul(".square", v, v), v)
	inner := add(".sum", v, mul(".small", cube, g.number(0.044715)))
	tanh := g.add("Tanh", path+".tanh", []string{mul(".inner", inner, g.number(0.7978845608))})
	return mul("", mul(".half", v, g.number(0.5)), add(".factor", tanh, g.number(1)))
}

func (g *graph) batchNorm(path, v string, in tensor.Shape) string {
	inputs := func(v string) []string {
		return []string{v, g.weight(path, "weight"), g.weight(path, "bias"), g.weight(path, "running_mean"), g.weight(path, "running_var")}
	}
	epsilon := attribute{"epsilon", normEpsilon}
	if isImage(in) || len(in) == 1 {
		return g.add("BatchNormalization", path, inputs(v), epsilon)
	}
	rows := g.add("Reshape", path+".rows", []string{v, g.shape(-1, in[len(in)-1])})
	rows = g.add("BatchNormalization", path+".normalized", inputs(rows), epsilon)
	return g.add("Reshape", path, []string{rows, g.shape(append([]int{-1}, in...)...)})
}

// channelsLast adds what works on the last dimension of our shapes.
func (g *graph) channelsLast(path, v string, in tensor.Shape, f func(path, out, v string) string) string {
	if !isImage(in) {
		return f(path, path, v)
	}
	v = g.transpose(path+".channels_last", v, 0, 2, 3, 1)
	return g.transpose(path, f(path, path+".normalized", v), 0, 3, 1, 2)
}

func (g *graph) layerNorm(path, out, v string) string {
	return g.add("LayerNormalization", out, []string{v, g.weight(path, "weight"), g.weight(path, "bias")},
		attribute{"axis", -1}, attribute{"epsilon", normEpsilon})
}

func (g *graph) rmsNorm(path, out, v string) string {
	square := g.add("Mul", path+".square", []string{v, v})
	mean := g.add("ReduceMean", path+".mean", []string{square}, attribute{"axes", []int{-1}}, attribute{"keepdims", 1})
	root := g.add("Sqrt", path+".root", []string{g.add("Add", path+".sum", []string{mean, g.number(normEpsilon)})})
	return g.add("Mul", out, []string{g.add("Div", path+".quotient", []string{v, root}), g.weight(path, "weight")})
}

// attention adds the linear layer to queries, keys and values, the attention of each
// head, and the linear layer to the output.
func (g *graph) attention(path, v string, in tensor.Shape, l nn.Attention) string {
	tokens, width := in[0], in[1]/l.Heads
	qkv := g.linear(path+".qkv", v, in, l.NoBias)
	parts := []string{path + ".queries", path + ".keys", path + ".values"}
	g.nodes = append(g.nodes, node{op: "Split", name: path + ".split", inputs: []string{qkv}, outputs: parts, attributes: []attribute{{"axis", -1}}})
	heads := func(i int, order ...int) string {
		split := g.add("Reshape", parts[i]+".heads", []string{parts[i], g.shape(0, tokens, l.Heads, width)})
		return g.transpose(parts[i]+".by_head", split, order...)
	}
	queries, keys, values := heads(0, 0, 2, 1, 3), heads(1, 0, 2, 3, 1), heads(2, 0, 2, 1, 3)
	scores := g.add("MatMul", path+".products", []string{queries, keys})
	scores = g.add("Mul", path+".scores", []string{scores, g.number(inverseRoot(width))})
	if l.Causal {
		scores = g.add("Where", path+".seen", []string{g.causal(tokens), scores, g.number(negativeInfinity())})
	}
	if g.text != "" {
		seen := g.add("Unsqueeze", path+".text", []string{g.text, g.axes(1, 2)})
		scores = g.add("Where", path+".unpadded", []string{seen, scores, g.number(-1e30)})
	}
	weights := g.add("Softmax", path+".weights", []string{scores}, attribute{"axis", -1})
	y := g.transpose(path+".by_token", g.add("MatMul", path+".heads", []string{weights, values}), 0, 2, 1, 3)
	y = g.add("Reshape", path+".joined", []string{y, g.shape(0, tokens, in[1])})
	return g.linear(path+".out", y, in, l.NoBias)
}

// causal returns the mask [T, T] of the tokens that each token sees: those up to itself.
func (g *graph) causal(tokens int) string {
	name := "causal." + strconv.Itoa(tokens)
	if g.have[name] {
		return name
	}
	g.have[name] = true
	places := make([]int, tokens)
	for i := range places {
		places[i] = i
	}
	row := g.constant(initializer{name: name + ".keys", shape: tensor.Shape{1, tokens}, ints: places})
	column := g.constant(initializer{name: name + ".queries", shape: tensor.Shape{tokens, 1}, ints: places})
	return g.add("LessOrEqual", name, []string{row, column})
}

func (g *graph) block(path, v string, in tensor.Shape, l nn.TransformerBlock) (string, error) {
	norm := g.layerNorm
	if l.Norm == (nn.RMSNorm{}).Type() {
		norm = g.rmsNorm
	}
	attended := g.attention(path+".attention", norm(path+".norm1", path+".norm1", v), in, nn.Attention{Heads: l.Heads, Causal: l.Causal})
	v = g.add("Add", path+".attended", []string{v, attended})
	hidden := g.linear(path+".in", norm(path+".norm2", path+".norm2", v), in, false)
	hidden = g.activate(path+".activation", hidden, l.Activation)
	return g.add("Add", path, []string{v, g.linear(path+".out", hidden, in, false)}), nil
}

func (g *graph) residual(path, v string, in tensor.Shape, l nn.Residual) (string, error) {
	shortcut, _, err := g.list(path+".shortcut", l.Shortcut, v, in)
	if err != nil {
		return "", err
	}
	body, _, err := g.list(path+".body", l.Body, v, in)
	if err != nil {
		return "", err
	}
	return g.add("Add", path, []string{shortcut, body}), nil
}

// columns takes rows apart and joins what the parts make of their columns.
func (g *graph) columns(path, v string, l nn.Columns) (string, error) {
	sizes, parts := make([]int, len(l.Parts)), make([]string, len(l.Parts))
	for i, p := range l.Parts {
		sizes[i], parts[i] = p.Columns, fmt.Sprintf("%s.parts.%d", path, i)
	}
	split := g.constant(initializer{name: path + ".sizes", shape: tensor.Shape{len(sizes)}, ints: sizes})
	g.nodes = append(g.nodes, node{op: "Split", name: path + ".split", inputs: []string{v, split}, outputs: parts, attributes: []attribute{{"axis", 1}}})
	rows := make([]string, len(parts))
	for i, p := range l.Parts {
		x := parts[i]
		if _, ok := p.Text(); ok {
			g.text = g.add("Greater", parts[i]+".mask", []string{x, g.number(0)})
			x = g.add("Cast", parts[i]+".tokens", []string{x}, attribute{"to", elementInt64})
		}
		var err error
		rows[i], _, err = g.list(parts[i], p.Layers, x, tensor.Shape{p.Columns})
		g.text = ""
		if err != nil {
			return "", err
		}
	}
	return g.add("Concat", path, rows, attribute{"axis", 1}), nil
}

// textMean adds the mean over the tokens of a text, without the padding.
func (g *graph) textMean(path, v string) string {
	mask := g.add("Cast", path+".mask", []string{g.text}, attribute{"to", elementFloat})
	mask = g.add("Unsqueeze", path+".weights", []string{mask, g.axes(2)})
	sum := func(name, v string) string {
		return g.add("ReduceSum", path+name, []string{v, g.axes(1)}, attribute{"keepdims", 0})
	}
	total := sum(".sum", g.add("Mul", path+".unpadded", []string{v, mask}))
	count := g.add("Max", path+".count", []string{sum(".length", mask), g.number(1)})
	return g.add("Div", path, []string{total, count})
}

// axes is a constant that lists dimensions.
func (g *graph) axes(list ...int) string {
	return g.constant(initializer{name: "axes." + strings.Join(numbers(list), "x"), shape: tensor.Shape{len(list)}, ints: list})
}

// inverseRoot is what attention multiplies its scores by.
func inverseRoot(width int) float32 { return float32(1 / math.Sqrt(float64(width))) }

func negativeInfinity() float32 { return float32(math.Inf(-1)) }
