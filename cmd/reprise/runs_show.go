package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/nn"
	"reprise/service"
	"reprise/training"
)

func newRunsShowCommand(env *environment) *cobra.Command {
	var format string
	var at pointInTime
	var all bool
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: model, data, history, checkpoints; now or in the past",
		Long: `Show prints what a run trains, its state and what it has recorded: the figures of
its epochs, evaluations and checkpoints. It prints the end of a long history, and
all of it with --all; JSON and YAML are always complete. With --at it shows the run
as it was then.`,
		Example: `  reprise runs show latest
  reprise runs show latest --all
  reprise runs show latest --at 15m    # as it was a quarter of an hour ago`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.showRun(c.Context(), args[0], showOptions{at: at, all: all, format: format})
		},
	}
	addListFormat(c, &format)
	addPointInTime(c, &at)
	c.Flags().BoolVar(&all, "all", false, "list every epoch, evaluation and checkpoint")
	return c
}

// showOptions are the flags of `runs show`.
type showOptions struct {
	at     pointInTime
	all    bool
	format string
}

// shownRows bounds each list of a run's history.
const shownRows = 10

// newestOf returns the end of a list, and how many come before it. Leaving out one
// or two would save nothing.
func (o showOptions) newestOf(n int) (from int) {
	if o.all || n <= shownRows+2 {
		return 0
	}
	return n - shownRows
}

func (env *environment) showRun(ctx context.Context, run string, o showOptions) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		r, err := s.Run(ctx, api.RunRequest{Run: run, At: o.at.PointInTime})
		if err != nil {
			return asGiven(err, o.at.argument())
		}
		return env.listing(o.format, r.Details, func(t *table) error { return writeRun(t, r, o) })
	})
}

func writeRun(t *table, r api.RunReport, o showOptions) error {
	d, h := r.Details, r.Details.Hyperparameters
	t.row("run", string(d.RunID))
	if o.at.given() {
		t.row("as of position", thousands(uint64(r.Position)))
	}
	t.row("state", string(d.State))
	if d.Reason != "" {
		t.row("reason", d.Reason)
	}
	t.row("started", localTime(d.StartedAt))
	t.row("last event", localTime(d.UpdatedAt))
	t.row("time", timeSpent(d))
	t.row("last checkpoint", describeCheckpoint(d.Checkpoints, h, d.Data, r.CanResume))
	writeLineage(t, d.Lineage)
	t.row("data", describeData(d.Data))
	writeTask(t, d.Data)
	t.row("model", describeModel(d.Architecture))
	for i, l := range d.Architecture.Layers {
		raw, err := json.Marshal(l)
		if err != nil {
			return err
		}
		t.row(fmt.Sprintf("  layer %d", i), spaced(raw))
	}
	t.row("optimizer", describeOptimizer(h.Optimizer))
	t.row("learning rate", fmt.Sprintf("%v, %s", h.LearningRate.Value, h.LearningRate.Schedule.Name))
	if options := describeOptions(h); options != "" {
		t.row("training", options)
	}
	t.row("batch, shards, seed", fmt.Sprintf("%d, %d, %d", h.BatchSize, h.Shards, h.Seed))
	if n := d.Interruptions; n > 0 {
		text := thousands(n)
		if again := d.Reproduced; again > 0 {
			text += fmt.Sprintf("; %s trained again, with the same figures", plural(again, "epoch"))
		}
		t.row("interruptions", text)
	}
	t.line("")
	from := o.newestOf(len(d.History))
	writeEpochs(t, d.Data, d.History, from, r.CanResume)
	writeOmitted(t, from, "epoch")
	writeEvaluations(t, r, o)
	t.line("")
	writeCheckpoints(t, r, o)
	return nil
}

// describeCheckpoint says where a run is resumed or forked from: its last checkpoint.
func describeCheckpoint(list []training.Checkpoint, h training.Hyperparameters, d training.Dataset, canResume bool) string {
	if len(list) == 0 {
		return noneOf("none", canResume)
	}
	last := list[len(list)-1]
	return fmt.Sprintf("epoch %s of %s, step %s of %s", thousands(last.Epoch), thousands(h.Epochs),
		thousands(last.Step), thousands(h.TotalSteps(d.Training)))
}

// beyondCheckpoint says how far the run has trained beyond its last checkpoint; "" if
// it has not.
func beyondCheckpoint(r journal.RunRecord, steps []stepseries.Record) string {
	to := steps[len(steps)-1].Step
	last, ok := r.LastCheckpoint()
	switch {
	case !ok:
		return fmt.Sprintf(" (trained to step %s; no checkpoint%s)", thousands(to), none(r, ""))
	case last.Step < to:
		return fmt.Sprintf(" (trained to step %s; the last checkpoint is at step %s)", thousands(to), thousands(last.Step))
	}
	return ""
}

// writeOmitted says how much of a list is not shown.
func writeOmitted(t *table, n int, what string) {
	if n > 0 {
		t.line("(%s before; --all lists all)", plural(n, what))
	}
}

func writeCheckpoints(t *table, r api.RunReport, o showOptions) {
	list := r.Details.Checkpoints
	if len(list) == 0 {
		t.line("%s", noneOf("no checkpoints", r.CanResume))
		return
	}
	t.row("checkpoints in", r.Details.CheckpointsDir)
	t.columns(column{title: "STEP", right: true}, column{title: "EPOCH", right: true}, column{title: "LOSS", right: true},
		column{title: "WEIGHTS SHA-256", short: shortHash}, column{})
	from, omitted := o.newestOf(len(list)), 0
	for i, cp := range list {
		var marks []string
		if cp.Step == r.BestStep && len(list) > 1 {
			marks = append(marks, "best")
		}
		if slices.Contains(r.MissingSteps, cp.Step) {
			marks = append(marks, "files missing")
		}
		if i < from && len(marks) == 0 {
			omitted++
			continue
		}
		t.row(thousands(cp.Step), thousands(cp.Epoch), formatMetric(cp.Loss), cp.WeightsSHA256, strings.Join(marks, ", "))
	}
	writeOmitted(t, omitted, "checkpoint")
	if len(r.MissingSteps) > 0 {
		t.line("\n"+missingFiles, r.Folder)
	}
}

// timeSpent returns how long a run has trained, and how long that took with its
// pauses.
func timeSpent(r api.RunDetails) string {
	text := shortDuration(time.Duration(math.Round(r.TrainedSeconds * float64(time.Second))))
	if r.Interruptions > 0 {
		text += fmt.Sprintf(" of training, %s including pauses", shortDuration(r.UpdatedAt.Sub(r.StartedAt)))
	}
	return text
}

// spaced puts a space after each colon and comma of JSON, to be wrapped at.
func spaced(raw []byte) string {
	var b strings.Builder
	inText := false
	for i, c := range raw {
		b.WriteByte(c)
		switch {
		case c == '"' && (i == 0 || raw[i-1] != '\\'):
			inText = !inText
		case !inText && (c == ':' || c == ','):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func describeOptimizer(o nn.Optimizer) string {
	raw, err := json.Marshal(o.WithDefaults())
	if err != nil {
		return string(o.Name)
	}
	text := strings.NewReplacer(`"`, "", "{", "", "}", "", ",", ", ", ":", " ").Replace(string(raw))
	return strings.TrimPrefix(text, "name ")
}

// noneOf is said of what a run does not have, as in "no checkpoints yet".
func noneOf(no string, canResume bool) string {
	if canResume {
		return no + " yet"
	}
	return no
}

// none is noneOf for a record.
func none(r journal.RunRecord, no string) string { return noneOf(no, r.Session.CanResume()) }

// writeEpochs lists the figures of a run's epochs from an index on.
func writeEpochs(t *table, d training.Dataset, epochs []api.Epoch, from int, canResume bool) {
	if len(epochs) == 0 {
		t.line("%s", noneOf("no completed epochs", canResume))
		return
	}
	t.columns(withAccuracy(d, metricColumns("EPOCH", "STEP", "TRAIN LOSS", "VAL LOSS"))...)
	for _, m := range epochs[from:] {
		accuracy := 0.0
		if m.ValAccuracy != nil {
			accuracy = *m.ValAccuracy
		}
		t.row(withAccuracyOf(d, accuracy,
			thousands(m.Epoch), thousands(m.Step), formatMetric(*m.TrainLoss), formatMetric(*m.ValLoss))...)
	}
	if last := epochs[len(epochs)-1]; d.Task == dataset.Regression {
		t.line("val loss of the last epoch: %s", describeLoss(d, *last.ValLoss))
	}
}

// withAccuracy adds the column of the validation accuracy, where the task has one.
func withAccuracy(d training.Dataset, columns []column) []column {
	if d.HasAccuracy() {
		columns = append(columns, metricColumns("VAL ACCURACY")...)
	}
	return columns
}

// withAccuracyOf adds the cell below it.
func withAccuracyOf(d training.Dataset, accuracy float64, cells ...string) []string {
	if d.HasAccuracy() {
		cells = append(cells, formatShare(accuracy))
	}
	return cells
}

// writeEvaluations lists those within epochs, where there are any.
func writeEvaluations(t *table, r api.RunReport, o showOptions) {
	d := r.Details.Data
	if len(r.Evaluations) > 0 {
		t.line("")
		t.line("evaluations within epochs")
		t.columns(withAccuracy(d, metricColumns("STEP", "VAL LOSS"))...)
		from := o.newestOf(len(r.Evaluations))
		for _, e := range r.Evaluations[from:] {
			t.row(withAccuracyOf(d, e.ValAccuracy, thousands(e.Step), formatMetric(e.ValLoss))...)
		}
		writeOmitted(t, from, "evaluation")
	}
	if s := r.Stopped; s != nil {
		t.line("\nstopped early after epoch %d: no validation loss below %s, which was reached at step %s",
			s.Epoch, formatMetric(s.Best), thousands(s.BestStep))
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
	add(h.Augmentation.Flip, "random flip")
	add(h.Augmentation.Crop > 0, "random crop, padding %d", h.Augmentation.Crop)
	add(h.EvalInterval > 0, "evaluated every %s steps", thousands(h.EvalInterval))
	add(h.EarlyStopping.Patience > 0, "early stopping with patience %d", h.EarlyStopping.Patience)
	add(h.Precision == nn.BF16, "activations kept as bfloat16")
	return strings.Join(parts, ", ")
}

// runMetrics is what `runs metrics` prints.
type runMetrics struct {
	RunID  training.RunID      `json:"run_id"`
	Epochs []api.Epoch         `json:"epochs"`
	Steps  []stepseries.Record `json:"steps"`
}

func newRunsMetricsCommand(env *environment) *cobra.Command {
	var format string
	var steps bool
	c := &cobra.Command{
		Use:   "metrics RUN",
		Short: "List the loss and accuracy of a run, by epoch and by step",
		Long: `Metrics prints the figures of every epoch; as JSON or YAML, and with --steps, of
every optimizer step as well.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r runReader) error { return env.showMetrics(r, format, steps) })
		},
	}
	addListFormat(c, &format)
	c.Flags().BoolVar(&steps, "steps", false, "list every step in the table")
	return c
}

func (env *environment) showMetrics(r runReader, format string, steps bool) error {
	records, err := r.workspace.Series(r.run.ID).Read()
	if err != nil {
		return err
	}
	if records == nil {
		records = []stepseries.Record{}
	}
	m := runMetrics{RunID: r.run.ID, Epochs: service.EpochsOf(r.run.TrainingRun), Steps: records}
	return env.listing(format, m, func(t *table) error {
		writeEpochs(t, r.run.Session.Dataset, m.Epochs, 0, r.run.Session.CanResume())
		if len(records) == 0 {
			return nil
		}
		if !steps {
			var history lossHistory
			for _, s := range records {
				history.add(s.Step, float64(s.Loss))
			}
			width := historyParts
			if t.width > 0 {
				width = min(width, t.width)
			}
			t.line("\nloss over %s, logarithmic%s:\n%s", plural(len(records), "step"), beyondCheckpoint(r.run, records), history.sparkline(width))
			return nil
		}
		t.line("")
		t.columns(metricColumns("STEP", "EPOCH", "LOSS", "LEARNING RATE")...)
		for _, s := range records {
			t.row(thousands(s.Step), thousands(s.Epoch), formatMetric(float64(s.Loss)),
				strconv.FormatFloat(float64(s.LearningRate), 'g', 4, 32))
		}
		return nil
	})
}
