package api

import (
	"fmt"
	"strings"
	"testing"
)

// A key in the wrong mapping is answered with the line to write in its place.
func TestAKeyInTheWrongPlaceIsShownWhereItBelongs(t *testing.T) {
	training := func(more string) string { return minimal(", " + more) }
	for _, c := range []struct{ text, fix string }{
		{training("momentum: 0.9"), "write optimizer: {name: sgd, momentum: 0.9}"},
		{training("optimizer: sgd, weight_decay: 0.01"), "write optimizer: {name: sgd, weight_decay: 0.01}"},
		{training("optimizer: {name: adamw}, weight_decay: 0.01"), "write optimizer: {name: adamw, weight_decay: 0.01}"},
		{training("optimizer: adam, momentum: 0.9"), "write optimizer: {name: sgd, momentum: 0.9}"},
		{training("betas: [0.9, 0.99]"), "write optimizer: {name: adam, beta1: 0.9, beta2: 0.99}"},
		{training("eps: 1e-7"), "write optimizer: {name: adam, epsilon: 1e-7}"},
		{training("patience: 3"), "write early_stopping: {patience: 3}, or schedule: {name: reduce_on_plateau, patience: 3}"},
		{training("crop: 2"), "write augmentation: {crop: 2}"},
		{training("batch: 2"), "did you mean batch_size?"},
		{training("dropout: 0.5"), "move it into model"},
		{minimal("") + "momentum: 0.9\n", "write optimizer: {name: sgd, momentum: 0.9} in config"},
		{minimal("") + "dataset: {validation: 0.3}\n", "did you mean validation_fraction?"},
		{minimal("") + "dataset: {test_size: 0.3}\n", "did you mean validation_fraction?"},
		{strings.Replace(minimal(""), "dataset_path: digits", "dataset: {path: digits}", 1), "write dataset_path: digits, outside dataset"},
		{strings.Replace(minimal(""), "model_architecture: mlp", "model: {architecture: mlp}", 1), "write model_architecture: mlp, outside model"},
		{strings.Replace(minimal(""), "dataset_path:", "dataset:", 1), "write dataset_path: digits"},
		{strings.Replace(minimal(""), "dataset_path:", "data:", 1), "did you mean dataset_path?"},
		{training("optimizer: {name: adam, momentum: 0.9}"), "use one of " + keysAt("/$defs/adam")},
	} {
		_, err := ParseTrainingRequest("job.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), "; "+c.fix+"\n") {
			t.Errorf("%s\n%v\nwant %s", c.text, err, c.fix)
		}
	}
}

func TestKeysAreListedOnce(t *testing.T) {
	_, err := ParseTrainingRequest("job.yaml", []byte(minimal(", foo: 1, bar: 2")))
	if text := fmt.Sprint(err); strings.Count(text, "label_smoothing") != 1 || !strings.Contains(text, "config.bar: is not a known key; use one of the keys listed above") {
		t.Error(text)
	}
}

func TestAnUnknownFieldOfASettingIsSoughtInItsMapping(t *testing.T) {
	r := parse(t, minimal(""))
	for field, want := range map[string]string{
		"config.foo":           "use one of the keys of config: augmentation, batch_size,",
		"config.optimizer.foo": "use one of the keys of config.optimizer: " + keysAt("/$defs/adam", "/$defs/sgd"),
		"dataset.foo":          "use one of the keys of dataset: columns, context, encoding, image, missing, root, separator, split, target, task,",
		"config.momentum":      "did you mean config.optimizer.momentum?",
		"config.patience":      "did you mean config.early_stopping.patience or config.schedule.patience?",
		"config.betas":         "did you mean config.optimizer.beta1 or config.optimizer.beta2?",
		"dataset.validation":   "did you mean dataset.validation_fraction?",
		"confg.seed":           "did you mean config.seed?",
		"config.sed":           "did you mean config.seed?",
	} {
		_, err := r.With(Setting{Field: field, Value: "1"})
		if err == nil || !strings.Contains(err.Error(), "no such field; "+want) {
			t.Errorf("%s: %v, want %s", field, err, want)
		}
	}
}

func TestOneMistakeMoreThanAreShownIsShown(t *testing.T) {
	for n, want := range map[int]string{11: "config.k10: ", 12: "2 more mistakes are not shown"} {
		var more strings.Builder
		for i := range n {
			fmt.Fprintf(&more, ", k%d: 1", i)
		}
		_, err := ParseTrainingRequest("job.yaml", []byte(minimal(more.String())))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "1 more mistakes") {
			t.Errorf("%d mistakes: %v", n, err)
		}
	}
}

func TestATextThatBeginsAsANumberIsNotANumber(t *testing.T) {
	_, err := ParseTrainingRequest("job.yaml", []byte(strings.Replace(minimal(""), "0.001", "1e-3x", 1)))
	if err == nil || !strings.Contains(err.Error(), "1e-3x is not a number; ") {
		t.Error(err)
	}
}

// keysAt lists the keys of mappings of the schema, as messages do.
func keysAt(pointers ...string) string {
	return strings.Join(schemaKeys(requestSchema(), pointers...), ", ")
}
