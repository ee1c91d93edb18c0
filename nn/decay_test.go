package nn

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"reprise/tensor"
)

// With DecayMatricesOnly, each step gives a matrix the bits that it has if all
// parameters are decayed, and a vector the bits that it has if none is: the rule works
// value by value. The twin's bits are those of every instruction set and number of
// threads.
func TestWeightDecayOfMatricesOnly(t *testing.T) {
	arch := Architecture{Input: tensor.Shape{6, 5, 2}, Layers: Layers{
		Conv2D{Channels: 3, Kernel: Square(3)}, BatchNorm{}, Flatten{}, Linear{Units: 19}, LayerNorm{}, Linear{Units: 7, NoBias: true}, Linear{Units: 3},
	}}
	for name, o := range map[string]Optimizer{
		"sgd":      {Name: SGD, WeightDecay: 0.1},
		"nesterov": {Name: SGD, Momentum: 0.9, Nesterov: true, WeightDecay: 0.1},
		"adam":     {Name: Adam, WeightDecay: 0.1},
		"adamw":    {Name: AdamW, WeightDecay: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			config := PlanConfig{BatchSize: 5, Shards: 2, Optimizer: o}
			all := newTrainer(t, twin[float32]{}, arch, config)
			config.Optimizer.WeightDecay = 0
			none := newTrainer(t, twin[float32]{}, arch, config)
			config.Optimizer.WeightDecay, config.Optimizer.DecayMatricesOnly = o.WeightDecay, true
			trainer := newTrainer(t, twin[float32]{}, arch, config)

			start := stateOf(t, trainer)
			vectors, matrices := 0, 0
			for step := range 4 {
				before := stateOf(t, trainer)
				train(t, trainer, step, step+1)
				got := stateOf(t, trainer)
				var plain [2]State
				for i, other := range []*Trainer{all, none} {
					if err := other.Load(before); err != nil {
						t.Fatal(err)
					}
					train(t, other, step, step+1)
					plain[i] = stateOf(t, other)
				}
				for i, p := range got.Parameters {
					decayed, exempt := plain[0].Parameters[i].Data, plain[1].Parameters[i].Data
					want := decayed
					if len(p.Shape) == 1 {
						want = exempt
					}
					if !slices.Equal(p.Data, want) {
						t.Fatalf("step %d: %s %v is not what it is with weight decay of its own", step, p.Name, p.Shape)
					}
					switch {
					case slices.Equal(decayed, exempt): // a statistic, or still zero
					case len(p.Shape) == 1:
						vectors++
					default:
						matrices++
					}
				}
			}
			if vectors < 4 || matrices < 4 {
				t.Errorf("weight decay changed %d vectors and %d matrices: the test does not reach what it is for", vectors, matrices)
			}
			want := stateOf(t, trainer)
			for _, level := range levels(t) {
				for _, threads := range []int{1, 3} {
					what := fmt.Sprintf("%v with %d threads", level, threads)
					other := newTrainer(t, newCPU(t, threads, level), arch, config)
					train(t, other, 0, 2)
					middle := stateOf(t, other) // as a checkpoint has it
					other = newTrainer(t, newCPU(t, threads, level), arch, config)
					if err := other.Load(middle); err != nil {
						t.Fatal(err)
					}
					train(t, other, 2, 4)
					sameBits(t, what, stateOf(t, other), want)
				}
			}
			if reflect.DeepEqual(start, want) {
				t.Error("nothing was trained")
			}
		})
	}
}

// A plan without weight decay, or with decay of everything, updates all parameters in
// one instruction, as it did before.
func TestParametersAreUpdatedAtOnceUnlessTheirDecayDiffers(t *testing.T) {
	arch := MLP(tensor.Shape{4}, []int{8}, "", 3) // two matrices, each before its bias
	for o, want := range map[Optimizer]int{
		{Name: AdamW, WeightDecay: 0.1}:                          1,
		{Name: AdamW, DecayMatricesOnly: true}:                   1,
		{Name: AdamW, WeightDecay: 0.1, DecayMatricesOnly: true}: 4,
	} {
		plan, err := NewPlan(arch, PlanConfig{BatchSize: 2, Optimizer: o})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(plan.updateProgram(1).Instructions); got != want {
			t.Errorf("%+v: %d instructions, want %d", o, got, want)
		}
	}
}
