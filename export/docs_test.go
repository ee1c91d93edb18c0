package export

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
)

// The documented programs predict what package nn does.
func TestTheDocumentedProgramsPredict(t *testing.T) {
	programs := documented(t)
	if len(programs) != 3 {
		t.Fatalf("%d programs in docs/export.md, want 3", len(programs))
	}
	m := randomModel(t, nn.CNN(tensor.Shape{8, 8, 1}, []int{3}, []int{5}, kernel.ReLU, 10))
	folder := t.TempDir()
	for _, f := range []Format{Safetensors, ONNX} {
		for name, content := range written(t, m, f) {
			save(t, filepath.Join(folder, name), content)
		}
	}
	want := predictConstant(t, m, 0.5).probabilities(10)
	for i, c := range []struct {
		name, file string
		program    func(t *testing.T) string
	}{
		{"PyTorch", "pytorch.py", func(t *testing.T) string { return pythonWith(t, "torch") }},
		{"ONNX Runtime in Python", "onnx.py", func(t *testing.T) string {
			python := pythonThatImports("onnxruntime")
			if python == "" {
				t.Skip("no Python here has the module onnxruntime, which Debian does not have either")
			}
			return python
		}},
		{"ONNX Runtime in JavaScript", "onnx.js", nodeWithRuntime},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := exec.Command(c.program(t), c.file)
			save(t, filepath.Join(folder, c.file), []byte(programs[i]))
			program.Dir = folder
			program.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
			out, err := program.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var got [][]float64
			if err := json.Unmarshal(out, &got); err != nil || len(got) != 1 || len(got[0]) != len(want) {
				t.Fatalf("%v\n%s", err, out)
			}
			for class, p := range want {
				if !(math.Abs(got[0][class]-p) <= tolerance) {
					t.Errorf("class %d has the probability %v, want %v", class, got[0][class], p)
				}
			}
		})
	}
}

// documented returns the programs of the page, in order.
func documented(t *testing.T) (programs []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(page), "```") {
		if i%2 == 1 {
			_, program, _ := strings.Cut(part, "\n")
			programs = append(programs, program)
		}
	}
	return programs
}
