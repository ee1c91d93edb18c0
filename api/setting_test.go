package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// places returns where each mistake is shown, and its field.
func places(t *testing.T, err error) []string {
	t.Helper()
	var list []string
	for _, e := range requestErrors(t, err) {
		place := fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
		if e.Setting != "" {
			place = e.Setting
			if e.File != "" || e.Line != 0 || strings.Contains(e.Error(), "\n") || !strings.HasPrefix(e.Error(), place+": ") {
				t.Errorf("a setting is shown as %v", e)
			}
		}
		list = append(list, place+" "+e.Field)
	}
	return list
}

func TestEveryMistakeIsShownWhereItIsWritten(t *testing.T) {
	const file = "model_architecture: mlp\nmodel: {hidden: [32]}\ndataset_path: digits\nconfig: {batch_size: 16, learning_rate: 0.002, epochs: 3}\n"
	edit := func(old, now string) string { return strings.Replace(file, old, now, 1) }
	for _, test := range []struct {
		name, file string
		set        []Setting
		want       []string
	}{
		{"one of each", edit("epochs: 3", "epochs: 0"), []Setting{{Field: "config.seed", Value: "-1"}},
			[]string{"job.yaml:4:56 config.epochs", "--set config.seed=-1 config.seed"}},
		{"in the file, beside a setting that is right", edit("epochs: 3", "epochs: 0"), []Setting{{Field: "config.seed", Value: "1"}},
			[]string{"job.yaml:4:56 config.epochs"}},
		{"a setting that makes the file wrong", edit("epochs: 3", "epochs: 3, shards: 8"), []Setting{{Field: "config.batch_size", Value: "4"}},
			[]string{"job.yaml:4:67 config.shards"}},
		{"a file that makes a setting wrong", file, []Setting{{Field: "config.shards", Value: "32"}}, []string{"--set config.shards=32 config.shards"}},
		{"within a value", file, []Setting{{Field: "model", Value: "{hidden: [3, 0]}"}}, []string{"--set model={hidden: [3, 0]} model.hidden[1]"}},
		{"two settings", file, []Setting{{Field: "config.epochs", Value: "0"}, {Field: "config.seeds", Value: "1"}},
			[]string{"--set config.epochs=0 config.epochs", "--set config.seeds=1 config.seeds"}},
		{"a model of the file that does not fit what is set", file, []Setting{{Field: "model_architecture", Value: "resnet"}}, []string{"job.yaml:2:9 model.hidden"}},
		{"a misspelt name in the file", edit("mlp", "mpl"), []Setting{{Field: "config.optimizer", Value: "adm"}, {Field: "config.optimiser.beta1", Value: "2"}},
			[]string{"job.yaml:1:21 model_architecture", "--set config.optimizer=adm config.optimizer", "--set config.optimiser.beta1=2 config.optimiser.beta1"}},
		{"no YAML", "config: [", []Setting{{Field: "epochs", Value: "4"}}, []string{"job.yaml:1:9 ", "--set epochs=4 epochs"}},
	} {
		for i := range test.set {
			test.set[i].Origin = "--set"
		}
		_, err := ParseTrainingRequest("job.yaml", []byte(test.file), test.set...)
		if err == nil {
			t.Errorf("%s: accepted", test.name)
			continue
		}
		if got := places(t, err); !slices.Equal(got, test.want) {
			t.Errorf("%s: at %q, want %q\n%v", test.name, got, test.want, err)
		}
	}
}

func TestAFieldThatDoesNotExistIsAnsweredWithTheOneThatWasMeant(t *testing.T) {
	for field, fix := range map[string]string{
		"epochs": "did you mean config.epochs?", "config/epochs": "did you mean config.epochs?", "config..epochs": "did you mean config.epochs?",
		"config:epochs": "did you mean config.epochs?", "config.epoch": "did you mean config.epochs?", "lr": "did you mean config.learning_rate?",
		"learning-rate": "did you mean config.learning_rate?", "optimizer.beta1": "did you mean config.optimizer.beta1?",
		"config.optimizr.beta1": "did you mean config.optimizer.beta1?", "hidden": "did you mean model.hidden?", "targt": "did you mean dataset.target?",
		"zzzzzzzz": "write the path with dots", "": "write the path with dots", "model.hidden[0]": "set the whole list: model.hidden=[...]",
	} {
		_, err := parse(t, forkedRequest).With(Setting{Field: field, Value: "4"})
		errs := requestErrors(t, err)
		if len(errs) != 1 || errs[0].Field != field || !strings.HasPrefix(errs[0].Fix, fix) || strings.Contains(errs[0].Error(), "4 is") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Defaults that nobody wrote are not in the way of what is set.
func TestAnotherArchitectureCanBeSetWhereTheFileDoesNotSizeTheModel(t *testing.T) {
	for _, settings := range [][]Setting{
		{{Field: "model_architecture", Value: "resnet"}}, {{Field: "model_architecture", Value: "gpt"}}, {{Field: "model_architecture", Value: "[{type: flatten}, {type: linear, units: 10}]"}},
		{{Field: "config.optimizer.name", Value: "sgd"}}, {{Field: "config.optimizer.beta1", Value: "0.8"}}, {{Field: "config.optimizer.name", Value: "sgd"}, {Field: "config.optimizer.momentum", Value: "0.9"}},
	} {
		for _, file := range []string{minimal(""), minimal(", optimizer: adam")} {
			if _, err := ParseTrainingRequest("job.yaml", []byte(file), settings...); err != nil {
				t.Errorf("%v: %v", settings, err)
			}
		}
	}
	// A default that was in use stays so: a step of one, of exponential.
	file := []byte(minimal(", schedule: {name: exponential, gamma: 0.5}"))
	if r, err := ParseTrainingRequest("", file, Setting{Field: "config.schedule.name", Value: "step"}); err != nil || r.Config.Schedule.StepSize != 1 {
		t.Errorf("%+v, %v", r.Config.Schedule, err)
	}
}

// What comes with an error is what more mistakes can be found in.
func TestARequestWithMistakesSaysWhichPartsAreSound(t *testing.T) {
	for text, want := range map[string]string{
		strings.Replace(minimal(""), "mlp", "mpl", 1):                                  "model dataset_path dataset config",
		strings.Replace(minimal(""), "dataset_path", "datset_path", 1):                 "model_architecture model dataset config",
		"target: x\n" + minimal(""):                                                    "model_architecture model dataset_path config",
		strings.Replace(minimal(""), "batch_size", "size", 1):                          "model_architecture model dataset_path dataset",
		minimal(", shards: 1000"):                                                      "model_architecture model dataset_path dataset",
		strings.Replace(minimal(""), "mlp", "gpt\nmodel: {heads: 3}", 1):               "model_architecture dataset_path dataset config",
		strings.Replace(minimal(""), "mlp", "[{type: dropout, rate: 0.999999999}]", 1): "model dataset_path dataset config",
		"a: [": "",
	} {
		r, err := ParseTrainingRequest("job.yaml", []byte(text))
		if err == nil {
			t.Errorf("accepted:\n%s", text)
			continue
		}
		var sound []string
		for _, key := range []string{"model_architecture", "model", "dataset_path", "dataset", "config"} {
			if r.Sound(key) {
				sound = append(sound, key)
			}
		}
		if got := strings.Join(sound, " "); got != want {
			t.Errorf("%q are sound, want %q:\n%v", got, want, err)
		}
	}
}
