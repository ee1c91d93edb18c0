package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/fault"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// named returns a request for an architecture with settings.
func named(architecture, model string) string {
	text := strings.Replace(minimal(""), "mlp", architecture, 1)
	if model == "" {
		return text
	}
	return "model: {" + model + "}\n" + text
}

// writing writes a text that next-token training takes.
func writing(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("to be, or not to be: that is the question\n", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The data of each kind.
func kinds(t *testing.T) map[string]dataset.Source {
	t.Helper()
	path, quantities := table(t), "width,height,depth\n"
	for i := range 60 {
		quantities += fmt.Sprintf("%d,%d,%d\n", i%7, i%5, i%3)
	}
	numbers := filepath.Join(t.TempDir(), "numbers.csv")
	if err := os.WriteFile(numbers, []byte(quantities), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]dataset.Source{
		"images": {Path: "digits"}, "rows": {Path: path, Target: "kind"},
		"quantities": {Path: numbers, Task: dataset.Regression, Target: "width,height"},
		"text":       {Path: writing(t), Tokenizer: "characters", Context: 16},
	}
}

func TestANamedArchitectureIsBuiltForTheData(t *testing.T) {
	sources := kinds(t)
	for _, c := range []struct {
		text, data string
		want       nn.Architecture
	}{
		{named("mlp", ""), "rows", nn.MLP(tensor.Shape{2}, []int{128}, "relu", 3)},
		{named("mlp", ""), "images", nn.MLP(tensor.Shape{8, 8, 1}, []int{128}, "relu", 10)},
		{named("resnet", ""), "images", nn.ResNet(tensor.Shape{8, 8, 1}, 1, 16, 10)},
		{named("resnet", "depth: 20, width: 4"), "images", nn.ResNet(tensor.Shape{8, 8, 1}, 3, 4, 10)},
		{named("vit", ""), "images", nn.ViT(tensor.Shape{8, 8, 1}, 4, 4, 4, 128, 0, 10)},
		{named("vit", "patch: 2, layers: 1, heads: 2, width: 8, dropout: 0.5"), "images", nn.ViT(tensor.Shape{8, 8, 1}, 2, 1, 2, 8, 0.5, 10)},
		{named("gpt", ""), "text", nn.GPT(16, 16, 4, 4, 128, 0)},
		{named("gpt", "layers: 1, heads: 2, width: 8, dropout: 0.25"), "text", nn.GPT(16, 16, 1, 2, 8, 0.25)},
	} {
		source := sources[c.data]
		data := open(t, source)
		if c.data == "text" && data.Classes() != 16 {
			t.Fatalf("the text has %d characters", data.Classes())
		}
		session, _, err := FromExternalRequest(parse(t, c.text), source, data, ids())
		if err != nil || !reflect.DeepEqual(session.Architecture, c.want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", c.text, session.Architecture, err, c.want)
		}
	}
}

func TestARegressionHasAnOutputForEachTarget(t *testing.T) {
	source := kinds(t)["quantities"]
	text := strings.Replace(named("mlp", "hidden: [4]"), "digits", source.Path, 1) + "dataset: {task: regression, target: \"width,height\"}\n"
	r := parse(t, text)
	reference, err := r.DatasetReference(nil, "/", stat)
	if err != nil || reference != source {
		t.Fatalf("%+v, %v, want %+v", reference, err, source)
	}
	session, _, err := FromExternalRequest(r, source, open(t, source), ids())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := session.Architecture.Output(); err != nil || !out.Equal(tensor.Shape{2}) {
		t.Errorf("output %v, %v", out, err)
	}
	if session.Dataset.Task != dataset.Regression || len(session.Dataset.Targets) != 2 || session.Dataset.Source() != source {
		t.Errorf("dataset = %+v", session.Dataset)
	}
}

func TestAnMLPIsRegularisedAfterItsHiddenLayers(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	r := parse(t, named("mlp", "hidden: [8, 4], activation: tanh, batch_norm: true, dropout: 0.5"))
	session, _, err := FromExternalRequest(r, source, open(t, source), ids())
	tanh, drop := nn.Activation{Kind: kernel.Tanh}, nn.Dropout{Rate: 0.5}
	want := nn.Layers{
		nn.Flatten{}, nn.Linear{Units: 8}, nn.BatchNorm{}, tanh, drop,
		nn.Linear{Units: 4}, nn.BatchNorm{}, tanh, drop, nn.Linear{Units: 10},
	}
	if err != nil || !reflect.DeepEqual(session.Architecture.Layers, want) {
		t.Errorf("%+v, %v", session.Architecture.Layers, err)
	}
}

func TestAnArchitectureOnDataThatItIsNotForIsRefused(t *testing.T) {
	sources := kinds(t)
	for _, c := range []struct {
		text, data, field, at string
		says                  []string
	}{
		{named("gpt", ""), "images", "model_architecture", "gpt", []string{"needs text", "[8 8 1]", "use mlp, cnn, resnet or vit"}},
		{named("gpt", ""), "rows", "model_architecture", "gpt", []string{"needs text", "[2]", "use mlp\n"}},
		{named("mlp", ""), "text", "model_architecture", "mlp", []string{"is text", "use gpt"}},
		{named("cnn", ""), "text", "model_architecture", "cnn", []string{"is text", "use gpt"}},
		{named("resnet", ""), "text", "model_architecture", "resnet", []string{"is text", "use gpt"}},
		{named("vit", ""), "text", "model_architecture", "vit", []string{"is text", "use gpt"}},
		{named("cnn", ""), "rows", "model_architecture", "cnn", []string{"needs images", "use mlp"}},
		{named("resnet", ""), "rows", "model_architecture", "resnet", []string{"needs images", "use mlp"}},
		{named("vit", ""), "rows", "model_architecture", "vit", []string{"needs images", "use mlp"}},
		{named("vit", "patch: 3"), "images", "model.patch", "3}", []string{"8 x 8", "use one of 1, 2, 4, 8"}},
		{named("mlp", "hidden: [16000000, 16000000]"), "rows", "model.hidden[1]", "16000000]", []string{"at most"}},
		{named("mlp", "hidden: [16000000, 16000000], batch_norm: true, dropout: 0.5"), "images", "model.hidden[1]", "16000000]", []string{"at most"}},
		{named("resnet", "width: 16777216"), "images", "model_architecture", "resnet", []string{"(conv2d)", "use a smaller layer"}},
		{named("[{type: linear, units: 3}]", ""), "text", "model_architecture", "model_architecture", []string{"type: embedding, vocabulary: 16"}},
		{named("[{type: linear, units: 1}]", ""), "quantities", "model_architecture", "model_architecture", []string{"targets", "units: 2"}},
		{strings.Replace(minimal(", label_smoothing: 0.1"), "digits", "x", 1), "quantities", "config.label_smoothing", "0.1", []string{"regression", "leave it out"}},
		{minimal(", augmentation: {flip: true}"), "rows", "config.augmentation.flip", "true", []string{"not images"}},
		{minimal(", augmentation: {crop: 3}"), "rows", "config.augmentation.crop", "3}", []string{"not images"}},
		{minimal(", augmentation: {flip: true, crop: 9}"), "images", "config.augmentation.crop", "9}", []string{"between 0 and 8"}},
		{minimal(", gradient_accumulation: 1000"), "images", "config.gradient_accumulation", "1000", []string{"32000 samples", "use at most 44"}},
	} {
		source := sources[c.data]
		r := parse(t, c.text)
		_, events, err := FromExternalRequest(r, source, open(t, source), ids())
		located(t, r, c.text, err, c.field, c.at, c.says...)
		if events != nil {
			t.Errorf("%s: events of a refused request", c.field)
		}
	}
	unknown := TrainingRequest{ModelArchitecture: ModelArchitecture{Name: "rnn"}}
	var bad *fault.FieldError
	if _, err := unknown.Architecture(open(t, sources["rows"])); !errors.As(err, &bad) || bad.Field != "model_architecture" {
		t.Errorf("rnn: %v", err)
	}
}

func TestSettingsReachTheHyperparameters(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	r := parse(t, minimal(", gradient_accumulation: 2, clip_norm: 1.5, label_smoothing: 0.1, augmentation: {flip: true, crop: 2}, eval_interval: 7, "+
		"early_stopping: {patience: 3, min_delta: 0.01}, schedule: {name: reduce_on_plateau, gamma: 0.5, patience: 4, threshold: 0.001, min_factor: 0.01, warmup_steps: 5}"))
	session, _, err := FromExternalRequest(r, source, data, ids())
	if err != nil {
		t.Fatal(err)
	}
	h := session.Hyperparameters
	want := training.Hyperparameters{
		BatchSize: 32, Epochs: 3, Optimizer: h.Optimizer, Shards: 1, CheckpointInterval: 1,
		LearningRate: training.LearningRate{Value: 0.001, Schedule: training.Schedule{
			Name: training.ReduceOnPlateau, Gamma: 0.5, Patience: 4, Threshold: 0.001, MinFactor: 0.01, WarmupSteps: 5,
			TotalSteps: 3 * uint64((data.Len(dataset.Train)+63)/64),
		}},
		Options: training.Options{
			GradientAccumulation: 2, Regularization: nn.Regularization{ClipNorm: 1.5, LabelSmoothing: 0.1},
			Augmentation: dataset.Augmentation{Flip: true, Crop: 2}, EvalInterval: 7,
			EarlyStopping: training.EarlyStopping{Patience: 3, MinDelta: 0.01},
		},
	}
	if h != want {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	// What is left out is absent from the record, as it was before it could be said.
	plain := parse(t, minimal(", gradient_accumulation: 1")).Hyperparameters(100)
	want = training.Hyperparameters{BatchSize: 32, Epochs: 3, Optimizer: plain.Optimizer, LearningRate: plain.LearningRate, Shards: 1, CheckpointInterval: 1}
	if plain != want {
		t.Errorf("got  %+v\nwant %+v", plain, want)
	}
}

func TestEachLayerHasTheFormThatNNGivesIt(t *testing.T) {
	r := parse(t, `model_architecture:
  - {type: embedding, vocabulary: 256, width: 32}
  - type: position
  - {type: dropout, rate: 0.25}
  - {type: attention, heads: 4, causal: true, bias: false}
  - {type: attention, heads: 2}
  - {type: transformer_block, heads: 4, causal: true, expansion: 2, activation: silu, norm: rms_norm, dropout: 0.5}
  - {type: transformer_block, heads: 1}
  - type: residual
    body:
      - type: layer_norm
      - type: residual
        body: [{type: rms_norm}, {type: linear, units: 8}]
        shortcut: [{type: linear, units: 8, bias: false}]
  - type: batch_norm
  - type: tokens
  - type: global_avg_pool
dataset_path: book.txt
config: {batch_size: 1, learning_rate: 1, epochs: 1}
`)
	want := nn.Layers{
		nn.Embedding{Vocabulary: 256, Width: 32}, nn.Position{}, nn.Dropout{Rate: 0.25},
		nn.Attention{Heads: 4, Causal: true, NoBias: true}, nn.Attention{Heads: 2},
		nn.TransformerBlock{Heads: 4, Causal: true, Expansion: 2, Activation: kernel.SiLU, Norm: "rms_norm", Dropout: 0.5},
		nn.TransformerBlock{Heads: 1},
		nn.Residual{Body: nn.Layers{nn.LayerNorm{}, nn.Residual{
			Body: nn.Layers{nn.RMSNorm{}, nn.Linear{Units: 8}}, Shortcut: nn.Layers{nn.Linear{Units: 8, NoBias: true}},
		}}},
		nn.BatchNorm{}, nn.Tokens{}, nn.GlobalAvgPool{},
	}
	if !reflect.DeepEqual(r.ModelArchitecture.Layers, want) {
		t.Errorf("layers = %+v", r.ModelArchitecture.Layers)
	}
	if again := parse(t, canonical(t, r)); !reflect.DeepEqual(bare(again), bare(r)) {
		t.Errorf("through the canonical form: %+v", again)
	}
}

// The presets are lists of layers that a request can say itself.
func TestAPresetCanBeWrittenOut(t *testing.T) {
	for name, a := range map[string]nn.Architecture{
		"resnet": nn.ResNet(tensor.Shape{8, 8, 1}, 2, 4, 10), "gpt": nn.GPT(16, 256, 2, 2, 8, 0.5), "vit": nn.ViT(tensor.Shape{8, 8, 1}, 4, 2, 2, 8, 0.5, 10),
	} {
		r := bare(parse(t, minimal("")))
		r.ModelArchitecture, r.Model = ModelArchitecture{Layers: a.Layers}, Model{}
		again := parse(t, canonical(t, r))
		got, err := again.ModelArchitecture.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if want, err := a.Layers.MarshalJSON(); err != nil || string(got) != string(want) {
			t.Errorf("%s became\n%s\nwant\n%s, %v", name, got, want, err)
		}
	}
}

// nested returns layers that lie in one another to a depth, in block style.
func nested(depth int) string {
	text := "model_architecture:\n"
	for level := range depth {
		indent := strings.Repeat("  ", 2*level)
		text += indent + "- type: residual\n" + indent + "  body:\n"
	}
	indent := strings.Repeat("  ", 2*depth)
	return text + indent + "- {type: linear, units: 64}\ndataset_path: digits\nconfig: {batch_size: 1, learning_rate: 1, epochs: 1}\n"
}

func TestLayersMayLieInOneAnotherAsDeepAsNNAllows(t *testing.T) {
	const most = 16
	r := parse(t, nested(most))
	if again := parse(t, canonical(t, r)); !reflect.DeepEqual(bare(again), bare(r)) {
		t.Errorf("through the canonical form: %+v", again)
	}
	text := nested(most + 1)
	_, err := ParseTrainingRequest("job.yaml", []byte(text))
	e := requestErrors(t, err)[0]
	checkCaret(t, text, e)
	if want := "model_architecture[0]" + strings.Repeat(".body[0]", most) + ".body"; e.Field != want || !strings.Contains(err.Error(), "at most 16") {
		t.Errorf("%s, want %s:\n%v", e.Field, want, err)
	}
}

func TestMistakesInNestedLayersAreFoundWithinThem(t *testing.T) {
	within := func(layer string) string {
		return "model_architecture:\n- type: flatten\n- type: residual\n  body:\n  - {type: linear, units: 8}\n  - type: residual\n    body: [{type: layer_norm}]\n" +
			"    shortcut:\n    - " + layer + "\ndataset_path: digits\nconfig: {batch_size: 1, learning_rate: 1, epochs: 1}\n"
	}
	const field = "model_architecture[1].body[1].shortcut[0]"
	checkMistakes(t, []mistake{
		{within("{type: liner, units: 10}"), field + ".type", "liner", "liner", []string{"did you mean linear?"}},
		{within("{units: 10}"), field + ".type", "{units", "", []string{"is missing"}},
		{within("linear"), field, "linear", "linear", []string{"{type: linear, units: 10}"}},
		{within("{type: linear}"), field + ".units", "{type: linear", "", []string{"is missing"}},
		{within("{type: linear, units: 0}"), field + ".units", "0}", "0", []string{"at least 1"}},
		{within("{type: linear, units: 1e1}"), field + ".units", "1e1", "1e1", []string{"whole number"}},
		{within("{type: linear, units: 3, width: 4}"), field + ".width", "width", "", []string{"not a key of linear", "use one of bias, type, units"}},
		{within("{type: dropout, rate: 0.9999999999}"), field + ".rate", "0.99", "0.9999999999", []string{"becomes 1"}},
		{within("{type: dropout, rate: 1e-60}"), field + ".rate", "1e-60", "1e-60", []string{"becomes 0"}},
		{within("{type: dropout, rate: 1}"), field + ".rate", "1}", "1", []string{"below 1"}},
		{within("{type: dropout}"), field + ".rate", "{type: dropout", "", []string{"is missing", "0.1"}},
		{within("{type: transformer_block, heads: 2, dropout: 0.9999999999}"), field + ".dropout", "0.99", "0.9999999999", []string{"becomes 1"}},
		{within("{type: transformer_block, heads: 2, norm: layernorm}"), field + ".norm", "layernorm", "layernorm", []string{"did you mean layer_norm?"}},
		{within("{type: transformer_block, heads: 2, expansion: 0}"), field + ".expansion", "0}", "0", []string{"at least 1", "use a factor such as 4"}},
		{within("{type: attention, heads: 2, causal: yes}"), field + ".causal", "yes", "yes", []string{"write true"}},
		{within("{type: attention, heads: 0}"), field + ".heads", "0}", "0", []string{"at least 1"}},
		{within("{type: embedding, width: 3}"), field + ".vocabulary", "{type: emb", "", []string{"is missing", "256"}},
		{within("{type: global_avg_pool, kernel: 3}"), field + ".kernel", "kernel", "", []string{"not a key of global_avg_pool", "leave it out"}},
		{within("{type: residual}"), field + ".body", "{type: residual", "", []string{"is missing", "add body, such as [{type: linear, units: 64}"}},
		{within("{type: residual, body: []}"), field + ".body", "[]", "a list", []string{"at least 1"}},
		{within("{type: residual, body: [{type: flatten}], shortcut: []}"), field + ".shortcut", "[]", "a list", []string{"at least 1"}},
		{within("{type: residual, body: {type: flatten}}"), field + ".body", "{type: flatten", "a mapping", []string{"not a list", "[{type: linear, units: 64}]"}},
	})
}

func TestWhatTheDomainRefusesOfNestedLayersIsTracedBackToTheFile(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	for _, c := range []struct{ layers, field, at, says string }{
		{"[{type: residual, body: [{type: max_pool2d, kernel: 9}]}]", "model_architecture[0].body[0].kernel", "9}", "at most 8x8"},
		{"[{type: residual, body: [{type: residual, body: [{type: batch_norm}], shortcut: [{type: linear, units: 3}]}]}]",
			"model_architecture[0].body[0].shortcut[0]", "{type: linear", "flatten"},
		{"[{type: flatten}, {type: residual, body: [{type: linear, units: 3}]}]", "model_architecture[1].body", "[{type: linear", "the shape it is added to"},
		{"[{type: tokens}, {type: transformer_block, heads: 3}]", "model_architecture[1].heads", "3}", "divisor of the width 1"},
	} {
		text := named(c.layers, "")
		r := parse(t, text)
		_, _, err := FromExternalRequest(r, source, data, ids())
		located(t, r, text, err, c.field, c.at, c.says)
	}
}

func TestDatasetOptionsReachTheSource(t *testing.T) {
	path := writing(t)
	text := fmt.Sprintf("dataset: {task: next_token, tokenizer: bpe, vocabulary: 260, context: 8, validation_fraction: 0.25}\n%s", strings.Replace(named("gpt", ""), "digits", path, 1))
	r := parse(t, text)
	source, err := r.DatasetReference(nil, "/", stat)
	want := dataset.Source{Path: path, Task: dataset.NextToken, Tokenizer: "bpe", Vocabulary: 260, Context: 8, ValidationFraction: 0.25}
	if err != nil || source != want {
		t.Fatalf("%+v, %v, want %+v", source, err, want)
	}
	session, _, err := FromExternalRequest(r, source, open(t, source), ids())
	if err != nil {
		t.Fatal(err)
	}
	if session.Dataset.Source() != source || session.Dataset.TokenizerModel == "" || session.Dataset.Classes != 260 {
		t.Errorf("dataset = %+v", session.Dataset)
	}
}

func TestDatasetOptionsThatDoNotFitAreTracedBackToTheFile(t *testing.T) {
	text := writing(t)
	for _, c := range []struct{ path, options, field, at string }{
		{"digits", "tokenizer: bytes", "dataset.tokenizer", "bytes"},
		{"digits", "vocabulary: 300", "dataset.vocabulary", "300"},
		{"digits", "context: 8", "dataset.context", "8}"},
		{"digits", "task: regression", "dataset.task", "regression"},
		{text, "task: classification", "dataset.task", "classification"},
		{text, "target: x", "dataset.target", "x}"},
		{text, "tokenizer: characters, vocabulary: 300", "dataset.vocabulary", "300"},
		{text, "context: 1000000", "dataset.context", "1000000"},
		{text, "tokenizer: bpe, vocabulary: 60000", "dataset.vocabulary", "60000"},
	} {
		request := "dataset: {" + c.options + "}\n" + strings.Replace(minimal(""), "digits", c.path, 1)
		r := parse(t, request)
		source, err := r.DatasetReference([]string{"digits"}, "/", stat)
		if err != nil {
			t.Fatal(err)
		}
		_, err = library(t).Open(context.Background(), source)
		located(t, r, request, err, c.field, c.at)
	}
}
