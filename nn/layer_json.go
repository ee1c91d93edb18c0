package nn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reprise/kernel"
	"reprise/tensor"
)

// layerTypes are the names of all layers, in the order in which messages list
// them.
func layerTypes() []string {
	return []string{
		"linear", "conv2d", "depthwise_conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool", "activation",
		"batch_norm", "layer_norm", "rms_norm", "dropout", "flatten", "tokens",
		"embedding", "position", "attention", "transformer_block", "residual", "columns",
	}
}

// architectureJSON is the JSON form of an Architecture.
type architectureJSON struct {
	Input  tensor.Shape `json:"input"`
	Layers Layers       `json:"layers"`
}

// MarshalJSON encodes {"input": [...], "layers": [...]}.
func (a Architecture) MarshalJSON() ([]byte, error) {
	return json.Marshal(architectureJSON(a))
}

// UnmarshalJSON decodes what MarshalJSON encodes and fails with a *LayerError
// for an unknown or wrong key. It checks no shapes; Validate does.
func (a *Architecture) UnmarshalJSON(data []byte) error {
	f, err := objectFields(data)
	if err != nil {
		return &LayerError{Index: -1, Field: "architecture", Got: excerpt(data), Want: "an object", Fix: `write {"input": [...], "layers": [...]}`}
	}
	f.index = -1
	var out Architecture
	if raw, ok := f.take("input"); ok && string(raw) != "null" { // what MarshalJSON makes of no shape
		if out.Input, err = decodeShape(raw); err != nil {
			f.wrong("input", raw, "a list of whole numbers", "write the shape of one sample, such as [28, 28, 1]")
		}
	}
	if raw, ok := f.take("layers"); ok && f.err == nil {
		layers, err := decodeLayers("layers", raw, 0)
		if err != nil {
			return err
		}
		out.Layers = layers
	}
	if err := f.finish(); err != nil {
		return err
	}
	*a = out
	return nil
}

// MarshalJSON encodes a list, which is empty if there are no layers.
func (l Layers) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal([]Layer(l))
}

// UnmarshalJSON decodes a list of layers and fails with a *LayerError for an
// unknown type, an unknown key or a value of the wrong kind. It checks no
// ranges and no shapes; Architecture.Validate does.
func (l *Layers) UnmarshalJSON(data []byte) error {
	out, err := decodeLayers("layers", data, 0)
	if err != nil {
		return err
	}
	*l = out
	return nil
}

// maxDepth bounds how deep layers are nested.
const maxDepth = 16

// decodeLayers decodes the list under a key, at a depth.
func decodeLayers(key string, data []byte, depth int) (Layers, *LayerError) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil || raw == nil {
		return nil, &LayerError{Index: -1, Field: key, Got: excerpt(data), Want: "a list of layers",
			Fix: `write [{"type": "flatten"}, {"type": "linear", "units": 10}]`}
	}
	if len(raw) > MaxLayers {
		return nil, &LayerError{Index: -1, Field: key, Got: fmt.Sprintf("a list of %d", len(raw)),
			Want: fmt.Sprintf("at most %d", MaxLayers), Fix: "use fewer layers"}
	}
	out := make(Layers, len(raw))
	for i, r := range raw {
		layer, err := decodeLayer(i, r, depth)
		if err != nil {
			return nil, err
		}
		out[i] = layer
	}
	return out, nil
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Linear) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type  string `json:"type"`
		Units int    `json:"units"`
		Bias  *bool  `json:"bias,omitempty"`
	}{l.Type(), l.Units, biasField(l.NoBias)})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Conv2D) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type     string  `json:"type"`
		Channels int     `json:"channels"`
		Kernel   Size    `json:"kernel,omitzero"`
		Stride   Size    `json:"stride,omitzero"`
		Padding  Padding `json:"padding,omitzero"`
		Bias     *bool   `json:"bias,omitempty"`
	}{l.Type(), l.Channels, l.Kernel, l.Stride, l.Padding, biasField(l.NoBias)})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l DepthwiseConv2D) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type    string  `json:"type"`
		Kernel  Size    `json:"kernel,omitzero"`
		Stride  Size    `json:"stride,omitzero"`
		Padding Padding `json:"padding,omitzero"`
		Bias    *bool   `json:"bias,omitempty"`
	}{l.Type(), l.Kernel, l.Stride, l.Padding, biasField(l.NoBias)})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l MaxPool2D) MarshalJSON() ([]byte, error) { return marshalPool(l.Type(), l.Kernel, l.Stride) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l AvgPool2D) MarshalJSON() ([]byte, error) { return marshalPool(l.Type(), l.Kernel, l.Stride) }

func marshalPool(layer string, kernelSize, stride Size) ([]byte, error) {
	return json.Marshal(struct {
		Type   string `json:"type"`
		Kernel Size   `json:"kernel,omitzero"`
		Stride Size   `json:"stride,omitzero"`
	}{layer, kernelSize, stride})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Activation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type string                `json:"type"`
		Kind kernel.ActivationKind `json:"kind"`
	}{l.Type(), l.Kind})
}

// MarshalJSON encodes one number if both directions agree, and [H, W]
// otherwise.
func (s Size) MarshalJSON() ([]byte, error) {
	if s.H == s.W {
		return json.Marshal(s.H)
	}
	return json.Marshal([]int{s.H, s.W})
}

// MarshalJSON encodes "same", or the size; "valid" is 0.
func (p Padding) MarshalJSON() ([]byte, error) {
	if p.Same {
		return json.Marshal("same")
	}
	return Size{H: p.H, W: p.W}.MarshalJSON()
}

// biasField is nil, and omitted, if a layer has its default bias.
func biasField(noBias bool) *bool {
	if !noBias {
		return nil
	}
	return new(bool)
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Flatten) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l Tokens) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l GlobalAvgPool) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l LayerNorm) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l RMSNorm) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l BatchNorm) MarshalJSON() ([]byte, error) { return marshalType(l) }

// MarshalJSON encodes the layer with its type; see Layer.
func (l Position) MarshalJSON() ([]byte, error) { return marshalType(l) }

// marshalType encodes a layer without fields.
func marshalType(l Layer) ([]byte, error) {
	return json.Marshal(struct {
		Type string `json:"type"`
	}{l.Type()})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Dropout) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type string  `json:"type"`
		Rate float32 `json:"rate"`
	}{l.Type(), l.Rate})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Embedding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type       string `json:"type"`
		Vocabulary int    `json:"vocabulary"`
		Width      int    `json:"width"`
	}{l.Type(), l.Vocabulary, l.Width})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Attention) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type   string `json:"type"`
		Heads  int    `json:"heads"`
		Causal bool   `json:"causal,omitempty"`
		Bias   *bool  `json:"bias,omitempty"`
	}{l.Type(), l.Heads, l.Causal, biasField(l.NoBias)})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l TransformerBlock) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type       string                `json:"type"`
		Heads      int                   `json:"heads"`
		Causal     bool                  `json:"causal,omitempty"`
		Expansion  int                   `json:"expansion,omitempty"`
		Activation kernel.ActivationKind `json:"activation,omitempty"`
		Norm       string                `json:"norm,omitempty"`
		Dropout    float32               `json:"dropout,omitempty"`
	}{l.Type(), l.Heads, l.Causal, l.Expansion, l.Activation, l.Norm, l.Dropout})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Residual) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type     string `json:"type"`
		Body     Layers `json:"body"`
		Shortcut Layers `json:"shortcut,omitempty"`
	}{l.Type(), l.Body, l.Shortcut})
}

// MarshalJSON encodes the layer with its type; see Layer.
func (l Columns) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type  string `json:"type"`
		Parts []Part `json:"parts"`
	}{l.Type(), l.Parts})
}

// MarshalJSON encodes the number of columns, and the layers if there are any.
func (p Part) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Columns int    `json:"columns"`
		Layers  Layers `json:"layers,omitempty"`
	}{p.Columns, p.Layers})
}

// decodeLayer decodes one layer of a list.
func decodeLayer(index int, data []byte, depth int) (Layer, *LayerError) {
	f, err := objectFields(data)
	if err != nil {
		return nil, &LayerError{Index: index, Field: "layer", Got: excerpt(data), Want: "an object",
			Fix: `write {"type": "linear", "units": 10}`}
	}
	f.index, f.depth = index, depth
	raw, ok := f.take("type")
	if !ok {
		return nil, &LayerError{Index: index, Field: "type", Got: "missing",
			Want: "one of " + strings.Join(layerTypes(), ", "), Fix: "say which layer it is"}
	}
	if err := json.Unmarshal(raw, &f.layer); err != nil {
		f.layer = ""
	}
	layer := f.decode()
	if layer == nil {
		return nil, &LayerError{Index: index, Field: "type", Got: excerpt(raw),
			Want: "one of " + strings.Join(layerTypes(), ", "), Fix: "correct the name"}
	}
	if f.finish() != nil {
		return nil, f.err
	}
	return layer, nil
}

// decode returns the layer of the type that was read, or nil for an unknown one.
func (f *fields) decode() Layer {
	switch f.layer {
	case Linear{}.Type():
		return Linear{Units: f.int("units"), NoBias: !f.bool("bias", true)}
	case Conv2D{}.Type():
		return Conv2D{
			Channels: f.int("channels"), Kernel: f.size("kernel"), Stride: f.size("stride"),
			Padding: f.padding("padding"), NoBias: !f.bool("bias", true),
		}
	case DepthwiseConv2D{}.Type():
		return DepthwiseConv2D{
			Kernel: f.size("kernel"), Stride: f.size("stride"), Padding: f.padding("padding"), NoBias: !f.bool("bias", true),
		}
	case MaxPool2D{}.Type():
		return MaxPool2D{Kernel: f.size("kernel"), Stride: f.size("stride")}
	case AvgPool2D{}.Type():
		return AvgPool2D{Kernel: f.size("kernel"), Stride: f.size("stride")}
	case GlobalAvgPool{}.Type():
		return GlobalAvgPool{}
	case Activation{}.Type():
		return Activation{Kind: kernel.ActivationKind(f.string("kind"))}
	case BatchNorm{}.Type():
		return BatchNorm{}
	case LayerNorm{}.Type():
		return LayerNorm{}
	case RMSNorm{}.Type():
		return RMSNorm{}
	case Dropout{}.Type():
		return Dropout{Rate: f.float("rate")}
	case Flatten{}.Type():
		return Flatten{}
	case Tokens{}.Type():
		return Tokens{}
	case Embedding{}.Type():
		return Embedding{Vocabulary: f.int("vocabulary"), Width: f.int("width")}
	case Position{}.Type():
		return Position{}
	case Attention{}.Type():
		return Attention{Heads: f.int("heads"), Causal: f.bool("causal", false), NoBias: !f.bool("bias", true)}
	case TransformerBlock{}.Type():
		return TransformerBlock{
			Heads: f.int("heads"), Causal: f.bool("causal", false), Expansion: f.int("expansion"),
			Activation: kernel.ActivationKind(f.string("activation")), Norm: f.string("norm"), Dropout: f.float("dropout"),
		}
	case Residual{}.Type():
		return Residual{Body: f.layers("body"), Shortcut: f.layers("shortcut")}
	case Columns{}.Type():
		return Columns{Parts: f.parts("parts")}
	}
	return nil
}

// fields decodes the values of one JSON object. Keys are matched exactly,
// unlike the struct fields of encoding/json, which ignore case. The first error
// is kept.
type fields struct {
	index int
	depth int // of the layer in other layers
	layer string
	raw   map[string]json.RawMessage
	known []string
	err   *LayerError
}

var (
	errNotObject = errors.New("not an object")
	errWrongKind = errors.New("a value of another kind")
)

func objectFields(data []byte) (*fields, error) {
	f := &fields{}
	if err := json.Unmarshal(data, &f.raw); err != nil {
		return nil, err
	}
	if f.raw == nil {
		return nil, errNotObject
	}
	return f, nil
}

// take returns the value of a key and marks the key as known.
func (f *fields) take(key string) (json.RawMessage, bool) {
	f.known = append(f.known, key)
	raw, ok := f.raw[key]
	delete(f.raw, key)
	return raw, ok
}

// wrong records an error about a key's value, unless there is one already.
func (f *fields) wrong(key string, raw []byte, want, fix string) {
	if f.err == nil {
		f.err = &LayerError{Index: f.index, Layer: f.layer, Field: key, Got: excerpt(raw), Want: want, Fix: fix}
	}
}

// finish returns the first error, including one for a key that was not taken.
func (f *fields) finish() error {
	for _, key := range slices.Sorted(maps.Keys(f.raw)) {
		if f.err == nil {
			f.err = &LayerError{Index: f.index, Layer: f.layer, Field: strconv.Quote(key), Got: "an unknown field",
				Want: "one of " + strings.Join(f.known, ", "), Fix: "correct the name or leave it out"}
		}
	}
	if f.err != nil {
		return f.err
	}
	return nil
}

// value decodes the value of a key, or returns def if the key is missing.
func value[T any](f *fields, key string, def T, decode func([]byte) (T, error), want, fix string) T {
	raw, ok := f.take(key)
	if !ok {
		return def
	}
	v, err := decode(raw)
	if err != nil {
		f.wrong(key, raw, want, fix)
	}
	return v
}

func (f *fields) int(key string) int {
	return value(f, key, 0, decodeInt, "a whole number", "write a number such as 10")
}

func (f *fields) float(key string) float32 {
	return value(f, key, 0, decodeFloat, "a number", "write a number such as 0.1")
}

func (f *fields) bool(key string, def bool) bool {
	return value(f, key, def, decodeBool, "true or false", "write true or false")
}

func (f *fields) string(key string) string {
	return value(f, key, "", decodeString, "a string", "put it in quotes")
}

func (f *fields) padding(key string) Padding {
	return value(f, key, Padding{}, decodePadding, `a whole number, two of them, "same" or "valid"`, `write "same" to keep the image's size`)
}

// layers decodes a list of layers nested in this one.
func (f *fields) layers(key string) Layers {
	raw, ok := f.take(key)
	if !ok {
		return nil
	}
	if f.depth == maxDepth {
		f.wrong(key, raw, fmt.Sprintf("at most %d nested layers", maxDepth), "nest them less deeply")
		return nil
	}
	out, err := decodeLayers(key, raw, f.depth+1)
	if err != nil && f.err == nil {
		if err.Index >= 0 {
			err.Field = fmt.Sprintf("%s[%d].%s", key, err.Index, err.Field)
		}
		err.Index = f.index
		f.err = err
	}
	return out
}

// parts decodes a list of parts of a row.
func (f *fields) parts(key string) []Part {
	raw, ok := f.take(key)
	if !ok {
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) > MaxLayers {
		f.wrong(key, raw, fmt.Sprintf("a list of at most %d parts", MaxLayers), `write [{"columns": 5}]`)
		return nil
	}
	parts := make([]Part, len(list))
	for i, raw := range list {
		p, err := objectFields(raw)
		if err != nil {
			f.wrong(fmt.Sprintf("%s[%d]", key, i), raw, "an object", `write {"columns": 5}`)
			return nil
		}
		p.index, p.layer, p.depth = f.index, f.layer, f.depth
		parts[i] = Part{Columns: p.int("columns"), Layers: p.layers("layers")}
		if p.finish() != nil && f.err == nil {
			f.err = p.err
			f.err.Field = fmt.Sprintf("%s[%d].%s", key, i, f.err.Field)
		}
	}
	return parts
}

func (f *fields) size(key string) Size {
	raw, ok := f.take(key)
	if !ok {
		return Size{}
	}
	s, err := decodeSize(raw)
	if err != nil {
		f.wrong(key, raw, "a whole number or two of them", "write 3, or [3, 5] for height and width")
	}
	if s == (Size{}) && f.err == nil {
		// The zero Size means the default, which an explicit 0 does not.
		f.wrong(key, raw, "at least 1", "write a number such as 3, or leave the field out for the default")
	}
	return s
}

func decodeFloat(raw []byte) (float32, error) {
	v, err := strconv.ParseFloat(string(raw), 32)
	return float32(v), err
}

func decodeBool(raw []byte) (bool, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errWrongKind
}

func decodeString(raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", errWrongKind
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

func decodePadding(raw []byte) (Padding, error) {
	switch string(raw) {
	case `"same"`:
		return Same(), nil
	case `"valid"`:
		return Padding{}, nil
	}
	s, err := decodeSize(raw)
	return Padding{H: s.H, W: s.W}, err
}

func decodeSize(raw []byte) (Size, error) {
	if n, err := decodeInt(raw); err == nil {
		return Square(n), nil
	}
	s, err := decodeShape(raw)
	if err != nil {
		return Size{}, err
	}
	if len(s) != 2 {
		return Size{}, fmt.Errorf("%d numbers", len(s))
	}
	return Size{H: s[0], W: s[1]}, nil
}

func decodeShape(raw []byte) (tensor.Shape, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	s := make(tensor.Shape, len(list))
	for i, r := range list {
		n, err := decodeInt(r)
		if err != nil {
			return nil, err
		}
		s[i] = n
	}
	return s, nil
}

// decodeInt decodes a whole number. It refuses null, which encoding/json takes
// for "no change".
func decodeInt(raw []byte) (int, error) {
	return strconv.Atoi(string(raw))
}

// excerpt returns what was written, shortened for a message.
func excerpt(raw []byte) string {
	const limit = 60
	raw = bytes.TrimSpace(raw)
	if len(raw) > limit {
		return strings.ToValidUTF8(string(raw[:limit]), "") + "..."
	}
	return string(raw)
}
