package api

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/dataset"
	"reprise/kernel"
	"reprise/nn"
	"reprise/training"
)

const issueRequest = `model_architecture: mlp            # mlp | cnn | or an inline list of layers
model: {hidden: [256, 128], activation: relu}
dataset_path: mnist
config: {batch_size: 128, learning_rate: 0.001, epochs: 3, optimizer: adam, schedule: {name: cosine, warmup_steps: 100}, seed: 7, shards: 1, checkpoint_interval: 1}
`

// minimal returns a request with more settings in its config.
func minimal(config string) string {
	return "model_architecture: mlp\ndataset_path: digits\nconfig: {batch_size: 32, learning_rate: 0.001, epochs: 3" + config + "}\n"
}

func parse(t *testing.T, text string) TrainingRequest {
	t.Helper()
	r, err := ParseTrainingRequest("job.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%.500s\n%v", text, err)
	}
	return r
}

// bare returns the request without its place in a file.
func bare(r TrainingRequest) TrainingRequest {
	r.document, r.valid = nil, training.ValidHyperparameters{}
	return r
}

func canonical(t testing.TB, r TrainingRequest) string {
	t.Helper()
	raw, err := r.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheRequestOfTheDocumentationMeansWhatItSays(t *testing.T) {
	want := TrainingRequest{
		ModelArchitecture: ModelArchitecture{Name: MLP},
		Model:             Model{Hidden: []int{256, 128}, Activation: "relu"},
		DatasetPath:       "mnist",
		Config: TrainingConfig{
			BatchSize: 128, LearningRate: 0.001, Epochs: 3, Seed: 7, Shards: 1, CheckpointInterval: 1, Devices: 1,
			Options:   training.Options{GradientAccumulation: 1, Precision: "float32"},
			Optimizer: Optimizer{Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8},
			Schedule:  Schedule{Name: "cosine", WarmupSteps: 100},
		},
	}
	if got := bare(parse(t, issueRequest)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	const pinned = `{"config":{"batch_size":128,"checkpoint_interval":1,"epochs":3,"learning_rate":0.001,` +
		`"optimizer":{"beta1":0.9,"beta2":0.999,"epsilon":1e-8,"name":"adam","weight_decay":0},` +
		`"schedule":{"min_factor":0,"name":"cosine","warmup_steps":100},"seed":7,"shards":1},` +
		`"dataset_path":"mnist","model":{"activation":"relu","hidden":[256,128]},"model_architecture":"mlp"}`
	if got := canonical(t, parse(t, issueRequest)); got != pinned {
		t.Errorf("canonical form\n%s\nwant\n%s", got, pinned)
	}
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	r := parse(t, minimal(""))
	c := r.Config
	if !reflect.DeepEqual(r.Model.Hidden, []int{128}) || r.Model.Activation != "relu" || r.Model.Channels != nil {
		t.Errorf("model = %+v", r.Model)
	}
	if c.Optimizer.Name != "adam" || c.Schedule.Name != "constant" || c.Seed != 0 || c.Shards != 1 || c.CheckpointInterval != 1 {
		t.Errorf("config = %+v", c)
	}
	cnn := parse(t, strings.Replace(minimal(""), "mlp", "cnn", 1))
	if !reflect.DeepEqual(cnn.Model.Channels, []int{8, 16}) || !reflect.DeepEqual(cnn.Model.Hidden, []int{128}) {
		t.Errorf("cnn model = %+v", cnn.Model)
	}
	if none := parse(t, "model: {hidden: []}\n"+minimal("")); none.Model.Hidden == nil || len(none.Model.Hidden) != 0 {
		t.Errorf("an empty list became %#v", none.Model.Hidden)
	}
}

func TestTheSameRequestInOtherWordsHasTheSameCanonicalForm(t *testing.T) {
	want := canonical(t, parse(t, issueRequest))
	for name, text := range map[string]string{
		"JSON with tabs": "{\n\t\"config\": {\"epochs\": 3, \"seed\": 7, \"batch_size\": 128, \"learning_rate\": 1e-3,\n\t\"schedule\": {\"warmup_steps\": 100, \"name\": \"cosine\"}},\n" +
			"\t\"dataset_path\": \"mni\\u0073t\", \"model_architecture\": \"mlp\", \"model\": {\"hidden\": [256, 128]}}\n",
		"block style, CRLF, byte order mark": "\ufeff---\r\nconfig:\r\n  batch_size: +128\r\n  learning_rate: .1e-2\r\n  epochs: 3\r\n  seed: 7\r\n" +
			"  optimizer:\r\n    name: adam\r\n    beta1: 0.90\r\n  schedule:\r\n    name: cosine\r\n    warmup_steps: 100\r\nmodel:\r\n  hidden:\r\n  - 256\r\n  - 128\r\ndataset_path: 'mnist'\r\nmodel_architecture: mlp\r\n...\r\n",
		"its canonical form": want,
	} {
		if got := canonical(t, parse(t, text)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestLayersHaveTheFormThatNNGivesThem(t *testing.T) {
	r := parse(t, `model_architecture:
  - {type: conv2d, channels: 8, kernel: [3, 5], padding: [1, 2], bias: false}
  - {type: activation, kind: gelu}
  - type: max_pool2d
    kernel: 2
    stride: [1, 2]
  - {type: avg_pool2d, kernel: [2, 1]}
  - {type: conv2d, channels: 4, kernel: 3, stride: 1, padding: same}
  - {type: conv2d, channels: 4, kernel: 1, padding: valid}
  - type: flatten
  - {type: linear, units: 10, bias: true}
dataset_path: mnist
config: {batch_size: 1, learning_rate: 1, epochs: 1}
`)
	want := nn.Layers{
		nn.Conv2D{Channels: 8, Kernel: nn.Size{H: 3, W: 5}, Padding: nn.Padding{H: 1, W: 2}, NoBias: true},
		nn.Activation{Kind: kernel.GELU},
		nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Size{H: 1, W: 2}},
		nn.AvgPool2D{Kernel: nn.Size{H: 2, W: 1}},
		nn.Conv2D{Channels: 4, Kernel: nn.Square(3), Stride: nn.Square(1), Padding: nn.Same()},
		nn.Conv2D{Channels: 4, Kernel: nn.Square(1)},
		nn.Flatten{},
		nn.Linear{Units: 10},
	}
	if !reflect.DeepEqual(r.ModelArchitecture.Layers, want) {
		t.Errorf("layers = %+v", r.ModelArchitecture.Layers)
	}
	if again := parse(t, canonical(t, r)); !reflect.DeepEqual(bare(again), bare(r)) {
		t.Errorf("through the canonical form: %+v", again)
	}
}

// drawRequest returns any valid request, defaults filled in.
func drawRequest(t *rapid.T) TrainingRequest {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 ./\\\"'#:-{}[]&*!|>%@`~é漢😀\u2028\u00a0")), 1, 20, -1)
	fraction := rapid.Float32Range(1e-30, 0.999)
	r := TrainingRequest{
		ModelArchitecture: ModelArchitecture{Name: rapid.SampledFrom([]string{MLP, CNN, ResNet, GPT, ViT, Transformer}).Draw(t, "architecture")},
		DatasetPath:       text.Draw(t, "path"),
		Config: TrainingConfig{
			Devices:   rapid.IntRange(1, 4096).Draw(t, "devices"),
			BatchSize: rapid.IntRange(1024, 1<<31-1).Draw(t, "batch"), LearningRate: rapid.Float32Range(1.5e-45, 3.4e38).Draw(t, "rate"),
			Epochs: rapid.Uint64Range(1, 1e6).Draw(t, "epochs"), Seed: rapid.Uint64().Draw(t, "seed"),
			Shards: rapid.IntRange(1, 1024).Draw(t, "shards"), CheckpointInterval: rapid.Uint64Range(1, 1e6).Draw(t, "interval"),
		},
	}
	r.Model = drawModel(t, r.ModelArchitecture.Name)
	if rapid.Bool().Draw(t, "options") {
		r.Dataset = DatasetOptions{
			Task:   rapid.SampledFrom([]string{"", "classification", "regression", "next_token"}).Draw(t, "task"),
			Target: text.Draw(t, "target"), ValidationFraction: rapid.Float64Range(1e-9, 0.99).Draw(t, "fraction"),
			Tokenizer:  rapid.SampledFrom([]string{"", "bytes", "characters", "bpe"}).Draw(t, "tokenizer"),
			Vocabulary: rapid.IntRange(257, 65536).Draw(t, "vocabulary"), Context: rapid.IntRange(1, 1<<20).Draw(t, "context"),
		}
	}
	r.Config.GradientAccumulation = rapid.IntRange(1, 65536).Draw(t, "accumulation")
	if rapid.Bool().Draw(t, "more") {
		r.Config.ClipNorm, r.Config.LabelSmoothing = rapid.Float32Range(0, 3.4e38).Draw(t, "clip"), fraction.Draw(t, "smoothing")
		r.Config.Augmentation = dataset.Augmentation{Flip: rapid.Bool().Draw(t, "flip"), Crop: rapid.IntRange(0, 255).Draw(t, "crop")}
		r.Config.EvalInterval = rapid.Uint64Range(0, 1<<53-1).Draw(t, "eval")
		r.Config.EarlyStopping = training.EarlyStopping{Patience: rapid.Uint64Range(1, 1<<53-1).Draw(t, "patience"), MinDelta: rapid.Float64Range(0, 1e300).Draw(t, "delta")}
	}
	r.Config.Precision = rapid.SampledFrom([]nn.Precision{nn.Float32, nn.BF16}).Draw(t, "precision")
	o := &r.Config.Optimizer
	o.Name = rapid.SampledFrom([]nn.OptimizerName{nn.Adam, nn.AdamW, nn.SGD}).Draw(t, "optimizer")
	o.WeightDecay = rapid.Float32Range(0, 10).Draw(t, "decay")
	if o.Name == "sgd" {
		o.Momentum, o.Nesterov = fraction.Draw(t, "momentum"), rapid.Bool().Draw(t, "nesterov")
	} else {
		o.Beta1, o.Beta2, o.Epsilon = fraction.Draw(t, "beta1"), fraction.Draw(t, "beta2"), fraction.Draw(t, "epsilon")
	}
	r.Config.Schedule = drawSchedule(t)
	return r
}

// drawModel returns any sizes of a named architecture.
func drawModel(t *rapid.T, architecture string) Model {
	sizes := rapid.SliceOfN(rapid.IntRange(1, 1<<24), 1, 3)
	var m Model
	switch architecture {
	case CNN:
		m.Channels = sizes.Draw(t, "channels")
		fallthrough
	case MLP:
		m.Hidden = rapid.SliceOfN(rapid.IntRange(1, 1<<24), 0, 3).Draw(t, "hidden")
		m.Activation = rapid.SampledFrom([]string{"relu", "gelu", "silu", "tanh", "sigmoid"}).Draw(t, "activation")
		if architecture == MLP {
			m.BatchNorm, m.Dropout = rapid.Bool().Draw(t, "batch_norm"), rapid.Float32Range(0, 0.999).Draw(t, "dropout")
		}
	case ResNet:
		m.Depth, m.Width = 6*rapid.IntRange(1, 169).Draw(t, "blocks")+2, rapid.IntRange(1, 1<<24).Draw(t, "width")
	case ViT:
		m.Patch = rapid.IntRange(1, 65536).Draw(t, "patch")
		fallthrough
	case GPT, Transformer:
		m.Layers, m.Heads = rapid.IntRange(1, 1000).Draw(t, "layers"), rapid.IntRange(1, 4096).Draw(t, "heads")
		m.Width = m.Heads * rapid.IntRange(1, 4096).Draw(t, "head_width")
		m.Dropout = rapid.Float32Range(0, 0.999).Draw(t, "dropout")
	}
	return m
}

func drawSchedule(t *rapid.T) Schedule {
	s := Schedule{Name: rapid.SampledFrom(training.ScheduleNames()).Draw(t, "schedule")}
	for _, field := range recordedSettings(s.Name) {
		switch field {
		case "warmup_steps":
			s.WarmupSteps = rapid.Uint64Range(0, 1e6).Draw(t, field)
		case "min_factor":
			s.MinFactor = rapid.Float64Range(0, 1).Draw(t, field)
		case "cycles":
			s.Cycles = rapid.Uint64Range(1, 1e6).Draw(t, field)
		case "power":
			s.Power = rapid.Float64Range(1e-9, 1000).Draw(t, field)
		case "step_size":
			s.StepSize = rapid.Uint64Range(1, 1e6).Draw(t, field)
		case "gamma":
			s.Gamma = rapid.Float64Range(1e-9, 0.999).Draw(t, field)
		case "patience":
			s.Patience = rapid.Uint64Range(0, 1<<53-1).Draw(t, field)
		case "threshold":
			s.Threshold = rapid.Float64Range(0, 0.999).Draw(t, field)
		}
	}
	return s
}

func TestParsingTheCanonicalFormGivesTheSameRequest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRequest(rt)
		raw, err := r.Canonical()
		if err != nil {
			rt.Fatal(err)
		}
		again, err := ParseTrainingRequest("job.json", raw)
		if err != nil {
			rt.Fatalf("%s\n%v", raw, err)
		}
		if !reflect.DeepEqual(bare(again), r) {
			rt.Fatalf("%s\ngot  %+v\nwant %+v", raw, again, r)
		}
		twice, err := again.Canonical()
		if err != nil || string(twice) != string(raw) {
			rt.Fatalf("%s became %s, %v", raw, twice, err)
		}
		if err := r.Validate(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestARequestMadeInGoIsValidatedWithoutAPlace(t *testing.T) {
	good := bare(parse(t, issueRequest))
	for name, spoil := range map[string]func(*TrainingRequest){
		"config.batch_size":         func(r *TrainingRequest) { r.Config.BatchSize = 0 },
		"config.learning_rate":      func(r *TrainingRequest) { r.Config.LearningRate = float32(inf()) },
		"config.optimizer.momentum": func(r *TrainingRequest) { r.Config.Optimizer.Momentum = 0.5 },
		"config.schedule.power":     func(r *TrainingRequest) { r.Config.Schedule.Power = 2 },
		"config.schedule.name":      func(r *TrainingRequest) { r.Config.Schedule.Name = "cosinus" },
		"model.hidden[0]":           func(r *TrainingRequest) { r.Model.Hidden = []int{-1} },
		"model.channels":            func(r *TrainingRequest) { r.Model.Channels = []int{3} },
		"model_architecture":        func(r *TrainingRequest) { r.ModelArchitecture.Name = "rnn" },
		"model.hidden":              func(r *TrainingRequest) { r.ModelArchitecture.Name, r.Model.Activation = ResNet, "" },
		"model.depth": func(r *TrainingRequest) {
			r.ModelArchitecture.Name, r.Model = ResNet, Model{Depth: 12}
		},
		"model.width": func(r *TrainingRequest) {
			r.ModelArchitecture.Name, r.Model = ViT, Model{Width: -4}
		},
		"model.dropout":                  func(r *TrainingRequest) { r.Model.Dropout = -1 },
		"dataset.tokenizer":              func(r *TrainingRequest) { r.Dataset.Tokenizer = "words" },
		"dataset.task":                   func(r *TrainingRequest) { r.Dataset.Task = "ranking" },
		"config.gradient_accumulation":   func(r *TrainingRequest) { r.Config.GradientAccumulation = -1 },
		"config.clip_norm":               func(r *TrainingRequest) { r.Config.ClipNorm = float32(inf()) },
		"config.augmentation.crop":       func(r *TrainingRequest) { r.Config.Augmentation.Crop = -1 },
		"config.early_stopping.patience": func(r *TrainingRequest) { r.Config.EarlyStopping.MinDelta = 1 },
		"config.schedule.gamma":          func(r *TrainingRequest) { r.Config.Schedule.Name = "reduce_on_plateau" },
		"config.schedule.patience":       func(r *TrainingRequest) { r.Config.Schedule.Patience = 2 },
		"dataset_path":                   func(r *TrainingRequest) { r.DatasetPath = "" },
	} {
		r := good
		spoil(&r)
		err := r.Validate()
		var bad *RequestError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v, want a *RequestError", name, err)
			continue
		}
		if bad.Field != name || bad.Line != 0 || bad.Fix == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v", name, bad)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func inf() float64  { return 1 / zero() }
func zero() float64 { return 0 }

func TestExamplesAreValidAndNameTheirSchema(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseTrainingRequest(file, content)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if r.File() != file {
			t.Errorf("File() = %q", r.File())
		}
		startExample(t, r)
		first, _, _ := strings.Cut(string(content), "\n")
		schema, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if _, err := os.Stat(filepath.Join("../examples", schema)); !ok || err != nil {
			t.Errorf("%s begins with %q, which names no schema", file, first)
		}
	}
}

// startExample starts the example's session where its data is part of the
// binary; else it checks the values against the size of the data.
func startExample(t *testing.T, r TrainingRequest) {
	t.Helper()
	l := library(t)
	entry, catalogued := l.Lookup(r.DatasetPath)
	if catalogued && l.Status(entry) != dataset.StatusEmbedded {
		h := r.Hyperparameters(entry.Train)
		if err := h.FitSamples(entry.Train); err != nil {
			t.Errorf("%s: %v", r.File(), err)
		}
		return
	}
	var names []string
	if catalogued {
		names = []string{r.DatasetPath}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	r = r.Folds()[0] // where it asks for several
	source, err := r.DatasetReference(names, here, stat)
	if err != nil {
		t.Fatal(err)
	}
	data, err := l.Open(t.Context(), source)
	if err != nil {
		t.Errorf("%v", r.Locate(err))
		return
	}
	if _, _, err := FromExternalRequest(r, source, data, ids()); err != nil {
		t.Errorf("%v", r.Locate(err))
	}
}

func TestATextIsTakenAsWritten(t *testing.T) {
	for _, path := range []string{"~/x", "a b", "C:\\data", "x#y", "a: b", "- a", "yes", "010", "1_000", "0x10", "e5", ".", "-", "1.2.3", "😀/漢", "it's", `say "hi"`, "a\ufeffb", "a\u2028b", "\U0010ffff"} {
		r := bare(parse(t, minimal("")))
		r.DatasetPath = path
		if got := parse(t, canonical(t, r)).DatasetPath; got != path {
			t.Errorf("%q came back as %q", path, got)
		}
	}
	for written, path := range map[string]string{"010": "010", "1_000": "1_000", "yes": "yes", "1.2.3": "1.2.3", `"12"`: "12", "'true'": "true", "a b": "a b", "'it''s'": "it's", `"\u00e9"`: "é", `"\U0001f600"`: "😀", `"\/"`: "/", "a\n # note": "a"} {
		text := strings.Replace(minimal(""), "digits", written, 1)
		if got := parse(t, text).DatasetPath; got != path {
			t.Errorf("%s was taken for %q", written, got)
		}
	}
}

// JSON from elsewhere writes characters as pairs of escapes.
func TestJSONIsTakenAsWritten(t *testing.T) {
	for written, path := range map[string]string{`\ud83d\ude00`: "😀", `a\u00e9\/\"`: `aé/"`, `\\ud83d`: `\ud83d`, "\ufeff": "\ufeff", `\u2028`: "\u2028"} {
		text := "{\n\t\"model_architecture\": \"mlp\",\n\t\"dataset_path\":\t\"" + written +
			"\",\n\t\"config\": {\"batch_size\": 32, \"learning_rate\": 1e-3, \"epochs\": 3}\n}"
		if got := parse(t, text).DatasetPath; got != path {
			t.Errorf("%s was taken for %q, want %q", written, got, path)
		}
	}
}

func TestAsManyLayersAsThereMayBeFitIntoARequest(t *testing.T) {
	layers := func(n int) string {
		return "model_architecture:\n" + strings.Repeat("- {type: conv2d, channels: 8, kernel: [3, 3], stride: [1, 1], padding: [1, 1], bias: true}\n", n) +
			"dataset_path: digits\nconfig: {batch_size: 32, learning_rate: 0.001, epochs: 3}\n"
	}
	if r := parse(t, layers(nn.MaxLayers)); len(r.ModelArchitecture.Layers) != nn.MaxLayers {
		t.Errorf("%d layers", len(r.ModelArchitecture.Layers))
	}
	if _, err := ParseTrainingRequest("job.yaml", []byte(layers(nn.MaxLayers+1))); err == nil || !strings.Contains(err.Error(), "at most 1024") {
		t.Errorf("one layer more: %v", err)
	}
}
