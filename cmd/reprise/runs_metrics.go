package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newRunsMetricsCommand(env *environment) *cobra.Command {
	var format string
	var steps bool
	c := &cobra.Command{
		Use:   "metrics RUN...",
		Short: "List the loss and accuracy of a run, by epoch and by step",
		Long: `Metrics prints the figures of every epoch; as JSON or YAML, and with --steps, of
every optimizer step as well.

With -o csv it writes a table that other programs read, of one or several runs: a row for
each epoch with the columns run, epoch, step, train_loss, val_loss and val_accuracy (empty
where the task has none), or with --steps a row for each step with run, step, epoch, loss
and learning_rate.`,
		Example: `  reprise runs metrics latest
  reprise runs metrics latest --steps -o csv`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if format == formatCSV {
				return env.writeMetricsTable(c.Context(), args, steps)
			}
			if err := checkListFormat(format); err != nil {
				return badFormat(format, formatTable, formatJSON, formatYAML, formatCSV)
			}
			if len(args) > 1 {
				return usageError(c, "several runs are written only as a table for other programs; give one RUN, or -o csv")
			}
			return env.showMetrics(c.Context(), args[0], format, steps)
		},
	}
	c.Flags().StringVarP(&format, "output", "o", formatTable, "`FORMAT` of the output: table, json, yaml or csv")
	c.Flags().BoolVar(&steps, "steps", false, "list every step")
	return c
}

func (env *environment) showMetrics(ctx context.Context, run, format string, steps bool) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		m, head, err := api.CollectMetrics(s.Metrics(ctx, api.MetricsRequest{Run: run}))
		if err != nil {
			return err
		}
		return env.listing(format, m, func(t *table) error {
			writeEpochs(t, epochsHead{head.Data, head.Monitor, head.Loss, head.CanResume}, m.Epochs, 0)
			switch {
			case len(m.Steps) == 0:
			case steps:
				writeSteps(t, m.Steps)
			default:
				writeLosses(t, m.Steps, head)
			}
			return nil
		})
	})
}

func (env *environment) writeMetricsTable(ctx context.Context, runs []string, steps bool) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		var list []api.RunMetrics
		for _, run := range runs {
			m, _, err := api.CollectMetrics(s.Metrics(ctx, api.MetricsRequest{Run: run}))
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		_, err := fmt.Fprint(env.stdout, metricsTable(list, steps))
		return err
	})
}

// writeSteps lists steps.
func writeSteps(t *table, steps []api.Step) {
	t.line("")
	t.columns(metricColumns("STEP", "EPOCH", "LOSS", "LEARNING RATE")...)
	for _, s := range steps {
		t.row(thousands(s.Step), thousands(s.Epoch), formatMetric(float64(s.Loss)),
			strconv.FormatFloat(float64(s.LearningRate), 'g', 4, 32))
	}
}

// writeLosses draws the losses of steps.
func writeLosses(t *table, steps []api.Step, head api.MetricsHead) {
	var history lossHistory
	for _, s := range steps {
		history.add(s.Step, float64(s.Loss))
	}
	width := historyParts
	if t.width > 0 {
		width = min(width, t.width)
	}
	t.line("\nloss over %s, logarithmic%s:\n%s", plural(len(steps), "step"), beyondCheckpoint(head, steps), history.sparkline(width))
}

// beyondCheckpoint says how far the run has trained beyond its last checkpoint; "" if
// it has not.
func beyondCheckpoint(head api.MetricsHead, steps []api.Step) string {
	to := steps[len(steps)-1].Step
	switch {
	case head.LastCheckpoint == 0:
		return fmt.Sprintf(" (trained to step %s; no checkpoint%s)", thousands(to), noneOf("", head.CanResume))
	case head.LastCheckpoint < to:
		return fmt.Sprintf(" (trained to step %s; the last checkpoint is at step %s)", thousands(to), thousands(head.LastCheckpoint))
	}
	return ""
}
