package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/api/describe"
)

func newRunsCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "runs",
		Short: "List, show, compare, explain, pause, resume, cancel, fork and verify training runs",
		Long: `Runs works on the training runs of the data directory. RUN is a run's id, the
beginning of one, its name (see "reprise runs annotate"), or "latest".`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newRunsListCommand(env), newRunsShowCommand(env), newRunsResumeCommand(env), newRunsForkCommand(env),
		newRunsEventsCommand(env), newRunsMetricsCommand(env), newRunsVerifyCommand(env), newRunsExplainCommand(env),
		newRunsAnnotateCommand(env), newRunsCompareCommand(env), newRunsDeleteCommand(env), newRunsPlotCommand(env), newRunsExportCommand(env), newRunsCancelCommand(env), newRunsPauseCommand(env), newRunsPriorityCommand(env), newRunsRetryCommand(env),
	)
	return c
}

func newRunsListCommand(env *environment) *cobra.Command {
	var format string
	var q api.RunsRequest
	c := &cobra.Command{
		Use: "list", Short: "List runs, oldest first", Args: usage(cobra.NoArgs),
		Long: `List prints runs with their states, in the order in which they were submitted: the
oldest first. A run that does not train yet is submitted (it waits for its data), preparing
(its data are being opened), queued (it waits for a device or for other runs) or placed (it
has a device), or has been paused, cancelled or rejected.

EPOCH and STEP, and epoch and step in JSON and YAML, are those of the last committed
checkpoint, from which a run is resumed and forked. A run that has failed or was killed may
have trained beyond it: "reprise runs metrics" shows how far.`,
		Example: `  reprise runs list
  reprise runs list --group sweep --state queued
  reprise runs list --tag paper`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			for _, name := range []string{"group", "owner", "state", "name"} {
				if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return usageError(c, "--%s is empty; give a value, or leave --%s out", name, name)
				}
			}
			if slices.Contains(q.Tags, "") {
				return usageError(c, "--tag is empty; give a value, or leave --tag out")
			}
			return env.listRuns(c.Context(), q, format)
		},
	}
	c.Flags().StringVar(&q.Group, "group", "", "only the runs of `GROUP`, which their requests name in job.group")
	c.Flags().StringVar(&q.Owner, "owner", "", "only the runs of `OWNER`")
	c.Flags().StringVar(&q.Name, "name", "", "only the runs that are called `NAME`")
	c.Flags().StringArrayVar(&q.Tags, "tag", nil, "only the runs that are tagged `TAG`; with several, those that have all")
	c.Flags().StringVar((*string)(&q.State), "state", "", "only the runs in `STATE`, such as queued")
	addListFormat(c, &format)
	return c
}

func (env *environment) listRuns(ctx context.Context, q api.RunsRequest, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		list, err := s.Runs(ctx, q)
		if err != nil {
			return asGiven(err, argument{field: "state", flag: "--state"})
		}
		return env.listing(format, list.Runs, func(t *table) error {
			if len(list.Runs) == 0 && !q.IsZero() {
				t.line("no such runs in %s; see all with: %s", list.Folder, env.commandLine("runs list"))
				return nil
			}
			if len(list.Runs) == 0 {
				t.line("no runs in %s; start one with: %s train JOB", list.Folder, env.program)
				return nil
			}
			writeRuns(t, list.Runs, currentUser())
			incomplete := 0
			for _, r := range list.Runs {
				if r.FilesMissing {
					incomplete++
				}
			}
			if incomplete > 0 {
				t.line("\n%s without the files of the last checkpoint; "+missingFiles, plural(incomplete, "run"), list.RunsFolder)
			}
			return nil
		})
	})
}

// writeRuns lists runs. On a narrow terminal the time of submission goes first, since a run's
// id begins with it; the ids and the states stay. Owners are listed if one of them is not the user.
func writeRuns(t *table, rows []api.Run, user string) {
	accurate := slices.ContainsFunc(rows, func(r api.Run) bool { return r.Metrics.ValAccuracy != nil })
	forks := slices.ContainsFunc(rows, func(r api.Run) bool { return r.ForkOf != "" })
	inits := slices.ContainsFunc(rows, func(r api.Run) bool { return r.InitFrom != "" })
	groups := slices.ContainsFunc(rows, func(r api.Run) bool { return r.Job != nil && r.Job.Group != "" })
	named := slices.ContainsFunc(rows, func(r api.Run) bool { return r.Name != "" })
	tagged := slices.ContainsFunc(rows, func(r api.Run) bool { return len(r.Tags) > 0 })
	owners := slices.ContainsFunc(rows, func(r api.Run) bool { return ownerOf(r) != "" && ownerOf(r) != user })
	head := []column{{title: "RUN"}}
	if named {
		head = append(head, column{title: "NAME", cut: 8, drop: 1})
	}
	head = append(head, []column{{title: "STATE"}, {title: "EPOCH", right: true, drop: 2},
		{title: "STEP", right: true, short: withoutTotal, drop: 10}, {title: "VAL LOSS", right: true, drop: map[bool]int{true: 4, false: 3}[accurate]}}...)
	if accurate {
		head = append(head, column{title: "VAL ACCURACY", brief: "ACCURACY", right: true, drop: 3})
	}
	head = append(head, column{title: "DATA SET", short: filepath.Base, cut: 8, keepEnd: true, drop: 5}, column{title: "SUBMITTED", drop: 11})
	if tagged {
		head = append(head, column{title: "TAGS", cut: 8, drop: 6})
	}
	if groups {
		head = append(head, column{title: "GROUP", cut: 8, drop: 7})
	}
	if owners {
		head = append(head, column{title: "OWNER", cut: 8, drop: 7})
	}
	if forks {
		head = append(head, column{title: "FORK OF", short: shortFork, drop: 8})
	}
	if inits {
		head = append(head, column{title: "INIT", cut: 8, keepEnd: true, drop: 6})
	}
	t.columns(head...)
	for _, r := range rows {
		loss, accuracy := "-", "-"
		if r.Metrics.ValLoss != nil {
			loss = formatMetric(*r.Metrics.ValLoss)
		}
		if r.Metrics.ValAccuracy != nil {
			accuracy = formatShare(*r.Metrics.ValAccuracy)
		}
		epoch, step, data := thousands(r.Epoch)+"/"+thousands(r.Epochs), thousands(r.Step)+"/"+thousands(r.TotalSteps), r.Dataset
		if r.Epochs == 0 { // only its job is recorded
			epoch, step, data = "-", "-", "-"
		}
		cells := []string{string(r.RunID)}
		if named {
			cells = append(cells, cmp.Or(r.Name, "-"))
		}
		cells = append(cells, string(r.State), epoch, step, loss)
		if accurate {
			cells = append(cells, accuracy)
		}
		cells = append(cells, data, localTime(submittedAt(r)))
		if tagged {
			cells = append(cells, cmp.Or(strings.Join(r.Tags, ", "), "-"))
		}
		if groups {
			group := "-"
			if r.Job != nil && r.Job.Group != "" {
				group = r.Job.Group
			}
			cells = append(cells, group)
		}
		if owners {
			cells = append(cells, cmp.Or(ownerOf(r), "-"))
		}
		switch {
		case r.ForkOf != "":
			cells = append(cells, fmt.Sprintf("%s at %s", r.ForkOf, thousands(r.ForkStep)))
		case forks:
			cells = append(cells, "-")
		}
		if inits {
			cells = append(cells, cmp.Or(r.InitFrom, "-"))
		}
		t.row(cells...)
	}
}

// submittedAt is when a run was submitted; one that never was, as in older logs, was
// started at once.
func submittedAt(r api.Run) time.Time {
	if r.Job != nil {
		return r.Job.SubmittedAt
	}
	return r.StartedAt
}

// ownerOf is who a run's job belongs to; "" if that is not recorded.
func ownerOf(r api.Run) string {
	if r.Job == nil {
		return ""
	}
	return r.Job.Owner
}

// withoutTotal shortens "90/135" to "90"; the epoch beside it tells the share.
func withoutTotal(steps string) string {
	step, _, _ := strings.Cut(steps, "/")
	return step
}

// shortFork shortens where a fork comes from to the end of the run's id, which
// differs between runs of the same time.
func shortFork(from string) string {
	id, _, _ := strings.Cut(from, " at ")
	return shortEnd(id)
}

func newRunsEventsCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "events RUN", Short: "List everything that happened to a run", Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			return env.listEvents(c.Context(), args[0], format)
		},
	}
	addListFormat(c, &format)
	return c
}

func (env *environment) listEvents(ctx context.Context, run, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		events := []api.Event{}
		for e, err := range s.Events(ctx, api.EventsRequest{Run: run}) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return env.listing(format, events, func(t *table) error {
			t.columns(column{title: "POSITION", right: true}, column{title: "VERSION", right: true, drop: 9},
				column{title: "TIME", short: timeOfDay, drop: 8}, column{title: "EVENT"}, column{title: "DETAILS", wrap: 40})
			for _, e := range events {
				t.row(thousands(e.Position), thousands(e.Version), localTime(e.Time), describe.Type(e.Type), describe.Figures(e.Stored()))
			}
			return nil
		})
	})
}

// truncateFront is truncate for a text whose end says more.
func truncateFront(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return "…" + string(runes[len(runes)-limit+1:])
}
