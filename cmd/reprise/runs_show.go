package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/internal/stepseries"
	"reprise/nn"
	"reprise/training"
)

// runDetails is a run in `runs show`.
type runDetails struct {
	runRow
	SessionID       training.SessionID       `json:"session_id"`
	ModelID         nn.ModelID               `json:"model_id"`
	Architecture    nn.Architecture          `json:"architecture"`
	Data            training.Dataset         `json:"data"`
	Hyperparameters training.Hyperparameters `json:"hyperparameters"`
	History         training.MetricsHistory  `json:"epochs_history"`
	Checkpoints     []training.Checkpoint    `json:"checkpoints"`
	CheckpointsDir  string                   `json:"checkpoints_dir"`
	Saga            training.TrainingSaga    `json:"saga"`
	Interruptions   int                      `json:"interruptions"`
	Reproduced      int                      `json:"reproduced_epochs"`
	Request         json.RawMessage          `json:"request,omitempty"`
}

func newRunsShowCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "show RUN", Short: "Show a run: model, data, history, checkpoints", Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r reading) error { return env.showRun(r, format) })
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) showRun(r reading, format string) error {
	s := r.run.Session
	details := runDetails{
		runRow: rowOf(r.run, r.workspace), SessionID: s.ID, ModelID: s.ModelID, Architecture: s.Architecture,
		Data: s.Dataset, Hyperparameters: s.Hyperparameters, History: r.run.Metrics, Checkpoints: r.run.Checkpoints,
		CheckpointsDir: r.workspace.CheckpointsDir(r.run.ID), Saga: r.run.Saga,
		Interruptions: r.run.Interruptions, Reproduced: r.run.Reproduced, Request: r.run.Request,
	}
	return env.listing(format, details, func(t *table) error {
		h := s.Hyperparameters
		t.row("run", string(r.run.ID))
		t.row("state", string(details.State))
		if r.run.Reason != "" {
			t.row("reason", r.run.Reason)
		}
		t.row("started", stamp(r.run.StartedAt))
		t.row("last event", stamp(r.run.UpdatedAt))
		t.row("data", describeData(s.Dataset))
		t.row("model", describeModel(s))
		for i, l := range s.Architecture.Layers {
			raw, err := json.Marshal(l)
			if err != nil {
				return err
			}
			t.row(fmt.Sprintf("  layer %d", i), string(raw))
		}
		t.row("optimizer", describeOptimizer(h.Optimizer))
		t.row("learning rate", fmt.Sprintf("%v, %s", h.LearningRate.Value, h.LearningRate.Schedule.Name))
		t.row("batch, shards, seed", fmt.Sprintf("%d, %d, %d", h.BatchSize, h.Shards, h.Seed))
		t.row("interruptions", fmt.Sprintf("%d, %d epochs trained again to the same figures", r.run.Interruptions, r.run.Reproduced))
		t.line("")
		writeEpochs(t, r.run.Metrics)
		t.line("")
		t.line("checkpoints in %s", details.CheckpointsDir)
		t.row("STEP", "EPOCH", "LOSS", "WEIGHTS SHA-256")
		for _, cp := range r.run.Checkpoints {
			t.row(fmt.Sprint(cp.Step), fmt.Sprint(cp.Epoch), figure(cp.Loss), cp.WeightsSHA256)
		}
		return nil
	})
}

func describeOptimizer(o nn.Optimizer) string {
	raw, err := json.Marshal(o.WithDefaults())
	if err != nil {
		return string(o.Name)
	}
	return strings.NewReplacer(`"`, "", "{", "", "}", "", ",", ", ", ":", " ").Replace(string(raw))
}

func writeEpochs(t *table, history training.MetricsHistory) {
	t.row("EPOCH", "STEP", "TRAIN LOSS", "VAL LOSS", "VAL ACCURACY")
	for _, m := range history {
		t.row(fmt.Sprint(m.Epoch), fmt.Sprint(m.Step), figure(m.TrainLoss), figure(m.ValLoss), figure(m.ValAccuracy))
	}
}

// runMetrics is what `runs metrics` prints.
type runMetrics struct {
	RunID  training.RunID          `json:"run_id"`
	Epochs training.MetricsHistory `json:"epochs"`
	Steps  []stepseries.Record     `json:"steps"`
}

func newRunsMetricsCommand(env *environment) *cobra.Command {
	var format string
	var steps bool
	c := &cobra.Command{
		Use:   "metrics RUN",
		Short: "List the loss and accuracy of a run, by epoch and by step",
		Long: `Metrics prints the figures of every epoch; as JSON or YAML, and with --steps, of
every optimiser step as well.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r reading) error { return env.showMetrics(r, format, steps) })
		},
	}
	addListFormat(c, &format)
	c.Flags().BoolVar(&steps, "steps", false, "list every step in the table")
	return c
}

func (env *environment) showMetrics(r reading, format string, steps bool) error {
	records, err := stepseries.Read(r.workspace.SeriesPath(r.run.ID))
	if err != nil {
		return err
	}
	if records == nil {
		records = []stepseries.Record{}
	}
	m := runMetrics{RunID: r.run.ID, Epochs: r.run.Metrics, Steps: records}
	if m.Epochs == nil {
		m.Epochs = training.MetricsHistory{}
	}
	return env.listing(format, m, func(t *table) error {
		writeEpochs(t, m.Epochs)
		if !steps {
			if len(records) > 0 {
				history := newLossHistory(uint64(len(records)))
				for _, s := range records {
					history.add(s.Step, float64(s.Loss))
				}
				t.line("\nloss over %s steps, logarithmic:  %s", count(len(records)), history.sparkline())
			}
			return nil
		}
		t.line("")
		t.row("STEP", "EPOCH", "LOSS", "LEARNING RATE")
		for _, s := range records {
			t.row(fmt.Sprint(s.Step), fmt.Sprint(s.Epoch), fmt.Sprint(s.Loss), fmt.Sprint(s.LearningRate))
		}
		return nil
	})
}
