package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/tensor"
)

func newRunsDeleteCommand(env *environment) *cobra.Command {
	var t targetFlags
	var format string
	var yes bool
	c := &cobra.Command{
		Use:   "delete RUN...",
		Short: "Remove the files of runs that are not under way, for good",
		Long: `Delete removes the checkpoints and the figures of steps of runs, after it has said what
that frees and has asked; with --yes it does not ask. What is under way is refused, and so
is a run that forks began from. An interrupted or paused run is cancelled.

The event log keeps everything that happened to the runs, including their requests and the
hashes of their weights: "reprise events verify" still passes, and the whole id of such a run
still shows it. It is not listed any more, and its name is free. To be rid of the events,
too, delete the data directory.

What was interrupted is completed by repeating the command with the run's whole id.`,
		Example: `  reprise runs delete 20261130-101500-3f2a
  reprise runs delete --tag scratch --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if format != formatTable && !yes {
				return usageError(c, "--output %s leaves no room for a question; give --yes, too", format)
			}
			return env.deleteRuns(c.Context(), t.target(args), format, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	addListFormat(c, &format)
	t.add(c, "delete", "deleted")
	return c
}

func (env *environment) deleteRuns(ctx context.Context, target api.Target, format string, yes bool) error {
	if !yes {
		some, err := env.confirmDeletion(ctx, &target)
		if err != nil || !some {
			return err
		}
	}
	return env.withServiceFor(ctx, recording, func(ctx context.Context, s api.Service) error {
		answer, err := s.Delete(ctx, api.DeleteRequest{Target: target})
		if err != nil {
			return err
		}
		done, failed := partedDeletions(answer.Runs)
		list := answer.Runs
		if format == formatTable {
			list = done
		}
		err = env.listing(format, list, func(t *table) error {
			if len(answer.Runs) == 0 {
				t.line("no runs to delete")
			}
			for _, r := range done {
				if at := r.DeletedBefore; at != nil {
					t.line("run %s was deleted before, %s: %s freed", r.RunID, localTime(*at), tensor.Bytes(r.Bytes))
				} else {
					t.line("run %s is deleted: %s freed", r.RunID, tensor.Bytes(r.Bytes))
				}
				if r.Left {
					t.line("what is left in its folder was not made by this program, and stays")
				}
			}
			return nil
		})
		return partly(errors.Join(append(failed, err)...), len(done) > 0)
	})
}

// partedDeletions returns the runs that were deleted, or can be, and why the others were
// not.
func partedDeletions(list []api.DeletedRun) (done []api.DeletedRun, failed []error) {
	for _, r := range list {
		if r.Error != nil {
			failed = append(failed, r.Error)
		} else {
			done = append(done, r)
		}
	}
	return done, failed
}

// confirmDeletion says what would be freed and asks. It reports whether there is something
// to delete, and has the target name just the runs that were agreed to.
func (env *environment) confirmDeletion(ctx context.Context, target *api.Target) (some bool, err error) {
	var answer api.Deleted
	if err := env.withService(ctx, func(ctx context.Context, s api.Service) error {
		answer, err = s.Delete(ctx, api.DeleteRequest{Target: *target, DryRun: true})
		return err
	}); err != nil {
		return false, err
	}
	done, failed := partedDeletions(answer.Runs)
	if len(failed) > 0 {
		return false, errorf("nothing was deleted: %w", errors.Join(failed...))
	}
	total := tensor.Bytes(0)
	agreed := api.Target{}
	t := newTable(env.stdout)
	if len(done) > 0 {
		t.columns(column{title: "RUN"}, column{title: "NAME", cut: 8, drop: 1}, column{title: "STATE"}, column{title: "CHECKPOINTS", right: true, drop: 2}, column{title: "FREES", right: true})
	}
	for _, r := range done {
		t.row(string(r.RunID), cmp.Or(r.Name, "-"), string(r.State), thousands(r.Checkpoints), tensor.Bytes(r.Bytes).String())
		total += tensor.Bytes(r.Bytes)
		agreed.Runs = append(agreed.Runs, string(r.RunID))
	}
	if len(done) == 0 {
		t.line("no runs to delete")
		return false, t.flush()
	}
	if err := t.flush(); err != nil {
		return false, err
	}
	*target = agreed
	return true, env.confirm(ctx, "deleted", fmt.Sprintf("Delete %s, %s, for good?", plural(len(done), "run"), total))
}
