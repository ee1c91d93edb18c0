package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"reprise/api"
)

func newRunsVerifyCommand(env *environment) *cobra.Command {
	var format string
	var from, to uint64
	var moved movedFlag
	c := &cobra.Command{
		Use:   "verify RUN",
		Short: "Train a run again and prove that the same bits come out",
		Long: `Verify checks the hash chain of the event log, every event of the run against
those before it, and the files of every checkpoint. It then trains the run again
from its beginning, or from the checkpoint at step --from to the one at step --to,
and compares what comes out with the record: each step, each epoch, each
evaluation, and of each checkpoint the weights, the moments of the optimizer and
the figures that training resumes with. docs/durability.md lists every field.

Data that were moved since are read with --dataset PATH: a name of the catalogue, a
folder, a file or a pattern. They must be the same data, by their fingerprint.

It writes nothing. Exit code 0 means that all of it agrees; where something does
not, the first difference is named and the exit code is 1.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			if c.Flags().Changed("to") && to == 0 {
				return usageError(c, "--to: 0 is the beginning of the run; give the step of a checkpoint, or leave it out")
			}
			data, err := moved.data(c)
			if err != nil {
				return err
			}
			return env.verify(c.Context(), api.VerifyRequest{Run: args[0], From: from, To: to, MovedData: data}, format)
		},
	}
	addListFormat(c, &format)
	moved.add(c)
	c.Flags().Var((*stepFlag)(&from), "from", "start from the checkpoint at step `N` (default: the beginning)")
	c.Flags().Var((*stepFlag)(&to), "to", "end with the checkpoint at step `N` (default: the last one)")
	return c
}

func (env *environment) verify(ctx context.Context, r api.VerifyRequest, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		var progress *counter
		endProgress := func() {
			if progress != nil {
				progress.close()
			}
		}
		defer endProgress()
		for update, err := range s.Verify(ctx, r) {
			if errors.Is(err, context.Canceled) {
				endProgress()
				_, _ = fmt.Fprintln(env.stderr, "reprise: verification was interrupted; nothing was changed")
				return errInterrupted
			}
			if err != nil {
				return asGiven(err, argument{field: "from", flag: "--from"}, argument{field: "to", flag: "--to"}, movedArgument())
			}
			if p := update.Progress; p != nil {
				if progress == nil {
					progress = newCounter(env, "verifying "+string(p.RunID), "steps")
				}
				progress.update(p.Step-p.From, p.Last-p.From)
			}
			if update.Report != nil {
				endProgress()
				if err := env.printVerification(*update.Report, update.Folder, format); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// missingFiles says what to do where a folder lacks files.
const missingFiles = "missing files are not damaged: copy %s from where the run was trained,\n" +
	"or restore a backup; an imported log comes without them"

func (env *environment) printVerification(report api.VerifyReport, folder, format string) error {
	return env.listing(format, report, func(t *table) error {
		if len(report.Checkpoints) > 0 {
			t.columns(column{title: "STEP", right: true}, column{title: "EPOCH", right: true},
				column{title: "RECORDED WEIGHTS SHA-256", short: shortHash}, column{title: "VERDICT", wrap: leastValue})
		}
		for _, c := range report.Checkpoints {
			verdict := "same bits"
			switch {
			case c.Missing && c.Reproduced == c.Recorded:
				verdict = "same bits; FILES MISSING"
			case c.Missing:
				verdict = "FILES MISSING: " + c.Problem
			case c.Problem != "":
				verdict = "DIFFERS: " + c.Problem
			case c.Reproduced == "":
				verdict = "files intact; not trained again"
			}
			t.row(thousands(c.Step), thousands(c.Epoch), c.Recorded, verdict)
		}
		if p := report.Parent; p != nil && report.Verified {
			t.line("\nstarted from the checkpoint of run %s at step %s, whose files match this run's first event;\n"+
				"to verify how they came about:", p.RunID, thousands(p.Step()))
			t.command("  ", env.commandFor("runs verify", p.RunID))
		}
		if slices.ContainsFunc(report.Checkpoints, func(c api.CheckpointVerdict) bool { return c.Missing }) {
			t.line("\n"+missingFiles, folder)
		}
		if report.Verified {
			figures := ""
			if report.FiguresCompared {
				figures = ", and so do the figures of the best one"
			}
			t.line("\nverified: %s chained, %s trained again, %s and %s agree bit for bit%s",
				plural(report.Events, "event"), plural(report.StepsCompared, "step"),
				plural(report.EpochsCompared, "epoch"), plural(len(report.Checkpoints), "checkpoint"), figures)
		}
		return nil
	})
}
