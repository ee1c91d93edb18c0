package main

import (
	"strings"

	"github.com/spf13/cobra"

	"reprise/eventstore"
)

func newEventsCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "events",
		Short: "Follow, replay, verify, sign, export, import and salvage the event log",
		Long: `Events works on the event log of the data directory: everything that happened
to every run and device, in one order, linked by hashes.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newEventsTailCommand(env), newEventsReplayCommand(env), newEventsVerifyCommand(env),
		newEventsHeadCommand(env), newEventsExportCommand(env), newEventsImportCommand(env), newEventsSalvageCommand(env))
	return c
}

// eventFilter says which events are wanted: those whose names begin with what is
// given.
type eventFilter struct {
	aggregate, kind, run string
}

func (f *eventFilter) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.run, "run", "", "only events of this `RUN`: an id, the beginning of one, or latest")
	flags.StringVar(&f.aggregate, "aggregate", "", "only events of aggregates whose id begins with `PREFIX`, such as device/ or run/2026")
	flags.StringVar(&f.kind, "type", "", "only events whose type begins with `PREFIX`, such as training.epoch_completed or device.")
}

func (f *eventFilter) takes(e eventstore.Event) bool {
	return strings.HasPrefix(string(e.Aggregate), f.aggregate) && strings.HasPrefix(e.Type, f.kind) &&
		(f.run == "" || string(e.Aggregate) == f.run)
}
