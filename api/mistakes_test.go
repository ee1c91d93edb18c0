package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/dataset"
)

// slip is one mistake in the request of lines: what is written instead of what, and
// the field that is wrong then.
type slip struct{ right, wrong, field string }

const soundRequest = `model_architecture: mlp
model:
  hidden: [16, 8]
  activation: relu
  dropout: 0.1
dataset_path: digits
dataset:
  task: classification
config:
  batch_size: 64
  learning_rate: 0.01
  epochs: 3
  optimizer:
    name: adam
    beta1: 0.9
    epsilon: 0.001
    weight_decay: 0.01
  schedule:
    name: cosine
    warmup_steps: 10
    min_factor: 0.5
  seed: 7
  shards: 1
  checkpoint_interval: 1
  clip_norm: 1
  label_smoothing: 0.1
  augmentation: {flip: true, crop: 2}
  eval_interval: 5
  early_stopping: {patience: 3, min_delta: 0.1}
  precision: float32
`

// slips has mistakes that the schema finds, that the decoder finds, and that only the
// domain and the data show, in the order of the file.
func slips() []slip {
	return []slip{
		{"[16, ", "[16.0, ", "model.hidden[0]"},
		{", 8]", ", 0]", "model.hidden[1]"},
		{"activation: relu", "activation: rleu", "model.activation"},
		{"dropout: 0.1", "dropout: 0.99999999999", "model.dropout"},
		{"batch_size: 64", "batch_size: 5000", "config.batch_size"},
		{"learning_rate: 0.01", "learning_rate: 1e-60", "config.learning_rate"},
		{"epochs: 3", "epochs: 3.0", "config.epochs"},
		{"beta1: 0.9", "beta1: 0.99999999999", "config.optimizer.beta1"},
		{"epsilon: 0.001", "epsilon: 0", "config.optimizer.epsilon"},
		{"weight_decay: 0.01", "weight_decay: 1e-60", "config.optimizer.weight_decay"},
		{"warmup_steps: 10", "warmup_steps: 9007199254740991", "config.schedule.warmup_steps"},
		{"min_factor: 0.5", "min_factor: 2", "config.schedule.min_factor"},
		{"seed: 7", "seed: -7", "config.seed"},
		{"checkpoint_interval: 1", "checkpoint_interval: 1e0", "config.checkpoint_interval"},
		{"clip_norm: 1", "clip_norm: 1e50", "config.clip_norm"},
		{"label_smoothing: 0.1", "label_smoothing: 0.9999999999", "config.label_smoothing"},
		{"flip: true", "flip: yes", "config.augmentation.flip"},
		{"crop: 2", "crop: 9", "config.augmentation.crop"}, // larger than the images
		{"eval_interval: 5", "eval_interval: 5.5", "config.eval_interval"},
		{"patience: 3", "patience: 0", "config.early_stopping.patience"},
		{"min_delta: 0.1", "min_delta: -1", "config.early_stopping.min_delta"},
		{"precision: float32", "precision: float64", "config.precision"},
	}
}

// allMistakes returns every mistake of a request and of how it fits its data.
func allMistakes(t testing.TB, text string, data *dataset.Dataset, settings ...Setting) []*RequestError {
	t.Helper()
	r, err := ParseTrainingRequest("job.yaml", []byte(text), settings...)
	return flatten(Join(err, r.CheckData(data)))
}

func fieldsOf(errs []*RequestError) []string {
	fields := make([]string, len(errs))
	for i, e := range errs {
		fields[i] = e.Field
	}
	return fields
}

func TestMistakesHideNeitherEachOtherNorAddAny(t *testing.T) {
	data := open(t, dataset.Source{Path: "digits"})
	if errs := allMistakes(t, soundRequest, data); len(errs) > 0 {
		t.Fatal(errs[0])
	}
	all := slips()
	rapid.Check(t, func(rt *rapid.T) {
		text := soundRequest
		var inFile, set []string
		var settings []Setting
		for i := range all {
			s := all[i]
			switch rapid.IntRange(0, 3).Draw(rt, s.field) {
			case 0:
				text = strings.Replace(text, s.right, s.wrong, 1)
				inFile = append(inFile, s.field)
			case 1:
				_, value, ok := strings.Cut(s.wrong, ": ")
				if !ok { // an entry of a list
					continue
				}
				settings = append(settings, Setting{Field: s.field, Value: value, Origin: "--set"})
				set = append(set, s.field)
			}
		}
		errs := allMistakes(t, text, data, settings...)
		if got, want := fieldsOf(errs), slices.Concat(inFile, set); !slices.Equal(got, want) {
			rt.Fatalf("got  %v\nwant %v\n%s%v", got, want, text, settings)
		}
		for i, e := range errs {
			if (e.Line > 0) != (i < len(inFile)) || (e.Setting != "") != (i >= len(inFile)) {
				rt.Fatalf("not at its own place: %v", e)
			}
		}
	})
}

func TestWhatFollowsFromAMistakeIsNotReported(t *testing.T) {
	data := open(t, dataset.Source{Path: "digits"})
	for _, c := range []struct {
		text string
		set  []string
		want string
	}{
		{minimal(", schedule: {name: cosine, warmup_steps: 100000}"), []string{"config.epochs=0"}, "config.epochs"},
		{minimal(", shards: 16"), []string{"config.batch_size=0"}, "config.batch_size"},
		{minimal(", optimizer: {name: sdg, momentum: 2, nesterov: true}"), nil, "config.optimizer.name config.optimizer.momentum"},
		{minimal(", optimizer: {name: sgd, momentum: x, nesterov: true}"), nil, "config.optimizer.momentum"},
		{minimal(", optimizer: {name: sdg, foo: 1}"), nil, "config.optimizer.name config.optimizer.foo"},
		{strings.Replace(minimal(""), "mlp", "gpt\nmodel: {heads: 3, width: 1.5}", 1), nil, "model_architecture model.width"},
		{strings.Replace(minimal(", clip_norm: 1e50"), "mlp", "[{type: flatten}, {type: linear, units: 4.0}, {type: linear, units: 0}, {type: dropout, rate: 0.99999999999}]", 1),
			nil, "model_architecture[1].units model_architecture[2].units model_architecture[3].rate config.clip_norm"},
		{strings.Replace(minimal(", clip_norm: 1e50"), "mlp", "[{type: flatten}, {type: linear, units: 4}]", 1), nil, "model_architecture config.clip_norm"},
		{strings.Replace(minimal(""), "mlp", "[{type: flatten}, {type: linear, units: 4}]", 1), []string{"model.layers=3"}, "model_architecture model.layers"},
	} {
		var settings []Setting
		for _, s := range c.set {
			settings = append(settings, ParseSetting(s, "--set"))
		}
		if got := strings.Join(fieldsOf(allMistakes(t, c.text, data, settings...)), " "); got != c.want {
			t.Errorf("%s%v\ngot  %s\nwant %s", c.text, c.set, got, c.want)
		}
	}
}

func TestAMistakeInTheFormOfASettingIsShownOnce(t *testing.T) {
	for text, want := range map[string]string{
		"model.hidden=[32\t16]":         `--set model.hidden=[32\t16]: has a tab in it; separate values with commas, or put the text in quotes`,
		"model_architecture.name=mlp":   "--set model_architecture.name=mlp: model_architecture is one value and has no fields of its own; set it as a whole: model_architecture=VALUE",
		"=3":                            "--set =3: names no field; write the path with dots before the =, such as config.learning_rate",
		"file=3":                        "--set file=3: no such field; write the path with dots, such as config.learning_rate",
		"epochs":                        "--set epochs: has no =; write --set config.epochs=VALUE",
		"config.seed=1 config.seed=2":   "--set config.seed=2: sets config.seed a second time; set each field once",
		"config.schedule.name.x=cosine": "--set config.schedule.name.x=cosine: config.schedule.name is one value and has no fields of its own; set it as a whole: config.schedule.name=VALUE",
	} {
		var settings []Setting
		for s := range strings.SplitSeq(text, " ") {
			settings = append(settings, ParseSetting(s, "--set"))
		}
		_, err := ParseTrainingRequest("job.yaml", []byte(minimal("")), settings...)
		if fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestMistakesWithoutAPlaceComeLast(t *testing.T) {
	err := Join(&RequestError{Problem: "none"}, &RequestError{Problem: "set", Setting: "--set a=1", order: 1},
		errors.New("other"), &RequestError{File: "f", Line: 5, Column: 97, Problem: "late"}, &RequestError{File: "f", Line: 3, Column: 15, Problem: "early"})
	if want := "f:3:15: early\nf:5:97: late\n--set a=1: set\nnone\n"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
}
