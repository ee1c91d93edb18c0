package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
	tablefile "reprise/dataset/table"
	"reprise/export"
	"reprise/export/bundle"
	"reprise/inference"
)

func newPredictCommand(env *environment) *cobra.Command {
	var input, format string
	var step uint64
	c := &cobra.Command{
		Use:   "predict RUN|BUNDLE",
		Short: "Predict with a model that a run has trained",
		Long: `Predict writes what a model predicts for each row of --input: a header and one line
a row in CSV, or JSON. Of a class it writes the name and the probability of each
class, of a regression the targets in their own units. A row has the same bits alone
and among others. Rows are read as they are needed, so the input may have any size.

The input is a table in any format that can be trained on, with the columns that the
model was trained on in any order. For a model of images it is a folder of images, the
file of one (PNG, JPEG, GIF, BMP, WebP or TIFF), a table with the column of paths that
it was trained on, an IDX file, or one of CIFAR-10.

BUNDLE is a folder or .tar file that "reprise export --format bundle" has written. It
needs no data directory. RUN is a run's id, the beginning of one, or latest; its
checkpoint with the lowest validation loss is used, or the one at --step.`,
		Example: `  reprise predict latest --input new.csv
  reprise predict flats.tar --input new.jsonl -o jsonl`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			q := api.ExportModelRequest{Run: args[0]}
			if c.Flags().Changed("step") {
				q.Step = &step
			}
			return env.predict(c.Context(), q, input, format)
		},
	}
	flags := c.Flags()
	flags.StringVar(&input, "input", "", "predict the rows of `FILE`, or the images of a folder; - is standard input")
	flags.Var((*stepFlag)(&step), "step", "use the checkpoint of the run at step `N` (default: the one with the lowest validation loss)")
	flags.StringVarP(&format, "output", "o", formatCSV, "`FORMAT` of the output: csv, json or jsonl")
	_ = c.MarkFlagRequired("input") // it fails only for a flag that does not exist
	return c
}

func (env *environment) predict(ctx context.Context, q api.ExportModelRequest, input, format string) error {
	if err := checkPredictionFormat(format); err != nil {
		return err
	}
	m, err := env.model(ctx, q)
	if err != nil {
		return err
	}
	defer m.Close()
	to := bufio.NewWriter(env.stdout)
	out := newPredictionWriter(to, format, m)
	if m.TakesImages() {
		err = predictImages(ctx, m, input, out)
	} else {
		err = env.predictRows(ctx, m, input, out)
	}
	if err == nil {
		err = out.end()
	}
	if err := errors.Join(err, to.Flush()); err != nil {
		if errors.Is(err, context.Canceled) {
			return errInterrupted
		}
		return err
	}
	return nil
}

// model opens the bundle, or that of the run, that an argument names.
func (env *environment) model(ctx context.Context, q api.ExportModelRequest) (*inference.Model, error) {
	config := inference.Config{Threads: env.threads, Features: env.cpuFeatures}
	if _, err := os.Stat(q.Run); err == nil {
		if q.Step != nil {
			return nil, invalid(fmt.Errorf("--step: %s is a bundle, which has one checkpoint; leave it out", q.Run))
		}
		return inference.OpenWith(q.Run, config)
	}
	q.Format = export.Bundle
	files := map[string][]byte{}
	made, err := env.receiveModel(ctx, q, func(parts *modelFiles) error {
		for parts.more {
			name := parts.part.File
			var raw bytes.Buffer
			if err := parts.copy(&raw); err != nil {
				return err
			}
			files[name] = raw.Bytes()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	why := ""
	if made.Best {
		why = ", which has the lowest validation loss"
	}
	writeLines(env.stderr, fmt.Sprintf("reprise: predicting with run %s at step %s, after epoch %s%s", made.RunID, thousands(made.Step), thousands(made.Epoch), why))
	b, err := bundle.Decode(string(made.RunID), files)
	if err != nil {
		return nil, err
	}
	return inference.New(b, config)
}

// predictImages writes the predictions for the images of a file or a folder.
func predictImages(ctx context.Context, m *inference.Model, input string, out *predictionWriter) error {
	return m.PredictImageFiles(ctx, input, func(image dataset.InputImage, p inference.Prediction) error {
		out.image = image.Name
		return out.write(p)
	})
}

// predictRows writes the predictions for the rows of a table.
func (env *environment) predictRows(ctx context.Context, m *inference.Model, input string, out *predictionWriter) (err error) {
	path, remove, err := env.inputPath(input)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	rows, err := tablefile.Open(ctx, tablefile.Options{Path: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	binding, unknown, err := m.Bind(rows.Columns())
	if err != nil {
		return errorf("%s: %w", input, err)
	}
	if len(unknown) > 0 {
		writeLines(env.stderr, fmt.Sprintf("reprise: note: %s: the model does not know %s, and leaves it out", input, quotedNames(unknown)))
	}
	return m.PredictTable(ctx, rows, binding, func(_ tablefile.Place, _ []tablefile.Cell, p inference.Prediction) error { return out.write(p) })
}

// inputPath returns the path of an input. Standard input is copied to a temporary file,
// since formats are told apart by their content, and some are not read from beginning to
// end.
func (env *environment) inputPath(input string) (path string, remove func() error, err error) {
	if input != "-" {
		return input, func() error { return nil }, nil
	}
	folder, err := os.MkdirTemp("", "reprise-input-")
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.RemoveAll(folder) }
	path = filepath.Join(folder, "standard-input")
	f, err := os.Create(path)
	if err == nil {
		_, err = io.Copy(f, env.stdin)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return path, remove, nil
}
