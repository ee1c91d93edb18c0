package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newStateCommand(env *environment) *cobra.Command {
	var format string
	var at pointInTime
	c := &cobra.Command{
		Use:   "state",
		Short: "Show the whole system, now or at any earlier time: queue, devices, runs",
		Long: `State shows which runs wait, who holds which device and the state of every run, at
the end of the event log or, with --at, after any event of it: the one at a position,
or the last one at or before a time. With --at it is computed only from the events up
to that point. Without, a run whose process has died is shown as interrupted, and its
device as not leased, with a note: no event says so until the next command writes.`,
		Example: `  reprise events tail          # which positions there are
  reprise state --at 57
  reprise state --at 15m       # a quarter of an hour ago
  reprise state --at 2026-11-24T15:04:05Z`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.showState(c.Context(), at, format)
		},
	}
	addListFormat(c, &format)
	addPointInTime(c, &at)
	return c
}

func (env *environment) showState(ctx context.Context, at pointInTime, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		report, err := s.State(ctx, api.StateRequest{At: at.PointInTime})
		if err != nil {
			return asGiven(err, at.argument())
		}
		return env.listing(format, report.State, func(t *table) error { return writeState(t, report) })
	})
}

func writeState(t *table, report api.StateReport) error {
	s := report.State
	if s.Position == 0 {
		t.line("position 0 of %s: before the first event", thousands(uint64(s.End)))
	} else {
		t.line("position %s of %s, %s, %s: %s",
			thousands(uint64(s.Position)), thousands(uint64(s.End)), localTime(*s.Time), report.Aggregate, report.Headline)
	}
	if s.Note != "" {
		t.line("%s (--at %d shows what it has)", s.Note, s.Position)
	}
	t.line("\nqueue")
	if len(s.Queue) == 0 {
		t.line("  no run is waiting")
	}
	const most = 8 // the devices below are seen, too
	for i, q := range s.Queue {
		if i == most && len(s.Queue) > most+1 {
			t.line("  and %s more, which `reprise runs list --state queued` shows", thousands(len(s.Queue)-most))
			break
		}
		t.row("  "+string(q.RunID), strings.ReplaceAll(q.For, "_", " "), "since "+localTime(q.Since))
	}
	t.line("\ndevices")
	if len(s.Devices) == 0 {
		t.line("  none yet")
	}
	for _, d := range s.Devices {
		held := "not leased"
		if len(d.Leases) > 0 {
			holders := make([]string, len(d.Leases))
			for i, l := range d.Leases {
				holders[i] = fmt.Sprintf("%s (lease epoch %d, %s)", l.Holder, l.Epoch, l.Memory)
			}
			held = "held by " + strings.Join(holders, ", ")
		}
		t.row("  "+string(d.ID), d.Name, string(d.Health), d.Memory.Available.String()+" free", held)
	}
	t.line("\nruns")
	if len(s.Runs) == 0 {
		t.line("  none yet")
		return nil
	}
	t.indent = "  "
	writeRuns(t, s.Runs, currentUser())
	return nil
}
