package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/training"
)

// targetFlags name the runs that a command is about, beside its arguments.
type targetFlags struct {
	group, name string
	tags        []string
	all         bool
}

// add adds the flags; does is what the command does to runs, done what is then done to them.
func (t *targetFlags) add(c *cobra.Command, does, done string) {
	c.Flags().StringVar(&t.group, "group", "", does+" the runs of `GROUP`, which their requests name in job.group")
	c.Flags().StringVar(&t.name, "name", "", does+" the runs that are called `NAME`")
	c.Flags().StringArrayVar(&t.tags, "tag", nil, does+" the runs that are tagged `TAG`; with several, those that have all")
	c.Flags().BoolVar(&t.all, "all", false, does+" every run that can be "+done)
	c.Args = usage(func(c *cobra.Command, args []string) error {
		if t.selecting(c) != "" || t.all {
			return cobra.NoArgs(c, args)
		}
		return cobra.MinimumNArgs(1)(c, args)
	})
	names := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		by := t.selecting(c)
		switch {
		case by != "" && t.all:
			return usageError(c, "give %s or --all, not both", by)
		case c.Flags().Changed("group") && t.group == "":
			return usageError(c, "--group is empty; name a group, or leave --group out")
		case c.Flags().Changed("name") && t.name == "":
			return usageError(c, "--name is empty; give a name, or leave --name out")
		case slices.Contains(t.tags, ""):
			return usageError(c, "--tag is empty; give a tag, or leave --tag out")
		case len(args) > 0 && by != "":
			return usageError(c, "give RUN or %s, not both", by)
		case len(args) > 0 && t.all:
			return usageError(c, "give RUN or --all, not both")
		}
		return names(c, args)
	}
}

func (t *targetFlags) target(args []string) api.Target {
	return api.Target{Runs: args, Group: t.group, Name: t.name, Tags: t.tags, All: t.all}
}

// selecting returns the first flag that says what the runs have in common; "" if there is
// none.
func (t *targetFlags) selecting(c *cobra.Command) string {
	for _, name := range []string{"group", "name", "tag"} {
		if c.Flags().Changed(name) {
			return "--" + name
		}
	}
	return ""
}

func newRunsCancelCommand(env *environment) *cobra.Command {
	var t targetFlags
	var yes bool
	c := env.runsCommand(&cobra.Command{
		Use:   "cancel RUN...",
		Short: "End runs for good, whether they wait or train",
		Long: `Cancel ends runs that wait or train, including those of other processes. One that trains
writes a checkpoint first and then gives its device back; all checkpoints stay, and
"reprise runs fork" can continue from one. A cancelled run cannot be resumed. Runs
that were to come after it (job.after) are cancelled, too.

On a terminal it asks first if runs are chosen by a flag, such as --all; with --yes it does
not.`,
		Example: `  reprise runs cancel latest
  reprise runs cancel --group sweep`,
	}, &t, "cancel", "cancelled", func(ctx context.Context, s api.Service, target api.Target) (api.Commanded, error) {
		if !yes && len(target.Runs) == 0 && env.canAsk() {
			if err := env.confirmCancelling(ctx, s, &target); err != nil {
				return api.Commanded{}, err
			}
		}
		return s.Cancel(ctx, api.CancelRequest{Target: target, Cause: "cancelled by the user"})
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// confirmCancelling says how many runs would be cancelled and asks. It has the target name
// just those, if there are any.
func (env *environment) confirmCancelling(ctx context.Context, s api.Service, target *api.Target) error {
	list, err := s.Runs(ctx, api.RunsRequest{})
	if err != nil {
		return err
	}
	var agreed api.Target
	for _, r := range list.Runs {
		if r.Job != nil && !r.Job.State.Ended() && (target.All || target.Fits(r)) {
			agreed.Runs = append(agreed.Runs, string(r.RunID))
		}
	}
	if len(agreed.Runs) == 0 {
		return nil // the service says so
	}
	*target = agreed
	return env.confirm(ctx, "cancelled", fmt.Sprintf("Cancel %s for good?", plural(len(agreed.Runs), "run")))
}

func newRunsPauseCommand(env *environment) *cobra.Command {
	var t targetFlags
	return env.runsCommand(&cobra.Command{
		Use:   "pause RUN...",
		Short: "Have runs wait until they are resumed",
		Long: `Pause has runs wait until "reprise runs resume", including those of other processes. One that
trains writes a checkpoint first and then gives its device back to the others; it is
later resumed to the same bits.`,
		Example: `  reprise runs pause latest
  reprise runs pause --all`,
	}, &t, "pause", "paused", func(ctx context.Context, s api.Service, target api.Target) (api.Commanded, error) {
		return s.Pause(ctx, api.PauseRequest{Target: target, Cause: "paused by the user"})
	})
}

func newRunsPriorityCommand(env *environment) *cobra.Command {
	var t targetFlags
	var priority int
	c := env.runsCommand(&cobra.Command{
		Use:   "priority RUN...",
		Short: "Change the priority of runs that have not ended",
		Long: `Priority changes how soon runs get a device: those of the highest priority come
first. It is 0 where a request does not set job.priority. A run that trains gives way
to one of a higher priority once it has trained for a while.`,
		Example: `  reprise runs priority latest --priority 10
  reprise runs priority --group sweep --priority -5`,
	}, &t, "change", "changed", func(ctx context.Context, s api.Service, target api.Target) (api.Commanded, error) {
		return s.Prioritize(ctx, api.PriorityRequest{Target: target, Priority: priority})
	})
	c.Flags().IntVar(&priority, "priority", 0, "the new priority `N`, from -1000 to 1000")
	_ = c.MarkFlagRequired("priority") // it fails only for a flag that does not exist
	return c
}

// runsCommand completes a command that asks the service to do something to runs.
func (env *environment) runsCommand(
	c *cobra.Command, t *targetFlags, does, done string, do func(context.Context, api.Service, api.Target) (api.Commanded, error),
) *cobra.Command {
	var format string
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkListFormat(format); err != nil {
			return err
		}
		return env.withServiceFor(c.Context(), recording, func(ctx context.Context, s api.Service) error {
			answer, err := do(ctx, s, t.target(args))
			if err != nil {
				return asGiven(err, argument{field: "priority", flag: "--priority"})
			}
			return env.writeCommanded(answer, format, does)
		})
	}
	addListFormat(c, &format)
	t.add(c, does, done)
	return c
}

// writeCommanded prints what became of runs, and returns what went wrong with some.
func (env *environment) writeCommanded(answer api.Commanded, format, does string) error {
	var failed []error
	done := answer.Runs[:0:0]
	for _, r := range answer.Runs {
		if r.Error != nil {
			failed = append(failed, r.Error)
		} else {
			done = append(done, r)
		}
	}
	list := answer.Runs
	if format == formatTable {
		list = done
	}
	err := env.listing(format, list, func(t *table) error {
		if len(answer.Runs) == 0 {
			t.line("no runs to %s", does)
			return nil
		}
		for _, r := range done {
			t.line("run %s is %s", r.RunID, commandedState(r))
		}
		return nil
	})
	return partly(errors.Join(append(failed, err)...), len(done) > 0)
}

// commandedState says how a run stands: "running; it will be paused once it has written a
// checkpoint". One that is interrupted has written it.
func commandedState(r api.CommandedRun) string {
	if r.Priority != nil {
		return fmt.Sprintf("%s, with priority %d", r.State, *r.Priority)
	}
	if r.Stopping == "" {
		return string(r.State)
	}
	if r.State == training.Interrupted {
		return fmt.Sprintf("about to be %s; its checkpoint is written", r.Stopping)
	}
	return fmt.Sprintf("%s; it will be %s once it has written a checkpoint", r.State, r.Stopping)
}

func newRunsRetryCommand(env *environment) *cobra.Command {
	var t targetFlags
	var o followOptions
	c := &cobra.Command{
		Use:   "retry RUN...",
		Short: "Train again what has failed, or was cancelled or rejected, as new runs",
		Long: `Retry submits the requests of runs again that have failed, or were cancelled or
rejected, and trains them as "reprise train" does: from the first step, with new ids.
The old runs stay as they are. Of a group, it retries the runs that were not retried
before.

A run that cannot be retried, such as one that is to run after a run which was cancelled
and is not retried with it, does not keep the others from being retried: the command says
why and exits with 1.`,
		Example: `  reprise runs retry latest
  reprise runs retry --group sweep`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTrainFormat(o.format); err != nil {
				return err
			}
			return interrupted(c.Context(), env.trainRuns(c.Context(), o, func(ctx context.Context, s api.Service) ([]attempt, error) {
				answer, err := s.Retry(ctx, api.RetryRequest{Target: t.target(args)})
				var attempts []attempt
				for _, r := range answer.Runs {
					a := attempt{file: "retry of " + string(r.RetryOf), label: "retry of …" + tailOf(r.RetryOf), run: r.RunID}
					if r.Error != nil {
						a = attempt{file: string(r.RunID), err: r.Error}
					}
					attempts = append(attempts, a)
				}
				return attempts, err
			}), nothingStarted)
		},
	}
	o.add(c)
	t.add(c, "retry", "retried")
	return c
}

func newRunsResumeCommand(env *environment) *cobra.Command {
	var t targetFlags
	var o followOptions
	var moved movedFlag
	c := &cobra.Command{
		Use:   "resume RUN...",
		Short: "Resume interrupted and paused runs from their last checkpoints",
		Long: `Resume continues runs that were interrupted, paused, killed or cut off by a power
failure from their last committed checkpoints. They end with the same bits as if
nothing had happened. A run that has completed, failed or was cancelled is refused.

Where the data of a run were moved, say where they are now with --dataset PATH: a name of
the catalogue, a folder, a file or a pattern. They are accepted if they are the same data,
by their fingerprint; the run then remembers the place. What it was started with stays on
record.

Where another process trains in the data directory, that process continues the runs;
Ctrl-C then only ends the display.`,
		Example: `  reprise runs resume latest
  reprise runs resume --all`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTrainFormat(o.format); err != nil {
				return err
			}
			data, err := moved.data(c)
			if err != nil {
				return err
			}
			return interrupted(c.Context(), env.resume(c.Context(), api.ResumeRequest{Target: t.target(args), MovedData: data}, o), nothingStarted)
		},
	}
	o.add(c)
	t.add(c, "resume", "resumed")
	moved.add(c)
	return c
}

func (env *environment) resume(ctx context.Context, q api.ResumeRequest, o followOptions) error {
	if len(q.Runs) == 1 {
		return env.trainOne(ctx, o, func(ctx context.Context, s api.Service, _ func() hostView) (training.RunID, error) {
			id, err := onlySubmission(s.Resume(ctx, q))
			return id, env.cannotResume(ctx, s, asGiven(err, movedArgument()))
		})
	}
	return env.trainRuns(ctx, o, func(ctx context.Context, s api.Service) ([]attempt, error) {
		var attempts []attempt
		for r, err := range s.Resume(ctx, q) {
			if err != nil {
				return attempts, env.cannotResume(ctx, s, asGiven(err, movedArgument()))
			}
			a := attempt{file: string(r.RunID), run: r.RunID}
			if r.Error != nil {
				a = attempt{file: string(r.RunID), err: asGiven(r.Error, movedArgument())}
			}
			attempts = append(attempts, a)
		}
		return attempts, nil
	})
}

// followOptions is how a command shows the runs that it has submitted or resumed.
type followOptions struct {
	format string
	detach bool
}

func (o *followOptions) add(c *cobra.Command) {
	addTrainFormat(c, &o.format)
	c.Flags().BoolVar(&o.detach, "detach", false, "return once the run is submitted to the process that trains in the data directory")
}

// trainRuns starts runs and shows them together until all are at rest.
func (env *environment) trainRuns(ctx context.Context, o followOptions, start func(context.Context, api.Service) ([]attempt, error)) error {
	return env.toTheEnd(ctx, o.access(), func(ctx context.Context, s api.Service) error {
		attempts, err := start(ctx, s)
		if err != nil {
			return err
		}
		started := slices.ContainsFunc(attempts, func(a attempt) bool { return a.run != "" })
		if len(attempts) == 0 {
			writeLines(env.stderr, "reprise: there are no runs to resume or retry; nothing was started")
			return nil
		}
		if o.detach || !started { // then there is nothing to show but what is wrong
			return env.detached(s, attempts, o.format)
		}
		labels := make([]string, len(attempts))
		for i, a := range attempts {
			labels[i] = cmp.Or(a.label, a.file)
		}
		view := newSeveralView(env, labels)
		defer view.close()
		for i, a := range attempts {
			view.submitted(i, a.run)
		}
		closed := env.attemptsToRest(ctx, s, view, attempts)
		view.close()
		env.reportAll(ctx, attempts, closed, o.format)
		return nil
	})
}

// access is what a command with these options wants of the data directory.
func (o followOptions) access() access {
	if o.detach {
		return detaching
	}
	return submitting
}

// detached says which runs were submitted.
func (env *environment) detached(s api.Service, attempts []attempt, format string) error {
	to := ""
	if g, guest := s.(guestService); guest { // else nothing was submitted
		to = fmt.Sprintf(" to process %d", g.holder.PID)
	}
	var failed []error
	for _, a := range attempts {
		switch {
		case a.err != nil:
			failed = append(failed, about(a.file, a.err))
		case a.run == "":
			failed = append(failed, fmt.Errorf("not started: %s", a.file))
		case format == formatJSON:
			failed = append(failed, writeJSONLine(env.stdout, api.CommandedRun{RunID: a.run, State: api.Submitted}))
		default:
			file := ""
			if a.file != "" && a.file != string(a.run) {
				file = a.file + ": "
			}
			_, err := fmt.Fprintf(env.stdout, "%srun %s was submitted%s\n", file, a.run, to)
			failed = append(failed, err)
		}
	}
	return partly(errors.Join(failed...), slices.ContainsFunc(attempts, func(a attempt) bool { return a.run != "" && a.err == nil }))
}

// tailOf returns what tells a run from others of the same second: the end of its id.
func tailOf(id training.RunID) string {
	return string(id)[strings.LastIndexByte(string(id), '-')+1:]
}
