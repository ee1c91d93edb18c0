package api

import (
	"errors"
	"strings"
	"testing"
)

const forkedRequest = `
model_architecture: mlp
model: {hidden: [32]}
dataset_path: digits
config: {batch_size: 16, learning_rate: 0.002, epochs: 3}
`

func TestSettingsGiveTheRequestThatAFileWouldHave(t *testing.T) {
	r := parse(t, forkedRequest)
	set, err := r.With(
		Setting{Field: "config.learning_rate", Value: "5e-4"},
		Setting{Field: "config.schedule", Value: "{name: cosine, warmup_steps: 3}"},
		Setting{Field: "config.early_stopping.patience", Value: "4"}, // was left out
		Setting{Field: "config.optimizer", Value: "adamw"},
		Setting{Field: "model.hidden", Value: "[8, 4]"},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `
model_architecture: mlp
model: {hidden: [8, 4]}
dataset_path: digits
config:
  batch_size: 16
  learning_rate: 0.0005
  epochs: 3
  optimizer: adamw
  schedule: {name: cosine, warmup_steps: 3}
  early_stopping: {patience: 4}
`)
	if got := canonical(t, set); got != canonical(t, want) {
		t.Errorf("%s\nwant\n%s", got, canonical(t, want))
	}
	if same, err := r.With(); err != nil || canonical(t, same) != canonical(t, r) {
		t.Errorf("nothing set: %s, %v", canonical(t, same), err)
	}
	back, err := RecordedRequest([]byte(canonical(t, set)))
	if err != nil || canonical(t, back) != canonical(t, set) {
		t.Errorf("from the record: %v", err)
	}
}

// The same mistake, set or written in a file, gives the same words.
func TestAMistakeThatIsSetIsToldAsInAFile(t *testing.T) {
	for _, c := range []struct{ field, value, file string }{
		{"config.learning_rate", "-1", strings.Replace(forkedRequest, "0.002", "-1", 1)},
		{"config.epochs", "1.5", strings.Replace(forkedRequest, "epochs: 3", "epochs: 1.5", 1)},
		{"config.optimizer.momentum", "0.9", strings.Replace(forkedRequest, "epochs: 3", "epochs: 3, optimizer: {name: adam, momentum: 0.9}", 1)},
		{"config.schedule", "cosin", strings.Replace(forkedRequest, "epochs: 3", "epochs: 3, schedule: cosin", 1)},
		{"config.seed", "1\t2", strings.Replace(forkedRequest, "epochs: 3", "epochs: 3, seed: 1\t2", 1)},
		{"config.clip_norm", "much", strings.Replace(forkedRequest, "epochs: 3", "epochs: 3, clip_norm: much", 1)},
	} {
		_, err := parse(t, forkedRequest).With(Setting{Field: c.field, Value: c.value})
		_, want := ParseTrainingRequest("job.yaml", []byte(c.file))
		var a, b *RequestError
		if !errors.As(err, &a) || !errors.As(want, &b) {
			t.Errorf("%s=%s: %v, in a file %v", c.field, c.value, err, want)
			continue
		}
		if a.Field != b.Field || a.Problem != b.Problem || a.Fix != b.Fix || a.Line != 0 || strings.Contains(a.Error(), "^") {
			t.Errorf("%s=%s: %v\nin a file: %v", c.field, c.value, a, b)
		}
	}
}

func TestASettingThatIsNoneIsRefused(t *testing.T) {
	for _, s := range []Setting{
		{Field: "config.learning_rate", Value: "["}, {Field: "config.learning_rate", Value: "1\nmodel: x"}, {Field: "config..epochs", Value: "1"}, {Field: "", Value: "1"},
		{Field: "model_architecture[0].units", Value: "1"}, {Field: "dataset_path.name", Value: "x"}, {Field: "config.learning_rate", Value: "a: b: c"},
	} {
		var bad *RequestError
		if _, err := parse(t, forkedRequest).With(s); !errors.As(err, &bad) || bad.Field != s.Field || bad.Fix == "" {
			t.Errorf("%s=%s: %v", s.Field, s.Value, err)
		}
	}
}

func TestChangesNamesEachFieldThatDiffers(t *testing.T) {
	a := parse(t, forkedRequest)
	b, err := a.With(Setting{Field: "config.epochs", Value: "9"}, Setting{Field: "config.clip_norm", Value: "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := Changes([]byte(canonical(t, a)), []byte(canonical(t, b)))
	if err != nil || len(list) != 2 ||
		list[0].Field != "config.clip_norm" || string(list[0].From) != "null" || string(list[0].To) != "0.5" ||
		list[1].Field != "config.epochs" || string(list[1].From) != "3" || string(list[1].To) != "9" {
		t.Errorf("%s, %v", list, err)
	}
	if list, err := Changes([]byte(canonical(t, a)), []byte(canonical(t, a))); err != nil || list != nil {
		t.Errorf("of itself: %s, %v", list, err)
	}
}
