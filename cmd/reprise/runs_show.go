package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
	"reprise/nn"
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
	// resume is the command that resumes the run.
	resume string
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
		o.resume = env.commandFor("runs resume", r.Details.RunID)
		return env.listing(o.format, r.Details, func(t *table) error { return writeRun(t, r, o) })
	})
}

func writeRun(t *table, r api.RunReport, o showOptions) error {
	d, h := r.Details, r.Details.Hyperparameters
	t.row("run", string(d.RunID))
	if o.at.given() {
		t.row("as of position", thousands(uint64(r.Position)))
	}
	writeAnnotation(t, "", d.Name, d.Tags, d.Note)
	t.row("state", string(d.State))
	writeDeletion(t, d.Job)
	if d.Reason != "" {
		t.row("reason", d.Reason)
	}
	t.row("submitted", localTime(submittedAt(d.Run)))
	if d.Job != nil && d.Job.Owner != "" {
		t.row("owner", d.Job.Owner)
	}
	if d.Job != nil && d.Job.RetryOf != "" {
		t.row("retry of", string(d.Job.RetryOf)+sinceDeleted(d.Lineage, training.RunID(d.Job.RetryOf)))
	}
	if d.SessionID == "" && d.Job != nil { // nothing else is recorded
		t.row("request", d.Job.Name)
		t.row("data", d.Dataset)
		writeQueued(t, d.Run, o.resume)
		return nil
	}
	if r.BegunAt.IsZero() {
		t.row("started", map[bool]string{true: "not yet", false: "never"}[r.CanResume])
	} else {
		t.row("started", localTime(r.BegunAt))
		t.row("time", timeSpent(r))
	}
	t.row("last event", localTime(d.UpdatedAt))
	if d.Job != nil {
		writeQueued(t, d.Run, o.resume)
	}
	t.row("last checkpoint", describeCheckpoint(d.Checkpoints, h, d.Data, r.CanResume))
	writeLineage(t, d.Lineage)
	t.row("data", describeData(d.Data))
	if d.MovedData != nil {
		t.row("  now at", d.MovedData.Path)
	}
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
	if options := describeOptions(h.Options); options != "" {
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
	writeRunFigures(t, r)
	writeClasses(t, r, o)
	t.line("")
	from := o.newestOf(len(d.History))
	writeEpochs(t, headOf(r), d.History, from)
	writeOmitted(t, from, "epoch")
	writeEvaluations(t, r, o)
	t.line("")
	writeCheckpoints(t, r, o)
	return nil
}

// writeDeletion says that a run was deleted, if it was.
func writeDeletion(t *table, job *api.Job) {
	if job != nil && job.DeletedAt != nil {
		t.row("deleted", localTime(*job.DeletedAt)+"; its files are gone, and only its events are kept")
	}
}

// writeAnnotation says what is noted about a run.
func writeAnnotation(t *table, indent, name string, tags []string, note string) {
	if name != "" {
		t.row(indent+"name", name)
	}
	if len(tags) > 0 {
		t.row(indent+"tags", strings.Join(tags, ", "))
	}
	if note != "" {
		t.row(indent+"note", note)
	}
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
	if job := r.Details.Job; job != nil && job.Deleted {
		t.row("checkpoints", "their files were deleted")
	} else {
		t.row("checkpoints in", r.Details.CheckpointsDir)
	}
	t.columns(column{title: "STEP", right: true}, column{title: "EPOCH", right: true}, column{title: "LOSS", right: true},
		column{title: "WEIGHTS SHA-256", short: shortHash}, column{})
	from, omitted, removed := o.newestOf(len(list)), 0, 0
	for i, cp := range list {
		var marks []string
		if cp.Step == r.BestStep && len(list) > 1 {
			marks = append(marks, "best")
		}
		if slices.Contains(r.Details.RemovedCheckpoints, cp.Step) {
			removed++
			continue
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
	if removed > 0 {
		t.line("(%s removed, as config.keep asks)", plural(removed, "checkpoint"))
	}
	if len(r.MissingSteps) > 0 {
		t.line("\n"+missingFiles, r.Folder)
	}
}

// timeSpent returns how long a run has trained, and how long that took with its
// pauses.
func timeSpent(report api.RunReport) string {
	r := report.Details
	text := shortDuration(time.Duration(math.Round(r.TrainedSeconds * float64(time.Second))))
	if r.Interruptions > 0 {
		text += fmt.Sprintf(" of training, %s including pauses", shortDuration(r.UpdatedAt.Sub(report.BegunAt)))
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
	return strings.TrimPrefix(describeSettings(o.WithDefaults()), "name ")
}

// describeOptions lists the options of training that are not at their default, as a
// request names them.
func describeOptions(o training.Options) string { return describeSettings(o.Recorded()) }

// describeSettings writes a struct of settings as text: "beta1 0.9, beta2 0.999".
func describeSettings(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "" // a value that JSON does not have, which no record holds
	}
	return strings.NewReplacer(`"`, "", ",", ", ", ":", " ").Replace(string(raw[1 : len(raw)-1]))
}

// noneOf is said of what a run does not have, as in "no checkpoints yet".
func noneOf(no string, canResume bool) string {
	if canResume {
		return no + " yet"
	}
	return no
}

// epochsHead is what a list of epochs says about their run.
type epochsHead struct {
	data      training.Dataset
	monitor   string
	loss      nn.Loss
	canResume bool
}

func headOf(r api.RunReport) epochsHead {
	h := r.Details.Hyperparameters
	return epochsHead{r.Details.Data, h.Monitor, h.Loss, r.CanResume}
}

// monitors reports whether the run is judged by a figure that has no column of its own.
func (h epochsHead) monitors() bool { return h.monitor != "" && h.monitor != "accuracy" }

// columns adds those of the figures of the validation split that the run has.
func (h epochsHead) columns(columns []column) []column {
	columns = withAccuracy(h.data, columns)
	if h.monitors() {
		columns = append(columns, metricColumns(truncate(h.monitor, maxNamed))...)
	}
	return columns
}

// cells adds those below them.
func (h epochsHead) cells(accuracy float64, m training.Monitored, cells ...string) []string {
	cells = withAccuracyOf(h.data, accuracy, cells...)
	if h.monitors() {
		cells = append(cells, m.String())
	}
	return cells
}

// writeEpochs lists the figures of a run's epochs from an index on.
func writeEpochs(t *table, h epochsHead, epochs []api.Epoch, from int) {
	if len(epochs) == 0 {
		t.line("%s", noneOf("no completed epochs", h.canResume))
		return
	}
	t.columns(h.columns(metricColumns("EPOCH", "STEP", "TRAIN LOSS", "VAL LOSS"))...)
	for _, m := range epochs[from:] {
		accuracy := 0.0
		if m.ValAccuracy != nil {
			accuracy = *m.ValAccuracy
		}
		t.row(h.cells(accuracy, m.Monitored,
			thousands(m.Epoch), thousands(m.Step), formatMetric(*m.TrainLoss), formatMetric(*m.ValLoss))...)
	}
	if last := epochs[len(epochs)-1]; h.data.Task == dataset.Regression {
		t.line("val loss of the last epoch: %s", describeLoss(h.data, h.loss, *last.ValLoss))
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
	h := headOf(r)
	if len(r.Evaluations) > 0 {
		t.line("")
		t.line("evaluations within epochs")
		t.columns(h.columns(metricColumns("STEP", "VAL LOSS"))...)
		from := o.newestOf(len(r.Evaluations))
		for _, e := range r.Evaluations[from:] {
			t.row(h.cells(e.ValAccuracy, e.Monitored, thousands(e.Step), formatMetric(e.ValLoss))...)
		}
		writeOmitted(t, from, "evaluation")
	}
	if s := r.Stopped; s != nil {
		t.line("\nstopped early after epoch %d: %s", s.Epoch, s.Reason())
	}
}
