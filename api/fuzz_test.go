package api

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A request is parsed, or refused with errors that have a place within the
// file; what is accepted means the same to another reader of YAML and survives
// its canonical form. It never panics.
func FuzzParseTrainingRequest(f *testing.F) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, seed := range []string{
		issueRequest, "", "{}", "a: &a [*a]", "? - a\n: b", "a: |\n  x\n", "{\"a\":\t1,}", "a: \"\\ud83d", "- - - 1", "a: 'x\n  y'\n", "%TAG ! x\n---\n",
		"model_architecture: [{type: conv2d, channels: 3, kernel: [3, 1e1], padding: same}, {type: flatten}]\ndataset_path: \"x\\n\"\nconfig: {batch_size: 1e1, learning_rate: .1e-40, epochs: ~}\n",
		minimal(", optimizer: {name: sgd, momentum: 0.9}, schedule: {name: step, step_size: 3, gamma: 0.5}"),
		minimal(", schedule: {name: reduce_on_plateau, gamma: 0.5, patience: 0}, augmentation: {flip: true, crop: 4}, early_stopping: {patience: 3, min_delta: 1e-320}, label_smoothing: 0.99999999"),
		"model_architecture: [{type: residual, body: [{type: dropout, rate: 0.999999999}, {type: residual, body: [{type: position}], shortcut: [{type: linear, units: 1}]}]}]\ndataset_path: x\ndataset: {task: next_token, tokenizer: bpe, vocabulary: 300, context: 8}\nconfig: {batch_size: 1, learning_rate: 1, epochs: 1, clip_norm: 1, gradient_accumulation: 2, eval_interval: 3}\n",
		"model: {layers: 2, heads: 2, width: 6, dropout: 0.5}\n" + strings.Replace(minimal(""), "mlp", "gpt", 1),
		"job: {priority: -3, owner: ada, group: g, after: [a, b-1], max_duration: 1h30m, labels: [x]}\n" + minimal(", devices: 2"),
		"job: {after: a, max_duration: 0.5s, priority: +7}\n" + minimal(""),
		minimal(", schedule: {name: exponential, gamma: 1e-320}, seed: 18446744073709551615"),
		"\ufeffmodel_architecture: mlp\r\ndataset_path: x\rconfig:\n  batch_size: 00\n", "a:\n  - b\n - c\n", "[a: b, {c}]", "a: !", "a: *", "a: [}", "---\n---\n...\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := ParseTrainingRequest("job.yaml", content)
		if err != nil {
			errs := requestErrors(t, err)
			if len(errs) > maxErrors+1 {
				t.Errorf("%d errors", len(errs))
			}
			for _, e := range errs {
				if e.Problem == "" || e.Fix == "" || e.Line < 0 || (e.Line > 0) != (e.Column > 0) || (e.Line > 0) != (e.excerpt != "") {
					t.Errorf("%#v", e)
				}
			}
			return
		}
		if other, err := otherReading(string(content)); err == nil && other != shape(r.document.root) {
			t.Fatalf("read as  %s\nand also %s", shape(r.document.root), other)
		}
		raw, err := r.published()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTrainingRequest("job.yaml", raw)
		if err != nil {
			t.Fatalf("%s\n%v", raw, err)
		}
		if !reflect.DeepEqual(bare(again), bare(r)) {
			t.Fatalf("%s\ngot  %+v\nwant %+v", raw, again, r)
		}
	})
}
