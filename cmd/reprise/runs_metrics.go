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
		Use:   "metrics RUN",
		Short: "List the loss and accuracy of a run, by epoch and by step",
		Long: `Metrics prints the figures of every epoch; as JSON or YAML, and with --steps, of
every optimizer step as well.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.showMetrics(c.Context(), args[0], format, steps)
		},
	}
	addListFormat(c, &format)
	c.Flags().BoolVar(&steps, "steps", false, "list every step in the table")
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
