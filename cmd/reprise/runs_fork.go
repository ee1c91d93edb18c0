package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/training"
)

// forkOptions is what `runs fork` was asked for.
type forkOptions struct {
	from uint64
	last bool // no --from
	set  []string
	data api.MovedData
	followOptions
}

func newRunsForkCommand(env *environment) *cobra.Command {
	var f forkOptions
	var moved movedFlag
	c := &cobra.Command{
		Use:   "fork RUN",
		Short: "Start a new run from a checkpoint of another one, with some settings changed",
		Long: `Fork starts a new run from the checkpoint that RUN committed at step --from: from
its weights, its optimizer's moments and its place in the data; steps and epochs are
counted from there. Fields of the request are changed with --set, by their path and
in YAML, and checked as in a request file. Each run remembers the other: see
"reprise runs show".

Changes that do not fit the checkpoint are refused, by name: other data, layers whose
weights have other names or shapes, an optimizer with other moments, another
batch_size or gradient_accumulation, by which steps and epochs are counted.
Every other setting of config may change: among them learning_rate and schedule (it is
planned for the whole length and continues at the checkpoint's step) and epochs
(counted from the parent's start).

Data that were moved since are read with --dataset PATH, if they are the same data.

A fork that changes nothing ends with the same bits as its parent.`,
		Example: `  reprise runs fork latest --from 675 --set config.learning_rate=0.0005
  reprise runs fork latest --set config.epochs=60 \
      --set 'config.schedule={name: cosine, min_factor: 0.1}'`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTrainFormat(f.format); err != nil {
				return err
			}
			f.last = !c.Flags().Changed("from")
			var err error
			if f.data, err = moved.data(c); err != nil {
				return err
			}
			return interrupted(c.Context(), env.fork(c.Context(), args[0], f), nothingStarted)
		},
	}
	f.add(c)
	c.Flags().Var((*stepFlag)(&f.from), "from", "start from the checkpoint at step `N` (default: the last one)")
	addSet(c, &f.set)
	moved.add(c)
	return c
}

func (env *environment) fork(ctx context.Context, run string, f forkOptions) error {
	return env.trainOne(ctx, f.followOptions, func(ctx context.Context, s api.Service, view func() hostView) (training.RunID, error) {
		request := api.ForkRequest{Run: run, Settings: settingsOf(f.set), MovedData: f.data}
		if !f.last {
			request.From = &f.from
		}
		forked, err := s.Fork(ctx, request)
		if err != nil {
			return "", asGiven(err, argument{field: "from", flag: "--from"}, movedArgument())
		}
		view().message(fmt.Sprintf("fork of run %s at step %s%s", forked.Parent, thousands(forked.Step), describeChanges(", with ", forked.Changes)))
		return forked.RunID, nil
	})
}

// writeLineage shows the run's relatives in `runs show`.
func writeLineage(t *table, l api.Lineage) {
	if p := l.Parent; p != nil {
		t.row("forked from", fmt.Sprintf("%s at step %s, epoch %d%s", p.RunID, thousands(p.Step()), p.Epoch(), sinceDeleted(l, p.RunID)))
		t.row("  checkpoint", fmt.Sprintf("weights %s, manifest %s",
			shortHash(p.Checkpoint.WeightsSHA256), shortHash(p.Checkpoint.ManifestSHA256)))
		changed := "nothing"
		if len(l.Changes) > 0 {
			changed = describeChanges("", l.Changes)
		}
		t.row("  changed", changed)
	}
	writeInit(t, l.Init)
	for i, f := range l.Forks {
		title := "forks"
		if i > 0 {
			title = ""
		}
		t.row(title, fmt.Sprintf("%s from step %s (%s%s)%s", f.RunID, thousands(f.Step), f.State, sinceDeleted(l, f.RunID), describeChanges(": ", f.Changes)))
	}
}

// writeInit shows where the initial weights come from, and what was not taken.
func writeInit(t *table, init *training.Init) {
	if init == nil {
		return
	}
	t.row("init", fmt.Sprintf("%s (sha256 %s)", init.Origin(), shortHash(init.SourceSHA256)))
	t.row("  taken", fmt.Sprintf("%s (sha256 %s)", init.Amount(), shortHash(init.WeightsSHA256)))
	for i, d := range init.Drawn {
		title := "  drawn from the seed"
		if i > 0 {
			title = ""
		}
		t.row(title, d.Name+" ("+d.Why()+")")
	}
	if n := init.Unused; n > 0 {
		names := strings.Join(init.UnusedNames, ", ")
		if more := n - len(init.UnusedNames); more > 0 {
			names += fmt.Sprintf(", %d more", more)
		}
		t.row("  not in the model", names)
	}
}

// sinceDeleted says when a relative of a run was deleted; "" if it was not.
func sinceDeleted(l api.Lineage, relative training.RunID) string {
	at, deleted := l.Deleted[relative]
	if !deleted {
		return ""
	}
	return ", deleted " + localTime(at)
}

// describeChanges lists what a fork changed, after a prefix.
func describeChanges(prefix string, changes []api.Change) string {
	if len(changes) == 0 {
		return prefix + "nothing changed"
	}
	parts := make([]string, len(changes))
	for i, c := range changes {
		from, to := string(c.From), string(c.To)
		if from == "null" {
			from = "default"
		}
		if to == "null" {
			to = "default"
		}
		parts[i] = fmt.Sprintf("%s %s -> %s", c.Field, from, to)
	}
	return prefix + strings.Join(parts, ", ")
}
