// Command gomlx is GoMLX's pure-Go backend as a peer of bench/cmd/peers. Its
// argument is the backend's configuration.
//
// The step is one compiled graph: forward, gradient and Adam, with the state
// passed in and out; the state's buffers are donated.
package main

import (
	"fmt"
	"os"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"reprise/bench/internal/wire"
)

func main() {
	configuration := ""
	if len(os.Args) > 1 {
		configuration = os.Args[1]
	}
	replies := os.Stdout
	os.Stdout = os.Stderr // the library prints to it when an operation fails
	backend, err := simplego.New(configuration)
	if err == nil {
		err = wire.Serve(os.Stdin, replies, &trainer{backend: backend})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gomlx:", err)
		os.Exit(1)
	}
}

// trainer is the wire.Work.
type trainer struct {
	backend backends.Backend
	file    *wire.File
	params  []wire.Tensor
	x, y    []*tensors.Tensor
	exec    *Exec
	state   []*tensors.Tensor // parameters, first and second moments
}

// Load compiles the step.
func (t *trainer) Load(path string) (string, error) {
	var err error
	if t.file, err = wire.ReadFile(path); err != nil {
		return "", err
	}
	for _, p := range t.file.Parameters() {
		t.params = append(t.params, reordered(p))
	}
	t.x, t.y = cut(t.file.Tensor("x"), asFloats), cut(t.file.Tensor("y"), asInts)
	t.exec, err = NewExec(t.backend, t.step)
	return "GoMLX 0.27.3", err
}

func asFloats(v []float32, shape []int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(v, shape...)
}

func asInts(v []float32, shape []int) *tensors.Tensor {
	ints := make([]int32, len(v))
	for i := range v {
		ints[i] = int32(v[i])
	}
	return tensors.FromFlatDataAndDimensions(ints, shape...)
}

// cut returns the batches of a tensor.
func cut(t wire.Tensor, as func([]float32, []int) *tensors.Tensor) []*tensors.Tensor {
	var out []*tensors.Tensor
	n := len(t.Data) / t.Shape[0]
	for at := 0; at < len(t.Data); at += n {
		out = append(out, as(t.Data[at:at+n], t.Shape[1:]))
	}
	return out
}

// Reset restores the loaded weights.
func (t *trainer) Reset() error {
	t.state = nil
	for _, p := range t.params {
		t.state = append(t.state, asFloats(p.Data, p.Shape))
	}
	for range 2 {
		for _, p := range t.params {
			t.state = append(t.state, asFloats(make([]float32, len(p.Data)), p.Shape))
		}
	}
	return nil
}

// Step runs the graph once.
func (t *trainer) Step(i int) (float32, error) {
	args := []any{t.x[i%len(t.x)], t.y[i%len(t.y)], float32(i + 1)}
	for _, s := range t.state {
		donated, err := DonateTensorBuffer(s, t.backend, 0)
		if err != nil {
			return 0, err
		}
		args = append(args, donated)
	}
	out, err := t.exec.Exec(args...)
	if err != nil {
		return 0, err
	}
	t.state = out[1:]
	return tensors.ToScalar[float32](out[0]), nil
}
