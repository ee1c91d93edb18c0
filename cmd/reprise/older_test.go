package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that opens the event log names one that is older than the files
// beside it, once: those that only show it warn, the others refuse.
func TestEveryCommandNamesAnOlderLog(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	job := mlpJob(t, "batch_size: 256, learning_rate: 0.002, epochs: 1, seed: 3")
	log := filepath.Join(data, "events.db")
	train := func() {
		t.Helper()
		if o := inProcess(data, "train", job); o.code != 0 {
			t.Fatalf("exit code %d\n%s", o.code, o.stderr)
		}
	}
	train()
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	train()
	if err := os.WriteFile(log, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	key, _ := newKeys(t)
	const warns, refuses = 0, 1
	type line struct {
		args string
		code int
	}
	commands := map[string][]line{
		"runs list": {{"", warns}}, "runs show": {{"latest", warns}}, "runs events": {{"latest", warns}}, "runs metrics": {{"latest", warns}},
		"runs explain": {{"latest", warns}}, "runs compare": {{"latest latest", exitInvalid}}, "runs annotate": {{"latest --tag a", refuses}}, "runs delete": {{"latest --yes", refuses}},
		"runs plot":   {{"latest", warns}, {"latest --kind roc --out " + filepath.Join(dir, "roc.svg"), warns}},
		"runs export": {{"latest --tensorboard " + filepath.Join(dir, "curves"), warns}},
		"runs verify": {{"latest", refuses}}, "runs resume": {{"latest", refuses}}, "runs fork": {{"latest --set config.epochs=2", refuses}},
		"runs cancel": {{"latest", refuses}}, "runs pause": {{"latest", refuses}}, "runs priority": {{"latest --priority 1", refuses}},
		"runs retry": {{"latest", refuses}},
		"generate":   {{"latest --prompt a", exitInvalid}}, // no language model
		"predict":    {{"latest --input " + filepath.Join(dir, "none.csv"), exitInvalid}},
		"evaluate":   {{"latest", warns}},
		"export":     {{"latest --format onnx --out " + filepath.Join(dir, "model.onnx"), warns}},
		"queue set":  {{"--quota a=1", refuses}}, "state": {{"", warns}}, "devices": {{"", warns}}, "projections list": {{"", warns}}, "projections rebuild": {{"", refuses}},
		"events head": {{"", warns}, {"-o json", warns}, {"--sign " + key, refuses}}, "events tail": {{"", warns}, {"--run latest", warns}},
		"events verify": {{"", refuses}, {"-o json", refuses}}, "events replay": {{"latest", warns}},
		"events export": {{"", warns}, {filepath.Join(dir, "export.jsonl"), warns}},
		"backup":        {{filepath.Join(dir, "backup"), refuses}}, "train": {{job, refuses}},
		// It reports what the log lacks among what is missing.
		"events salvage": nil,
		// These open no log, or none that exists.
		"actors": nil, "completion": nil, "datasets get": nil, "datasets inspect": nil, "datasets list": nil, "events import": nil,
		"help": nil, "restore": nil, "validate": nil, "version": nil,
	}
	everyCommand(func(c *cobra.Command) {
		if c.HasSubCommands() {
			return
		}
		name := strings.TrimPrefix(c.CommandPath(), "reprise ")
		lines, known := commands[name]
		delete(commands, name)
		if !known {
			t.Errorf("%s: say here what it does under an older log", name)
		}
		for _, l := range lines {
			args := append(strings.Fields(name), strings.Fields(l.args)...)
			o := inProcess(data, args...)
			if n := strings.Count(o.stdout+o.stderr, "is older than the files beside it: "); n != 1 || o.code != l.code {
				t.Errorf("%s: exit code %d, want %d; the log is named %d times\n%s%s", strings.Join(args, " "), o.code, l.code, n, o.stdout, o.stderr)
			}
			if warned := strings.HasPrefix(o.stderr, "reprise: warning: "); warned != (l.code != refuses) {
				t.Errorf("%s: %s", strings.Join(args, " "), o.stderr)
			}
		}
	})
	for name := range commands {
		t.Errorf("there is no command %q", name)
	}
	for name, args := range map[string][]string{"the runs": {"runs", "show", ""}, "the steps": {"runs", "fork", "latest", "--from", ""}} {
		if o := inProcess(data, append([]string{"__complete"}, args...)...); strings.Contains(o.stdout+o.stderr, "older") || !strings.Contains(o.stdout, "\t") {
			t.Errorf("completing %s: %q, %q", name, o.stdout, o.stderr)
		}
	}
	if got, err := os.ReadFile(log); err != nil || string(got) != string(raw) {
		t.Errorf("the log was changed: %v", err)
	}
}
