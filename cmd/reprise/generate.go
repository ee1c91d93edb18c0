package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newGenerateCommand(env *environment) *cobra.Command {
	var g api.GenerateRequest
	var step uint64
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
			g.Run = args[0]
			if c.Flags().Changed("step") {
				g.Step = &step
			}
			return env.generate(c.Context(), g)
		},
	}
	flags := c.Flags()
	flags.StringVar((*string)(&g.Prompt), "prompt", "", "`TEXT` to continue")
	_ = flags.SetAnnotation("prompt", mayBeEmpty, nil) // it fails only for a flag that does not exist
	flags.IntVar(&g.Tokens, "tokens", 400, "write `N` tokens")
	flags.Var((*stepFlag)(&step), "step", "use the checkpoint at step `N` (default: the last one)")
	flags.BoolVar(&g.Best, "best", false, "use the checkpoint with the best monitored figure, by default the lowest validation loss")
	flags.Float64Var(&g.Temperature, "temperature", 0.8, "`T` below 1 makes likely tokens likelier; 0 always takes the likeliest")
	flags.IntVar(&g.TopK, "top-k", 0, "draw from the `K` likeliest tokens only (default: all)")
	flags.Float64Var(&g.TopP, "top-p", 0, "draw from the likeliest tokens that together reach probability `P` only (default: all)")
	flags.Uint64Var(&g.Seed, "seed", 0, "draw with the seed `N`: the same seed gives the same text")
	return c
}

// generateArguments are what sets the fields of the request.
func generateArguments() []argument {
	var list []argument
	for _, field := range []string{"prompt", "tokens", "step", "best", "temperature", "top_k", "top_p", "seed"} {
		list = append(list, argument{field: field, flag: flagOf(field)})
	}
	return list
}

func (env *environment) generate(ctx context.Context, g api.GenerateRequest) error {
	if err := g.Validate(); err != nil { // here too: no wire carries a temperature that is not a number
		return asGiven(api.ErrorOf(err), generateArguments()...)
	}
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		out, flush := env.textOutput()
		begun := false
		var failed error
		for piece, err := range s.Generate(ctx, g) {
			if err == nil {
				begun = true
				_, err = io.WriteString(out, string(piece.Text))
			}
			if err != nil {
				failed = err
				break
			}
		}
		if begun {
			failed = errors.Join(failed, flush())
			_, _ = fmt.Fprintln(env.stdout)
		}
		if errors.Is(failed, context.Canceled) {
			return errInterrupted
		}
		return asGiven(failed, generateArguments()...)
	})
}
