package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/training"
)

func newPredictCommand(env *environment) *cobra.Command {
	var q api.PredictRequest
	var format string
	var step uint64
	c := &cobra.Command{
		Use:   "predict RUN|BUNDLE",
		Short: "Predict with a model that a run has trained",
		Long: `Predict writes what a model predicts for each row of --input: a header and one line
a row in CSV, or JSON, or Parquet. Of a class it writes the name and the probability
of each class, of a regression the targets in their own units. A row has the same
bits alone and among others. Rows are read as they are needed, so the input may have
any size.

The input is a table in any format that can be trained on, with the columns that the
model was trained on in any order. For a model of images it is a folder of images, the
file of one (PNG, JPEG, GIF, BMP, WebP or TIFF), a table with the column of paths that
it was trained on, an IDX file, or one of CIFAR-10.

BUNDLE is a folder or .tar file that "reprise export --format bundle" has written. It
needs no data directory. RUN is a run's id, the beginning of one, or latest; its
best checkpoint by config.monitor, by default the validation loss, is used, or the one
at --step.`,
		Example: `  reprise predict latest --input new.csv
  reprise predict flats.tar --input new.jsonl -o jsonl`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkPredictionFormat(format); err != nil {
				return err
			}
			q.TrainedModel = namedModel(args[0])
			if c.Flags().Changed("step") {
				q.Step = &step
			}
			return env.predict(c.Context(), q, format)
		},
	}
	flags := c.Flags()
	flags.StringVar((*string)(&q.Input.Path), "input", "", "predict the rows of `FILE`, or the images of a folder; - is standard input")
	addRowFlags(flags, &q.Input, &step)
	flags.StringVarP(&format, "output", "o", formatCSV, "`FORMAT` of the output: csv, json, jsonl or parquet")
	_ = c.MarkFlagRequired("input") // it fails only for a flag that does not exist
	return c
}

// predictArguments are what sets the fields of the request.
func predictArguments() []argument {
	return modelArguments("input", "--input")
}

func (env *environment) predict(ctx context.Context, q api.PredictRequest, format string) (err error) {
	if format == formatParquet {
		if _, terminal := terminalWidth(env.stdout); terminal {
			return invalid(errors.New("--output parquet: is not for a terminal; write it to a file with > FILE"))
		}
	}
	if err := q.Validate(); err != nil { // before standard input is read
		return asGiven(api.ErrorOf(err), predictArguments()...)
	}
	from := q.Input.Path
	remove, err := env.inputRows(&q.Input)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return orInterrupted(env.withService(ctx, func(ctx context.Context, s api.Service) error {
		to := bufio.NewWriter(env.stdout)
		var out predictionWriter
		rows := 0
		for part, err := range s.Predict(ctx, q) {
			switch {
			case err != nil && rows == 0: // nothing is written but a header
				return asGiven(err, predictArguments()...)
			case err != nil:
				return errors.Join(asGiven(err, predictArguments()...), to.Flush())
			case part.Head != nil:
				env.sayModel("predicting", part.Head.Model)
				if out, err = newPredictionWriter(to, format, *part.Head); err != nil {
					return err
				}
			case out == nil:
				return errBrokenModel
			}
			for _, p := range part.Predictions {
				if p.Image == q.Input.Path {
					p.Image = from
				}
				if err := out.write(p); err != nil {
					return err
				}
				rows++
			}
		}
		if out == nil {
			return errBrokenModel
		}
		return errors.Join(out.end(), to.Flush())
	}))
}

// orInterrupted makes the end of a context the end of a command by the user.
func orInterrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// sayModel tells which model of a run is used. A bundle has only one.
func (env *environment) sayModel(doing string, m api.UsedModel) {
	if m.Bundle == "" {
		writeLines(env.stderr, fmt.Sprintf("reprise: %s with %s", doing, modelInWords(m)))
	}
}

func modelInWords(m api.UsedModel) string {
	why := ""
	if m.Best {
		why = ", which has " + training.BestFigure(m.Monitor)
	}
	return fmt.Sprintf("run %s at step %s, after epoch %s%s", m.RunID, thousands(m.Step), thousands(m.Epoch), why)
}

// namedModel returns the model that an argument names: a bundle where there is such a file, or
// a folder with a manifest, or it looks like a path, otherwise that of a run.
func namedModel(name string) api.TrainedModel {
	var m api.TrainedModel
	if here, err := os.Getwd(); err == nil { // if not, relative paths will not do either
		m.Folder = api.Text(here)
	}
	if isBundle(name) || filepath.Ext(name) == ".tar" || filepath.Base(name) != name {
		m.Bundle = api.Text(name)
	} else {
		m.Run = name
	}
	return m
}

// isBundle reports whether there is a file, or a folder that has a bundle: one that has not
// may have the name of a run by chance.
func isBundle(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return err == nil
	}
	_, err = os.Stat(filepath.Join(name, "manifest.json"))
	return err == nil
}
