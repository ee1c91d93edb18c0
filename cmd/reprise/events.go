package main

import (
	"encoding/json"
	"strings"
	"time"

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

// eventRow is an event as the commands print it for programs.
type eventRow struct {
	Position    eventstore.Position    `json:"position"`
	Aggregate   eventstore.AggregateID `json:"aggregate"`
	Version     eventstore.Version     `json:"version"`
	ID          eventstore.EventID     `json:"id"`
	Type        string                 `json:"type"`
	Time        time.Time              `json:"time"`
	Correlation eventstore.EventID     `json:"correlation,omitempty"`
	Causation   eventstore.EventID     `json:"causation,omitempty"`
	PrevHash    eventstore.Hash        `json:"prev_hash"`
	Hash        eventstore.Hash        `json:"hash"`
	Payload     json.RawMessage        `json:"payload"`
}

func eventRowOf(e eventstore.Event) eventRow {
	return eventRow{
		Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, ID: e.ID, Type: e.Type, Time: e.Time,
		Correlation: e.Correlation, Causation: e.Causation, PrevHash: e.PrevHash, Hash: e.Hash, Payload: e.Payload,
	}
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
