package nn

import (
	"reprise/kernel"
	"reprise/tensor"
)

// The usual architectures. Each is to be validated like any other; the empty
// activation is relu.

// MLP returns a multilayer perceptron: images are flattened, then comes a
// linear layer and the activation for each hidden size, then a linear layer
// with an output for each class. The empty activation is relu. The result is
// to be validated like any other.
func MLP(input tensor.Shape, hidden []int, activation kernel.ActivationKind, classes int) Architecture {
	a := Architecture{Input: input.Clone()}
	if len(input) > 1 {
		a.Layers = append(a.Layers, Flatten{})
	}
	a.Layers = appendDense(a.Layers, hidden, activation, classes)
	return a
}

// CNN returns a convolutional network for images [height width channels]: for
// each entry of channels a 3x3 convolution that keeps the size, the activation
// and a 2x2 max pooling; then a flatten layer and what MLP has for hidden and
// classes. The empty activation is relu. The result is to be validated like
// any other.
func CNN(input tensor.Shape, channels, hidden []int, activation kernel.ActivationKind, classes int) Architecture {
	a := Architecture{Input: input.Clone()}
	for _, c := range channels {
		a.Layers = append(a.Layers,
			Conv2D{Channels: c, Kernel: Square(3), Padding: Same()},
			Activation{Kind: orReLU(activation)},
			MaxPool2D{Kernel: Square(2)})
	}
	a.Layers = append(a.Layers, Flatten{})
	a.Layers = appendDense(a.Layers, hidden, activation, classes)
	return a
}

func appendDense(layers Layers, hidden []int, activation kernel.ActivationKind, classes int) Layers {
	for _, units := range hidden {
		layers = append(layers, Linear{Units: units}, Activation{Kind: orReLU(activation)})
	}
	return append(layers, Linear{Units: classes})
}

func orReLU(kind kernel.ActivationKind) kernel.ActivationKind {
	if kind == "" {
		return kernel.ReLU
	}
	return kind
}

// ResNet returns a residual network for small images (He et al., 2016, section
// 4.2): a 3x3 convolution to width channels, then three stages of blocks
// residual blocks with width, 2*width and 4*width channels, the second and
// third of which halve the image, then global average pooling and a linear
// layer. Its depth is 6*blocks+2. Where a stage changes the shape, the shortcut
// is a 1x1 convolution.
func ResNet(input tensor.Shape, blocks, width, classes int) Architecture {
	a := Architecture{Input: input.Clone(), Layers: convNorm(width, 3, 1)}
	a.Layers = append(a.Layers, Activation{Kind: kernel.ReLU})
	in := width
	for stage := range 3 {
		out := width << stage
		for block := range blocks {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			r := Residual{Body: append(append(convNorm(out, 3, stride), Activation{Kind: kernel.ReLU}), convNorm(out, 3, 1)...)}
			if stride != 1 || in != out {
				r.Shortcut = convNorm(out, 1, stride)
			}
			a.Layers = append(a.Layers, r, Activation{Kind: kernel.ReLU})
			in = out
		}
	}
	a.Layers = append(a.Layers, GlobalAvgPool{}, Linear{Units: classes})
	return a
}

// convNorm returns a convolution without a bias, which the normalisation would
// cancel, and a batch normalisation.
func convNorm(channels, size, stride int) Layers {
	return Layers{
		Conv2D{Channels: channels, Kernel: Square(size), Stride: Square(stride), Padding: Padding{H: size / 2, W: size / 2}, NoBias: true},
		BatchNorm{},
	}
}

// GPT returns a decoder-only transformer (Radford et al., 2019) that predicts
// the next token at each of context positions.
func GPT(context, vocabulary, blocks, heads, width int, dropout float32) Architecture {
	a := Architecture{
		Input:  tensor.Shape{context},
		Layers: Layers{Embedding{Vocabulary: vocabulary, Width: width}, Position{}, Dropout{Rate: dropout}},
	}
	for range blocks {
		a.Layers = append(a.Layers, TransformerBlock{Heads: heads, Causal: true, Dropout: dropout})
	}
	a.Layers = append(a.Layers, LayerNorm{}, Linear{Units: vocabulary, NoBias: true})
	return a
}

// ViT returns a vision transformer (Dosovitskiy et al., 2021) whose classifier
// reads the mean of all tokens: images are cut into patches of patch x patch
// pixels, each of which a convolution turns into a token of width values.
func ViT(input tensor.Shape, patch, blocks, heads, width int, dropout float32, classes int) Architecture {
	a := Architecture{
		Input: input.Clone(),
		Layers: Layers{
			Conv2D{Channels: width, Kernel: Square(patch), Stride: Square(patch)}, Tokens{}, Position{}, Dropout{Rate: dropout},
		},
	}
	for range blocks {
		a.Layers = append(a.Layers, TransformerBlock{Heads: heads, Dropout: dropout})
	}
	a.Layers = append(a.Layers, LayerNorm{}, GlobalAvgPool{}, Linear{Units: classes})
	return a
}
