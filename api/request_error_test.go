package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// leaves returns the single errors of a possibly joined one.
func leaves(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// requestErrors fails unless every leaf is a *RequestError.
func requestErrors(t testing.TB, err error) []*RequestError {
	t.Helper()
	var out []*RequestError
	for _, leaf := range leaves(err) {
		var bad *RequestError
		if !errors.As(leaf, &bad) {
			t.Fatalf("%T: %v, want a *RequestError", leaf, leaf)
		}
		out = append(out, bad)
	}
	return out
}

// checkCaret fails unless the caret of the message stands under the character
// that Line and Column name, tabs taken for what they are in both lines.
func checkCaret(t testing.TB, text string, e *RequestError) {
	t.Helper()
	printed := strings.Split(e.Error(), "\n")
	if e.Line == 0 {
		if len(printed) != 1 {
			t.Errorf("an excerpt without a place:\n%v", e)
		}
		return
	}
	lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n"), "\n")
	if e.Line > len(lines) || e.Column < 1 || e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 {
		t.Errorf("%d:%d is not in the file:\n%v", e.Line, e.Column, e)
		return
	}
	if len(printed) != 3 || !strings.HasSuffix(printed[2], "^") {
		t.Errorf("no excerpt:\n%v", e)
		return
	}
	source, caret := []rune(printed[1]), []rune(printed[2])
	at := len(caret) - 1
	want := append([]rune(lines[e.Line-1]), ' ')[e.Column-1]
	if got := append(source, ' ')[at]; got != want && got != utf8.RuneError {
		t.Errorf("the caret is under %q, want %q:\n%v", got, want, e)
	}
	for i, r := range source[:at] {
		if (r == '\t') != (caret[i] == '\t') {
			t.Errorf("the tabs of the two lines differ:\n%v", e)
		}
	}
}

func TestTheMessageShowsPlaceFieldValueFixAndCaret(t *testing.T) {
	_, err := ParseTrainingRequest("job.yaml", []byte("model_architecture: mlp\ndataset_path: mnist\n\nconfig: {batch_size: 0, learning_rate: 0.001, epochs: 3}\n"))
	const want = `job.yaml:4:22: config.batch_size: 0 must be at least 1; use a size such as 32
    4 | config: {batch_size: 0, learning_rate: 0.001, epochs: 3}
      |                      ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// mistake is a request and the one error expected of it: its field, the text
// at its place, its value and parts of the message.
type mistake struct {
	text, field, at, value string
	says                   []string
}

func checkMistakes(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		_, err := ParseTrainingRequest("job.yaml", []byte(m.text))
		if err == nil {
			t.Errorf("accepted:\n%s", m.text)
			continue
		}
		errs := requestErrors(t, err)
		if len(errs) != 1 {
			t.Errorf("%d errors, want 1, for\n%s\n%v", len(errs), m.text, err)
			continue
		}
		e := errs[0]
		checkCaret(t, m.text, e)
		if e.Field != m.field || e.Value != m.value || e.File != "job.yaml" || e.Problem == "" || e.Fix == "" {
			t.Errorf("for\n%s\ngot %#v", m.text, e)
		}
		if m.at != "" {
			lines := strings.Split(m.text, "\n")
			if e.Line < 1 || !strings.HasPrefix(string([]rune(lines[e.Line-1])[e.Column-1:]), m.at) {
				t.Errorf("points at %d:%d, want %q:\n%v", e.Line, e.Column, m.at, err)
			}
		}
		for _, part := range m.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("lacks %q:\n%v", part, err)
			}
		}
	}
}

func TestWrongValuesAreNamedWithTheirFix(t *testing.T) {
	config := func(text string) string {
		return "model_architecture: mlp\ndataset_path: digits\nconfig: {" + text + "}\n"
	}
	checkMistakes(t, []mistake{
		{config("batch_size: 0, learning_rate: 1, epochs: 1"), "config.batch_size", "0,", "0", []string{"at least 1", "32"}},
		{config("batch_size: -5, learning_rate: 1, epochs: 1"), "config.batch_size", "-5", "-5", []string{"at least 1"}},
		{config(`batch_size: "128", learning_rate: 1, epochs: 1`), "config.batch_size", `"128"`, `"128"`, []string{"not a whole number", "write 128 without quotes"}},
		{config("batch_size: 1.5, learning_rate: 1, epochs: 1"), "config.batch_size", "1.5", "1.5", []string{"not a whole number"}},
		{config("batch_size: 1e3, learning_rate: 1, epochs: 1"), "config.batch_size", "1e3", "1e3", []string{"whole number", "write 1000"}},
		{config("batch_size: 8.0, learning_rate: 1, epochs: 1"), "config.batch_size", "8.0", "8.0", []string{"whole number", "write 8"}},
		{config("batch_size: 1_000, learning_rate: 1, epochs: 1"), "config.batch_size", "1_000", "1_000", []string{"write 1000 without underscores"}},
		{config("batch_size: 010, learning_rate: 1, epochs: 1"), "config.batch_size", "010", "010", []string{"without the leading zero"}},
		{config("batch_size: 0x10, learning_rate: 1, epochs: 1"), "config.batch_size", "0x10", "0x10", []string{"in decimal: 16"}},
		{config("batch_size: 99999999999999999999999999999999999, learning_rate: 1, epochs: 1"), "config.batch_size", "999", "99999999999999999999999999999999999", []string{"at most 2147483647"}},
		{config("batch_size: [3], learning_rate: 1, epochs: 1"), "config.batch_size", "[3]", "a list", []string{"not a whole number"}},
		{config("batch_size: , learning_rate: 1, epochs: 1"), "config.batch_size", "batch_size", "", []string{"has no value"}},
		{config("batch_size: null, learning_rate: 1, epochs: 1"), "config.batch_size", "null", "", []string{"has no value"}},
		{config("batch_size: 1, learning_rate: .nan, epochs: 1"), "config.learning_rate", ".nan", ".nan", []string{"not a finite number"}},
		{config("batch_size: 1, learning_rate: -.inf, epochs: 1"), "config.learning_rate", "-.inf", "-.inf", []string{"not a finite number"}},
		{config("batch_size: 1, learning_rate: 1e999, epochs: 1"), "config.learning_rate", "1e999", "1e999", []string{"not a finite number"}},
		{config("batch_size: 1, learning_rate: 1e39, epochs: 1"), "config.learning_rate", "1e39", "1e39", []string{"32-bit float"}},
		{config("batch_size: 1, learning_rate: 1e-50, epochs: 1"), "config.learning_rate", "1e-50", "1e-50", []string{"becomes 0"}},
		{config("batch_size: 1, learning_rate: 1e-999, epochs: 1"), "config.learning_rate", "1e-999", "1e-999", []string{"becomes 0"}},
		{config("batch_size: 1, learning_rate: 0, epochs: 1"), "config.learning_rate", "0,", "0", []string{"above 0"}},
		{config("batch_size: 1, learning_rate: -0.0, epochs: 1"), "config.learning_rate", "-0.0", "-0.0", []string{"above 0"}},
		{config("batch_size: 1, learning_rate: -1e-999, epochs: 1"), "config.learning_rate", "-1e-999", "-1e-999", []string{"above 0"}},
		{config("batch_size: 1, learning_rate: 1, epochs: 1000001"), "config.epochs", "1000001", "1000001", []string{"at most 1000000"}},
		{config("batch_size: 4, learning_rate: 1, epochs: 1, shards: 8"), "config.shards", "8}", "8", []string{"batch of 4"}},
		{config("batch_size: 4, learning_rate: 1, epochs: 1, seed: 18446744073709551616"), "config.seed", "1844", "18446744073709551616", []string{"at most 18446744073709551615"}},
		{config("batch_size: 4, learning_rate: 1, epochs: 1, seed: -1"), "config.seed", "-1", "-1", []string{"at least 0"}},
		{config("batch_size: 4, learning_rate: 1, epochs: 1, checkpoint_interval: 0"), "config.checkpoint_interval", "0}", "0", []string{"at least 1"}},
	})
	checkMistakes(t, []mistake{
		{minimal(", gradient_accumulation: 0"), "config.gradient_accumulation", "0}", "0", []string{"at least 1", "use 1"}},
		{minimal(", gradient_accumulation: 65537"), "config.gradient_accumulation", "65537", "65537", []string{"at most 65536"}},
		{minimal(", clip_norm: -1"), "config.clip_norm", "-1", "-1", []string{"at least 0", "0 for no clipping"}},
		{minimal(", clip_norm: 1e39"), "config.clip_norm", "1e39", "1e39", []string{"32-bit float"}},
		{minimal(", clip_norm: 1e-60"), "config.clip_norm", "1e-60", "1e-60", []string{"becomes 0"}},
		{minimal(", label_smoothing: 1"), "config.label_smoothing", "1}", "1", []string{"below 1", "0.1"}},
		{minimal(", label_smoothing: 0.9999999999"), "config.label_smoothing", "0.99", "1", []string{"[0, 1)"}},
		{minimal(", label_smoothing: -0.1"), "config.label_smoothing", "-0.1", "-0.1", []string{"at least 0"}},
		{minimal(", augmentation: flip"), "config.augmentation", "flip", "flip", []string{"{flip: true, crop: 4}"}},
		{minimal(", augmentation: {flip: yes}"), "config.augmentation.flip", "yes", "yes", []string{"write true"}},
		{minimal(", augmentation: {crop: 256}"), "config.augmentation.crop", "256", "256", []string{"at most 255"}},
		{minimal(", augmentation: {crop: -1}"), "config.augmentation.crop", "-1", "-1", []string{"at least 0"}},
		{minimal(", augmentation: {flips: true}"), "config.augmentation.flips", "flips", "", []string{"did you mean flip?"}},
		{minimal(", eval_interval: -1"), "config.eval_interval", "-1", "-1", []string{"at least 0"}},
		{minimal(", eval_interval: 1.5"), "config.eval_interval", "1.5", "1.5", []string{"whole number"}},
		{minimal(", early_stopping: 5"), "config.early_stopping", "5}", "5", []string{"{patience: 5}"}},
		{minimal(", early_stopping: {}"), "config.early_stopping.patience", "early_stopping", "", []string{"is missing", "such as 5"}},
		{minimal(", early_stopping: {patience: 0}"), "config.early_stopping.patience", "0}", "0", []string{"at least 1"}},
		{minimal(", early_stopping: {patience: 1, min_delta: -1}"), "config.early_stopping.min_delta", "-1", "-1", []string{"at least 0"}},
		{minimal(", early_stopping: {patience: 1, delta: 1}"), "config.early_stopping.delta", "delta", "", []string{"did you mean min_delta?"}},
		{minimal(", monitor: 3"), "config.monitor", "3}", "3", []string{"not a text"}},
		{minimal(", criterion: mae"), "config.criterion", "criterion", "", []string{"loss"}},
		{minimal(", loss: hubber"), "config.loss", "hubber", "hubber", []string{"huber"}},
		{minimal(", loss: {name: mae, delta: 1}"), "config.loss.delta", "delta", "", []string{"delta"}},
		{minimal(", loss: {name: focal, gamma: 0}"), "config.loss.gamma", "0}", "0", []string{"above 0", "cross_entropy"}},
		{minimal(", class_weight: even"), "config.class_weight", "even", "even", []string{"write balanced"}},
		{minimal(", class_weight: {a: -1}"), "config.class_weight.a", "-1", "-1", []string{"at least 0"}},
		{minimal(", class_weight: {a: heavy}"), "config.class_weight.a", "heavy", "heavy", []string{"use a weight such as 5"}},
		{minimal(", class_weight: {a: 1e39}"), "config.class_weight.a", "1e39", "1e39", []string{"32-bit float"}},
		{minimal(", sampler: weighted"), "config.sampler", "weighted", "weighted", []string{"not one of shuffled, balanced"}},
	})
}

func TestWrongOptimizersSchedulesAndModelsAreNamedWithTheirFix(t *testing.T) {
	with := func(text string) string { return minimal(", " + text) }
	tail := "dataset_path: digits\nconfig: {batch_size: 1, learning_rate: 1, epochs: 1}\n"
	checkMistakes(t, []mistake{
		{with("optimizer: adamm"), "config.optimizer", "adamm", "adamm", []string{"did you mean adam?"}},
		{with("optimizer: {name: sdg}"), "config.optimizer.name", "sdg", "sdg", []string{"did you mean sgd?"}},
		{with("optimizer: {momentum: 0.9}"), "config.optimizer.name", "optimizer", "", []string{"is missing"}},
		{with("optimizer: {name: adam, momentum: 0.9}"), "config.optimizer.momentum", "momentum", "", []string{"not a key of adam", "beta1"}},
		{with("optimizer: {name: adam, beta1: 0}"), "config.optimizer.beta1", "0}", "0", []string{"above 0"}},
		{with("optimizer: {name: adam, beta2: 0.99999999999}"), "config.optimizer.beta2", "0.999", "1", []string{"less than 1"}},
		{with("optimizer: {name: adam, epsilon: 1e-60}"), "config.optimizer.epsilon", "1e-60", "1e-60", []string{"becomes 0"}},
		{with("optimizer: {name: sgd, momentum: 1}"), "config.optimizer.momentum", "1}", "1", []string{"below 1"}},
		{with("optimizer: {name: sgd, nesterov: true}"), "config.optimizer.nesterov", "true", "true", []string{"momentum is 0", "0.9"}},
		{with("optimizer: {name: sgd, nesterov: yes, momentum: 0.5}"), "config.optimizer.nesterov", "yes", "yes", []string{"write true"}},
		{with("optimizer: [adam]"), "config.optimizer", "[adam]", "a list", []string{"use adam"}},
		{with("schedule: step"), "config.schedule", "step", "step", []string{"needs settings", "step_size: 1000"}},
		{with("schedule: 3"), "config.schedule", "3}", "3", []string{"use constant"}},
		{with("schedule: {name: cosin}"), "config.schedule.name", "cosin", "cosin", []string{"did you mean cosine?"}},
		{with("schedule: {name: constant, warmup_steps: 3}"), "config.schedule.warmup_steps", "warmup_steps", "", []string{"constant_with_warmup"}},
		{with("schedule: {name: exponential}"), "config.schedule.gamma", "schedule", "", []string{"is missing", "0.1"}},
		{with("schedule: reduce_on_plateau"), "config.schedule", "reduce_on_plateau", "reduce_on_plateau", []string{"needs settings", "patience: 3"}},
		{with("schedule: {name: reduce_on_plateau, gamma: 0.5}"), "config.schedule.patience", "schedule", "", []string{"is missing", "such as 3"}},
		{with("schedule: {name: reduce_on_plateau, patience: 1}"), "config.schedule.gamma", "schedule", "", []string{"is missing", "0.1"}},
		{with("schedule: {name: reduce_on_plateau, patience: 1, gamma: 1}"), "config.schedule.gamma", "1}", "1", []string{"below 1"}},
		{with("schedule: {name: reduce_on_plateau, patience: -1, gamma: 0.5}"), "config.schedule.patience", "-1", "-1", []string{"at least 0"}},
		{with("schedule: {name: reduce_on_plateau, patience: 1, gamma: 0.5, threshold: 1}"), "config.schedule.threshold", "1}", "1", []string{"below 1", "0.0001"}},
		{with("schedule: {name: reduce_on_plateau, patience: 1, gamma: 0.5, factor: 0.1}"), "config.schedule.factor", "factor", "", []string{"not a key of reduce_on_plateau"}},
		{with("schedule: {name: step, step_size: 3, gamma: 0.5, patience: 1}"), "config.schedule.patience", "patience", "", []string{"not a key of step"}},
		{with("schedule: {name: polynomial, power: .inf}"), "config.schedule.power", ".inf", ".inf", []string{"finite"}},
		{"model_architecture: mpl\n" + tail, "model_architecture", "mpl", "mpl", []string{"did you mean mlp?"}},
		{"model_architecture: 3\n" + tail, "model_architecture", "3", "3", []string{"use mlp, cnn"}},
		{"model_architecture: []\n" + tail, "model_architecture", "[]", "a list", []string{"at least 1"}},
		{"model_architecture: mlp\nmodel: {channels: [1]}\n" + tail, "model.channels", "channels", "", []string{"mlp", "cnn"}},
		{"model_architecture: [{type: flatten}]\nmodel: {hidden: [1]}\n" + tail, "model.hidden", "hidden", "", []string{"list of layers"}},
		{"model_architecture: mlp\nmodel: {hidden: 128}\n" + tail, "model.hidden", "128", "128", []string{"not a list", "[256, 128]"}},
		{"model_architecture: mlp\nmodel: {hidden: [128, 0]}\n" + tail, "model.hidden[1]", "0]", "0", []string{"at least 1"}},
		{"model_architecture: mlp\nmodel: {activation: rleu}\n" + tail, "model.activation", "rleu", "rleu", []string{"did you mean relu?"}},
		{"model_architecture: resnt\n" + tail, "model_architecture", "resnt", "resnt", []string{"did you mean resnet?"}},
		{"model_architecture: resnet\nmodel: {depth: 9}\n" + tail, "model.depth", "9}", "9", []string{"6n+2", "use 8 or 14"}},
		{"model_architecture: resnet\nmodel: {depth: 18}\n" + tail, "model.depth", "18}", "18", []string{"use 14 or 20"}},
		{"model_architecture: resnet\nmodel: {depth: 2}\n" + tail, "model.depth", "2}", "2", []string{"at least 8"}},
		{"model_architecture: resnet\nmodel: {width: 0}\n" + tail, "model.width", "0}", "0", []string{"at least 1"}},
		{"model_architecture: gpt\nmodel: {heads: 3}\n" + tail, "model.heads", "3}", "3", []string{"width of 128", "same width"}},
		{"model_architecture: vit\nmodel: {width: 30}\n" + tail, "model.heads", "model", "4", []string{"width of 30"}},
		{"model_architecture: gpt\nmodel: {layers: 1001}\n" + tail, "model.layers", "1001", "1001", []string{"at most 1000"}},
		{"model_architecture: gpt\nmodel: {dropout: 1}\n" + tail, "model.dropout", "1}", "1", []string{"below 1"}},
		{"model_architecture: mlp\nmodel: {dropout: 0.9999999999}\n" + tail, "model.dropout", "0.99", "1", []string{"below 1"}},
		{"model_architecture: vit\nmodel: {patch: 0}\n" + tail, "model.patch", "0}", "0", []string{"at least 1"}},
		{"model_architecture: mlp\nmodel: {batch_norm: 1}\n" + tail, "model.batch_norm", "1}", "1", []string{"true or false"}},
		{"dataset: {task: regresion}\nmodel_architecture: mlp\n" + tail, "dataset.task", "regresion", "regresion", []string{"did you mean regression?"}},
		{"dataset: {tokenizer: chars}\nmodel_architecture: gpt\n" + tail, "dataset.tokenizer", "chars", "chars", []string{"bytes, characters, bpe"}},
		{"dataset: {vocabulary: 256}\nmodel_architecture: gpt\n" + tail, "dataset.vocabulary", "256", "256", []string{"at least 257"}},
		{"dataset: {context: 0}\nmodel_architecture: gpt\n" + tail, "dataset.context", "0}", "0", []string{"at least 1"}},
		{"dataset: {context: 2000000}\nmodel_architecture: gpt\n" + tail, "dataset.context", "2000000", "2000000", []string{"at most 1048576"}},
		{"model_architecture: cnn\nmodel: {channels: []}\n" + tail, "model.channels", "[]", "a list", []string{"at least 1"}},
	})
}

func TestWrongLayersAreNamedWithTheirFix(t *testing.T) {
	layer := func(text string) string {
		return "model_architecture:\n- {type: flatten}\n- " + text + "\ndataset_path: digits\nconfig: {batch_size: 1, learning_rate: 1, epochs: 1}\n"
	}
	checkMistakes(t, []mistake{
		{layer("{type: liner, units: 10}"), "model_architecture[1].type", "liner", "liner", []string{"did you mean linear?"}},
		{layer("{units: 10}"), "model_architecture[1].type", "{units", "", []string{"is missing"}},
		{layer("linear"), "model_architecture[1]", "linear", "linear", []string{"{type: linear, units: 10}"}},
		{layer("{type: linear}"), "model_architecture[1].units", "{type: linear", "", []string{"is missing"}},
		{layer("{type: linear, unit: 10}"), "model_architecture[1].unit", "unit:", "", []string{"did you mean units?"}},
		{layer("{type: linear, units: 1e1}"), "model_architecture[1].units", "1e1", "1e1", []string{"whole number"}},
		{layer("{type: linear, units: 3, bias: no}"), "model_architecture[1].bias", "no}", "no", []string{"write false"}},
		{layer("{type: flatten, units: 3}"), "model_architecture[1].units", "units", "", []string{"not a key of flatten"}},
		{layer("{type: conv2d, channels: 3, kernel: [1, 2, 3]}"), "model_architecture[1].kernel", "[1, 2", "a list", []string{"at most 2"}},
		{layer("{type: conv2d, channels: 3, kernel: 3, padding: sme}"), "model_architecture[1].padding", "sme", "sme", []string{"did you mean same?"}},
		{layer("{type: conv2d, channels: 3, kernel: 0}"), "model_architecture[1].kernel", "0}", "0", []string{"at least 1"}},
		{layer("\n    type: activation\n    kind: rleu"), "model_architecture[1].kind", "rleu", "rleu", []string{"did you mean relu?"}},
	})
}

func TestUnknownAndRepeatedKeysAreRefused(t *testing.T) {
	checkMistakes(t, []mistake{
		{minimal(", lerning_rate: 1"), "config.lerning_rate", "lerning_rate", "", []string{"did you mean learning_rate?"}},
		{minimal(", batchSize: 1"), "config.batchSize", "batchSize", "", []string{"did you mean batch_size?"}},
		{minimal(", lr: 1"), "config.lr", "lr", "", []string{"did you mean learning_rate?"}},
		{minimal(", zzz: 1"), "config.zzz", "zzz", "", []string{"use one of augmentation, batch_size"}},
		{minimal(", hidden: [3]"), "config.hidden", "hidden", "", []string{"move it into model"}},
		{minimal("") + "epochs: 3\n", "epochs", "epochs", "", []string{"move it into config"}},
		{minimal(", dataset_path: x"), "config.dataset_path", "dataset_path", "", []string{"top level"}},
		{minimal(", batch_size: 3"), "config.batch_size", "batch_size: 3}", "", []string{"given twice", "line 3"}},
		{minimal("") + "model_architecture: cnn\n", "model_architecture", "model_architecture: cnn", "", []string{"given twice", "line 1"}},
		{strings.Replace(minimal(""), "batch_size: 32, ", "batchsize: 32, ", 1), "config.batchsize", "batchsize", "", []string{"did you mean batch_size?"}},
		{strings.Replace(minimal(""), "dataset_path: digits\n", "", 1), "dataset_path", "model_architecture", "", []string{"is missing", "digits"}},
	})
}

func TestWhatIsNoYAMLIsRefusedWithItsPlace(t *testing.T) {
	checkMistakes(t, []mistake{
		{"", "", "", "", []string{"is empty"}},
		{"  \n# nothing\n---\n", "", "", "", []string{"is empty"}},
		{"null\n", "", "null", "null", []string{"mapping"}},
		{"- 1\n- 2\n", "", "- 1", "a list", []string{"mapping"}},
		{"batch_size:12\n", "", "batch_size", "batch_size:12", []string{"space follows each colon"}},
		{"a: [1, 2\n", "", "[", "", []string{"not valid YAML", "]"}},
		{"a: {b: 1\n", "", "{", "", []string{"not valid YAML", "}"}},
		{"config: [\n", "", "[", "", []string{"this [ is not closed", "close the list with ]"}},
		{"config: [", "", "[", "", []string{"this [ is not closed"}},
		{"config: {", "", "{", "", []string{"this { is not closed", "close the mapping with }"}},
		{"a: {b: [1, 2}\nc: 1\n", "", "[1", "", []string{"this [ is not closed"}},
		{"a: \"[\" # [\nb: it's\nc: [1, '[', \"\\\"[\"\n", "", "[1", "", []string{"this [ is not closed"}},
		{"a: 1\nconfig\n  batch_size: 3\n", "", "config", "", []string{"no colon follows this key", `write "config:"`}},
		{"a: 1\nconfig\n", "", "config", "", []string{`write "config:"`}},
		{"a: 1\nconfig # how\n  batch_size: 3\n", "", "config", "", []string{`write "config:"`}},
		{"model_architecture mlp\ndataset_path: digits\n", "", "model_architecture", "", []string{`write "model_architecture: mlp"`}},
		{"config:\n  batch_size 3\n  epochs: 3\n", "", "batch_size", "", []string{`write "batch_size: 3"`}},
		{"a: 1\n  b: 2\n", "", "b", "", []string{"the indentation of this key does not fit the line above"}},
		{"a: \"x\n", "", `"`, "", []string{"close the text"}},
		{"a:\n\tb: 1\n", "", "\t", "", []string{"indent with spaces"}},
		{"a: b: c\n", "", ": c", "", []string{"not valid YAML", "indentation"}},
		{"a: @x\n", "", "@", "", []string{"quotes"}},
		{"a: &x 1\n", "", "&", "", []string{"anchors"}},
		{"a: *x\n", "", "*", "", []string{"aliases"}},
		{"a: {<<: {b: 1}}\n", "", "<<", "", []string{"merge"}},
		{"a: !!int 3\n", "", "!!int", "", []string{"tags"}},
		{"%YAML 1.2\n---\na: 1\n", "", "%", "", []string{"directives"}},
		{"? a\n: b\n", "", "?", "", []string{"complex keys"}},
		{"? \n  a\n: b\n", "", "?", "", []string{"complex keys"}},
		{"k:\n- a\n- ? b\n", "", "?", "", []string{"complex keys"}},
		{"[a]: b\n", "", "[a]", "", []string{"as keys"}},
		{"a: ! 3\n", "", "! 3", "", []string{"tags"}},
		{"a: &x\n", "", "&", "", []string{"anchors"}},
		{"a: &x 1\nb: *x\n", "", "&", "", []string{"anchors"}},
		{"%TAG ! tag:x,2000:\n---\na: 1\n", "", "%", "", []string{"directives"}},
		{"a: 1\n...\nb: 2\n", "", "b", "", []string{"second document"}},
		{"a: |\n  b\n", "a", "|", "", []string{"block of text", "one line"}},
		{"a: >-\n  b\n", "a", ">", "", []string{"block of text"}},
		{"a: b\n  c\n", "a", "b", "b c", []string{"several lines"}},
		{"a: 'b\n  c'\n", "a", "'b", "b c", []string{"several lines"}},
		{"a: \"b\\\n  c\"\n", "a", `"b`, "bc", []string{"several lines"}},
		{"a: [32\n  16]\n", "a[0]", "32", "32 16", []string{"several lines", "commas"}},
		{"a: 32\t16\n", "a", "32", `32\t16`, []string{"tab", "commas"}},
		{"a: [32\t16]\n", "a[0]", "32", `32\t16`, []string{"tab", "commas"}},
		{"a: {b: 1\t6}\n", "a.b", "1", `1\t6`, []string{"tab"}},
		{"a\tb: 1\n", "", "a", `a\tb`, []string{"tab"}},
		{"a:\n- \nb: 1\n", "a[0]", "", "", []string{"is an empty entry"}},
		{"a: {b:1}\n", "", "b:1", "b:1", []string{"space after the colon"}},
		{"a: {b}\n", "", "b", "b", []string{"key: value"}},
		{": b\n", "", "", "", []string{"key: value"}},
		{"a: b\u0085c\n", "", "", "U+0085", []string{`\u0085`}},
		{"a: b\u2028c\n", "", "", "U+2028", []string{`\u2028`}},
		{"a: \"\ufeffb\"\n", "", "", "U+FEFF", []string{`\ufeff`}},
		{"a: \"\\q\"\n", "", "", "", []string{"escape", "single quotes"}},
		{"a: x\n b: y\n", "", "", "", []string{"not valid YAML"}},
		{"a: 1\n- b\n", "", "", "", []string{"not valid YAML"}},
		{"a: 1\n---\nb: 2\n", "", "b", "", []string{"second document"}},
		{"a: 1\nb: \x01\n", "", "", "byte 0x01", []string{"control character"}},
		{"a: é\n\xff\n", "", "", "byte 0xff", []string{"UTF-8"}},
		{"\xff\xfea\x00", "", "", "", []string{"UTF-16"}},
		{strings.Repeat("#", MaxRequestBytes+1), "", "", "", []string{"larger than"}},
		{"a: " + strings.Repeat("[", 5000), "", "[", "", []string{"nested"}},
		{"a: [" + strings.Repeat("["+strings.Repeat("1,", 99)+"1], ", 330) + "1]\n", "", "", "", []string{"more than 32768"}},
		{strings.Repeat("- ", 5000) + "1\n", "", "- ", "", []string{"nested"}},
		{strings.Repeat("{a: ", 5000), "", "", "", []string{"nested"}},
	})
}

func TestManyMistakesAreReportedTogetherInTheOrderOfTheFile(t *testing.T) {
	text := "model_architecture: mpl\nmodel:\nconfig: {batch_size: 0, epochs: 1.5, colour: red}\nlr: 3\n"
	_, err := ParseTrainingRequest("job.yaml", []byte(text))
	var got []string
	for _, e := range requestErrors(t, err) {
		checkCaret(t, text, e)
		got = append(got, fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Field))
	}
	want := "1:1 dataset_path, 1:21 model_architecture, 2:1 model, 3:1 config.learning_rate, 3:22 config.batch_size, 3:33 config.epochs, 3:38 config.colour, 4:1 lr"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestAtMostTenMistakesAreShown(t *testing.T) {
	text := minimal("")
	for i := range 15 {
		text += fmt.Sprintf("key%d: 1\n", i)
	}
	_, err := ParseTrainingRequest("job.yaml", []byte(text))
	errs := requestErrors(t, err)
	if len(errs) != 11 || !strings.Contains(errs[10].Error(), "5 more mistakes") {
		t.Errorf("%d errors:\n%v", len(errs), err)
	}
}

func TestTheExcerptOfALongOrHostileLineIsReadable(t *testing.T) {
	long := minimal(", zzz: 1, seed: 7" + strings.Repeat(" ", 3000))
	_, err := ParseTrainingRequest("job.yaml", []byte(long))
	for _, e := range requestErrors(t, err) {
		checkCaret(t, long, e)
	}
	if len(err.Error()) > 600 {
		t.Errorf("%d characters:\n%v", len(err.Error()), err)
	}
	far := minimal(strings.Repeat(" ", 3000) + ", zzz: 1")
	_, err = ParseTrainingRequest("job.yaml", []byte(far))
	checkCaret(t, far, requestErrors(t, err)[0])

	hostile := "a: \"\u202e\u009b31m\"\nwrong\n"
	_, err = ParseTrainingRequest("job.yaml", []byte("dataset_path: \"\u202e\u009b31m\"\n"))
	if strings.ContainsAny(err.Error(), "\u202e\u009b") {
		t.Errorf("%s: control characters in %q", hostile, err.Error())
	}
}

func TestAnErrorWithoutAFileIsJustItsMessage(t *testing.T) {
	e := &RequestError{Field: "config.epochs", Value: "0", Problem: "must be at least 1", Fix: "use 10"}
	if e.Error() != "config.epochs: 0 must be at least 1; use 10" || errors.Unwrap(e) != nil {
		t.Errorf("%v", e)
	}
}

// Each of these took minutes, or would, where anything is quadratic.
func TestAHugeRequestIsRefusedSoon(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	fill := func(before, part, after string, n int) string { return before + strings.Repeat(part, n) + after }
	var keys strings.Builder
	const maxTokens = 1 << 16 // as many marks as fit below the limit of what is read
	for i := range maxTokens/3 - 1 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for name, text := range map[string]string{
		"one long list":     fill("model: {hidden: [", "0, ", "1]}", maxTokens/2-10),
		"many layers":       fill("model_architecture: [", "{type: x}, ", "1]", maxTokens/6-10),
		"many wrong bodies": fill("model_architecture: [", "{type: residual, body: ["+strings.Repeat("{type: conv3d}, ", 1000)+"1]}, ", "1]", maxTokens/6100),
		"many deep layers":  fill("model_architecture: [", fill("", "{type: residual, body: [", "{type: x}", 30)+strings.Repeat("]}", 30)+", ", "1]", maxTokens/400),
		"many unknown keys": keys.String(),
		"one long number":   fill("seed: ", "9", "", MaxRequestBytes-10),
		"one long fraction": fill("seed: 1.", "9", "", MaxRequestBytes-10),
		"one long text":     fill(`dataset_path: "`, `\n`, `"`, MaxRequestBytes/2-20),
		"one long key":      fill("", "x", ": 1", MaxRequestBytes-10),
		"one long comment":  fill("", "#\n", "", MaxRequestBytes/2),
		"a far exponent":    "config: {learning_rate: 1e999999999, epochs: -1e-99999999999}",
		"more than allowed": fill("a: [", "1,", "1]", MaxRequestBytes/2-10),
	} {
		_, err := ParseTrainingRequest("job.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if errs := requestErrors(t, err); len(errs) > maxErrors+1 || len(err.Error()) > 7000 {
			t.Errorf("%s: %d errors, %d characters", name, len(errs), len(err.Error()))
		}
	}
}
