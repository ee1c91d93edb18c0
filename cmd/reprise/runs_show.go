package main

import (
	"context"
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
	lineage
}

func newRunsShowCommand(env *environment) *cobra.Command {
	var format string
	var at moment
	c := &cobra.Command{
		Use: "show RUN", Short: "Show a run: model, data, history, checkpoints; now or at any moment", Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r reading) error { return env.showRun(c.Context(), r, at, format) })
		},
	}
	addListFormat(c, &format)
	addMoment(c, &at)
	return c
}

func (env *environment) showRun(ctx context.Context, r reading, at moment, format string) error {
	env.warnOfOlderLog(ctx, r.store, r.workspace)
	row := rowOf(r.run.Summary(), r.workspace)
	position, _, err := at.resolve(ctx, r.store, env.now())
	if err != nil {
		return err
	}
	if at.given() {
		if r.run, err = r.log.At(ctx, r.run.ID, position); err != nil {
			return at.named(err)
		}
		row = recordedRow(r.run.Summary()) // no process of today trains it then
	}
	s := r.run.Session
	details := runDetails{
		runRow: row, SessionID: s.ID, ModelID: s.ModelID, Architecture: s.Architecture,
		Data: s.Dataset, Hyperparameters: s.Hyperparameters, History: r.run.Metrics, Checkpoints: r.run.Checkpoints,
		CheckpointsDir: r.workspace.CheckpointsDir(r.run.ID), Saga: r.run.Saga,
		Interruptions: r.run.Interruptions, Reproduced: r.run.Reproduced, Request: r.run.Request,
	}
	if last, ok := r.run.LastCheckpoint(); ok {
		details.FilesMissing = !r.workspace.Checkpoints(r.run.ID).Has(last.Step)
	}
	if details.lineage, err = lineageOf(ctx, r, position); err != nil {
		return err
	}
	return env.listing(format, details, func(t *table) error {
		h := s.Hyperparameters
		t.row("run", string(r.run.ID))
		if at.given() {
			t.row("as of position", count(uint64(position)))
		}
		t.row("state", string(details.State))
		if r.run.Reason != "" {
			t.row("reason", r.run.Reason)
		}
		t.row("started", stamp(r.run.StartedAt))
		t.row("last event", stamp(r.run.UpdatedAt))
		details.lineage.write(t)
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
		if options := describeOptions(h); options != "" {
			t.row("training", options)
		}
		t.row("batch, shards, seed", fmt.Sprintf("%d, %d, %d", h.BatchSize, h.Shards, h.Seed))
		t.row("interruptions", fmt.Sprintf("%d, %d epochs trained again to the same figures", r.run.Interruptions, r.run.Reproduced))
		t.line("")
		writeEpochs(t, s.Dataset, r.run.Metrics)
		writeEvaluations(t, s.Dataset, r.run.TrainingRun)
		t.line("")
		t.line("checkpoints in %s", details.CheckpointsDir)
		best, _ := r.run.BestCheckpoint()
		missing := false
		t.row("STEP", "EPOCH", "LOSS", "WEIGHTS SHA-256")
		for _, cp := range r.run.Checkpoints {
			var marks []string
			if cp.Step == best.Step && len(r.run.Checkpoints) > 1 {
				marks = append(marks, "best")
			}
			if !r.workspace.Checkpoints(r.run.ID).Has(cp.Step) {
				marks = append(marks, "files missing")
				missing = true
			}
			t.row(fmt.Sprint(cp.Step), fmt.Sprint(cp.Epoch), figure(cp.Loss), cp.WeightsSHA256, strings.Join(marks, ", "))
		}
		if missing {
			t.line("\n"+missingFiles, r.workspace.RunDir(r.run.ID))
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

func writeEpochs(t *table, d training.Dataset, history training.MetricsHistory) {
	t.row("EPOCH", "STEP", "TRAIN LOSS", "VAL LOSS", "VAL ACCURACY")
	for _, m := range history {
		t.row(fmt.Sprint(m.Epoch), fmt.Sprint(m.Step), figure(m.TrainLoss), figure(m.ValLoss), accuracyFigure(d, m.ValAccuracy))
	}
}

// writeEvaluations lists those within epochs, where there are any.
func writeEvaluations(t *table, d training.Dataset, r training.TrainingRun) {
	if len(r.Evaluations) > 0 {
		t.line("")
		t.line("evaluations within epochs")
		t.row("STEP", "VAL LOSS", "VAL ACCURACY")
		for _, e := range r.Evaluations {
			t.row(fmt.Sprint(e.Step), figure(e.ValLoss), accuracyFigure(d, e.ValAccuracy))
		}
	}
	if s := r.Stopped; s != nil {
		t.line("\nstopped early after epoch %d: no validation loss below %s, which was reached at step %s", s.Epoch, figure(s.Best), count(s.BestStep))
	}
}

// describeOptions lists the options of training that are not at their default.
func describeOptions(h training.Hyperparameters) string {
	var parts []string
	add := func(given bool, format string, args ...any) {
		if given {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(h.GradientAccumulation > 1, "gradient accumulation %d", h.GradientAccumulation)
	add(h.ClipNorm > 0, "gradients clipped to norm %v", h.ClipNorm)
	add(h.LabelSmoothing > 0, "label smoothing %v", h.LabelSmoothing)
	add(h.Augmentation.Flip, "flipped at random")
	add(h.Augmentation.Crop > 0, "cropped after a padding of %d", h.Augmentation.Crop)
	add(h.EvalInterval > 0, "evaluated every %s steps", count(h.EvalInterval))
	add(h.EarlyStopping.Patience > 0, "early stopping with patience %d", h.EarlyStopping.Patience)
	add(h.Precision == nn.BF16, "activations kept as bfloat16")
	return strings.Join(parts, ", ")
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
	records, err := r.workspace.Series(r.run.ID).Read()
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
		writeEpochs(t, r.run.Session.Dataset, m.Epochs)
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
