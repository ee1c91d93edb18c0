package api

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// goldenRequest is a request and the bytes that it has in the record of a run for
// ever: its canonical form, and the hyperparameters of its first event.
type goldenRequest struct {
	Config          string `json:"config"`
	Canonical       string `json:"canonical"`
	Hyperparameters string `json:"hyperparameters"`
}

// goldenConfigs are settings of config in many combinations; each key occurs.
func goldenConfigs() []string {
	return []string{
		"", "seed: 18446744073709551615", "shards: 2, checkpoint_interval: 3", "optimizer: sgd", "optimizer: adamw",
		"optimizer: {name: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.5}", "optimizer: {name: sgd, momentum: 0.25}",
		"optimizer: {name: adam, beta1: 0.5, beta2: 0.25, epsilon: 1e-5, weight_decay: 0.01}", "optimizer: {name: adam}",
		"schedule: cosine", "schedule: {name: linear, warmup_steps: 5, min_factor: 0.5}",
		"schedule: {name: constant_with_warmup, warmup_steps: 7}", "schedule: {name: cosine_with_restarts, cycles: 2}",
		"schedule: {name: polynomial, power: 2}", "schedule: inverse_sqrt", "schedule: {name: step, step_size: 2, gamma: 0.5}",
		"schedule: {name: exponential, gamma: 0.25}", "schedule: {name: reduce_on_plateau, gamma: 0.5, patience: 1, threshold: 0.125}",
		"gradient_accumulation: 2", "gradient_accumulation: 1", "clip_norm: 1", "clip_norm: 0.1, label_smoothing: 0.1",
		"label_smoothing: 0", "augmentation: {flip: true}", "augmentation: {crop: 2}", "augmentation: {}", "eval_interval: 500",
		"early_stopping: {patience: 5}", "early_stopping: {patience: 5, min_delta: 0.001}", "precision: bf16", "precision: float32",
		"gradient_accumulation: 4, clip_norm: 1.5, label_smoothing: 0.2, augmentation: {flip: true, crop: 4}, eval_interval: 7, " +
			"early_stopping: {patience: 3, min_delta: 0.01}, precision: bf16, optimizer: {name: adamw, weight_decay: 0.1}, schedule: {name: cosine, warmup_steps: 9}",
	}
}

// No change may give a request other bytes than the ones in the records of runs, by
// which runs are resumed, forked and verified. A new hyperparameter is absent from
// both forms unless it is set.
func TestRequestsKeepTheirRecordedBytes(t *testing.T) {
	const file = "testdata/requests.golden.jsonl"
	var list []string
	for _, config := range goldenConfigs() {
		text := minimal("")
		if config != "" {
			text = minimal(", " + config)
		}
		r := parse(t, text)
		hyperparameters, err := json.Marshal(r.Hyperparameters(1437))
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(goldenRequest{config, canonical(t, r), string(hyperparameters)})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(line))
	}
	got := strings.Join(list, "\n") + "\n"
	if os.Getenv("REPRISE_WRITE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(want), "\n"), "\n") {
		if i >= len(list) || list[i] != line {
			t.Errorf("request %d:\ngot  %s\nwant %s", i, strings.Join(list[min(i, len(list)):min(i+1, len(list))], ""), line)
		}
	}
}
