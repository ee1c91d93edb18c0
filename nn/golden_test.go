package nn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/tensor"
)

const goldenFile = "testdata/golden-weights.json"

// updateGolden rewrites the hashes. Use it only for a new version of the
// numerics contract, after which no old run verifies any more.
func updateGolden() bool { return flag.Lookup("update-golden").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update-golden", false, "rewrite the hashes of the golden models")
	flag.Parse()
	os.Exit(m.Run())
}

// goldenModels are small models that together use every common layer, with the
// training options that change bits.
func goldenModels() map[string]struct {
	arch   Architecture
	config PlanConfig
} {
	adamw := Optimizer{Name: AdamW, WeightDecay: 0.1}
	sgd := Optimizer{Name: SGD, Momentum: 0.9, Nesterov: true, WeightDecay: 0.001}
	return map[string]struct {
		arch   Architecture
		config PlanConfig
	}{
		"mlp": {MLP(tensor.Shape{7, 3, 1}, []int{33, 17}, kernel.Tanh, 5),
			PlanConfig{BatchSize: 9, Optimizer: Optimizer{Name: Adam}}},
		"cnn": {CNN(tensor.Shape{9, 8, 2}, []int{3, 17}, []int{19}, kernel.ReLU, 4),
			PlanConfig{BatchSize: 8, Shards: 3, Regularization: Regularization{LabelSmoothing: 0}, Optimizer: sgd}},
		"resnet": {ResNet(tensor.Shape{9, 8, 3}, 1, 5, 4),
			PlanConfig{BatchSize: 6, Shards: 2, Regularization: Regularization{ClipNorm: 0.5}, Optimizer: sgd}},
		"gpt": {GPT(17, 13, 2, 2, 24, 0.1),
			PlanConfig{BatchSize: 6, Microbatches: 2, Regularization: Regularization{ClipNorm: 1}, Optimizer: adamw, Seed: 5}},
		"gpt bf16": {GPT(17, 13, 2, 2, 24, 0.1),
			PlanConfig{BatchSize: 6, Microbatches: 2, Regularization: Regularization{ClipNorm: 1}, Optimizer: adamw, Seed: 5, Precision: BF16}},
		"resnet bf16": {ResNet(tensor.Shape{9, 8, 3}, 1, 5, 4),
			PlanConfig{BatchSize: 6, Shards: 2, Regularization: Regularization{ClipNorm: 0.5}, Optimizer: sgd, Precision: BF16}},
		"text":      {textModel(), PlanConfig{BatchSize: 6, Shards: 2, Microbatches: 2, Optimizer: adamw, Seed: 7}},
		"text bf16": {textModel(), PlanConfig{BatchSize: 6, Optimizer: Optimizer{Name: Adam}, Seed: 7, Precision: BF16}},
		"vit": {ViT(tensor.Shape{8, 6, 2}, 2, 1, 3, 18, 0.2, 4),
			PlanConfig{BatchSize: 5, Optimizer: adamw, Seed: 6}},
		"mlp weighted": {MLP(tensor.Shape{7, 3, 1}, []int{33}, kernel.ReLU, 5),
			PlanConfig{BatchSize: 9, Shards: 2, Weighted: true, Regularization: Regularization{LabelSmoothing: 0.1}, Optimizer: Optimizer{Name: Adam}}},
		"mlp focal": {MLP(tensor.Shape{7, 3, 1}, []int{33}, kernel.ReLU, 5),
			PlanConfig{BatchSize: 9, Weighted: true, Microbatches: 2, Regularization: Regularization{Loss: Loss{Name: LossFocal, Gamma: 1.5}}, Optimizer: Optimizer{Name: Adam}}},
		"mlp mae": {MLP(tensor.Shape{7, 3, 1}, []int{33}, kernel.Tanh, 19),
			PlanConfig{BatchSize: 9, Shards: 2, Objective: MeanSquaredError, Regularization: Regularization{Loss: Loss{Name: LossMAE}}, Optimizer: Optimizer{Name: Adam}}},
		"mlp huber": {MLP(tensor.Shape{7, 3, 1}, []int{33}, kernel.Tanh, 3),
			PlanConfig{BatchSize: 9, Objective: MeanSquaredError, Regularization: Regularization{Loss: Loss{Name: LossHuber, Delta: 0.5}}, Optimizer: sgd}},
	}
}

// textModel has two texts, one of them with a transformer, and numbers.
func textModel() Architecture {
	return Architecture{Input: tensor.Shape{30}, Layers: Layers{
		Columns{Parts: []Part{
			{Columns: 3},
			{Columns: 17, Layers: Layers{Embedding{Vocabulary: 29, Width: 12}, Position{}, Dropout{Rate: 0.1},
				TransformerBlock{Heads: 3, Dropout: 0.1}, LayerNorm{}, GlobalAvgPool{}}},
			{Columns: 10, Layers: Layers{Embedding{Vocabulary: 11, Width: 5}, GlobalAvgPool{}}},
		}},
		Linear{Units: 9}, Activation{Kind: kernel.ReLU}, Linear{Units: 3},
	}}
}

// randomBatch returns a random batch for the trainer's model.
func randomBatch(trainer *Trainer, seed uint64, rows int) Batch {
	p := trainer.plan
	b := Batch{Rows: rows}
	if vocabulary, tokens := p.arch.tokenInput(); tokens {
		b.Tokens = randomLabels(seed+1, rows*p.Features(), vocabulary)
	} else {
		b.Inputs = randomInputs(p.arch, seed+1000, rows)
	}
	if p.config.Objective == MeanSquaredError {
		b.Targets = random(seed+2, rows*p.Outputs())
	} else {
		b.Labels = randomLabels(seed, rows*p.Labels(), p.Classes())
	}
	if p.config.Weighted {
		b.Weights = random(seed+3, rows*p.Labels())
		for i, w := range b.Weights {
			b.Weights[i] = 1 + w
		}
	}
	return b
}

// trainGolden takes steps with whole and smaller batches, and evaluates.
func trainGolden(t *testing.T, trainer *Trainer, from, to int) {
	t.Helper()
	for s := from; s < to; s++ {
		rows := trainer.plan.config.BatchSize
		if s%3 == 2 {
			rows = rows/2 + 1
		}
		if _, err := trainer.Step(randomBatch(trainer, uint64(s), rows), 0.01/float32(s+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := trainer.Evaluate(randomBatch(trainer, 77, 7)); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t *testing.T, s State) string {
	t.Helper()
	var raw bytes.Buffer
	for _, list := range [][]tensor.Tensor{s.Parameters, s.Moments} {
		for _, p := range list {
			if err := binary.Write(&raw, binary.LittleEndian, p.Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum := sha256.Sum256(raw.Bytes())
	return hex.EncodeToString(sum[:])
}

// TestGoldenWeights trains small models at every instruction set level of the
// machine, on 1, 2, 3 and 8 threads, and compares the hash of weights and
// moments with the recorded one. CI runs it for GOAMD64 v1 and v3, without
// assembly, and for arm64 too.
func TestGoldenWeights(t *testing.T) {
	golden := map[string]string{}
	raw, err := os.ReadFile(goldenFile)
	if err == nil {
		err = json.Unmarshal(raw, &golden)
	}
	if err != nil && !updateGolden() {
		t.Fatal(err)
	}
	models := goldenModels()
	for name, m := range models {
		for _, level := range cpu.Detect().Levels() {
			for _, threads := range []int{1, 2, 3, 8} {
				b := newCPU(t, threads, level)
				if b.Level() != level || b.Threads() != threads {
					t.Fatalf("asked for %v on %d threads, got %v on %d", level, threads, b.Level(), b.Threads())
				}
				trainer := newTrainer(t, b, m.arch, m.config)
				trainGolden(t, trainer, 0, 5)
				got := hashOf(t, stateOf(t, trainer))
				if updateGolden() {
					golden[name] = got
				}
				if want := golden[name]; got != want {
					t.Errorf("%s, %v, %d threads: the weights have the hash %s, want %s", name, level, threads, got, want)
				}
			}
		}
	}
	if len(golden) != len(models) {
		t.Errorf("%s has %d models, want %d", goldenFile, len(golden), len(models))
	}
	if updateGolden() {
		out, _ := json.MarshalIndent(golden, "", "  ")
		if err := os.WriteFile(goldenFile, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGraphsResumeToTheSameBits stops golden training after two steps, moves
// its state to a new trainer and continues: statistics, dropout and
// microbatches included.
func TestGraphsResumeToTheSameBits(t *testing.T) {
	for name, m := range goldenModels() {
		t.Run(name, func(t *testing.T) {
			b := newCPU(t, 2, cpu.LevelAuto)
			whole := newTrainer(t, b, m.arch, m.config)
			trainGolden(t, whole, 0, 5)
			first, second := newTrainer(t, b, m.arch, m.config), newTrainer(t, b, m.arch, m.config)
			trainGolden(t, first, 0, 2)
			if err := second.Load(stateOf(t, first)); err != nil {
				t.Fatal(err)
			}
			trainGolden(t, second, 2, 5)
			if got, want := hashOf(t, stateOf(t, second)), hashOf(t, stateOf(t, whole)); got != want {
				t.Errorf("resumed to %s, want %s", got, want)
			}
		})
	}
}

// TestGraphsGiveTheSameBitsEverywhere does for every graph of the gradient tests
// what TestGoldenWeights does for a few.
func TestGraphsGiveTheSameBitsEverywhere(t *testing.T) {
	for name, arch := range graphCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := PlanConfig{BatchSize: 5, Shards: 2, Microbatches: 2, Seed: 3, Optimizer: Optimizer{Name: Adam}}
			want := ""
			for _, level := range cpu.Detect().Levels() {
				for _, threads := range []int{1, 3} {
					trainer := newTrainer(t, newCPU(t, threads, level), arch, config)
					trainGolden(t, trainer, 0, 3)
					got := hashOf(t, stateOf(t, trainer))
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("%v, %d threads: %s, want %s", level, threads, got, want)
					}
				}
			}
		})
	}
}

// TestGraphsPredictRowsAlike compares the outputs of rows alone and among
// others, and of a trainer with another evaluation batch.
func TestGraphsPredictRowsAlike(t *testing.T) {
	for name, m := range goldenModels() {
		t.Run(name, func(t *testing.T) {
			b := newCPU(t, 2, cpu.LevelAuto)
			m.config.EvalBatchSize = 3
			trainer := newTrainer(t, b, m.arch, m.config)
			trainGolden(t, trainer, 0, 2)
			const rows = 7
			batch := randomBatch(trainer, 9, rows)
			each := trainer.plan.Outputs()
			together := make([]float32, rows*each)
			if err := trainer.Predict(batch, together); err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				alone := make([]float32, each)
				if err := trainer.Predict(trainer.part(batch, i, 1), alone); err != nil {
					t.Fatal(err)
				}
				same := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
				if !slices.EqualFunc(alone, together[i*each:(i+1)*each], same) {
					t.Fatalf("row %d has different outputs alone and among others", i)
				}
			}
		})
	}
}

// TestMicrobatchesNeedLessMemory checks their purpose.
func TestMicrobatchesNeedLessMemory(t *testing.T) {
	var last MemoryPlan
	for _, n := range []int{1, 2, 8} {
		plan, err := NewPlan(GPT(64, 32, 2, 2, 32, 0), PlanConfig{BatchSize: 64, EvalBatchSize: 1, Microbatches: n})
		if err != nil {
			t.Fatal(err)
		}
		m := plan.Memory()
		if n > 1 && m.Activations+m.Scratch >= (last.Activations+last.Scratch)*2/3 {
			t.Errorf("%d microbatches: %+v, before: %+v", n, m, last)
		}
		last = m
	}
}

// TestPlansReuseMemory compares the region of a deep model with the memory that
// its outputs and gradients would take without sharing.
func TestPlansReuseMemory(t *testing.T) {
	for name, arch := range map[string]Architecture{
		"resnet": ResNet(tensor.Shape{32, 32, 3}, 3, 16, 10), "gpt": GPT(64, 32, 6, 2, 32, 0),
	} {
		plan, err := NewPlan(arch, PlanConfig{BatchSize: 4, EvalBatchSize: 4})
		if err != nil {
			t.Fatal(err)
		}
		alone := 0
		for _, b := range plan.train.buffers {
			alone += align(4*b.perRow + b.once)
		}
		end := 0
		for _, b := range plan.train.buffers {
			end = max(end, b.offset+align(4*b.perRow+b.once))
		}
		used := end - plan.norm.Offset - align(1)
		if used >= alone*7/10 {
			t.Errorf("%s: the region has %d elements of %d without sharing", name, used, alone)
		}
		checkNoOverlap(t, name, plan.train, 4)
		checkNoOverlap(t, name, plan.eval, 4)
		packed, err := NewPlan(arch, PlanConfig{BatchSize: 4, EvalBatchSize: 4, Precision: BF16})
		if err != nil {
			t.Fatal(err)
		}
		checkNoOverlap(t, name+" bf16", packed.train, 4)
	}
}

// checkNoOverlap fails if two buffers in use at the same time share memory.
func checkNoOverlap(t *testing.T, name string, l *layout, rows int) {
	t.Helper()
	span := func(b int) kernel.Span { return l.span(b, rows, kernel.Span{}) }
	for i, a := range l.buffers {
		for j, b := range l.buffers[:i] {
			if a.first <= b.last && b.first <= a.last && span(i).Overlaps(span(j)) {
				t.Errorf("%s: buffers %s and %s", name, fmt.Sprintf("%d %+v", i, a), fmt.Sprintf("%d %+v", j, b))
			}
		}
	}
}
