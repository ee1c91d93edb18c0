package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newEvaluateCommand(env *environment) *cobra.Command {
	var q api.EvaluateRequest
	var rows api.Rows
	var format string
	var all bool
	var step uint64
	c := &cobra.Command{
		Use:   "evaluate RUN|BUNDLE",
		Short: "Measure how good a model is, on new data or on its own",
		Long: `Evaluate prints the figures of a model on the rows of --data, which have the columns
that it was trained on and the target: those that a run is judged by, in the target's
own unit, beside a trivial model. "-o json" has all of them, and the confusion matrix.
Rows without a target, and others that training would leave out, are left out and
counted. For a model of images the data is a folder with a folder of images for each
class, a table with the column of paths that it was trained on, an IDX file with its
labels beside it, or a file of CIFAR-10.

Without --data it measures a run on its own validation split, by which its checkpoints
were chosen, or on its test split with --split test; the data set has to be there.

BUNDLE is a folder or .tar file that "reprise export --format bundle" has written. It
needs no data directory. RUN is a run's id, the beginning of one, or latest; its
checkpoint with the best monitored figure is used, or the one at --step.`,
		Example: `  reprise evaluate latest --data sold.csv
  reprise evaluate flats.tar --data sold.csv -o json
  reprise evaluate latest`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			q.TrainedModel = namedModel(args[0])
			if c.Flags().Changed("step") {
				q.Step = &step
			}
			if c.Flags().Changed("data") || rows != (api.Rows{}) {
				q.Data = &rows
			}
			return env.evaluate(c.Context(), q, format, all)
		},
	}
	flags := c.Flags()
	flags.StringVar((*string)(&rows.Path), "data", "", "measure on the rows of `FILE`, or the images of a folder; - is standard input (default: the run's validation split)")
	flags.StringVar(&q.Split, "split", "", "measure on the `SPLIT` of the run's own data: validation or test (default: validation)")
	addRowFlags(flags, &rows, &step)
	flags.BoolVar(&all, "all", false, "list every class")
	addListFormat(c, &format)
	return c
}

// evaluateArguments are what sets the fields of the request.
func evaluateArguments() []argument {
	return append(modelArguments("data", "--data"), argument{field: "split", flag: "--split"})
}

func (env *environment) evaluate(ctx context.Context, q api.EvaluateRequest, format string, all bool) (err error) {
	if err := q.Validate(); err != nil { // before standard input is read
		return asGiven(api.ErrorOf(err), evaluateArguments()...)
	}
	from := ""
	if q.Data != nil {
		if from = string(q.Data.Path); from == "-" {
			from = "standard input"
		}
		remove, err := env.inputRows(q.Data)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	return orInterrupted(env.withService(ctx, func(ctx context.Context, s api.Service) error {
		e, err := finish(s.Evaluate(ctx, q), newCounter(env, "evaluate", "samples"))
		if err != nil {
			return asGiven(err, evaluateArguments()...)
		}
		if q.Data != nil {
			e.Data = api.Text(from)
		}
		return env.listing(format, e, func(t *table) error {
			writeEvaluation(t, e, all)
			return nil
		})
	}))
}

// writeEvaluation prints the figures of a model.
func writeEvaluation(t *table, e api.ModelEvaluation, all bool) {
	model := "Run " + strings.TrimPrefix(modelInWords(e.Model), "run ")
	if e.Model.Bundle != "" {
		model = "The bundle " + string(e.Model.Bundle) + ", of " + modelInWords(e.Model)
	}
	on := plural(e.Samples, "sample") + " of " + string(e.Data)
	if e.Data == "" {
		on = plural(e.Samples, e.Split+" sample")
	}
	beside := ", beside " + baselineOf(e.Figures) + ":"
	if e.Classification != nil && e.MajorityClass == nil || e.Text != nil && e.TokenFrequencies == nil {
		beside = ":"
	}
	t.line("%s, on %s%s", model, on, beside)
	writeFigureTable(t, e.Figures, e.Model.Monitor)
	if c := e.Classification; c != nil {
		writeClassFigures(t, *c, all)
		writeConfusion(t, *c)
		for _, what := range c.Omitted {
			t.line("left out: %s", what)
		}
	}
	for _, target := range e.Targets {
		for _, what := range target.Omitted {
			t.line("left out of %s: %s", target.Name, what)
		}
	}
	for _, left := range e.LeftOut {
		t.line("%s with %s: left out", plural(left.Rows, "row"), left.Why)
	}
	if r := e.Recorded; r != nil && *r {
		t.line("These are the figures on record, bit for bit.")
	} else if r != nil {
		t.line("These are not the figures on record: `reprise runs verify %s` finds out why.", e.Model.RunID)
	}
}
