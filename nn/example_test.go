package nn_test

import (
	"fmt"

	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/tensor"
)

// XOR, from an architecture to a prediction.
func Example() {
	arch := nn.MLP(tensor.Shape{2}, []int{16}, kernel.Tanh, 2)
	optimizer := nn.Optimizer{Name: nn.Adam}
	model, err := nn.NewModel("xor", arch, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := nn.InitialState(model, optimizer)
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := nn.NewPlan(arch, nn.PlanConfig{BatchSize: 4, Optimizer: optimizer})
	if err != nil {
		fmt.Println(err)
		return
	}
	backend, err := cpu.NewBackend(cpu.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close()
	trainer, err := nn.NewTrainer(backend, plan)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer trainer.Close()
	if err := trainer.Load(state); err != nil {
		fmt.Println(err)
		return
	}
	x := []float32{0, 0, 0, 1, 1, 0, 1, 1}
	labels := []int32{0, 1, 1, 0}
	for range 300 {
		if _, err := trainer.Step(nn.Batch{Rows: len(labels), Inputs: x, Labels: labels}, 0.02); err != nil {
			fmt.Println(err)
			return
		}
	}
	result, err := trainer.Evaluate(nn.Batch{Rows: len(labels), Inputs: x, Labels: labels})
	fmt.Println(result.Correct, "of", result.Losses, "correct", err)
	// Output: 4 of 4 correct <nil>
}

func ExampleArchitecture_Validate() {
	arch := nn.Architecture{Input: tensor.Shape{28, 28, 1}, Layers: nn.Layers{nn.Linear{Units: 10}}}
	fmt.Println(arch.Validate())
	// Output: layer 0 (linear): input: [28 28 1], want one dimension; add {"type": "flatten"} before it
}
