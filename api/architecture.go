package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"reprise/dataset"
	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// ModelArchitecture is a name, or else a list of layers.
type ModelArchitecture struct {
	Name   string
	Layers nn.Layers
}

// The named architectures.
const (
	MLP    = "mlp"
	CNN    = "cnn"
	ResNet = "resnet"
	GPT    = "gpt"
	ViT    = "vit"
	// Transformer is for tables with columns of text.
	Transformer = "transformer"
)

// Model has the sizes of a named architecture, and where the first weights come from.
// Sizes that the architecture does not have are zero.
type Model struct {
	// Init is a run, or the path of a bundle or of a safetensors file, whose weights the
	// model begins with where they fit by name and shape; "" draws all of them.
	Init string `json:"init,omitempty"`
	// Hidden has the units of each dense layer of an mlp or cnn before the last;
	// nil stands for [128], an empty list for none.
	Hidden []int `json:"hidden,omitzero"`
	// Channels has the channels of each convolution of a cnn; nil stands for
	// [8, 16].
	Channels []int `json:"channels,omitzero"`
	// Activation is the activation of an mlp or cnn, relu by default.
	Activation string `json:"activation,omitempty"`
	// BatchNorm says that an mlp normalises each hidden layer.
	BatchNorm bool `json:"batch_norm,omitempty"`
	// Dropout is the rate of an mlp, gpt, vit or transformer.
	Dropout float32 `json:"dropout,omitempty"`
	// Depth is the number of layers of a resnet, 6n+2; 8 by default.
	Depth int `json:"depth,omitempty"`
	// Width is the number of channels of a resnet's first stage, 16 by default, or
	// of values of a token of a gpt, vit or transformer, 128 by default.
	Width int `json:"width,omitempty"`
	// Patch is the height and width of a vit's patches, 4 by default.
	Patch int `json:"patch,omitempty"`
	// Layers is the number of transformer blocks of a gpt, vit or transformer, 4 by
	// default.
	Layers int `json:"layers,omitempty"`
	// Heads is the number of heads of each transformer block, 4 by default.
	Heads int `json:"heads,omitempty"`
}

// MarshalJSON encodes the name, or the list of layers.
func (a ModelArchitecture) MarshalJSON() ([]byte, error) {
	if a.Name != "" {
		return json.Marshal(a.Name)
	}
	return json.Marshal(a.Layers)
}

// withDefaults returns the sizes of a named architecture, defaults filled in.
func (m Model) withDefaults(architecture string) Model {
	switch architecture {
	case MLP, CNN:
		if m.Hidden == nil {
			m.Hidden = []int{128}
		}
		if architecture == CNN && m.Channels == nil {
			m.Channels = []int{8, 16}
		}
		m.Activation = cmp.Or(m.Activation, "relu")
	case ResNet:
		m.Depth, m.Width = cmp.Or(m.Depth, 8), cmp.Or(m.Width, 16)
	case ViT:
		m.Patch = cmp.Or(m.Patch, 4)
		fallthrough
	case GPT, Transformer:
		m.Layers, m.Heads, m.Width = cmp.Or(m.Layers, 4), cmp.Or(m.Heads, 4), cmp.Or(m.Width, 128)
	}
	return m
}

// check fails for sizes that cannot be trained with, whatever the data. The schema
// has checked each of them by itself.
func (m Model) check(architecture string) error {
	var errs []error
	bad := func(field string, value any, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "model." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	if architecture == ResNet && m.Depth > 8 && m.Depth%6 != 2 {
		below := m.Depth - (m.Depth-2)%6
		bad("depth", m.Depth, "is not 6n+2, for three stages of n residual blocks", fmt.Sprintf("use %d or %d", below, below+6))
	}
	if (architecture == GPT || architecture == ViT || architecture == Transformer) && m.Heads > 0 && m.Width%m.Heads != 0 {
		bad("heads", m.Heads, fmt.Sprintf("does not divide the width of %d", m.Width), "choose both so that each head has the same width")
	}
	if m.Dropout >= 1 { // a float32 now
		bad("dropout", m.Dropout, "must be below 1", "use a share such as 0.1, or 0 for none")
	}
	return joined(errs...)
}

// Architecture returns the model's layers for the data's samples and task. It fails
// with a *nn.LayerError if the layers do not fit each other, and with a
// *fault.FieldError for a named architecture that does not fit the data.
func (r TrainingRequest) Architecture(data *dataset.Dataset) (nn.Architecture, error) {
	r = r.withDefaults()
	if err := r.checkPreset(data); err != nil {
		return nn.Architecture{}, err
	}
	input, outputs := data.SampleShape(), data.Classes()
	if data.Task() == dataset.Regression {
		outputs = data.TargetsPerSample()
	}
	m := r.Model
	activation := kernel.ActivationKind(m.Activation)
	var a nn.Architecture
	switch r.ModelArchitecture.Name {
	case MLP:
		a = nn.MLP(input, m.Hidden, activation, outputs)
		a.Layers = slices.Concat(columnsLayer(data, m.embedText), m.regularise(a.Layers))
	case CNN:
		a = nn.CNN(input, m.Channels, m.Hidden, activation, outputs)
	case ResNet:
		a = nn.ResNet(input, (m.Depth-2)/6, m.Width, outputs)
	case GPT:
		a = nn.GPT(input[0], outputs, m.Layers, m.Heads, m.Width, m.Dropout)
	case ViT:
		a = nn.ViT(input, m.Patch, m.Layers, m.Heads, m.Width, m.Dropout, outputs)
	case Transformer:
		a = nn.Architecture{Input: input.Clone(), Layers: append(columnsLayer(data, m.encodeText), nn.Linear{Units: outputs})}
	default:
		a = nn.Architecture{Input: input.Clone(), Layers: slices.Clone(r.ModelArchitecture.Layers)}
	}
	return a, a.Validate()
}

// columnsLayer returns the first layer for a table with texts or embedded categories, and
// nothing for other data. text returns the layers of a text with a vocabulary.
func columnsLayer(data *dataset.Dataset, text func(vocabulary int) nn.Layers) nn.Layers {
	sections := data.Sections()
	if sections == nil {
		return nil
	}
	var columns nn.Columns
	for _, s := range sections {
		part := nn.Part{Columns: s.Features}
		switch {
		case s.Text:
			part.Layers = text(s.Vocabulary)
		case s.Vocabulary > 0:
			part.Layers = nn.Layers{nn.Embedding{Vocabulary: s.Vocabulary, Width: categoryWidth(s.Vocabulary)}, nn.GlobalAvgPool{}}
		}
		columns.Parts = append(columns.Parts, part)
	}
	return nn.Layers{columns}
}

// textWidth is the number of values that represent a word in an mlp.
const textWidth = 64

// categoryWidth returns the number of values that represent a category: half as many as
// there are, at most 50.
func categoryWidth(vocabulary int) int { return min(50, (vocabulary+1)/2) }

// embedText returns the mean of the words of a text.
func (Model) embedText(vocabulary int) nn.Layers {
	return nn.Layers{nn.Embedding{Vocabulary: vocabulary, Width: textWidth}, nn.GlobalAvgPool{}}
}

// encodeText returns a transformer and the mean of what it gives for the words of a text.
func (m Model) encodeText(vocabulary int) nn.Layers {
	layers := nn.Layers{nn.Embedding{Vocabulary: vocabulary, Width: m.Width}, nn.Position{}}
	if m.Dropout > 0 {
		layers = append(layers, nn.Dropout{Rate: m.Dropout})
	}
	for range m.Layers {
		layers = append(layers, nn.TransformerBlock{Heads: m.Heads, Dropout: m.Dropout})
	}
	return append(layers, nn.LayerNorm{}, nn.GlobalAvgPool{})
}

// regularise returns the layers with a batch normalisation before and a dropout
// after each activation, where the model has them.
func (m Model) regularise(layers nn.Layers) nn.Layers {
	var out nn.Layers
	for _, l := range layers {
		_, hidden := l.(nn.Activation)
		if hidden && m.BatchNorm {
			out = append(out, nn.BatchNorm{})
		}
		out = append(out, l)
		if hidden && m.Dropout > 0 {
			out = append(out, nn.Dropout{Rate: m.Dropout})
		}
	}
	return out
}

// checkPreset fails if a named architecture does not fit the data.
func (r TrainingRequest) checkPreset(data *dataset.Dataset) error {
	name, shape := r.ModelArchitecture.Name, data.SampleShape()
	bad := func(problem, fix string) error {
		return &fault.FieldError{Field: "model_architecture", Value: name, Problem: problem, Fix: fix}
	}
	tokens, image := data.InputKind() == dataset.InputToken, len(shape) == 3
	switch name {
	case "":
		return nil
	case MLP, CNN, ResNet, ViT, Transformer:
		if tokens {
			return bad("needs numbers, and the data is text", "use gpt")
		}
		if name == Transformer {
			return r.checkTexts(data)
		}
		if name != MLP && !image {
			return bad(fmt.Sprintf("needs images, and the samples have shape %v", shape), "use mlp")
		}
		if name == ViT {
			return r.checkPatch(shape)
		}
	case GPT:
		if tokens {
			return nil
		}
		fix := "use mlp"
		if image {
			fix = "use mlp, cnn, resnet or vit"
		}
		return bad(fmt.Sprintf("needs text, and the samples have shape %v", shape), fix)
	default:
		return bad("is not a known architecture", "use mlp, cnn, resnet, gpt, vit, transformer, or a list of layers")
	}
	return nil
}

// checkTexts fails unless the data has a column of text.
func (r TrainingRequest) checkTexts(data *dataset.Dataset) error {
	if slices.ContainsFunc(data.Sections(), func(s dataset.Section) bool { return s.Text }) {
		return nil
	}
	return &fault.FieldError{Field: "model_architecture", Value: Transformer, Problem: "needs a table with a column of text, and the data has none",
		Fix: "use mlp, or say which column is text, as in dataset: {columns: {NAME: text}}"}
}

// checkPatch fails unless an image is cut into whole patches.
func (r TrainingRequest) checkPatch(image tensor.Shape) error {
	var divisors []string
	for d := 1; d <= min(image[0], image[1]); d++ {
		if image[0]%d != 0 || image[1]%d != 0 {
			continue
		}
		if d == r.Model.Patch {
			return nil
		}
		divisors = append(divisors, fmt.Sprint(d))
	}
	return &fault.FieldError{Field: "model.patch", Value: fmt.Sprint(r.Model.Patch),
		Problem: fmt.Sprintf("does not divide images of %d x %d", image[0], image[1]), Fix: "use one of " + strings.Join(divisors, ", ")}
}
