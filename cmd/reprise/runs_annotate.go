package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newRunsAnnotateCommand(env *environment) *cobra.Command {
	var name, note, format string
	var q api.AnnotateRequest
	c := &cobra.Command{
		Use:   "annotate RUN",
		Short: "Change a run's name, its tags and the note about it",
		Long: `Annotate changes what is noted about a run, in whatever state it is. A name can be given
wherever a run is asked for; of a run and its retries it is the newest, and where other
runs have it, too, it is ambiguous. Tags choose
runs: "reprise runs list --tag paper". An empty --name or --note removes what was there.

It changes nothing about what is trained. Earlier names and notes stay in the event log.`,
		Example: `  reprise runs annotate latest --name baseline --tag paper
  reprise runs annotate baseline --untag paper --note "learning rate too high"`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if q.Run = args[0]; c.Flags().Changed("name") {
				q.Name = &name
			}
			if c.Flags().Changed("note") {
				q.Note = &note
			}
			if q.Name == nil && q.Note == nil && len(q.Tag)+len(q.Untag) == 0 {
				return usageError(c, "there is nothing to change; give --name, --tag, --untag or --note")
			}
			return env.annotate(c.Context(), q, format)
		},
	}
	c.Flags().StringVar(&name, "name", "", "call the run `NAME`")
	c.Flags().StringVar(&note, "note", "", "note `TEXT` about the run")
	for _, flag := range []string{"name", "note"} { // an empty one removes what was there
		_ = c.Flags().SetAnnotation(flag, mayBeEmpty, nil) // it fails only for a flag that does not exist
	}
	c.Flags().StringArrayVar(&q.Tag, "tag", nil, "add `TAG`; may be repeated")
	c.Flags().StringArrayVar(&q.Untag, "untag", nil, "remove `TAG`; may be repeated")
	addListFormat(c, &format)
	return c
}

func (env *environment) annotate(ctx context.Context, q api.AnnotateRequest, format string) error {
	arguments := []argument{{field: "name", flag: "--name"}, {field: "note", flag: "--note"}, {field: "tag", flag: "--tag"}, {field: "untag", flag: "--untag"}}
	for i := range q.Tag {
		arguments = append(arguments, argument{field: fmt.Sprintf("tag[%d]", i), flag: "--tag"})
	}
	for i := range q.Untag {
		arguments = append(arguments, argument{field: fmt.Sprintf("untag[%d]", i), flag: "--untag"})
	}
	return env.withServiceFor(ctx, recording, func(ctx context.Context, s api.Service) error {
		answer, err := s.Annotate(ctx, q)
		if err != nil {
			return asGiven(err, arguments...)
		}
		return env.listing(format, answer, func(t *table) error {
			t.row("run", string(answer.RunID))
			t.row("name", cmp.Or(answer.Name, "none"))
			t.row("tags", cmp.Or(strings.Join(answer.Tags, ", "), "none"))
			t.row("note", cmp.Or(answer.Note, "none"))
			return nil
		})
	})
}
