package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"reprise/checkpoint"
	"reprise/tensor"
)

// The reference that Write returns pins every byte: what was changed later is
// refused, and the file named.
func Example() {
	dir, err := os.MkdirTemp("", "checkpoints-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ref, err := checkpoint.Write(dir, checkpoint.Content{
		RunID: "run", SessionID: "session", Step: 40, Epoch: 2,
		Weights: []tensor.Tensor{{Name: "0.weight", Shape: tensor.Shape{1, 2}, Data: []float32{0.5, -1}}},
		Metrics: map[string]float64{"loss": 0.25},
	})
	if err != nil {
		panic(err)
	}
	content, err := checkpoint.Read(dir, ref)
	if err != nil {
		panic(err)
	}
	fmt.Println(ref.Dir, content.Weights[0].Data, content.Metrics["loss"])

	file := filepath.Join(dir, ref.Dir, "model.safetensors")
	raw, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		panic(err)
	}
	var damaged *checkpoint.CorruptError
	fmt.Println(errors.As(checkpoint.Verify(dir, ref), &damaged), damaged.File)
	// Output:
	// step-00000040 [0.5 -1] 0.25
	// true model.safetensors
}
