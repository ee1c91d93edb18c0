package main

import "github.com/spf13/cobra"

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
