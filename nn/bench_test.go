package nn

import (
	"fmt"
	"testing"

	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/tensor"
)

// BenchmarkStep reports whole training steps: copying the batch in, forward,
// loss, backward, update.
func BenchmarkStep(b *testing.B) {
	image := tensor.Shape{28, 28, 1}
	for _, c := range []struct {
		name string
		rows int
		arch Architecture
	}{
		{"mlp 784-256-128-10", 128, MLP(image, []int{256, 128}, kernel.ReLU, 10)},
		{"cnn 8-16", 128, CNN(image, []int{8, 16}, nil, kernel.ReLU, 10)},
		{"cnn 32-64-128", 64, CNN(image, []int{32, 64}, []int{128}, kernel.ReLU, 10)},
	} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/batch %d/adam/%d threads", c.name, c.rows, threads), func(b *testing.B) {
				rows := c.rows
				trainer := newTrainer(b, newCPU(b, threads, cpu.LevelAuto), c.arch, PlanConfig{BatchSize: rows, Optimizer: Optimizer{Name: Adam}})
				x, labels := random(1, rows*784), randomLabels(2, rows, 10)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := trainer.Step(Batch{Rows: rows, Inputs: x, Labels: labels}, 0.001); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "samples/s")
			})
		}
	}
}
