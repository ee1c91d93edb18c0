package nn

import (
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/kernel"
	"reprise/tensor"
)

func TestPresetsHaveTheExpectedShapes(t *testing.T) {
	relu := Activation{Kind: kernel.ReLU}
	for name, c := range map[string]struct {
		arch   Architecture
		layers Layers
		count  int
	}{
		"mlp on images": {MLP(tensor.Shape{28, 28, 1}, []int{256, 128}, "", 10),
			Layers{Flatten{}, Linear{Units: 256}, relu, Linear{Units: 128}, relu, Linear{Units: 10}},
			784*256 + 256 + 256*128 + 128 + 1290},
		"mlp on features": {MLP(tensor.Shape{4}, []int{3}, kernel.Tanh, 2),
			Layers{Linear{Units: 3}, Activation{Kind: kernel.Tanh}, Linear{Units: 2}}, 15 + 8},
		"logistic regression": {MLP(tensor.Shape{4}, nil, "", 2), Layers{Linear{Units: 2}}, 10},
		"cnn": {CNN(tensor.Shape{28, 28, 1}, []int{8, 16}, []int{32}, "", 10),
			Layers{Conv2D{Channels: 8, Kernel: Square(3), Padding: Same()}, relu, MaxPool2D{Kernel: Square(2)},
				Conv2D{Channels: 16, Kernel: Square(3), Padding: Same()}, relu, MaxPool2D{Kernel: Square(2)},
				Flatten{}, Linear{Units: 32}, relu, Linear{Units: 10}},
			8*9 + 8 + 16*72 + 16 + 7*7*16*32 + 32 + 330},
	} {
		t.Run(name, func(t *testing.T) {
			if !reflect.DeepEqual(c.arch.Layers, c.layers) {
				t.Errorf("layers %v, want %v", c.arch.Layers, c.layers)
			}
			out, err := c.arch.Output()
			if classes := c.layers[len(c.layers)-1].(Linear).Units; err != nil || !out.Equal(tensor.Shape{classes}) {
				t.Errorf("output %v (%v), want [%d]", out, err, classes)
			}
			if n, err := c.arch.ParameterCount(); err != nil || n != c.count {
				t.Errorf("%d parameters (%v), want %d", n, err, c.count)
			}
		})
	}
}

func TestParametersAreNamedAndShapedAsInPyTorch(t *testing.T) {
	got, err := CNN(tensor.Shape{8, 6, 2}, []int{3}, nil, "", 5).Parameters()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].initial = initial{} // TestInitialParametersAreUniformWithinTheirBound checks those
	}
	want := []ParameterSpec{
		{Name: "layers.0.weight", Shape: tensor.Shape{3, 3, 3, 2}, Layer: 0, FanIn: 18},
		{Name: "layers.0.bias", Shape: tensor.Shape{3}, Layer: 0},
		{Name: "layers.4.weight", Shape: tensor.Shape{5, 36}, Layer: 4, FanIn: 36},
		{Name: "layers.4.bias", Shape: tensor.Shape{5}, Layer: 4},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestShapesThatDoNotFitAreNamed(t *testing.T) {
	image, row := tensor.Shape{8, 8, 1}, tensor.Shape{64}
	conv := func(l Conv2D) Layers {
		l.Channels = 2
		return Layers{Flatten{}, l}[1:]
	}
	for name, c := range map[string]struct {
		input  tensor.Shape
		layers Layers
		index  int
		want   string
	}{
		"no layers":          {row, nil, -1, "architecture: layers: empty, want at least one layer"},
		"too many layers":    {row, make(Layers, MaxLayers+1), -1, "layers: a list of 1025"},
		"nil layer":          {row, Layers{nil}, 0, "layer 0: type: missing"},
		"no input":           {nil, Layers{Linear{Units: 1}}, -1, "architecture: input: []"},
		"empty input":        {tensor.Shape{3, 0}, Layers{Flatten{}}, -1, "input: [3 0], want positive dimensions"},
		"huge input":         {tensor.Shape{1 << 20, 1 << 20}, Layers{Flatten{}}, -1, "input: [1048576 1048576]"},
		"linear on an image": {image, Layers{Linear{Units: 3}}, 0, `layer 0 (linear): input: [8 8 1], want one dimension; add {"type": "flatten"} before it`},
		"units 0":            {row, Layers{Linear{Units: 4}, Linear{}}, 1, "layer 1 (linear): units: 0, want between 1 and 16777216"},
		"units negative":     {row, Layers{Linear{Units: -4}}, 0, "units: -4"},
		"units huge":         {row, Layers{Linear{Units: 1 << 30}}, 0, "units: 1073741824"},
		"weight huge":        {row, Layers{Linear{Units: 1 << 24}, Linear{Units: 1 << 24}}, 1, "weight: [16777216 16777216], want at most 2147483647 values"},
		"conv on a row":      {row, conv(Conv2D{Kernel: Square(3)}), 0, "layer 0 (conv2d): input: [64], want an image [height width channels]; put it before any flatten"},
		"pool after flatten": {image, Layers{Flatten{}, MaxPool2D{Kernel: Square(2)}}, 1, "layer 1 (max_pool2d): input: [64]"},
		"channels 0":         {image, Layers{Conv2D{Kernel: Square(3)}}, 0, "channels: 0"},
		"kernel missing":     {image, conv(Conv2D{}), 0, "kernel: 0x0"},
		"kernel too large":   {image, conv(Conv2D{Kernel: Size{H: 3, W: 9}}), 0, "kernel: 3x9, want at most 8x8"},
		"stride negative":    {image, conv(Conv2D{Kernel: Square(3), Stride: Size{H: 1, W: -1}}), 0, "stride: 1x-1"},
		"same with stride":   {image, conv(Conv2D{Kernel: Square(3), Stride: Square(2), Padding: Same()}), 0, "padding: same, want a size, as the stride is 2x2"},
		"same, even kernel":  {image, conv(Conv2D{Kernel: Square(2), Padding: Same()}), 0, "padding: same, want a size, as the kernel is 2x2"},
		"same and a size":    {image, conv(Conv2D{Kernel: Square(3), Padding: Padding{Same: true, H: 1}}), 0, "either same or a size"},
		"padding negative":   {image, conv(Conv2D{Kernel: Square(3), Padding: Padding{H: -1}}), 0, "padding: -1x0, want at least 0"},
		"padding too large":  {image, conv(Conv2D{Kernel: Square(3), Padding: Padding{H: 3, W: 3}}), 0, "padding: 3x3, want less than the kernel of 3x3"},
		"pool kernel":        {image, Layers{MaxPool2D{}}, 0, "layer 0 (max_pool2d): kernel: 0x0"},
		"pool too large":     {image, Layers{AvgPool2D{Kernel: Square(9)}}, 0, "layer 0 (avg_pool2d): kernel: 9x9, want at most 8x8"},
		"pool stride":        {image, Layers{AvgPool2D{Kernel: Square(2), Stride: Size{H: 0, W: 1}}}, 0, "stride: 0x1"},
		"activation":         {row, Layers{Activation{Kind: "rleu"}}, 0, `layer 0 (activation): kind: "rleu", want one of relu, gelu, silu, tanh, sigmoid`},
		"image too small":    {image, CNN(image, []int{1, 1, 1, 1}, nil, "", 2).Layers, 11, "layer 11 (max_pool2d): kernel: 2x2, want at most 1x1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Architecture{Input: c.input, Layers: c.layers}.Validate()
			var e *LayerError
			if !errors.As(err, &e) || !errors.Is(err, ErrInvalidModel) || e.Index != c.index || !strings.Contains(err.Error(), c.want) || e.Fix == "" {
				t.Errorf("got %v, want layer %d and %q and a fix", err, c.index, c.want)
			}
		})
	}
}

func TestLayersDecodeEveryForm(t *testing.T) {
	for text, want := range map[string]Layer{
		`{"type":"linear","units":128}`:                                                     Linear{Units: 128},
		`{"type":"linear","units":128,"bias":true}`:                                         Linear{Units: 128},
		`{"units":1,"bias":false,"type":"linear"}`:                                          Linear{Units: 1, NoBias: true},
		`{"type":"conv2d","channels":8,"kernel":3,"padding":"same"}`:                        Conv2D{Channels: 8, Kernel: Square(3), Padding: Same()},
		`{"type":"conv2d","channels":8,"kernel":[3,5],"stride":[2,1],"padding":"valid"}`:    Conv2D{Channels: 8, Kernel: Size{3, 5}, Stride: Size{2, 1}},
		`{"type":"conv2d","channels":8,"kernel":5,"stride":2,"padding":[2,1],"bias":false}`: Conv2D{Channels: 8, Kernel: Square(5), Stride: Square(2), Padding: Padding{H: 2, W: 1}, NoBias: true},
		`{"type":"conv2d","channels":8,"kernel":5,"padding":0}`:                             Conv2D{Channels: 8, Kernel: Square(5)},
		`{"type":"max_pool2d","kernel":2}`:                                                  MaxPool2D{Kernel: Square(2)},
		`{"type":"max_pool2d","kernel":[2,3],"stride":1}`:                                   MaxPool2D{Kernel: Size{2, 3}, Stride: Square(1)},
		`{"type":"avg_pool2d","kernel":2}`:                                                  AvgPool2D{Kernel: Square(2)},
		`{"type":"activation","kind":"relu"}`:                                               Activation{Kind: kernel.ReLU},
		"\t{ \"type\" : \"flatten\" }\n":                                                    Flatten{},
	} {
		var got Layers
		if err := json.Unmarshal([]byte("["+text+"]"), &got); err != nil || got[0] != want {
			t.Errorf("%s: got %#v (%v), want %#v", text, got, err, want)
			continue
		}
		var again Layers
		text2, err := json.Marshal(got)
		if err == nil {
			err = json.Unmarshal(text2, &again)
		}
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%s is encoded as %s, which gives %#v (%v)", text, text2, again, err)
		}
	}
}

func TestLayersRefuseUnknownJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:     `architecture: layers: {}, want a list of layers`,
		`null`:   `layers: null`,
		`[[]]`:   `layer 0: layer: [], want an object`,
		`[null]`: `layer 0: layer: null`,
		`[{}]`:   `layer 0: type: missing, want one of linear, conv2d, depthwise_conv2d, max_pool2d, avg_pool2d, global_avg_pool, activation, batch_norm, layer_norm, rms_norm, dropout, flatten, tokens, embedding, position, attention, transformer_block, residual`,
		`[{"type":"flatten"},{"type":"dense","units":3}]`: `layer 1: type: "dense", want one of linear`,
		`[{"type":3}]`:                                                 `layer 0: type: 3`,
		`[{"Type":"flatten"}]`:                                         `layer 0: type: missing`,
		`[{"type":"flatten","x":1}]`:                                   `layer 0 (flatten): "x": an unknown field`,
		`[{"type":"linear","Units":3}]`:                                `layer 0 (linear): "Units": an unknown field, want one of type, units, bias`,
		`[{"type":"linear","units":3.5}]`:                              `units: 3.5, want a whole number`,
		`[{"type":"linear","units":"3"}]`:                              `units: "3", want a whole number`,
		`[{"type":"linear","units":null}]`:                             `units: null, want a whole number`,
		`[{"type":"linear","units":99999999999999999999}]`:             `want a whole number`,
		`[{"type":"linear","units":3,"bias":0}]`:                       `bias: 0, want true or false`,
		`[{"type":"conv2d","channels":3,"kernel":[3]}]`:                `kernel: [3], want a whole number or two of them`,
		`[{"type":"conv2d","channels":3,"kernel":0}]`:                  `kernel: 0, want at least 1`,
		`[{"type":"conv2d","channels":3,"kernel":3,"stride":0}]`:       `stride: 0, want at least 1`,
		`[{"type":"conv2d","channels":3,"kernel":3,"padding":"some"}]`: `padding: "some", want a whole number, two of them, "same" or "valid"`,
		`[{"type":"max_pool2d","kernel":2,"padding":1}]`:               `layer 0 (max_pool2d): "padding": an unknown field, want one of type, kernel, stride`,
		`[{"type":"activation","kind":null}]`:                          `kind: null, want a string`,
	} {
		var got Layers
		err := json.Unmarshal([]byte(text), &got)
		var e *LayerError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`[]`:                                  "architecture: architecture: [], want an object",
		`{"input":[2.5],"layers":[]}`:         "input: [2.5], want a list of whole numbers",
		`{"input":4,"layers":[]}`:             "input: 4",
		`{"input":[4],"layers":[],"name":""}`: `"name": an unknown field, want one of input, layers`,
		`{"input":[4],"layers":3}`:            "layers: 3",
	} {
		var got Architecture
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzArchitectureDecode(f *testing.F) {
	for _, arch := range layerCases() {
		text, err := json.Marshal(arch)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"input":[28,28,1],"layers":[{"type":"conv2d","channels":8,"kernel":3,"padding":"same"},{"type":"linear"}]}`))
	f.Add([]byte(`{"input":[9223372036854775807,2],"layers":[{"type":"flatten"}]}`))
	f.Add([]byte(`{"input":[-1],"layers":[{"type":"linear","units":-9223372036854775808}]}`))
	f.Add([]byte(`{"layers":[{"type":"max_pool2d","kernel":[-1,0],"stride":-0}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var arch Architecture
		if err := json.Unmarshal(text, &arch); err != nil {
			return
		}
		again, err := json.Marshal(arch)
		if err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		var back Architecture
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatalf("%s does not decode: %v", again, err)
		}
		if !back.Input.Equal(arch.Input) || len(back.Layers) != len(arch.Layers) {
			t.Fatalf("%s became %s", text, again)
		}
		for i := range back.Layers {
			if back.Layers[i] != arch.Layers[i] {
				t.Fatalf("layer %d became %#v, was %#v", i, back.Layers[i], arch.Layers[i])
			}
		}
		if arch.Validate() == nil { // a valid architecture can be planned, or the error says why not
			_, _ = NewPlan(arch, PlanConfig{BatchSize: 3, Shards: 2})
		}
	})
}

// drawArchitecture draws small architectures, most of them valid.
func drawArchitecture(t *rapid.T) Architecture {
	small := func(name string) int { return rapid.IntRange(1, 3).Draw(t, name) }
	arch := Architecture{Input: tensor.Shape{small("h") + 3, small("w") + 3, small("c")}}
	flat := false
	for range rapid.IntRange(0, 7).Draw(t, "layers") {
		kind := Activation{Kind: rapid.SampledFrom(activationKinds()).Draw(t, "kind")}
		if flat {
			arch.Layers = append(arch.Layers, rapid.SampledFrom([]Layer{kind, Linear{Units: small("units"), NoBias: small("bias") == 1}, Flatten{}}).Draw(t, "layer"))
			continue
		}
		size := Size{H: small("kh"), W: small("kw")}
		stride := Size{H: small("sh"), W: small("sw")}
		pad := Padding{H: rapid.IntRange(0, size.H-1).Draw(t, "ph"), W: rapid.IntRange(0, size.W-1).Draw(t, "pw")}
		l := rapid.SampledFrom([]Layer{kind, Flatten{}, MaxPool2D{Kernel: size, Stride: stride}, AvgPool2D{Kernel: size},
			Conv2D{Channels: small("channels"), Kernel: size, Stride: stride, Padding: pad}}).Draw(t, "layer")
		flat = l == Flatten{}
		arch.Layers = append(arch.Layers, l)
	}
	if !flat {
		arch.Layers = append(arch.Layers, Flatten{})
	}
	return Architecture{Input: arch.Input, Layers: append(arch.Layers, Linear{Units: small("classes")})}
}

// TestEveryArchitectureTrainsAsItsTwin draws architectures, batches and shards
// at random: the planner must not reuse memory that is still needed (the twin's
// memory starts as NaN), and kernel/cpu must agree to the bit.
func TestEveryArchitectureTrainsAsItsTwin(t *testing.T) {
	b := newCPU(t, 2, 0)
	rapid.Check(t, func(rt *rapid.T) {
		arch := drawArchitecture(rt)
		if err := arch.Validate(); err != nil {
			rt.Skip("shapes do not meet")
		}
		config := PlanConfig{
			BatchSize:     rapid.IntRange(1, 5).Draw(rt, "batch"),
			EvalBatchSize: rapid.IntRange(1, 5).Draw(rt, "eval"),
			Shards:        rapid.IntRange(1, 6).Draw(rt, "shards"),
			Optimizer:     Optimizer{Name: SGD, Momentum: 0.9},
			Precision:     rapid.SampledFrom([]Precision{Float32, BF16}).Draw(rt, "precision"),
		}
		reference, trainer := newTrainer(t, twin[float32]{}, arch, config), newTrainer(t, b, arch, config)
		want, got := train(t, reference, 0, 3), train(t, trainer, 0, 3)
		if !reflect.DeepEqual(got, want) {
			rt.Fatalf("losses %v, want %v", got, want)
		}
		sameBits(t, "state", stateOf(t, trainer), stateOf(t, reference))
		trainer.Close()
	})
}

// Checking and planning a model of 10^10 parameters computes with shapes only.
func TestPlanningALargeModelTakesNoMemoryForItsWeights(t *testing.T) {
	took := func(units int) (bytes uint64, parameters tensor.Bytes) {
		arch := MLP(tensor.Shape{64}, slices.Repeat([]int{units}, 20), kernel.ReLU, 10)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := NewModelSpec("m", arch).Validate(); err != nil {
			t.Fatal(err)
		}
		plan, err := NewPlan(arch, PlanConfig{BatchSize: 32})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, plan.Memory().Parameters
	}
	small, _ := took(8)
	large, parameters := took(23_000)
	if parameters < 4e10 {
		t.Fatalf("%v of parameters: the test does not reach what it is for", parameters)
	}
	if large > small+1<<20 {
		t.Errorf("planning a model with %v of parameters allocated %d bytes, and a small one %d", parameters, large, small)
	}
}
