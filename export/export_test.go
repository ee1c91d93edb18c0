package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

var updateGolden = flag.Bool("update-golden", false, "rewrite the golden files")

// What the files say is what golden files say: names and shapes of tensors, the module,
// and the graph. That this computes the right thing, the tests with the runtimes show.
func TestTheFilesAreTheGoldenOnes(t *testing.T) {
	for name, m := range all(t) {
		t.Run(name, func(t *testing.T) {
			torch := written(t, m, Safetensors)
			golden(t, name+".py.txt", torch["model.py"])
			golden(t, name+".safetensors.txt", []byte(describeSafetensors(t, torch["model.safetensors"])))
			graph, _ := readONNX(t, written(t, m, ONNX)["model.onnx"])
			golden(t, name+".onnx.txt", []byte(graph))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", strings.ReplaceAll(name, " ", "-"))
	if *updateGolden {
		save(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it differs from %s (go test ./export -update-golden rewrites it):\n%s", path, got)
	}
}

// savedTensor is a tensor of a safetensors file.
type savedTensor struct {
	Shape   []int  `json:"shape"`
	DType   string `json:"dtype"`
	Offsets [2]int `json:"data_offsets"`
	data    []float32
}

func readSafetensors(t *testing.T, file []byte) map[string]savedTensor {
	t.Helper()
	size := binary.LittleEndian.Uint64(file)
	tensors := map[string]savedTensor{}
	if err := json.Unmarshal(file[8:8+size], &tensors); err != nil {
		t.Fatal(err)
	}
	for name, s := range tensors {
		s.data = make([]float32, (s.Offsets[1]-s.Offsets[0])/4)
		if _, err := binary.Decode(file[8+int(size)+s.Offsets[0]:], binary.LittleEndian, s.data); err != nil {
			t.Fatal(err)
		}
		tensors[name] = s
	}
	return tensors
}

func describeSafetensors(t *testing.T, file []byte) string {
	t.Helper()
	tensors := readSafetensors(t, file)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		fmt.Fprintf(&b, "%s %v %s\n", tensors[name].DType, tensors[name].Shape, name)
	}
	return b.String()
}

// Every value is at the place that the layouts of PyTorch give it, in both formats.
func TestWeightsAreMovedNotChanged(t *testing.T) {
	for name, m := range all(t) {
		_, onnx := readONNX(t, written(t, m, ONNX)["model.onnx"])
		torch := readSafetensors(t, written(t, m, Safetensors)["model.safetensors"])
		if len(torch) != len(m.Weights) {
			t.Errorf("%s: %d tensors of %d", name, len(torch), len(m.Weights))
		}
		for _, w := range m.Weights {
			exported := w.Name
			for _, other := range []string{strings.ReplaceAll(w.Name, ".in.", ".linear1."), strings.ReplaceAll(w.Name, ".out.", ".linear2.")} {
				if _, ok := torch[exported]; !ok {
					exported = other
				}
			}
			want := placed(w)
			got := torch[exported]
			if fmt.Sprint(got.Shape) != fmt.Sprint([]int(want.Shape)) || !slices.Equal(got.data, want.Data) {
				t.Errorf("%s: %s is %v and has other values than %v of the model", name, exported, got.Shape, want.Shape)
			}
			o, ok := onnx[exported]
			if !ok {
				t.Errorf("%s: the graph has no %s", name, exported)
				continue
			}
			values := o.floats(t)
			if !slices.Equal(values, want.Data) && (len(w.Shape) != 2 || !slices.Equal(values, transposed(w))) {
				t.Errorf("%s: %s has other values in the graph", name, exported)
			}
		}
	}
}

// placed computes the layout of PyTorch by its definition.
func placed(w tensor.Tensor) tensor.Tensor {
	out := tensor.Tensor{Shape: w.Shape, Data: w.Data}
	if !strings.HasSuffix(w.Name, ".weight") {
		return out
	}
	s := w.Shape
	switch len(s) {
	case 4: // [O H W I]
		out = tensor.Tensor{Shape: tensor.Shape{s[0], s[3], s[1], s[2]}}
		for o := range s[0] {
			for i := range s[3] {
				for h := range s[1] {
					for x := range s[2] {
						out.Data = append(out.Data, w.Data[((o*s[1]+h)*s[2]+x)*s[3]+i])
					}
				}
			}
		}
	case 3: // [H W C]
		out = tensor.Tensor{Shape: tensor.Shape{s[2], 1, s[0], s[1]}}
		for c := range s[2] {
			for h := range s[0] {
				for x := range s[1] {
					out.Data = append(out.Data, w.Data[(h*s[1]+x)*s[2]+c])
				}
			}
		}
	}
	return out
}

func transposed(w tensor.Tensor) []float32 {
	var out []float32
	for i := range w.Shape[1] {
		for o := range w.Shape[0] {
			out = append(out, w.Data[o*w.Shape[1]+i])
		}
	}
	return out
}

// Whoever adds a layer to package nn adds it here, too.
func TestEveryLayerCanBeExported(t *testing.T) {
	var known *nn.LayerError
	if err := new(nn.Architecture).UnmarshalJSON([]byte(`{"layers": [{"type": "none"}]}`)); !errors.As(err, &known) {
		t.Fatalf("got %v", err)
	}
	seen := map[string]bool{}
	var visit func(layers nn.Layers)
	visit = func(layers nn.Layers) {
		for _, l := range layers {
			seen[l.Type()] = true
			if r, ok := l.(nn.Residual); ok {
				visit(r.Body)
				visit(r.Shortcut)
			}
		}
	}
	kinds := map[kernel.ActivationKind]bool{}
	for _, m := range all(t) {
		visit(m.Architecture.Layers)
		raw, err := json.Marshal(m.Architecture)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`"kind":"(\w+)"`).FindAllSubmatch(raw, -1) {
			kinds[kernel.ActivationKind(match[1])] = true
		}
	}
	types := strings.Split(strings.TrimPrefix(known.Want, "one of "), ", ")
	if len(types) < 18 {
		t.Errorf("package nn lists only %v", types)
	}
	for _, name := range types {
		if !seen[name] {
			t.Errorf("no model of these tests has the layer %s", name)
		}
	}
	err := nn.Architecture{Input: tensor.Shape{2}, Layers: nn.Layers{nn.Activation{Kind: "none"}}}.Validate()
	if !errors.As(err, &known) {
		t.Fatalf("got %v", err)
	}
	for _, kind := range strings.Split(strings.TrimPrefix(known.Want, "one of "), ", ") {
		if !kinds[kernel.ActivationKind(kind)] {
			t.Errorf("no model of these tests has the activation %s", kind)
		}
	}
}

func TestWhatCannotBeExportedIsRefused(t *testing.T) {
	good := randomModel(t, nn.MLP(tensor.Shape{3}, nil, kernel.ReLU, 2))
	change := func(f func(m *Model)) Model {
		m := good
		m.Weights = slices.Clone(good.Weights)
		f(&m)
		return m
	}
	for name, c := range map[string]struct {
		format Format
		model  Model
		want   string
	}{
		"no format":           {"", good, "format: is missing; use safetensors, onnx, bundle or bundle.tar"},
		"unknown format":      {"pickle", good, `format: "pickle" is not a format; use safetensors, onnx, bundle or bundle.tar`},
		"a weight is missing": {ONNX, change(func(m *Model) { m.Weights = m.Weights[:1] }), "layers.0.bias: missing"},
		"another shape": {Safetensors, change(func(m *Model) {
			m.Weights[0] = tensor.Tensor{Name: "layers.0.weight", Shape: tensor.Shape{3, 2}, Data: make([]float32, 6)}
		}), "layers.0.weight: of shape [3 2]"},
		"not finite": {ONNX, change(func(m *Model) {
			m.Weights[1] = tensor.Tensor{Name: "layers.0.bias", Shape: tensor.Shape{2}, Data: []float32{0, float32(math.NaN())}}
		}), "layers.0.bias: NaN"},
		"an image as output": {Safetensors, randomModel(t, nn.Architecture{Input: tensor.Shape{4, 4, 1}, Layers: nn.Layers{nn.LayerNorm{}}}),
			"output: [4 4 1], want one dimension"},
		"objective":                 {ONNX, change(func(m *Model) { m.Objective = "hinge" }), `objective: "hinge" must be`},
		"targets of classes":        {ONNX, change(func(m *Model) { m.Targets = []Target{{}, {}} }), "targets: a list of 2 must have one for each of the 0 quantities"},
		"a target too few":          {ONNX, change(func(m *Model) { m.Objective, m.Targets = nn.MeanSquaredError, []Target{{}} }), "targets: a list of 1 must have one for each of the 2 quantities"},
		"a target without a number": {ONNX, change(func(m *Model) { m.Objective, m.Targets = nn.MeanSquaredError, []Target{{}, {Mean: math.Inf(1)}} }), "targets[1]: +Inf and 0 must be finite"},
	} {
		files, err := c.model.Files(c.format)
		if err == nil || files != nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, %v, want %q", name, files, err, c.want)
		}
	}
}

// A message of Protocol Buffers cannot be larger than 2 GiB.
func TestAModelThatIsTooLargeForONNXIsRefused(t *testing.T) {
	shared := make([]float32, 1<<19)
	var g graph
	for range 1024 {
		g.initializers = append(g.initializers, initializer{name: "weight", shape: tensor.Shape{len(shared)}, floats: shared})
	}
	_, _, _, err := g.encode()
	var wrong *fault.FieldError
	if !errors.As(err, &wrong) || wrong.Field != "format" || wrong.Fix != "use safetensors" {
		t.Fatalf("got %v", err)
	}
	if err := g.write(io.Discard); !errors.As(err, &wrong) {
		t.Errorf("it was written: %v", err)
	}
	g.initializers = g.initializers[1:]
	if _, _, _, err := g.encode(); err != nil {
		t.Errorf("a little less is refused: %v", err)
	}
}

// limited accepts a number of bytes.
type limited struct{ left int }

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errFull
	}
	l.left -= len(p)
	return len(p), nil
}

func TestAnErrorOfTheWriterIsReturned(t *testing.T) {
	m := randomModel(t, nn.MLP(tensor.Shape{300}, []int{200}, kernel.ReLU, 2)) // more than any buffer
	for _, f := range []Format{Safetensors, ONNX} {
		files, err := m.Files(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			var whole bytes.Buffer
			if err := file.Write(&whole); err != nil {
				t.Fatal(err)
			}
			for _, left := range []int{0, whole.Len() / 2, whole.Len() - 1} {
				if err := file.Write(&limited{left}); !errors.Is(err, errFull) {
					t.Errorf("%s, full after %d of %d bytes: %v", file.Name, left, whole.Len(), err)
				}
			}
		}
	}
}
