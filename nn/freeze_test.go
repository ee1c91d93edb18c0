package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/tensor"
)

// freezings returns ways to freeze a part of the architecture: what comes first, what comes
// last, and every other parameter.
func freezings(t *testing.T, arch Architecture) map[string]Freeze {
	t.Helper()
	specs, err := arch.Parameters()
	if err != nil {
		t.Fatal(err)
	}
	var trained []string
	for _, s := range specs {
		if !s.Statistic {
			trained = append(trained, s.Name)
		}
	}
	var other []string
	for i := 1; i < len(trained); i += 2 {
		other = append(other, trained[i])
	}
	out := map[string]Freeze{}
	brief := []string{"all but the last", "last", "other half"}
	for name, patterns := range map[string][]string{
		"all but the last": trained[:len(trained)-1], "first": trained[:1], "last": trained[1:], "second": trained[1:min(2, len(trained))],
		"half": trained[:len(trained)/2], "other half": trained[len(trained)-len(trained)/2:], "every other": other,
	} {
		if len(patterns) > 0 && len(patterns) < len(trained) && (!testing.Short() || slices.Contains(brief, name)) {
			out[name] = NewFreeze(patterns)
		}
	}
	return out
}

// The gradients of what is trained are right whatever is frozen before, after and beside it.
func TestGradientsBesideFrozenParametersMatchCentralDifferences(t *testing.T) {
	for _, list := range []map[string]Architecture{layerCases(), graphCases()} {
		for name, arch := range list {
			for how, freeze := range freezings(t, arch) {
				t.Run(name+"/"+how, func(t *testing.T) {
					t.Parallel()
					checkGradients(t, arch, PlanConfig{Freeze: freeze})
					if !testing.Short() {
						checkGradients(t, arch, PlanConfig{Freeze: freeze, Shards: 2, Microbatches: 2, Precision: BF16})
					}
				})
			}
		}
	}
}

// Without a batch norm that is frozen, freezing changes no bit of the step that the others
// take.
func TestFreezingChangesNoBitOfTheOthers(t *testing.T) {
	for _, list := range []map[string]Architecture{layerCases(), graphCases()} {
		for name, arch := range list {
			if _, tokens := arch.tokenInput(); tokens { // which train does not make
				continue
			}
			for how, freeze := range freezings(t, arch) {
				config := PlanConfig{BatchSize: 5, Shards: 2, Microbatches: 2, Optimizer: Optimizer{Name: AdamW, WeightDecay: 0.1}, Seed: 4}
				free := newTrainer(t, twin[float32]{}, arch, config)
				config.Freeze = freeze
				trainer := newTrainer(t, twin[float32]{}, arch, config)
				if slices.ContainsFunc(trainer.plan.graph.specs, func(s ParameterSpec) bool { return s.Statistic && s.frozen }) {
					continue
				}
				start := stateOf(t, trainer)
				train(t, free, 0, 1)
				train(t, trainer, 0, 1)
				got, want := stateOf(t, trainer), stateOf(t, free)
				for i, spec := range trainer.plan.graph.specs {
					wanted := want.Parameters[i].Data
					if spec.frozen {
						wanted = start.Parameters[i].Data
					}
					if !slices.Equal(got.Parameters[i].Data, wanted) {
						t.Errorf("%s, %s frozen: %s has other bits", name, how, spec.Name)
					}
				}
			}
		}
	}
}

// frozenCase has a frozen convolution and two frozen batch norms, one of them after a
// layer that is trained, and a batch norm that is not.
func frozenCase() (Architecture, PlanConfig) {
	arch := Architecture{Input: tensor.Shape{6, 5, 2}, Layers: Layers{
		Conv2D{Channels: 3, Kernel: Square(3)}, BatchNorm{}, Conv2D{Channels: 4, Kernel: Square(2)}, BatchNorm{}, Dropout{Rate: 0.25}, Flatten{},
		Linear{Units: 9}, BatchNorm{}, Linear{Units: 3},
	}}
	return arch, PlanConfig{
		BatchSize: 6, Shards: 2, Microbatches: 2, Seed: 5,
		Freeze: NewFreeze([]string{"layers.[01].*", "layers.3.*", "layers.8.weight"}),
	}
}

// What is frozen keeps its bits, and its moments stay zero, under every optimizer, and what
// is trained has the same bits on every instruction set and number of threads, also when
// it is resumed.
func TestFrozenParametersStay(t *testing.T) {
	arch, config := frozenCase()
	for name, o := range optimizerCases() {
		t.Run(name, func(t *testing.T) {
			config := config
			config.Optimizer = o
			reference := newTrainer(t, twin[float32]{}, arch, config)
			start := stateOf(t, reference)
			for i, p := range start.Parameters { // as they come from another run
				if reference.plan.graph.specs[i].Statistic {
					for k := range p.Data {
						p.Data[k] = 0.5 + 0.25*float32(k)
					}
				}
			}
			load := func(trainer *Trainer, s State) {
				t.Helper()
				if err := trainer.Load(s); err != nil {
					t.Fatal(err)
				}
			}
			load(reference, start)
			train(t, reference, 0, 4)
			want := stateOf(t, reference)
			frozen := map[string]bool{}
			for i, spec := range reference.plan.graph.specs {
				frozen[spec.Name] = strings.HasPrefix(spec.Name, "layers.0.") || strings.HasPrefix(spec.Name, "layers.1.") ||
					strings.HasPrefix(spec.Name, "layers.3.") || spec.Name == "layers.8.weight"
				if slices.Equal(want.Parameters[i].Data, start.Parameters[i].Data) != frozen[spec.Name] {
					t.Errorf("%s: frozen is %v, and its bits say otherwise", spec.Name, frozen[spec.Name])
				}
			}
			for _, m := range want.Moments {
				zero := !slices.ContainsFunc(m.Data, func(v float32) bool { return v != 0 })
				if of := m.Name[:strings.LastIndexByte(m.Name, '.')]; zero != frozen[of] {
					t.Errorf("%s: frozen is %v, and its moments say otherwise", m.Name, frozen[of])
				}
			}
			for _, level := range levels(t) {
				for _, threads := range []int{1, 3} {
					other := newTrainer(t, newCPU(t, threads, level), arch, config)
					load(other, start)
					train(t, other, 0, 2)
					middle := stateOf(t, other)
					other = newTrainer(t, newCPU(t, threads, level), arch, config)
					load(other, middle)
					train(t, other, 2, 4)
					sameBits(t, fmt.Sprintf("%v with %d threads", level, threads), stateOf(t, other), want)
				}
			}
		})
	}
}

// The norm that is clipped is that of what is trained.
func TestFrozenGradientsDoNotCountInTheNorm(t *testing.T) {
	arch := Architecture{Input: tensor.Shape{4}, Layers: Layers{Linear{Units: 5}, Linear{Units: 3}}}
	b := newCPU(t, 1, levels(t)[0])
	after := func(freeze []string, clip float32) State {
		trainer := newTrainer(t, b, arch, PlanConfig{BatchSize: 4, Optimizer: Optimizer{Name: SGD}, Seed: 3,
			Freeze: NewFreeze(freeze), Regularization: Regularization{ClipNorm: clip}})
		train(t, trainer, 0, 1)
		return stateOf(t, trainer)
	}
	model, err := NewModel("m", arch, 7)
	if err != nil {
		t.Fatal(err)
	}
	norm := func(s State) float32 { // of the gradient, as the learning rate is 0.01
		sum := 0.0
		for i, p := range s.Parameters {
			for k, v := range p.Data {
				d := float64(model.Parameters[i].Data[k]-v) / 0.01
				sum += d * d
			}
		}
		return float32(math.Sqrt(sum))
	}
	last := []string{"layers.1.*"}
	bound := (norm(after(last, 0)) + norm(after(nil, 0))) / 2
	sameBits(t, "a norm of what is trained", after(last, bound), after(last, 0))
	if slices.Equal(after(nil, bound).Parameters[0].Data, after(nil, 0).Parameters[0].Data) {
		t.Error("the bound clips nothing: the test proves nothing")
	}
}

// What lies below the first layer that is trained has no backward pass.
func TestNothingIsComputedBelowTheFirstTrainedLayer(t *testing.T) {
	arch, config := frozenCase()
	count := func(freeze Freeze) int {
		config := config
		config.Freeze = freeze
		plan, err := NewPlan(arch, config)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, b := range plan.train.back {
			if b.run {
				n++
			}
		}
		return n
	}
	if all, some, head := count(""), count(config.Freeze), count(NewFreeze([]string{"layers.[0-7].*"})); all != 9 || some != 7 || head != 1 {
		t.Errorf("%d, %d and %d layers have a backward pass, want 9, 7 and 1", all, some, head)
	}
}

func TestFreezeRefusesWhatFreezesNothingOrAll(t *testing.T) {
	arch, _ := frozenCase()
	for _, c := range []struct {
		patterns []string
		fields   []string
		text     string
	}{
		{[]string{"conv1.*"}, []string{"freeze[0]"}, "the parameters are layers.0.weight, layers.0.bias, layers.1.weight, layers.1.bias, layers.2.weight, layers.2.bias, layers.3.weight, layers.3.bias, layers.6.weight, layers.6.bias, layers.7.weight, layers.7.bias, 2 more"},
		{[]string{"layers.0.*", "layers.[", "encoder.*"}, []string{"freeze[1]", "freeze[2]"}, "is not a pattern"},
		{[]string{"layers.1.running_*"}, []string{"freeze[0]"}, "matches no trained parameter"},
		{[]string{""}, []string{"freeze[0]"}, "matches no trained parameter"},
		{[]string{"*"}, []string{"freeze"}, "freezes every parameter"},
		{[]string{"*.weight", "*.bias"}, []string{"freeze"}, "freezes every parameter"},
	} {
		_, err := arch.Frozen(NewFreeze(c.patterns))
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want %q", c.patterns, err, c.text)
			continue
		}
		var fields []string
		for _, part := range fault.Parts(err) {
			var field *fault.FieldError
			if errors.As(part, &field) {
				fields = append(fields, field.Field)
			}
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%q: errors about %v, want %v", c.patterns, fields, c.fields)
		}
		if _, again := NewPlan(arch, PlanConfig{BatchSize: 2, Freeze: NewFreeze(c.patterns)}); again == nil || again.Error() != err.Error() {
			t.Errorf("%q: a plan says %v", c.patterns, again)
		}
	}
}
