package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"reprise/dataset/tokenizer"
	"reprise/fault"
	"reprise/inference"
	"reprise/integration"
	"reprise/training"
)

// generateOptions is what `generate` was asked for.
type generateOptions struct {
	prompt   string
	tokens   int
	step     uint64
	best     bool
	sampling inference.Sampling

	stepGiven bool
}

func newGenerateCommand(env *environment) *cobra.Command {
	var g generateOptions
	c := &cobra.Command{
		Use:   "generate RUN",
		Short: "Continue a prompt with a language model that a run has trained",
		Long: `Generate continues --prompt with the weights of a run's last checkpoint, or of
the one at --step, and writes the text to standard output as it is drawn. The
same weights, prompt and seed give the same text on every machine. It only reads
the run: the data set is not needed, and a run that is still training can be tried.

RUN is a run's id, the beginning of one, or latest.`,
		Example: `  reprise generate latest --prompt "The Rays of Light " --tokens 400
  reprise generate latest --prompt "Qu. 31." --temperature 0.5 --seed 7`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := g.check(c); err != nil {
				return err
			}
			return env.readRun(c.Context(), args[0], func(r runReader) error { return env.generate(c.Context(), r, g) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&g.prompt, "prompt", "", "`TEXT` to continue")
	_ = flags.SetAnnotation("prompt", mayBeEmpty, nil) // it fails only for a flag that does not exist
	flags.IntVar(&g.tokens, "tokens", 400, "write `N` tokens")
	flags.Var((*stepFlag)(&g.step), "step", "use the checkpoint at step `N` (default: the last one)")
	flags.BoolVar(&g.best, "best", false, "use the checkpoint with the lowest validation loss")
	flags.Float64Var(&g.sampling.Temperature, "temperature", 0.8, "`T` below 1 makes likely tokens likelier; 0 always takes the likeliest")
	flags.IntVar(&g.sampling.TopK, "top-k", 0, "draw from the `K` likeliest tokens only (default: all)")
	flags.Float64Var(&g.sampling.TopP, "top-p", 0, "draw from the likeliest tokens that together reach probability `P` only (default: all)")
	flags.Uint64Var(&g.sampling.Seed, "seed", 0, "draw with the seed `N`: the same seed gives the same text")
	return c
}

// check refuses values out of range, and flags of which one would be ignored, all
// at once.
func (g *generateOptions) check(c *cobra.Command) error {
	g.stepGiven = c.Flags().Changed("step")
	var wrong []string
	if g.best && g.stepGiven {
		wrong = append(wrong, "--best and --step cannot be given together; leave one of them out")
	}
	switch {
	case g.tokens < 0:
		wrong = append(wrong, fmt.Sprintf("--tokens: %d must not be negative; use a number such as 400", g.tokens))
	case g.tokens == 0:
		wrong = append(wrong, "--tokens: 0 writes nothing; use a number such as 400")
	}
	for _, err := range fault.Parts(g.sampling.Validate()) {
		var field *fault.FieldError
		if errors.As(err, &field) {
			named := *field
			named.Field = flagOf(field.Field)
			wrong = append(wrong, named.Error())
		}
	}
	if g.sampling.Temperature == 0 {
		for _, name := range []string{"top-k", "top-p", "seed"} {
			if c.Flags().Changed(name) {
				wrong = append(wrong, fmt.Sprintf(
					"--%s has no effect with --temperature 0, which always takes the likeliest token; leave one of them out", name))
			}
		}
	}
	if len(wrong) > 0 {
		return usageError(c, "%s", strings.Join(wrong, "\n"))
	}
	return nil
}

func (env *environment) generate(ctx context.Context, r runReader, g generateOptions) (err error) {
	session := r.run.Session
	if session.Dataset.TokenizerModel == "" {
		return invalid(fmt.Errorf("run %s was not trained on text but on %s; generate needs a language model",
			r.run.ID, session.Dataset.Path))
	}
	t, err := tokenizer.Parse([]byte(session.Dataset.TokenizerModel))
	if err != nil {
		return err
	}
	cp, err := env.pickCheckpoint(r, g)
	if err != nil {
		return err
	}
	content, err := r.workspace.Checkpoints(r.run.ID).Read(cp.Ref())
	if err != nil {
		return badFiles(r.run, r.workspace, cp, "use another checkpoint: --step", err)
	}
	devices, closeDevices, err := env.leaseDevices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDevices()) }()
	generator, err := integration.NewGeneration(ctx, devices, integration.GenerationRequest{
		Run: r.run.ID, Model: inference.Model{Architecture: session.Architecture, Weights: content.Weights, Tokenizer: t},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, generator.Close()) }()
	out, flush := env.textOutput()
	if _, err := io.WriteString(out, g.prompt); err != nil {
		return err
	}
	err = generator.Generate(ctx, []byte(g.prompt), g.tokens, g.sampling, func(piece []byte) error {
		_, err := out.Write(piece)
		return err
	})
	err = errors.Join(err, flush())
	_, _ = fmt.Fprintln(env.stdout)
	var unknown *tokenizer.UnknownCharacterError
	switch {
	case errors.As(err, &unknown):
		return invalid(fmt.Errorf("--%w", err))
	case errors.Is(err, context.Canceled):
		return errInterrupted
	}
	return err
}

// pickCheckpoint returns the checkpoint that was asked for.
func (env *environment) pickCheckpoint(r runReader, g generateOptions) (training.Checkpoint, error) {
	if g.stepGiven {
		return env.checkpointAt(r.run, r.workspace, "--step", g.step)
	}
	last, err := env.lastCheckpoint(r.run, r.workspace)
	if best, ok := r.run.BestCheckpoint(); g.best && ok {
		return best, nil
	}
	return last, err
}
