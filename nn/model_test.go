package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/kernel"
	"reprise/tensor"
)

func testModel(t *testing.T) Model {
	t.Helper()
	m, err := NewModel("m", CNN(tensor.Shape{8, 8, 1}, []int{4}, []int{6}, "", 3), 42)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestInitialParametersAreUniformWithinTheirBound checks range, mean and
// variance of a large layer for each gain.
func TestInitialParametersAreUniformWithinTheirBound(t *testing.T) {
	for kind, gain := range map[kernel.ActivationKind]float64{
		"": 1, kernel.ReLU: math.Sqrt2, kernel.GELU: math.Sqrt2, kernel.SiLU: math.Sqrt2, kernel.Tanh: 5.0 / 3, kernel.Sigmoid: 1,
	} {
		arch := Architecture{Input: tensor.Shape{300}, Layers: Layers{Linear{Units: 200}}}
		if kind != "" {
			arch.Layers = append(arch.Layers, Activation{Kind: kind})
		}
		m, err := NewModel("m", arch, 3)
		if err != nil {
			t.Fatal(err)
		}
		bound := gain * math.Sqrt(3.0/300)
		var sum, squares, most float64
		for _, w := range m.Parameters[0].Data {
			sum += float64(w)
			squares += float64(w) * float64(w)
			most = max(most, math.Abs(float64(w)))
		}
		n := float64(len(m.Parameters[0].Data))
		if mean, variance := sum/n, squares/n; math.Abs(mean) > 0.01*bound || math.Abs(variance/(bound*bound/3)-1) > 0.02 ||
			most > bound*(1+1e-6) || most < 0.999*bound {
			t.Errorf("%q: mean %v, variance %v, largest %v for a bound of %v", kind, mean, variance, most, bound)
		}
		for _, b := range m.Parameters[1].Data {
			if b != 0 {
				t.Errorf("%q: a bias starts at %v", kind, b)
			}
		}
	}
}

// TestInitialParametersArePinned pins the bits of version 1: changing them
// makes every old run unverifiable and needs a new Version.
func TestInitialParametersArePinned(t *testing.T) {
	h := sha256.New()
	for _, p := range testModel(t).Parameters {
		if err := binary.Write(h, binary.LittleEndian, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	const want = "111dd8f707de08de052865ac1b335af13f281189920524bf868f1b1c470361d6"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("initial parameters have the hash %s, want %s", got, want)
	}
}

func TestSeedsGiveDifferentModels(t *testing.T) {
	a := testModel(t)
	b, err := NewModel("m", a.Architecture, 43)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i, v := range a.Parameters[0].Data {
		if v == b.Parameters[0].Data[i] {
			same++
		}
	}
	if same > 1 {
		t.Errorf("%d of %d weights agree between two seeds", same, len(a.Parameters[0].Data))
	}
}

func TestModelValidate(t *testing.T) {
	if err := testModel(t).Validate(); err != nil {
		t.Fatalf("a new model is not valid: %v", err)
	}
	for name, c := range map[string]struct {
		spoil func(*Model)
		want  string
	}{
		"id":           {func(m *Model) { m.ID = "" }, `model id: ""`},
		"version":      {func(m *Model) { m.Version = 9 }, "model version: 9 must be 1"},
		"architecture": {func(m *Model) { m.Architecture.Layers = m.Architecture.Layers[4:] }, "layer 0 (linear): input: [8 8 1]"},
		"missing":      {func(m *Model) { m.Parameters = m.Parameters[:5] }, "layers.6.bias: missing, want [3]"},
		"extra":        {func(m *Model) { m.Parameters = append(m.Parameters, m.Parameters[0]) }, "one too many"},
		"name":         {func(m *Model) { m.Parameters[2].Name = "w" }, `"w": in place 2`},
		"shape":        {func(m *Model) { m.Parameters[0].Shape = tensor.Shape{4, 9} }, "layers.0.weight: of shape [4 9], want [4 3 3 1]"},
		"length":       {func(m *Model) { m.Parameters[0].Data = nil }, "layers.0.weight: 0 values, want 36"},
		"NaN":          {func(m *Model) { m.Parameters[3].Data[1] = float32(math.NaN()) }, "layers.4.bias: NaN at element 1"},
		"infinite":     {func(m *Model) { m.Parameters[4].Data[7] = float32(math.Inf(1)) }, "layers.6.weight: +Inf at element 7"},
	} {
		t.Run(name, func(t *testing.T) {
			m := testModel(t)
			c.spoil(&m)
			if err := m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := InitialState(m, Optimizer{}); err == nil {
				t.Error("an invalid model has an initial state")
			}
		})
	}
}

func TestInitialStateIsACopy(t *testing.T) {
	m := testModel(t)
	s, err := InitialState(m, Optimizer{Name: SGD, Momentum: 0.9})
	if err != nil {
		t.Fatal(err)
	}
	s.Parameters[0].Data[0]++
	s.Parameters[0].Shape[0]++
	if err := m.Validate(); err != nil || m.Parameters[0].Data[0] == s.Parameters[0].Data[0] {
		t.Errorf("writing to the state changed the model (%v)", err)
	}
	if len(s.Moments) != len(m.Parameters) || s.Moments[1].Name != "layers.0.bias.velocity" || s.Step != 0 {
		t.Errorf("moments %v at step %d", s.Moments, s.Step)
	}
}

func TestOptimizerValidate(t *testing.T) {
	nan := float32(math.NaN())
	for _, o := range optimizerCases() {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		text, err := json.Marshal(o)
		var back Optimizer
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != o {
			t.Errorf("%+v became %s (%v)", o, text, err)
		}
	}
	if got, want := (Optimizer{}).WithDefaults(), (Optimizer{Name: Adam, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}); got != want {
		t.Errorf("defaults are %+v, want %+v", got, want)
	}
	for want, o := range map[string]Optimizer{
		`optimizer: "adamax" must be sgd, adam or adamw`:             {Name: "adamax"},
		"optimizer.momentum: 1 must be at least 0 and less than 1":   {Name: SGD, Momentum: 1},
		"optimizer.momentum: NaN":                                    {Name: SGD, Momentum: nan},
		"optimizer.momentum: 0.9 has no effect with adam":            {Name: Adam, Momentum: 0.9},
		"optimizer.nesterov: true has no effect with adamw":          {Name: AdamW, Nesterov: true},
		"optimizer.nesterov: true must be false while momentum is 0": {Name: SGD, Nesterov: true},
		"optimizer.beta1: 0.5 has no effect with sgd":                {Name: SGD, Beta1: 0.5},
		"optimizer.beta1: 1 must be":                                 {Name: Adam, Beta1: 1},
		"optimizer.beta2: -0.1 must be":                              {Name: Adam, Beta2: -0.1},
		"optimizer.epsilon: -1 must be a positive number":            {Name: Adam, Epsilon: -1},
		"optimizer.epsilon: +Inf":                                    {Name: Adam, Epsilon: float32(math.Inf(1))},
		"optimizer.weight_decay: -1 must be at least 0":              {Name: AdamW, WeightDecay: -1},
		"optimizer.weight_decay: NaN":                                {Name: SGD, WeightDecay: nan},
	} {
		var e *fault.FieldError
		if err := o.Validate(); !errors.As(err, &e) || !strings.Contains(err.Error(), want) || e.Fix == "" {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
}

func TestOptimizersBecomeTheirInstructions(t *testing.T) {
	weight, grad := kernel.Span{Len: 8}, kernel.Span{Offset: 8, Len: 8}
	moments := []kernel.Span{{Offset: 16, Len: 8}, {Offset: 24, Len: 8}}
	for want, o := range map[kernel.Instruction]Optimizer{
		kernel.SGD{Weight: weight, Grad: grad, WeightDecay: 0.5}:                                                                        {Name: SGD, WeightDecay: 0.5},
		kernel.SGD{Weight: weight, Grad: grad, Velocity: moments[0], Momentum: 0.25, Nesterov: true}:                                    {Name: SGD, Momentum: 0.25, Nesterov: true},
		kernel.Adam{Weight: weight, Grad: grad, M: moments[0], V: moments[1], Beta1: 0.9, Beta2: 0.75, Epsilon: 1e-8, WeightDecay: 0.5}: {Name: Adam, Beta2: 0.75, WeightDecay: 0.5},
		kernel.Adam{Weight: weight, Grad: grad, M: moments[0], V: moments[1], Beta1: 0.5, Beta2: 0.999, Epsilon: 1, Decoupled: true}:    {Name: AdamW, Beta1: 0.5, Epsilon: 1},
	} {
		if got := o.WithDefaults().update(weight, grad, moments[:len(o.Moments())]); got != want {
			t.Errorf("%+v becomes %+v, want %+v", o, got, want)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	row := MLP(tensor.Shape{4}, nil, "", 2)
	for want, c := range map[string]struct {
		arch   Architecture
		config PlanConfig
	}{
		"batch_size: 0 must be between 1":                   {row, PlanConfig{}},
		"eval_batch_size: -1 must be":                       {row, PlanConfig{BatchSize: 1, EvalBatchSize: -1}},
		"shards: -1 must be between 1 and 1024":             {row, PlanConfig{BatchSize: 1, Shards: -1}},
		"shards: 1025":                                      {row, PlanConfig{BatchSize: 1, Shards: 1025}},
		"optimizer: ":                                       {row, PlanConfig{BatchSize: 1, Optimizer: Optimizer{Name: "x"}}},
		"layer 0 (linear): units: 0":                        {MLP(tensor.Shape{4}, nil, "", 0), PlanConfig{BatchSize: 1}},
		"layer 0 (max_pool2d): output: [2 2 1], want":       {Architecture{Input: tensor.Shape{4, 4, 1}, Layers: Layers{MaxPool2D{Kernel: Square(2)}}}, PlanConfig{BatchSize: 1}},
		"layers: without parameters":                        {Architecture{Input: tensor.Shape{4}, Layers: Layers{Flatten{}}}, PlanConfig{BatchSize: 1}},
		"batch_size: 16777216 must be at most 2097151":      {MLP(tensor.Shape{4}, []int{1024}, "", 2), PlanConfig{BatchSize: MaxBatch}},
		"eval_batch_size: 16777216 must be at most 2097151": {MLP(tensor.Shape{4}, []int{1024}, "", 2), PlanConfig{BatchSize: 1, EvalBatchSize: MaxBatch}},
	} {
		if _, err := NewPlan(c.arch, c.config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestMemoryPlanHasTheExpectedSizes(t *testing.T) {
	arch := MLP(tensor.Shape{100}, []int{32}, kernel.Tanh, 10)
	const values = 3200 + 32 + 320 + 16 // the last bias is padded to 16
	for _, c := range []struct {
		config  PlanConfig
		moments tensor.Bytes
		shards  tensor.Bytes
		rows    tensor.Bytes
	}{
		{PlanConfig{BatchSize: 16, Optimizer: Optimizer{Name: SGD}}, 0, 1, 16},
		{PlanConfig{BatchSize: 16, Optimizer: Optimizer{Name: SGD, Momentum: 0.5}}, 1, 1, 16},
		{PlanConfig{BatchSize: 64, Shards: 4, Optimizer: Optimizer{Name: Adam}}, 2, 4, 16},
	} {
		plan, err := NewPlan(arch, c.config)
		if err != nil {
			t.Fatal(err)
		}
		m := plan.Memory()
		// The backward pass reads the input and tanh's output, but neither
		// tanh's input nor the logits.
		input := tensor.Bytes(c.config.BatchSize * 100)
		want := MemoryPlan{
			Parameters: 4 * values, Optimizer: 4 * values * c.moments, Gradients: 4 * values * c.shards,
			Activations: 4 * (input + c.rows*32), Scratch: m.Scratch, Total: m.Total,
		}
		if m != want || m.Parameters+m.Optimizer+m.Gradients+m.Activations+m.Scratch != m.Total || m.Scratch <= 0 {
			t.Errorf("%+v: got %+v, want %+v", c.config, m, want)
		}
	}
}
