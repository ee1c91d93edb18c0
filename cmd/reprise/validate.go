package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
	"reprise/tensor"
)

func newValidateCommand(env *environment) *cobra.Command {
	var format string
	var set []string
	c := &cobra.Command{
		Use:   "validate JOB",
		Short: "Check a request and show what it would train, without training it",
		Long: `Validate checks the request in the file JOB (- for standard input) as train does,
data included, and prints the model, the number of steps, the memory it needs and how
it would be queued.
It starts nothing.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.validate(c.Context(), args[0], set, format)
		},
	}
	addListFormat(c, &format)
	addSet(c, &set)
	return c
}

func (env *environment) validate(ctx context.Context, file string, set []string, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		request, err := env.submission(ctx, []string{file}, set)
		if err != nil {
			return err
		}
		v, err := s.Validate(ctx, api.ValidateRequest{File: request.Files[0], Settings: request.Settings, Folder: request.Folder})
		if err != nil {
			return err
		}
		return env.listing(format, v, func(t *table) error { return writeValidation(t, file, v) })
	})
}

func writeValidation(t *table, file string, v api.Validation) error {
	t.line("%s is valid.\n", file)
	if v.Folds > 0 {
		t.row("runs", fmt.Sprintf("%d, one for each fold; the rest is about the first", v.Folds))
	}
	t.row("data", describeData(v.Data))
	writeTask(t, v.Data)
	switch v.Data.Task {
	case dataset.NextToken:
		t.row("context, vocabulary", fmt.Sprintf("%d, %d", v.Data.SampleShape[0], v.Data.Classes))
	case dataset.Regression:
		t.row("sample shape, targets", fmt.Sprintf("%v, %d", v.Data.SampleShape, len(v.Data.Targets)))
	default:
		t.row("sample shape, classes", fmt.Sprintf("%v, %d", v.Data.SampleShape, v.Data.Classes))
	}
	t.row("model", describeModel(v.Model.Architecture))
	t.row("optimizer", describeOptimizer(v.Hyperparameters.Optimizer))
	if options := describeOptions(v.Hyperparameters.Options); options != "" {
		t.row("training", options)
	}
	t.row("steps", fmt.Sprintf("%s: %s of %s", thousands(v.TotalSteps), plural(v.Hyperparameters.Epochs, "epoch"),
		plural(v.Hyperparameters.StepsPerEpoch(v.Data.Training), "step")))
	if v.Job != nil {
		writeJobOptions(t, *v.Job)
	}
	t.line("\nmemory needed")
	for _, m := range []struct {
		what string
		size tensor.Bytes
	}{
		{"parameters", v.Memory.Parameters}, {"optimizer state", v.Memory.Optimizer}, {"gradients", v.Memory.Gradients},
		{"activations", v.Memory.Activations}, {"scratch", v.Memory.Scratch}, {"total", v.Memory.Total},
	} {
		t.row("  "+m.what, m.size.String())
	}
	t.line("")
	for _, d := range v.Devices {
		if d.Takes {
			t.line("fits on device %s", d.Device)
		}
		for _, r := range d.Refusal {
			t.line("device %s refuses it: %s", d.Device, r.Message)
		}
	}
	return nil
}

// writeJobOptions says how a request would be queued.
func writeJobOptions(t *table, j api.ValidatedJob) {
	t.line("\nin the queue")
	t.row("  priority", fmt.Sprint(j.Priority))
	if j.Owner != "" {
		t.row("  owner", j.Owner)
	}
	if j.Group != "" {
		t.row("  group", j.Group)
	}
	for _, id := range j.After {
		t.row("  comes after", string(id))
	}
	if j.MaxSeconds > 0 {
		t.row("  trains for at most", shortDuration(time.Duration(j.MaxSeconds*float64(time.Second))))
	}
	writeAnnotation(t, "  ", j.Name, j.Tags, j.Note)
	if len(j.Labels) > 0 {
		t.row("  needs labels", strings.Join(j.Labels, ", "))
	}
}
