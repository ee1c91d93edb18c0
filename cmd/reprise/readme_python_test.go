package main

import (
	bits "encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The README's lines of Python print the tensors of a checkpoint: names, shapes
// and values as they are in the file.
func TestTheReadmesPythonReadsACheckpoint(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```python\n")
	program, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no Python")
	}
	script := filepath.Join(t.TempDir(), "weights.py")
	if err := os.WriteFile(script, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	b := build(t)
	b.must("train", mlpJob(t, "batch_size: 64, learning_rate: 0.01, epochs: 1"))
	files, err := filepath.Glob(filepath.Join(b.dataDir, "runs", "*", "checkpoints", "*", "model.safetensors"))
	if err != nil || len(files) != 1 {
		t.Fatalf("checkpoints %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, script, files[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	size := bits.LittleEndian.Uint64(raw)
	var header map[string]struct {
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "__metadata__")
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(header) || len(lines) < 4 {
		t.Errorf("%d lines for %d tensors:\n%s", len(lines), len(header), out)
	}
	for name, h := range header {
		var want []string
		for k := range 3 {
			word := bits.LittleEndian.Uint32(raw[8+int(size)+h.Offsets[0]+4*k:])
			want = append(want, strconv.FormatFloat(float64(math.Float32frombits(word)), 'g', -1, 64))
		}
		shape := strings.ReplaceAll(fmt.Sprint(h.Shape), " ", ", ")
		line := fmt.Sprintf("%s %s [%s]", name, shape, strings.Join(want, ", "))
		if !strings.Contains(string(out), line+"\n") {
			t.Errorf("no line %q in:\n%s", line, out)
		}
	}
}
