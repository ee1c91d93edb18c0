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
		{"resnet 8", 32, ResNet(tensor.Shape{32, 32, 3}, 1, 16, 10)},
		{"gpt 4x128", 16, GPT(128, 96, 4, 4, 128, 0)},
	} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/batch %d/adam/%d threads", c.name, c.rows, threads), func(b *testing.B) {
				rows := c.rows
				trainer := newTrainer(b, newCPU(b, threads, cpu.LevelAuto), c.arch, PlanConfig{BatchSize: rows, Optimizer: Optimizer{Name: Adam}})
				batch := Batch{Rows: rows, Labels: randomLabels(2, rows*trainer.plan.Labels(), trainer.plan.Classes())}
				if vocabulary, tokens := c.arch.tokenInput(); tokens {
					batch.Tokens = randomLabels(3, rows*trainer.plan.Features(), vocabulary)
				} else {
					batch.Inputs = random(1, rows*trainer.plan.Features())
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := trainer.Step(batch, 0.001); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(batch.Labels)*b.N)/b.Elapsed().Seconds(), "labels/s")
			})
		}
	}
}
