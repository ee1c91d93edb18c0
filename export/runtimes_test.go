package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"reprise/tensor"
)

// tolerance is how far other runtimes may be from package nn: absolutely, and for
// outputs beyond 1 relatively.
const tolerance = 1e-5

const rowsTried = 3

// absent skips the test for want of a runtime. With REPRISE_RUNTIMES=needed, which
// `make runtimes` sets, it fails.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("REPRISE_RUNTIMES") == "needed" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// pythonThatImports returns a Python that can import a module, "" if there is none.
// Debian's comes first: its modules are not those of another Python in PATH.
func pythonThatImports(module string) string {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	return ""
}

// pythonWith returns a Python that can import a module that Debian has.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	python := pythonThatImports(module)
	if python == "" {
		absent(t, "no Python here has the module %s: on Debian, apt install python3-%s", module, module)
	}
	return python
}

// nodeWithRuntime returns a Node.js that can load ONNX Runtime.
func nodeWithRuntime(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil || exec.Command(node, "-e", "require('onnxruntime-node')").Run() != nil {
		absent(t, "there is no Node.js here that loads onnxruntime-node: `make runtimes` installs and uses it")
	}
	return node
}

// exported writes each model in a format into a folder of its own, with inputs, and
// returns the folders and what the models give.
func exported(t *testing.T, f Format) (folders []string, names []string, want map[string]batch) {
	t.Helper()
	models := all(t)
	root := t.TempDir()
	want = map[string]batch{}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m := models[name]
		folder := filepath.Join(root, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range written(t, m, f) {
			save(t, filepath.Join(folder, name), content)
		}
		b := predict(t, m, rowsTried)
		want[name] = b
		in := foreign(m.Architecture.Input)
		c := struct {
			DType string `json:"dtype"`
			Shape []int  `json:"shape"`
		}{"float32", append([]int{rowsTried}, in...)}
		input := bytes.Buffer{}
		if b.tokens != nil {
			c.DType = "int64"
			for _, v := range b.tokens {
				_ = binary.Write(&input, binary.LittleEndian, int64(v))
			}
		} else {
			_ = binary.Write(&input, binary.LittleEndian, b.foreignInputs(m.Architecture.Input))
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(folder, "case.json"), raw)
		save(t, filepath.Join(folder, "input.bin"), input.Bytes())
		folders, names = append(folders, folder), append(names, name)
	}
	return folders, names, want
}

// written returns the files of a model by name.
func written(t *testing.T, m Model, f Format) map[string][]byte {
	t.Helper()
	files, err := m.Files(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		var b, again bytes.Buffer
		if err := file.Write(&b); err != nil {
			t.Fatal(err)
		}
		if err := file.Write(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("%s differs when it is written again: %v", file.Name, err)
		}
		out[file.Name] = b.Bytes()
	}
	return out
}

func save(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a script of testdata on folders.
func run(t *testing.T, program, script string, folders []string) {
	t.Helper()
	c := exec.Command(program, append([]string{filepath.Join("testdata", script)}, folders...)...)
	c.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// checkOutput compares what a runtime wrote with what it should have.
func checkOutput(t *testing.T, base, shapeFile string, shape tensor.Shape, want []float64) {
	t.Helper()
	var dims tensor.Shape
	raw, err := os.ReadFile(shapeFile)
	if err == nil {
		err = json.Unmarshal(raw, &dims)
	}
	if full := append(tensor.Shape{rowsTried}, shape...); err != nil || !dims.Equal(full) {
		t.Errorf("shape %v, want %v, %v", dims, full, err)
	}
	data, err := os.ReadFile(base + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(data)/4)
	if _, err := binary.Decode(data, binary.LittleEndian, got); err != nil || len(got) != len(want) {
		t.Fatalf("%d values, want %d, %v", len(got), len(want), err)
	}
	worst := 0.0
	for i, w := range want {
		off := math.Abs(float64(got[i])-w) / max(1, math.Abs(w))
		if !(off <= tolerance) {
			t.Errorf("value %d is %v, want %v", i, got[i], w)
			return
		}
		worst = max(worst, off)
	}
	t.Logf("%s: %d values, at most %.2g away", filepath.Base(base), len(want), worst)
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func TestPyTorchGivesTheSameOutputs(t *testing.T) {
	python := pythonWith(t, "torch")
	folders, names, want := exported(t, Safetensors)
	run(t, python, "run_torch.py", folders)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			out := outputOf(t, all(t)[name])
			checkOutput(t, filepath.Join(folders[i], "output"), filepath.Join(folders[i], "shape.json"), out, widened(want[name].outputs))
		})
	}
}

func TestONNXRuntimeGivesTheSameOutputs(t *testing.T) {
	node := nodeWithRuntime(t)
	folders, names, want := exported(t, ONNX)
	run(t, node, "run_onnx.js", folders)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			m := all(t)[name]
			out := outputOf(t, m)
			for output, values := range onnxOutputs(m, want[name], out) {
				base := filepath.Join(folders[i], output)
				checkOutput(t, base, base+".json", out, values)
			}
		})
	}
}

// onnxOutputs returns the outputs of an ONNX file by name.
func onnxOutputs(m Model, b batch, out tensor.Shape) map[string][]float64 {
	switch {
	case m.classifies():
		return map[string][]float64{"logits": widened(b.outputs), "probabilities": b.probabilities(out[len(out)-1])}
	case m.Targets != nil:
		return map[string][]float64{"predictions": b.restored(m.Targets)}
	}
	return map[string][]float64{"predictions": widened(b.outputs)}
}

func TestTheONNXCheckerAcceptsEveryModel(t *testing.T) {
	python := pythonWith(t, "onnx")
	folders, names, _ := exported(t, ONNX)
	run(t, python, "check_onnx.py", folders)
	for i, name := range names {
		raw, err := os.ReadFile(filepath.Join(folders[i], "outputs.json"))
		if err != nil {
			t.Fatal(err)
		}
		m := all(t)[name]
		want := fmt.Sprint([]int(outputOf(t, m)))
		var got map[string][]int
		if err := json.Unmarshal(raw, &got); err != nil || len(got) == 0 {
			t.Fatalf("%s: %s, %v", name, raw, err)
		}
		for output, shape := range got {
			if fmt.Sprint(shape) != want {
				t.Errorf("%s: %s has the shape %v, want %v", name, output, shape, want)
			}
		}
	}
}

func outputOf(t *testing.T, m Model) tensor.Shape {
	t.Helper()
	out, err := m.Architecture.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
