package export

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"reprise/checkpoint"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// partsSource are the classes that a generated module may need, beside those of
// PyTorch. Each begins after two empty lines.
//
//go:embed parts.py
var partsSource string

// blockNames are the parts of a transformer block whose names change.
var blockNames = [][2]string{{"in", "linear1"}, {"out", "linear2"}}

// writeWeights writes the weights under the names and in the layouts of the generated
// module, as safetensors.
func (m Model) writeWeights(w io.Writer) error {
	layouts := layoutsOf("layers", m.Architecture.Layers)
	tensors := make([]tensor.Tensor, len(m.Weights))
	for i, t := range m.Weights {
		tensors[i] = layouts.apply(t)
	}
	return checkpoint.EncodeSafetensors(w, tensors)
}

// layouts are the parts of an architecture whose parameters are stored otherwise than in
// a checkpoint, by their paths.
type layouts struct {
	names map[string]string
	order map[string]order // of the weight
}

// layoutsOf returns the layouts of a list of layers.
func layoutsOf(path string, layers nn.Layers) layouts {
	l := layouts{map[string]string{}, map[string]order{}}
	l.add(path, layers)
	return l
}

func (l layouts) add(path string, layers nn.Layers) {
	for i, layer := range layers {
		at := path + "." + strconv.Itoa(i)
		switch layer := layer.(type) {
		case nn.Conv2D:
			l.order[at] = convolution
		case nn.DepthwiseConv2D:
			l.order[at] = depthwise
		case nn.TransformerBlock:
			for _, n := range blockNames {
				l.names[at+"."+n[0]] = at + "." + n[1]
			}
		case nn.Residual:
			l.add(at+".body", layer.Body)
			l.add(at+".shortcut", layer.Shortcut)
		case nn.Columns:
			for k, p := range layer.Parts {
				l.add(fmt.Sprintf("%s.parts.%d", at, k), p.Layers)
			}
		}
	}
}

// apply returns a parameter of a checkpoint as it is exported.
func (l layouts) apply(t tensor.Tensor) tensor.Tensor {
	name, o := l.of(t.Name)
	t = o.apply(t)
	t.Name = name
	return t
}

// of returns the name and the order of a parameter of a checkpoint.
func (l layouts) of(parameter string) (string, order) {
	dot := strings.LastIndexByte(parameter, '.')
	path, name := parameter[:dot], parameter[dot:]
	var o order
	if name == ".weight" {
		o = l.order[path]
	}
	if other, ok := l.names[path]; ok {
		path = other
	}
	return path + name, o
}

// order is how the dimensions of a weight are ordered in PyTorch, by their index in a
// checkpoint; outer is a dimension of 1 that only PyTorch has. "" is the order of a
// checkpoint.
type order string

const (
	// convolution turns [O H W I] into [O I H W].
	convolution order = "0312"
	// depthwise turns [H W C] into [C 1 H W].
	depthwise order = "2-01"
	outer     rune  = '-'
)

// apply returns a tensor of a checkpoint in the order.
func (o order) apply(t tensor.Tensor) tensor.Tensor {
	if o == "" {
		return t
	}
	var dimensions []int
	for _, d := range o {
		if d != outer {
			dimensions = append(dimensions, int(d-'0'))
		}
	}
	t = permuted(t, dimensions)
	if at := strings.IndexRune(string(o), outer); at >= 0 {
		t.Shape = slices.Insert(t.Shape, at, 1)
	}
	return t
}

// undoes reports whether undo can be applied to a tensor of a shape.
func (o order) undoes(s tensor.Shape) bool {
	at := strings.IndexRune(string(o), outer)
	return o != "" && len(s) == len(o) && (at < 0 || s[at] == 1)
}

// undo is the inverse of apply. Without data, only the shape is turned.
func (o order) undo(t tensor.Tensor) tensor.Tensor {
	if !o.undoes(t.Shape) {
		return t
	}
	t.Shape = t.Shape.Clone()
	dimensions := string(o)
	if at := strings.IndexRune(dimensions, outer); at >= 0 {
		t.Shape, dimensions = slices.Delete(t.Shape, at, at+1), dimensions[:at]+dimensions[at+1:]
	}
	inverse := make([]int, len(dimensions))
	for i, d := range dimensions {
		inverse[d-'0'] = i
	}
	if t.Data != nil {
		return permuted(t, inverse)
	}
	turned := make(tensor.Shape, len(inverse))
	for i, from := range inverse {
		turned[i] = t.Shape[from]
	}
	t.Shape = turned
	return t
}

// module writes the code of a module.
type module struct {
	used map[string]bool // classes of partsSource
	text bool            // within a text, whose padding does not count
}

// python returns the source of a module that builds the model and loads its weights.
func (m Model) python() (string, error) {
	code := module{used: map[string]bool{}}
	out, err := m.Architecture.Output()
	if err != nil {
		return "", err
	}
	body, err := code.list(m.Architecture.Input, m.Architecture.Layers, 2)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`"""A model that Reprise has trained, for PyTorch 1.12 or later.

    import model
    net = model.load()              # reads model.safetensors beside this file
    ` + m.pythonCall(out) + "\n")
	for _, p := range m.Origin {
		fmt.Fprintf(&b, "\n%s: %s", docText(p.Key), docText(p.Value))
	}
	if len(m.Origin) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nInput: %s.\nOutput: %s.\n\"\"\"\n\n", m.inputText(out), m.outputText(out))
	b.WriteString("import json\nimport pathlib\n\nimport torch\nfrom torch import nn\n")
	if m.Targets != nil {
		b.WriteString("\n# A target in its own unit is output * scale + mean.\nTARGETS = [\n")
		for _, t := range m.Targets {
			fmt.Fprintf(&b, "    {\"name\": %s, \"mean\": %s, \"scale\": %s},\n", pyString(t.Name), pyFloat(t.Mean), pyFloat(t.Scale))
		}
		b.WriteString("]\n")
	}
	for _, class := range strings.Split(strings.TrimSpace(partsSource), "\n\n\n") {
		if code.used[className(class)] {
			b.WriteString("\n\n" + class + "\n")
		}
	}
	b.WriteString("\n\n" + `class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = ` + body + `

    def forward(self, x):
        return self.layers(x)


def read_safetensors(path):
    """Returns the tensors of a file by name."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = bytearray(f.read())
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(data, dtype=torch.float32, offset=t["data_offsets"][0],
                               count=(t["data_offsets"][1] - t["data_offsets"][0]) // 4).reshape(t["shape"])
        for name, t in header.items()
    }


def load(path=pathlib.Path(__file__).with_name("model.safetensors")):
    """Returns the trained model, in evaluation mode."""
    model = Model()
    model.load_state_dict(read_safetensors(path))
    return model.eval()
`)
	return b.String(), nil
}

// className returns the name of the class that a text defines.
func className(source string) string {
	name := strings.TrimPrefix(source, "class ")
	return name[:strings.IndexByte(name, '(')]
}

// pythonCall is a line that uses the model.
func (m Model) pythonCall(out tensor.Shape) string {
	switch {
	case !m.classifies():
		return "quantities = net(x)"
	case len(out) == 2:
		return "next_token = net(x).softmax(-1)"
	}
	return "probabilities = net(x).softmax(-1)"
}

// inputText says what the model takes.
func (m Model) inputText(out tensor.Shape) string {
	in := foreign(m.Architecture.Input)
	switch {
	case m.Architecture.TakesTokens() && len(out) == 2:
		return fmt.Sprintf("int64 [N, T], tokens; T is at most %d", in[0])
	case m.Architecture.TakesTokens():
		return "int64 " + batchOf(in) + ", tokens"
	case isImage(in):
		return "float32 " + batchOf(in) + ", images [N, C, H, W] with pixels scaled as in training"
	}
	if columns, ok := m.Architecture.Layers[0].(nn.Columns); ok && slices.ContainsFunc(columns.Parts, func(p nn.Part) bool { _, text := p.Text(); return text }) {
		return "float32 " + batchOf(in) + ", values scaled as in training, and tokens, which end with 0"
	}
	return "float32 " + batchOf(in) + ", values scaled as in training"
}

// outputText says what the model gives.
func (m Model) outputText(out tensor.Shape) string {
	switch {
	case !m.classifies() && m.Targets != nil:
		return "float32 " + batchOf(out) + ", targets scaled as in training; see TARGETS"
	case !m.classifies():
		return "float32 " + batchOf(out) + ", quantities"
	case len(out) == 2 && m.Architecture.TakesTokens():
		return fmt.Sprintf("float32 [N, T, %d], logits of the token after each", out[1])
	case len(out) == 2:
		return "float32 " + batchOf(out) + ", logits at each place"
	}
	return "float32 " + batchOf(out) + ", logits of the classes"
}

// batchOf writes the shape of a batch: [N, 1, 28, 28].
func batchOf(s tensor.Shape) string {
	return "[N, " + strings.Join(numbers(s), ", ") + "]"
}

func numbers(list []int) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = strconv.Itoa(n)
	}
	return out
}

// list returns an nn.Sequential of layers for samples of a shape, at an indentation.
func (c *module) list(in tensor.Shape, layers nn.Layers, depth int) (string, error) {
	return c.sequence("nn.Sequential", in, layers, depth)
}

// sequence is list with a class that is an nn.Sequential.
func (c *module) sequence(class string, in tensor.Shape, layers nn.Layers, depth int) (string, error) {
	if len(layers) == 0 {
		return class + "()", nil
	}
	pad := strings.Repeat("    ", depth)
	var b strings.Builder
	b.WriteString(class + "(\n")
	for _, l := range layers {
		out, err := after(in, l)
		if err != nil {
			return "", err
		}
		expression, err := c.layer(in, l, depth+1)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s    %s,", pad, expression)
		if !out.Equal(in) {
			fmt.Fprintf(&b, "  # %s", batchOf(foreign(out)))
		}
		b.WriteString("\n")
		in = out
	}
	b.WriteString(pad + ")")
	return b.String(), nil
}

// part returns a call of a class of partsSource, which it marks as used.
func (c *module) part(class string, arguments ...string) string {
	c.used[class] = true
	return class + "(" + strings.Join(arguments, ", ") + ")"
}

// layer returns the expression that builds a layer for samples of a shape.
func (c *module) layer(in tensor.Shape, l nn.Layer, depth int) (string, error) {
	width := strconv.Itoa(in[len(in)-1])
	switch l := l.(type) {
	case nn.Linear:
		return call("nn.Linear", width, strconv.Itoa(l.Units), option(l.NoBias, "bias=False")), nil
	case nn.Conv2D:
		return convolve(width, strconv.Itoa(l.Channels), l.Geometry(), l.NoBias), nil
	case nn.DepthwiseConv2D:
		return convolve(width, width, l.Geometry(), l.NoBias, "groups="+width), nil
	case nn.MaxPool2D:
		return call("nn.MaxPool2d", pySize(l.Kernel), stride(l.Stride, l.Kernel)), nil
	case nn.AvgPool2D:
		return call("nn.AvgPool2d", pySize(l.Kernel), stride(l.Stride, l.Kernel)), nil
	case nn.GlobalAvgPool:
		switch {
		case isImage(in):
			return c.part("Mean", "2", "3"), nil
		case c.text && len(in) == 2:
			return c.part("TextMean"), nil
		}
		return c.part("Mean", "1"), nil
	case nn.Activation:
		return activation(l.Kind), nil
	case nn.BatchNorm:
		return c.batchNorm(in), nil
	case nn.LayerNorm:
		if isImage(in) {
			return c.part("ImageLayerNorm", width), nil
		}
		return call("nn.LayerNorm", width), nil
	case nn.RMSNorm:
		c.used["RMSNorm"] = true // the image's is derived from it
		if isImage(in) {
			return c.part("ImageRMSNorm", width), nil
		}
		return call("RMSNorm", width), nil
	case nn.Dropout:
		return call("nn.Dropout", pyRate(l.Rate)), nil
	case nn.Flatten:
		if isImage(in) {
			return c.part("Flatten"), nil
		}
		return "nn.Flatten()", nil
	case nn.Tokens:
		return c.part("Tokens"), nil
	case nn.Embedding:
		return call("nn.Embedding", strconv.Itoa(l.Vocabulary), strconv.Itoa(l.Width)), nil
	case nn.Position:
		return c.part("Position", strconv.Itoa(in[0]), width), nil
	case nn.Attention:
		return c.part("Attention", arguments(width, strconv.Itoa(l.Heads), option(l.Causal, "causal=True"), option(l.NoBias, "bias=False"))...), nil
	case nn.TransformerBlock:
		return c.block(in, l), nil
	case nn.Residual:
		return c.residual(in, l, depth)
	case nn.Columns:
		return c.columns(l, depth)
	}
	return "", fmt.Errorf("layer %s cannot be exported to PyTorch yet", l.Type())
}

func (c *module) batchNorm(in tensor.Shape) string {
	switch width := strconv.Itoa(in[len(in)-1]); {
	case isImage(in):
		return call("nn.BatchNorm2d", width)
	case len(in) == 1:
		return call("nn.BatchNorm1d", width)
	default:
		return c.part("RowBatchNorm", width)
	}
}

func (c *module) block(in tensor.Shape, l nn.TransformerBlock) string {
	l = l.WithDefaults()
	c.used["Attention"] = true
	norm := "nn.LayerNorm"
	if l.Norm == (nn.RMSNorm{}).Type() {
		norm = "RMSNorm"
		c.used[norm] = true
	}
	return c.part("TransformerBlock", strconv.Itoa(in[1]), strconv.Itoa(l.Heads), strconv.Itoa(l.Expansion*in[1]),
		pyBool(l.Causal), norm, activation(l.Activation), pyRate(l.Dropout))
}

func (c *module) residual(in tensor.Shape, l nn.Residual, depth int) (string, error) {
	body, err := c.list(in, l.Body, depth)
	if err != nil || len(l.Shortcut) == 0 {
		return c.part("Residual", body), err
	}
	shortcut, err := c.list(in, l.Shortcut, depth)
	return c.part("Residual", body, shortcut), err
}

func (c *module) columns(l nn.Columns, depth int) (string, error) {
	pad := strings.Repeat("    ", depth+1)
	var widths []int
	var b strings.Builder
	for _, p := range l.Parts {
		class := "nn.Sequential"
		if _, c.text = p.Text(); c.text {
			class = "Text"
			c.used[class], c.used["Attention"], c.used["TextAttention"], c.used["TextMean"] = true, true, true, true // Text names them
		}
		part, err := c.sequence(class, tensor.Shape{p.Columns}, p.Layers, depth+1)
		c.text = false
		if err != nil {
			return "", err
		}
		b.WriteString(",\n" + pad + part)
		widths = append(widths, p.Columns)
	}
	return c.part("Columns", "["+strings.Join(numbers(widths), ", ")+"]"+b.String()), nil
}

// convolve builds a convolution.
func convolve(in, out string, g nn.Geometry, noBias bool, more ...string) string {
	pad := ""
	if g.Padding != (nn.Size{}) {
		pad = "padding=" + pySize(g.Padding)
	}
	return call("nn.Conv2d", append([]string{in, out, pySize(g.Kernel), stride(g.Stride, nn.Square(1)), pad, option(noBias, "bias=False")}, more...)...)
}

// activation builds an activation.
func activation(kind kernel.ActivationKind) string {
	switch kind {
	case kernel.GELU:
		return `nn.GELU("tanh")`
	case kernel.SiLU:
		return "nn.SiLU()"
	case kernel.Tanh:
		return "nn.Tanh()"
	case kernel.Sigmoid:
		return "nn.Sigmoid()"
	case kernel.ReLU:
	}
	return "nn.ReLU()"
}

// stride is an argument, empty if it is what it would be without.
func stride(s, def nn.Size) string {
	if s == (nn.Size{}) || s == def {
		return ""
	}
	return "stride=" + pySize(s)
}

// call writes a call with the arguments that are not empty.
func call(function string, list ...string) string {
	return function + "(" + strings.Join(arguments(list...), ", ") + ")"
}

func arguments(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// option is an argument if it is given, and empty otherwise.
func option(given bool, argument string) string {
	if given {
		return argument
	}
	return ""
}

func pySize(s nn.Size) string {
	if s.H == s.W {
		return strconv.Itoa(s.H)
	}
	return fmt.Sprintf("(%d, %d)", s.H, s.W)
}

func pyBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func pyRate(r float32) string { return strconv.FormatFloat(float64(r), 'g', -1, 32) }

func pyFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// pyString quotes a text for Python, whatever is in it: all but printable ASCII is
// escaped.
func pyString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// docText makes a text safe for a docstring.
func docText(s string) string {
	quoted := pyString(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `"`, `'`)
}
