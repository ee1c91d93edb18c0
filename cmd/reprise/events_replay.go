package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/api/describe"
)

func newEventsReplayCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "replay RUN",
		Short: "Replay a run: each event and the state that it leads to",
		Long: `Replay folds a run's events one by one, using the same rules that trained it, and
prints after each one the state of the run and what it did next. RUN is a run's id,
the beginning of one, or "latest".`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.replay(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) replay(ctx context.Context, run, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		var steps []api.ReplayStep
		for step, err := range s.Replay(ctx, api.ReplayRequest{Run: run}) {
			if err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return env.listing(format, steps, func(t *table) error {
			t.columns(column{title: "POSITION", right: true}, column{title: "TIME", short: timeOfDay, drop: 7},
				column{title: "WHAT HAPPENED", cut: 32},
				column{title: "RUN"}, column{title: "SAGA", drop: 9}, column{title: "CHECKPOINT", drop: 8}, column{title: "DOES NEXT"})
			for _, step := range steps {
				e, s := step.Event, step.State
				next := "-"
				if len(s.Waits) > 0 {
					next = s.Waits[0]
				}
				t.row(thousands(e.Position), localTime(e.Time), truncate(describe.Headline(e.Stored()), 72), string(s.State),
					strings.ReplaceAll(string(s.Saga.State), "_", " "), "step "+thousands(s.Saga.Context.CheckpointStep), next)
			}
			return nil
		})
	})
}
