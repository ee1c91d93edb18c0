package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newProjectionsCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "projections",
		Short: "List and rebuild the read models that listings are made from",
		Long: `Projections are read models: what listings show, folded from the event log and
kept beside it with the position up to which they have seen it. They are caches: a
listing folds in the events after that position or, where the log is short, all
events. Deleting or rebuilding one changes nothing but the time that a listing
takes. "reprise events verify" compares them with the events.`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newProjectionsListCommand(env), newProjectionsRebuildCommand(env))
	return c
}

func newProjectionsListCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "list", Short: "List the projections: position in the log, lag, size", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.listProjections(c.Context(), format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) listProjections(ctx context.Context, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		list, err := s.Projections(ctx, api.ProjectionsRequest{})
		if err != nil {
			return err
		}
		return env.listing(format, list.Projections, func(t *table) error {
			t.columns(column{title: "PROJECTION"}, column{title: "POSITION", right: true}, column{title: "LAG", right: true},
				column{title: "SCHEMA", right: true}, column{title: "BYTES", right: true})
			for _, p := range list.Projections {
				t.row(p.Name, thousands(uint64(p.Position)), thousands(uint64(p.Lag)), fmt.Sprint(p.Schema), thousands(p.Bytes))
			}
			return nil
		})
	})
}

func newProjectionsRebuildCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "rebuild [PROJECTION...]",
		Short: "Fold projections again from the whole event log",
		Long: `Rebuild folds the named projections, or all of them and the snapshots of devices,
from the first event on, compares each with the kept one brought up to date, and
keeps the new one. They always agree, unless something else changed what was kept.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.rebuildProjections(c.Context(), args, format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) rebuildProjections(ctx context.Context, names []string, format string) error {
	return env.withServiceFor(ctx, writing, func(ctx context.Context, s api.Service) error {
		report, err := s.RebuildProjections(ctx, api.RebuildRequest{Projections: names})
		if err != nil {
			return asGiven(err, argument{field: "projections", flag: "PROJECTION"})
		}
		return env.listing(format, report.Projections, func(t *table) error {
			t.columns(column{title: "PROJECTION"}, column{title: "EVENTS", right: true}, column{})
			for _, r := range report.Projections {
				verdict := "equal to what was kept"
				if !r.Same {
					verdict = "DIFFERS from what was kept, which it replaces"
				}
				t.row(r.Name, thousands(uint64(r.Events)), verdict)
			}
			return nil
		})
	})
}
