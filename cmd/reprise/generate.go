package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"reprise/dataset/tokenizer"
	"reprise/inference"
	"reprise/integration"
	"reprise/training"
)

// generation is what `generate` was asked for.
type generation struct {
	prompt   string
	tokens   int
	step     uint64
	best     bool
	sampling inference.Sampling
}

func newGenerateCommand(env *environment) *cobra.Command {
	var g generation
	c := &cobra.Command{
		Use:   "generate RUN",
		Short: "Continue a prompt with a language model that a run has trained",
		Long: `Generate continues --prompt with the weights of a run's last checkpoint, or of
the one at --step, and writes the text to standard output as it is drawn. The
same weights, prompt and seed give the same text on every machine. It reads the
run only: the data set is not needed, and a run that is still training can be
tried out.

RUN is a run's id, the beginning of one, or latest.`,
		Example: `  reprise generate latest --prompt "The Rays of Light " --tokens 400
  reprise generate latest --prompt "Qu. 31." --temperature 0.5 --seed 7`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if g.tokens < 0 {
				return invalid(fmt.Errorf("--tokens %d: must not be negative", g.tokens))
			}
			var field *inference.FieldError
			if err := g.sampling.Validate(); errors.As(err, &field) {
				return invalid(err)
			}
			return env.readRun(c.Context(), args[0], func(r reading) error { return env.generate(c.Context(), r, g) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&g.prompt, "prompt", "", "text to continue")
	flags.IntVar(&g.tokens, "tokens", 400, "number of tokens to write")
	flags.Uint64Var(&g.step, "step", 0, "step of the checkpoint to use (default: the last there is)")
	flags.BoolVar(&g.best, "best", false, "use the checkpoint with the lowest validation loss")
	flags.Float64Var(&g.sampling.Temperature, "temperature", 0.8, "below 1 likely tokens become likelier; 0 always takes the likeliest")
	flags.IntVar(&g.sampling.TopK, "top-k", 0, "draw from so many of the likeliest tokens only (default: all)")
	flags.Float64Var(&g.sampling.TopP, "top-p", 0, "draw from the likeliest tokens that reach this probability only (default: all)")
	flags.Uint64Var(&g.sampling.Seed, "seed", 0, "key of the draws")
	return c
}

func (env *environment) generate(ctx context.Context, r reading, g generation) (err error) {
	session := r.run.Session
	if session.Dataset.TokenizerModel == "" {
		return invalid(fmt.Errorf("run %s was not trained on text but on %s; generate needs a language model", r.run.ID, session.Dataset.Path))
	}
	t, err := tokenizer.Parse([]byte(session.Dataset.TokenizerModel))
	if err != nil {
		return err
	}
	cp, err := pickCheckpoint(r.run, g)
	if err != nil {
		return err
	}
	content, err := r.workspace.Checkpoints(r.run.ID).Read(integration.CheckpointRef(cp))
	if err != nil {
		return err
	}
	devices, closeDevices, err := env.openDevices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDevices()) }()
	generator, err := inference.NewGenerator(devices[0], session.Architecture, content.Weights, t)
	if err != nil {
		return err
	}
	defer generator.Close()
	if _, err := io.WriteString(env.stdout, g.prompt); err != nil {
		return err
	}
	err = generator.Generate(ctx, []byte(g.prompt), g.tokens, g.sampling, func(piece []byte) error {
		_, err := env.stdout.Write(piece)
		return err
	})
	_, _ = fmt.Fprintln(env.stdout)
	var unknown *tokenizer.UnknownByteError
	switch {
	case errors.As(err, &unknown):
		return invalid(fmt.Errorf("--%w", err))
	case errors.Is(err, context.Canceled):
		return errInterrupted
	}
	return err
}

// pickCheckpoint returns the checkpoint that was asked for.
func pickCheckpoint(run integration.RunRecord, g generation) (training.Checkpoint, error) {
	last, ok := run.LastCheckpoint()
	if !ok {
		return last, fmt.Errorf("run %s has no checkpoint yet; it writes the first one after %d epochs",
			run.ID, run.Session.Hyperparameters.CheckpointInterval)
	}
	if g.best {
		if best, ok := run.BestCheckpoint(); ok {
			return best, nil
		}
	}
	if g.step == 0 {
		return last, nil
	}
	var steps []uint64
	for _, cp := range run.Checkpoints {
		if cp.Step == g.step {
			return cp, nil
		}
		steps = append(steps, cp.Step)
	}
	return last, invalid(fmt.Errorf("--step %d: is not the step of a checkpoint; use one of %v", g.step, steps))
}
