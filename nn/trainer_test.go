package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"reprise/kernel"
	"reprise/kernel/cpu"
	"reprise/tensor"
)

// newCPU returns a backend that the test closes.
func newCPU(t testing.TB, threads int, level cpu.Level) *cpu.Backend {
	t.Helper()
	b, err := cpu.NewBackend(cpu.Config{Threads: threads, Features: level})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// newTrainer returns a trainer at the initial state of seed 7.
func newTrainer(t testing.TB, b kernel.Backend, arch Architecture, config PlanConfig) *Trainer {
	t.Helper()
	plan, err := NewPlan(arch, config)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := NewTrainer(b, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Close)
	m, err := NewModel("m", arch, 7)
	if err != nil {
		t.Fatal(err)
	}
	s, err := InitialState(m, config.Optimizer)
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.Load(s); err != nil {
		t.Fatal(err)
	}
	return trainer
}

// train takes steps from..to-1 on synthetic batches, every third of them
// smaller.
func train(t testing.TB, trainer *Trainer, from, to int) []float32 {
	t.Helper()
	var losses []float32
	for s := from; s < to; s++ {
		rows := trainer.plan.config.BatchSize
		if s%3 == 2 {
			rows = rows/2 + 1
		}
		x := random(uint64(1000+s), rows*trainer.plan.Features())
		loss, err := trainer.Step(labelled(x, randomLabels(uint64(s), rows, trainer.plan.Classes())), 0.01/float32(s+1))
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss)
	}
	return losses
}

func stateOf(t testing.TB, trainer *Trainer) State {
	t.Helper()
	s, err := trainer.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sameBits fails unless both states agree bit for bit.
func sameBits(t testing.TB, what string, got, want State) {
	t.Helper()
	if got.Step != want.Step {
		t.Fatalf("%s: step %d, want %d", what, got.Step, want.Step)
	}
	for _, pair := range [][2][]tensor.Tensor{{got.Parameters, want.Parameters}, {got.Moments, want.Moments}} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%s: %d tensors, want %d", what, len(pair[0]), len(pair[1]))
		}
		for i, a := range pair[0] {
			b := pair[1][i]
			if a.Name != b.Name || !a.Shape.Equal(b.Shape) {
				t.Fatalf("%s: %s %v, want %s %v", what, a.Name, a.Shape, b.Name, b.Shape)
			}
			for k := range a.Data {
				if math.Float32bits(a.Data[k]) != math.Float32bits(b.Data[k]) {
					t.Fatalf("%s: %s[%d] = %v, want %v", what, a.Name, k, a.Data[k], b.Data[k])
				}
			}
		}
	}
}

// optimizerCases has every update rule with every option.
func optimizerCases() map[string]Optimizer {
	return map[string]Optimizer{
		"sgd":      {Name: SGD},
		"sgd d":    {Name: SGD, WeightDecay: 0.1},
		"momentum": {Name: SGD, Momentum: 0.9},
		"nesterov": {Name: SGD, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		"adam":     {Name: Adam},
		"adam d":   {Name: Adam, WeightDecay: 0.1, Beta1: 0.8},
		"adamw":    {Name: AdamW, WeightDecay: 0.1, Epsilon: 1e-6},
	}
}

// levels returns every instruction set that the machine has.
func levels(t testing.TB) []cpu.Level {
	t.Helper()
	out := cpu.Detect().Levels()
	t.Logf("instruction sets compared: %v", out)
	return out
}

// TestBackendGivesTheBitsOfTheTwin trains every layer and every optimiser on
// the literal interpreter and on kernel/cpu, for all threads and instruction
// sets.
func TestBackendGivesTheBitsOfTheTwin(t *testing.T) {
	type job struct {
		arch   Architecture
		config PlanConfig
	}
	jobs := map[string]job{}
	for name, arch := range layerCases() {
		jobs[name] = job{arch, PlanConfig{BatchSize: 5, Optimizer: Optimizer{Name: Adam}}}
		jobs[name+" bf16"] = job{arch, PlanConfig{BatchSize: 5, Optimizer: Optimizer{Name: Adam}, Precision: BF16}}
	}
	for name, o := range optimizerCases() {
		jobs[name] = job{MLP(tensor.Shape{3, 4}, []int{9}, "", 3), PlanConfig{BatchSize: 5, Shards: 3, Optimizer: o}}
	}
	jobs["cnn"] = job{CNN(tensor.Shape{8, 8, 1}, []int{3, 5}, []int{17}, kernel.GELU, 10), PlanConfig{BatchSize: 6, EvalBatchSize: 4, Shards: 4, Optimizer: Optimizer{Name: AdamW}}}
	var backends []*cpu.Backend
	for _, level := range levels(t) {
		for _, threads := range []int{1, 2, 3} {
			backends = append(backends, newCPU(t, threads, level))
		}
	}
	for name, j := range jobs {
		t.Run(name, func(t *testing.T) {
			reference := newTrainer(t, twin[float32]{}, j.arch, j.config)
			wantLoss := train(t, reference, 0, 4)
			want := stateOf(t, reference)
			x, labels := random(3, 7*reference.plan.Features()), randomLabels(4, 7, reference.plan.Classes())
			wantEval, err := reference.Evaluate(labelled(x, labels))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range backends {
				what := fmt.Sprintf("%v with %d threads", b.Level(), b.Threads())
				trainer := newTrainer(t, b, j.arch, j.config)
				if got := train(t, trainer, 0, 4); !reflect.DeepEqual(got, wantLoss) {
					t.Fatalf("%s: losses %v, want %v", what, got, wantLoss)
				}
				sameBits(t, what, stateOf(t, trainer), want)
				if got, err := trainer.Evaluate(labelled(x, labels)); err != nil || got != wantEval {
					t.Fatalf("%s: evaluation %+v (%v), want %+v", what, got, err, wantEval)
				}
			}
		})
	}
}

// TestResumedTrainingGivesTheBitsOfUninterrupted saves and loads the state
// after each step, into a trainer that has trained something else before.
func TestResumedTrainingGivesTheBitsOfUninterrupted(t *testing.T) {
	b := newCPU(t, 2, cpu.LevelAuto)
	arch := CNN(tensor.Shape{6, 6, 1}, []int{3}, nil, kernel.ReLU, 4)
	for name, o := range optimizerCases() {
		t.Run(name, func(t *testing.T) {
			config := PlanConfig{BatchSize: 7, Shards: 2, Optimizer: o}
			whole := newTrainer(t, b, arch, config)
			train(t, whole, 0, 6)
			want := stateOf(t, whole)
			for cut := 1; cut < 6; cut++ {
				first, second := newTrainer(t, b, arch, config), newTrainer(t, b, arch, config)
				train(t, first, 0, cut)
				train(t, second, 10, 12)
				if err := second.Load(stateOf(t, first)); err != nil {
					t.Fatal(err)
				}
				train(t, second, cut, 6)
				sameBits(t, fmt.Sprintf("cut after step %d", cut), stateOf(t, second), want)
			}
		})
	}
}

// TestShardsAreSeparateBatches computes the gradient of a sharded step by
// hand: each shard's rows as a whole batch scaled by 1/rows of all, added as a
// tree, including when the last shards are empty.
func TestShardsAreSeparateBatches(t *testing.T) {
	arch := MLP(tensor.Shape{6}, []int{8}, kernel.Tanh, 3)
	for _, c := range []struct{ rows, shards int }{{8, 1}, {8, 2}, {8, 4}, {7, 3}, {5, 4}, {2, 4}, {1, 3}} {
		t.Run(fmt.Sprintf("%d rows in %d", c.rows, c.shards), func(t *testing.T) {
			b := newCPU(t, 2, cpu.LevelAuto)
			config := PlanConfig{BatchSize: 8, Shards: c.shards, Optimizer: Optimizer{Name: SGD}}
			x, labels := random(5, c.rows*6), randomLabels(6, c.rows, 3)
			sharded := newTrainer(t, b, arch, config)
			if _, err := sharded.Step(labelled(x, labels), 0); err != nil {
				t.Fatal(err)
			}
			var parts [][]float32
			for s, first := 0, 0; s < c.shards; s++ {
				n := c.rows / c.shards
				if s < c.rows%c.shards {
					n++
				}
				if n > 0 {
					parts = append(parts, scaledGradient(t, b, arch, x[first*6:(first+n)*6], labels[first:first+n], c.rows))
				}
				first += n
			}
			for d := 1; d < len(parts); d *= 2 {
				for i := 0; i+d < len(parts); i += 2 * d {
					for k := range parts[i] {
						parts[i][k] += parts[i+d][k]
					}
				}
			}
			got := make([]float32, sharded.plan.block)
			if err := sharded.memory.Read(got, kernel.Span{Offset: sharded.plan.gradients, Len: len(got)}); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, parts[0]) {
				t.Error("the gradient is not the tree of the shards' gradients")
			}
		})
	}
}

// scaledGradient returns the gradient of one unsharded batch with a scale of
// 1/of.
func scaledGradient(t *testing.T, b kernel.Backend, arch Architecture, x []float32, labels []int32, of int) []float32 {
	t.Helper()
	tr := newTrainer(t, b, arch, PlanConfig{BatchSize: len(labels), Optimizer: Optimizer{Name: SGD}})
	prog := tr.plan.gradientProgram(len(labels))
	for i, instruction := range prog.Instructions {
		if loss, ok := instruction.(kernel.SoftmaxCrossEntropy); ok {
			loss.Scale = 1 / float32(of)
			prog.Instructions[i] = loss
		}
	}
	exec, err := b.Prepare(prog, tr.memory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.run(exec, kernel.Scalars{}, labelled(x, labels)); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, tr.plan.block)
	if err := tr.memory.Read(out, kernel.Span{Offset: tr.plan.gradients, Len: len(out)}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLabelsAreSmoothedInTrainingOnly(t *testing.T) {
	plan, err := NewPlan(MLP(tensor.Shape{4, 4, 1}, []int{20}, kernel.ReLU, 5), PlanConfig{BatchSize: 9, Regularization: Regularization{LabelSmoothing: 0.25}, Optimizer: Optimizer{Name: SGD}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program *kernel.Program
		want    float32
	}{{plan.gradientProgram(9), 0.25}, {plan.evaluationProgram(9), 0}} {
		losses := 0
		for _, instruction := range c.program.Instructions {
			if loss, ok := instruction.(kernel.SoftmaxCrossEntropy); ok {
				losses++
				if loss.Smoothing != c.want {
					t.Errorf("%s: smoothing %g, want %g", c.program.Name, loss.Smoothing, c.want)
				}
			}
		}
		if losses != 1 {
			t.Errorf("%s: %d losses, want 1", c.program.Name, losses)
		}
	}
}

// TestTrainedParametersArePinned pins the bits of training itself: they change
// only with the numerics contract, after which no old run verifies any more.
func TestTrainedParametersArePinned(t *testing.T) {
	for name, c := range map[string]struct {
		arch   Architecture
		config PlanConfig
		want   string
	}{
		"mlp": {MLP(tensor.Shape{4, 4, 1}, []int{20, 9}, kernel.ReLU, 5), PlanConfig{BatchSize: 9, Optimizer: Optimizer{Name: Adam}},
			"2983fb49799488b48ac2aa01d5b731d0b8bbd3ea0b5a27dc23ab7ea691e3c53e"},
		"cnn": {CNN(tensor.Shape{9, 8, 2}, []int{3, 5}, []int{7}, kernel.GELU, 4), PlanConfig{BatchSize: 8, Shards: 3, Optimizer: Optimizer{Name: SGD, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01}},
			"4b17d9caf201428579bc1c0a1e123234d42e9337531efbd93d8ae9da467be528"},
	} {
		t.Run(name, func(t *testing.T) {
			trainer := newTrainer(t, newCPU(t, 2, cpu.LevelAuto), c.arch, c.config)
			train(t, trainer, 0, 6)
			h := sha256.New()
			for _, p := range stateOf(t, trainer).Parameters {
				if err := binary.Write(h, binary.LittleEndian, p.Data); err != nil {
					t.Fatal(err)
				}
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != c.want {
				t.Errorf("trained parameters have the hash %s, want %s", got, c.want)
			}
		})
	}
}

func TestEvaluationDoesNotDependOnTheBatch(t *testing.T) {
	b := newCPU(t, 2, cpu.LevelAuto)
	arch := CNN(tensor.Shape{6, 6, 2}, []int{4}, []int{5}, kernel.SiLU, 3)
	const rows = 13
	x, labels := random(8, rows*72), randomLabels(9, rows, 3)
	var want EvalResult
	var wantLogits []float32
	for _, size := range []int{1, 2, 5, 13, 64} {
		trainer := newTrainer(t, b, arch, PlanConfig{BatchSize: 4, EvalBatchSize: size, Optimizer: Optimizer{Name: SGD}})
		got, err := trainer.Evaluate(labelled(x, labels))
		if err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, rows*3)
		if err := trainer.Predict(Batch{Rows: rows, Inputs: x}, logits); err != nil {
			t.Fatal(err)
		}
		if size == 1 {
			want, wantLogits = got, logits
			continue
		}
		if got != want || !reflect.DeepEqual(logits, wantLogits) {
			t.Errorf("batches of %d give %+v, single rows give %+v", size, got, want)
		}
	}
	correct := 0
	for i, l := range labels {
		best := 0
		for k, v := range wantLogits[i*3 : i*3+3] {
			if v > wantLogits[i*3+best] {
				best = k
			}
		}
		if best == int(l) {
			correct++
		}
	}
	if want.Correct != correct || want.Losses != rows || !(want.LossSum > 0) {
		t.Errorf("evaluation %+v, want %d of %d correct", want, correct, rows)
	}
}

// TestLossesAreSummedInFloat64 adds the kernels' losses by hand.
func TestLossesAreSummedInFloat64(t *testing.T) {
	const rows = 301
	trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), MLP(tensor.Shape{5}, []int{8}, "", 4), PlanConfig{BatchSize: rows, EvalBatchSize: 64, Optimizer: Optimizer{Name: SGD}})
	x, labels := random(1, rows*5), randomLabels(2, rows, 4)
	loss, err := trainer.Step(labelled(x, labels), 0)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, l := range trainer.losses[:rows] {
		sum += float64(l)
	}
	if want := float32(sum / rows); loss != want {
		t.Errorf("loss %v, want %v", loss, want)
	}
	if r, err := trainer.Evaluate(labelled(x, labels)); err != nil || r.LossSum != sum {
		t.Errorf("evaluation sums to %v (%v), the step's losses to %v", r.LossSum, err, sum)
	}
}

// TestMemoryThatIsReadAgainIsNotSharedAndGapsStayZero inspects the layout
// itself, for mistakes that no result of today's kernels would show.
func TestMemoryThatIsReadAgainIsNotSharedAndGapsStayZero(t *testing.T) {
	arch := Architecture{Input: tensor.Shape{6}, Layers: Layers{
		Activation{Kind: kernel.ReLU}, Linear{Units: 5}, Activation{Kind: kernel.Tanh}, Activation{Kind: kernel.ReLU}, Linear{Units: 3}, Activation{Kind: kernel.ReLU}}}
	trainer := newTrainer(t, twin[float32]{}, arch, PlanConfig{BatchSize: 3, Shards: 2, Optimizer: Optimizer{Name: Adam}})
	p := trainer.plan
	for i, shared := range []bool{false, false, false, false, false, true} {
		if got := p.train.value[i] == p.train.value[i+1]; got != shared {
			t.Errorf("layer %d works in place: %v, want %v", i, got, shared)
		}
	}
	train(t, trainer, 0, 2)
	gap := trainer.memory.(*twinMemory[float32]).v
	for block := 0; block < p.input.offset; block += p.block {
		for i, spec := range p.graph.specs {
			s := p.params[i]
			for k := s.Offset + s.Len; k < s.Offset+align(s.Len); k++ {
				if gap[block+k] != 0 {
					t.Fatalf("element %d after %s in the block at %d is %v", k, spec.Name, block, gap[block+k])
				}
			}
		}
	}
}

// TestEvaluationDoesNotAffectTraining puts evaluations between steps: they
// share memory with the steps' activations.
func TestEvaluationDoesNotAffectTraining(t *testing.T) {
	b := newCPU(t, 1, cpu.LevelAuto)
	arch := CNN(tensor.Shape{6, 6, 1}, []int{3}, nil, kernel.ReLU, 4)
	config := PlanConfig{BatchSize: 4, EvalBatchSize: 32, Optimizer: Optimizer{Name: Adam}}
	plain, disturbed := newTrainer(t, b, arch, config), newTrainer(t, b, arch, config)
	train(t, plain, 0, 5)
	for s := range 5 {
		if _, err := disturbed.Evaluate(labelled(random(77, 32*36), randomLabels(1, 32, 4))); err != nil {
			t.Fatal(err)
		}
		if err := disturbed.Predict(Batch{Rows: 3, Inputs: random(78, 3*36)}, make([]float32, 12)); err != nil {
			t.Fatal(err)
		}
		train(t, disturbed, s, s+1)
	}
	sameBits(t, "with evaluations", stateOf(t, disturbed), stateOf(t, plain))
}

func TestTrainingLearns(t *testing.T) {
	x := []float32{0, 0, 0, 1, 1, 0, 1, 1}
	labels := []int32{0, 1, 1, 0}
	for name, c := range map[string]struct {
		o    Optimizer
		rate float32
	}{
		"sgd":      {Optimizer{Name: SGD}, 0.5},
		"nesterov": {Optimizer{Name: SGD, Momentum: 0.9, Nesterov: true}, 0.1},
		"adam":     {Optimizer{Name: Adam}, 0.02},
		"adamw":    {Optimizer{Name: AdamW, WeightDecay: 0.001}, 0.02},
	} {
		t.Run(name, func(t *testing.T) {
			trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), MLP(tensor.Shape{2}, []int{16}, kernel.Tanh, 2), PlanConfig{BatchSize: 4, Optimizer: c.o})
			var loss float32
			for range 500 {
				var err error
				if loss, err = trainer.Step(labelled(x, labels), c.rate); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := trainer.Evaluate(labelled(x, labels)); err != nil || r.Correct != 4 || loss > 0.1 {
				t.Errorf("XOR after 500 steps: loss %v, %d of 4 correct (%v)", loss, r.Correct, err)
			}
		})
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Log("allocations are counted only without the race detector; the steps still run")
	}
	trainer := newTrainer(t, newCPU(t, 2, cpu.LevelAuto), CNN(tensor.Shape{8, 8, 1}, []int{4}, []int{16}, kernel.ReLU, 10),
		PlanConfig{BatchSize: 16, EvalBatchSize: 32, Shards: 2, Optimizer: Optimizer{Name: Adam}})
	x, labels, logits := random(1, 40*64), randomLabels(2, 40, 10), make([]float32, 400)
	allocs := testing.AllocsPerRun(50, func() {
		for _, rows := range []int{16, 5} {
			if _, err := trainer.Step(labelled(x[:rows*64], labels[:rows]), 0.001); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := trainer.Evaluate(labelled(x, labels)); err != nil {
			t.Fatal(err)
		}
		if err := trainer.Predict(Batch{Rows: 40, Inputs: x}, logits); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 && !raceEnabled {
		t.Errorf("%v allocations per round of steps, evaluation and prediction", allocs)
	}
}

func TestNumericalErrorNamesTheLayerAndWithholdsTheState(t *testing.T) {
	arch := CNN(tensor.Shape{4, 4, 1}, []int{2}, []int{3}, kernel.ReLU, 2)
	// Layers: 0 conv, 1 relu, 2 pool, 3 flatten, 4 linear, 5 relu, 6 linear.
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		spoil  func(s State, x []float32)
		layer  int
		what   string
		shards int
	}{
		{"input", func(_ State, x []float32) { x[16*2+3] = nan }, -1, "input row 2 is NaN at element 3", 1},
		{"conv output", func(s State, _ []float32) { fill(s.Parameters[0].Data, 3e38) }, 0, "output of layers.0 (conv2d) is", 2},
		{"linear output", func(s State, _ []float32) { fill(s.Parameters[2].Data, 3e38) }, 4, "output of layers.4 (linear) is", 1},
		{"loss", func(s State, _ []float32) { s.Parameters[5].Data[0], s.Parameters[5].Data[1] = 3e38, -3e38 }, 6, "loss is +Inf", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), arch, PlanConfig{BatchSize: 4, Shards: c.shards, Optimizer: Optimizer{Name: SGD}})
			good := stateOf(t, trainer)
			bad := stateOf(t, trainer)
			x, labels := make([]float32, 64), []int32{0, 1, 1, 0}
			fill(x, 5)
			c.spoil(bad, x)
			if err := trainer.Load(bad); err != nil {
				t.Fatal(err)
			}
			_, err := trainer.Evaluate(labelled(x, labels))
			checkNumerical(t, err, 0, c.layer, c.what)
			if _, err := trainer.State(); err != nil {
				t.Errorf("a failed evaluation withholds the state: %v", err)
			}
			_, err = trainer.Step(labelled(x, labels), 0.1)
			checkNumerical(t, err, 1, c.layer, c.what)
			for name, call := range map[string]func() error{
				"State":    func() error { _, err := trainer.State(); return err },
				"Step":     func() error { _, err := trainer.Step(labelled(x, labels), 0.1); return err },
				"Evaluate": func() error { _, err := trainer.Evaluate(labelled(x, labels)); return err },
				"Predict":  func() error { return trainer.Predict(Batch{Rows: 4, Inputs: x}, make([]float32, 8)) },
			} {
				if again := call(); !errors.Is(again, err) {
					t.Errorf("%s after the failed step gives %v, want its error", name, again)
				}
			}
			if err := trainer.Load(good); err != nil {
				t.Fatal(err)
			}
			fill(x, 1)
			if _, err := trainer.Step(labelled(x, labels), 0.1); err != nil {
				t.Errorf("a good state does not make the trainer usable again: %v", err)
			}
		})
	}
	t.Run("update", func(t *testing.T) {
		trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), arch, PlanConfig{BatchSize: 4, Optimizer: Optimizer{Name: SGD, WeightDecay: 1e30}})
		x := make([]float32, 64)
		fill(x, 1)
		if _, err := trainer.Step(labelled(x, []int32{0, 1, 1, 0}), 3e38); err != nil {
			t.Fatal(err)
		}
		_, err := trainer.State()
		var e *NumericalError
		if !errors.As(err, &e) || e.Step != 1 || e.Layer != 0 || !strings.Contains(e.What, "layers.0.weight is") {
			t.Errorf("state with infinite weights: %v", err)
		}
	})
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

func checkNumerical(t *testing.T, err error, step uint64, layer int, what string) {
	t.Helper()
	var e *NumericalError
	if !errors.As(err, &e) || e.Step != step || e.Layer != layer || !strings.Contains(e.What, what) {
		t.Errorf("got %v (%+v), want step %d, layer %d, %q", err, e, step, layer, what)
	}
}

func TestTrainerRefusesUnusableInput(t *testing.T) {
	arch := MLP(tensor.Shape{3}, nil, "", 2)
	trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), arch, PlanConfig{BatchSize: 4, Optimizer: Optimizer{Name: Adam}})
	before := stateOf(t, trainer)
	x := make([]float32, 15)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		call func() error
		want string
	}{
		{"label too large", func() error { _, err := trainer.Step(labelled(x[:6], []int32{0, 2}), 1); return err }, "label of row 1 is 2, want a class in [0, 2)"},
		{"label negative", func() error { _, err := trainer.Evaluate(labelled(x[:6], []int32{-1, 0})); return err }, "label of row 0 is -1"},
		{"no rows", func() error { _, err := trainer.Step(labelled(nil, nil), 1); return err }, "rows: 0 must be at least 1"},
		{"too many rows", func() error { _, err := trainer.Step(labelled(x, make([]int32, 5)), 1); return err }, "rows: 5 must be at most the batch size of 4"},
		{"x too short", func() error { _, err := trainer.Step(labelled(x[:5], []int32{0, 1}), 1); return err }, "inputs: 5 values must be 2 rows of 3"},
		{"x too long", func() error { _, err := trainer.Evaluate(labelled(x[:7], []int32{0, 1})); return err }, "inputs: 7 values must be 2 rows of 3"},
		{"logits", func() error { return trainer.Predict(Batch{Rows: 2, Inputs: x[:6]}, make([]float32, 3)) }, "outputs: 3 values must be 2 rows of 2"},
		{"rate NaN", func() error { _, err := trainer.Step(labelled(x[:3], []int32{0}), nan); return err }, "learning_rate: NaN"},
		{"rate negative", func() error { _, err := trainer.Step(labelled(x[:3], []int32{0}), -1); return err }, "learning_rate: -1"},
		{"rate infinite", func() error { _, err := trainer.Step(labelled(x[:3], []int32{0}), float32(math.Inf(1))); return err }, "learning_rate: +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			sameBits(t, "after the refusal", stateOf(t, trainer), before)
		})
	}
}

func TestLoadRefusesForeignStates(t *testing.T) {
	arch := MLP(tensor.Shape{3}, []int{4}, "", 2)
	trainer := newTrainer(t, newCPU(t, 1, cpu.LevelAuto), arch, PlanConfig{BatchSize: 4, Optimizer: Optimizer{Name: Adam}})
	for name, c := range map[string]struct {
		spoil func(*State)
		want  string
	}{
		"missing parameter": {func(s *State) { s.Parameters = s.Parameters[:3] }, "layers.2.bias: missing"},
		"extra parameter":   {func(s *State) { s.Parameters = append(s.Parameters, s.Moments[0]) }, "one too many"},
		"order":             {func(s *State) { p := s.Parameters; p[0], p[1] = p[1], p[0] }, `want "layers.0.weight"`},
		"shape":             {func(s *State) { s.Parameters[0].Shape = tensor.Shape{3, 4} }, "of shape [3 4], want [4 3]"},
		"length":            {func(s *State) { s.Parameters[0].Data = s.Parameters[0].Data[1:] }, "11 values, want 12"},
		"NaN":               {func(s *State) { s.Parameters[1].Data[2] = float32(math.NaN()) }, "layers.0.bias: NaN at element 2"},
		"infinite moment":   {func(s *State) { s.Moments[1].Data[0] = float32(math.Inf(-1)) }, "layers.0.weight.v: -Inf at element 0"},
		"no moments":        {func(s *State) { s.Moments = nil }, "layers.0.weight.m: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			before := stateOf(t, trainer)
			s := stateOf(t, trainer)
			c.spoil(&s)
			err := trainer.Load(s)
			var e *ParameterError
			if !errors.As(err, &e) || !errors.Is(err, ErrInvalidModel) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			sameBits(t, "after the refusal", stateOf(t, trainer), before)
		})
	}
}

// faulty makes the n-th call of Run from now on fail; 0 means none.
type faulty struct {
	kernel.Backend
	n *int
}

type faultyExecutable struct {
	kernel.Executable
	n *int
}

var errFault = errors.New("device gone")

func (f faulty) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	e, err := f.Backend.Prepare(p, m)
	return faultyExecutable{e, f.n}, err
}

func (f faultyExecutable) Run(s kernel.Scalars) error {
	if *f.n--; *f.n == 0 {
		return errFault
	}
	return f.Executable.Run(s)
}

func TestABackendFailureNeverLeavesHalfAnUpdate(t *testing.T) {
	var n int
	arch := MLP(tensor.Shape{3}, nil, "", 2)
	trainer := newTrainer(t, faulty{newCPU(t, 1, cpu.LevelAuto), &n}, arch, PlanConfig{BatchSize: 2, Optimizer: Optimizer{Name: Adam}})
	x, labels := random(1, 6), []int32{0, 1}
	before := stateOf(t, trainer)
	n = 1 // the gradient
	if _, err := trainer.Step(labelled(x, labels), 0.1); !errors.Is(err, errFault) {
		t.Fatalf("got %v", err)
	}
	sameBits(t, "after a failed gradient", stateOf(t, trainer), before)
	n = 2 // the update
	if _, err := trainer.Step(labelled(x, labels), 0.1); !errors.Is(err, errFault) {
		t.Fatalf("got %v", err)
	}
	if _, err := trainer.State(); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("state after a failed update: %v, want ErrNotLoaded", err)
	}
	if err := trainer.Load(before); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "after Load", stateOf(t, trainer), before)
}

func TestTrainerNeedsAStateAndIsClosedOnce(t *testing.T) {
	plan, err := NewPlan(MLP(tensor.Shape{3}, nil, "", 2), PlanConfig{BatchSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := NewTrainer(newCPU(t, 1, cpu.LevelAuto), plan)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"Step":     func() error { _, err := trainer.Step(labelled(make([]float32, 3), []int32{0}), 1); return err },
		"Evaluate": func() error { _, err := trainer.Evaluate(labelled(make([]float32, 3), []int32{0})); return err },
		"Predict":  func() error { return trainer.Predict(Batch{Rows: 1, Inputs: make([]float32, 3)}, make([]float32, 2)) },
		"State":    func() error { _, err := trainer.State(); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrNotLoaded) {
			t.Errorf("%s before Load: %v", name, err)
		}
	}
	trainer.Close()
	trainer.Close()
	calls["Load"] = func() error { return trainer.Load(State{}) }
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// labelled returns a batch with a label for each row.
func labelled(x []float32, labels []int32) Batch {
	return Batch{Rows: len(labels), Inputs: x, Labels: labels}
}
