package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"reprise/dataset"
	"reprise/device"
	"reprise/integration"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
	"reprise/training/loop"
)

// validation is what `reprise validate` prints of a request that can be
// trained.
type validation struct {
	Valid           bool                     `json:"valid"`
	Model           validatedModel           `json:"model"`
	Data            training.Dataset         `json:"data"`
	Hyperparameters training.Hyperparameters `json:"hyperparameters"`
	TotalSteps      uint64                   `json:"total_steps"`
	Memory          nn.MemoryPlan            `json:"memory"`
	Devices         []placement              `json:"devices"`
}

type validatedModel struct {
	Architecture nn.Architecture `json:"architecture"`
	Parameters   int             `json:"parameters"`
}

// placement says whether a device would take the run, and if not, why.
type placement struct {
	Device  device.ID       `json:"device"`
	Takes   bool            `json:"takes"`
	Refusal []device.Reason `json:"refusal,omitempty"`
}

func newValidateCommand(env *environment) *cobra.Command {
	var format string
	var set []string
	c := &cobra.Command{
		Use:   "validate JOB",
		Short: "Check a request and show what it would train, without training it",
		Long: `Validate checks the request in the file JOB (- for standard input) as train does,
data included, and prints the model, the number of steps and the memory it needs.
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
	j, err := env.prepare(ctx, file, set)
	if err != nil {
		return err
	}
	s := j.session
	plan, err := loop.PlanOf(s)
	if err != nil {
		return err
	}
	parameters, err := s.Architecture.ParameterCount()
	if err != nil {
		return err
	}
	v := validation{
		Valid: true, Model: validatedModel{s.Architecture, parameters}, Data: s.Dataset, Hyperparameters: s.Hyperparameters,
		TotalSteps: s.Hyperparameters.TotalSteps(s.Dataset.Training), Memory: plan.Memory(),
	}
	if v.Devices, err = env.placements(s); err != nil {
		return err
	}
	return env.listing(format, v, func(t *table) error {
		t.line("%s is valid.\n", file)
		t.row("data", describeData(s.Dataset))
		writeTask(t, s.Dataset)
		switch s.Dataset.Task {
		case dataset.NextToken:
			t.row("context, vocabulary", fmt.Sprintf("%d, %d", s.Dataset.SampleShape[0], s.Dataset.Classes))
		case dataset.Regression:
			t.row("sample shape, targets", fmt.Sprintf("%v, %d", s.Dataset.SampleShape, len(s.Dataset.Targets)))
		default:
			t.row("sample shape, classes", fmt.Sprintf("%v, %d", s.Dataset.SampleShape, s.Dataset.Classes))
		}
		t.row("model", describeModel(s.Architecture))
		t.row("optimizer", describeOptimizer(s.Hyperparameters.Optimizer))
		t.row("steps", fmt.Sprintf("%s: %s of %s", thousands(v.TotalSteps), plural(s.Hyperparameters.Epochs, "epoch"),
			plural(s.Hyperparameters.StepsPerEpoch(s.Dataset.Training), "step")))
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
	})
}

// placements asks every device of this machine.
func (env *environment) placements(s training.TrainingSession) (list []placement, err error) {
	workload, err := integration.WorkloadOf(s)
	if err != nil {
		return nil, err
	}
	drivers, closeDrivers, err := env.openDevices()
	if err != nil {
		return nil, err
	}
	for _, d := range drivers {
		described := d.Describe()
		refusal := described.Refusal(workload)
		list = append(list, placement{Device: described.ID(), Takes: len(refusal) == 0, Refusal: refusal})
	}
	return list, closeDrivers()
}
